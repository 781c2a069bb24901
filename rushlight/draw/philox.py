"""Draws of PyTorch's CUDA generator: Philox numbers, in the order in which its kernels take them.

A kernel has T = 256 · blocks threads: as many as there are elements, but at most as many as the
device runs at once. Each thread has a Philox stream of its own, four 32-bit words (w0 … w3) a step.
In step s, thread t makes the elements s·4T + t, s·4T + T + t, … of its four words; of the two
64-bit numbers that some kernels make of the words, the elements s·2T + t and s·2T + T + t. After a
kernel the streams of all threads go on where the last step ended.

- uniform, in (0, 1]: w / 2^32 + 2^-33 in float32; for float64 z / 2^53 + 2^-54, where
  z = w0 xor (w1 · 2^21). Then u · (high - low) + low; what becomes ``high`` becomes ``low``.
- normal: a pair (u, v) gives s·sin(2πv) and s·cos(2πv), with s = sqrt(-2 log u).
- integers: w mod (to - from), + from. From to - from = 2^28 on, w0 · 2^32 + w1 in place of w.
- bernoulli: u < p. With a p for each element u <= p, and thread t makes the elements 4t … 4t + 3
  of the four words of one step. The kernel takes 12 numbers of each stream.
- dropout, if the number of elements is divisible by 4 (by 2): a thread makes 4 (2) elements that
  lie side by side.
- multinomial without replacement, and of one sample: an exponential race, as on the CPU. With
  replacement, a row's samples have b blocks of 128 threads, and sample k of row r takes w0 of
  thread 128·b·r + k at one step.
- Poisson, binomial, gamma and Dirichlet numbers: ``philox_rejection.py``.
- all others: the transforms for the CPU, from the words of the streams in turn. They are not
  PyTorch's numbers.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011; curand's documentation;
ATen/native/cuda/DistributionTemplates.h, MultinomialKernel.cu and Dropout.cu of PyTorch. The last
digits of normals, logarithms and tangents may differ from a GPU's.

Kernels of devices are made of ``four_words``, ``unit32``, ``unit64``, ``box_muller32`` and
``box_muller64``, too: there the words are scalar LLVM values, and ``xp`` is their namespace.
"""

import math

import numpy as np

from rushlight.draw.bernoulli import KNOWN
from rushlight.draw.bernoulli import dropout_noise as noise_of
from rushlight.draw.continuous import (
    REAL,
    below,
    check_bounds,
    check_geometric,
    require_continuous,
    require_positive,
)
from rushlight.draw.integers import I64, LOWEST, _modulo, _range, whole_size
from rushlight.draw.permutation import permutation
from rushlight.draw.rounding import fma32, fma64
from rushlight.draw.words import F32, F64, LARGEST, cast, refuse, to_dtype

__all__ = [
    "bernoulli", "box_muller32", "box_muller64", "cauchy", "dropout_noise", "exponential",
    "four_by_four", "four_words", "full_range", "geometric", "integers", "log_normal", "normal",
    "one_by_one", "permutation", "position", "uniform", "unit32", "unit64", "words",
]  # fmt: skip

BLOCK = 256  # threads of a block
HIGHEST_GRID = 65535  # the most blocks of a grid in y
_HALF = np.uint64(32)
_F32 = np.float32
_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)


def words(seed, counter, threads):
    """The four words of each thread at a step: uint32 (4, threads).

    Args:
        seed: The key, below 2^64.
        counter: The number of the step.
        threads: The number of threads.
    """
    return np.stack(four_words(np.arange(threads), counter, seed))


def four_words(thread, step, seed):
    """The four words of a thread at a step: uint32 values."""
    thread, step, seed = [cast(x, _U64) for x in (thread, step, seed)]
    c0, c1, c2, c3 = _low(step), _high(step), _low(thread), _high(thread)
    k0, k1 = _low(seed), _high(seed)
    for _ in range(10):
        p, q = c0.astype(_U64) * 0xD2511F53, c2.astype(_U64) * 0xCD9E8D57
        c0, c1, c2, c3 = _high(q) ^ c1 ^ k0, _low(q), _high(p) ^ c3 ^ k1, _low(p)
        k0, k1 = _low(k0.astype(_U64) + 0x9E3779B9), _low(k1.astype(_U64) + 0xBB67AE85)
    return c0, c1, c2, c3


def _low(x):
    return x.astype(_U32)


def _high(x):
    return (x >> 32).astype(_U32)


def _steps(generator, count, each):
    """The words of a kernel that makes ``each`` elements a thread and step: (steps, 4, threads)."""
    blocks = min(-(-count // BLOCK), generator.blocks)
    threads = blocks * BLOCK
    steps = -(-count // (threads * each))
    with generator.lock:
        first = generator.take(4 * steps)
    seed, step = generator.initial_seed(), first // 4
    return np.stack([words(seed, step + s, threads) for s in range(steps)])


def _single(generator, count):
    """One 32-bit word for each element."""
    return _steps(generator, count, 4).reshape(-1)[:count]


def _pairs(generator, count):
    """The pairs of words of the 64-bit numbers: two arrays (steps, 2, threads)."""
    w = _steps(generator, count, 2)
    return w[:, 0::2], w[:, 1::2]


def unit32(w):
    """float32 in (0, 1]."""
    return w.astype(F32) * 2.0**-32 + 2.0**-33


def unit64(low, high):
    """float64 in (0, 1]."""
    z = low.astype(_U64) ^ (high.astype(_U64) << 21)
    return z.astype(F64) * 2.0**-53 + 2.0**-54


def _units(generator, count, dtype):
    """Uniform numbers in (0, 1]: float64 for float64, else float32."""
    if dtype == F64:
        return unit64(*_pairs(generator, count)).reshape(-1)[:count]
    return unit32(_single(generator, count))


def uniform(generator, count, dtype, low=0.0, high=1.0):
    """Draw uniform numbers from [low, high); see ``continuous.uniform``."""
    if dtype in REAL:
        return uniform(generator, 2 * count, REAL[dtype], low, high).view(dtype)
    if dtype not in LARGEST:
        refuse("uniform_", dtype)
    check_bounds(low, high, dtype)
    if not count:
        return np.empty(0, dtype)
    u = _units(generator, count, dtype)
    if dtype == F64:
        return below(fma64(u, high - low, low), low, high)
    first = _F32(low)
    return below(fma32(u, _F32(high) - first, first).astype(dtype, copy=False), low, high)


def normal(generator, count, dtype, mean=0.0, std=1.0, contiguous=True):
    """Draw normal numbers; see ``continuous.normal``. ``contiguous`` has no effect."""
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if dtype in REAL:
        part = std / math.sqrt(2.0)
        return normal(generator, 2 * count, REAL[dtype], mean, part).view(dtype)
    if dtype not in LARGEST:
        refuse("normal_", dtype)
    if not count:
        return np.empty(0, dtype)
    real = np.float64 if dtype == F64 else _F32
    with np.errstate(over="ignore", invalid="ignore"):
        return to_dtype(_normals(generator, count, dtype) * real(std) + real(mean), dtype)


def _normals(generator, count, dtype):
    if dtype == F64:
        found = np.stack(box_muller64(np, *_steps(generator, count, 2).swapaxes(0, 1)), 1)
    else:
        w = _steps(generator, count, 4)
        found = np.stack(box_muller32(np, w[:, 0::2], w[:, 1::2]), 2)
    return found.reshape(-1)[:count]


def box_muller32(xp, w, v):
    """Two normal float32 numbers of each pair of words."""
    turn = float(_F32(2.0**-32) * _F32(2.0 * np.pi))
    size = xp.sqrt(-2.0 * xp.log(unit32(w)))
    angle = v.astype(F32) * turn + turn / 2
    return size * xp.sin(angle), size * xp.cos(angle)


def box_muller64(xp, w0, w1, w2, w3):
    """Two normal float64 numbers of each four words."""
    bits = w2.astype(_U64) ^ (w3.astype(_U64) << 21)
    angle = np.pi * (bits.astype(F64) * 2.0**-52 + 2.0**-53)
    size = xp.sqrt(-2.0 * xp.log(unit64(w0, w1)))
    return size * xp.sin(angle), size * xp.cos(angle)


def integers(generator, count, dtype, low, high):
    """Draw integers from [low, high); see ``integers.integers``."""
    if high is None and low == LOWEST:
        return to_dtype(_long(generator, count).view(np.int64), dtype)
    low, size = _range(dtype, low, high)
    if not count:
        return np.empty(0, dtype)
    if size >= 1 << 28:
        draws = _modulo(_long(generator, count), size) + np.uint64(low % 2**64)
        return to_dtype(draws.view(np.int64), dtype)
    return to_dtype(_modulo(_single(generator, count), size).astype(np.int64) + low, dtype)


def _long(generator, count):
    """One 64-bit word for each element."""
    upper, lower = _pairs(generator, count)
    return (upper.astype(np.uint64) << _HALF | lower).reshape(-1)[:count]


def full_range(generator, count, dtype):
    """Draw integers from 0 to the dtype's largest value; see ``integers.full_range``."""
    if not count:
        return np.empty(0, dtype)
    size = whole_size(dtype)
    draw = _long if dtype in (I64, F64) else _single
    return to_dtype(_modulo(draw(generator, count), size).astype(np.int64), dtype)


def bernoulli(generator, count, dtype, p):
    """Draw ``count`` numbers: each is 1 with probability ``p``, else 0."""
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_: expects p in [0, 1], but got p={p}")
    if not count:
        return np.empty(0, dtype)
    if dtype not in KNOWN:
        refuse("bernoulli_", dtype)
    u = _units(generator, count, dtype)
    return (u < u.dtype.type(p)).astype(dtype)


def four_by_four(generator, count, dtype):
    """Uniform numbers in (0, 1] as float32, four neighbours from each thread."""
    with generator.lock:
        first = generator.take(12)
    return unit32(words(generator.initial_seed(), first // 4, -(-count // 4)).T.reshape(-1)[:count])


def one_by_one(generator, count, dtype, width):
    """Uniform numbers in (0, 1] for rows of ``width`` elements, one from each thread and step."""
    rows, wide = count // width, -(-width // 128) * 128
    high = min(rows, HIGHEST_GRID)
    steps = -(-rows // high)
    with generator.lock:
        first = generator.take(4 * steps) // 4
    seed = generator.initial_seed()
    w = np.stack([words(seed, first + s, high * wide)[0] for s in range(steps)])
    u = unit32(w.reshape(steps * high, wide)[:rows, :width])
    return u.reshape(-1).astype(dtype, copy=False)


def position(generator, count, dtype, taken):
    """Take ``taken`` numbers of each stream: int64 (2,), the seed and the first step."""
    with generator.lock:
        first = generator.take(taken)
    return np.array([generator.initial_seed(), first // 4], np.uint64).view(np.int64)


def dropout_noise(generator, x, p):
    """Draw the factors that dropout multiplies ``x`` by; see ``bernoulli.dropout_noise``."""
    return noise_of(generator, x, p, _kept)


def _kept(generator, count, dtype, keep):
    """``count`` ones with probability ``keep``, else zeros, as a kernel of dropout draws them."""
    if not count:
        return np.empty(0, dtype)
    w = _steps(generator, count, 4)
    side = 4 if count % 4 == 0 else 2 if count % 2 == 0 else 1
    steps, _, threads = w.shape
    if side > 1:  # neighbours are of one thread: (step, part of its words, thread, neighbour)
        w = w.reshape(steps, 4 // side, side, threads).transpose(0, 1, 3, 2)
    return (unit32(w.reshape(-1)[:count]) < _F32(keep)).astype(dtype)


def exponential(generator, count, dtype, rate=1.0):
    """Draw exponential numbers; see ``continuous.exponential``."""
    require_positive("exponential_", "lambda", rate)
    if not count:
        return np.empty(0, dtype)
    require_continuous("exponential_", dtype)
    u = _units(generator, count, dtype)
    eps, real = np.finfo(u.dtype).eps, u.dtype.type
    log = np.where(u >= 1 - eps / 2, -eps / 2, np.log(u)).astype(u.dtype)
    with np.errstate(over="ignore"):
        return to_dtype(real(-1.0) / real(rate) * log, dtype)


def cauchy(generator, count, dtype, median=0.0, sigma=1.0):
    """Draw Cauchy numbers; see ``continuous.cauchy``."""
    require_positive("cauchy_", "sigma", sigma)
    require_continuous("cauchy_", dtype)
    if not count:
        return np.empty(0, dtype)
    u = _units(generator, count, dtype)
    eps, real = np.finfo(u.dtype).eps, u.dtype.type
    angle = real(np.pi) * (np.clip(u, eps, 1 - eps) - real(0.5))
    with np.errstate(over="ignore"):
        return to_dtype(real(median) + real(sigma) * np.tan(angle), dtype)


def log_normal(generator, count, dtype, mean=1.0, std=2.0):
    """Draw numbers whose logarithms are normal; see ``continuous.log_normal``."""
    require_positive("log_normal_", "std", std)
    if not count:
        return np.empty(0, dtype)
    if dtype not in LARGEST:
        refuse("log_normal_", dtype)
    real = np.float64 if dtype == F64 else _F32
    with np.errstate(over="ignore"):
        return to_dtype(np.exp(_normals(generator, count, dtype) * real(std) + real(mean)), dtype)


def geometric(generator, count, dtype, p):
    """Draw numbers of trials until a success; see ``continuous.geometric``."""
    check_geometric(count, dtype, p)
    if not count:
        return np.empty(0, dtype)
    u = _units(generator, count, dtype)
    real = u.dtype.type
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return to_dtype(np.ceil(np.log(u) / real(np.log1p(-real(p)))), dtype)
