"""Sums, means and maxima of bags of rows.

Rows (n, D) lie bag after bag; ``bag`` (n) says which of the bags each row is in.
"""

import numpy as np

from rushlight.ops.core.kinds import kernel

__all__ = ["bag_maxima"]


@kernel(public=False, method=False, name="bag_maxima", widen=False)
def bag_maxima(xp, x, bag, kept, *, bags):
    """The row in which each column of a bag has its maximum, the first of equals: (bags, D).

    Rows that are not ``kept`` (n) take no part, and a bag without rows gets row 0. A nan is the
    maximum if it comes first and is passed over otherwise, because nothing is greater than it.
    """
    found = np.zeros((bags, x.shape[1]), np.int64)
    places = np.flatnonzero(kept)
    if not len(places):
        return found
    x, bag = x[places], bag[places]
    starts = np.flatnonzero(np.diff(bag, prepend=-1))
    first = x[starts]
    best = np.fmax.reduceat(x, starts, 0)
    which = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(x)))
    rows = np.where(x == best[which], np.arange(len(x))[:, None], len(x))
    rows = np.where(first == first, np.minimum.reduceat(rows, starts, 0), starts[:, None])
    found[bag[starts]] = places[rows]
    return found
