"""Quotients and remainders, of floats and of integers, as NumPy defines them."""

import numpy as np

from rushlight.compiler.codegen.control import repeat_while
from rushlight.compiler.codegen.math.floats import choose, copysign, fma
from rushlight.compiler.codegen.value import Value

__all__ = ["floor_divide", "fmod", "gcd", "lcm", "remainder"]

INF, NAN = float("inf"), float("nan")
DOUBLE = np.dtype(np.float64)


# Integers ---------------------------------------------------------------------------------


def _quotient(x, y):
    """Integers x / y, rounded towards 0; 0 if y is 0. The smallest number / -1 is itself."""
    if x.dtype.itemsize < 8:  # float64 is exact here, and processors divide vectors of it
        wide = (x.astype(DOUBLE) / y.astype(DOUBLE)).call("llvm.trunc")
        return choose(y == 0, 0, choose(y == 0, 0.0, wide).astype(np.int64).astype(x.dtype))
    b = x.b
    if x.dtype.kind == "u":
        safe = choose(y == 0, 1, y)
        return choose(y == 0, 0, Value(b, b.udiv(x.v, safe.v), x.dtype))
    # The processor would trap for 0, and for the smallest number by -1.
    safe = choose((y == 0) | (y == -1), 1, y)
    found = Value(b, b.sdiv(x.v, safe.v), x.dtype)
    return choose(y == 0, 0, choose(y == -1, -x, found))


def _rest(x, y):
    """(x modulo y with the sign of x, the quotient); both are 0 if y is 0."""
    quotient = _quotient(x, y)
    return choose(y == 0, 0, x - quotient * y), quotient


# Both -------------------------------------------------------------------------------------


def fmod(x, y):
    """x modulo y, with the sign of x."""
    if x.dtype.kind != "f":
        return _rest(x, y)[0]
    found = _float_rest(abs(x).astype(DOUBLE), abs(y).astype(DOUBLE)).astype(x.dtype)
    return choose((y != 0) & (abs(x) < INF) & (y == y), copysign(found, x), NAN)


def _float_rest(x, d):
    """x modulo d of non-negative float64; the result is arbitrary if the modulus is not defined.

    The remainder of a division, r - trunc(r / d) · d, is exact even if the quotient was rounded,
    but may then be negative. Each step removes 52 bits of the quotient. If the quotient would be
    out of range, the step divides by a multiple of d instead.
    """

    def step(r):
        size, s = abs(r), d
        for _ in range(2):
            s = choose(size * 2.0**-500 >= s * 2.0**500, s * 2.0**500 * 2.0**500, s)
        return (choose(size >= d, fma(-(r / s).call("llvm.trunc"), s, r), r),)

    (r,) = repeat_while(lambda r: (abs(r) >= d) & (d > 0) & (x < INF), step, (x,))
    return choose(r < 0, r + d, r)


def remainder(x, y):
    """x modulo y, with the sign of y."""
    rest = fmod(x, y)
    if x.dtype.kind == "u":
        return rest
    moved = choose((rest < 0) != (y < 0), rest + y, rest)
    if x.dtype.kind != "f":
        return choose(rest == 0, rest, moved)
    return choose(y == 0, rest, choose(rest == 0, copysign(0.0, y), moved))


def floor_divide(x, y):
    """x / y rounded down."""
    if x.dtype.kind != "f":
        rest, quotient = _rest(x, y)
        if x.dtype.kind == "u":
            return quotient
        return choose((rest != 0) & ((rest < 0) != (y < 0)), quotient - 1, quotient)
    rest = fmod(x, y)
    exact = (x - rest) / y
    exact = choose((rest != 0) & ((rest < 0) != (y < 0)), exact - 1, exact)
    down = exact.call("llvm.floor")
    down = choose(exact - down > 0.5, down + 1, down)
    down = choose(exact == 0, copysign(0.0, x / y), down)
    return choose(y == 0, x / y, down)


def gcd(x, y):
    """The greatest common divisor of integers."""
    step = lambda x, y: (choose(y == 0, x, y), choose(y == 0, y, _rest(x, y)[0]))
    return abs(repeat_while(lambda x, y: y != 0, step, (abs(x), abs(y)))[0])


def lcm(x, y):
    """The least common multiple of integers; 0 if one of them is 0."""
    x, y = abs(x), abs(y)
    return _quotient(x, gcd(x, y)) * y
