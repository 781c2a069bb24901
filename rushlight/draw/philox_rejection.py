"""Poisson, binomial, gamma and Dirichlet numbers of PyTorch's CUDA generator.

Each element takes as many words of its thread's Philox stream as it needs. On the host, all
elements that are not done take their next words together. Each element has a thread of its own,
but for binomial numbers: a block of 128 threads makes 512 of them, and thread t makes the numbers
t, t + 128, … in turn.

The functions ``poisson_numbers`` and ``gamma_numbers`` are the forwards of devices' kernels, too:
there ``xp`` is the namespace of scalar LLVM values.

- Poisson, as curand does. Below a mean of 64: multiply uniform numbers until the product falls
  below exp(-mean). From 64 to 4,000: invert an approximation of the incomplete gamma function at
  a uniform number, and accept by a second uniform number. Above 4,000: round a normal number.
- Gamma: the method of ``gamma.py``, in the precision of the shape parameters. A pair of words
  gives two normal numbers, and the second one waits in the stream.
- Binomial: the methods of ``binomial.py``, in the precision of the counts.
- A kernel takes 20 numbers of each stream for Poisson numbers, 44 for binomial and 12 for gamma
  numbers. An element that needs more reads numbers which the next kernel reads again.

Source: curand's documentation; ATen/native/cuda/Distributions.cu of PyTorch; Knuth, The Art of
Computer Programming 2, 3.4.1. Exponentials and logarithms may differ from a GPU's in the last
digits, and with them a few of the numbers.
"""

import numpy as np

from rushlight.draw.binomial import tail
from rushlight.draw.gamma import TINY
from rushlight.draw.philox import box_muller32, box_muller64, four_words, unit32
from rushlight.draw.poisson import check_rates
from rushlight.draw.words import F32, F64, cast, refuse, to_dtype

__all__ = ["binomial", "dirichlet", "gamma", "gamma_numbers", "poisson", "poisson_numbers"]

_U64 = np.dtype(np.uint64)
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


def _begin(generator, taken):
    """Take ``taken`` numbers of each stream: the seed, and the step at which the draw begins."""
    with generator.lock:
        return generator.initial_seed(), generator.take(taken) // 4


def _numpy():
    """NumPy as the namespace of the functions below; this module does not stand above it."""
    from rushlight.backend import numpy

    return numpy


def _word(xp, thread, number, seed):
    """The word ``number`` of a thread's stream."""
    w0, w1, w2, w3 = four_words(thread, number >> 2, seed)
    turn = number & 3
    return xp.where(turn < 2, xp.where(turn == 0, w0, w1), xp.where(turn == 2, w2, w3))


def _unit(xp, thread, number, seed):
    """A float32 number in (0, 1], of that word."""
    return unit32(_word(xp, thread, number, seed))


def _one(condition):
    """1 where the condition holds, else 0."""
    return condition.astype(_U64)


# Poisson ----------------------------------------------------------------------------------


def poisson(generator, rates):
    """Draw a Poisson number for each mean in the array ``rates``; see ``poisson.poisson``."""
    check_rates(rates)
    means = rates.reshape(-1).astype(F64)
    seed, step = _begin(generator, 20)
    with np.errstate(all="ignore"):
        found = poisson_numbers(_numpy(), means, np.arange(means.size), seed, step)
        return to_dtype(found, rates.dtype).reshape(rates.shape)


def poisson_numbers(xp, mean, thread, seed, step):
    """Poisson numbers of the means, float64."""
    start = (cast(step, _U64) << 2) + _one(mean != mean)  # of the shape of ``mean``
    few, middle, large = mean < 64.0, (mean >= 64.0) & (mean <= 4000.0), mean > 4000.0
    of_few = lambda x: _by_products(xp, mean, few, thread, start, seed)
    of_middle = lambda x: xp.where(middle, _by_inversion(xp, mean, middle, thread, start, seed), x)
    of_large = lambda x: xp.where(large, _by_normals(xp, mean, thread, step, seed), x)
    found = xp.where_any(few, of_few, mean)
    return xp.where_any(large, of_large, xp.where_any(middle, of_middle, found))


def _by_products(xp, mean, few, thread, start, seed):
    product = xp.where(few, xp.exp(xp.where(few, mean, 0.0).astype(F32)), mean.astype(F32) * 0.0)

    def step(thread, number, product, found):
        more = product > 1.0
        product = xp.where(more, product * _unit(xp, thread, number, seed), product)
        return thread, number + _one(more), product, found + more.astype(F64)

    state = thread, start, product, mean * 0.0 - 1.0
    found = xp.repeat_while(lambda thread, number, product, found: product > 1.0, step, state)[-1]
    return xp.maximum(found, 0.0)


def _by_inversion(xp, mean, active, thread, start, seed):
    """The distribution function is about 1 / (1 + exp(slope · (mean - k) - shift))²."""
    mean = xp.where(active, mean, 64.0).astype(F32)
    slope = 1.4324803 / xp.sqrt(mean - 0.12400979) + 0.00025361075
    shift = 0.21096735 / xp.sqrt(mean - 1.9738117) + 0.94201735

    def step(thread, mean, slope, shift, number, found, active):
        def below(k):
            rest = 1 + xp.exp(slope * (mean - k) - shift)
            return 1 / (rest * rest)

        y = xp.log(1 / xp.sqrt(_unit(xp, thread, number, seed)) - 1)
        k = xp.floor(mean - (shift + y) / slope)
        weight = (below(k + 1) - below(k)) * 1.3
        fits = (k >= 0) & (k < 8192)
        log = k * xp.log(mean) - mean - _log_factorial(xp, xp.where(fits, k, 0.0))
        enough = _unit(xp, thread, number + 1, seed) * weight < xp.exp(log)
        accepted = fits & (weight >= 1e-20) & enough
        found = xp.where(active & accepted, k.astype(F64), found)
        after = number + (_one(active) << 1)
        return thread, mean, slope, shift, after, found, active & ~accepted

    state = thread, mean, slope, shift, start, mean.astype(F64) * 0.0, active
    return xp.repeat_while(lambda *state: state[-1], step, state)[-2]


def _log_factorial(xp, k):
    """log k! by Stirling's series, rounded to float32."""
    x = k.astype(F64) + 1.0
    square = x * x
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / x
    return ((x - 0.5) * xp.log(x) - x + _HALF_LOG_2PI + series).astype(F32)


def _by_normals(xp, mean, thread, step, seed):
    normal, _ = box_muller64(xp, *four_words(thread, step, seed))
    found = xp.sqrt(mean) * normal + mean + 0.5
    found = xp.where(found == found, found, 0.0)
    return xp.floor(xp.minimum(xp.maximum(found, 0.0), 2.0**32 - 1))  # an unsigned 32-bit number


# Binomial, on the host alone --------------------------------------------------------------


class _Streams:
    """The streams of ``count`` threads, after one kernel took ``taken`` numbers of each."""

    def __init__(self, generator, count, taken):
        self._seed, step = _begin(generator, taken)
        self._next = np.full(count, 4 * step, np.uint64)

    def uniform(self, threads):
        """A float32 number in (0, 1] of each of the ``threads``."""
        at = self._next[threads]
        self._next[threads] += np.uint64(1)
        return _unit(np, threads, at, self._seed)


def binomial(generator, counts, probabilities):
    """Draw the number of successes in ``counts`` trials; see ``binomial.binomial``."""
    dtype = counts.dtype
    if dtype not in (F32, F64):
        refuse("binomial_cuda", dtype)
    counts, probabilities = np.broadcast_arrays(counts, probabilities)
    n, p = counts.reshape(-1), probabilities.reshape(-1)
    drawn = (n > 0) & (p > 0) & (p < 1)
    if np.isinf(n[drawn]).any():
        raise RuntimeError("binomial: count must be finite, but an element is inf")
    found = np.where(p >= 1, n, np.where((n <= 0) | (p <= 0), dtype.type(0), dtype.type(np.nan)))
    rare = np.where(p > 0.5, 1 - p, p)
    streams = _Streams(generator, -(-n.size // 512) * 128, 44)
    places = np.arange(n.size)
    for turn in range(4):
        here = drawn & (places % 512 // 128 == turn)
        for chosen, method in ((n * rare < 10, _by_waiting), (n * rare >= 10, _by_btrs)):
            at = np.flatnonzero(here & chosen)
            k = method(streams, at // 512 * 128 + at % 128, n[at], rare[at])
            found[at] = np.where(p[at] > 0.5, n[at] - k, k)
    return found.reshape(counts.shape)


def _by_waiting(streams, threads, n, p):
    found, time, going = np.zeros_like(n), np.zeros_like(n), np.arange(len(threads))
    log_failure = np.log1p(-p)
    while len(going):
        u = streams.uniform(threads[going]).astype(n.dtype)
        time[going] += np.ceil(np.log(u) / log_failure[going])
        going = going[time[going] <= n[going]]
        found[going] += 1
    return found


def _by_btrs(streams, threads, n, p):
    found, going = np.zeros_like(n), np.arange(len(threads))
    while len(going):
        trials, chosen = n[going], threads[going]
        u = streams.uniform(chosen).astype(n.dtype) - n.dtype.type(0.5)
        v = streams.uniform(chosen).astype(n.dtype)
        k, accepted = _proposed(trials, p[going], u, v)
        found[going[accepted]] = k[accepted]
        going = going[~accepted]
    return found


def _proposed(n, p, u, v):
    """The numbers that Hörmann's BTRS makes of u and v, and which of them it accepts."""
    q = 1 - p
    deviation, odds = np.sqrt(n * p * q), p / q
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    mode = np.floor((n + 1) * p)
    us = 0.5 - np.abs(u)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.floor((2 * a / us + b) * u + n * p + 0.5)
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        bound = (
            (mode + 0.5) * np.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * np.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * np.log(odds * (n - k + 1) / (k + 1))
            + _tails(mode) + _tails(n - mode) - _tails(k) - _tails(n - k)
        )  # fmt: skip
        log = np.log(v * (2.83 + 5.1 / b) * deviation / (a / (us * us) + b))
    squeezed = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
    return k, inside & (squeezed | (log <= bound))


_TAILS = np.array([tail(k) for k in range(10)])


def _tails(k):
    """``binomial.tail`` of each element."""
    square = (k + 1) ** 2
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    return np.where(k < 10, _TAILS[np.clip(k, 0, 9).astype(np.int64)].astype(k.dtype), series)


# Gamma ------------------------------------------------------------------------------------


def gamma(generator, shapes):
    """Draw a gamma number of rate 1 for each of ``shapes``; see ``gamma.gamma``."""
    dtype = shapes.dtype
    if dtype not in (F32, F64):
        refuse("gamma_cuda", dtype)
    alpha = shapes.reshape(-1)
    seed, step = _begin(generator, 12)
    with np.errstate(all="ignore"):
        found = gamma_numbers(_numpy(), alpha, np.arange(alpha.size), seed, step, dtype)
    return found.reshape(shapes.shape)


def gamma_numbers(xp, alpha, thread, seed, step, dtype):
    """Gamma numbers of rate 1, for shape parameters of ``dtype``."""
    unit = lambda thread, number: 1 - _unit(xp, thread, number, seed).astype(dtype)
    start = (cast(step, _U64) << 2) + _one(alpha != alpha)  # of the shape of ``alpha``
    small, going = alpha < 1, (alpha > 0) & (alpha < np.inf)
    scale = xp.where(small, xp.power(unit(thread, start), 1 / alpha), 1.0)
    d = xp.where(small, alpha + 1, alpha) - float(dtype.type(1 / 3))
    c = 1 / xp.sqrt(9 * d)

    def next_try(thread, scale, d, c, number, kept, waits, found, active):
        words = _word(xp, thread, number, seed), _word(xp, thread, number + 1, seed)
        normal, other = box_muller32(xp, *words)
        x = xp.where(waits, kept, normal).astype(dtype)
        number = number + (_one(~waits) << 1)
        kept, waits = xp.where(waits, kept, other), ~waits
        y = 1 + c * x
        inside, v = y > 0, y * y * y  # where y is negative, another normal number is taken
        u = unit(thread, number)
        bound = x * x / 2 + d * (1 - v + xp.log(v))
        accepted = inside & ((u < 1 - 0.0331 * (x * x * (x * x))) | (xp.log(u) < bound))
        found = xp.where(active & accepted, scale * d * v, found)
        after = number + _one(inside)
        return thread, scale, d, c, after, kept, waits, found, active & ~accepted

    nothing = xp.where(alpha == np.inf, alpha, alpha.astype(dtype) * 0.0)
    number, kept, waits = start + _one(small), alpha.astype(F32) * 0, alpha != alpha
    state = thread, scale, d, c, number, kept, waits, nothing, going
    found = xp.repeat_while(lambda *state: state[-1], next_try, state)[-2]
    return xp.fmax(found, float(TINY[dtype]))


def dirichlet(generator, concentrations):
    """Draw points whose coordinates add up to 1; see ``gamma.dirichlet``."""
    parts = gamma(generator, concentrations)
    dtype = parts.dtype
    return np.clip(parts / parts.sum(-1, keepdims=True), TINY[dtype], 1 - np.finfo(dtype).eps)
