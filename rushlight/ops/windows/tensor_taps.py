"""Resampling by taps in compiled programs: the tables of ``resample.py``, computed with tensors."""

from rushlight.dtype import float32, float64, int64
from rushlight.ops.create.range import arange
from rushlight.ops.windows.resample import scale_of

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


def _tables(size, places, dtype, mode, align, factors):
    """(number among the last dims, its taps) of each dim, in the order of ``apply_taps``."""
    kind = float64 if dtype is float64 else float32
    order = sorted(range(len(size)), key=lambda d: (places[d] / size[d], -d))
    return [(d, _taps(size[d], places[d], mode, align, factors[d], kind)) for d in order]


def _serves(x, mode, antialias):
    return not antialias and (x.dtype.is_floating_point or mode.startswith("nearest"))


def resampled(x, places, mode, align, factors, antialias):
    """The lowering of resampling x to ``places``."""
    lead = len(x.shape) - len(places)
    if not _serves(x, mode, antialias):
        return NotImplemented
    for d, taps in _tables(x.shape[lead:], places, x.dtype, mode, align, factors):
        shape = [-1 if k == lead + d else 1 for k in range(len(x.shape))]
        parts = [
            x.index_select(lead + d, i) * (1 if w is None else w.reshape(shape)) for i, w in taps
        ]
        x = sum(parts[1:], parts[0])
    return x


def resampled_back(g, size, mode, align, factors, antialias):
    """The lowering of the gradient for an image of ``size``."""
    lead = len(g.shape) - len(size)
    if not _serves(g, mode, antialias):
        return NotImplemented
    for d, taps in reversed(_tables(size, g.shape[lead:], g.dtype, mode, align, factors)):
        dim = lead + d
        shape = [-1 if k == dim else 1 for k in range(len(g.shape))]
        found = g.new_zeros((*g.shape[:dim], size[d], *g.shape[dim + 1 :]))
        for i, w in taps:
            found = found.index_add(dim, i, g if w is None else g * w.reshape(shape))
        g = found
    return g
