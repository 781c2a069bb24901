"""Arithmetic of an array of many short rows and one such row, which is the same for all.

NumPy takes 5 ns for each row, as long as for 50 numbers of float32. So the row is written several
times side by side, and as many rows of the array count as one.
"""

import numpy as np

__all__ = ["repeats_row", "with_row"]

_WIDEST, _FEWEST = 32, 1024  # elements of a short row, and rows that are many
_LONG = 256  # a row of about as many elements is long enough


def repeats_row(x, y):
    """Whether y is one short row, which is repeated for all rows of x."""
    return (
        1 < y.size <= _WIDEST
        and x.size >= y.size * _FEWEST
        and x.ndim > 0 < y.ndim
        and x.shape[-1] == y.shape[-1] == y.size
        and x.ndim >= y.ndim
        and x.flags.c_contiguous
    )


def with_row(ufunc, x, y):
    """``ufunc(x, y)``, for operands of one dtype for which ``repeats_row`` holds."""
    width = y.size
    times = _LONG // width
    rows = x.reshape(-1, width)
    whole = len(rows) - len(rows) % times
    out = np.empty(rows.shape, ufunc.resolve_dtypes((x.dtype, y.dtype, None))[-1])
    row = y.reshape(-1)
    long = row[None].repeat(times, 0).reshape(-1)
    shape = whole // times, times * width
    ufunc(rows[:whole].reshape(shape), long, out=out[:whole].reshape(shape))
    if whole < len(rows):
        ufunc(rows[whole:], row, out=out[whole:])
    return out.reshape(x.shape)
