"""The circle's functions and their inverses."""

from math import pi

import numpy as np

from rushlight.compiler.codegen.control import where_any
from rushlight.compiler.codegen.math.coefficients import ASIN, ATAN, COS, HALF_PI, SIN, TAN
from rushlight.compiler.codegen.math.floats import (
    choose,
    copysign,
    fma,
    format_of,
    full,
    polynomial,
)  # fmt: skip
from rushlight.compiler.codegen.math.large import reduce_large
from rushlight.compiler.ir.machine import machine

__all__ = ["acos", "asin", "atan", "atan2", "cos", "sin", "sinc", "tan"]

INF, NAN = float("inf"), float("nan")
# Up to here, subtracting n · π/2 with π/2 in three parts is precise enough.
_NEAR = {4: 1e5, 8: 1e9}


# Angles -----------------------------------------------------------------------------------


def _reduced(x):
    """(q, r, rest): x = q · π/2 + r + rest with |r| ≤ π/4; only the low two bits of q matter."""
    first, second, third = HALF_PI[x.dtype]
    t = fma(x, 2 / pi, format_of(x).round)
    n = t - format_of(x).round
    start = fma(n, -first, x)  # exact
    product = n * second
    r = start - product
    moved = r - start
    lost = (start - (r - moved)) - (product + moved)  # what that difference rounded away
    rest = lost - fma(n, second, -product) - n * third
    q = t.bits(format_of(x).integer)
    far = (abs(x) > _NEAR[x.dtype.itemsize]) & (abs(x) < INF)
    return where_any(far, (q, r, rest), lambda *near: _far(x, far, near))


def _far(x, far, near):
    q, r, rest = reduce_large(x)
    found = (q.astype(near[0].dtype), r.astype(x.dtype), None)
    # The error of rounding r to the dtype is added to the rest.
    rest = ((r - found[1].astype(np.float64)) + rest).astype(x.dtype)
    return [choose(far, new, old) for new, old in zip((*found[:2], rest), near, strict=True)]


def _sine(x, quarter):
    """sin(x + quarter · π/2)."""
    q, r, rest = _reduced(x)
    z = r * r
    sine = r + fma(r * z, polynomial(z, SIN[x.dtype]), rest)
    cosine = fma(z * z, polynomial(z, COS[x.dtype]), fma(z, -0.5, 1) - r * rest)
    q = q + quarter
    bits = choose((q & 1) == 0, sine, cosine).bits(q.dtype)
    return (bits ^ ((q & 2) << (q.dtype.itemsize * 8 - 2))).bits(x.dtype)


def sin(x):
    """The sine of x radians."""
    if not machine().wide:
        return x.call("llvm.sin")
    return choose(x == 0, x, _sine(x, 0))  # keeps -0


def cos(x):
    """The cosine of x radians."""
    if not machine().wide:
        return x.call("llvm.cos")
    return _sine(x, 1)


def tan(x):
    """The tangent of x radians."""
    if not machine().wide:
        return x.call("llvm.tan")
    q, r, rest = _reduced(x)
    z = r * r
    t = r + fma(r * z, polynomial(z, TAN[x.dtype]), fma(z, rest, rest))
    return choose(x == 0, x, choose((q & 1) == 0, t, -1 / t))


def sinc(x):
    """sin(πx) / πx, 1 at 0."""
    y = x * pi
    return choose(x == 0, 1.0, sin(y) / y)


# Inverses ---------------------------------------------------------------------------------


def _arcsine(x):
    """(far, s): asin(|x|) is s, or π/2 - 2s where ``far``."""
    size = abs(x)
    far = size > 0.5405  # at this limit s is just below 1/2, so 2s is as precise as possible
    z = choose(far, (1 - size) * 0.5, size * size)
    s = choose(far, z.call("llvm.sqrt"), size)
    return far, s, fma(s * z, polynomial(z, ASIN[x.dtype]), s)


def asin(x):
    """The angle in [-π/2, π/2] whose sine is x."""
    high, low, _ = HALF_PI[x.dtype]
    far, _, s = _arcsine(x)
    return copysign(choose(far, fma(s, -2, low) + high, s), x)


def acos(x):
    """The angle in [0, π] whose cosine is x."""
    high, low, _ = HALF_PI[x.dtype]
    far, _, s = _arcsine(x)
    middle = (low - copysign(s, x)) + high
    negative = fma(s, -2, 2 * low) + 2 * high
    return choose(far, choose(x > 0, s + s, negative), middle)


def _ratio(y, x, high, low):
    """atan(y / x) for y, x ≥ 0, from an angle whose tangent is at most 1/2 in size."""
    steep = y > x * 2
    flat = y <= x * 0.5
    top = choose(flat, y, choose(steep, -x, y - x))
    bottom = choose(flat, x, choose(steep, y, y + x))
    t = top / bottom
    z = t * t
    angle = fma(t * z, polynomial(z, ATAN[y.dtype]), t)
    part = choose(flat, 0.0, choose(steep, full(t, 1), 0.5))
    return fma(part, high, fma(part, low, angle))


def atan(x):
    """The angle in [-π/2, π/2] whose tangent is x."""
    high, low, _ = HALF_PI[x.dtype]
    return copysign(_ratio(abs(x), full(x, 1), high, low), x)


def atan2(y, x):
    """The angle in [-π, π] of the point (x, y)."""
    high, low, _ = HALF_PI[x.dtype]
    up, right = abs(y), abs(x)
    both = (up == INF) & (right == INF)
    huge = 2.0 ** (format_of(x).bias - 2)
    shrink = choose((up > huge) | (right > huge), 0.25, full(x, 1))  # their sum could overflow
    angle = _ratio(choose(both, 1.0, up * shrink), choose(both, 1.0, right * shrink), high, low)
    angle = choose(up == 0, 0.0, angle)
    left = x.bits(format_of(x).integer) < 0
    angle = choose(left, (2 * low - angle) + 2 * high, angle)
    return choose((x == x) & (y == y), copysign(angle, y), NAN)
