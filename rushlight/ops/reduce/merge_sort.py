"""The indices that sort rows: by NumPy, and in steps that many can take at the same time.

On devices, a merge sort has runs of ``RUN`` elements, each of which a work-group sorts. Then each
step merges pairs of runs: every element finds its place by a binary search in the other run.
"""

from functools import lru_cache
from math import prod

import numpy as np
from numpy import ndarray

from rushlight.dtype import int64
from rushlight.ops.core.kinds import kernel

__all__ = ["RUN", "alone", "picked", "rank", "ranked"]

#: A work-group sorts so many elements: a power of two.
RUN = 256
#: The places in arrays of up to so many elements are found once.
_FEW = 1 << 12


def rank(x, dim, descending=False):
    """The indices that sort ``x`` along ``dim``. Equal elements keep their order.

    nan counts as the largest number.
    """
    if not descending:
        return x.argsort(dim, "stable")
    if x.dtype.kind == "f":
        found = (-x).argsort(dim, "stable")
        return _nan_first(x, dim) if _ends_with_nan(x, found) else found
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)


def _ends_with_nan(x, index):
    """Whether ``x`` has a nan; ``index`` sorts it, with nan last."""
    if x.ndim > 1 or not len(x):
        return np.count_nonzero(x != x)
    last = x[index[-1]]
    return last != last


def picked(x, index, dim):
    """``np.take_along_axis`` without most of its overhead along the last dim."""
    if dim != x.ndim - 1 or not x.size or type(x) is not ndarray:
        return np.take_along_axis(x, index, dim)
    if x.ndim == 1:
        return x[index]
    starts = (_few_starts if x.size <= _FEW else _starts)(x.shape)
    return x.reshape(-1).take(index + starts)


def _starts(shape):
    """The flat places where the rows of an array begin."""
    return np.arange(0, prod(shape), shape[-1]).reshape((*shape[:-1], 1))


_few_starts = lru_cache(64)(_starts)


def _nan_first(x, dim):
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)


@kernel(public=False, method=False, name="sorted_runs", primitive="sorting runs")
def sorted_runs(xp, x, *, descending):
    """The indices that sort each run of ``RUN`` elements in the rows of x (R, N)."""
    starts = range(0, x.shape[1], RUN)
    return np.concatenate([rank(x[:, k : k + RUN], 1, descending) + k for k in starts], 1)


@kernel(public=False, method=False, name="merged_runs", primitive="sorting merge")
def merged_runs(xp, x, order, *, run, descending):
    """The indices ``order``, which sort runs of ``run`` elements, merged for runs twice as long."""
    parts = []
    for k in range(0, x.shape[1], 2 * run):
        places = order[:, k : k + 2 * run]
        again = rank(np.take_along_axis(x, places, 1), 1, descending)
        parts.append(np.take_along_axis(places, again, 1))
    return np.concatenate(parts, 1)


def alone(x):
    """(the only element of a 0-dim tensor, its index)."""
    return x.clone(), x.new_zeros((), dtype=int64)


def ranked(x, dim, descending=False):
    """``rank`` of a tensor with at least one dim, by the steps above."""
    rows = x.movedim(dim, -1)
    shape, n = rows.shape, rows.shape[-1]
    rows = rows.reshape(-1, n)
    order, run = sorted_runs(rows, descending=descending), RUN
    while run < n:
        order, run = merged_runs(rows, order, run=run, descending=descending), 2 * run
    return order.reshape(shape).movedim(-1, dim)
