"""Garbage collection waits while a program is recorded and compiled.

Tens of thousands of objects are made then, which refer to each other and live until the end: to
look through them again and again, and through all that the user's program holds, finds nothing.
"""

import contextlib
import gc
import threading
from typing import Any

from rushlight.locks import around_fork

__all__ = ["paused"]

_pausing: Any = None  # the thread that has collection wait


@contextlib.contextmanager
def paused():
    """No collection by itself within; decorates functions, too."""
    if not gc.isenabled():
        yield
        return
    global _pausing
    try:
        _pausing = threading.get_ident()
        gc.disable()
        yield
    finally:
        gc.enable()
        _pausing = None


def _resume():
    """In a forked child: another thread's pause is over."""
    if _pausing not in (None, threading.get_ident()):
        gc.enable()


around_fork(in_child=_resume)
