"""The taps of points: the pixels around a point along one dim, and their weights.

The formulas serve tensors, a kernel's Values (``compiler/run/grid_kernels.py``), and the slopes of
both: ``Slanted`` numbers.
"""

from itertools import product

__all__ = ["MODES", "Slanted", "marks_lost", "product_of", "taps"]

#: The number of taps along one dim.
MODES = {"nearest": 1, "bilinear": 2, "bicubic": 4}


class Slanted:
    """A number with its slope.

    Attributes:
        math: An object with ``floor``, ``trunc``, ``round``, ``abs``, ``where`` and ``index``.
        value: The number.
        slope: Its slope; None for 0.
    """

    def __init__(self, math, value, slope=None):
        self.math, self.value, self.slope = math, value, slope

    def __add__(self, other):
        y = _slanted(self, other)
        slope = y.slope if self.slope is None else self.slope
        if self.slope is not None and y.slope is not None:
            slope = self.slope + y.slope
        return Slanted(self.math, self.value + y.value, slope)

    def __mul__(self, other):
        y = _slanted(self, other)
        parts = [a.slope * b.value for a, b in ((self, y), (y, self)) if a.slope is not None]
        return Slanted(self.math, self.value * y.value, sum(parts[1:], parts[0]) if parts else None)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Slanted(self.math, -self.value, None if self.slope is None else -self.slope)

    def __sub__(self, other):
        y = _slanted(self, other)
        if y.slope is None:
            return Slanted(self.math, self.value - y.value, self.slope)
        slope = -y.slope if self.slope is None else self.slope - y.slope
        return Slanted(self.math, self.value - y.value, slope)

    def __rsub__(self, other):
        return Slanted(self.math, other - self.value, None if self.slope is None else -self.slope)

    def __truediv__(self, other):
        y = _slanted(self, other).value  # a constant
        return Slanted(self.math, self.value / y, None if self.slope is None else self.slope / y)

    def __lt__(self, other):
        return self.value < _slanted(self, other).value

    def __le__(self, other):
        return self.value <= _slanted(self, other).value

    def __gt__(self, other):
        return self.value > _slanted(self, other).value

    def __ge__(self, other):
        return self.value >= _slanted(self, other).value

    def floor(self):
        return Slanted(self.math, self.math.floor(self.value))

    def round(self):
        return Slanted(self.math, self.math.round(self.value))

    def trunc(self):
        return Slanted(self.math, self.math.trunc(self.value))

    def abs(self):
        slope = self.slope
        if slope is not None:
            slope = self.math.where(self.value < 0, -slope, slope)
        return Slanted(self.math, self.math.abs(self.value), slope)

    def where(self, condition, other):
        y, where = _slanted(self, other), self.math.where
        slope = None
        if self.slope is not None:
            slope = where(condition, self.slope, 0.0 if y.slope is None else y.slope)
        elif y.slope is not None:
            slope = where(~condition, y.slope, 0.0)
        return Slanted(self.math, where(condition, self.value, y.value), slope)

    def index(self):
        return self.math.index(self.value)


def _slanted(x, other):
    return other if isinstance(other, Slanted) else Slanted(x.math, other)


def _filled(x, value):
    return x.where(x > float("inf"), value)  # no number is larger


# One dim ----------------------------------------------------------------------------------


def _pixels(x, n, align):
    """Convert coordinates from -1 to 1 into pixel positions from 0 to ``n`` - 1."""
    return (x + 1) / 2 * (n - 1) if align else ((x + 1) * n - 1) / 2


def _clipped(x, n, volume):
    """Limit ``x`` to [0, n - 1]; the gradient is zero outside and at the ends.

    A nan is the first pixel of an image, and the last one of a volume.
    """
    inside = (x > 0) & (x < n - 1)
    before = x <= 0 if volume else ~(x > 0)
    return x.where(inside | before, n - 1.0).where(~before, 0.0)


def _reflected(x, n, align):
    """Reflect ``x`` at the ends of the image, until it lies inside.

    The ends are the centres of the outermost pixels with ``align``, and their edges otherwise.
    """
    low, span = (0.0, n - 1.0) if align else (-0.5, n * 1.0)
    known = isinstance(n, int)
    if known and span <= 0:
        return _filled(x, 0.0)
    x = (x - low).abs()
    x = x - (x / (span * 2.0)).trunc() * (span * 2.0)
    back = span * 2.0 - x
    found = back.where(x > back, x) + low
    return found if known or not align else found.where(span > 0, 0.0)


def _within(x, n, align, padding, volume):
    """Move ``x`` into the image by the padding mode; return it unchanged for "zeros"."""
    if padding == "zeros":
        return x
    return _clipped(_reflected(x, n, align) if padding == "reflection" else x, n, volume)


def _cubic(t):
    """Return the weights of the four pixels around a point, by Keys' cubic with a = -0.75.

    The point lies ``t`` behind the second pixel.
    """
    a = -0.75
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def taps(x, n, mode, padding, align, volume):
    """(place, weight, whether it is inside the image) of each tap of the coordinates ``x``.

    ``n`` is the number of pixels. A place outside is 0.
    """
    x = _pixels(x, n, align)
    if mode == "bicubic":
        first = x.floor()
        # The padding mode applies to each of the four pixels, and not to the point.
        places = [_within(first + float(k), n, align, padding, volume) for k in (-1, 0, 1, 2)]
        weights = _cubic(x - first)
    else:
        x = _within(x, n, align, padding, volume)
        if mode == "nearest":
            places, weights = [x.round()], [_filled(x, 1.0)]
        else:
            first = x.floor()
            places, t = [first, first + 1.0], x - first
            weights = [1 - t, t]
    inside = [(place >= 0) & (place < n) for place in places]
    places = [place.where(is_in, 0.0) for place, is_in in zip(places, inside, strict=True)]
    return list(zip(places, weights, inside, strict=True))


# All dims ---------------------------------------------------------------------------------


def product_of(dims, sizes):
    """(flat place, weights of all dims, whether it is inside) of each combination of taps.

    ``dims`` are lists of (place, weight, whether inside), in which places are integers.
    """
    found = []
    for combination in product(*dims):
        at, _, inside = combination[0]
        for (place, _, is_in), n in zip(combination[1:], sizes[1:], strict=True):
            at, inside = at * n + place, inside & is_in
        found.append((at, [weight for _, weight, _ in combination], inside))
    return found


def marks_lost(dims, mode, padding):
    """Whether a point that lies nowhere becomes nan."""
    return dims == 2 and mode != "nearest" and (mode == "bicubic" or padding == "zeros")
