"""Poisson, binomial, gamma and Dirichlet numbers of PyTorch's CUDA generator.

Each element takes as many words of its thread's Philox stream as it needs. All elements that are
not done take their next words together. Each element has a thread of its own, but for binomial
numbers: a block of 128 threads makes 512 of them, and thread t makes t, t + 128, … in turn.

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
from rushlight.draw.philox import box_muller32, box_muller64, unit32, words_of
from rushlight.draw.poisson import check_rates
from rushlight.draw.words import F32, F64, refuse, to_dtype

__all__ = ["binomial", "dirichlet", "gamma", "poisson"]

#: log k! of each k that a mean of 4,000 or less can give.
_LOG_FACTORIALS = np.cumsum(np.log(np.maximum(np.arange(8192), 1)))


class _Streams:
    """The Philox streams of ``count`` threads, after one kernel took ``taken`` numbers of each."""

    def __init__(self, generator, count, taken):
        with generator.lock:
            first = generator.take(taken)
        self._seed = generator.initial_seed()
        self._next = np.full(count, first, np.uint64)
        self._kept = np.full(count, np.nan, F32)  # the second normal number of a pair

    def words(self, threads):
        """The next word of each of the ``threads``."""
        at = self._next[threads]
        self._next[threads] += np.uint64(1)
        found = words_of(self._seed, at >> np.uint64(2), threads.astype(np.uint64))
        return found[at & np.uint64(3), np.arange(len(threads))]

    def uniform(self, threads):
        """A float32 number in (0, 1] of each of the ``threads``."""
        return unit32(self.words(threads))

    def normal(self, threads):
        """A normal float32 number of each of the ``threads``."""
        found = self._kept[threads]
        self._kept[threads] = np.nan
        new = np.isnan(found)
        fresh = threads[new]
        found[new], self._kept[fresh] = box_muller32(self.words(fresh), self.words(fresh))
        return found

    def normal64(self, threads):
        """A normal float64 number of each of the ``threads``, which have taken no words yet."""
        at = self._next[threads] >> np.uint64(2)
        return box_muller64(*words_of(self._seed, at, threads.astype(np.uint64)))[0]


# Poisson ----------------------------------------------------------------------------------


def poisson(generator, rates):
    """Draw a Poisson number for each mean in the array ``rates``; see ``poisson.poisson``."""
    check_rates(rates)
    means = rates.reshape(-1).astype(F64)
    streams, found = _Streams(generator, means.size, 20), np.zeros(means.size)
    methods = (
        (means < 64.0, _by_products),
        ((means >= 64.0) & (means <= 4000.0), _by_inversion),
        (means > 4000.0, _by_normals),
    )
    for chosen, method in methods:
        threads = np.flatnonzero(chosen)
        found[threads] = method(streams, threads, means[threads])
    with np.errstate(over="ignore"):
        return to_dtype(found, rates.dtype).reshape(rates.shape)


def _by_products(streams, threads, means):
    found, going = np.zeros(len(threads)), np.arange(len(threads))
    product = np.exp(means.astype(F32))
    while len(going):
        product[going] *= streams.uniform(threads[going])
        going = going[product[going] > 1.0]
        found[going] += 1
    return found


def _by_normals(streams, threads, means):
    with np.errstate(invalid="ignore"):
        found = np.sqrt(means) * streams.normal64(threads) + means + 0.5
    return np.floor(np.clip(np.nan_to_num(found), 0, 2**32 - 1))  # an unsigned 32-bit number


def _by_inversion(streams, threads, means):
    """The distribution function is about 1 / (1 + exp(slope · (mean - k) - shift))²."""
    found, going = np.zeros(len(threads)), np.arange(len(threads))
    means = means.astype(F32)
    slopes = F32.type(1.4324803) / np.sqrt(means - F32.type(0.12400979)) + F32.type(0.00025361075)
    shifts = F32.type(0.21096735) / np.sqrt(means - F32.type(1.9738117)) + F32.type(0.94201735)
    while len(going):
        mean, slope, shift = means[going], slopes[going], shifts[going]
        below = lambda k, mean=mean, slope=slope, shift=shift: (
            (1 + np.exp(slope * (mean - k) - shift)) ** -2
        )
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            y = np.log(1 / np.sqrt(streams.uniform(threads[going])) - 1)
            k = np.floor(mean - (shift + y) / slope)
            weight = (below(k + 1) - below(k)) * F32.type(1.3)
            place = np.clip(np.nan_to_num(k), 0, len(_LOG_FACTORIALS) - 1).astype(np.int64)
            log = k * np.log(mean) - mean - _LOG_FACTORIALS[place].astype(F32)
            accepted = streams.uniform(threads[going]) * weight < np.exp(log)
        accepted &= (weight >= 1e-20) & (k == place)
        found[going[accepted]] = k[accepted]
        going = going[~accepted]
    return found


# Binomial ---------------------------------------------------------------------------------


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
    alpha, real = shapes.reshape(-1), dtype.type
    streams, going = _Streams(generator, alpha.size, 12), np.arange(alpha.size)
    scale, small = np.ones_like(alpha), np.flatnonzero(alpha < 1)
    with np.errstate(all="ignore"):
        scale[small] = (1 - streams.uniform(small)).astype(dtype) ** (1 / alpha[small])
        d = np.where(alpha < 1, alpha + real(1), alpha) - real(1 / 3)
        c, found = 1 / np.sqrt(9 * d), np.zeros_like(alpha)
    going = going[(alpha > 0) & np.isfinite(alpha)]
    found[np.isnan(alpha)] = np.nan
    found[np.isposinf(alpha)] = np.inf
    while len(going):
        x = streams.normal(going).astype(dtype)
        y = 1 + c[going] * x
        inside = y > 0  # the others take another normal number
        chosen, x, v = going[inside], x[inside], y[inside] ** 3
        with np.errstate(divide="ignore"):
            u = 1 - streams.uniform(chosen).astype(dtype)
            bound = x * x / 2 + d[chosen] * (1 - v + np.log(v))
            accepted = (u < 1 - real(0.0331) * x**4) | (np.log(u) < bound)
        done = chosen[accepted]
        found[done] = scale[done] * d[done] * v[accepted]
        going = np.setdiff1d(going, done, assume_unique=True)
    return np.fmax(found, TINY[dtype]).reshape(shapes.shape)


def dirichlet(generator, concentrations):
    """Draw points whose coordinates add up to 1; see ``gamma.dirichlet``."""
    parts = gamma(generator, concentrations)
    dtype = parts.dtype
    return np.clip(parts / parts.sum(-1, keepdims=True), TINY[dtype], 1 - np.finfo(dtype).eps)
