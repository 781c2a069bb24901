"""The mean cross entropy of logits (N, C) on arrays: the common case, in few NumPy calls.

On small arrays a reduction or a broadcast costs as much as three other NumPy calls. So small sums
are products with ones, and the rows' maxima are read at the positions that argmax gives.
"""

from functools import lru_cache
from math import exp, log
from operator import mul
from typing import Any

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from

__all__ = ["mean_surprise", "of_rows", "slope"]

#: A single row of up to this many classes is computed in Python floats: five times as fast as NumPy
#: for two classes.
FEW = 16
#: Up to this many elements BLAS computes the sums. For larger arrays it might use several threads.
SMALL = large_from(8192)
LARGE = large_from(1 << 16)  # from so many elements on, a compiled kernel may be faster
_sum: Any = np.add.reduce


def mean_surprise(x, target):
    """(the mean cross entropy, what ``slope`` wants to know).

    Shape: x (N, C), target (N) of int64 without negative numbers.

    Raises:
        IndexError: a target is not below C.
    """
    if len(x) == 1 and x.size <= FEW:
        return _of_row(x, target)
    if target.item(target.argmax()) >= x.shape[1]:
        raise IndexError
    return of_rows(np, x, target)


def slope(g, kind, *kept):
    """The gradient of ``x``, from the loss's gradient and what ``mean_surprise`` kept."""
    rule: Any = _row_slope if kind == "row" else _rows_slope
    return rule(*kept, g)


def _of_row(x, target):
    (row,), k = x.tolist(), target.item()
    largest = max(row)
    e = [exp(v - largest) for v in row]
    total = sum(e)
    loss = np.asarray(log(total) - row[k] + largest, x.dtype)
    return loss, ["row", e, total, k]


def _row_slope(e, total, k, g):
    scale = g.item()
    share = scale / total
    found = [v * share for v in e]
    found[k] -= scale
    return np.array([found], g.dtype)


@lru_cache(64)
def _starts(n, classes):
    """The flat index of the first element of each of ``n`` rows."""
    return np.arange(n) * classes


@lru_cache(64)
def _ones(n, dtype):
    return np.ones(n, dtype)


def of_rows(xp, x, target):
    """``mean_surprise`` of targets that are all in range.

    ``xp`` is NumPy, or notes what NumPy does.
    """
    n, classes = x.shape
    starts = _starts(n, classes)
    places = starts + target
    if x.size >= LARGE:
        found = native.matrices("powers of rows", _powers, x)
        if found is not None:
            e, total, largest = found
            each = np.log(total) - (x.take(places)[:, None] - largest)
            loss = np.asarray(_sum(each, None) / n, x.dtype)
            return loss, ["rows", e, total[:, 0], places]
    z = x - x.take(starts + x.argmax(1))[:, None]
    picked = z.take(places)
    e = np.exp(z, z)
    small = x.size <= SMALL
    total = e.dot(_ones(classes, x.dtype)) if small else _sum(e, 1)
    each = np.log(total) - picked
    loss = (each.dot(_ones(n, x.dtype)) if small else _sum(each)) / n
    return xp.asarray(loss, x.dtype), ["rows", e, total, places]


def _powers(x):
    """(e to the x - largest, the sum of each row, the largest x of each row), of a tensor x."""
    largest = x.amax(1, keepdim=True)
    e = (x - largest).exp()
    return e, e.sum(1, keepdim=True), largest


def _rows_slope(e, total, places, g):
    scale = np.asarray(g.item() / len(e), e.dtype)
    factors = (scale / total)[:, None]
    products = native.matrices("scaled rows", mul, e, factors) if e.size >= LARGE else None
    found = e * factors if products is None else products[0]
    found.put(places, found.take(places) - scale)  # flat positions in C order, for any strides
    return found
