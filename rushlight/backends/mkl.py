"""Intel's MKL, which rushlight does not call."""

import contextlib

__all__ = ["VERBOSE_OFF", "VERBOSE_ON", "is_available", "verbose"]

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available():
    """Return whether rushlight uses Intel's MKL.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mkl.is_available()
    False
    """
    return False


def verbose(enable):
    """Return a context in which MKL would tell what it does; nothing is told.

    Args:
        enable: Accepted without effect.

    Returns:
        Context manager that does nothing.

    >>> import rushlight as torch
    >>> with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
    ...     pass
    """
    return contextlib.nullcontext()
