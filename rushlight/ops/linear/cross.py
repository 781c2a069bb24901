"""The cross product."""

import warnings

import numpy as np

from rushlight import shapes
from rushlight.autograd.tape import watch
from rushlight.errors import DimError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj
from rushlight.ops.linear.matmul import of_one_dtype, same_dtype

__all__ = ["cross"]


_check_dtypes = of_one_dtype("cross")
#: The elements in the order of the factors, for vectors of up to so many elements in all.
_NEXT, _AFTER, _FEW = np.array([1, 2, 0]), np.array([2, 0, 1]), 256


def _check(x, y, *, dim):
    _check_dtypes(x, y)
    return {"dim": dim}


@kernel(public=False, method=False, name="linalg_cross", prepare=_check)
def _cross(xp, x, y, *, dim):
    """The cross product along ``dim``, which is counted from the front."""
    if x.shape == y.shape and x.size <= _FEW:
        found = x.take(_NEXT, dim)
        found *= y.take(_AFTER, dim)
        minus = x.take(_AFTER, dim)
        minus *= y.take(_NEXT, dim)
        found -= minus
        return found
    before = (slice(None),) * dim
    (a, b, c), (d, e, f) = [[v[(*before, i)] for i in range(3)] for v in (x, y)]
    parts = ((b, f, c, e), (c, d, a, f), (a, e, b, d))
    shape = [*x.shape] if x.shape == y.shape else [*np.broadcast_shapes(x.shape, y.shape)]
    out = np.empty(shape, x.dtype)
    for i, (p, q, r, s) in enumerate(parts):
        np.subtract(p * q, r * s, out[(*before, i, ...)])
    return out


def _by_rolls(x, y, dim):
    return x.roll(-1, dim) * y.roll(-2, dim) - x.roll(-2, dim) * y.roll(-1, dim)


_cross.lower(_by_rolls)
_cross.grad(
    x=lambda g, y, dim: _cross(conj(y), g, dim=dim),
    y=lambda g, x, dim: _cross(g, conj(x), dim=dim),
)


@function
def cross(input, other, dim=None, *, out=None):
    """Return the cross product of vectors of 3 elements.

    Args:
        input: Tensor with size 3 in ``dim``.
        other: Tensor with as many dims as ``input``, and size 3 in ``dim``. The other dims are
            broadcast.
        dim: The dim that holds the vectors. Negative dims count from the end. Default: the first
            dim of ``input`` with size 3, with a warning.

    Returns:
        Tensor of the shape to which the operands are broadcast.

    Raises:
        RuntimeError: The numbers of dims differ, or ``dim`` does not have size 3 in both.

    >>> import rushlight as torch
    >>> torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])
    """
    x, y = tuple(input.shape), tuple(other.shape)
    if len(x) != len(y):
        raise ShapeError(
            f"cross: inputs must have the same number of dimensions, but got {x} and {y}"
        )
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated; give it", stacklevel=2
        )
        if 3 not in x:
            raise ShapeError(f"cross: no dimension of size 3 in input {x}")
        dim = x.index(3)
    if not x:
        raise DimError(f"cross: Dimension specified as {dim} but tensor has no dimensions")
    given, dim = dim, shapes.dim(dim, len(x), "cross")
    if x[dim] != 3 or y[dim] != 3:
        raise ShapeError(f"cross: inputs dimension {given} must have length 3. Got {x} and {y}")
    same_dtype("cross", input, other)
    if input.dtype.category < 2 or input.dtype.itemsize > 2:
        return _cross(input, other, dim=dim, out=out)
    found = _by_rolls(input, other, dim).contiguous()  # rounds each step to half precision
    watch(found, input if other.requires_grad else None, other if input.requires_grad else None)
    return found if out is None else store(out, found, "cross")
