"""Bessel and Airy functions in tensors, for devices, where SciPy cannot run.

Each is a Chebyshev series in x² near 0, next to its logarithm and pole, and far away a wave or a
decaying exponential, whose factors are series in 1 / x. See ``elementwise/special_formulas.py``.

Source: NIST Digital Library of Mathematical Functions, 9.7, 10.8, 10.17, 10.31 and 10.40.
"""

from math import inf, nan, pi, sqrt

from rushlight.ops.elementwise import special_formulas as formulas
from rushlight.ops.elementwise.special_formulas import choose, series

__all__ = ["airy", "i0", "i1", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1"]

_ZETA = 2 / 3 * 2**1.5  # ζ of 2; ζ is 2/3 |x|^1.5


def _wave(x, order, turned, short):
    """√(2/πx) times the wave for x ≥ 8: J, or Y if ``turned``."""
    t = 128 / (x * x) - 1
    cosine = series(t, name=f"wave{order}_cosine", short=short)
    sine = series(t, name=f"wave{order}_sine", short=short) / x
    # Of x - π/4 and x - 3π/4; the difference itself would be rounded.
    c, s = (x.cos() + x.sin()) * sqrt(0.5), (x.sin() - x.cos()) * sqrt(0.5)
    c, s = (s, -c) if order else (c, s)
    return (s * cosine + c * sine if turned else c * cosine - s * sine) * (2 / (pi * x)).sqrt()


def _first(x, order, short):
    """J of x ≥ 0."""
    near = series((x * x).clamp(max=64) / 32 - 1, name=f"j{order}_near", short=short)
    near = near * x if order else near
    return choose(x < 8, near, _wave(x.clamp(min=8), order, False, short))


def _second(x, order, short):
    """Y of x; nan below 0."""
    near = series((x * x).clamp(max=64) / 32 - 1, name=f"y{order}_near", short=short)
    near = near * x - 2 / (pi * x) if order else near
    near = near + 2 / pi * x.log() * _first(x.clamp(min=0), order, short)
    found = choose(x < 8, near, _wave(x.clamp(min=8), order, True, short))
    return choose(x == 0, -inf, found)


def j0(x, short):
    """The Bessel function of the first kind and order 0; nan at ±inf, as in PyTorch."""
    return choose(abs(x) == inf, nan, _first(abs(x), 0, short))


def j1(x, short):
    """The Bessel function of the first kind and order 1; nan at ±inf, as in PyTorch."""
    found = _first(abs(x), 1, short)
    return choose(abs(x) == inf, nan, choose(x < 0, -found, found))


def y0(x, short):
    """The Bessel function of the second kind and order 0; nan at ±inf, as in PyTorch."""
    return choose(abs(x) == inf, nan, _second(x, 0, short))


def y1(x, short):
    """The Bessel function of the second kind and order 1; nan at ±inf, as in PyTorch."""
    return choose(abs(x) == inf, nan, _second(x, 1, short))


def i0(x, short):
    """``formulas.i0``, but nan at ±inf, as in PyTorch."""
    return choose(abs(x) == inf, nan, formulas.i0(x, short))


def i1(x, short):
    """``formulas.i1``, but nan at ±inf, as in PyTorch."""
    return choose(abs(x) == inf, nan, formulas.i1(x, short))


def _third(x, order, scaled, short):
    """K of x, times e^x if ``scaled``; nan below 0."""
    small = x.clamp(max=2)
    near = series(small * small / 2 - 1, name=f"k{order}_near", short=short)
    if order:
        near = near / small + (small / 2).log() * formulas.i1(small, short)
    else:
        near = near - (small / 2).log() * formulas.i0(small, short)
    large = x.clamp(min=2)
    far = series(4 / large - 1, name=f"k{order}_far", short=short) / large.sqrt()
    near, far = (near * small.exp(), far) if scaled else (near, far * (-large).exp())
    found = choose(x <= 2, near, far)
    return choose(x == 0, inf, choose(x < 0, nan, found))


def k0(x, short):
    """The modified Bessel function of the second kind and order 0."""
    return _third(x, 0, False, short)


def k1(x, short):
    """The modified Bessel function of the second kind and order 1."""
    return _third(x, 1, False, short)


def k0e(x, short):
    """``k0`` times e^x."""
    return _third(x, 0, True, short)


def k1e(x, short):
    """``k1`` times e^x."""
    return _third(x, 1, True, short)


def airy(x, short):
    """The Airy function Ai; nan at ±inf, as in PyTorch."""
    near = series((x.clamp(-8, 2) + 3) / 5, name="airy_near", short=short)
    size = choose(x < 0, x.clamp(max=-8), x.clamp(min=2)).abs()
    zeta = size * size.sqrt() * (2 / 3)
    high = series(2 * _ZETA / zeta - 1, name="airy_far", short=short) * (-zeta).exp() / 2
    t = 2 * (8 * _ZETA / zeta).square() - 1  # ζ of 8 is 8 times ζ of 2
    sine = series(t, name="airy_sine", short=short)
    cosine = series(t, name="airy_cosine", short=short) / zeta
    s, c = (zeta.sin() + zeta.cos()) * sqrt(0.5), (zeta.cos() - zeta.sin()) * sqrt(0.5)
    far = choose(x < 0, s * sine - c * cosine, high) / (sqrt(pi) * size.sqrt().sqrt())
    found = choose((x > -8) & (x < 2), near, far)
    return choose(abs(x) == inf, nan, found)
