"""Garbage collection waits while a program is recorded and compiled.

Tens of thousands of objects are made then, which refer to each other and live until the end: to
look through them again and again, and through all that the user's program holds, finds nothing.
"""

import contextlib
import gc

__all__ = ["paused"]


@contextlib.contextmanager
def paused():
    """No collection by itself within; decorates functions, too."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
