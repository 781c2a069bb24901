"""The threads that native programs share: a pool of workers that never hold the GIL.

A worker is a Python thread that stays inside one native call (its code is in
``cpu/thread_pool.py``), so Python starts and joins it like any thread. Workers start at the first
round that could use one. A *round* is one call of ``parallel``. Before a fork all workers end;
after it, parent and child start workers of their own.
"""

import atexit
import contextlib
import ctypes
import threading
import time
from typing import Any

import numpy as np

from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.signals import PYTHON
from rushlight.compiler.cpu.target import host
from rushlight.compiler.cpu.thread_pool import SEATS, pool_module
from rushlight.compiler.run import cache
from rushlight.locks import around_fork, new_lock
from rushlight.threads import available_cores, get_num_threads

__all__ = ["PARALLEL", "parallel", "raise_error", "reserve", "resize", "stop"]

_PATIENCE = 50e-6  # seconds that an idle worker spins before it sleeps: the gap between two calls
_LOOK = 0.03  # seconds between two checks for signals in the main thread
_PAGE = 4096
#: The type of the native function whose address ``parallel()`` returns.
PARALLEL = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
)
_restore = ctypes.PYFUNCTYPE(None, *[ctypes.c_void_p] * 3)(("PyErr_Restore", ctypes.pythonapi))


class Setup(ctypes.Structure):
    """The state of the pool as native code sees it.

    Attributes:
        scratch: The address of the first thread's workspace.
        stride: Bytes from one workspace to the next.
        workers: The number of workers.
        shift: The number of the present shift; see ``Pool.shift``.
    """

    _fields_ = [
        ("scratch", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("workers", ctypes.c_int32),
        ("shift", ctypes.c_int32),
    ]


class Pool:
    """The loaded native code and its workers. Its methods are called under ``_lock``.

    An interrupt may come between any two lines. So native code is never told of more memory or
    workers than exist: memory is allocated before it is announced and freed after its last use, and
    a worker cannot start before its memory exists.
    """

    def __init__(self, count, futex=True):
        module = pool_module(host().triple, futex)
        python = {own: _python(name) for own, name in PYTHON.items()}
        self.library = load(cache.object_code(module, lambda: module), python)
        self.workers: list[threading.Thread] = []
        self.shift = 0  # is raised to end all workers: a worker of an earlier shift leaves
        self.memories: list = [np.empty(_PAGE, np.uint8)]  # older ones in use, then the present one
        self.count, self.size = 1, 0  # the number of threads, and bytes of one workspace
        self.error: Any = None  # the exception that the start of the workers raised
        self._starter = ctypes.CFUNCTYPE(ctypes.c_int32)(self._start)
        self._arrange = self.library.function("arrange")
        self._work = self.library.function("work")
        self._variable("interval").value = self._interval()
        self.know_main_thread()
        self.resize(count)

    @property
    def memory(self):
        """The memory of all workspaces."""
        return self.memories[-1]

    def resize(self, count):
        """Use ``count`` threads, the caller included, from the next round on."""
        self.stop()
        self.count = 1
        self._variable("patience").value = self._patience(count)
        self._allocate(count, self.size)
        self.allow_start()

    def reserve(self, size):
        """Give each thread at least ``size`` bytes of scratch memory."""
        if size > self.size:
            self._allocate(self.count, -(-size // _PAGE) * _PAGE)

    def stop(self):
        """End all workers and wait until they are gone. No new ones start by themselves."""
        self._variable("start").value = 0
        if self.workers:
            self.shift += 1
            self._set_up(self.memory, self.size, 0)
            for thread in self.workers:
                # A thread whose start was interrupted cannot be joined. If it still starts, it
                # leaves at once, because its shift is over.
                with contextlib.suppress(RuntimeError):
                    thread.join()
            self.workers = []

    def forget_callers(self):
        """In a forked child: free all seats, because their threads exist only in the parent."""
        ctypes.memset(self.library.address("seats"), 0, 4 * SEATS)

    def know_main_thread(self):
        """Tell native code which thread is Python's main thread: it handles the signals."""
        self._variable("main").value = threading.main_thread().ident or 0

    def allow_start(self):
        """Let the next round that could use workers start them."""
        if self.count > 1:
            start = ctypes.cast(self._starter, ctypes.c_void_p)
            self._variable("start").value = start.value

    def raise_error(self):
        """Raise the error that stopped a round: of a signal's handler or of the workers' start."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        words = (ctypes.c_void_p * 3).from_address(self.library.address("raised"))
        raised, words[:] = words[:], [None, None, None]
        _restore(*raised)
        raise KeyboardInterrupt  # an interrupt of this function replaced the other error

    def _variable(self, name, kind: Any = ctypes.c_int64) -> Any:
        return kind.from_address(self.library.address(name))

    def _set_up(self, memory, size, workers):
        scratch = -(-memory.ctypes.data // _PAGE) * _PAGE
        setup = Setup(scratch, size, workers, self.shift)
        self._arrange(ctypes.addressof(setup))

    def _allocate(self, count, size):
        threads = SEATS + count - 1
        memory = np.empty(threads * size + _PAGE, np.uint8)  # untouched pages cost nothing
        self.memories = [*self.memories, memory]
        self._set_up(memory, size, len(self.workers))
        # No round uses the older memory any more, so it is dropped.
        self.count, self.size, self.memories = count, size, [memory]

    def _patience(self, count):
        """How often an idle thread spins before it sleeps; 0 if threads outnumber the cores."""
        if count > available_cores():
            return 0
        spin, trials = self.library.function("spin"), []
        for _ in range(3):
            began = time.perf_counter()
            spin(1000)
            trials.append(time.perf_counter() - began)
        return int(_PATIENCE * 1000 / min(trials))

    def _interval(self):
        """Ticks of the native clock between two checks for signals; 0 if there is no such clock."""
        ticks, word = self.library.function("ticks"), ctypes.c_int64()
        began = time.perf_counter()
        ticks(ctypes.addressof(word))
        first = word.value
        time.sleep(0.0002)
        ticks(ctypes.addressof(word))
        return int(_LOOK * (word.value - first) / (time.perf_counter() - began))

    def _start(self):
        """Start the workers; native code calls this at the first round that could use them.

        Returns 1 if an exception was raised, for example by a signal's handler; otherwise 0.
        """
        try:
            with _lock:
                if self._variable("start").value:  # else another thread started them, or stop() ran
                    self._variable("start").value = 0
                    self._start_workers()
        except BaseException as error:
            self.error = error
            return 1
        return 0

    def _start_workers(self):
        for i in range(self.count - 1):
            ticket = self.shift << 16 | (SEATS + i)
            thread = threading.Thread(
                target=self._work, args=(ticket,), name=f"rushlight-{i + 1}", daemon=True
            )
            self.workers.append(thread)  # before the start, so that stop() waits for it surely
            try:
                thread.start()
            except RuntimeError:  # the system allows no more threads: use those that started
                self.workers.pop()
                break
        self._set_up(self.memory, self.size, len(self.workers))


def _python(name):
    """The address of a function of Python's C API."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


_lock = new_lock(awaited=True)
_pool: Pool | None = None


def _ready():
    global _pool
    if _pool is None:
        _pool = Pool(get_num_threads())
    return _pool


def parallel():
    """The address of ``i64 parallel(ptr kernel, ptr args, i64 chunks, ptr since)``.

    The native function calls ``kernel(args, chunk, scratch)`` once for every chunk, on any thread.
    It returns 0, or 1 if it was stopped before the end; then call ``raise_error``. ``since`` is
    null, or the address of a clock that starts at 0 and is shared by the rounds of one program.
    """
    with _lock:
        return _ready().library.address("parallel")


def reserve(size):
    """Give each thread at least ``size`` bytes of scratch memory before a program is run."""
    with _lock:
        _ready().reserve(size)


def resize(count):
    """Use ``count`` threads from now on. The results of programs do not depend on the number."""
    with _lock:
        if _pool is not None and count != _pool.count:
            _pool.resize(count)


def raise_error():
    """Raise the error that stopped ``parallel`` in this thread."""
    _ready().raise_error()


def stop():
    """End the workers. Programs that run go on in the threads that called them."""
    with _lock:
        if _pool is not None:
            _pool.stop()


def _after_fork_in_parent():
    if _pool is not None:
        _pool.allow_start()


def _after_fork_in_child():
    if _pool is not None:
        _pool.forget_callers()
        _pool.know_main_thread()
        _pool.allow_start()


atexit.register(stop)
around_fork(stop, _after_fork_in_parent, _after_fork_in_child)
