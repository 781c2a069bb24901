"""The means of windows that cover images evenly, and so may differ in size, on arrays."""

from functools import lru_cache
from math import prod

import numpy as np

from rushlight.backend.sizes import large_from
from rushlight.ops.windows.window import even_means
from rushlight.ops.windows.window_maxima import is_finite

__all__ = ["bounds", "means", "spans"]


def bounds(i, n, count):
    """Where window ``i`` of ``count`` windows that cover ``n`` elements begins and ends."""
    return i * n // count, ((i + 1) * n + count - 1) // count


def spans(n, places):
    """(start, end) of each of ``places`` windows that cover a dim of size n evenly."""
    return [bounds(i, n, places) for i in range(places)]


@lru_cache(256)
def _windows_of(size, count, dim, ndim, dtype):
    """([the index of each window's elements along ``dim``, and of its mean], the lengths)."""
    own, lead = spans(size, count), (slice(None),) * dim
    lengths = np.array([end - start for start, end in own], dtype)
    parts = [((*lead, slice(*span)), (*lead, i)) for i, span in enumerate(own)]
    return parts, lengths.reshape([-1 if d == dim else 1 for d in range(ndim)])


#: From so many images on, with at most so many pixels and windows, one product adds up all windows.
#: So the last bit of a mean depends on how many images come together.
_IMAGES, _PIXELS = large_from(32), 128


@lru_cache(256)
def _cover(size, places, dtype):
    """(matrix (pixels, windows) with ones where windows have pixels, the windows' pixels)."""
    table = np.ones((1, 1), dtype)
    for n, o in zip(size, places, strict=True):
        line = np.zeros((n, o), dtype)
        for i, (start, end) in enumerate(spans(n, o)):
            line[start:end, i] = 1
        table = np.kron(table, line)
    return table, np.add.reduce(table)


def means(x, places):
    """The mean of each of ``places`` windows over the last dims of ``x``."""
    n, given = len(places), x
    size = x.shape[x.ndim - n :]
    small = max(prod(size), prod(places)) <= _PIXELS
    if small and x.size >= _IMAGES * prod(size) > 0 and is_finite(x):  # 0 · inf is nan
        table, counts = _cover(size, places, x.dtype)
        found = x.reshape(-1, len(table)) @ table
        found /= counts
        return found.reshape(*x.shape[: x.ndim - n], *places)
    for d in range(x.ndim - n, x.ndim):
        count = places[d - x.ndim + n]
        size = x.shape[d]
        if count and size % count == 0:
            x = even_means(x, d, count, size // count)
            continue
        out = np.empty_like(x, shape=(*x.shape[:d], count, *x.shape[d + 1 :]), order="C")
        parts, lengths = _windows_of(size, count, d, x.ndim, x.dtype)
        for part, place in parts:
            np.add.reduce(x[part], axis=d, out=out[place])
        out /= lengths
        x = out
    return x.copy() if x is given else x
