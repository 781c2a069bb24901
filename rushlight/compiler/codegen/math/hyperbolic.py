"""The hyperbola's functions and their inverses."""

from rushlight.compiler.codegen.math.coefficients import LN2, SINH, TANH
from rushlight.compiler.codegen.math.exponential import exp_parts, log1p
from rushlight.compiler.codegen.math.floats import (
    choose,
    copysign,
    fma,
    format_of,
    full,
    polynomial,
    power_of_two,
    scale,
)

__all__ = ["acosh", "asinh", "atanh", "cosh", "sinh", "tanh"]

_OVERFLOW = {4: 90.0, 8: 711.0}
_SATURATED = {4: 10.0, 8: 20.0}  # tanh is 1 from here on
_LARGE = {4: 2.0**40, 8: 2.0**200}  # long before here, acosh and asinh are equal to log(2x)
NAN = float("nan")


def _half_exp(size):
    """e^size / 2 for size ≥ 0, finite wherever sinh and cosh are."""
    limit = _OVERFLOW[size.dtype.itemsize]
    q, t = exp_parts(choose(size > limit, limit, size))
    return scale(q + 1, t - 1)


def sinh(x):
    """(e^x - e^-x) / 2."""
    size = abs(x)
    half = _half_exp(size)
    z = x * x
    small = fma(size * z, polynomial(z, SINH[x.dtype]), size)
    return copysign(choose(size < 1, small, half - 0.25 / half), x)


def cosh(x):
    """(e^x + e^-x) / 2."""
    half = _half_exp(abs(x))
    return half + 0.25 / half


def tanh(x):
    """sinh(x) / cosh(x)."""
    size = abs(x)
    limit = _SATURATED[x.dtype.itemsize]
    q, t = exp_parts(choose(size > limit, limit, size) * 2)
    large = 1 - 2 / fma(q + 1, power_of_two(t.bits(format_of(x).integer), x.dtype), 1)
    z = x * x
    small = fma(size * z, polynomial(z, TANH[x.dtype]), size)
    return copysign(choose(size < 0.6, small, large), x)


def asinh(x):
    """The number whose sinh is x."""
    size = abs(x)
    square = x * x
    far = size > _LARGE[x.dtype.itemsize]
    u = choose(far, size, size + square / (1 + (square + 1).call("llvm.sqrt")))
    return copysign(log1p(u) + choose(far, LN2[x.dtype][0], full(x, 0)), x)


def acosh(x):
    """The number ≥ 0 whose cosh is x."""
    far = x > _LARGE[x.dtype.itemsize]
    t = x - 1
    root = fma(t, t, t + t).call("llvm.sqrt")
    u = t + root
    lost = ((root - u) + t) / (1 + u)  # what the rounding of u takes off the logarithm
    found = log1p(choose(far, x, u)) + choose(far, LN2[x.dtype][0], lost)
    return choose(x >= 1, found, NAN)


def atanh(x):
    """The number whose tanh is x."""
    size = abs(x)
    ratio, double = size / (1 - size), size + size
    return copysign(log1p(choose(size < 0.5, fma(double, ratio, double), ratio + ratio)) * 0.5, x)
