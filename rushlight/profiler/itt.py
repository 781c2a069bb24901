"""torch.profiler.itt: marks for Intel's profilers, which rushlight has no interface to."""

import contextlib

__all__ = ["is_available", "mark", "range", "range_pop", "range_push"]


def is_available():
    """Return False: there are no functions for Intel's profilers.

    >>> import rushlight as torch
    >>> torch.profiler.itt.is_available()
    False
    """
    return False


def _refuse(*args, **kwargs):
    raise RuntimeError("ITT functions not installed: rushlight has no torch.profiler.itt")


mark = range_pop = range_push = _refuse


@contextlib.contextmanager
def range(msg, *args, **kwargs):
    """A context, or a decorator, around code that the profiler shows: an error when it begins."""
    _refuse()
    yield
