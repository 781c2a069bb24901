"""Worker processes: none outlives its loader, its iterator or its program."""

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from processes import Calls, is_running, loader, pids, wait_for

from rushlight.utils.data import pool, transport, worker
from tests import processes

METHODS = multiprocessing.get_all_start_methods()

pytestmark = [
    pytest.mark.usefixtures("no_process_is_left"),
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*This DataLoader will create:UserWarning"),
    pytest.mark.skipif("fork" not in METHODS, reason="the data sets here do what only forks can"),
]


def test_workers_end_with_the_pass():
    batches = iter(loader(range(4)))
    started = pids(batches)
    assert all(map(is_running, started))
    assert list(batches) == [0, 1, 2, 3] and not any(map(is_running, started))
    assert next(batches, "end") == "end"


def test_workers_end_with_their_iterator():
    batches = iter(loader(Calls(lambda index: np.zeros(transport.LARGE), 50)))
    started = pids(batches)
    gc.disable()
    try:
        for _ in batches:
            break
        del batches
        assert not any(map(is_running, started))  # at once: there are no reference cycles
    finally:
        gc.enable()


def test_workers_leave_the_tasks_that_they_have_not_begun():
    batches = iter(loader(Calls(lambda index: time.sleep(0.2), 30), 1, prefetch_factor=30))
    next(batches)
    begin = time.monotonic()
    del batches
    assert time.monotonic() - begin < 4  # and not 6 for all 30


def test_a_worker_that_does_not_end_is_terminated(monkeypatch):
    monkeypatch.setattr(pool, "SHUTDOWN", 0.1)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the workers do not keep to that
    try:
        batches = iter(loader(Calls(lambda index: time.sleep(60 * index))))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert next(batches) is None
    processes = batches._workers
    del batches
    assert processes[1].exitcode == -signal.SIGTERM


def test_a_killed_worker_is_noticed_though_a_process_of_its_own_holds_its_pipe(monkeypatch):
    def sample(index):
        if os.fork() == 0:
            time.sleep(8)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(pool, "LIVENESS_CHECK", 0.1)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="Killed"):
        next(iter(loader(Calls(sample), 1)))
    assert time.monotonic() - begin < 6


def test_a_fork_of_the_loader_does_not_end_its_workers():
    batches = iter(loader(range(4)))

    def drop():
        batches._shutdown_workers()

    child = multiprocessing.get_context("fork").Process(target=drop)
    child.start()
    child.join()
    assert child.exitcode == 0 and list(batches) == [0, 1, 2, 3]


def test_a_failed_start_leaves_nothing(monkeypatch):
    context = multiprocessing.get_context("fork")
    started = []

    class Second(context.Process):
        def start(self):
            if started:
                raise OSError("no more processes")
            super().start()
            started.append(self.pid)

    monkeypatch.setattr(type(context), "Process", Second)
    with pytest.raises(OSError, match="no more"):
        iter(loader(range(4)))
    assert not is_running(started[0])


SCRIPT = """
import signal, sys, time
from rushlight.utils import data
from rushlight.utils.data import worker
worker.GRACE = 0.2

class Sleepy(data.IterableDataset):
    def __iter__(self):
        yield 0
        while True:
            time.sleep({sleep})
            yield 0

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN if {ignore} else signal.SIG_DFL)
    loader = data.DataLoader(
        Sleepy(), None, num_workers=2, multiprocessing_context="fork", persistent_workers={persist}
    )
    batches = iter(loader)
    print(*[process.pid for process in batches._workers], flush=True)
    next(batches), next(batches)
    print("ready", flush=True)
    {end}
    for _ in batches:
        pass
"""


def send(number, to_group=False):
    def end(process):
        (os.killpg if to_group else os.kill)(process.pid, number)

    return end


KILL, TERM, INT = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT
IDLE, BUSY = 0.01, 60


@pytest.mark.parametrize(
    ("code", "end", "status", "sleep"),
    [
        pytest.param("", send(signal.SIGKILL), KILL, IDLE, id="kill"),
        pytest.param("", send(signal.SIGKILL), KILL, BUSY, id="kill, busy"),
        pytest.param("", send(signal.SIGTERM), TERM, IDLE, id="terminate"),
        pytest.param("", send(signal.SIGINT), INT, BUSY, id="interrupt"),
        pytest.param("", send(signal.SIGINT, to_group=True), INT, IDLE, id="interrupt group"),
        pytest.param("", send(signal.SIGINT, to_group=True), INT, BUSY, id="interrupt group, busy"),
        pytest.param("sys.exit(4)", None, 4, BUSY, id="exit"),
        pytest.param("raise ValueError('x')", None, 1, IDLE, id="raise"),
        pytest.param("import os; os._exit(5)", None, 5, IDLE, id="_exit"),
    ],
)
def test_no_process_outlives_the_program(tmp_path, code, end, status, sleep):
    script = tmp_path / "script.py"
    text = SCRIPT.format(sleep=sleep, ignore=False, persist=sleep == BUSY, end=code)
    script.write_text(text)
    program = subprocess.Popen(
        [sys.executable, script], stdout=-1, stderr=-1, text=True, start_new_session=True
    )
    try:
        started = [int(pid) for pid in program.stdout.readline().split()]
        assert len(started) == 2 and program.stdout.readline() == "ready\n"
        if end is not None:
            time.sleep(0.02)
            end(program)
        # The workers hold these pipes too. Faster than they look at their parent: the pipe told.
        told = program.communicate(timeout=worker.PARENT_CHECK - 1)[1]
        assert program.returncode == status
        wait_for(lambda: not any(map(is_running, started)), seconds=1)
        assert told.count("Traceback") <= 1 and "rocess Fork" not in told  # the workers are quiet
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def test_an_interrupted_loader_ends_its_workers_and_says_so():
    batches = iter(loader(Calls(lambda index: time.sleep(60 * index)), 1))
    assert next(batches) is None
    # The whole group, as Ctrl-C does; the worker is busy, and need not be waited for.
    everyone = [*pids(batches), os.getpid()]
    timer = threading.Timer(0.1, lambda: [os.kill(pid, signal.SIGINT) for pid in everyone])
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert time.monotonic() - begin < worker.GRACE - 1
    timer.join()
    assert not any(map(is_running, pids(batches)))
    with pytest.raises(RuntimeError, match="shut down"):
        next(batches)


def test_workers_go_on_where_the_program_handles_ctrl_c():
    handled = []
    batches = iter(loader(Calls(lambda index: time.sleep(0.01) or index, 9)))
    assert [next(batches) for _ in range(2)] == [0, 1]  # both have started
    before = signal.signal(signal.SIGINT, lambda *_: handled.append(1))
    try:
        for pid in [os.getpid(), *pids(batches)]:
            os.kill(pid, signal.SIGINT)
        assert list(batches) == list(range(2, 9)) and handled
    finally:
        signal.signal(signal.SIGINT, before)


def test_loading_here_imports_no_multiprocessing():
    code = (
        "import sys, rushlight as torch; d = torch.utils.data;"
        "list(d.DataLoader([1, 2]));"
        "sys.exit('multiprocessing' in sys.modules)"
    )
    processes.run([sys.executable, "-c", code], check=True)
