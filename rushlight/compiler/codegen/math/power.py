"""Powers and lengths."""

import numpy as np

from rushlight.compiler.codegen.control import repeat_while
from rushlight.compiler.codegen.math.coefficients import ATANH, EXP2, LOG2_E, THIRD
from rushlight.compiler.codegen.math.exponential import log_parts
from rushlight.compiler.codegen.math.floats import (
    choose,
    copysign,
    fma,
    format_of,
    full,
    polynomial,
    scale,
    shifted,
)
from rushlight.compiler.codegen.value import Value, aligned

__all__ = ["hypot", "integer_power", "power"]

INF, NAN = float("inf"), float("nan")
DOUBLE = np.dtype(np.float64)


def power(x, y):
    """x to the power y, of floating-point Values."""
    size = abs(x)
    found = _magnitude(size, y)
    found = choose((size == 1) & (y == y), 1.0, found)  # even if y is infinite
    half = y * 0.5
    is_whole = y.call("llvm.trunc") == y
    is_odd = is_whole & (half.call("llvm.trunc") != half)
    found = choose(is_odd, copysign(found, x), found)
    found = choose((x < 0) & (x > -INF) & ~is_whole & (y == y), full(x, NAN), found)
    return choose((x == 1) | (y == 0), 1.0, found)


def _magnitude(size, y):
    """size^y as 2^(y log2 size).

    The exponent is the sum of two floats, because the bits before its point would otherwise be
    missing after the point.
    """
    high, low = _precise_log2(size)
    high = choose(size == 0, -INF, choose(size < INF, high, size))
    product = y * high
    limit = format_of(y).bias * 1.2
    rest = choose(abs(product) < limit, fma(y, high, -product) + y * low, 0.0)
    product = choose(product > limit, limit, choose(product < -limit, -limit, product))
    t, n = shifted(product)
    r = (product - n) + rest
    return scale(fma(r, polynomial(r, EXP2[y.dtype]), 1), t)


def _precise_log2(x):
    """log2 of a positive number as the sum of two.

    With x = 2^n (1 + f) and s = f / (2 + f), it is n + 2/ln 2 · s · (1 + s²/3 + s⁴ P(s²)). All but
    the small last term is computed as the sum of a rounded number and its rounding error.
    """
    n, f = log_parts(x)
    bottom = f + 2
    inverse = 1 / bottom
    s = f * inverse
    s_low = (fma(-s, bottom, f) - s * (f - (bottom - 2))) * inverse
    z = s * s
    z_low = fma(s, s, -z) + (s + s) * s_low
    third = z * THIRD[x.dtype][0]
    third_low = fma(z, THIRD[x.dtype][0], -third) + fma(z, THIRD[x.dtype][1], z_low * (1 / 3))
    term = z * z * polynomial(z, ATANH[x.dtype])
    more = third + term
    more_low = (third - more) + term + third_low
    product = s * more
    product_low = fma(s, more, -product) + fma(s, more_low, s_low * more)
    total = s + product
    total_low = (s - total) + product + (product_low + s_low)
    factor, factor_low = (2 * part for part in LOG2_E[x.dtype])
    scaled = total * factor
    scaled_low = fma(total, factor, -scaled) + fma(total, factor_low, total_low * factor)
    high = n + scaled
    return high, (n - high) + scaled + scaled_low


def integer_power(x, y):
    """x to the power y ≥ 0, of integers, by repeated squaring."""
    if isinstance(y, Value):
        x, y = aligned(y.b, (x, y), y.dtype)
        step = lambda found, x, y: (choose((y & 1) != 0, found * x, found), x * x, y >> 1)
        return repeat_while(lambda found, x, y: y != 0, step, (full(x, 1), x, y))[0]
    found, y = full(x, 1), int(y)
    while y:
        if y & 1:
            found = found * x
        x, y = x * x, y >> 1
    return found


def hypot(x, y):
    """√(x² + y²), computed without overflow of the squares."""
    if x.dtype.itemsize == 4:
        a, b = x.astype(DOUBLE), y.astype(DOUBLE)
        found = fma(a, a, b * b).call("llvm.sqrt").astype(x.dtype)
    else:
        larger, smaller = abs(x), abs(y)
        larger, smaller = (choose(larger > smaller, u, v) for u, v in
                           ((larger, smaller), (smaller, larger)))  # fmt: skip
        up, down = larger < 2.0**-450, larger > 2.0**500
        factor = choose(up, 2.0**600, choose(down, 2.0**-600, full(x, 1)))
        back = choose(up, 2.0**-600, choose(down, 2.0**600, full(x, 1)))
        larger, smaller = larger * factor, smaller * factor
        found = fma(larger, larger, smaller * smaller).call("llvm.sqrt") * back
    return choose((abs(x) == INF) | (abs(y) == INF), INF, found)
