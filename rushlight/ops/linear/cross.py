"""The cross product."""

import warnings

from rushlight import shapes
from rushlight.autograd.tape import watch
from rushlight.errors import DimError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import store

__all__ = ["cross"]


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
    dim = shapes.dim(dim, len(x), "cross")
    if x[dim] != 3 or y[dim] != 3:
        raise ShapeError(f"cross: inputs dimension {dim} must have length 3. Got {x} and {y}")
    found = input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)
    found = found.contiguous()
    watch(found, input if other.requires_grad else None, other if input.requires_grad else None)
    return found if out is None else store(out, found, "cross")
