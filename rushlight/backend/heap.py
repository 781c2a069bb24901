"""How much freed memory the process keeps for the next results.

By default the C library of Linux returns large freed blocks to the system. A result of that size
then gets new pages, and the first write to each page costs more than the computation: a chain of
additions of a million elements took up to ten times as long. So the C library is told to keep some
of what is freed. It does so in its own heap, which is safe in threads, in forked processes and in
handlers of signals.
"""

import ctypes
import os

__all__ = ["keep_freed_memory"]

#: glibc keeps at most this many bytes of freed memory at the end of its heap.
KEPT = 128 << 20
#: Blocks above this size always come from the system and return to it. glibc allows no more.
LARGEST = 32 << 20

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")


def keep_freed_memory():
    """Tell glibc to keep freed memory for the next results.

    Environment variables of glibc about the same (``MALLOC_TRIM_THRESHOLD_`` and its like) take
    precedence. Other C libraries have no such setting.
    """
    if any(name in os.environ for name in _SETTINGS) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows
        return
    # glibc stops to adapt both limits once one of them is set, so both are set or none is.
    if mallopt(_M_MMAP_THRESHOLD, LARGEST):
        mallopt(_M_TRIM_THRESHOLD, KEPT)
