"""``torch.sparse``: functions of sparse tensors.

>>> import rushlight as torch
>>> x = torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
>>> torch.sparse.mm(x, torch.ones(3, 2))
tensor([[3., 3.],
        [4., 4.]])
"""

# The modules of the rules bind them to SparseTensor.
from rushlight.sparse import arithmetic as arithmetic
from rushlight.sparse import container
from rushlight.sparse import conversion as conversion
from rushlight.sparse import copying as copying
from rushlight.sparse import low_rank as low_rank
from rushlight.sparse import parts as parts
from rushlight.sparse import shape as shape
from rushlight.sparse import sizes as sizes
from rushlight.sparse.functions import addmm, log_softmax, mm, sampled_addmm, softmax, spdiags, sum
from rushlight.sparse.gradients import as_sparse_gradcheck
from rushlight.sparse.invariants import check_sparse_tensor_invariants
from rushlight.sparse.legacy_types import SPARSE_TYPES
from rushlight.sparse.systems import spsolve

__all__ = [
    "addmm", "as_sparse_gradcheck", "check_sparse_tensor_invariants", "log_softmax", "mm",
    "sampled_addmm", "softmax", "spdiags", "spsolve", "sum",
]  # fmt: skip


def __getattr__(name):
    if name not in SPARSE_TYPES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return SPARSE_TYPES[name]


container.bind_in_place()
