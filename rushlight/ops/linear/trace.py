"""The trace of a matrix."""

import numpy as np

from rushlight.autograd.tape import renamed
from rushlight.backend.summation import summed
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays

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
    found = on_arrays(lambda x: summed(x.diagonal(), (0,)), input, most=np.inf)
    return renamed(input.diagonal().sum(), "TraceBackward0") if found is None else found
