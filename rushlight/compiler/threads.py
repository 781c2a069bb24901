"""The threads that native programs share: a pool of workers that never hold the GIL.

A worker is a Python thread inside one native call (its code is in ``emit/pool.py``), so Python
starts and joins it like any thread. Workers start at the first round that could use one. A fork
sends them home before, and parent and child start their own after.
"""

import atexit
import ctypes
import os
import threading
import time
from typing import Any

import numpy as np

from rushlight.compiler import cache
from rushlight.compiler.code import load
from rushlight.compiler.emit.pool import SEATS, pool_module
from rushlight.compiler.emit.target import host
from rushlight.threads import available_cores, get_num_threads

__all__ = ["parallel", "reserve", "resize", "stop"]

_PATIENCE = 50e-6  # seconds that an idle worker watches: the gap between two calls of a program
_PAGE = 4096


class Setup(ctypes.Structure):
    """What native code knows of the pool: workspaces, their distance, workers, the order to go."""

    _fields_ = [
        ("scratch", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("workers", ctypes.c_int32),
        ("stop", ctypes.c_int32),
    ]


class Pool:
    """The loaded native code and its workers. Its methods are called under ``_lock``."""

    def __init__(self, count, futex=True):
        module = pool_module(host().triple, futex)
        self.library = load(cache.object_code(module, lambda: module))
        self.workers: list[threading.Thread] = []
        self.memory: Any = np.empty(0, np.uint8)
        self.size = 0  # of one workspace
        self._starter = ctypes.CFUNCTYPE(None)(self._start)
        self._arrange = self.library.function("arrange")
        self._work = self.library.function("work")
        self.resize(count)

    def resize(self, count):
        """Have ``count`` threads, the caller among them, from the next round on."""
        self.stop()
        self.count = count
        self._variable("patience").value = self._patience()
        self._allocate()
        self.allow_start()

    def reserve(self, size):
        """Give each thread at least ``size`` bytes of scratch memory."""
        if size > self.size:
            self.size = -(-size // _PAGE) * _PAGE
            self._allocate()

    def stop(self):
        """Send the workers home and wait until they are gone; none start by themselves."""
        self._variable("start").value = 0
        if self.workers:
            self._set_up(workers=0, stop=1)
            for thread in self.workers:
                thread.join()
            self.workers = []
            self._set_up(workers=0, stop=0)

    def forget_callers(self):
        """In a forked child: the threads that sat in seats stayed behind in the parent."""
        ctypes.memset(self.library.address("seats"), 0, 4 * SEATS)

    def allow_start(self):
        """Let the next round that could use workers start them."""
        if self.count > 1:
            start = ctypes.cast(self._starter, ctypes.c_void_p)
            self._variable("start").value = start.value

    def _variable(self, name, kind: Any = ctypes.c_int64) -> Any:
        return kind.from_address(self.library.address(name))

    def _set_up(self, workers, stop=0):
        setup = Setup(self._scratch, self.size, workers, stop)
        self._arrange(ctypes.addressof(setup))

    def _allocate(self):
        threads = SEATS + self.count - 1
        memory = np.empty(threads * self.size + _PAGE, np.uint8)  # untouched pages cost nothing
        self._scratch = -(-memory.ctypes.data // _PAGE) * _PAGE
        self._set_up(len(self.workers))
        self.memory = memory  # the old one is free now: no round uses it any more

    def _patience(self):
        """How often an idle thread pauses before it sleeps; never where cores are too few."""
        if self.count > available_cores():
            return 0
        spin, trials = self.library.function("spin"), []
        for _ in range(3):
            began = time.perf_counter()
            spin(1000)
            trials.append(time.perf_counter() - began)
        return int(_PATIENCE * 1000 / min(trials))

    def _start(self):
        """Start the workers; native code calls this at the first round that could use them."""
        with _lock:
            if not self._variable("start").value:
                return  # another thread did, or the pool is at its end
            self._variable("start").value = 0
            for i in range(self.count - 1):
                thread = threading.Thread(
                    target=self._work, args=(SEATS + i,), name=f"rushlight-{i + 1}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:  # the system gives no more: fewer do the work
                    break
                self.workers.append(thread)
            self._set_up(len(self.workers))


_lock = threading.RLock()
_pool: Pool | None = None


def _ready():
    global _pool
    if _pool is None:
        _pool = Pool(get_num_threads())
    return _pool


def parallel():
    """The address of ``void parallel(ptr kernel, ptr args, i64 chunks)``, for native programs.

    It runs ``kernel(args, chunk, scratch)`` for every chunk, each once, on any thread.
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


def stop():
    """End the workers. Programs run on in their callers' threads."""
    with _lock:
        if _pool is not None:
            _pool.stop()


def _before_fork():
    _lock.acquire()  # nobody is in the middle of a change when the process splits
    if _pool is not None:
        _pool.stop()


def _after_fork_in_parent():
    if _pool is not None:
        _pool.allow_start()
    _lock.release()


def _after_fork_in_child():
    if _pool is not None:
        _pool.forget_callers()
        _pool.allow_start()
    _lock.release()


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
