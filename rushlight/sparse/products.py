"""Products of a sparse matrix and a dense one: two kernels, each the gradient of the other.

``product`` multiplies the matrix, given by its values and their rows and columns, by a dense
matrix. Its gradient for the values is ``sampled``: the product of two dense matrices, computed only
at the places of the values. The gradients of ``sampled`` are products again, so every order works.
"""

import numpy as np

from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj
from rushlight.tensor import from_array

__all__ = ["inside", "product", "sampled"]

#: Up to so many products are computed at once, because SciPy's matrices take 50 µs to make.
_FEW = 1 << 10
#: ``sampled`` gathers so many elements of each operand at once.
_BLOCK = 2**18


def _matrix(values, rows, columns, size):
    try:
        from scipy.sparse import coo_array
    except ImportError as error:
        raise ImportError(
            "the product of a sparse matrix needs SciPy: pip install scipy, or convert the matrix "
            "with .to_dense()"
        ) from error
    return coo_array((values, (rows, columns)), shape=size).tocsr()


def inside(places, size):
    """Whether all ``places`` are from 0 to ``size`` - 1; SciPy raises the error of others."""
    return places.dtype == np.int64 and places.view(np.uint64).max() < size


@kernel(public=False, method=False, name="sparse_product",
        shape=lambda x, y, rows, columns, *, size: (size[0], y.shape[1]))  # fmt: skip
def product(xp, x, y, rows, columns, *, size):
    """Return the dense product (n, m) of the sparse matrix of ``size`` (n, k) and ``y`` (k, m).

    The matrix has the values ``x`` (nnz) at the places ``rows`` and ``columns`` (nnz). Values of
    one place are added.
    """
    if 0 < x.size * y.shape[1] <= _FEW and inside(rows, size[0]) and inside(columns, size[1]):
        found = np.zeros((size[0], y.shape[1]), np.result_type(x, y))
        np.add.at(found, rows, x[:, None] * y[columns])
        return found
    found = _matrix(x, rows, columns, size) @ y
    return np.asarray(found, np.result_type(x, y))


@kernel(public=False, method=False, name="sparse_sampled_product",
        shape=lambda x, y, rows, columns: rows.shape)  # fmt: skip
def sampled(xp, x, y, rows, columns):
    """Return (nnz): the elements of ``x @ y.T`` at the places ``rows`` and ``columns`` (nnz).

    x is (n, m), and y is (k, m).
    """
    found = np.empty(len(rows), np.result_type(x, y))
    step = max(1, _BLOCK // max(1, x.shape[1]))
    for i in range(0, len(rows), step):
        part = slice(i, i + step)
        found[part] = np.einsum("ij,ij->i", x[rows[part]], y[columns[part]])
    return found


@product.lower_on_devices
def _product_on_devices(x, y, rows, columns, size):
    found = y.index_select(0, columns) * x.unsqueeze(-1)
    return found.new_zeros(size[0], y.shape[1]).index_add(0, rows, found)


sampled.lower_on_devices(lambda x, y, rows, columns: (
    x.index_select(0, rows) * y.index_select(0, columns)
).sum(-1))  # fmt: skip
product.grad(
    x=lambda g, y, rows, columns: sampled(g, conj(y), rows, columns),
    y=lambda g, x, rows, columns, size: product(conj(x), g, columns, rows, size=(size[1], size[0])),
)
sampled.grad(
    x=lambda g, x_shape, y, rows, columns, y_shape: product(
        g, conj(y), rows, columns, size=(x_shape[0], y_shape[0])
    ),
    y=lambda g, x, y_shape, rows, columns, x_shape: product(
        g, conj(x), columns, rows, size=(y_shape[0], x_shape[0])
    ),
)


# Batches of ``vmap`` ----------------------------------------------------------------------


def _stacked(places, size, n):
    """The ``places`` of each of ``size`` matrices of ``n`` rows, one below the other."""
    steps = from_array(np.arange(size)[:, None] * n)
    return (places + steps).reshape(-1)


def _products(batch, e, operands, params):
    """The samples are more columns; if the values differ, they are blocks of one matrix."""
    (x, varies), (y, several), (rows, _), (columns, _) = operands
    (n, k), b, m = params["size"], batch.size, y.shape[-1]
    if not varies:
        y = y.permute(1, 0, 2).reshape(k, b * m)
        return product(x, y, rows, columns, size=(n, k)).reshape(n, b, m).permute(1, 0, 2)
    y = y if several else y.expand(b, *y.shape)
    rows, columns = _stacked(rows, b, n), _stacked(columns, b, k)
    found = product(x.reshape(-1), y.reshape(b * k, m), rows, columns, size=(b * n, b * k))
    return found.reshape(b, n, m)


def _samples(batch, e, operands, params):
    """The samples are matrices one below the other."""
    b = batch.size
    x, y = [t if many else t.expand(b, *t.shape) for t, many in operands[:2]]
    rows, columns = [t for t, _ in operands[2:]]
    rows, columns = _stacked(rows, b, x.shape[1]), _stacked(columns, b, y.shape[1])
    x, y = [t.reshape(b * t.shape[1], t.shape[2]) for t in (x, y)]
    return sampled(x, y, rows, columns).reshape(b, *e.outs[0].shape)


product.op.places = sampled.op.places = True
product.op.batching = _products
sampled.op.batching = _samples
