"""The functions of ``torch.sparse``."""

import numpy as np

import rushlight
from rushlight.errors import LayoutError
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.shapes import dims as dims_of
from rushlight.sparse.container import SparseTensor, coo, refuse
from rushlight.sparse.conversion import as_coo, as_layout, require_coo
from rushlight.sparse.matmul import add_to_product, matrix_product, sampled_sum
from rushlight.sparse.outputs import write_out
from rushlight.sparse.reductions import softmax as scaled
from rushlight.sparse.reductions import total
from rushlight.tensor import Tensor, from_array

__all__ = ["addmm", "log_softmax", "mm", "sampled_addmm", "softmax", "spdiags", "sum"]


def _enter(name, x):
    SparseTensor.refuse_trace(f"torch.sparse.{name}")
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}"
        )


def mm(mat1, mat2, reduce=None):
    """Multiply two matrices, of which at least one is sparse.

    The gradient of a sparse operand has the operand's own indices.

    Args:
        mat1: Tensor ``(n, k)``, of any layout.
        mat2: Tensor ``(k, m)``, of any layout and of the same dtype.
        reduce: What becomes of the products of a row: ``"sum"`` (default), ``"mean"``, ``"amax"``
            or ``"amin"``. The last three take the products with the elements that ``mat1``, in the
            layout CSR, stores; a row without any gives 0.

    Returns:
        Tensor ``(n, m)``: sparse if both operands are, else dense.

    Raises:
        RuntimeError: The shapes or the dtypes do not go together, or ``reduce`` is another one.

    >>> import rushlight as torch
    >>> x = torch.eye(2).to_sparse_csr()
    >>> torch.sparse.mm(x, torch.ones(2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    _enter("mm", mat1)
    if reduce not in (None, "sum"):
        return _reduced(mat1, mat2, {"max": "amax", "min": "amin"}.get(reduce, reduce))
    if not isinstance(mat1, SparseTensor) and not isinstance(mat2, SparseTensor):
        return rushlight.mm(mat1, mat2)
    return matrix_product("sparse.mm", mat1, mat2)


def _reduced(mat1, mat2, reduce):
    """Reduce the products of each row of ``mat1`` with a column of ``mat2``."""
    if reduce not in ("mean", "amax", "amin"):
        raise RuntimeError(f"sparse.mm: reduce type of {reduce} has not been enabled.")
    if not isinstance(mat1, SparseTensor) or mat1.layout is not rushlight.sparse_csr:
        raise LayoutError(f"sparse.mm: mat1 must be sparse CSR with reduce={reduce!r}")
    if isinstance(mat2, SparseTensor):
        raise LayoutError(f"sparse.mm: mat2 must be strided with reduce={reduce!r}")
    if mat1.dtype is not mat2.dtype or mat2.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            f"sparse.mm: mat1 {tuple(mat1.shape)} of {mat1.dtype} and mat2 {tuple(mat2.shape)} of "
            f"{mat2.dtype} do not go together"
        )
    counts = mat1.crow_indices().diff()
    rows = rushlight.arange(len(counts)).repeat_interleave(counts)
    products = mat1.values()[:, None] * mat2[mat1.col_indices()]
    found = products.new_zeros(mat1.shape[0], mat2.shape[1])
    rows = rows[:, None].expand_as(products)
    return found.scatter_reduce(0, rows, products, reduce, include_self=False)


def addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0, out=None):
    """Return ``beta * mat + alpha * (mat1 @ mat2)``, where ``mat1`` may be sparse.

    Args:
        mat: Tensor that broadcasts to ``(n, m)``.
        mat1: Tensor ``(n, k)``, of any layout.
        mat2: Tensor ``(k, m)``, of any layout and of the same dtype.
        beta, alpha: Factors of ``mat`` and of the product. Default: 1.
        out: The tensor to write into, of the result's layout. Default: a new one.

    Returns:
        Tensor ``(n, m)``: sparse if both operands of the product and ``mat`` are, else dense.

    Raises:
        RuntimeError: The shapes or the dtypes do not go together.

    >>> import rushlight as torch
    >>> torch.sparse.addmm(torch.ones(2, 2), torch.eye(2).to_sparse(), torch.ones(2, 2))
    tensor([[2., 2.],
            [2., 2.]])
    """
    _enter("addmm", mat)
    if not any(isinstance(x, SparseTensor) for x in (mat1, mat2)):
        return rushlight.addmm(mat, mat1, mat2, beta=beta, alpha=alpha, out=out)
    found = add_to_product("sparse.addmm", mat, mat1, mat2, beta, alpha)
    return found if out is None else write_out(out, found, "sparse.addmm")


def sampled_addmm(input, mat1, mat2, *, beta=1.0, alpha=1.0, out=None):
    """Return ``beta * input + alpha * (mat1 @ mat2)`` at the indices that ``input`` stores.

    Args:
        input: Sparse tensor ``(n, m)`` of layout ``torch.sparse_csr``.
        mat1: Dense tensor ``(n, k)``.
        mat2: Dense tensor ``(k, m)``.
        beta, alpha: Factors of ``input`` and of the product. Default: 1.
        out: The tensor to write into, of the result's layout. Default: a new one.

    Returns:
        Sparse tensor ``(n, m)`` with the indices of ``input``.

    Raises:
        RuntimeError: The shapes do not go together, or ``input`` has another layout.

    >>> import rushlight as torch
    >>> x = torch.eye(2).to_sparse_csr()
    >>> torch.sparse.sampled_addmm(x, torch.ones(2, 3), torch.ones(3, 2)).to_dense()
    tensor([[4., 0.],
            [0., 4.]])
    """
    _enter("sampled_addmm", input)
    if not input.is_sparse_csr:
        refuse("sampled_addmm", input)
    found = sampled_sum(input, mat1, mat2, beta, alpha)
    return found if out is None else write_out(out, found, "sparse.sampled_addmm")


def sum(input, dim=None, dtype=None):
    """Return the sum of a sparse tensor's elements over some dims.

    Args:
        input: Sparse tensor of layout ``torch.sparse_coo``.
        dim: The dim or dims to sum over. Default: all.
        dtype: Convert the elements to this dtype first. Default: keep their dtype.

    Returns:
        Sparse tensor of the dims that are left; dense if no sparse dim is left.

    Raises:
        RuntimeError: ``input`` has another layout.

    >>> import rushlight as torch
    >>> x = torch.sparse_coo_tensor([[0, 1], [2, 2]], [3.0, 4.0], (2, 3))
    >>> torch.sparse.sum(x), torch.sparse.sum(x, 0).to_dense()
    (tensor(7.), tensor([0., 0., 7.]))
    """
    _enter("sum", input)
    require_coo("coalesce", input)
    if dim is not None and dim != () and dim != []:
        found = total(as_coo(input).coalesce(), dims_of(dim, len(input.shape), "sum"), dtype=dtype)
        sparse = isinstance(found, SparseTensor)
        return found.to(input.dtype) if sparse and dtype is None else found
    return total(as_coo(input), dtype=dtype)


def softmax(input, dim, *, dtype=None):
    """Scale the exponentials of the stored elements along ``dim`` so that they sum to 1.

    An element that is not stored counts as minus infinity, and stays 0.

    Args:
        input: Sparse tensor of layout ``torch.sparse_coo``, floating point.
        dim: The dim along which the results sum to 1. Negative dims count from the end.
        dtype: Convert the elements to this dtype first. Default: keep their dtype.

    Returns:
        Sparse tensor of ``input``'s shape, coalesced.

    Raises:
        NotImplementedError: ``input`` is dense, of a compressed layout, or of ints.

    >>> import rushlight as torch
    >>> x = torch.sparse_coo_tensor([[0, 0], [0, 2]], [5.0, 5.0], (2, 3))
    >>> torch.sparse.softmax(x, 1).values()
    tensor([0.5000, 0.5000])
    """
    _enter("softmax", input)
    return scaled("softmax", input, dim, dtype, log=False)


def log_softmax(input, dim, *, dtype=None):
    """Return the logarithm of ``softmax`` at the stored elements.

    Args:
        input: Sparse tensor of layout ``torch.sparse_coo``, floating point.
        dim: The dim along which ``softmax`` sums to 1. Negative dims count from the end.
        dtype: Convert the elements to this dtype first. Default: keep their dtype.

    Returns:
        Sparse tensor of ``input``'s shape, coalesced.

    Raises:
        NotImplementedError: ``input`` is dense, of a compressed layout, or of ints.

    >>> import rushlight as torch
    >>> x = torch.sparse_coo_tensor([[0, 0], [0, 2]], [5.0, 5.0], (2, 3))
    >>> torch.sparse.log_softmax(x, 1).values()
    tensor([-0.6931, -0.6931])
    """
    _enter("log_softmax", input)
    return scaled("log_softmax", input, dim, dtype, log=True)


def spdiags(diagonals, offsets, shape, layout=None):
    """Make a sparse matrix from its diagonals.

    Element (i, i + offset) is ``diagonals[k, i + offset]`` for the ``k``-th offset.

    Args:
        diagonals: Tensor ``(k, n)``, or ``(n)`` for one diagonal.
        offsets: int64 tensor ``(k)``, all different: 0 is the main diagonal, positive ones lie
            above it.
        shape: The shape (rows, columns).
        layout: ``torch.sparse_coo`` (default), ``sparse_csr`` or ``sparse_csc``.

    Returns:
        Sparse tensor of ``shape``.

    Raises:
        RuntimeError: Shapes do not go together, or an offset occurs twice or is out of range.

    >>> import rushlight as torch
    >>> torch.sparse.spdiags(torch.ones(2, 3), torch.tensor([0, 1]), (3, 3)).to_dense()
    tensor([[1., 1., 0.],
            [0., 1., 1.],
            [0., 0., 1.]])
    """
    _enter("spdiags", diagonals)
    if diagonals.ndim == 1:
        diagonals = diagonals.unsqueeze(0)
    offsets = offsets.reshape(1) if not offsets.ndim else offsets
    if len(shape) != 2:
        raise RuntimeError(f"Output shape must be 2d: {tuple(shape)}")
    if diagonals.ndim != 2 or offsets.ndim != 1 or len(offsets) != len(diagonals):
        raise RuntimeError(
            f"spdiags: diagonals {tuple(diagonals.shape)} must be vector or matrix, with a row for "
            f"each of the offsets {tuple(offsets.shape)}"
        )
    if offsets.dtype is not rushlight.int64:
        raise RuntimeError(f"Offset Tensor must have dtype Long but got {offsets.dtype}")
    steps = offsets.tolist()
    if len({*steps}) < len(steps):
        raise RuntimeError("Offset tensor contains duplicate values")
    rows, columns = (int(n) for n in shape)
    kinds: tuple = (None, sparse_coo, rushlight.sparse_csr, rushlight.sparse_csc)
    if layout not in kinds:
        raise RuntimeError(
            f"Only output layouts (Sparse, SparseCsc, SparseCsr) are supported, got {layout}"
        )
    picked, at = [], []
    for k, step in enumerate(steps):
        if not -rows <= step <= columns:
            raise RuntimeError(
                f"spdiags: offset {step} is out of range for shape {(rows, columns)}"
            )
        # Column j lies in row j - step; the diagonal ends with its own last element.
        j = np.arange(max(0, step), min(columns, rows + step, diagonals.shape[1]))
        picked.append(np.stack([np.full(len(j), k), j]))
        at.append(np.stack([j - step, j]))
    which = np.concatenate([np.zeros((2, 0), np.int64), *picked], 1)
    values = diagonals[from_array(which[0]), from_array(which[1])]
    places = np.concatenate([np.zeros((2, 0), np.int64), *at], 1)
    found = coo(from_array(places), values, (rows, columns))
    return found if layout in (None, sparse_coo) else as_layout(found, layout)
