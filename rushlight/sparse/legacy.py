"""PyTorch's first constructors of sparse tensors: ``torch.sparse.FloatTensor``, …"""

import rushlight
from rushlight.dtype import TENSOR_TYPES
from rushlight.ops.create.legacy import TensorType
from rushlight.sparse.construction import sparse_coo_tensor
from rushlight.sparse.container import SparseTensor
from rushlight.tensor import Tensor

__all__: list[str] = []


class SparseType(TensorType):
    """The metaclass of the legacy types of sparse tensors, each for one dtype."""

    def __instancecheck__(cls, instance):
        sparse = isinstance(instance, SparseTensor) and instance.layout is rushlight.sparse_coo
        return sparse and instance.dtype is cls.dtype

    def __call__(cls, *args, device=None):
        if len(args) in (2, 3) and all(isinstance(x, Tensor) for x in args[:2]):
            return sparse_coo_tensor(*args, device=device)  # the values keep their dtype
        if any(isinstance(x, Tensor) for x in args):
            given = ", ".join([type(x).__name__ for x in args])
            raise TypeError(f"new() received an invalid combination of arguments - got ({given})")
        sizes = args or (0,)
        sizes = tuple(sizes[0]) if isinstance(sizes[0], (tuple, list)) else sizes
        indices = rushlight.zeros(len(sizes), 0, dtype=rushlight.int64)
        values = rushlight.zeros(0, dtype=cls.dtype)
        return sparse_coo_tensor(indices, values, sizes, device=device, is_coalesced=True)


def _type(short, dtype):
    text = f"""The legacy type of sparse {dtype} tensors: use ``torch.sparse_coo_tensor``.

    Args:
        *args: Indices, values, and, if wanted, a size; or sizes alone. Default: the size 0.
        device: None or the CPU.

    >>> import rushlight as torch
    >>> torch.sparse.{short}(2, 3).shape
    torch.Size([2, 3])
    """
    facts = {
        "dtype": dtype, "layout": rushlight.sparse_coo, "is_cuda": False, "is_sparse": True,
        "__module__": "torch.sparse", "__doc__": text,
    }  # fmt: skip
    return SparseType(short, (), facts)


_SHORT = ("Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double")
TYPES = {
    f"{name}Tensor": _type(f"{name}Tensor", TENSOR_TYPES[f"torch.{name}Tensor"]) for name in _SHORT
}
