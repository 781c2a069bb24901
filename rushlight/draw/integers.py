"""Random integers: ``randint``, ``random_``.

In the list, w is a 32-bit word and d is a 64-bit draw: two words, of which the first is the high
half.

- with both bounds: from + w mod (to - from). From to - from = 2^28 on, d is used in place of w,
  because PyTorch limits the bias of the remainder this way. For a floating dtype the bounds are
  first moved inwards to numbers that the dtype can represent.
- without bounds: w mod 2 for bool. Other dtypes take w modulo their largest value + 1, and floating
  dtypes modulo 2^digits + 1. int64 and float64 use d in place of w.
- from -2^63 without an upper bound: d, read as a signed number.

Source: ATen/native/DistributionTemplates.h of PyTorch 2.13 for the bounds; live PyTorch.
"""

import warnings

import numpy as np

from rushlight.draw.words import (
    BF16,
    BOOL,
    DIGITS,
    F32,
    F64,
    INTEGERS,
    LARGEST,
    UNSIGNED,
    in_chunks,
    refuse,
    to_dtype,
)
from rushlight.dtype import of as torch_dtype

__all__ = ["full_range", "integers", "whole_size"]

I64, U64 = np.dtype(np.int64), np.dtype(np.uint64)
LOWEST, HIGHEST = -(2**63), 2**63 - 1
# PyTorch's bounds are int64: it does not draw from all of uint64.
LIMITS = {
    d: (int(np.iinfo(d).min), min(int(np.iinfo(d).max), HIGHEST)) for d in INTEGERS + UNSIGNED
}
LIMITS[BOOL] = (0, 1)
FEW = 512  # below this count, NumPy's slow remainder beats a division, product and difference


def integers(generator, count, dtype, low, high):
    """Draw integers from [low, high), or from low to the dtype's largest value if high is None.

    Raises:
        RuntimeError: the range is empty, or the dtype cannot hold a bound.
        NotImplementedError: the range is all of int64, and ``dtype`` is not a signed integer,
            uint8, float32, float64 or bfloat16.
    """
    if high is None and low == LOWEST:
        return _any_64_bits(generator, count, dtype)
    low, size = _range(dtype, low, high)
    if count == 0:
        return np.empty(0, dtype)
    with generator.lock:
        return in_chunks(lambda n: _integers(generator, n, dtype, low, size), count, dtype)


def _integers(generator, count, dtype, low, size):
    if size >= 1 << 28:
        draws = _modulo(generator.double_words(count), size)
        draws += np.uint64(low % 2**64)  # two's complement: wraps as C's does
        return to_dtype(draws.view(np.int64), dtype)
    draws = _modulo(generator.words(count), size)
    if dtype.kind in "iu" and dtype.itemsize == 4 and low == 0:
        return draws.astype(dtype)
    draws = draws.astype(np.int64)
    if low:
        draws += low
    return to_dtype(draws, dtype)


def _modulo(draws, size):
    """Return draws mod size.

    NumPy divides by a constant with SIMD instructions, but it computes remainders one by one.
    Many remainders are therefore computed by way of the quotients.
    """
    if size == 2**64:
        return draws
    if size & (size - 1) == 0:
        draws &= np.array(size - 1, draws.dtype)
        return draws
    size = np.array(size, draws.dtype)
    if len(draws) < FEW:
        draws %= size
        return draws
    quotient = draws // size
    quotient *= size
    draws -= quotient
    return draws


def _any_64_bits(generator, count, dtype):
    if count and dtype not in (I64, F64, F32, BF16):
        if dtype not in INTEGERS:
            refuse("random_", dtype)
        raise RuntimeError(f"random_: {torch_dtype(dtype)} does not hold the full range of int64")
    with generator.lock:
        return to_dtype(generator.double_words(count).view(np.int64), dtype)


def full_range(generator, count, dtype):
    """Draw integers from 0 to the dtype's largest value.

    For a floating dtype the largest value is 2^digits, up to which the dtype holds every integer.

    Raises:
        NotImplementedError: ``dtype`` is complex, uint16, uint32 or uint64.
    """
    if count == 0:
        return np.empty(0, dtype)
    size = whole_size(dtype)
    draw = generator.double_words if dtype in (I64, F64) else generator.words
    with generator.lock:
        return in_chunks(
            lambda n: to_dtype(_modulo(draw(n), size).astype(np.int64), dtype), count, dtype
        )


def whole_size(dtype):
    """The number of integers from 0 to the dtype's largest value; see ``full_range``."""
    if dtype == BOOL:
        return 2
    if dtype in DIGITS:
        return 2 ** DIGITS[dtype] + 1
    if dtype not in INTEGERS:
        refuse("random_", dtype)
    return np.iinfo(dtype).max + 1


def _range(dtype, low, high):
    """Return (first integer, number of integers) of the range of ``random_(low, high)``."""
    for bound in (low, 0 if high is None else high):
        if not LOWEST <= bound <= HIGHEST:
            raise ValueError(f"random_: {bound} does not fit into 64 bits")
    if high is not None and low >= high:
        raise RuntimeError(f"random_: expects from < to, but got from={low} >= to={high}")
    if dtype in DIGITS:
        low, last = _float_range(dtype, low, high)
        smallest, greatest = -LARGEST[dtype], LARGEST[dtype]
    elif dtype in LIMITS:
        smallest, greatest = LIMITS[dtype]
        last = high - 1 if high is not None else greatest if dtype != U64 else -1
    else:
        raise RuntimeError(f"random_: no random integers of {torch_dtype(dtype)}")
    for name, bound in (("from", low), ("to - 1", last)):
        if not smallest <= bound <= greatest:
            raise RuntimeError(
                f"random_: {name} = {bound} is out of bounds for {torch_dtype(dtype)} "
                f"[{smallest}, {greatest}]"
            )
        if dtype in DIGITS and abs(bound) > 1 << DIGITS[dtype]:
            warnings.warn(
                f"random_: {name} = {bound} is outside ±2^{DIGITS[dtype]}: {torch_dtype(dtype)} "
                "does not hold every integer of this range",
                UserWarning,
                stacklevel=4,
            )
    return low, last - low + 1


def _float_range(dtype, low, high):
    """Return (first, last) integer: the bounds, moved inwards so that rounding stays inside."""
    digits = DIGITS[dtype]
    above = _rounded(low + 1, dtype)
    if above < low:
        low = above + (1 << (abs(low + 1).bit_length() - digits))
    if high is None:
        last = 1 << digits
        if low >= last:
            raise RuntimeError(
                f"random_: expects from, rounded to {torch_dtype(dtype)}, below {last}; got {low}"
            )
        return low, last
    below = _rounded(high - 1, dtype)
    if below >= high:
        high = below - (1 << (abs(high - 1).bit_length() - digits))
    if low >= high:
        raise RuntimeError(
            f"random_: expects from < to when rounded to {torch_dtype(dtype)}, but got from={low} "
            f">= to={high}"
        )
    return low, high - 1


def _rounded(n, dtype):
    if abs(n) <= 1 << DIGITS[dtype]:
        return n
    with np.errstate(over="ignore"):
        value = float(to_dtype(np.array([n], np.int64), dtype)[0])
    return int(value) if LOWEST <= value <= HIGHEST and value < 2.0**63 else LOWEST
