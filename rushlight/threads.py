"""How many threads NumPy's matrix products use."""

__all__ = ["get_num_threads", "set_num_threads"]

_pools = None


def _blas():
    """The BLAS libraries of this process; empty where threadpoolctl can't steer them."""
    global _pools
    if _pools is None:
        import numpy  # noqa: F401  so that its library is loaded
        from threadpoolctl import (  # type: ignore[import-untyped]  # it has no types
            ThreadpoolController,
        )

        _pools = ThreadpoolController().select(user_api="blas")
    return _pools.lib_controllers


def get_num_threads():
    """The number of threads that matrix products may use.

    >>> import rushlight as torch
    >>> torch.get_num_threads() >= 1
    True
    """
    return max([library.get_num_threads() for library in _blas()], default=1)


def set_num_threads(n):
    """Let matrix products use ``n`` threads. The BLAS library may round differently for each ``n``.

    Raises:
        RuntimeError: ``n`` is not positive.
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}")
    for library in _blas():
        library.set_num_threads(n)
