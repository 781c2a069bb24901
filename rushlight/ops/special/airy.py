"""The Airy function Ai by its power series and its asymptotic series, for kernels and far away.

In float64 the power series loses digits where its terms cancel, so it serves float32 only. SciPy
gives nan from about -10⁷ downwards and from some large number upwards.

Source: NIST Digital Library of Mathematical Functions, 9.4.1, 9.7.5 and 9.7.9.
"""

from math import gamma, pi, sqrt

from rushlight.dtype import float32, float64
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.elementwise.exponential import full_precision

__all__ = ["airy_lowering", "far"]

#: Between these numbers the power series is precise, beyond them the asymptotic one.
_LOW, _HIGH = -6.0, 5.6
_TERMS = 22
#: The power series is f(x³) + x g(x³).
_F, _G = [3 ** (-2 / 3) / gamma(2 / 3)], [-(3 ** (-1 / 3)) / gamma(1 / 3)]
for _k in range(3, 3 * _TERMS, 3):
    _F.append(_F[-1] / (_k * (_k - 1)))
    _G.append(_G[-1] / (_k * (_k + 1)))
#: The coefficients of the asymptotic series in 1 / ζ, with ζ = 2/3 |x|^1.5.
_U = [1.0]
for _k in range(1, 13):
    _U.append(_U[-1] * (6 * _k - 5) * (6 * _k - 3) * (6 * _k - 1) / (216 * _k * (2 * _k - 1)))


def _polynomial(x, coefficients):
    found = x * 0 + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        found = found * x + c
    return found


def far(xp, x):
    """Ai(x) for x far from 0. It is nan for infinite x, as in PyTorch."""
    size = xp.abs(x)
    root = xp.sqrt(size)
    zeta = size * root * (2 / 3)
    inverse = 1 / zeta
    square = -inverse * inverse
    falling = 0.5 * xp.exp(-zeta) * _polynomial(-inverse, _U)
    cosine, sine = _polynomial(square, _U[1::2]) * inverse, _polynomial(square, _U[::2])
    wave = xp.sin(zeta + pi / 4) * sine - xp.cos(zeta + pi / 4) * cosine
    found = xp.where(x < 0, wave, falling) / (sqrt(pi) * xp.sqrt(root))
    return xp.where(size == xp.inf, xp.nan, found)


@elementwise(public=False, method=False, inplace=False, dtype=full_precision, name="airy_series")
def _series(xp, x):
    """Ai of float64 numbers, to the precision of float32."""
    inner = xp.maximum(xp.minimum(x, _HIGH), _LOW)
    cube = inner * inner * inner
    near = _polynomial(cube, _F) + inner * _polynomial(cube, _G)
    # The asymptotic series of numbers near 0 would divide by 0.
    outer = xp.where(x < 0, xp.minimum(x, _LOW), xp.maximum(x, _HIGH))
    return xp.where((x > _LOW) & (x < _HIGH), near, far(xp, outer))


def airy_lowering(x):
    """SciPy computes float64, and integers as float32."""
    return _series(x.to(float64)).to(float32) if x.dtype is float32 else NotImplemented
