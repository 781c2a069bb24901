"""Numbers of a rule, which are tensors in a trace and where an option is one."""

import rushlight
from rushlight.tensor import Tensor

__all__ = ["in_dtype", "largest", "least"]


def in_dtype(x, dtype):
    """``x`` in ``dtype``, if it has one."""
    return x.to(dtype) if isinstance(x, Tensor) else x


def largest(x, y):
    """The larger of two numbers."""
    return _chosen(max, rushlight.maximum, x, y)


def least(x, y):
    """The smaller of two numbers."""
    return _chosen(min, rushlight.minimum, x, y)


def _chosen(plain, of_tensors, x, y):
    if not (isinstance(x, Tensor) or isinstance(y, Tensor)):
        return plain(x, y)
    dtype = (x if isinstance(x, Tensor) else y).dtype
    return of_tensors(*[rushlight.as_tensor(v, dtype=dtype) for v in (x, y)])
