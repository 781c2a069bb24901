"""Sums and extremes of arrays over any axes: as precise as pairwise summation, and fast.

NumPy sums pairwise only along the last axis. Along other axes it adds one row after the other, so
the error grows with the number of rows. It is also slow if the rows are short. The functions here
merge adjacent axes and then reduce from the last axis to the first. Sums along rows are made in
blocks of elements, and sums along columns in blocks of rows. Short rows are added several at a
time.
"""

from functools import lru_cache
from math import isqrt, prod

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import CHECKS, large_from

__all__ = [
    "FLOATS",
    "PIECE",
    "column_sums",
    "extreme",
    "folded",
    "index_of",
    "inner_products",
    "narrow",
    "row_sums",
    "squared",
    "summed",
]

SMALL = large_from(2048)  # up to so many elements, NumPy's own reduction is fastest
LONG = 128  # NumPy is fastest for rows of at least so many elements, in arrays of at most MIDDLE
MIDDLE = 0 if "large" in CHECKS else 1 << 15
ROW = 256  # so many elements of a row are summed in one block
ALONE = 8192  # a product with so many elements BLAS computes on one thread
ROWS = 16  # so many rows are added one after the other in one block
WIDE = 512  # rows with fewer elements are added several at a time
LARGE = large_from(1 << 18)  # from so many elements on, a compiled kernel may be faster
MIDSIZE = large_from(1 << 16)  # as LARGE, but for short rows, at which NumPy is slow
PIECE = 4096  # a kernel splits a single long row into rows of so many elements
FEW = 8  # rows of up to so many elements are summed column by column
MANY, SHORT = large_from(1024), 32  # rows, so many of which are too short for NumPy's loops
FLOATS = (np.dtype("f4"), np.dtype("f8"))
_SUMMED = (*FLOATS, np.dtype("i8"))  # dtypes of the kernels


def summed(x, axes, keepdims=False):
    """The sum of ``x`` over the tuple ``axes``. Integers give int64."""
    if x.size >= LARGE and len(axes) == x.ndim and (total := _whole(x)) is not None:
        return total.reshape((1,) * x.ndim) if keepdims else total
    if x.size > SMALL and x.dtype in FLOATS and not _long_rows(x, axes):
        return folded(np.add, x, axes, keepdims)
    if x.dtype.kind in "iub":
        if len(axes) < x.ndim and narrow(x):
            return folded(np.add, x.astype(np.int64, copy=False), axes, keepdims)
        return np.add.reduce(x, axis=axes, keepdims=keepdims, dtype=np.int64)
    if len(axes) == x.ndim and not keepdims:
        return np.add.reduce(x, axis=None)
    return np.add.reduce(x, axis=axes, keepdims=keepdims)


def _whole(x):
    """The sum of all of a large array as a number, or None if there is no kernel.

    Large arrays drive Python's own data out of the caches, so this is short.
    """
    if x.dtype not in FLOATS or not x.flags.c_contiguous:
        return None
    flat, whole = x.reshape(-1), x.size - x.size % PIECE
    found = native.matrices(*_SUMS, flat[:whole].reshape(-1, PIECE))
    if found is None:
        return None
    total = np.add.reduce(found[0])
    return total + np.add.reduce(flat[whole:]) if whole < x.size else total


def _long_rows(x, axes):
    """Whether the sums are of a few long rows, which NumPy adds up pairwise, in one call."""
    if x.size > MIDDLE or not x.flags.c_contiguous:
        return False
    kept = x.ndim - len(axes)
    return not kept or (
        axes == tuple(range(kept, x.ndim)) and x.size >= LONG * prod(x.shape[:kept])
    )


def narrow(x):
    """Whether NumPy's own reductions are slow, because they start a loop for each short row."""
    return x.shape[-1] < SHORT and x.size >= MANY * x.shape[-1]


@lru_cache(64)
def _ones(n, dtype):
    return np.ones(n, dtype)


def row_sums(x):
    """The sums of an array's last dim, which is contiguous."""
    n = x.shape[-1]
    if 0 < n <= 256 and x.dtype in FLOATS:  # for longer rows BLAS adds up in too few registers
        return x.reshape(-1, n).dot(_ones(n, x.dtype)).reshape(x.shape[:-1])
    return summed(x, (x.ndim - 1,))


def column_sums(x):
    """The sums of the columns of a matrix."""
    n = len(x)
    if n == 1:
        return x[0].copy()
    if n <= ROWS * 4 and x.size <= 4 * SMALL and x.dtype in FLOATS:
        ones = _ones(n, x.dtype)  # BLAS on one thread has a fifth of a reduction's overhead
        return ones.dot(x) if type(x) is np.ndarray else np.matmul(ones[None], x)[0]
    return summed(x, (0,))


def extreme(ufunc, x, axes, keepdims=False):
    """``np.maximum`` or ``np.minimum`` reduced over the tuple ``axes``."""
    if x.size > SMALL and len(axes) < x.ndim:
        return folded(ufunc, x, axes, keepdims)
    return ufunc.reduce(x, axis=axes, keepdims=keepdims)


def folded(ufunc, x, axes, keepdims=False):
    """``ufunc`` (add, maximum, minimum) reduced over the tuple ``axes`` of a large array."""
    if not axes or not x.size:
        return ufunc.reduce(x, axis=axes, keepdims=keepdims)
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    if not x.flags.c_contiguous:
        order = sorted(range(x.ndim), key=lambda i: -x.strides[i])
        dense = x.transpose(order)
        if not dense.flags.c_contiguous:
            if 0 in x.strides:
                return ufunc.reduce(x, axis=axes, keepdims=keepdims)
            dense = np.ascontiguousarray(dense)
        found = folded(ufunc, dense, tuple([order.index(i) for i in axes]), True)
        found = np.ascontiguousarray(found.transpose(np.argsort(order)))
    else:
        found = _groups(ufunc, x, axes).reshape(shape)
    return found if keepdims else found.reshape([n for i, n in enumerate(shape) if i not in axes])


def _groups(ufunc, x, axes):
    """``folded`` for a contiguous array. The caller restores the shape of the kept axes."""
    sizes: list[int] = []
    gone: list[bool] = []
    for i, n in enumerate(x.shape):
        if n == 1:
            continue
        if gone and gone[-1] == (i in axes):
            sizes[-1] *= n
        else:
            sizes.append(n)
            gone.append(i in axes)
    if True not in gone:  # all axes to reduce have size 1
        return x.copy()
    while True in gone:
        i = len(gone) - 1 - gone[::-1].index(True)
        n, width = sizes[i], prod(sizes[i + 1 :])
        x = (
            _rows(ufunc, x.reshape(-1, n))
            if width == 1
            else _columns(ufunc, x.reshape(-1, n, width))
        )
        del sizes[i], gone[i]
    return x


def _rows(ufunc, x):
    """Reduce each row: (R, n) → (R,)."""
    n = x.shape[1]
    found = _by_kernel(ufunc, x)
    if found is not None:
        return found
    if n <= FEW:
        total = x[:, 0].copy()
        for j in range(1, n):
            ufunc(total, x[:, j], out=total)
        return total
    if ufunc is not np.add:
        return ufunc.reduce(x, axis=1)
    if n <= 2 * ROW:
        if x.size <= ALONE and x.dtype in FLOATS:
            return x.dot(_ones(n, x.dtype))
        return np.einsum("ij->i", x)
    whole = n - n % ROW
    part = np.einsum("ijk->ij", x[:, :whole].reshape(-1, n // ROW, ROW))
    if whole < n:
        part[:, -1] += np.einsum("ij->i", x[:, whole:])
    return _rows(ufunc, part)


_SUMS = "sums of rows", lambda x: x.sum(1)
_KERNELS: dict = {
    np.add: _SUMS,
    np.maximum: ("largest of rows", lambda x: x.amax(1)),
    np.minimum: ("least of rows", lambda x: x.amin(1)),
}


def _by_kernel(ufunc, x):
    """``_rows`` of a large array by a compiled kernel, or None if NumPy should compute it."""
    if x.size < (MIDSIZE if narrow(x) else LARGE) or x.dtype not in _SUMMED:
        return None
    if len(x) > 1:
        found = native.matrices(*_KERNELS[ufunc], x)
        return None if found is None else found[0]
    whole = x.size - x.size % PIECE
    if whole <= PIECE:
        return None
    part = _by_kernel(ufunc, x[0, :whole].reshape(-1, PIECE))
    if part is None:
        return None
    part = _rows(ufunc, part.reshape(1, -1))
    return part if whole == x.size else ufunc(part, _rows(ufunc, x[:, whole:]))


def inner_products(x, y):
    """The sums of x · y along the last axis, at which both have the same size.

    BLAS adds up in a few registers, so that the error grows with the length. Long rows are split.
    """
    n = x.shape[-1]
    if x.size >= MIDSIZE and narrow(x) and x.shape == y.shape and x.dtype in FLOATS:
        flat = x.reshape(-1, n), y.reshape(-1, n)
        found = native.matrices("products of rows", _products, *flat)
        if found is not None:
            return found[0].reshape(x.shape[:-1])
    if n <= 4 * PIECE:
        return np.vecdot(x, y)
    whole = n - n % PIECE
    parts = [a[..., :whole].reshape(*a.shape[:-1], -1, PIECE) for a in (x, y)]
    found = np.add.reduce(np.vecdot(*parts), axis=-1)
    return found + np.vecdot(x[..., whole:], y[..., whole:])


def _products(x, y):
    return (x * y).sum(1)


def index_of(locate, x, axis, keepdims=False):
    """``np.argmax`` or ``np.argmin`` along ``axis``, or over all if that is None."""
    last = axis is not None and axis in (-1, x.ndim - 1)
    if last and x.size >= MIDSIZE and narrow(x) and x.dtype in _SUMMED:
        found = native.matrices(*_INDICES[locate], x.reshape(-1, x.shape[-1]))
        if found is not None:
            return found[0].reshape(*x.shape[:-1], *(1,) * keepdims)
    return locate(x, axis=axis, keepdims=keepdims)


_INDICES = {
    np.argmax: ("largest's index", lambda x: x.argmax(1)),
    np.argmin: ("least's index", lambda x: x.argmin(1)),
}


def squared(x, mean, axes):
    """The sums of (x - mean)² over ``axes`` by a compiled kernel, or None.

    A ``mean`` of None counts as 0. A kernel needs a large contiguous array and its last axes.
    """
    n = prod([x.shape[i] for i in axes])
    last = tuple(range(x.ndim - len(axes), x.ndim))
    if x.size < LARGE or x.dtype not in FLOATS or axes != last or not x.flags.c_contiguous:
        return None
    if x.size > n:
        x, mean = x.reshape(-1, n), None if mean is None else mean.reshape(-1, 1)
        found = native.matrices("squares of rows", _squares, x, mean)
        return None if found is None else found[0]
    whole, mean = x.size - x.size % PIECE, None if mean is None else mean.reshape(())
    x = x.reshape(-1)
    found = native.matrices("squares", _squares, x[:whole].reshape(-1, PIECE), mean)
    if found is None:
        return None
    rest = x[whole:] if mean is None else x[whole:] - mean
    return np.add.reduce(found[0]) + rest.dot(rest)


def _squares(x, mean):
    gap = x if mean is None else x - mean
    return (gap * gap).sum(1)


def _columns(ufunc, x):
    """Reduce over the rows: (A, n, W) → (A, W)."""
    n, width = x.shape[1:]
    if n <= ROWS and x.size >= MIDSIZE and narrow(x) and x.dtype in _SUMMED and len(x) > 1:
        found = native.matrices(*_KERNELS[ufunc], x)
        if found is not None:
            return found[0]
    together = 16 * -(-WIDE // (16 * width))
    if ROWS < n <= PIECE and x.size <= MIDDLE and width < WIDE:
        step = isqrt(n)  # few calls, for which two short sums are precise enough
        whole = n - n % step
        part = ufunc.reduce(x[:, :whole].reshape(len(x), whole // step, step * width), axis=1)
        total = ufunc.reduce(part.reshape(len(x), step, width), axis=1)
    elif width < WIDE and n >= 2 * together:
        whole = n - n % together
        part = _columns(ufunc, x[:, :whole].reshape(len(x), n // together, together * width))
        part = ufunc.reduce(part.reshape(len(x), together // 16, 16, width), axis=1)
        total = ufunc.reduce(part, axis=1)
    elif n <= ROWS or ufunc is not np.add:
        return ufunc.reduce(x, axis=1)
    else:
        whole = n - n % ROWS
        part = ufunc.reduce(x[:, :whole].reshape(len(x), n // ROWS, ROWS, width), axis=2)
        total = _columns(ufunc, part)
    return total if whole == n else ufunc(total, ufunc.reduce(x[:, whole:], axis=1), out=total)
