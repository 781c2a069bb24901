"""Functions on the scalars of an update rule.

A scalar is a tensor in a trace, or if an option is a tensor. Otherwise it is a Python number.
"""

import rushlight
from rushlight.tensor import Tensor

__all__ = ["in_dtype", "largest", "least"]


def in_dtype(x, dtype):
    """Convert ``x`` to ``dtype`` if it is a tensor; return a number as it is."""
    return x.to(dtype) if isinstance(x, Tensor) else x


def largest(x, y):
    """Return the larger of two scalars."""
    return _chosen(max, rushlight.maximum, x, y)


def least(x, y):
    """Return the smaller of two scalars."""
    return _chosen(min, rushlight.minimum, x, y)


def _chosen(plain, of_tensors, x, y):
    if not (isinstance(x, Tensor) or isinstance(y, Tensor)):
        return plain(x, y)
    dtype = (x if isinstance(x, Tensor) else y).dtype
    return of_tensors(*[rushlight.as_tensor(v, dtype=dtype) for v in (x, y)])
