"""Pause automatic garbage collection while a program is recorded and compiled.

The compiler makes tens of thousands of objects that refer to each other and live until it ends.
Collections during that time would search these objects, and all objects of the user's program,
again and again and find nothing to free.
"""

import contextlib
import gc
import threading
from typing import Any

from rushlight.locks import around_fork

__all__ = ["paused"]

_pausing: Any = None  # (id of the thread that pauses collection, the thresholds to restore)


@contextlib.contextmanager
def paused():
    """Let no automatic collection start inside the ``with`` block or the decorated function."""
    global _pausing
    thresholds = gc.get_threshold()
    if not thresholds[0]:  # collection is paused already
        yield
        return
    try:
        _pausing = threading.get_ident(), thresholds
        gc.set_threshold(0)  # gc.disable() would change the result of gc.isenabled()
        yield
    finally:
        gc.set_threshold(*thresholds)
        _pausing = None


def _resume():
    """End another thread's pause in a forked child, because that thread does not exist there."""
    global _pausing
    if _pausing is not None and _pausing[0] != threading.get_ident():
        gc.set_threshold(*_pausing[1])
        _pausing = None


around_fork(in_child=_resume)
