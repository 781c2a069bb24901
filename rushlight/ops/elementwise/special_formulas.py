"""Special functions in tensors, for programs and devices: there SciPy cannot run, or is slower.

Most are Chebyshev series between poles and asymptotes (``special_tables.py``). A formula takes a
floating-point tensor, and ``short``: whether its series may leave out the terms below float32's
precision. ``narrow`` and ``wide`` make rules for ``lower`` of a formula.

Sources: Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x, Mathematics
of Computation 36 (1981); Giles, Approximating the erfinv function, GPU Computing Gems (2010);
Clenshaw, A note on the summation of Chebyshev series, Mathematics of Computation 9 (1955).
"""

from functools import cache
from math import inf, nan, pi, sqrt
from math import log as ln

from rushlight.dtype import float32, float64, get_default_dtype
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.elementwise.exponential import floats
from rushlight.ops.elementwise.special_tables import TABLES

__all__ = [
    "choose", "digamma", "erfc", "erfcx", "erfinv", "i0", "i0e", "i1", "i1e", "lgamma", "log_ndtr",
    "narrow", "ndtr", "ndtri", "series", "trigamma", "wide",
]  # fmt: skip


def _floating(x):
    """``x``, or ``x`` in the default dtype if it holds integers."""
    return x if x.is_floating_point() else x.to(get_default_dtype())


def narrow(formula):
    """A rule that computes ``formula`` in the operand's dtype; half precision is float32 here."""

    def rule(x):
        x = _floating(x)
        return formula(x, x.dtype is not float64)

    return rule


def wide(formula):
    """A rule that computes ``formula`` in float64.

    In float32 errors grow where terms cancel, and in each term of a series: to ten units in the
    last place and more.
    """

    def rule(x):
        x = _floating(x)
        return formula(x.to(float64), x.dtype is not float64).to(x.dtype)

    return rule


@elementwise(public=False, method=False, inplace=False, dtype=floats, name="special_series")
def series(xp, t, *, name, short):
    """The Chebyshev series ``name`` at t: one operation, so that a kernel can have several."""
    return _series(xp, t, name, short)


def _series(xp, t, name, short):
    table = TABLES[name]
    if short:  # as a polynomial; its terms grow, but float32's precision does not see that
        return xp.polynomial(t, _powers(name))
    ahead = before = t * 0
    for c in reversed(table[1:]):
        ahead, before = 2 * t * ahead - before + c, ahead
    return t * ahead - before + table[0]


@cache
def _powers(name):
    """The coefficients of a series' powers, without terms below float32's precision."""
    from numpy.polynomial import chebyshev

    table = TABLES[name]
    least = 1e-9 * max(map(abs, table))
    return chebyshev.cheb2poly([c for c in table if abs(c) > least]).tolist()


def choose(condition, x, y):
    """``where`` for tensors and numbers."""
    return y.where(~condition, x) if isinstance(x, (int, float)) else x.where(condition, y)


# The error function -----------------------------------------------------------------------


def _scaled(x, short):
    """e^x² erfc(x) for x ≥ 0."""
    return series(1 - 7.5 / (x + 3.75), name="erfcx", short=short) / (1 + 2 * x)


def _bell(x, power=1):
    """e^-x², or its ``power`` ½, for the exact square: x is split in two, to find its rounding."""
    wide = x * (4097.0 if x.dtype is float32 else 134217729.0)
    high = wide - (wide - x)
    square = x * x
    rest = high * high - square + (x - high) * (x + high)
    found = (square * -power).exp() * (1 - rest * power)
    return choose(abs(x) > 40, 0.0, found)


def erfc(x, short):
    """1 - erf(x)."""
    size = abs(x)
    tail = _tail(size, _bell(size), short)
    return choose(size < 0.5, 1 - _near(x, short), choose(x < 0, 2 - tail, tail))


def _near(x, short):
    """erf(x) for |x| ≤ ½."""
    return x * series(8 * x * x - 1, name="erf_near", short=short)


def _tail(x, bell, short):
    """erfc(x) for x ≥ 0, where ``bell`` is e^-x²."""
    return choose(x == inf, 0.0, bell * _scaled(x, short))


def erfcx(x, short):
    """e^x² erfc(x)."""
    size = abs(x)
    found = choose(size == inf, 0.0, _scaled(size, short))
    return choose(x < 0, 2 / _bell(x) - found, found)


def ndtr(x, short):
    """The standard normal distribution function."""
    tail = 0.5 * _tail(abs(x) * sqrt(0.5), _bell(x, 0.5), short)
    near = 0.5 + 0.5 * _near(x * sqrt(0.5), short)
    return choose(abs(x) < 0.5, near, choose(x < 0, tail, 1 - tail))


def log_ndtr(x, short):
    """The logarithm of ``ndtr``."""
    t = x * sqrt(0.5)
    left = (0.5 * _scaled(abs(t), short)).log() - x * x / 2
    left = choose(x == -inf, -inf, left)
    right = 0.5 * _tail(abs(t), _bell(x, 0.5), short)
    return choose(x < -1, left, choose(x < 1, ndtr(x, short).log(), (-right).log1p()))


def _quantile(x, rest, short):
    """erfinv(x) for 0 ≤ x ≤ 1, where ``rest`` is 1 - x, which may be more exact than x."""
    w = -(rest * (1 + x)).log()
    near = x * series(w.clamp(max=6.25) / 3.125 - 1, name="erfinv_near", short=short)
    return _outer_quantile(near, x, w, short=short)


@elementwise(
    public=False, method=False, inplace=False, dtype=floats, name="special_outer_quantile",
    tensors=("near", "x", "w"),
)  # fmt: skip
def _outer_quantile(xp, near, x, w, *, short):
    """erfinv(x) where w = -log(1 - x²) is 6.25 or more, which is rare; else ``near``."""

    def change(near):
        root = xp.sqrt(xp.maximum(w, 6.25))
        middle = x * _series(xp, (xp.minimum(root, 4.0) - 3.25) / 0.75, "erfinv_middle", short)
        far = root * _series(xp, (28 / xp.maximum(root, 4.0) - 4) / 3, "erfinv_far", short)
        return xp.where(w < 6.25, near, xp.where(w < 16, middle, far))

    return xp.where_any(w >= 6.25, change, near)


def erfinv(x, short):
    """The inverse of ``erf``."""
    size = abs(x)
    found = choose(size < 1, _quantile(size, 1 - size, short), choose(size == 1, inf, size * nan))
    return choose(x < 0, -found, found)


def ndtri(x, short):
    """The inverse of ``ndtr``."""
    rest = 2 * choose(x < 0.5, x, 1 - x)
    found = sqrt(2) * _quantile(1 - rest, rest, short)
    found = choose((x > 0) & (x < 1), found, choose((x == 0) | (x == 1), inf, x * nan))
    return choose(x < 0.5, -found, found)


# The gamma function -----------------------------------------------------------------------


def _reduced(x):
    """x minus the nearest integer."""
    return x - x.round()


def _lgamma_of_positive(x, short):
    small = x < 1
    y = choose(small, x + 1, x)
    t = y.clamp(1, 3) - 2
    near = (t + 1) * t * series(t, name="lgamma_near", short=short)
    z = y.clamp(min=3)
    rest = series(6 / z - 1, name="lgamma_far", short=short) / z
    far = (z - 0.5) * z.log() - z + ln(2 * pi) / 2 + rest
    found = choose(y < 3, near, far)
    return choose(small, found - x.log(), found)


def lgamma(x, short):
    """The logarithm of the absolute value of the gamma function."""
    right = _lgamma_of_positive(choose(x < 0, 1 - x, x), short)
    left = ln(pi) - (_reduced(x) * pi).sin().abs().log() - right
    found = choose(x < 0, left, right)
    poles = ((x <= 0) & (x == x.floor())) | (abs(x) == inf)
    return choose(poles, inf, found)


def _digamma_of_positive(x, short):
    y, below = choose(x < 3, x + 3, x), x * 0
    for k in range(3):
        below = below + 1 / (x + k)
    u = 1 / y
    found = y.log() - 0.5 * u - u * u * series(6 * u - 1, name="digamma_far", short=short)
    return choose(x < 3, found - below, found)


def digamma(x, short):
    """The derivative of ``lgamma``."""
    right = _digamma_of_positive(choose(x < 0, 1 - x, x), short)
    found = choose(x < 0, right - pi / (_reduced(x) * pi).tan(), right)
    found = choose((x < 0) & (x == x.floor()), nan, found)
    found = choose(x == 0, -1 / x, found)
    return choose(x == inf, inf, found)


def trigamma(x, short):
    """The derivative of ``digamma``."""
    z = choose(x < 0.5, 1 - x, x)
    y, below = choose(z < 3, z + 3, z), z * 0
    for k in range(3):
        below = below + 1 / ((z + k) * (z + k))
    u = 1 / y
    found = u + 0.5 * u * u + u * u * u * series(6 * u - 1, name="trigamma_far", short=short)
    found = choose(z < 3, found + below, found)
    sine = (_reduced(x) * pi).sin()
    found = choose(x < 0.5, pi * pi / (sine * sine) - found, found)
    found = choose((x <= 0) & (x == x.floor()), inf, found)
    return choose(x == -inf, nan, found)


# Bessel functions -------------------------------------------------------------------------


def i0e(x, short):
    """``i0`` times e^-|x|."""
    size = abs(x)
    near = series(size.clamp(max=8) / 4 - 1, name="i0_near", short=short)
    far = series(16 / size.clamp(min=8) - 1, name="i0_far", short=short) / size.clamp(min=8).sqrt()
    return choose(size < 8, near, far)


def i1e(x, short):
    """``i1`` times e^-|x|."""
    size = abs(x)
    near = size * series(size.clamp(max=8) / 4 - 1, name="i1_near", short=short)
    far = series(16 / size.clamp(min=8) - 1, name="i1_far", short=short) / size.clamp(min=8).sqrt()
    found = choose(size < 8, near, far)
    return choose(x < 0, -found, found)


def i0(x, short):
    """The modified Bessel function of the first kind and order 0."""
    return i0e(x, short) * _root(x) * _root(x)


def i1(x, short):
    """The modified Bessel function of the first kind and order 1."""
    return i1e(x, short) * _root(x) * _root(x)


def _root(x):
    """The root of e^|x|, which is not yet infinite where the Bessel functions are not."""
    return (abs(x) / 2).exp()
