"""Special functions on devices, where SciPy cannot run: what they are made of, in tensors.

Most are Chebyshev series between poles and asymptotes (``special_tables.py``). Half precision is
float32 here.

Sources: Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x, Mathematics
of Computation 36 (1981); Giles, Approximating the erfinv function, GPU Computing Gems (2010);
Clenshaw, A note on the summation of Chebyshev series, Mathematics of Computation 9 (1955).
"""

from math import inf, nan, pi, sqrt
from math import log as ln

from rushlight.dtype import float32, get_default_dtype
from rushlight.ops.elementwise.activation import erf
from rushlight.ops.elementwise.special_tables import TABLES

__all__ = [
    "digamma", "erfc", "erfcx", "erfinv", "i0", "i0e", "i1", "i1e", "lgamma", "log_ndtr", "ndtr",
    "ndtri", "trigamma",
]  # fmt: skip

#: Giles' polynomials for erfinv(x) / x: around w = 2.5 for w < 5, and around √w = 3 for larger w.
_CENTRAL = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _floating(rule):
    """``rule`` for tensors of any dtype: integers become floating-point numbers first."""

    def lowered(x):
        return rule(x if x.is_floating_point() else x.to(get_default_dtype()))

    return lowered


def _series(name, t):
    """The Chebyshev series ``name`` at t."""
    table = TABLES[name]
    if t.dtype is float32:  # terms below float32's precision are left out
        table = [c for c in table if abs(c) > 1e-9 * max(map(abs, table))]
    ahead = before = t * 0
    for c in reversed(table[1:]):
        ahead, before = 2 * t * ahead - before + c, ahead
    return t * ahead - before + table[0]


def _choose(condition, x, y):
    """``where`` for tensors and numbers."""
    return y.where(~condition, x) if isinstance(x, (int, float)) else x.where(condition, y)


def _horner(table, x):
    found = x * 0 + table[0]
    for c in table[1:]:
        found = found * x + c
    return found


# The error function -----------------------------------------------------------------------


def _scaled(x):
    """e^x² erfc(x) for x ≥ 0."""
    return _series("erfcx", 1 - 7.5 / (x + 3.75)) / (1 + 2 * x)


def _bell(x, power=1):
    """e^-x², or its ``power`` ½, with x split in two so that the square is not rounded."""
    wide = x * (4097.0 if x.dtype is float32 else 134217729.0)
    high = wide - (wide - x)
    found = (-high * high * power).exp() * (-(x - high) * (x + high) * power).exp()
    return _choose(abs(x) > 40, 0.0, found)


@_floating
def erfc(x):
    """1 - erf(x)."""
    size = abs(x)
    tail = _tail(size, _bell(size))
    return _choose(size < 0.5, 1 - erf(x), _choose(x < 0, 2 - tail, tail))


def _tail(x, bell):
    """erfc(x) for x ≥ 0, where ``bell`` is e^-x²."""
    return _choose(x == inf, 0.0, bell * _scaled(x))


@_floating
def erfcx(x):
    """e^x² erfc(x)."""
    size = abs(x)
    found = _choose(size == inf, 0.0, _scaled(size))
    return _choose(x < 0, 2 / _bell(x) - found, found)


@_floating
def ndtr(x):
    """The standard normal distribution function."""
    tail = 0.5 * _tail(abs(x) * sqrt(0.5), _bell(x, 0.5))
    near = 0.5 + 0.5 * erf(x * sqrt(0.5))
    return _choose(abs(x) < 0.5, near, _choose(x < 0, tail, 1 - tail))


@_floating
def log_ndtr(x):
    """The logarithm of ``ndtr``."""
    t = x * sqrt(0.5)
    left = (0.5 * _scaled(abs(t))).log() - x * x / 2
    left = _choose(x == -inf, -inf, left)
    right = 0.5 * _tail(abs(t), _bell(x, 0.5))
    return _choose(x < -1, left, _choose(x < 1, ndtr(x).log(), (-right).log1p()))


def _quantile(x, rest):
    """erfinv(x) for 0 ≤ x < 1, where ``rest`` is 1 - x, which may be more exact than x."""
    size = -rest.log()
    w = size - (1 + x).log()
    found = x * _choose(w < 5, _horner(_CENTRAL, w - 2.5), _horner(_TAIL, w.clamp(5).sqrt() - 3))
    far = size.clamp(1)
    found = _choose(w > 16, (far - (pi * far).log() / 2).sqrt(), found)
    for _ in range(2 if x.dtype is float32 else 3):
        step = (erf(found) - x) * (sqrt(pi) / 2) / _bell(found)
        near = found - step / (1 + found * step)  # Halley's method, for erf
        scaled = _scaled(found)
        far = found + (scaled.log() - found * found + size) * (sqrt(pi) / 2) * scaled
        found = _choose(x < 0.5, near, far)  # Newton's method, for the logarithm of erfc
    return found


@_floating
def erfinv(x):
    """The inverse of ``erf``."""
    size = abs(x)
    found = _quantile(size.clamp(max=1 - 1e-7 if x.dtype is float32 else 1 - 1e-16), 1 - size)
    found = _choose(size < 1, found, _choose(size == 1, inf, size * nan))
    return _choose(x < 0, -found, found)


@_floating
def ndtri(x):
    """The inverse of ``ndtr``."""
    rest = 2 * _choose(x < 0.5, x, 1 - x)
    found = sqrt(2) * _quantile(1 - rest, rest)
    found = _choose((x > 0) & (x < 1), found, _choose((x == 0) | (x == 1), inf, x * nan))
    return _choose(x < 0.5, -found, found)


# The gamma function -----------------------------------------------------------------------


def _reduced(x):
    """x minus the nearest integer."""
    return x - x.round()


def _lgamma_of_positive(x):
    small = x < 1
    y = _choose(small, x + 1, x)
    t = y.clamp(1, 3) - 2
    near = (t + 1) * t * _series("lgamma_near", t)
    z = y.clamp(min=3)
    far = (z - 0.5) * z.log() - z + ln(2 * pi) / 2 + _series("lgamma_far", 6 / z - 1) / z
    found = _choose(y < 3, near, far)
    return _choose(small, found - x.log(), found)


@_floating
def lgamma(x):
    """The logarithm of the absolute value of the gamma function."""
    right = _lgamma_of_positive(_choose(x < 0, 1 - x, x))
    left = ln(pi) - (_reduced(x) * pi).sin().abs().log() - right
    found = _choose(x < 0, left, right)
    poles = ((x <= 0) & (x == x.floor())) | (abs(x) == inf)
    return _choose(poles, inf, found)


def _digamma_of_positive(x):
    y, below = _choose(x < 3, x + 3, x), x * 0
    for k in range(3):
        below = below + 1 / (x + k)
    u = 1 / y
    found = y.log() - 0.5 * u - u * u * _series("digamma_far", 6 * u - 1)
    return _choose(x < 3, found - below, found)


@_floating
def digamma(x):
    """The derivative of ``lgamma``."""
    right = _digamma_of_positive(_choose(x < 0, 1 - x, x))
    found = _choose(x < 0, right - pi / (_reduced(x) * pi).tan(), right)
    found = _choose((x < 0) & (x == x.floor()), nan, found)
    found = _choose(x == 0, -1 / x, found)
    return _choose(x == inf, inf, found)


@_floating
def trigamma(x):
    """The derivative of ``digamma``."""
    z = _choose(x < 0.5, 1 - x, x)
    y, below = _choose(z < 3, z + 3, z), z * 0
    for k in range(3):
        below = below + 1 / ((z + k) * (z + k))
    u = 1 / y
    found = u + 0.5 * u * u + u * u * u * _series("trigamma_far", 6 * u - 1)
    found = _choose(z < 3, found + below, found)
    sine = (_reduced(x) * pi).sin()
    found = _choose(x < 0.5, pi * pi / (sine * sine) - found, found)
    found = _choose((x <= 0) & (x == x.floor()), inf, found)
    return _choose(x == -inf, nan, found)


# Bessel functions -------------------------------------------------------------------------


@_floating
def i0e(x):
    """``i0`` times e^-|x|."""
    size = abs(x)
    near = _series("i0_near", size.clamp(max=8) / 4 - 1)
    far = _series("i0_far", 16 / size.clamp(min=8) - 1) / size.clamp(min=8).sqrt()
    return _choose(size < 8, near, far)


@_floating
def i1e(x):
    """``i1`` times e^-|x|."""
    size = abs(x)
    near = size * _series("i1_near", size.clamp(max=8) / 4 - 1)
    far = _series("i1_far", 16 / size.clamp(min=8) - 1) / size.clamp(min=8).sqrt()
    found = _choose(size < 8, near, far)
    return _choose(x < 0, -found, found)


@_floating
def i0(x):
    """The modified Bessel function of the first kind and order 0."""
    return i0e(x) * _root(x) * _root(x)


@_floating
def i1(x):
    """The modified Bessel function of the first kind and order 1."""
    return i1e(x) * _root(x) * _root(x)


def _root(x):
    """The root of e^|x|, which is not yet infinite where the Bessel functions are not."""
    return (abs(x) / 2).exp()
