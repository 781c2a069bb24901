"""Worker processes: what they report, and that none outlives its loader."""

import contextlib
import gc
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import rushlight as torch
from rushlight.utils import data
from rushlight.utils.data import transport, worker

METHODS = multiprocessing.get_all_start_methods()

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*workers share the:UserWarning"),
    pytest.mark.skipif("fork" not in METHODS, reason="the data sets here do what only forks can"),
]


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


def loader(dataset, num_workers=2, **options):
    options = {"batch_size": None, "multiprocessing_context": "fork", **options}
    return data.DataLoader(dataset, num_workers=num_workers, **options)


class Calls:
    """A data set that calls a function."""

    def __init__(self, function, n=6):
        self.function = function
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


def pids(batches):
    return [process.pid for process in batches._workers]


def is_running(pid):
    """Whether a process runs; one that has ended and waits for its parent does not."""
    stat = pathlib.Path(f"/proc/{pid}/stat")
    if pathlib.Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


# What travels -----------------------------------------------------------------------------


class Squares:
    """At the top level of a module, as a spawned worker needs it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.tensor([index, index**2])


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_start_a_worker(method):
    ways = {"fork": "fork", "spawn": multiprocessing.get_context("spawn")}
    context = ways.get(method, method)
    read = loader(Squares(), 1, batch_size=3, multiprocessing_context=context)
    assert [batch.tolist() for batch in read] == [[[0, 0], [1, 1], [2, 4]], [[3, 9]]]


def test_what_cannot_be_pickled_says_so_at_the_start():
    unpicklable = Calls(lambda index: index)
    with pytest.raises(Exception, match="pickle") as caught:
        iter(loader(unpicklable, multiprocessing_context="spawn"))
    assert "multiprocessing_context='fork'" in caught.value.__notes__[0]


@pytest.mark.parametrize("shared", [True, False])
def test_large_and_small_arrays_travel(monkeypatch, shared):
    if not shared:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    n = transport.LARGE + 1

    def sample(index):
        large = np.arange(n, dtype=np.float32) + index
        return {
            "large": torch.from_numpy(large),
            "wide": np.asfortranarray(np.full((2, n), index)),
            "small": torch.tensor([index]),
            "empty": torch.ones(0, 3),
            "half": torch.full((n,), index, dtype=torch.bfloat16),
            "text": "x" * n,
        }

    read = list(loader(Calls(sample), collate_fn=lambda batch: batch))
    assert len(read) == 6
    for index, batch in enumerate(read):
        assert batch["large"].shape == (n,) and batch["large"].dtype is torch.float32
        assert batch["large"][0] == index and batch["large"][-1] == index + n - 1
        if shared:
            starts = batch["large"].data_ptr(), batch["wide"].ctypes.data
            assert not any(start % transport.ALIGNMENT for start in starts)
        assert (batch["wide"] == index).all() and batch["wide"].flags.f_contiguous
        assert batch["small"].tolist() == [index] and batch["empty"].shape == (0, 3)
        assert batch["half"].dtype is torch.bfloat16 and batch["half"][-1] == index
        assert len(batch["text"]) == n
        batch["large"].add_(1)  # the memory is the batch's own
        batch["wide"][0, 0] = 7


def test_a_view_travels_without_the_tensor_it_looks_at():
    whole = torch.arange(100_000.0)
    dataset = data.TensorDataset(whole[:1000], whole.reshape(100, 1000).t())
    for index, (x, row) in enumerate(loader(dataset, sampler=range(3))):
        assert x == index and row.tolist() == whole[index::1000].tolist()
    packed, buffers = transport.pack(whole[5:7])
    assert len(packed) < 1000 and not buffers


def test_of_gradients_only_the_wish_travels():
    x = torch.ones(2, requires_grad=True)
    batches = iter(loader(Calls(lambda index: x if index % 2 == 0 else 2 * x), 1))
    assert next(batches).requires_grad
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*send x\.detach"):
        next(batches)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts by /proc")
def test_no_descriptor_and_no_mapping_is_left():
    def sample(index):
        return np.zeros(transport.LARGE), len(os.listdir("/proc/self/fd"))

    def read():
        opened = [count for _, count in loader(Calls(sample), 1, collate_fn=lambda x: x)]
        assert opened[1] == opened[-1]
        gc.collect()
        maps = pathlib.Path("/proc/self/maps").read_text()
        return len(os.listdir("/proc/self/fd")), maps.count("rushlight-batch")

    read()
    before = read()
    assert read() == before and before[1] == 0


def test_a_task_larger_than_a_pipe_never_blocks():
    # Each sends more than a pipe holds, both ways, before the other side reads.
    indices = [list(range(200_000))] * 4
    large = Calls(lambda index: "x" * 2_000_000)
    read = loader(large, 1, sampler=indices, prefetch_factor=4, timeout=30)
    batches = iter(read)
    assert [len(batch) for batch in batches] == [2_000_000] * 4


# What workers report ----------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class WithMessage(Exception):
    message = "of the class"

    def __init__(self, *, message):
        super().__init__(message)


def raising(error):
    def function(index):
        if index == 1:
            raise error
        return index

    return Calls(function, 4)


class Local(ValueError):
    pass


Local.__qualname__ = "raising.<locals>.Local"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("bad sample"), ValueError),
        (KeyError("bad sample"), KeyError),
        (TwoArguments("bad sample", 2), RuntimeError),
        (WithMessage(message="bad sample"), WithMessage),
        (Local("bad sample"), RuntimeError),
    ],
)
def test_errors_keep_their_type_and_traceback(error, kind):
    batches = iter(loader(raising(error)))
    assert next(batches) == 0
    with pytest.raises(kind) as caught:
        next(batches)
    assert type(caught.value) is kind
    name = type(error).__name__
    start = f"Caught {name} in DataLoader worker process 1.\nOriginal Traceback (most recent call"
    text = str(caught.value)
    assert text.startswith(start) and "bad sample" in text
    assert f'File "{__file__}"' in text and "raise error" in text
    assert list(batches) == [2, 3]  # as in PyTorch, the pass goes on


@pytest.mark.parametrize("persistent", [False, True])
def test_an_error_at_a_workers_start(persistent):
    def fail(worker_id):
        raise OSError(f"no disk for {worker_id}")

    read = loader(range(4), worker_init_fn=fail, persistent_workers=persistent)
    for _ in range(2):
        batches = iter(read)
        for worker_id in (0, 1, 0, 1):
            with pytest.raises(
                OSError, match=rf"(?s)process {worker_id}\..*no disk for {worker_id}"
            ):
                next(batches)


def test_a_result_that_cannot_be_pickled_is_an_error():
    batches = iter(loader(Calls(lambda index: threading.Lock()), 1))
    with pytest.raises(TypeError, match="Caught TypeError in DataLoader worker process 0"):
        next(batches)


@pytest.mark.parametrize(("number", "name"), [("SIGKILL", "Killed"), ("SIGTERM", "Terminated")])
def test_a_killed_worker_is_named(number, name):
    def sample(index):
        if index == 3:
            os.kill(os.getpid(), getattr(signal, number))
        return index

    batches = iter(loader(Calls(sample)))
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    pid = pids(batches)[1]
    with pytest.raises(RuntimeError, match=rf"\(pid {pid}\) is killed by signal: {name}.*1 of 2"):
        next(batches)
    assert not any(map(is_running, pids(batches)))
    with pytest.raises(RuntimeError, match="shut down"):
        next(batches)


def test_a_worker_that_exits_is_named():
    batches = iter(loader(Calls(lambda index: sys.exit(3)), 1, persistent_workers=True))
    with pytest.raises(RuntimeError, match=r"exited unexpectedly, with exit code 3.*worker 0 of 1"):
        next(batches)


def test_a_persistent_loader_replaces_lost_workers():
    read = loader(range(40), persistent_workers=True)
    batches = iter(read)
    os.kill(pids(batches)[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="Killed"):
        list(batches)
    assert list(read) == list(range(40))


def test_a_slow_worker_times_out_and_can_be_waited_for_again():
    batches = iter(loader(Calls(lambda index: time.sleep(0.3)), 1, timeout=0.05))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds.*worker 0"):
        next(batches)
    batches._timeout = 20
    assert next(batches) is None


def test_worker_info_and_init():
    seen = []

    def sample(index):
        info = data.get_worker_info()
        return seen, info.id, info.num_workers, info.dataset is dataset, info.seed

    dataset = Calls(sample, 2)
    torch.manual_seed(3)
    first, second = loader(dataset, worker_init_fn=seen.append)
    assert first[:4] == [[0], 0, 2, True] and second[:4] == [[1], 1, 2, True]
    assert second[4] == first[4] + 1
    assert data.get_worker_info() is None and seen == []
    with pytest.raises(AttributeError):
        worker.WorkerInfo(0, 1, 2, None).id = 3


# Order and reuse --------------------------------------------------------------------------


@pytest.mark.parametrize("in_order", [True, False])
def test_order(in_order):
    wait = Calls(lambda index: time.sleep(0.3 if index == 0 else 0) or index, 8)
    found = list(loader(wait, in_order=in_order))
    assert sorted(found) == list(range(8))
    assert (found == list(range(8))) is in_order
    assert in_order or found[-2:] == [0, 2]  # what the slow worker had been given


def test_persistent_workers_are_the_same_and_start_afresh():
    read = loader(Calls(lambda index: (index, os.getpid())), persistent_workers=True)
    batches = iter(read)
    assert next(batches)[0] == 0  # and leaves the rest under way
    for _ in range(2):
        assert iter(read) is batches
        assert [index for index, _ in batches] == [0, 1, 2, 3, 4, 5]
    assert {pid for _, pid in read} == set(pids(batches))
    assert all(map(is_running, pids(batches)))


def test_workers_that_end_early_leave_the_rest_to_the_others():
    class Uneven(data.IterableDataset):
        def __iter__(self):
            return iter([[0], [10, 11, 12, 13]][data.get_worker_info().id])

    for persistent in (False, True):
        read = loader(Uneven(), persistent_workers=persistent)
        assert list(read) == [0, 10, 11, 12, 13] == list(read)


# Nothing is left --------------------------------------------------------------------------


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
    assert time.monotonic() - begin < 2


def test_a_worker_that_does_not_end_is_terminated(monkeypatch):
    from rushlight.utils.data import pool

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
    from rushlight.utils.data import pool

    def sample(index):
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(pool, "LIVENESS_CHECK", 0.1)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="Killed"):
        next(iter(loader(Calls(sample), 1)))
    assert time.monotonic() - begin < 1.5


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
    subprocess.run([sys.executable, "-c", code], check=True)
