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

_pausing: Any = None  # the thread that has collection wait, and the thresholds to return to


@contextlib.contextmanager
def paused():
    """No collection by itself within; decorates functions, too."""
    global _pausing
    thresholds = gc.get_threshold()
    if not thresholds[0]:  # it waits already
        yield
        return
    try:
        _pausing = threading.get_ident(), thresholds
        gc.set_threshold(0)  # and not gc.disable(): programs ask gc.isenabled()
        yield
    finally:
        gc.set_threshold(*thresholds)
        _pausing = None


def _resume():
    """In a forked child: another thread's pause is over."""
    global _pausing
    if _pausing is not None and _pausing[0] != threading.get_ident():
        gc.set_threshold(*_pausing[1])
        _pausing = None


around_fork(in_child=_resume)
