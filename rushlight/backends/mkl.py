"""Intel's MKL, which rushlight does not call."""

import contextlib

__all__ = ["VERBOSE_OFF", "VERBOSE_ON", "is_available", "verbose"]

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available():
    """False."""
    return False


def verbose(enable):
    """Context in which MKL would tell what it does: nothing is told."""
    return contextlib.nullcontext()
