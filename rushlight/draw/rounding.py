"""Fused multiply-add on arrays: x * a + b with one rounding, as a CPU's FMA does it.

NumPy has no such function. Rounding the product as well would change the last bit of one number in
five.

Source: Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using
rounding to odd, IEEE Transactions on Computers 57 (2008).
"""

import math

import numpy as np

__all__ = ["fma32", "fma64"]

# A float64 significand has 29 bits more than a float32's. A number lies halfway between two float32
# numbers if the first of the 29 bits is 1 and the others are 0.
BELOW_FLOAT, TIE = np.array(2**29 - 1), np.array(2**28)
SPLITTER = 2.0**27 + 1.0  # splits a 53-bit significand (Veltkamp 1968)


def _two_sum(x, y):
    """Return (x + y rounded, the error of the rounding), by Knuth's algorithm."""
    s = x + y
    t = s - x
    return s, (x - (s - t)) + (y - t)


def _split(x):
    t = SPLITTER * x
    high = t - (t - x)
    return high, x - high


def _odd_sum(x, y):
    """Return x + y rounded to odd: an inexact sum gets an odd last bit.

    A later rounding to fewer bits then sees on which side of a tie the exact sum lies.
    """
    s, lost = _two_sum(x, y)
    bits = s.view(np.int64)
    step = np.where((lost > 0) == (s > 0), 1, -1)
    bits += step * ((lost != 0) & (bits & 1 == 0))
    return s


def fma32(x, a, b):
    """Return x * a + b, rounded once, for a float32 array |x| <= 1 and float32 scalars a and b."""
    if b == 0 or math.frexp(a)[0] in (0.5, 0.0):
        return x * a + b  # one of the two operations is exact
    product = x.astype(np.float64)
    product *= float(a)  # exact: at most 48 bits
    s = product + float(b)
    # The sum is rounded to 53 bits and then to 24. This differs from rounding once only if the
    # 53-bit sum lies halfway between two float32 numbers. If |a| is below 1e-20, sums may be
    # subnormal float32 numbers, whose ties have other bits, so all sums are rounded to odd.
    ties = (s.view(np.int64) & BELOW_FLOAT) == TIE
    if abs(a) < 1e-20 or ties.any():
        s = _odd_sum(product, np.float64(b))
    return s.astype(np.float32)


def fma64(x, a, b):
    """Return x * a + b, rounded once, for a float64 array |x| <= 1 and floats a and b."""
    if b == 0 or math.frexp(a)[0] in (0.5, 0.0):
        return x * a + b
    if max(abs(a), abs(b)) > 2.0**900:  # ``_split`` would overflow
        return fma64(x, a * 2.0**-200, b * 2.0**-200) * 2.0**200
    if max(abs(a), abs(b)) < 2.0**-800:  # ``lost`` would be too small for a float64
        found = fma64(x, a * 2.0**200, b * 2.0**200) * 2.0**-200
        # The last factor rounds a subnormal number again. There the sum itself is exact, because
        # both of its terms are multiples of the smallest float64.
        product = x * a
        small = np.maximum(np.abs(found), np.abs(product)) < 2.0**-1021
        return np.where(small, product + b, found)
    product = x * a
    x_high, x_low = _split(x)
    a_high, a_low = _split(a)
    lost = ((x_high * a_high - product) + x_high * a_low + x_low * a_high) + x_low * a_low
    high, low = _two_sum(b, lost)
    top, rest = _two_sum(product, high)
    return top + _odd_sum(low, rest)
