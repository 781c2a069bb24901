"""Whether the processor takes denormal numbers for zeros, in the calling thread.

Eager code computes in its own thread and follows by itself; the pool's workers follow whom they
work for (``cpu/thread_pool.py``). Code is always written with denormal numbers: a constant that was
lost on the way would stay lost in the cache.
"""

import contextlib
import ctypes
from typing import Any

import numpy as np

from rushlight.compiler.cpu.float_mode import flush_bits, mode_module
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache
from rushlight.compiler.run.loader import load
from rushlight.locks import new_lock

__all__ = ["carried", "flush", "kept"]

_lock = new_lock()
_register: Any = None  # once a mode was set


class _Register:
    """The calling thread's word for how floats are computed with."""

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
    """Have denormal numbers be zeros, or numbers again; whether the processor can be told to."""
    global _register
    with _lock:
        if _register is None:
            for kind in "efdgFDG":  # NumPy looks at them once, and warns where they are zeros
                np.finfo(kind)
            _register = _Register()
    others = _register.read() & ~_register.flush
    _register.write(others | _register.flush if on else others)
    return _register.flush != 0


@contextlib.contextmanager
def kept():
    """Denormal numbers are numbers within; decorates functions, too."""
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
    """``function`` for another thread to call: there it computes as it would in this one.

    A new thread starts in the mode of the one that made it on Linux, elsewhere in the processor's.
    """
    if _register is None:
        return function
    register, mode = _register, _register.read()

    def call(*args):
        register.write(mode)
        return function(*args)

    return call
