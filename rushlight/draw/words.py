"""Functions that all draws share: words become floats, casts follow C, work goes in chunks."""

import ml_dtypes
import numpy as np

from rushlight.dtype import of as torch_dtype

__all__ = ["cast", "doubles", "floats", "in_chunks", "refuse", "to_dtype"]

BOOL = np.dtype(np.bool_)
F16, BF16 = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
INTEGERS: tuple[np.dtype, ...] = tuple(
    map(np.dtype, (np.uint8, np.int8, np.int16, np.int32, np.int64))
)
# Only a few functions support these dtypes.
UNSIGNED: tuple[np.dtype, ...] = tuple(map(np.dtype, (np.uint16, np.uint32, np.uint64)))
DIGITS = {F16: 11, BF16: 8, F32: 24, F64: 53}  # bits of the significand, by floating dtype
LARGEST = {d: float(ml_dtypes.finfo(d).max) for d in DIGITS}

# How many numbers are made at once, so that they stay in the core's own cache. The chunk must be a
# multiple of 16, because normal numbers are made in blocks of 16.
CHUNK = 1 << 15

# These constants are 0-dim arrays, because NumPy takes twice as long to combine a small array with
# a scalar.
LOW_24, LOW_24_OF_64 = np.array(0xFFFFFF, np.uint32), np.array(0xFFFFFF, np.uint64)
LOW_53 = np.array((1 << 53) - 1, np.uint64)
ULP_24, ULP_53 = np.array(2.0**-24, np.float32), np.array(2.0**-53)


def refuse(name, dtype):
    """Raise the NotImplementedError that the function ``name`` does not support ``dtype``."""
    raise NotImplementedError(f'"{name}" not implemented for {torch_dtype(dtype)}')


def cast(x, dtype):
    """``x`` in ``dtype``; ``x`` may be a Python number."""
    return x.astype(dtype) if hasattr(x, "astype") else np.array(x).astype(dtype)


def to_dtype(values, dtype):
    """Cast as C does: to the half types through float32, from floats to integers through int64."""
    if dtype in (F16, BF16):
        values = values.astype(np.float32, copy=False)
    elif dtype.kind in "iu" and values.dtype.kind == "f":
        values = values.astype(np.int64)
    return values.astype(dtype, copy=False)


def in_chunks(make, count, dtype):
    """Return ``count`` numbers in one array, from calls of ``make(n)`` with n up to ``CHUNK``."""
    if count <= CHUNK:
        return make(count)
    out = np.empty(count, dtype)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        out[start:stop] = make(stop - start)
    return out


def floats(generator, count):
    """Draw ``count`` uniform numbers u32, as float32. The caller must hold the generator's lock."""
    found = generator.by_kernel(count, np.float32)
    if found is not None:
        return found
    words = generator.words(count)
    if words.itemsize == 8:
        words &= LOW_24_OF_64
        values = words.astype(np.float32)
    else:
        words &= LOW_24
        values = words.view(np.int32).astype(np.float32)  # NumPy casts faster from signed
    values *= ULP_24
    return values


def doubles(generator, count):
    """Draw ``count`` uniform numbers u64, as float64. The caller must hold the generator's lock."""
    draws = generator.double_words(count)
    draws &= LOW_53
    values = draws.view(np.int64).astype(np.float64)
    values *= ULP_53
    return values
