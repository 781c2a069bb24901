"""Products of matrices, one of which has few rows, in tiles that BLAS need not copy.

BLAS copies both operands into an order that its kernel reads fast. If the other operand has few
rows, the copy takes longer than the multiplications. OpenBLAS has kernels without copies for
products of up to 10^6 multiplications (on processors with AVX-512; elsewhere the tiles take as long
as the whole). So the larger operand is cut into tiles for such products.

The tiles depend on shapes and layouts only, never on the number of threads. Long sums are cut,
too, so that they are at least as precise as those of BLAS.
"""

import numpy as np
from numpy import ndarray

from rushlight.backend import native, parallel
from rushlight.backend.sizes import CHECKS, large_from
from rushlight.backend.summation import FLOATS, summed

__all__ = ["LARGE", "SHORT", "matrix_product", "matrix_products"]

#: Products of smaller operands are one call of BLAS. Replays know no larger arrays.
LARGE = large_from(1 << 17)
#: ``@`` does not ask for the size of a left operand with fewer rows, because that takes time.
SHORT = large_from(1 << 8)
#: The most multiplications of a tile, and the fewest of a product that is cut into tiles.
WORK = 10**6
_LEAST = 1 if "large" in CHECKS else WORK
#: Up to so many terms and rows, tiles of so many columns pay in all layouts.
_SMALL, _WIDTH = 64, 1 << 9
#: Longer sums pay if both operands lie along them. A tile's result has at most so many elements,
#: and the smaller operand so many rows on the left, or columns on the right.
_CELLS, _ROWS, _COLUMNS = 1 << 10, 32, 8
#: In other layouts the rows must be fewer, and the columns many.
_ROWS_ACROSS, _LONG = 4, 1 << 9
#: So long sums pay for so few results, too.
_LONG_SUM = 1 << 12
#: A tile's sums have so many terms: fewer if BLAS adds them up one after the other.
_DEEP, _SHALLOW = 1 << 10, 1 << 8
#: The most columns for a single row, whose sums BLAS adds up in too few registers.
_OF_ONE = 64
#: If the larger operand is at least so many times as large, the smaller one may be copied.
_MANY = 8
#: BLAS takes longer to begin than to compute a product of so many multiplications.
_TINY = 256
#: The smallest number of elements of a batch for which a kernel computes such products.
_BATCH = large_from(1 << 14)


def matrix_product(x, y, out=None):
    """``x @ y`` by ``x.dot(y)``: the same call of BLAS with half of ``matmul``'s overhead.

    If an operand has one element, ``dot`` scales the other operand by it, and a scale of 0 gives 0
    even for inf. ``matmul`` gives nan there, so it computes these products.
    """
    if LARGE >= x.size > 1 < y.size <= LARGE:
        return x.dot(y, out)
    found = _in_tiles(x, y, out)
    if found is not None:
        return found
    return x.dot(y, out) if x.size > 1 < y.size else np.matmul(x, y, out)


def matrix_products(x, y):
    """``x @ y`` of batches. BLAS, called for each matrix, takes three times as long if k is 1."""
    if y.ndim > 2 < x.ndim:
        if y.shape[-2] == 1 == x.shape[-1]:
            if not 1 < y.shape[-1] < 8:  # NumPy's loops over short rows are slow
                return np.multiply(x, y, order="C")
        elif x.size >= _BATCH and x.dtype in FLOATS and x.shape[:-2] == y.shape[:-2]:
            (m, k), n = x.shape[-2:], y.shape[-1]
            if m * k * n <= _TINY:
                flat = x.reshape(-1, m, k), y.reshape(-1, k, n)
                found = native.matrices("small products", _small_products, *flat)
                if found is not None:
                    return found[0].reshape(*x.shape[:-1], n)
    return np.matmul(x, y)


def _small_products(x, y):
    return (x.unsqueeze(3) * y.unsqueeze(1)).sum(2)


def _in_tiles(x, y, out):
    """The product in tiles, or None if one call of BLAS is as fast."""
    if not (type(x) is type(y) is ndarray and x.ndim == 2 == y.ndim and x.dtype in FLOATS):
        return None
    (m, k), n = x.shape, y.shape[1]
    if y.dtype != x.dtype or len(y) != k or m * k * n <= _LEAST:
        return None
    if min(m, n) == 1 and not 1 < max(m, n) <= _OF_ONE:
        return None
    turned = m > n
    rows, columns = (y.T, x.T) if turned else (x, y)
    plan = _tile(rows, columns, _COLUMNS if turned else _ROWS)
    if plan is None:
        return None
    order, depth, width = plan
    if out is None:
        out = np.empty((m, n), x.dtype)
    rows = np.asarray(rows, order=order)
    _fill(out.T if turned else out, rows, columns, depth, width)
    return out


def _tile(x, y, most):
    """(order of x, terms, columns) of a tile of ``x @ y``, or None.

    x has no more rows than y has columns, and is copied if it does not lie in the order.
    """
    (m, k), n = x.shape, y.shape[1]
    size = x.itemsize
    if size not in y.strides or size not in x.strides:
        return None  # BLAS gets copies
    order, along, may_copy = "K", y.strides[0] == size, n >= _MANY * m
    if 1 < k <= _SMALL and 1 < m <= _SMALL and may_copy:
        order, depth, width = "F" if along else "K", k, _WIDTH
    elif along and (x.strides[1] == size or may_copy) and m <= max(most, _CELLS // n):
        order, depth, width = "C", _DEEP, _CELLS // m
    elif m > 1 and ((m <= _ROWS_ACROSS and n >= _LONG) or (m * n <= _CELLS and k >= _LONG_SUM)):
        depth, width = _SHALLOW, n
    else:
        return None
    depth = k if k < 2 * depth else depth
    return order, depth, max(1, min(n, width, WORK // (m * depth)))


def _fill(out, x, y, depth, width):
    """Write ``x @ y`` to ``out``, by products of ``depth`` terms with ``width`` columns of y."""
    (m, k), n = x.shape, y.shape[1]
    deep, wide = k // depth, n // width
    k_whole, n_whole = deep * depth, wide * width
    left = x[:, :k_whole].reshape(m, deep, 1, depth).transpose(1, 2, 0, 3)
    right = y[:k_whole, :n_whole].reshape(deep, depth, wide, width).transpose(0, 2, 1, 3)
    whole = out[:, :n_whole]
    if deep == 1:
        tiles = whole.reshape(m, 1, wide, width, copy=False).transpose(1, 2, 0, 3)
    else:
        sums = np.empty((deep, m, wide, width), x.dtype)
        tiles = sums.transpose(0, 2, 1, 3)

    def multiply(part):
        np.matmul(left[part], right[part], tiles[part])

    def multiply_columns(part):
        np.matmul(left, right[:, part], tiles[:, part])

    line = y.itemsize * k
    if deep == 1:
        parallel.each(multiply_columns, parallel.parts(wide, line * width))
    else:
        parallel.each(multiply, parallel.parts(deep, y.itemsize * depth * (n + m)))
        whole[...] = summed(sums.reshape(deep, m * n_whole), (0,)).reshape(m, n_whole)
    if k_whole < k:
        whole += x[:, k_whole:].dot(y[k_whole:, :n_whole])
    if n_whole < n:
        out[:, n_whole:] = matrix_product(x, y[:, n_whole:])
