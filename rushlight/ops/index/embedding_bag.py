"""The maxima of ``embedding_bag``: groups of rows, called bags, reduced to one row each.

The rows (n, D) are sorted by bag, and ``bag`` (n) has the number of each row's bag.
"""

import numpy as np

from rushlight.ops.core.kinds import kernel

__all__ = ["bag_maxima"]


@kernel(public=False, method=False, name="bag_maxima", widen=False)
def bag_maxima(xp, x, bag, kept, *, bags):
    """Return (bags, D): for each bag and column, the row that holds the column's maximum.

    Of equal maxima the first row counts. Rows where ``kept`` (n) is False take no part, and a bag
    without rows gets row 0. A nan is the maximum if it is in the bag's first row, and is ignored
    elsewhere, because no comparison with nan is true.
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
