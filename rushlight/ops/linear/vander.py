"""Vandermonde matrices: columns of powers."""

import numpy as np

from rushlight.backend import numpy as xp
from rushlight.dtype import int64
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.reduce.product import cumprod_
from rushlight.ops.shape.join import cat

__all__ = ["powers", "vander"]


def powers(x, n):
    """Return the powers 0 to ``n`` - 1 of each element of ``x`` in a new last dim.

    Each power is the one before times the element.
    """
    if x.dtype.category < 2:
        x = x.to(int64)
    found = on_arrays(lambda a: _powers_of_array(a, n), x) if n > 1 else None
    if found is not None:
        return found
    ones = x.new_ones((*x.shape, min(n, 1)))
    if n < 2:
        return ones
    rest = x.unsqueeze(-1).expand((*x.shape, n - 1)).cumprod(-1)
    return cat([ones, rest], -1)


def _powers_of_array(x, n):
    found = np.empty((*x.shape, n), x.dtype)
    found[..., 0] = 1
    found[..., 1:] = x[..., None]
    rest = found[..., 1:]
    rest[...] = cumprod_.op.forward(xp, rest, dim=x.ndim)
    return found


@function(method=False, kinds={"N": "int"})
def vander(x, N=None, increasing=False):
    """Return the Vandermonde matrix: each row has the powers of an element of ``x``.

    Args:
        x: Tensor ``(n,)``.
        N: The number of columns. Default: n.
        increasing: Sort the powers from 0 to N - 1. Default: False, from N - 1 to 0.

    Returns:
        Tensor ``(n, N)``; int64 for integers and bools.

    Raises:
        RuntimeError: ``x`` is not 1-dim, or N is negative.

    >>> import rushlight as torch
    >>> torch.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.dim() != 1:
        raise ShapeError(f"vander: x must be a one-dimensional tensor, got {tuple(x.shape)}")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError(f"vander: N must be non-negative, got {n}")
    found = powers(x, n)
    return found if increasing or n < 2 else found.flip(-1)
