"""The mean cross entropy of logits (N, C) on arrays: the common case, in few NumPy calls.

A reduction and a broadcast each cost as much as three other calls on small arrays, so sums are
products with ones here, and maxima are looked up where argmax says.
"""

from functools import lru_cache, partial
from math import exp, log
from operator import mul
from typing import Any

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from

__all__ = ["mean_surprise"]

#: Classes up to which a single row is done in Python's own numbers: at two, five times as fast.
FEW = 16
#: Elements up to which BLAS sums: with more, it might on several threads.
SMALL = large_from(8192)
LARGE = large_from(1 << 16)  # elements from which on a kernel may be worth it
_sum: Any = np.add.reduce


def mean_surprise(x, target):
    """(the mean cross entropy, its gradient as a function of the loss's).

    Shape: x (N, C), target (N) of int64 that are not negative.

    Raises:
        IndexError: a class is not below C.
    """
    return (_of_row if len(x) == 1 and x.size <= FEW else _of_rows)(x, target)


def _of_row(x, target):
    (row,), k = x.tolist(), target.item()
    largest = max(row)
    e = [exp(v - largest) for v in row]
    total = sum(e)
    loss = np.asarray(log(total) - row[k] + largest, x.dtype)
    return loss, partial(_row_slope, e, total, k)


def _row_slope(e, total, k, g):
    scale = g.item()
    share = scale / total
    found = [v * share for v in e]
    found[k] -= scale
    return np.array([found], g.dtype)


@lru_cache(64)
def _starts(n, classes):
    """Where each of ``n`` rows starts in the memory of a matrix."""
    return np.arange(n) * classes


@lru_cache(64)
def _ones(n, dtype):
    return np.ones(n, dtype)


def _of_rows(x, target):
    n, classes = x.shape
    if target.item(target.argmax()) >= classes:
        raise IndexError
    starts = _starts(n, classes)
    places = starts + target
    if x.size >= LARGE:
        found = native.matrices("powers of rows", _powers, x)
        if found is not None:
            e, total, largest = found
            each = np.log(total) - (x.take(places)[:, None] - largest)
            loss = np.asarray(_sum(each, None) / n, x.dtype)
            return loss, partial(_rows_slope, e, total[:, 0], places)
    z = x - x.take(starts + x.argmax(1))[:, None]
    picked = z.take(places)
    e = np.exp(z, z)
    small = x.size <= SMALL
    total = e.dot(_ones(classes, x.dtype)) if small else _sum(e, 1)
    each = np.log(total) - picked
    loss = (each.dot(_ones(n, x.dtype)) if small else _sum(each)) / n
    return np.asarray(loss, x.dtype), partial(_rows_slope, e, total, places)


def _powers(x):
    """(e to the x, each row's largest being 1, their sums, the largest x) of a tensor."""
    largest = x.amax(1, keepdim=True)
    e = (x - largest).exp()
    return e, e.sum(1, keepdim=True), largest


def _rows_slope(e, total, places, g):
    scale = np.asarray(g.item() / len(e), e.dtype)
    factors = (scale / total)[:, None]
    products = native.matrices("scaled rows", mul, e, factors) if e.size >= LARGE else None
    found = e * factors if products is None else products[0]
    found.put(places, found.take(places) - scale)  # by place, whatever the strides
    return found
