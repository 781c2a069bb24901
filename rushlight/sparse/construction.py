"""Sparse tensors from their indices and values: ``sparse_coo_tensor``, ``sparse_csr_tensor``, …"""

from math import prod

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.device import require
from rushlight.docstrings import document
from rushlight.errors import ShapeError
from rushlight.ops.core.guard import guarded
from rushlight.ops.tensor.memory_format import (
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from rushlight.remote import is_remote
from rushlight.sparse.container import BLOCKED, BY_ROW, compressed, coo
from rushlight.tensor import Tensor, from_array

__all__ = [
    "sparse_bsc_tensor", "sparse_bsr_tensor", "sparse_compressed_tensor", "sparse_coo_tensor",
    "sparse_csc_tensor", "sparse_csr_tensor",
]  # fmt: skip


def _indices(data, name="indices"):
    t = data if isinstance(data, Tensor) else rushlight.tensor(data)
    return t.detach()


def _values(data, dtype, device):
    require(device)
    mode.refuse_in_trace("a sparse tensor is made, whose size depends on values")
    if not isinstance(data, Tensor):
        return rushlight.tensor(data, dtype=dtype, device=device)
    found = data if dtype is None else data.to(dtype)
    found = found if device is None else found.to(device)
    return found.view_as(found) if found.requires_grad else found.detach()


def _finished(x, requires_grad):
    if requires_grad and not x.requires_grad:
        if x.dtype.category < 2:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        x.requires_grad_()
    return x


# COO --------------------------------------------------------------------------------------


def sparse_coo_tensor(
    indices=None, values=None, size=None, *, dtype=None, device=None, pin_memory=False,
    requires_grad=False, check_invariants=None, is_coalesced=None,
):  # fmt: skip
    """Make a sparse tensor from the indices and the values of its elements (COO layout).

    An index may occur several times: its element is the sum of the values. The tensor shares the
    memory of ``indices`` and ``values`` if they are tensors, and belongs to the history of
    ``values``.

    Args:
        indices: Ints (sparse dims, nnz): the index of each value in the first dims. A size alone
            makes a tensor without values.
        values: The values (nnz, *dense dims).
        size: The shape of the tensor: sparse dims, then dense dims. Default: the smallest.
        dtype: The dtype of the values. Default: their own.
        device: None or the CPU.
        pin_memory: Accepted without effect.
        requires_grad: Record operations on the tensor, for gradients. Default: False.
        check_invariants: Accepted: indices are always checked.
        is_coalesced: The indices are sorted, and none occurs twice. Default: not known.

    Returns:
        Tensor of shape ``size`` and layout ``torch.sparse_coo``.

    Raises:
        RuntimeError: The shapes do not go together, an index is out of range, or the indices are
            not coalesced although ``is_coalesced`` is True.

    >>> import rushlight as torch
    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if values is None:
        size = indices if size is None else size
        if size is None:
            raise TypeError("sparse_coo_tensor() missing 1 required argument: 'size'")
        values, at = np.zeros(0), np.zeros((len(size), 0), np.int64)
        v = _values(rushlight.zeros(0, dtype=dtype), dtype, device)
        return _finished(coo(from_array(at), v, _size(size), True), requires_grad)
    v = _values(values, dtype, device)
    if not v.ndim:
        v = v.reshape(1)
    t = _indices(indices)
    t = t.cpu() if is_remote(t) else t  # places lie on the host
    at = t._array if t._array.dtype == np.int64 else t._array.astype(np.int64)
    if at.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(at.shape)}")
    if at.shape[1] != v.shape[0]:
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{at.shape[1]}, nnz from values: {v.shape[0]}"
        )
    size = _fitting(at, v, size)
    kept = t if at is t._array else from_array(at)
    found = coo(kept, v, size, _merged(at, size, is_coalesced))
    return _finished(found, requires_grad)


def _size(size):
    size = tuple([int(n) for n in size])
    if prod(size) >= 2**63:
        raise RuntimeError(f"numel: integer multiplication overflow: {size} are too many elements")
    return size


def _fitting(at, v, size):
    """Return the shape of the tensor with the indices ``at`` and the values ``v``, checked."""
    if at.size and at.min() < 0:
        dim, k = np.argwhere(at < 0)[0]
        raise RuntimeError(f"found negative index {at[dim, k]} for dim {dim}")
    d, dense = len(at), tuple(v.shape[1:])
    if size is None:
        if not at.shape[1]:
            return (*[0] * d, *dense)
        return _size((*[n + 1 for n in at.max(1)], *dense))
    size = _size(size)
    if len(size) != d + len(dense):
        raise ShapeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = "
            f"{len(size)}, sparse_dim = {d}, dense_dim = {len(dense)}"
        )
    if size[d:] != dense:
        raise ShapeError(
            f"values has incorrect size, expected {[at.shape[1], *size[d:]]}, got {list(v.shape)}"
        )
    for dim, row in enumerate(at):
        if row.size and row.max() >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found "
                f"index {row.max()}"
            )
    return size


def _merged(at, size, claimed):
    """Return whether the indices count as coalesced: only if the caller says so."""
    if not claimed:
        return False
    if at.shape[1] > 1:
        keys = np.ravel_multi_index(tuple(at), size[: len(at)]) if len(at) else np.zeros(2)
        if not (np.diff(keys) > 0).all():
            raise RuntimeError(
                "cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor"
            )
    return True


# Compressed -------------------------------------------------------------------------------


def sparse_compressed_tensor(
    compressed_indices, plain_indices, values, size=None, *, dtype=None, layout=None, device=None,
    pin_memory=False, requires_grad=False, check_invariants=None,
):  # fmt: skip
    """Make a sparse matrix, or a batch of them, in a layout that compresses the rows or columns.

    Args:
        compressed_indices: Ints (*batch, rows + 1), or columns + 1: where each row, or column,
            begins among the values.
        plain_indices: Ints (*batch, nnz): the column, or row, of each value.
        values: The values (*batch, nnz); blocks (*batch, nnz, rows, columns) for ``sparse_bsr``
            and ``sparse_bsc``.
        size: The shape (*batch, rows, columns). Default: the smallest.
        dtype: The dtype of the values. Default: their own.
        layout: ``torch.sparse_csr``, ``sparse_csc``, ``sparse_bsr`` or ``sparse_bsc``.
        device: None or the CPU.
        pin_memory: Accepted without effect.
        requires_grad: Record operations on the tensor, for gradients. Default: False.
        check_invariants: Accepted: indices are always checked.

    Returns:
        Tensor of shape ``size`` and of the layout.

    Raises:
        RuntimeError: The shapes do not go together, or an index is out of range.

    >>> import rushlight as torch
    >>> x = torch.sparse_compressed_tensor([0, 1, 2], [2, 0], [3.0, 4.0], layout=torch.sparse_csr)
    >>> x.to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if layout is None or layout is sparse_coo or not repr(layout).startswith("torch.sparse"):
        raise RuntimeError(
            "sparse_compressed_tensor expected sparse compressed tensor layout but got "
            f"{'none' if layout is None else layout}"
        )
    name = layout.name
    v = _values(values, dtype, device)
    starts, inner = _indices(compressed_indices), _indices(plain_indices)
    if starts.dtype is not inner.dtype or starts.dtype.name not in ("int32", "int64"):
        raise RuntimeError(
            f"{name}: compressed and plain indices must be both int32 or both int64, but are "
            f"{starts.dtype} and {inner.dtype}"
        )
    block = (1, 1)
    if layout in BLOCKED:
        if v.ndim < starts.ndim + 2:
            raise ShapeError(f"{name}: values {tuple(v.shape)} must hold blocks of two dims")
        block = tuple(v.shape[starts.ndim : starts.ndim + 2])
    size = _matrix_size(layout, starts, inner, v, size, block)
    _check_compressed(name, layout, starts._array, inner._array, v, size, block)
    return _finished(compressed(layout, (starts, inner), v, size), requires_grad)


def _matrix_size(layout, starts, inner, v, size, block):
    if size is not None:
        return _size(size)
    outer = starts.shape[-1] - 1
    across = int(inner._array.max()) + 1 if inner.numel() else 0
    rows, columns = (outer, across) if layout in BY_ROW else (across, outer)
    dense = v.shape[starts.ndim + (2 if layout in BLOCKED else 0) :]
    return (*starts.shape[:-1], rows * block[0], columns * block[1], *dense)


def _check_compressed(name, layout, starts, inner, v, size, block):
    batch = starts.ndim - 1
    by_row = layout in BY_ROW
    outer, across = ("crow", "col") if by_row else ("ccol", "row")
    if len(size) < batch + 2:
        raise ShapeError(f"{name}: size {size} must have at least {batch + 2} dims")
    rows, columns = (n // b for n, b in zip(size[batch : batch + 2], block, strict=True))
    n, m = (rows, columns) if by_row else (columns, rows)
    if starts.shape[-1] != n + 1:
        raise RuntimeError(
            f"{outer}_indices.shape[-1] must be equal to the number of "
            f"{'rows' if by_row else 'cols'} + 1 = {n + 1}, but got {starts.shape[-1]}"
        )
    nnz = inner.shape[-1]
    if tuple(v.shape[: batch + 1]) != inner.shape or inner.shape[:-1] != starts.shape[:-1]:
        raise RuntimeError(
            f"{name}: values {tuple(v.shape)}, {across}_indices {inner.shape} and {outer}_indices "
            f"{starts.shape} must have one number of values in each batch"
        )
    if any(size[batch + i] % b for i, b in enumerate(block)):
        raise RuntimeError(f"{name}: size {size} must be divisible by the blocks {block}")
    if (starts[..., 0] != 0).any():
        raise RuntimeError(f"`{outer}_indices[..., 0] == 0` is not satisfied.")
    if (starts[..., -1] != nnz).any():
        raise RuntimeError(f"`{outer}_indices[..., -1] == nnz` is not satisfied.")
    steps = np.diff(starts, axis=-1)
    if (steps < 0).any() or (steps > m).any():
        raise RuntimeError(
            f"`0 <= {outer}_indices[..., 1:] - {outer}_indices[..., :-1] <= "
            f"{'ncols' if by_row else 'nrows'}` is not satisfied."
        )
    if inner.size and (inner.min() < 0 or inner.max() >= m):
        raise RuntimeError(
            f"`0 <= {across}_indices < {'ncols' if by_row else 'nrows'}` is not satisfied."
        )
    if not nnz:
        return
    for s, row in zip(starts.reshape(-1, n + 1), inner.reshape(-1, nnz), strict=True):
        owner = np.repeat(np.arange(n), np.diff(s))
        if nnz > 1 and ((np.diff(row) <= 0) & (np.diff(owner) == 0)).any():
            raise RuntimeError(
                f"`{across}_indices[..., {outer}_indices[..., i - 1]:{outer}_indices[..., i]] for "
                f"all i = 1, ..., {n} are sorted and distinct along the last dimension values` is "
                "not satisfied."
            )


def _constructor(layout, outer, across, words):
    name = f"{layout.name}_tensor"

    def make(
        compressed_indices, plain_indices, values, size=None, *, dtype=None, device=None,
        pin_memory=False, requires_grad=False, check_invariants=None,
    ):  # fmt: skip
        return sparse_compressed_tensor(
            compressed_indices, plain_indices, values, size, dtype=dtype, layout=layout,
            device=device, pin_memory=pin_memory, requires_grad=requires_grad,
        )  # fmt: skip

    def renamed(*args, **named):
        for public, own in (outer, "compressed_indices"), (across, "plain_indices"):
            if public in named:
                named[own] = named.pop(public)
        return make(*args, **named)

    renamed.__name__ = renamed.__qualname__ = name
    renamed.__module__ = __name__
    blocks = ", rows, columns" if layout in BLOCKED else ""
    values = "[[[3.0]], [[4.0]]]" if blocks else "[3.0, 4.0]"
    starts, at = "[0, 1, 2]", "[1, 0]"
    renamed.__doc__ = f"""Make a sparse matrix, or a batch of them, {words}.

    Args:
        {outer}: Ints (*batch, n + 1): where each of them begins among the values.
        {across}: Ints (*batch, nnz): the place of each value in it.
        values: The values (*batch, nnz{blocks}).
        size: The shape (*batch, rows, columns). Default: the smallest.
        dtype, device, pin_memory, requires_grad, check_invariants: As in
            ``sparse_compressed_tensor``.

    Returns:
        Tensor of layout ``torch.{layout.name}``.

    Raises:
        RuntimeError: The shapes do not go together, or an index is out of range.

    >>> import rushlight as torch
    >>> torch.{name}({starts}, {at}, {values})._nnz()
    2
    """
    return document(renamed)


sparse_csr_tensor = _constructor(
    sparse_csr, "crow_indices", "col_indices", "whose rows are compressed (CSR layout)"
)
sparse_csc_tensor = _constructor(
    sparse_csc, "ccol_indices", "row_indices", "whose columns are compressed (CSC layout)"
)
sparse_bsr_tensor = _constructor(
    sparse_bsr, "crow_indices", "col_indices", "whose rows of blocks are compressed (BSR layout)"
)
sparse_bsc_tensor = _constructor(
    sparse_bsc, "ccol_indices", "row_indices", "whose columns of blocks are compressed (BSC layout)"
)

for _name in __all__:  # classes and modes may take these functions over
    globals()[_name] = guarded(globals()[_name], _name, strict=False)
