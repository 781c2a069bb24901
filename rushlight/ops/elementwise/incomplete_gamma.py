"""The incomplete gamma functions as integrals, which kernels compute without loops up to a limit.

With t = log of the variable, the density of a gamma distribution is e^h(t) / Γ(a), h(t) = at - e^t.
From z = log x on, h falls to the left if x is below a, else to the right. The distribution function
on this side is e^h(z) / Γ(a) times the integral of exp(h(t) - h(z)), which is 1 at z, smooth, and
falls to 0. Gauss-Legendre quadrature integrates it. The other function is 1 less this one, which is
not close to 1. For a below 1/2 it may be, so there the part of the integral over variables below 1
is a power series.

The formulas are for NumPy and for the namespace of a kernel, ``xp``, and for float64.

Source: NIST Digital Library of Mathematical Functions, chapter 8 (8.7.1 has the power series), and
5.11.1 (Stirling's series).
"""

from functools import cache
from math import factorial, pi

import numpy as np

from rushlight.dtype import float32, float64
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.elementwise import special_formulas as formulas
from rushlight.ops.elementwise.exponential import full_precision

__all__ = ["as_integral", "distance", "excess", "positive_root", "quadrature"]

#: The coefficients of Stirling's series of log Γ in odd powers of 1/a, precise from a = 10 on.
_STIRLING = 1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360


@cache
def quadrature(nodes):
    """Nodes in [0, 1], which are dense close to 0, and their weights."""
    found, weights = np.polynomial.legendre.leggauss(nodes)
    u = (1 + found) / 2  # the integral of f over [0, 1] is that of 2u f(u²)
    return u**2, u * weights


def positive_root(xp, a, b, c):
    """The positive s with a s² + b s = c, for positive a and c."""
    root = xp.sqrt(b * b + 4 * a * c)
    return xp.where(b > 0, 2 * c / (b + root), (root - b) / (2 * a))


def distance(xp, a, x, side, fall):
    """How far from z, in the direction ``side`` (±1), h has fallen by ``fall``, or by 1/5 more.

    At the distance s, h has fallen by side · (x - a) s + x (e^±s - 1 ∓ s). The last factor is above
    s² / (2 + s) to the left, and above s² / 2 to the right.
    """
    left = positive_root(xp, a, 2 * (a - x) - fall, 2 * fall)
    right = positive_root(xp, x / 2, x - a, fall)
    right = xp.log1p((fall + a * right) / x)  # Newton's form: a step that stays above the solution
    return xp.where(side < 0, left, right)


def excess(xp, s, short):
    """e^s - 1 - s. Near 0, where the terms cancel, it is a series."""
    more = s / 24 if short else s * (1 / 24 + s * (1 / 120 + s / 720))
    near = s * s * (1 / 2 + s * (1 / 6 + more))
    far = xp.exp(s) - (1 + s) if short else xp.expm1(s) - s
    return xp.where(abs(s) < 0.01, near, far)


def _both(xp, a, x, log_gamma, short):
    """(igamma, igammac) of positive, finite a and x. ``log_gamma`` is lgamma of a."""
    nodes, fall, terms = (24, 20.0, 10) if short else (48, 36.0, 18)
    small = (a < 0.5) & (x < 1)
    y = xp.where(small, 1.0, x)
    side = xp.where(y < a, -1.0, 1.0)
    reach = distance(xp, a, y, side, fall)

    def value(place):
        s = side * reach * place
        return xp.exp((a - y) * s - y * excess(xp, s, short))

    places, weights = quadrature(nodes)
    part = reach * xp.weighted_sum(value, places, weights, reach)
    part = part * xp.exp(_log_density(xp, a, y, log_gamma))
    lower, upper = xp.where(side < 0, part, 1 - part), xp.where(side < 0, 1 - part, part)
    # The integral of t^(a-1) e^-t from 0 to x is x^a (1/a + series).
    series, at_one, power = 0.0, 0.0, 1.0
    for k in range(1, terms + 1):
        term = 1 / ((a + k) * factorial(k))
        power = power * -x
        series = series + power * term
        at_one = at_one + (term if k % 2 == 0 else -term)
    log_power, scale = a * xp.log(x), xp.exp(-log_gamma)
    raised = xp.exp(log_power)
    between = at_one - raised * series - xp.expm1(log_power) / a
    lower = xp.where(small, scale * raised * (1 / a + series), lower)
    return lower, xp.where(small, part + scale * between, upper)


def _log_density(xp, a, x, log_gamma):
    """a log x - x - log Γ(a). For large a the terms would cancel, so they are combined."""
    large = xp.maximum(a, 10.0)
    inverse = 1 / large
    stirling = 0.0
    for c in reversed(_STIRLING):
        stirling = stirling * (inverse * inverse) + c
    more = (x - a) / a
    log = xp.where(abs(more) < 0.5, xp.log1p(more), xp.log(x / a))
    combined = 0.5 * xp.log(large / (2 * pi)) - a * (more - log) - stirling * inverse
    return xp.where(a > 10, combined, a * xp.log(x) - x - log_gamma)


@elementwise(
    public=False, method=False, inplace=False, dtype=full_precision, name="igamma_integral"
)
def _integral(xp, x, y, log_gamma, *, upper, short):
    """igamma of exponents ``x`` and limits ``y``, or igammac if ``upper``."""
    found = _both(xp, x, y, log_gamma, short)[upper]
    all_of_it = (y == xp.inf) | (x == 0)
    none_of_it = (y == 0) | (x == xp.inf)
    found = xp.where(none_of_it, float(upper), xp.where(all_of_it, float(not upper), found))
    # The exponent decides first, as in PyTorch: at infinity the limit may be nan.
    defined = (x >= 0) & ((y >= 0) | ((x == xp.inf) & (y != y))) & ~(all_of_it & none_of_it)
    return xp.where(defined, found, xp.nan)


def as_integral(upper):
    """The lowering of igamma, or igammac if ``upper``; SciPy computes mixed and half dtypes."""

    def rule(x, y):
        if x.dtype is not y.dtype or x.dtype not in (float32, float64):
            return NotImplemented
        a = x.to(float64)
        short = x.dtype is float32
        log_gamma = formulas.lgamma(a, short)
        return _integral(a, y.to(float64), log_gamma, upper=upper, short=short).to(x.dtype)

    return rule
