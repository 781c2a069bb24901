"""Exponentials and logarithms."""

from rushlight.compiler.codegen.math.coefficients import (
    EXP2,
    EXPM1,
    LN2,
    LOG1P,
    LOG2_E,
    LOG10_2,
    LOG10_E,
)  # fmt: skip
from rushlight.compiler.codegen.math.floats import (
    choose,
    copysign,
    fma,
    format_of,
    full,
    polynomial,
    power_of_two,
    scale,
    shifted,
    whole,
)  # fmt: skip

__all__ = [
    "exp", "exp2", "exp_parts", "expm1", "log", "log10", "log1p", "log2", "log_parts",
    "logaddexp", "logaddexp2",
]  # fmt: skip

INF, NAN = float("inf"), float("nan")
# Bytes of a float → (low, high): exp is 0 and expm1 is -1 below low; both are infinite above high.
_EXP_RANGE = {4: (-104.0, 89.0), 8: (-746.0, 710.0)}
_EXPM1_RANGE = {4: (-20.0, 89.0), 8: (-40.0, 710.0)}
_EXP2_RANGE = {4: (-151.0, 129.0), 8: (-1076.0, 1025.0)}


def _within(x, ranges):
    """x clamped to the range of its dtype; nan stays nan."""
    low, high = ranges[x.dtype.itemsize]
    x = choose(x > high, high, x)
    return choose(x < low, low, x)


# Exponentials -----------------------------------------------------------------------------


def _reduced(x):
    """(t, n, r, rest): x = n ln 2 + r + rest; t holds n in its bits."""
    high, low = LN2[x.dtype]
    t = fma(x, LOG2_E[x.dtype][0], format_of(x).round)
    n = t - format_of(x).round
    start = fma(n, -high, x)
    r = fma(n, -low, start)
    return t, n, r, fma(n, -low, start - r)


def exp_parts(x):
    """(q, t): e^x = (1 + q) · 2^n; t holds n in its bits."""
    t, _, r, _ = _reduced(x)
    return fma(r * r, polynomial(r, EXPM1[x.dtype]), r), t


def exp(x):
    """e^x."""
    q, t = exp_parts(_within(x, _EXP_RANGE))
    return scale(q + 1, t)


def exp2(x):
    """2^x."""
    x = _within(x, _EXP2_RANGE)
    t, n = shifted(x)
    r = x - n
    return scale(fma(r, polynomial(r, EXP2[x.dtype]), 1), t)


def expm1(x):
    """e^x - 1."""
    t, n, r, rest = _reduced(_within(x, _EXPM1_RANGE))
    q = r + fma(r * r, polynomial(r, EXPM1[x.dtype]), rest)
    half = power_of_two(whole(t) - 1, x.dtype)  # 2^n itself may be out of range
    found = fma(q, half, half - 0.5)
    return copysign(choose(n == 0, q, found + found), x)


# Logarithms -------------------------------------------------------------------------------

_ROOT_HALF = {4: 0x3F3504F3, 8: 0x3FE6A09E667F3BCD}  # the bits of √½


def _exponent(x):
    """n such that √½ ≤ x / 2^n < √2, for positive normal x."""
    form = format_of(x)
    return (x.bits(form.integer) - _ROOT_HALF[x.dtype.itemsize]) >> form.mantissa


def _divided(x, n):
    """x / 2^n, by taking n from the exponent."""
    form = format_of(x)
    return (x.bits(form.integer) - (n << form.mantissa)).bits(x.dtype)


def log_parts(x):
    """(n, f): x = 2^n · (1 + f), for positive finite x, denormal ones included; n is a float."""
    form = format_of(x)
    denormal = x < form.tiny
    up = form.mantissa + 1
    x = choose(denormal, x * 2.0**up, x)
    n = _exponent(x)
    f = _divided(x, n) - 1
    return n.astype(x.dtype) - choose(denormal, float(up), full(f, 0)), f


def _tail(f):
    """t such that log(1 + f) = f + t."""
    return f * f * fma(f, polynomial(f, LOG1P[f.dtype]), -0.5)


def _logarithm(n, f):
    """log(2^n · (1 + f))."""
    high, low = LN2[f.dtype]
    return fma(n, high, f + fma(n, low, _tail(f)))


def _at_the_ends(found, x):
    """``found`` for positive finite x, -inf at 0, nan below and for nan, inf for inf."""
    found = choose(x < INF, found, x)
    return choose(x > 0, found, choose(x == 0, -INF, full(x, NAN)))


def log(x):
    """The natural logarithm."""
    return _at_the_ends(_logarithm(*log_parts(x)), x)


def _scaled_logarithm(n, f, factor, unit):
    """(n ln 2 + log(1 + f)) · factor, where ``unit`` = ln 2 · factor, or None if that is 1.

    Both are given in parts that add up to them.
    """
    tail = _tail(f)
    rounded = f + tail
    rest = (f - rounded) + tail
    low = fma(rest, factor[0], rounded * factor[1])
    if unit is not None:
        low = fma(n, unit[1], low)
        return fma(n, unit[0], fma(rounded, factor[0], low))
    return n + fma(rounded, factor[0], low)


def log2(x):
    """The logarithm to base 2."""
    n, f = log_parts(x)
    return _at_the_ends(_scaled_logarithm(n, f, LOG2_E[x.dtype], None), x)


def log10(x):
    """The logarithm to base 10."""
    n, f = log_parts(x)
    return _at_the_ends(_scaled_logarithm(n, f, LOG10_E[x.dtype], LOG10_2[x.dtype]), x)


def log1p(x):
    """log(1 + x).

    From 1 + x = 2^n (1 + f) follows f = 2^-n x + (2^-n - 1), which is rounded once, relative to f.
    If 2^n is large, the 1 is lost beside x anyway.
    """
    form = format_of(x)
    u = x + 1
    n = _exponent(u)
    shrink = power_of_two(-n, x.dtype)
    f = choose(n > form.mantissa + 2, _divided(u, n) - 1, fma(x, shrink, shrink - 1))
    found = _logarithm(n.astype(x.dtype), f)
    return copysign(_at_the_ends(found, u), x)


def logaddexp(x, y):
    """log(e^x + e^y)."""
    return _sum_of_powers(x, y, lambda gap: log1p(exp(gap)))


def logaddexp2(x, y):
    """log2(2^x + 2^y)."""
    return _sum_of_powers(x, y, lambda gap: log1p(exp2(gap)) * LOG2_E[x.dtype][0])


def _sum_of_powers(x, y, more):
    larger, smaller = choose(x >= y, x, y), choose(x >= y, y, x)
    gap = choose(x == y, 0.0, smaller - larger)  # equal infinities would give nan
    return larger + more(gap)
