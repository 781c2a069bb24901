"""The pool: each chunk once, on any thread, whoever calls, forks, resizes or leaves meanwhile."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import rushlight as torch
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads

# main(table): ``rounds`` times parallel(kernel, args, chunks); args are int64, one a chunk.
KERNELS = """
declare i64 @parallel(ptr, ptr, i64, ptr)

define void @main(ptr %table) {
entry:
  %kernel = load ptr, ptr %table
  %p1 = getelementptr i64, ptr %table, i64 1
  %args = load ptr, ptr %p1
  %p2 = getelementptr i64, ptr %table, i64 2
  %chunks = load i64, ptr %p2
  %p3 = getelementptr i64, ptr %table, i64 3
  %rounds = load i64, ptr %p3
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %stopped = call i64 @parallel(ptr %kernel, ptr %args, i64 %chunks, ptr null)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %rounds
  br i1 %more, label %loop, label %done
done:
  ret void
}

define void @count(ptr %args, i64 %chunk, ptr %scratch) {  ; plainly: no chunk runs twice at once
  %p = getelementptr i64, ptr %args, i64 %chunk
  %n = load i64, ptr %p
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %p
  ret void
}

define void @own(ptr %args, i64 %chunk, ptr %scratch) {  ; count chunks whose scratch nobody touched
entry:
  %mark = ptrtoint ptr %args to i64
  %here = add i64 %mark, %chunk
  br label %write
write:
  %i = phi i64 [ 0, %entry ], [ %i1, %write ]
  %p = getelementptr i64, ptr %scratch, i64 %i
  store volatile i64 %here, ptr %p
  %i1 = add i64 %i, 1
  %w = icmp ult i64 %i1, 512
  br i1 %w, label %write, label %read
read:
  %j = phi i64 [ 0, %write ], [ %j1, %good ]
  %q = getelementptr i64, ptr %scratch, i64 %j
  %v = load volatile i64, ptr %q
  %same = icmp eq i64 %v, %here
  br i1 %same, label %good, label %bad
good:
  %j1 = add i64 %j, 1
  %r = icmp ult i64 %j1, 512
  br i1 %r, label %read, label %right
right:
  call void @count(ptr %args, i64 %chunk, ptr %scratch)
  ret void
bad:
  ret void
}

define void @who(ptr %args, i64 %chunk, ptr %scratch) {
  %p = getelementptr ptr, ptr %args, i64 %chunk
  store ptr %scratch, ptr %p
  ret void
}

; args: the caller's scratch; how long a worker takes; the chunks that workers took; how long the
; caller waits for one to come.
define void @slow(ptr %args, i64 %chunk, ptr %scratch) {
entry:
  %mine = load ptr, ptr %args
  %caller = icmp eq ptr %scratch, %mine
  %p1 = getelementptr i64, ptr %args, i64 1
  %steps = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %args, i64 2
  %p3 = getelementptr i64, ptr %args, i64 3
  %wait = load i64, ptr %p3
  %before = load volatile i64, ptr %p2
  br i1 %caller, label %meet, label %help
meet:
  %k = phi i64 [ 0, %entry ], [ %k1, %meet ]
  %seen = load volatile i64, ptr %p2
  %alone = icmp eq i64 %seen, %before
  %k1 = add i64 %k, 1
  %early = icmp ult i64 %k1, %wait
  %m = and i1 %early, %alone
  br i1 %m, label %meet, label %done
help:
  %n = atomicrmw add ptr %p2, i64 1 monotonic
  br label %loop
loop:
  %i = phi i64 [ 0, %help ], [ %i1, %loop ]
  %x = load volatile i64, ptr %p1
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %steps
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


class Driver:
    """Runs rounds of a kernel on a pool."""

    def __init__(self, parallel):
        self.library = load(host().object_code(KERNELS), {"parallel": parallel})
        self.main = self.library.function("main")

    def __call__(self, kernel, args, chunks, rounds):
        table = np.array([self.library.address(kernel), args.ctypes.data, chunks, rounds])
        self.main(table.ctypes.data)
        return args


@pytest.fixture(scope="module")
def run():
    threads.reserve(4096)
    return Driver(threads.parallel())


@pytest.fixture(autouse=True)
def same_count_afterwards():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def counts(run, chunks, rounds, kernel="count"):
    return run(kernel, np.zeros(chunks, np.int64), chunks, rounds)


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_every_chunk_runs_once_a_round(run, n):
    torch.set_num_threads(n)
    assert torch.get_num_threads() == n
    for chunks in (1, 2, 3, 7, 100):
        rounds = 2000 if chunks < 100 else 300
        assert (counts(run, chunks, rounds) == rounds).all()
    counts(run, 0, 5)
    assert len(threads._pool.workers) == n - 1


def test_without_futex(monkeypatch):
    pool = threads.Pool(3, futex=False)
    pool.reserve(4096)
    run = Driver(pool.library.address("parallel"))
    for _ in range(4):
        assert (counts(run, 5, 300) == 300).all()
        time.sleep(0.001)
    assert len(pool.workers) == 2
    scratch = run("who", np.zeros(1, np.int64), 1, 1)[0]
    args = np.array([scratch, 0, 0, 10_000_000], np.int64)
    end = time.monotonic() + 20
    while args[2] < 3 and time.monotonic() < end:  # they come, though nobody knows their core
        run("slow", args, 2, 1)
    assert args[2] >= 3
    pool.stop()
    assert not pool.workers
    assert (counts(run, 5, 10) == 10).all()


def test_a_worker_that_never_comes_is_not_waited_for(monkeypatch):
    pool = threads.Pool(1)
    pool.count = 4
    pool._work = lambda seat: None  # the thread ends at once; native code believes it is there
    pool.allow_start()
    run = Driver(pool.library.address("parallel"))
    assert (counts(run, 8, 1000) == 1000).all()
    assert len(pool.workers) == 3
    pool.stop()


@pytest.fixture
def two_cores(run):
    """The caller on one core, its worker on another: together they'd only take turns."""
    torch.set_num_threads(2)
    counts(run, 2, 1)  # the worker starts
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("needs two cores")
    os.sched_setaffinity(0, {min(cores)})
    os.sched_setaffinity(threads._pool.workers[0].native_id, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


def test_sleeping_workers_are_woken(run, two_cores):
    scratch = run("who", np.zeros(1, np.int64), 1, 1)[0]
    args = np.array([scratch, 0, 0, 10_000_000], np.int64)
    end = time.monotonic() + 20
    while args[2] < 3 and time.monotonic() < end:
        time.sleep(0.003)  # long past the worker's patience
        run("slow", args, 2, 1)
    assert args[2] >= 3


def test_a_worker_on_the_callers_core_moves():
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores, and a system that tells where a thread runs")
    torch.set_num_threads(2)
    pool = threads.Pool(2)  # its worker starts where this thread may run: anywhere
    pool.reserve(4096)
    run = Driver(pool.library.address("parallel"))
    scratch = run("who", np.zeros(1, np.int64), 1, 1)[0]
    args = np.array([scratch, 0, 0, 10_000_000], np.int64)
    end = time.monotonic() + 20
    while not args[2] and time.monotonic() < end:  # once it has helped it is under way
        run("slow", args, 2, 1)
    worker, cores = pool.workers[0].native_id, os.sched_getaffinity(0)
    core = {min(cores)}
    try:
        os.sched_setaffinity(0, core)
        os.sched_setaffinity(worker, core)
        while os.sched_getaffinity(worker) == core and time.monotonic() < end:
            time.sleep(0.003)
            counts(run, 2, 1)
        assert os.sched_getaffinity(worker) == cores - core
    finally:
        os.sched_setaffinity(0, cores)
        pool.stop()


def test_a_worker_that_lost_its_core_keeps_away(run, two_cores):
    """A worker holds its caller up; it may do so once in 10 ms, not in every round."""
    scratch = run("who", np.zeros(1, np.int64), 1, 1)[0]
    args = np.array([scratch, 4_000_000, 0, 100_000], np.int64)
    rounds, began = 0, time.monotonic()
    while rounds < 300 or time.monotonic() - began < 0.1:
        run("slow", args, 2, 10)
        rounds += 10
    assert args[2] <= (time.monotonic() - began) / 0.010 + 2


def test_scratch_is_aligned_and_grows(run):
    torch.set_num_threads(2)
    for size in (1, 5000, 1 << 20, 100):
        threads.reserve(size)
        found = run("who", np.zeros(64, np.int64), 64, 50)
        assert (found % 64 == 0).all()
        pool = threads._pool
        last = pool.memory.ctypes.data + pool.memory.nbytes
        assert pool.size >= size and (found + pool.size <= last).all()


def test_several_callers_at_once_while_the_pool_changes(run):
    results, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            results.append((counts(run, 6, 50, "own") == 50).all())

    callers = [threading.Thread(target=call) for _ in range(threads.SEATS + 2)]
    for caller in callers:
        caller.start()
    for i in range(4):
        torch.set_num_threads(1 + i % 3)
        threads.reserve(4096 * (i + 2))
        time.sleep(0.02)
    stop.set()
    for caller in callers:
        caller.join()
    assert len(results) >= len(callers) and all(results)


def python(code, **environment):
    """What a new interpreter prints."""
    root = str(Path(__file__).resolve().parents[3])
    source = f"import sys; sys.path[:0] = [{root!r}]\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.split()


IMPORT = "from tests.compiler.run.test_threads import Driver, counts, np, os, threading, threads, torch\n"


def test_no_thread_is_left_at_exit():
    code = """
    import atexit, threading  # registered first, so called last
    atexit.register(lambda: print(sum(t.name.startswith("rushlight") for t in threading.enumerate())))
    {}
    torch.set_num_threads(3)
    counts(Driver(threads.parallel()), 4, 100)
    print(sum(t.name.startswith("rushlight") for t in threading.enumerate()))
    """
    assert python(code.format(IMPORT)) == ["2", "0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_its_own_workers():
    code = """
    import os, time  # registered first, so called last: others go on until the process splits
    os.register_at_fork(before=lambda: time.sleep(0.003))
    {}
    torch.set_num_threads(3)
    run = Driver(threads.parallel())
    counts(run, 4, 100)
    stop = threading.Event()
    def work():  # so that a round is under way, and its seat taken, when the process forks
        while not stop.is_set():
            counts(run, 4, 300_000)
    other = threading.Thread(target=work)
    other.start()
    for _ in range(5):
        child = os.fork()
        if not child:
            alone = len(threads._pool.workers)
            right = (counts(run, 6, 200) == 200).all()
            os._exit(0 if right and not alone and len(threads._pool.workers) == 2 else 1)
        print(os.waitpid(child, 0)[1])
    stop.set()
    other.join()
    print((counts(run, 6, 200) == 200).all())
    """
    assert python(code.format(IMPORT)) == ["0"] * 5 + ["True"]


@pytest.mark.parametrize("named, found", [("3", "3"), ("", None), ("many", None), ("0", None)])
def test_number_from_the_environment(named, found):
    code = """
    import rushlight as torch
    from rushlight.threads import _blas
    print(torch.get_num_threads(), *[b.get_num_threads() for b in _blas()])
    print("llvmlite" in sys.modules)
    """
    *numbers, native = python(code, RUSHLIGHT_NUM_THREADS=named)
    assert native == "False"
    assert set(numbers) == {found} if found else len(set(numbers)) == 1
