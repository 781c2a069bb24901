"""Continuous variates from a generator's words: uniform, normal and their transforms.

Every function takes ``(generator, count, dtype, *parameters)`` and returns a 1-D array of ``count``
numbers in the order of the generator's stream. For a new tensor the array is only reshaped;
``strides.fill`` writes the numbers into an array that is not contiguous. For complex dtypes, the
real and the imaginary part of each element are drawn one after the other.

In the list, w is a 32-bit word and d is a 64-bit draw: two words, of which the first is the high
half.

- u32 = (w mod 2^24) / 2^24 and u64 = (d mod 2^53) / 2^53 are uniform over [0, 1).
- uniform: fma(u, high - low, low), rounded once. float64 uses u64, the other dtypes use u32.
  A value that rounds to ``high`` becomes ``low``. float16 and bfloat16 round a float32 value.
- normal, 16 or more numbers in contiguous memory: a block of 16 uniforms has 8 pairs (u_j, u_j+8).
  r cos(t) replaces u_j and r sin(t) replaces u_j+8, with r = sqrt(-2 log(1 - u_j)) and
  t = 2 pi u_j+8 (Box and Muller 1958). If 16 does not divide the count, the last 16 numbers are
  made again from 16 further uniforms. float64 uses u64, the other dtypes use u32.
- normal, otherwise: a pair (u, v) of u64 gives r cos(t) and r sin(t) with r = sqrt(-2 log1p(-v))
  and t = 2 pi u. The generator keeps the second number for the next single normal of any dtype.
- log_normal: exp of single normals. exponential: -log1p(-u64) / rate.
  cauchy: median + sigma tan(pi (u64 - 1/2)). geometric: ceil(log(u64) / log1p(-p)).

Source: ATen/native/cpu/DistributionTemplates.h and ATen/core/TransformationHelper.h of PyTorch
2.13 name the transforms. The tests compare every transform with live PyTorch.
"""

import math
from functools import partial

import numpy as np

from rushlight.draw.rounding import fma32, fma64
from rushlight.draw.words import (
    CHUNK,
    F32,
    F64,
    INTEGERS,
    LARGEST,
    doubles,
    floats,
    in_chunks,
    refuse,
    to_dtype,
)
from rushlight.dtype import DTYPES
from rushlight.dtype import of as torch_dtype

__all__ = [
    "below", "cauchy", "check_bounds", "check_geometric", "exponential", "geometric", "log_normal",
    "normal", "require_continuous", "require_positive", "uniform",
]  # fmt: skip

REAL = {d.numpy: d.to_real().numpy for d in DTYPES if d.is_complex}
FEW = 32  # up to this many single normals, Python's math is faster than NumPy
ONE, MINUS_TWO, TWO_PI = (
    {F32: np.array(c, np.float32), F64: np.array(c)} for c in (1.0, -2.0, 2.0 * math.pi)
)
EIGHT = {F32: np.dtype("V32"), F64: np.dtype("V64")}  # eight numbers as one element


def uniform(generator, count, dtype, low=0.0, high=1.0):
    """Draw uniform numbers from [low, high).

    Raises:
        RuntimeError: low > high, or the dtype cannot hold a bound or the width high - low.
        NotImplementedError: ``dtype`` is not floating point or complex.
    """
    if dtype in REAL:
        return uniform(generator, 2 * count, REAL[dtype], low, high).view(dtype)
    if dtype not in LARGEST:
        refuse("uniform_", dtype)
    if low == 0.0 and high == 1.0 and dtype.itemsize > 2:
        make = partial(doubles if dtype == F64 else floats, generator)
    else:
        check_bounds(low, high, dtype)
        between = _uniform64 if dtype == F64 else _uniform32
        make = partial(between, generator, dtype=dtype, low=low, high=high)
    with generator.lock:
        found = generator.by_kernel(count, dtype, low, high) if dtype == F32 else None
        return in_chunks(make, count, dtype) if found is None else found


def check_bounds(low, high, dtype):
    """Raise RuntimeError unless the dtype holds the bounds and the width between them."""
    largest = LARGEST[dtype]
    for name, bound in (("from", low), ("to", high)):
        if not -largest <= bound <= largest:
            raise RuntimeError(
                f"uniform_: {name}={bound} is out of bounds for {torch_dtype(dtype)} (±{largest})"
            )
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    if high - low > largest:
        raise RuntimeError(
            f"uniform_: to - from = {high - low} exceeds {torch_dtype(dtype)}'s largest, {largest}"
        )


def _uniform32(generator, count, dtype, low, high):
    first = np.float32(low)
    values = fma32(floats(generator, count), np.float32(high) - first, first)
    return below(values.astype(dtype, copy=False), low, high)


def _uniform64(generator, count, dtype, low, high):
    return below(fma64(doubles(generator, count), high - low, low), low, high)


def below(values, low, high):
    """``values``, with ``low`` where rounding reached ``high``."""
    reached = values == values.dtype.type(high)
    if type(values) is not np.ndarray:  # a call that will be replayed
        return np.where(reached, values.dtype.type(low), values)
    if reached.any():
        values[reached] = values.dtype.type(low)
    return values


def normal(generator, count, dtype, mean=0.0, std=1.0, contiguous=True):
    """Draw normal numbers; ``contiguous`` says whether the caller's array is contiguous.

    Complex numbers have variance std**2: the real and the imaginary part have half of it each.

    Raises:
        RuntimeError: std is negative or nan.
        NotImplementedError: ``dtype`` is not floating point or complex.
    """
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if count == 0:
        return np.empty(0, dtype)
    if dtype in REAL:
        part = std / math.sqrt(2.0)
        return normal(generator, 2 * count, REAL[dtype], mean, part, contiguous).view(dtype)
    if dtype not in LARGEST:
        refuse("normal_", dtype)
    make = _blocks_of_normals if contiguous and count >= 16 else _scaled_normals
    with generator.lock:
        if std == 1.0 and mean == 0.0:
            return make(generator, count, dtype, mean, std)
        with np.errstate(over="ignore", invalid="ignore"):
            return make(generator, count, dtype, mean, std)


def _scaled_normals(generator, count, dtype, mean, std):
    values = _single_normals(generator, count)
    if std != 1.0 or mean != 0.0:
        values = values * std + mean
    return to_dtype(values, dtype)


def _blocks_of_normals(generator, count, dtype, mean, std):
    draw, real = (doubles, F64) if dtype == F64 else (floats, F32)
    last = count % 16  # the numbers after the last whole block of 16
    whole = count - last
    out = generator.empty(count, dtype)
    start = 0
    while whole - start > CHUNK:
        out[start : start + CHUNK] = _box_muller(draw(generator, CHUNK), real, mean, std)
        start += CHUNK
    if not last:
        out[start:] = _box_muller(draw(generator, count - start), real, mean, std)
        return out
    # PyTorch draws ``last`` uniforms for the incomplete block and does not use them. For the half
    # types it does not draw them at all.
    skipped = last if dtype == real else 0
    u = draw(generator, whole - start + skipped + 16)
    if skipped:
        u = np.concatenate([u[: whole - start], u[-16:]])
    made = _box_muller(u, real, mean, std)
    out[start:whole] = made[:-16]
    out[-16:] = made[-16:]
    return out


def _box_muller(u, real, mean, std):
    """Turn blocks of 16 uniforms into blocks of 16 normals, in place where possible."""
    # NumPy copies 8 numbers as one element in a third of the time; replays have no such copies.
    eight, n = (EIGHT[real], 1) if type(u) is np.ndarray else (real, 8)
    blocks = u.view(eight).reshape(-1, 2, n)
    u1, u2 = (blocks[:, k].copy().view(real) for k in (0, 1))
    radius = np.log(ONE[real] - u1)
    radius *= MINUS_TWO[real]
    np.sqrt(radius, out=radius)
    angle = u2 * TWO_PI[real]
    blocks[:, 0] = (radius * np.cos(angle)).view(eight)
    blocks[:, 1] = (radius * np.sin(angle)).view(eight)
    u = u.reshape(-1)
    if std != 1.0 and mean != 0.0 and real == F32:
        u = (u.astype(np.float64) * np.float32(std) + np.float32(mean)).astype(F32)  # as FMA rounds
        return u
    if std != 1.0:
        u *= np.array(std, real)
    u += np.array(mean, real)  # also for a mean of 0, because adding 0 turns -0 into 0
    return u


def _single_normals(generator, count):
    """Draw ``count`` standard normals in pairs, as float64."""
    if generator.noted:  # a call that will be replayed
        return generator.normals(count)
    kept = [] if generator.normal is None else [generator.normal]
    pairs = (count - len(kept) + 1) // 2
    u = doubles(generator, 2 * pairs)
    if count <= FEW:
        flat = iter(u.tolist())
        for angle, v in zip(flat, flat, strict=True):
            radius = math.sqrt(-2.0 * math.log1p(-v))
            angle *= 2.0 * math.pi
            kept += (radius * math.cos(angle), radius * math.sin(angle))
        values = np.array(kept)
    else:
        radii = np.sqrt(-2.0 * np.log1p(-u[1::2]))
        angles = u[0::2] * (2.0 * math.pi)
        made = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        values = np.concatenate([kept, made.reshape(-1)])
    generator.normal = float(values[count]) if len(values) > count else None
    return values[:count]


def log_normal(generator, count, dtype, mean=1.0, std=2.0):
    """Draw the exponentials of normal numbers.

    Raises:
        RuntimeError: std is not positive.
        NotImplementedError: ``dtype`` is not floating point.
    """
    require_positive("log_normal_", "std", std)
    if count and dtype not in LARGEST:
        refuse("log_normal_", dtype)
    with generator.lock:
        values = _single_normals(generator, count)
    with np.errstate(over="ignore"):
        return to_dtype(np.exp(values * std + mean), dtype)


def exponential(generator, count, dtype, rate=1.0):
    """Draw exponential numbers of mean 1 / rate.

    Raises:
        RuntimeError: rate is not positive, or ``dtype`` is not floating point.
    """
    require_positive("exponential_", "lambda", rate)
    if count:
        require_continuous("exponential_", dtype)
    scale = -1.0 / rate

    def make(n):
        values = doubles(generator, n)
        np.log1p(np.negative(values, values), values)
        if rate == 1 and dtype in (F32, F64):  # these cannot overflow
            return to_dtype(np.multiply(values, scale, values), dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            return to_dtype(scale * values, dtype)

    with generator.lock:
        return in_chunks(make, count, dtype)


def cauchy(generator, count, dtype, median=0.0, sigma=1.0):
    """Draw Cauchy numbers.

    Raises:
        RuntimeError: sigma is not positive, or ``dtype`` is not floating point.
    """
    require_positive("cauchy_", "sigma", sigma)
    require_continuous("cauchy_", dtype)

    def make(n):
        with np.errstate(over="ignore"):
            angle = math.pi * (doubles(generator, n) - 0.5)
            return to_dtype(median + sigma * np.tan(angle), dtype)

    with generator.lock:
        return in_chunks(make, count, dtype)


def require_positive(name, parameter, value):
    """Raise RuntimeError unless the parameter of the distribution is positive."""
    if not value > 0.0:
        raise RuntimeError(f"{name} expects {parameter} > 0.0, but found {parameter}={value:g}")


def require_continuous(name, dtype):
    """Raise RuntimeError unless ``dtype`` is floating point."""
    if dtype not in LARGEST:
        raise RuntimeError(
            f"{name}: the distribution is continuous; the dtype must be floating point, "
            f"not {torch_dtype(dtype)}"
        )


def geometric(generator, count, dtype, p):
    """Draw numbers of trials up to the first success; each trial succeeds with probability ``p``.

    The successful trial is counted too.

    Raises:
        RuntimeError: p is not inside (0, 1).
        NotImplementedError: ``dtype`` is bool, complex, uint16, uint32 or uint64.
    """
    check_geometric(count, dtype, p)
    scale = math.log1p(-p)

    def make(n):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return to_dtype(np.ceil(np.log(doubles(generator, n)) / scale), dtype)

    with generator.lock:
        return in_chunks(make, count, dtype)


def check_geometric(count, dtype, p):
    """Raise the errors of ``geometric``."""
    if not 0.0 < p < 1.0:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if count and dtype not in LARGEST and dtype not in INTEGERS:
        refuse("geometric_", dtype)
