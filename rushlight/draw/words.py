"""The common ground of all draws: words to floats, casts as C makes them, chunks."""

import ml_dtypes
import numpy as np

from rushlight.dtype import of as torch_dtype

__all__ = ["doubles", "floats", "in_chunks", "refuse", "to_dtype"]

BOOL = np.dtype(np.bool_)
F16, BF16 = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
INTEGERS: tuple[np.dtype, ...] = tuple(
    map(np.dtype, (np.uint8, np.int8, np.int16, np.int32, np.int64))
)
# Few functions know these.
UNSIGNED: tuple[np.dtype, ...] = tuple(map(np.dtype, (np.uint16, np.uint32, np.uint64)))
DIGITS = {F16: 11, BF16: 8, F32: 24, F64: 53}  # of the significand, by floating dtype
LARGEST = {d: float(ml_dtypes.finfo(d).max) for d in DIGITS}

CHUNK = 1 << 15  # a multiple of 16; the numbers in flight stay in the core's own cache

# As 0-dim arrays: for a small array, NumPy takes twice as long over a scalar.
LOW_24, LOW_24_OF_64 = np.array(0xFFFFFF, np.uint32), np.array(0xFFFFFF, np.uint64)
LOW_53 = np.array((1 << 53) - 1, np.uint64)
ULP_24, ULP_53 = np.array(2.0**-24, np.float32), np.array(2.0**-53)


def refuse(name, dtype):
    """NotImplementedError: ``name`` has no numbers of this dtype."""
    raise NotImplementedError(f'"{name}" not implemented for {torch_dtype(dtype)}')


def to_dtype(values, dtype):
    """Cast as C does: to the half types through float32, to small integers through int64."""
    if dtype in (F16, BF16):
        values = values.astype(np.float32, copy=False)
    elif dtype.kind in "iu" and values.dtype.kind == "f":
        values = values.astype(np.int64)
    return values.astype(dtype, copy=False)


def in_chunks(make, count, dtype):
    """``make(n)`` for as many n as fit in the cache, one after the other in one array."""
    if count <= CHUNK:
        return make(count)
    out = np.empty(count, dtype)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        out[start:stop] = make(stop - start)
    return out


def floats(generator, count):
    """``count`` of u32, as float32. Hold the lock."""
    words = generator.words(count)
    if words.itemsize == 8:
        words &= LOW_24_OF_64
        values = words.astype(np.float32)
    else:
        words &= LOW_24
        values = words.view(np.int32).astype(np.float32)  # faster than from unsigned
    values *= ULP_24
    return values


def doubles(generator, count):
    """``count`` of u64, as float64. Hold the lock."""
    draws = generator.double_words(count)
    draws &= LOW_53
    values = draws.view(np.int64).astype(np.float64)
    values *= ULP_53
    return values
