"""Whether the processor treats denormal numbers as zeros, in the calling thread.

The mode belongs to a thread. Eager code computes in the thread that set the mode. The pool's
workers take over the mode of the thread that they work for (``cpu/thread_pool.py``). Code is always
compiled with denormal numbers enabled: otherwise a denormal constant would become 0 in the cached
code, too.
"""

import contextlib
import ctypes
from typing import Any

import numpy as np

from rushlight.compiler.cpu.float_mode import flush_bits, mode_module
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache
from rushlight.locks import new_lock

__all__ = ["carried", "flush", "kept"]

_lock = new_lock()
_register: Any = None  # a _Register from the first call of ``flush`` on


class _Register:
    """The processor's floating-point control register, read and written in the calling thread."""

    def __init__(self):
        self.flush = flush_bits(host().triple)
        module = mode_module(host().triple)
        library = load(cache.object_code(module, lambda: module))
        self._read = library.function("read", brief=True)
        self._write = library.function("write", brief=True)

    def read(self):
        mode = ctypes.c_int64()
        self._read(ctypes.addressof(mode))
        return mode.value

    def write(self, mode):
        word = ctypes.c_int64(mode)
        self._write(ctypes.addressof(word))


def flush(on):
    """Treat denormal numbers as zeros if ``on``; returns whether the processor can do that."""
    global _register
    with _lock:
        if _register is None:
            for kind in "efdgFDG":  # NumPy computes these once, and would warn in flush mode
                np.finfo(kind)
            _register = _Register()
    others = _register.read() & ~_register.flush
    _register.write(others | _register.flush if on else others)
    return _register.flush != 0


@contextlib.contextmanager
def kept():
    """Context or decorator within which denormal numbers are not treated as zeros."""
    register = _register
    mode = register.read() if register else 0
    if not register or not mode & register.flush:
        yield
        return
    register.write(mode & ~register.flush)
    try:
        yield
    finally:
        register.write(mode)


def carried(function):
    """``function``, which another thread calls in the floating-point mode of this thread.

    On Linux a new thread inherits the mode of the thread that starts it; on other systems it starts
    in the processor's default mode.
    """
    if _register is None:
        return function
    register, mode = _register, _register.read()

    def call(*args):
        register.write(mode)
        return function(*args)

    return call
