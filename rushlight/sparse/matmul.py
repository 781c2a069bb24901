"""``mm``, ``matmul``, ``addmm`` and their like with sparse operands."""

import numpy as np

import rushlight
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.tensor.memory_format import sparse_coo, sparse_csc, sparse_csr
from rushlight.sparse.container import SparseTensor, coo, operand, refuse, rule
from rushlight.sparse.conversion import (
    as_coo,
    as_layout,
    coordinates,
    count,
    mask,
    places,
    require_coo,
)
from rushlight.sparse.products import product, sampled
from rushlight.sparse.shape import joined_rows, t
from rushlight.tensor import from_array

__all__ = ["add_to_product", "as_coo_entries", "matrix_product", "sampled_sum"]


def _check_dtypes(name, x, y):
    if x.dtype is not y.dtype:
        raise DtypeError(
            f"{name}: expected both operands to have one dtype, but got {x.dtype} and {y.dtype}"
        )


def _check_matrix(name, x, dims=2):
    if len(x.shape) != dims:
        raise ShapeError(f"{name}: expected a tensor with {dims} dims, but got {tuple(x.shape)}")
    if isinstance(x, SparseTensor) and len(x.stored.shape) > 1 and x.form in (
        sparse_coo, sparse_csr, sparse_csc
    ):  # fmt: skip
        refuse(f"{name} of a matrix with dense dims", x)


def _times_dense(x, y, name):
    """The dense product of the COO matrix ``x`` and the dense matrix ``y``."""
    if x.sizes[1] != y.shape[0]:
        raise ShapeError(
            f"{name}: Argument #3 (dense): Expected dim 0 size {x.sizes[1]}, got {y.shape[0]}: the "
            f"operands are {x.sizes} and {tuple(y.shape)}"
        )
    _check_dtypes(name, x, y)
    rows, columns = places(x.pattern[0])
    return product(x.stored, y, rows, columns, size=x.sizes)


def _times_sparse(x, y, name):
    """The COO product of two COO matrices."""
    if x.sizes[1] != y.sizes[0]:
        raise ShapeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({x.sizes[0]}x{x.sizes[1]} and "
            f"{y.sizes[0]}x{y.sizes[1]})"
        )
    _check_dtypes(name, x, y)
    x, y = x.coalesce(), y.coalesce()
    i, k = joined_rows(coordinates(x)[1], coordinates(y)[0])
    values = x.stored[from_array(i)] * y.stored[from_array(k)]
    indices = np.stack([coordinates(x)[0][i], coordinates(y)[1][k]])
    return coo(from_array(indices), values, (x.sizes[0], y.sizes[1])).coalesce()


def matrix_product(name, x, y):
    """Return the product of two matrices: sparse if both are, else dense."""
    x, y = operand(x), operand(y)
    _check_matrix(name, x)
    _check_matrix(name, y)
    if isinstance(x, SparseTensor) and isinstance(y, SparseTensor):
        found = _times_sparse(as_coo(x), as_coo(y), name)
        return found if x.form is sparse_coo else as_layout(found, sparse_csr)
    if isinstance(x, SparseTensor):
        return _times_dense(as_coo(x), y, name)
    if not isinstance(y, SparseTensor):
        raise RuntimeError(f"{name}: expected strided operands to have a strided input, too")
    if x.shape[1] != y.sizes[0]:
        raise ShapeError(
            f"{name}: mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and "
            f"{y.sizes[0]}x{y.sizes[1]})"
        )
    return _times_dense(t(as_coo(y)), x.t(), name).t()


@rule
def mm(input, mat2):
    return matrix_product("mm", input, mat2)


@rule
def mv(input, vec):
    if len(input.shape) != 2 or len(vec.shape) != 1 or input.shape[-1] != vec.shape[-1]:
        raise ShapeError(
            "mv: expected self.size(-1) == vec.size(-1), but the operands are "
            f"{tuple(input.shape)} and {tuple(vec.shape)}"
        )
    if isinstance(input, SparseTensor) and isinstance(vec, SparseTensor):
        refuse("mv of two sparse operands", vec)
    return matrix_product("mv", input, vec.unsqueeze(1)).squeeze(1)


@rule
def bmm(input, mat2):
    x, y = operand(input), operand(mat2)
    if isinstance(y, SparseTensor):
        refuse("bmm with a sparse second operand", y)
    _check_matrix("bmm", x, 3)
    if x.form is not sparse_coo or count(x) != 3:
        refuse("bmm", x)
    if len(y.shape) != 3 or y.shape[0] != x.sizes[0] or y.shape[1] != x.sizes[2]:
        raise ShapeError(f"bmm: the operands {x.sizes} and {tuple(y.shape)} do not go together")
    _check_dtypes("bmm", x, y)
    b, n, k = x.sizes
    batch, row, column = coordinates(x)
    rows, columns = from_array(batch * n + row), from_array(batch * k + column)
    found = product(x.stored, y.reshape(b * k, y.shape[2]), rows, columns, size=(b * n, b * k))
    return found.reshape(b, n, y.shape[2])


@rule
def matmul(input, other):
    x, y = operand(input), operand(other)
    n, m = len(x.shape), len(y.shape)
    if (n, m) == (2, 2):
        return matrix_product("matmul", x, y)
    if (n, m) == (2, 1):
        return mv(x, y)
    if (n, m) == (1, 2) and not (isinstance(x, SparseTensor) and isinstance(y, SparseTensor)):
        return matrix_product("matmul", x.unsqueeze(0), y).squeeze(0)
    if (n, m) == (3, 3):
        return bmm(x, y)
    sparse = x if isinstance(x, SparseTensor) else y
    refuse(f"matmul of tensors with {n} and {m} dims", sparse)


@rule
def linear(input, weight, bias=None):
    found = matmul(input, weight.t())
    return found if bias is None else found + bias


SparseTensor.__matmul__ = lambda self, other: matmul(self, other)
SparseTensor.__rmatmul__ = lambda self, other: matmul(other, self)


def add_to_product(name, input, mat1, mat2, beta, alpha):
    """Return ``beta * input + alpha * (mat1 @ mat2)``."""
    found = matrix_product(name, mat1, mat2)
    if isinstance(input, SparseTensor) and not isinstance(found, SparseTensor):
        raise RuntimeError(
            f"{name}: expand is unsupported for Sparse tensors: input is sparse, but the product "
            "is dense"
        )
    if not isinstance(input, SparseTensor) and isinstance(found, SparseTensor):
        found = found.to_dense()
    found = found if alpha == 1 else found * alpha
    if isinstance(input, SparseTensor) and sparse_coo not in (input.form, found.form):
        found = as_layout(as_coo(found), input.form, tuple(input.stored.shape[1:3]))
    if beta == 0:
        return found
    input = input if beta == 1 else input * beta
    if not isinstance(input, SparseTensor):
        input = input.expand(found.shape)
    return input + found


@rule
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    return add_to_product("addmm", input, mat1, mat2, beta, alpha)


@rule
def addmv(input, mat, vec, *, beta=1, alpha=1):
    found = mv(mat, vec) * alpha
    return found if beta == 0 else input.expand(found.shape) * beta + found


def sampled_sum(input, mat1, mat2, beta, alpha):
    """Return ``alpha * (mat1 @ mat2)`` at the places of ``input``, plus ``beta * input``."""
    _check_matrix("sampled_addmm", input)
    if (len(mat1.shape), len(mat2.shape)) != (2, 2) or mat1.shape[1] != mat2.shape[0]:
        raise ShapeError(
            f"sampled_addmm: mat1 {tuple(mat1.shape)} and mat2 {tuple(mat2.shape)} cannot be "
            "multiplied"
        )
    if input.sizes != (mat1.shape[0], mat2.shape[1]):
        raise ShapeError(
            f"sampled_addmm: the product has shape {(mat1.shape[0], mat2.shape[1])}, and input "
            f"{input.sizes}"
        )
    entries = as_coo_entries(input)
    rows, columns = places(entries)
    found = sampled(mat1, mat2.t(), rows, columns) * alpha
    return input.with_values(found if beta == 0 else found + input.stored * beta)


def as_coo_entries(x):
    """Return the index (2, nnz) of each value of the matrix ``x``, in the order of its values."""
    if x.form is sparse_coo:
        return coordinates(x)
    ordered = as_coo(x.with_values(from_array(np.arange(x.stored.shape[0]))))
    found = np.empty_like(coordinates(ordered))
    found[:, ordered.stored._array] = coordinates(ordered)
    return found


@rule
def smm(input, mat2):
    found = matrix_product("smm", input, mat2)
    if isinstance(found, SparseTensor):
        return found
    return _rows_stored(input, found)


def _rows_stored(x, found):
    """The dense ``found`` as a COO tensor that stores all elements of the rows of ``x``."""
    rows = np.unique(coordinates(as_coo(x))[0])
    m = found.shape[1]
    indices = np.stack([np.repeat(rows, m), np.tile(np.arange(m), len(rows))])
    pattern = coo(from_array(indices), found.new_zeros(indices.shape[1]), tuple(found.shape), True)
    return mask(found, pattern)


@rule
def hspmm(mat1, mat2):
    found = matrix_product("hspmm", mat1, mat2)
    rows = from_array(np.unique(coordinates(as_coo(mat1))[0]))
    return coo(rows.unsqueeze(0), found[rows], tuple(found.shape), True)


@rule
def sspaddmm(input, mat1, mat2, *, beta=1, alpha=1):
    found = smm(mat1, mat2) * alpha
    return _joined(input if beta == 1 else input * beta, found)


def _joined(x, y):
    """x + y with the elements of both, not yet coalesced."""
    require_coo("sspaddmm", x)
    if x.sizes != y.sizes:
        raise ShapeError(f"sspaddmm: input {x.sizes} and the product {y.sizes} differ")
    indices = np.concatenate([coordinates(x), coordinates(y)], 1)
    return coo(from_array(indices), rushlight.cat([x.stored, y.stored]), x.sizes)
