"""The maxima of ``embedding_bag``: groups of rows, called bags, reduced to one row each.

The rows (n, D) are sorted by bag, and ``bag`` (n) has the number of each row's bag.
"""

import numpy as np

from rushlight.backend import native
from rushlight.dtype import int64
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.work_groups import groups, in_groups, items

__all__ = ["bag_maxima"]


@kernel(public=False, method=False, name="bag_maxima", widen=False)
def bag_maxima(xp, x, bag, kept, *, bags):
    """Return (bags, D): for each bag and column, the row that holds the column's maximum.

    Of equal maxima the first row counts. Rows where ``kept`` (n) is False take no part, and a bag
    without rows gets row 0. A nan is the maximum if it is in the bag's first row, and is ignored
    elsewhere, because no comparison with nan is true.
    """
    if x.size >= native.LEAST_LOOP and x.dtype.char in "fd":
        shape = bags, x.shape[1]
        given = x, bag, kept, len(x), *shape
        looped = native.looped(_maxima, given, [(shape, np.dtype(np.int64)), (shape, x.dtype)])
        if looped is not None:
            return looped[0]
    found = np.zeros((bags, x.shape[1]), np.int64)
    places = np.flatnonzero(kept)
    if not len(places):
        return found
    if len(places) < len(x):
        x, bag = x[places], bag[places]
    starts = np.flatnonzero(np.diff(bag, prepend=-1))
    first = x[starts]
    best = np.fmax.reduceat(x, starts, 0)
    lengths = np.diff(starts, append=len(x))
    # Backwards, so that the first of equal maxima is written last. The copies are needed, because
    # NumPy would go through reversed views from their other end.
    row, column = (at[::-1].copy() for at in np.nonzero(x == np.repeat(best, lengths, 0)))
    which = np.repeat(np.arange(len(starts)), lengths)[row]
    rows = np.repeat(starts[:, None], x.shape[1], 1)
    rows[which, column] = row
    rows = np.where(first == first, rows, starts[:, None])
    found[bag[starts]] = places[rows]
    return found


def _maxima_of_groups(bag, kept, x, count, n, width, found):
    for g in groups(count):
        low = 0
        high = n
        while low < high:  # the bag's first row
            middle = (low + high) // 2
            if bag[middle] < g:
                low = middle + 1
            else:
                high = middle
        for d in items(width):
            at = -1
            largest = 0.0
            for i in range(low, n):
                if bag[i] != g:
                    break
                if kept[i] != 0 and (at < 0 or x[i * width + d] > largest):
                    at = i
                    largest = x[i * width + d]
            found[g * width + d] = max(at, 0)


@bag_maxima.lower_on_devices
def _on_devices(x, bag, kept, bags):
    n, width = x.shape
    x = x.float() if x.itemsize < 4 else x
    given = [bag.to(int64), kept.to(int64), x]
    return in_groups(_maxima_of_groups, given, bags, (n, width), [(bags, width)])


def _maxima(x, bag, kept, n, bags, width, found, largest):
    for i in range(bags * width):
        found[i] = -1
    for i in range(n):
        if kept[i]:
            first = bag[i] * width
            for d in range(width):
                best = found[first + d]
                if best < 0 or x[i * width + d] > largest[first + d]:
                    found[first + d] = i
                    largest[first + d] = x[i * width + d]
    for i in range(bags * width):
        found[i] = max(found[i], 0)
