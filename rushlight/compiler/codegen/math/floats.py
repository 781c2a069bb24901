"""The building blocks of the mathematical functions: parts of a float, polynomials, selection."""

from typing import NamedTuple

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.value import (
    Value,
    aligned,
    constant,
    intrinsic,
    lane_numbers,
    select,
)  # fmt: skip
from rushlight.compiler.ir.machine import machine

__all__ = [
    "Format", "choose", "copysign", "fma", "format_of", "full", "horner", "nextafter",
    "polynomial", "power_of_two", "scale", "shifted", "whole",
]  # fmt: skip


class Format(NamedTuple):
    """The layout of a floating-point dtype.

    Attributes:
        integer: The signed integer dtype of the same size.
        mantissa: The number of bits of the fraction.
        bias: The number that is added to the exponent.
        tiny: The smallest normal number.
        round: Adding this number rounds x to a whole number, whose bits are the sum's low bits.
        round_bits: The bits of ``round``.
    """

    integer: np.dtype
    mantissa: int
    bias: int
    tiny: float
    round: float
    round_bits: int


FORMATS = {
    np.dtype(np.float32): Format(np.dtype(np.int32), 23, 127, 2.0**-126, 1.5 * 2.0**23, 0x4B400000),
    np.dtype(np.float64): Format(
        np.dtype(np.int64), 52, 1023, 2.0**-1022, 1.5 * 2.0**52, 0x4338000000000000
    ),
}


def format_of(x):
    """The ``Format`` of a floating-point Value."""
    return FORMATS[x.dtype]


def fma(x, y, z):
    """x · y + z, rounded once; Values or numbers, at least one a Value."""
    first = next(v for v in (x, y, z) if isinstance(v, Value))
    x, y, z = aligned(first.b, (x, y, z), first.dtype)
    return x.call("llvm.fma", y, z)


def choose(condition, x, y):
    """``x`` where the condition holds, else ``y``; one of the two may be a Python number."""
    first = x if isinstance(x, Value) else y
    return select(condition, *aligned(first.b, (x, y), first.dtype))


def full(x, number):
    """``number`` in the dtype and lanes of ``x``."""
    return constant(x.b, number, x.dtype, x.lanes)


def copysign(size, sign):
    """|size| with the sign bit of ``sign``."""
    size, sign = aligned(sign.b, (size, sign), sign.dtype)
    return size.call("llvm.copysign", sign)


def polynomial(x, coefficients):
    """Σ coefficients[k] x^k.

    With 8 coefficients or more, even and odd powers are summed side by side. That halves the chain
    of steps in which each waits for the step before.
    """
    if len(coefficients) < 8:
        return horner(x, coefficients)
    square = x * x
    return fma(horner(square, coefficients[1::2]), x, horner(square, coefficients[::2]))


def horner(x, coefficients):
    """``polynomial`` in one chain of steps, which is more precise where terms cancel."""
    *rest, found = coefficients
    for c in reversed(rest):
        found = fma(x, found, c)
    return found


def shifted(x):
    """(t, n): n is the whole number nearest to x, and the low bits of t are those of n."""
    t = x + format_of(x).round
    return t, t - format_of(x).round


def whole(t):
    """The whole number in the low bits of ``t``, as an integer Value: see ``shifted``."""
    form = format_of(t)
    return t.bits(form.integer) - form.round_bits


def power_of_two(n, dtype):
    """2^n for an integer Value whose result is a normal number."""
    form = FORMATS[dtype]
    return ((n + form.bias) << form.mantissa).bits(dtype)


def scale(x, t):
    """x · 2^n with n in the low bits of ``t`` (see ``shifted``); the result may be 0 or infinite.

    2^n itself may be out of range, so x is multiplied by two factors; only the last product is
    rounded. Some processors have an instruction for this.
    """
    form = format_of(x)
    size = 64 // x.dtype.itemsize
    if x.lanes % size == 0 and machine().scales:
        return Value(x.b, _scalef(x.b, x.v, (t - form.round).v, size, x.dtype), x.dtype)
    n = whole(t)
    half = n >> 1
    return x * power_of_two(half, x.dtype) * power_of_two(n - half, x.dtype)


def _scalef(b, x, n, size, dtype):
    """AVX-512's scalef instruction for vectors of ``size`` lanes; longer vectors are halved."""
    count = x.type.count
    if count > size:
        halves = [range(count // 2), range(count // 2, count)]
        part = lambda v, half: b.shuffle_vector(v, v, lane_numbers(half))
        found = [_scalef(b, part(x, half), part(n, half), size, dtype) for half in halves]
        return b.shuffle_vector(*found, lane_numbers(range(count)))
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if dtype.itemsize == 4 else 'pd'}.512"
    return intrinsic(b, name, x.type, [x, n, x, ir.IntType(size)(-1), ir.IntType(32)(4)])


def nextafter(x, y):
    """The number next to ``x`` in the direction of ``y``."""
    integer = format_of(x).integer
    bits = x.bits(integer)
    away = (y > x) == (x > 0)
    bits = select(away, bits + 1, bits - 1)
    # The neighbour of 0 is the smallest denormal number with the sign of y.
    least = constant(x.b, 1, integer) | (y.bits(integer) & np.iinfo(integer).min)
    bits = select(x == 0, least, bits)
    found = select(x == y, y, bits.bits(x.dtype))
    return select((x == x) & (y == y), found, x + y)
