"""Max pooling on arrays: the maxima of windows, their positions, and the gradient.

Shapes: x (…, *size), best and g (…, *places). ``best`` holds the maxima, and ``w`` is a
``window.Windows``.
"""

import sys
from functools import lru_cache
from math import prod
from operator import mul
from typing import Any

import numpy as np

from rushlight.backend import numpy as backend
from rushlight.backend.parallel import each, parts
from rushlight.backend.sizes import large_from
from rushlight.ops.windows.uneven_maxima import EVEN, best_by_loop
from rushlight.ops.windows.window import elements_along, inside, meets, offsets, windows
from rushlight.strides import made_like

__all__ = ["FEW", "is_finite", "maxima", "noted", "positions", "slope"]

#: Up to so many elements of windows, all are compared by one ``argmax``.
FEW = large_from(1 << 12)
BLOCK = 1 << 19  # bytes of the gradient that are computed at a time
#: Shifts the first of two bytes in memory to the place of the second.
_TO_SECOND = np.left_shift if sys.byteorder == "little" else np.right_shift

# Forward ---------------------------------------------------------------------------------


def _lowest(dtype):
    """The lowest number of ``dtype``: no element is smaller."""
    return -np.inf if dtype.kind in "fV" else np.iinfo(dtype).min


def _surrounded(x, w):
    """``x`` padded with the lowest number, so that every window lies inside."""
    size = x.shape[-len(w.places) :]
    wide = w.reach(size)
    if wide == size:
        return x
    out = made_like(x, (*x.shape[: -len(size)], *wide), _lowest(x.dtype))
    inside(out, w.padding, size)[...] = x
    return out


def _tiles(x, w):
    """True if windows lie side by side without overlap or gaps, and all lie inside ``x``."""
    return (
        w.kernel_size == w.stride
        and not any(w.padding)
        and all(k == 1 or d == 1 for k, d in zip(w.kernel_size, w.dilation, strict=True))
        and w.reach(x.shape[-len(w.places) :]) == x.shape[-len(w.places) :]
    )


def maxima(x, w):
    """The maximum of each of the windows ``w``, reduced one dim after the other."""
    n = len(w.places)
    if not x.size:
        return np.zeros((*x.shape[:-n], *w.places), x.dtype)
    x = _surrounded(x, w)
    # The last dim is the slowest to reduce, because its slices skip elements in memory. It comes
    # last, when the other dims have already shrunk.
    for first, *others in elements_along(w):
        found = x[first]
        for k, at in enumerate(others):
            found = np.maximum(found, x[at], out=found if k else None)
        x = found
    return x if x.flags.c_contiguous else x.copy()


def positions(x, w):
    """The flat position in the last dims of each window's first maximum, or of its last nan."""
    n = len(w.places)
    size = x.shape[-n:]
    if max(w.dilation) == 1:
        starts, ends = _edges(w, size)
        found = best_by_loop(x, starts, ends, EVEN)
        if found is not None:
            return found[0]
    wide = _surrounded(x, w)
    count = prod(x.shape[:-n]) * prod(w.places) * prod(w.kernel_size)
    padded_only = any(w.padding) and max(w.dilation) > 1  # a window may have no other element
    if 0 < count <= FEW and not padded_only and is_finite(x):
        shifts, first = _tables(w, size)
        return shifts.take(windows(wide, w).argmax(-1)) + first
    best = np.full((*x.shape[:-n], *w.places), _lowest(x.dtype), x.dtype)
    nans = x.dtype.kind in "fV" and bool((x != x).any())
    # The number of the best element in its window, from 1 on. It grows from step to step, so the
    # last better element has the largest one.
    number: Any = np.zeros(best.shape, np.uint8 if prod(w.kernel_size) < 256 else np.int64)
    for k, (_, met) in enumerate(offsets(w.kernel_size, w.stride, w.dilation, w.places), 1):
        value = wide[(..., *met)]
        better = value > best
        if nans:
            better |= value != value
        np.maximum(best, value, out=best)
        np.maximum(number, better * number.dtype.type(k), out=number)
    found = np.array([0, *_shifts(w, size)]).take(number)
    found += _flat(w, size, [0] * n)
    if number.all():
        return found
    # If no element of a window exceeds the lowest number, the position is that of the window's
    # first element that is not padding.
    outside = [
        np.maximum(-(-(p - np.arange(o) * step) // d), 0)
        for p, o, step, d in zip(w.padding, w.places, w.stride, w.dilation, strict=True)
    ]
    return np.where(number, found, _flat(w, size, outside))


def noted(x, w):
    """The maxima, and their positions as int32, which the kernel of the gradient reads."""
    return maxima(x, w), positions(x, w).astype(np.int32)


def _edges(w, size):
    """(first elements, ends) of the windows in each dim, without the padding."""
    every = [*zip(w.places, w.stride, w.padding, w.kernel_size, size, strict=True)]
    starts = [np.arange(o) * step - p for o, step, p, _, _ in every]
    ends = [np.minimum(a + k, n) for a, (*_, k, n) in zip(starts, every, strict=True)]
    return [np.maximum(a, 0) for a in starts], ends


def _shifts(w, size):
    """How far the flat position of each element of a window is behind that of the first."""
    steps = [d * prod(size[i + 1 :]) for i, d in enumerate(w.dilation)]
    return [sum(map(mul, at, steps)) for at in np.ndindex(*w.kernel_size)]


@lru_cache(64)
def _tables(w, size):
    return np.array(_shifts(w, size)), _flat(w, size, [0] * len(size))


def _flat(w, size, at):
    """The flat position in the image of each window's element ``at``.

    ``at`` has one entry for each dim: a number, or an array with a number for each window.
    """
    found = np.zeros((), np.int64)
    for d, n in enumerate(size):
        place = np.arange(w.places[d]) * w.stride[d] - w.padding[d] + at[d] * w.dilation[d]
        found = np.add.outer(found * n, place)
    return found


# Backward --------------------------------------------------------------------------------


def slope(g, x, best, w):
    """The gradient of x: each window's ``g`` is added at its maximum ``best``, zeros elsewhere."""
    n = len(w.places)
    if not g.size:
        return np.zeros(x.shape, g.dtype)
    if n < 3 and _tiles(x, w) and not _has_nan(best):
        return _tiled_slope(g, x, best, w)
    if is_finite(best):
        return _overlapping_slope(g, x, best, w)
    area = prod(x.shape[-n:])
    planes = prod(x.shape[:-n])
    there = meets(x.shape[-n:], w)
    flat = np.where(there, positions(x, w), 0).reshape(planes, -1)
    flat += np.arange(planes)[:, None] * area
    g = np.where(there, g, 0)
    found = np.zeros(planes * area, g.dtype)
    np.add.at(found, flat.ravel(), g.ravel())
    return found.reshape(x.shape)


def is_finite(x):
    """True if no float in x is nan or infinite, so that none equals the padding, which is -inf."""
    return x.dtype.kind == "f" and bool(np.isfinite(np.add.reduce(x, axis=None)))


def _overlapping_slope(g, x, best, w):
    """The gradient for any windows: ``g`` at each window's first element equal to ``best``."""
    shape, size = x.shape, x.shape[-len(w.places) :]
    wide = w.reach(size)
    x = x.reshape(-1, *size)
    g, best = g.reshape(-1, *w.places), best.reshape(-1, *w.places)
    found = np.zeros((len(x), *wide), g.dtype)
    step = max(1, BLOCK // (prod(wide) * g.dtype.itemsize))
    for start in range(0, len(x), step):
        block = slice(start, start + step)
        part = _surrounded(x[block], w)
        unmet = np.ones(best[block].shape, bool)  # windows whose maximum is still to be found
        for _, met in offsets(w.kernel_size, w.stride, w.dilation, w.places):
            hits = part[(slice(None), *met)] == best[block]
            hits &= unmet
            unmet ^= hits
            found[(block, *met)] += backend.where(hits, g[block], 0)
    return np.ascontiguousarray(inside(found, w.padding, size)).reshape(shape)


def _has_nan(x):
    total = np.add.reduce(x, axis=None)
    return bool(total != total) and bool(np.isnan(x).any())


def _tiled_slope(g, x, best, w):
    """The gradient if windows tile the plane: ``g`` at the first element equal to ``best``."""
    shape = x.shape
    kh, kw = (1, *w.kernel_size)[-2:]
    ph, pw = (1, *w.places)[-2:]
    h, width = ph * kh, pw * kw
    x = x.reshape(-1, *(x.shape[-2:] if len(w.places) == 2 else (1, x.shape[-1])))
    g, best = g.reshape(-1, ph, pw), best.reshape(-1, ph, pw)
    found = (np.empty if (h, width) == x.shape[1:] else np.zeros)(x.shape, g.dtype)
    # The gradient's bits are masked instead of multiplied by 0 or 1, because 0 · inf is nan. The
    # blocks are small enough to stay in the cache.
    bits = np.dtype(f"i{g.dtype.itemsize}")
    into = found.view(bits)[:, :h, :width].reshape(len(x), ph, kh, width)
    x = x[:, :h, :width].reshape(len(x), ph, kh, width)
    step = max(1, BLOCK // (h * width * g.dtype.itemsize))

    def work(part):
        for start in range(part.start, part.stop, step):
            block = slice(start, min(start + step, part.stop))
            hits = np.equal(x[block], _widened(best[block], kw), order="C")
            if np.count_nonzero(hits) != best[block].size:
                _keep_first(hits, kw)
            mask = hits.astype(bits)
            np.negative(mask, out=mask)  # 0, or all bits set
            np.bitwise_and(mask, _widened(g[block], kw).view(bits), out=into[block])

    each(work, parts(len(x), x[0].nbytes))
    return found.reshape(shape)


def _widened(x, kw):
    """Repeat each element ``kw`` times in a row.

    Shape: (planes, rows, columns) → (planes, rows, 1, columns · kw).
    """
    wide = np.empty((*x.shape, kw), x.dtype)
    for k in range(kw):
        wide[..., k] = x
    return wide.reshape(*x.shape[:2], 1, x.shape[2] * kw)


def _keep_first(hits, kw):
    """Clear all but the first hit of each window in ``hits`` (planes, rows, kh, columns · kw)."""
    if kw == 2:
        pairs = hits.view(np.uint16)
        pairs &= ~_TO_SECOND(pairs, np.uint16(8))
        earlier = pairs[:, :, 0] != 0
        for i in range(1, hits.shape[2]):
            pairs[:, :, i] *= ~earlier
            earlier |= pairs[:, :, i] != 0
        return
    earlier = None
    for i in range(hits.shape[2]):
        for k in range(kw):
            hit = hits[:, :, i, k::kw]
            if earlier is None:
                earlier = hit.copy()
            else:
                hit &= ~earlier
                earlier |= hit
