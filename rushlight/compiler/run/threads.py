"""The threads that native programs share: a pool of workers that never hold the GIL.

A worker is a Python thread inside one native call (its code is in ``cpu/thread_pool.py``), so
Python starts and joins it like any thread. Workers start at the first round that could use one. A
fork sends them home before, and parent and child start their own after.
"""

import atexit
import contextlib
import ctypes
import threading
import time
from typing import Any

import numpy as np

from rushlight.compiler.cpu.signals import PYTHON
from rushlight.compiler.cpu.target import host
from rushlight.compiler.cpu.thread_pool import SEATS, pool_module
from rushlight.compiler.run import cache
from rushlight.compiler.run.loader import load
from rushlight.locks import around_fork, new_lock
from rushlight.threads import available_cores, get_num_threads

__all__ = ["PARALLEL", "parallel", "raise_error", "reserve", "resize", "stop"]

_PATIENCE = 50e-6  # seconds that an idle worker watches: the gap between two calls of a program
_LOOK = 0.03  # seconds between two looks for signals in the main thread
_PAGE = 4096
#: The type of what ``parallel`` gives the address of.
PARALLEL = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
)
_restore = ctypes.PYFUNCTYPE(None, *[ctypes.c_void_p] * 3)(("PyErr_Restore", ctypes.pythonapi))


class Setup(ctypes.Structure):
    """What native code knows of the pool: workspaces, their distance, workers, their shift."""

    _fields_ = [
        ("scratch", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("workers", ctypes.c_int32),
        ("shift", ctypes.c_int32),
    ]


class Pool:
    """The loaded native code and its workers. Its methods are called under ``_lock``.

    An interrupt may come between any two lines, so native code is never told of more than there is:
    memory is there before and until after it is used, and what has no memory yet cannot start.
    """

    def __init__(self, count, futex=True):
        module = pool_module(host().triple, futex)
        python = {own: _python(name) for own, name in PYTHON.items()}
        self.library = load(cache.object_code(module, lambda: module), python)
        self.workers: list[threading.Thread] = []
        self.shift = 0  # workers that came for another one go home
        self.memories: list = [np.empty(_PAGE, np.uint8)]  # the last one, and those still in use
        self.count, self.size = 1, 0  # threads, bytes of one workspace
        self.error: Any = None  # what the start of the workers raised
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
        """Have ``count`` threads, the caller among them, from the next round on."""
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
        """Send the workers home and wait until they are gone; none start by themselves."""
        self._variable("start").value = 0
        if self.workers:
            self.shift += 1
            self._set_up(self.memory, self.size, 0)
            for thread in self.workers:
                # One whose start was interrupted may come later, and leaves: its shift is over.
                with contextlib.suppress(RuntimeError):
                    thread.join()
            self.workers = []

    def forget_callers(self):
        """In a forked child: the threads that sat in seats stayed behind in the parent."""
        ctypes.memset(self.library.address("seats"), 0, 4 * SEATS)

    def know_main_thread(self):
        """Tell native code in which thread Python's signals are heeded."""
        self._variable("main").value = threading.main_thread().ident or 0

    def allow_start(self):
        """Let the next round that could use workers start them."""
        if self.count > 1:
            start = ctypes.cast(self._starter, ctypes.c_void_p)
            self._variable("start").value = start.value

    def raise_error(self):
        """Raise what stopped a round: a signal's handler, or the start of the workers."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        words = (ctypes.c_void_p * 3).from_address(self.library.address("raised"))
        raised, words[:] = words[:], [None, None, None]
        _restore(*raised)
        raise KeyboardInterrupt  # an interrupt of this function took the other one's place

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
        # The older memory is free now: no round uses it any more.
        self.count, self.size, self.memories = count, size, [memory]

    def _patience(self, count):
        """How often an idle thread pauses before it sleeps; never where cores are too few."""
        if count > available_cores():
            return 0
        spin, trials = self.library.function("spin"), []
        for _ in range(3):
            began = time.perf_counter()
            spin(1000)
            trials.append(time.perf_counter() - began)
        return int(_PATIENCE * 1000 / min(trials))

    def _interval(self):
        """The ticks of the native clock between two looks; 0 where there is no such clock."""
        ticks, word = self.library.function("ticks"), ctypes.c_int64()
        began = time.perf_counter()
        ticks(ctypes.addressof(word))
        first = word.value
        time.sleep(0.0002)
        ticks(ctypes.addressof(word))
        return int(_LOOK * (word.value - first) / (time.perf_counter() - began))

    def _start(self):
        """Start the workers; native code calls this at the first round that could use them.

        Returns 1 where that raised, for a signal's handler, say.
        """
        try:
            with _lock:
                if self._variable("start").value:  # else another thread did, or it is the end
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
            self.workers.append(thread)  # before it starts: it is waited for at the end
            try:
                thread.start()
            except RuntimeError:  # the system gives no more: fewer do the work
                self.workers.pop()
                break
        self._set_up(self.memory, self.size, len(self.workers))


def _python(name):
    """The address of a function of Python's."""
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

    It runs ``kernel(args, chunk, scratch)`` for every chunk, each once, on any thread. It gives 1
    where it was stopped before the end (then call ``raise_error``), else 0. ``since`` is null, or
    the place of a clock that starts at 0 and that the rounds of one program share.
    """
    with _lock:
        return _ready().library.address("parallel")


def reserve(size):
    """Give each thread at least ``size`` bytes of scratch memory before a program is run."""
    with _lock:
        _ready().reserve(size)


def resize(count):
    """Have ``count`` threads from now on; the results of programs don't depend on it."""
    with _lock:
        if _pool is not None and count != _pool.count:
            _pool.resize(count)


def raise_error():
    """Raise what stopped ``parallel`` in this thread."""
    _ready().raise_error()


def stop():
    """End the workers. Programs run on in their callers' threads."""
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
