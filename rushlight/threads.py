"""Set the number of threads that matrix products and compiled programs use."""

import os
import sys

__all__ = ["available_cores", "get_num_threads", "set_num_threads"]

_pools = None
_count = None  # the number of threads, once it was set


def _blas():
    """Return the BLAS libraries of this process that threadpoolctl can control."""
    global _pools
    if _pools is None:
        import numpy  # noqa: F401  so that its library is loaded
        from threadpoolctl import (  # type: ignore[import-untyped]  # it has no types
            ThreadpoolController,
        )

        _pools = ThreadpoolController().select(user_api="blas")
    return _pools.lib_controllers


def available_cores():
    """Return the number of cores that this process may run on.

    Returns:
        An int, at least 1.

    >>> from rushlight.threads import available_cores
    >>> available_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads():
    """Return the number of threads that matrix products and compiled programs may use.

    At the start this is ``RUSHLIGHT_NUM_THREADS``, or else what the BLAS library uses.

    Returns:
        An int, at least 1.

    >>> import rushlight as torch
    >>> torch.get_num_threads() >= 1
    True
    """
    if _count is not None:
        return _count
    return max([library.get_num_threads() for library in _blas()], default=available_cores())


def set_num_threads(n):
    """Set the number of threads that matrix products and compiled programs may use.

    The results of compiled programs do not depend on ``n``. The BLAS library may round differently
    for each ``n``.

    Args:
        n: A positive int.

    Raises:
        RuntimeError: ``n`` is not a positive int.
        ValueError: ``n`` is 2**31 or more.

    >>> import rushlight as torch
    >>> n = torch.get_num_threads()
    >>> torch.set_num_threads(1)
    >>> torch.get_num_threads()
    1
    >>> torch.set_num_threads(n)
    """
    global _count
    if not isinstance(n, int) or isinstance(n, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if not 1 <= n < 2**31:
        error = RuntimeError if -(2**63) <= n < 1 else ValueError
        raise error(f"set_num_threads expects a positive integer below 2**31, but got {n}")
    for library in _blas():
        library.set_num_threads(n)
    _count = n
    native = sys.modules.get("rushlight.compiler.run.threads")  # None before a program has run
    if native is not None:
        native.resize(n)


def set_from_environment():
    """Take the number in ``RUSHLIGHT_NUM_THREADS``; anything but a positive number is ignored."""
    named = os.environ.get("RUSHLIGHT_NUM_THREADS", "")
    if named.isdecimal() and int(named) > 0:
        set_num_threads(int(named))
