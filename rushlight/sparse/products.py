"""Products of a sparse matrix and a dense one: two kernels, each the gradient of the other.

``product`` multiplies the matrix, given by its values and their rows and columns, by a dense
matrix. Its gradient for the values is ``sampled``: the product of two dense matrices, computed only
at the places of the values. The gradients of ``sampled`` are products again, so every order works.
"""

import numpy as np

from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import conj

__all__ = ["product", "sampled"]

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


@kernel(public=False, method=False, name="sparse_product",
        shape=lambda x, y, rows, columns, *, size: (size[0], y.shape[1]))  # fmt: skip
def product(xp, x, y, rows, columns, *, size):
    """Return the dense product (n, m) of the sparse matrix of ``size`` (n, k) and ``y`` (k, m).

    The matrix has the values ``x`` (nnz) at the places ``rows`` and ``columns`` (nnz). Values of
    one place are added.
    """
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
