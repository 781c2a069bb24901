"""Resampling along a dim by taps: each result is a weighted sum of a few elements of x.

A table holds the taps: (index, weight, lacks), the first two of shape (K, places). ``weight`` is
None if each result has one tap of weight 1. If a result has fewer than K taps, the others have
index -1, and ``lacks`` is true. The table of a geometry is cached, as is its transpose, which
computes gradients.
"""

from functools import lru_cache

import numpy as np

from rushlight.backend.sizes import large_from

__all__ = ["apply_taps", "apply_taps_to_bytes", "integers", "scale_of", "taps", "transposed"]

# Geometry ---------------------------------------------------------------------------------


def scale_of(n, places, align, factor, kind):
    """The distance in x between the points of two neighbouring results."""
    if align:
        return kind(n - 1) / kind(places - 1) if places > 1 else kind(0)
    return kind(1 / factor) if factor else kind(n) / kind(places)


def _nearest(n, places, factor, mode, kind):
    out = np.arange(places)
    if mode == "nearest" and places in (n, 2 * n):
        return out * n // places
    at = out.astype(kind) + kind(0.5 if mode == "nearest-exact" else 0)
    at = at * scale_of(n, places, False, factor, kind)
    return np.minimum(np.floor(at.astype(np.float32)).astype(int), n - 1)  # rounded, as in PyTorch


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x, a):
    """Keys' kernel of cubic convolution."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x):
    """Lanczos' kernel: a sinc times a sinc three times as wide, cut off at ±3."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


#: The filters of ``antialias``: (function, the largest |x| at which it is not 0).
_FILTERS = {
    "linear": (_triangle, 1),
    "cubic": (lambda x: _cubic(x, -0.5), 2),
    "lanczos": (_lanczos, 3),
}


def _points(n, places, align, factor, kind, mode):
    """The taps of interpolation between neighbours in x: two (linear) or four (cubic)."""
    scale = scale_of(n, places, align, factor, kind)
    out = np.arange(places).astype(kind)
    at = out * scale if align else scale * (out + kind(0.5)) - kind(0.5)
    if mode == "linear":
        at = np.maximum(at, 0)
        first = np.minimum(np.floor(at).astype(int), n - 1)
        t = np.clip(at - first.astype(kind), 0, 1)
        return np.stack([first, np.minimum(first + 1, n - 1)]), np.stack([1 - t, t])
    first = np.floor(at).astype(int)
    t = at - first.astype(kind)
    index = np.clip(np.stack([first + k for k in (-1, 0, 1, 2)]), 0, n - 1)
    return index, np.stack([_cubic(t - kind(k), -0.75) for k in (-1, 0, 1, 2)])


def _antialiased(n, places, align, factor, kind, mode):
    """The taps of a filter that widens with the step in x, so that no element is skipped."""
    scale = scale_of(n, places, align, factor, kind)
    weigh, reach = _FILTERS[mode]
    support = reach * max(scale, kind(1))
    centre = scale * (np.arange(places).astype(kind) + kind(0.5))
    start = np.maximum((centre - support + kind(0.5)).astype(int), 0)
    end = np.minimum((centre + support + kind(0.5)).astype(int), n)
    k = np.arange(max(int((end - start).max()), 1))[:, None]
    distance = ((start + k).astype(kind) - centre + kind(0.5)) / max(scale, kind(1))
    is_in = start + k < end
    weight = np.where(is_in, weigh(distance), 0)
    return np.where(is_in, start + k, -1), weight / weight.sum(0)


@lru_cache(256)
def taps(n, places, mode, align, factor, antialias, kind):
    """The table that resamples a dim from size ``n`` to ``places``, computed in dtype ``kind``.

    The mode "nearest, by factor" uses the factor also if it keeps the size, or doubles it.
    """
    if mode.startswith("nearest"):
        return _nearest(n, places, factor, mode, kind)[None], None, False
    # A dim that keeps its size is copied, even if ``factor`` is not exactly 1.
    if n == places and (antialias or mode == "linear"):
        return np.arange(n)[None], np.ones((1, n), kind), False
    rule = _antialiased if antialias else _points
    index, weight = rule(n, places, align, factor, kind, mode)
    return index, weight.astype(kind), bool((index < 0).any())


@lru_cache(256)
def transposed(n, *geometry):
    """The table of the transposed resampling, from ``places`` back to ``n``."""
    index, weight, _ = taps(n, *geometry)
    there = index >= 0
    # If both sizes are equal, taps of weight 0 are dropped, so that a gradient is just copied.
    if weight is not None and n == geometry[0]:
        there &= weight != 0
    to = index[there]
    order = np.argsort(to, kind="stable")
    source = np.broadcast_to(np.arange(index.shape[1]), index.shape)[there][order]
    share = (np.ones(index.shape) if weight is None else weight)[there][order]
    counts = np.bincount(to, minlength=n)
    k = np.arange(max(counts.max(), 1))[:, None]
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    at = np.minimum(first + k, len(order) - 1)
    is_in = k < counts
    share = np.where(is_in, share[at], 0).astype(geometry[-1])
    return np.where(is_in, source[at], -1), share, not is_in.all()


# Use --------------------------------------------------------------------------------------


#: Up to so many elements are taken and summed at once, for up to two taps and for more.
_FEW = large_from(1 << 10), large_from(1 << 14)


def _along(x, dim, table):
    index, weight, lacks = table
    if weight is None:
        return x.take(index[0], dim)
    shape = [1] * (x.ndim - dim)
    shape[0] = -1
    if x.size * index.size <= _FEW[len(index) > 2] * x.shape[dim]:
        parts = x.take(index, dim)
        parts *= weight.reshape(len(index), *shape)
        if lacks:
            np.copyto(parts, 0, where=(index < 0).reshape(len(index), *shape))
        return np.add.reduce(parts, axis=dim)
    out = None
    for i, w in zip(index, weight, strict=True):
        part = x.take(i, dim)
        part *= w.reshape(shape)
        if lacks:  # missing taps: weight 0 times an infinite element is nan
            part[(slice(None),) * dim + (i < 0,)] = 0
        out = part if out is None else np.add(out, part, out)
    return out


def apply_taps(x, tables):
    """``x`` resampled along its last dims, each by its table."""
    if len(tables) == 1:
        return _along(x, x.ndim - 1, tables[0])
    dims = range(x.ndim - len(tables), x.ndim)
    # The dim that shrinks most comes first, so that the others have fewer elements to process.
    order = sorted(
        zip(dims, tables, strict=True),
        key=lambda pair: (pair[1][0].shape[1] / x.shape[pair[0]], -pair[0]),
    )
    for dim, table in order:
        x = _along(x, dim, table)
    return x


def integers(index, weight):
    """The weights in fixed point: (integers below 2¹⁵, the number of fraction bits)."""
    weight = weight.copy()
    for k in range(1, len(weight)):  # taps beyond an end share its index; their weights are summed
        same = index[k] == index[k - 1]
        weight[k] += weight[k - 1] * same
        weight[k - 1] *= ~same
    bits = 0
    while bits < 22 and int(0.5 + weight.max() * (1 << bits + 1)) < 1 << 15:
        bits += 1
    scaled = weight * (1 << bits)
    return np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int32), bits


def _along_bytes(x, dim, table):
    index, weight, _ = table
    if index.shape == (1, x.shape[dim]):  # the dim keeps its size
        return x
    weight, bits = integers(index, weight)
    shape = [1] * (x.ndim - dim)
    shape[0] = -1
    out = np.int32(1 << bits - 1)  # one half, so that the shift rounds to the nearest
    for i, w in zip(index, weight, strict=True):
        out = out + x.take(i, dim) * w.reshape(shape)
    return np.clip(out >> bits, 0, 255).astype(np.uint8)


def apply_taps_to_bytes(x, tables):
    """``apply_taps`` for uint8 in integer arithmetic.

    The last dim comes first, and the values are rounded to uint8 after each dim.
    """
    for dim, table in reversed(list(enumerate(tables, x.ndim - len(tables)))):
        x = _along_bytes(x, dim, table)
    return x
