"""Sums, means and maxima of bags of rows.

Rows (n, D) lie bag after bag; ``bag`` (n) says which of the bags each row is in.
"""

import numpy as np

from rushlight.ops.kinds import kernel

__all__ = ["bag_maxima"]


@kernel(public=False, method=False, name="bag_maxima", widen=False)
def bag_maxima(xp, x, bag, *, bags):
    """The row in which each column of a bag has its maximum, the first of equals: (bags, D).

    A bag without rows gets row 0.
    """
    found = np.zeros((bags, x.shape[1]), np.int64)
    if not len(x):
        return found
    starts = np.flatnonzero(np.diff(bag, prepend=-1))
    best = np.maximum.reduceat(x, starts, 0)
    which = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(x)))
    hit = (x == best[which]) | (x != x)
    rows = np.where(hit, np.arange(len(x))[:, None], len(x))
    found[bag[starts]] = np.minimum.reduceat(rows, starts, 0)
    return found
