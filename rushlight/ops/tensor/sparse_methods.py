"""Methods of dense tensors about sparse layouts: conversions, masks, and refusals."""

import importlib

from rushlight import late
from rushlight.autograd import mode
from rushlight.ops.tensor.memory_format import (
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from rushlight.tensor import Tensor, method

__all__: list[str] = []  # everything here is bound to Tensor


def _conversion():
    importlib.import_module("rushlight.sparse")  # binds the rules
    return importlib.import_module("rushlight.sparse.conversion")


def _convert(x, name, layout, sparse_dim=None, blocksize=None, dense_dim=None):
    mode.refuse_in_trace(f"{name} has a result whose size depends on values")
    if isinstance(sparse_dim, type(late.strided)):
        sparse_dim, layout = None, sparse_dim
    blocksize = (blocksize, blocksize) if isinstance(blocksize, int) else blocksize
    return _conversion().dense_to_sparse(x, sparse_dim, layout, blocksize, dense_dim)


@method
def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """Convert the tensor to a sparse layout, which stores the elements that are not 0.

    Args:
        sparse_dim: The number of the first dims that get indices; the others stay dense. Default:
            all dims.
        layout: ``torch.sparse_coo`` (default), ``sparse_csr``, ``sparse_csc``, ``sparse_bsr`` or
            ``sparse_bsc``.
        blocksize: The size (rows, columns) of the blocks of ``sparse_bsr`` and ``sparse_bsc``.
        dense_dim: The number of the last dims that stay dense in a compressed layout. Default: 0.

    Returns:
        Tensor of this tensor's shape.

    Raises:
        RuntimeError: ``sparse_dim`` is out of range, or the layout is not for this shape.

    >>> import rushlight as torch
    >>> torch.eye(2).to_sparse().indices()
    tensor([[0, 1],
            [0, 1]])
    """
    return _convert(self, "to_sparse", layout, sparse_dim, blocksize, dense_dim)


def _converter(layout):
    name = f"to_{layout.name}"
    blocked = layout in (sparse_bsr, sparse_bsc)

    def plain(self, dense_dim=None):
        return _convert(self, name, layout, dense_dim=dense_dim)

    def blocks(self, blocksize, dense_dim=None):
        return _convert(self, name, layout, blocksize=blocksize, dense_dim=dense_dim)

    call = blocks if blocked else plain
    call.__name__ = call.__qualname__ = name
    extra = "\n        blocksize: The size (rows, columns) of the blocks.\n" if blocked else "\n"
    call.__doc__ = f"""Convert the tensor to the layout ``torch.{layout.name}``.

    Args:{extra.rstrip()}
        dense_dim: The number of the last dims that stay dense. Default: 0.

    Returns:
        Tensor of this tensor's shape.

    >>> import rushlight as torch
    >>> torch.eye(2).{name}({"(1, 1)" if blocked else ""}).layout
    torch.{layout.name}
    """
    method(call)


for _layout in (sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc):
    _converter(_layout)


@method
def sparse_mask(self, mask):
    """Return the elements at the indices that a sparse tensor stores.

    Args:
        mask: Sparse tensor of this tensor's shape. Its values have no effect.

    Returns:
        Sparse tensor with the indices and the layout of ``mask``.

    Raises:
        RuntimeError: The shapes differ, or ``mask`` is dense.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse()).to_dense()
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _conversion().mask(self, mask)


@method
def sparse_dim(self):
    """Return the number of dims that have indices: 0 for a dense tensor.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.eye(2).sparse_dim(), torch.eye(2).to_sparse().sparse_dim()
    (0, 2)
    """
    return 0


@method
def dense_dim(self):
    """Return the number of dims that are stored densely: all dims of a dense tensor.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.eye(2).dense_dim(), torch.eye(2).to_sparse(1).dense_dim()
    (2, 1)
    """
    return self.ndim


def _refusing(name, kind, summary, example):
    def refuse(self, *args, **named):
        raise RuntimeError(f"{name} expected {kind} layout but got Strided")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"""{summary}

    Returns:
        {example[0]}

    Raises:
        RuntimeError: The tensor has another layout.

    >>> import rushlight as torch
    >>> {example[1]}
    {example[2]}
    """
    setattr(Tensor, name, refuse)


_COO, _ROWS, _COLUMNS = (
    "sparse coordinate tensor", "sparse row compressed tensor", "sparse column compressed tensor",
)  # fmt: skip
_X = "torch.sparse_coo_tensor([[1]], [5])"
_CSR, _CSC = (
    "torch.sparse_csr_tensor([0, 1], [0], [5])",
    "torch.sparse_csc_tensor([0, 1], [0], [5])",
)
_refusing(
    "coalesce",
    _COO,
    "Sort the indices, and add the values of equal ones.",
    ("Tensor that is coalesced; this one if it is.", f"{_X}.coalesce().values()", "tensor([5])"),
)
_refusing(
    "is_coalesced",
    _COO,
    "Tell whether the indices are sorted, and all different.",
    ("A bool.", f"{_X}.is_coalesced()", "True"),
)
_refusing(
    "indices",
    _COO,
    "Return the indices of a coalesced tensor.",
    ("int64 tensor (sparse dims, nnz).", f"{_X}.indices()", "tensor([[1]])"),
)
_refusing(
    "_indices",
    _COO,
    "Return the indices.",
    ("int64 tensor (sparse dims, nnz).", f"{_X}._indices()", "tensor([[1]])"),
)
_refusing(
    "values",
    "sparse tensor",
    "Return the values of a coalesced tensor.",
    ("Tensor (nnz, *dense dims), which shares its memory.", f"{_X}.values()", "tensor([5])"),
)
_refusing(
    "_values",
    "sparse tensor",
    "Return the values, without history.",
    ("Tensor (nnz, *dense dims), which shares its memory.", f"{_X}._values()", "tensor([5])"),
)
_refusing("_nnz", "sparse tensor", "Return the number of values.", ("An int.", f"{_X}._nnz()", "1"))
_refusing(
    "crow_indices",
    _ROWS,
    "Return where each row begins among the values.",
    ("Tensor of ints (rows + 1).", f"{_CSR}.crow_indices()", "tensor([0, 1])"),
)
_refusing(
    "col_indices",
    _ROWS,
    "Return the column of each value.",
    ("Tensor of ints (nnz).", f"{_CSR}.col_indices()", "tensor([0])"),
)
_refusing(
    "ccol_indices",
    _COLUMNS,
    "Return where each column begins among the values.",
    ("Tensor of ints (columns + 1).", f"{_CSC}.ccol_indices()", "tensor([0, 1])"),
)
_refusing(
    "row_indices",
    _COLUMNS,
    "Return the row of each value.",
    ("Tensor of ints (nnz).", f"{_CSC}.row_indices()", "tensor([0])"),
)
_refusing(
    "_coalesced_",
    _COO,
    "Note whether the indices count as coalesced.",
    ("This tensor.", f"{_X}._coalesced_(True).is_coalesced()", "True"),
)
_refusing("smm", _COO, "Multiply this sparse matrix by a dense one; the result is sparse.",
          ("Sparse tensor (n, m).", "torch.eye(1).to_sparse().smm(torch.ones(1, 1)).values()",
           "tensor([1.])"))  # fmt: skip
_refusing("sspaddmm", _COO, "Add the product of a sparse and a dense matrix to this sparse one.",
          ("Sparse tensor (n, m).",
           "x = torch.eye(1).to_sparse(); x.sspaddmm(x, torch.ones(1, 1)).to_dense()",
           "tensor([[2.]])"))  # fmt: skip
for _name in ("sparse_resize_", "sparse_resize_and_clear_"):
    _refusing(_name, _COO, "Change the size of a tensor of layout ``torch.sparse_coo`` in place.",
              ("This tensor.", f"{_X}.{_name}((3,), 1, 0).shape", "torch.Size([3])"))  # fmt: skip
_refusing("resize_as_sparse_", _COO, "Change the size to that of another sparse tensor, in place.",
          ("This tensor.", f"{_X}.resize_as_sparse_(torch.ones(3).to_sparse()).shape",
           "torch.Size([3])"))  # fmt: skip
