"""The legacy types of sparse tensors, such as ``torch.sparse.FloatTensor``."""

import functools
import warnings

from rushlight.dtype import TENSOR_TYPES, int64
from rushlight.ops.create.legacy import TensorType
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.sparse.construction import sparse_coo_tensor
from rushlight.sparse.container import rule
from rushlight.tensor import Tensor

__all__ = ["SPARSE_TYPES"]


class SparseType(TensorType):
    """The metaclass of these types. Calls take indices, values and a size, or a size alone."""

    layout = sparse_coo
    is_sparse = True

    def __call__(cls, *args, device=None):
        made, given = _made(cls.dtype, args, device)
        _warn(given)
        return made


def _made(dtype, args, device):
    """Return a tensor of indices and values, or of a size, and what of these is given."""
    parts = [a for a in args[:2] if isinstance(a, Tensor)]
    if len(parts) == 2 and len(args) <= 3:
        if parts[0].dtype is not int64:
            raise RuntimeError("indices must be an int64 tensor")
        given = "indices, values, shape" if len(args) > 2 else "indices, values"
        return sparse_coo_tensor(*args, device=device), given
    if parts or not all(isinstance(n, (int, tuple)) for n in args):
        kinds = ", ".join([type(a).__name__ for a in args])
        raise TypeError(f"new() received an invalid combination of arguments - got ({kinds})")
    size = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args or (0,)
    return sparse_coo_tensor(size, dtype=dtype, device=device), "shape" if args else ""


@functools.cache
def _warn(arguments):
    warnings.warn(
        f"torch.sparse.SparseTensor({arguments}) is deprecated. Please use torch.sparse_coo_tensor",
        stacklevel=3,
    )


_NAMES = ("Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double")
#: Name → the legacy type.
SPARSE_TYPES = {
    f"{n}Tensor": SparseType(
        f"{n}Tensor",
        "torch.sparse",
        TENSOR_TYPES[f"torch.{n}Tensor"],
        "The legacy type of sparse tensors of one dtype.",
    )
    for n in _NAMES
}


@rule
def new(input, *args, device=None):
    """Return a sparse tensor of indices and values, or one of a size without elements."""
    return _made(input.dtype, args, device)[0]
