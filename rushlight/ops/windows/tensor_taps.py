"""Resampling by taps in compiled programs: the tables of ``resample.py``, computed with tensors."""

from rushlight.dtype import float32, float64, int64
from rushlight.ops.create.range import arange
from rushlight.ops.elementwise.trigonometry import sinc
from rushlight.ops.windows.resample import scale_of, taps

__all__ = ["resampled", "resampled_back"]


def _nearest(n, places, factor, exact, kind):
    at = arange(places).to(kind) + (0.5 if exact else 0)
    return (at * _scale(n, places, False, factor, kind)).floor().to(int64).clamp(max=n - 1)


def _scale(n, places, align, factor, kind):
    return float(scale_of(n, places, align, factor, kind.numpy.type))


def _near(x, a):
    """Keys' kernel of cubic convolution for x from 0 to 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x, a):
    """Keys' kernel of cubic convolution for x from 1 to 2."""
    return ((x - 5) * x + 8) * x * a - 4 * a


def _cubic(x):
    return _near(x, -0.5).where(x < 1, _far(x, -0.5).where(x < 2, 0))


#: The filters of ``antialias`` for x that is not negative, and where they end; see ``resample.py``.
_FILTERS = {
    "linear": (lambda x: (1 - x).clamp(0), 1),
    "cubic": (_cubic, 2),
    "lanczos": (lambda x: (sinc(x) * sinc(x / 3)).where(x < 3, 0), 3),
}


def _antialiased(n, places, mode, align, factor, kind):
    """(index, weight, whether there is such a tap) of all taps, as tensors (places, K)."""
    count = len(taps(n, places, mode, align, factor, True, kind.numpy.type)[0])
    scale = _scale(n, places, align, factor, kind)
    weigh, reach = _FILTERS[mode]
    wide = max(scale, 1.0)
    centre = (arange(places).to(kind).unsqueeze(1) + 0.5) * scale
    index = (centre - reach * wide + 0.5).to(int64).clamp(0) + arange(count)
    has = index < (centre + reach * wide + 0.5).to(int64).clamp(max=n)
    weight = weigh(((index.to(kind) - centre + 0.5) / wide).abs()).where(has, 0)
    return index.clamp(max=n - 1), weight / weight.sum(1, keepdim=True), has


def _filtered(x, dim, index, weight, has):
    """``x`` with its dim ``dim`` resampled by the taps of ``_antialiased``."""
    places, count = index.shape
    rest = (1,) * (len(x.shape) - dim - 1)
    parts = x.index_select(dim, index.reshape(-1))
    parts = parts.reshape((*x.shape[:dim], places, count, *x.shape[dim + 1 :]))
    parts = parts * weight.reshape((places, count, *rest))
    return parts.where(has.reshape((places, count, *rest)), 0).sum(dim + 1)


def _filtered_back(g, dim, n, index, weight, has):
    """The gradient of ``_filtered`` for a dim of size ``n``."""
    places, count = index.shape
    rest = (1,) * (len(g.shape) - dim - 1)
    parts = g.unsqueeze(dim + 1) * weight.reshape((places, count, *rest))
    parts = parts.where(has.reshape((places, count, *rest)), 0)
    parts = parts.reshape((*g.shape[:dim], places * count, *g.shape[dim + 1 :]))
    found = g.new_zeros((*g.shape[:dim], n, *g.shape[dim + 1 :]))
    return found.index_add(dim, index.reshape(-1), parts)


def _taps(n, places, mode, align, factor, kind):
    """(index, weight) of each tap, as tensors (places,); the weight is None if it is 1."""
    if mode.startswith("nearest"):
        return [(_nearest(n, places, factor, mode == "nearest-exact", kind), None)]
    if n == places and mode == "linear":
        return [(arange(n), None)]
    scale, out = _scale(n, places, align, factor, kind), arange(places).to(kind)
    at = out * scale if align else (out + 0.5) * scale - 0.5
    if mode == "linear":
        at = at.clamp(0)
        first = at.floor().to(int64).clamp(max=n - 1)
        t = (at - first.to(kind)).clamp(0, 1)
        return [(first, 1 - t), ((first + 1).clamp(max=n - 1), t)]
    first = at.floor()
    t, first = at - first, first.to(int64)
    weights = _far(t + 1, -0.75), _near(t, -0.75), _near(1 - t, -0.75), _far(2 - t, -0.75)
    return [((first + k - 1).clamp(0, n - 1), w) for k, w in enumerate(weights)]


def _tables(size, places, dtype, mode, align, factors, taps_of=_taps):
    """(number among the last dims, its taps) of each dim, in the order of ``apply_taps``."""
    kind = float64 if dtype is float64 else float32
    order = sorted(range(len(size)), key=lambda d: (places[d] / size[d], -d))
    return [(d, taps_of(size[d], places[d], mode, align, factors[d], kind)) for d in order]


def _serves(x, mode):
    return x.dtype.is_floating_point or mode.startswith("nearest")


def resampled(x, places, mode, align, factors, antialias):
    """The lowering of resampling x to ``places``."""
    lead = len(x.shape) - len(places)
    if not _serves(x, mode):
        return NotImplemented
    if antialias:
        tables = _tables(x.shape[lead:], places, x.dtype, mode, align, factors, _antialiased)
        for d, table in tables:
            x = x if x.shape[lead + d] == places[d] else _filtered(x, lead + d, *table)
        return x
    for d, points in _tables(x.shape[lead:], places, x.dtype, mode, align, factors):
        shape = [-1 if k == lead + d else 1 for k in range(len(x.shape))]
        parts = [
            x.index_select(lead + d, i) * (1 if w is None else w.reshape(shape)) for i, w in points
        ]
        x = sum(parts[1:], parts[0])
    return x


def resampled_back(g, size, mode, align, factors, antialias):
    """The lowering of the gradient for an image of ``size``."""
    lead = len(g.shape) - len(size)
    if not _serves(g, mode):
        return NotImplemented
    if antialias:
        tables = _tables(size, g.shape[lead:], g.dtype, mode, align, factors, _antialiased)
        for d, table in reversed(tables):
            same = g.shape[lead + d] == size[d]
            g = g if same else _filtered_back(g, lead + d, size[d], *table)
        return g
    for d, points in reversed(_tables(size, g.shape[lead:], g.dtype, mode, align, factors)):
        dim = lead + d
        shape = [-1 if k == dim else 1 for k in range(len(g.shape))]
        found = g.new_zeros((*g.shape[:dim], size[d], *g.shape[dim + 1 :]))
        for i, w in points:
            found = found.index_add(dim, i, g if w is None else g * w.reshape(shape))
        g = found
    return g
