"""The trace of a matrix."""

from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.definition import function

__all__ = ["trace"]


@function
@autocasts(SINGLE)
def trace(input):
    """Add the elements on the diagonal of a matrix.

    Args:
        input: Tensor ``(n, m)``.

    Returns:
        0-dim tensor; int64 for integers.

    Raises:
        RuntimeError: ``input`` is not 2-dim, or bool.

    >>> import rushlight as torch
    >>> torch.trace(torch.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input.dim() != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with dim {input.dim()}")
    if input.dtype.name == "bool":
        raise UnsupportedDtypeError("trace: not implemented for 'Bool'; convert with .int()")
    return input.diagonal().sum()
