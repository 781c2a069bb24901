"""Binomial numbers, by two methods.

Below a mean of 10, geometric waiting times are summed. From a mean of 10 on, numbers are drawn by
transformed rejection.

Source: Devroye, Non-uniform random variate generation (1986), X.4.3; Hörmann, The generation of
binomial random variates, Journal of Statistical Computation and Simulation 46 (1993), BTRS.
"""

import math

import numpy as np

from rushlight.draw.singles import each
from rushlight.draw.words import F32, F64, refuse

__all__ = ["binomial", "tail"]

#: Veltkamp's factor, which splits a float64 number after 24 bits.
SPLIT = 2.0**29 + 1
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def binomial(generator, counts, probabilities):
    """Draw the number of successes for each number of trials and each probability of success.

    ``counts`` and ``probabilities`` are arrays that broadcast. The result has the dtype of
    ``counts``.

    Raises:
        NotImplementedError: ``counts`` is not float32 or float64.
        RuntimeError: A count is infinite or nan.
    """
    dtype = counts.dtype
    if dtype not in (F32, F64):
        refuse("binomial_cpu", dtype)
    counts, probabilities = np.broadcast_arrays(counts, probabilities)
    split = 1.0 if dtype == F64 else SPLIT
    if not np.isfinite(counts).all():
        _refuse_endless(generator, counts.reshape(-1), probabilities.reshape(-1))
    numbers = each(generator, _number, counts, probabilities, split)
    return numbers.astype(dtype).reshape(counts.shape)


def _refuse_endless(generator, n, p):
    """Raise if an infinite number of trials is to be drawn from, after the draws before it."""
    endless = ~np.isfinite(n) & ~(n <= 0) & ~(p <= 0) & ~(p >= 1)
    if endless.any():
        first = endless.argmax()
        binomial(generator, n[:first], p[:first])
        raise RuntimeError(f"binomial: count must be finite, but an element is {n[first]}")


def _rounded(x, split):
    """``x`` in the precision of the operands: 24 bits if ``split`` is ``SPLIT``, 53 if it is 1."""
    t = split * x
    return t - (t - x)


def _number(stream, n, p, split):
    if n <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return n
    if p <= 0.5:
        return _successes(stream, n, p, split)
    return n - _successes(stream, n, _rounded(1 - p, split), split) if p > 0.5 else math.nan


def _successes(stream, n, p, split):
    if n * p >= 9.99 and _rounded(n * p, split) >= 10.0:  # most means need no rounding
        return _by_rejection(stream, n, p, split)
    return _by_waiting(stream, n, p, split)


def _by_waiting(stream, n, p, split):
    """Count how many waiting times, each until the next success, fit into ``n`` trials."""
    log_failure = _rounded(math.log1p(-p), split)
    number, time = 0, 0.0
    while True:
        u = stream.uniform()
        wait = math.log(u) / log_failure if u else math.inf
        time += math.ceil(wait) if wait < math.inf else wait
        if time > n:
            return number
        number += 1


def _by_rejection(stream, n, p, split):
    """Hörmann's BTRS. PyTorch rounds some terms to the dtype, so they are rounded here."""
    q = _rounded(1 - p, split)
    mean = _rounded(n * p, split)
    deviation = _rounded(math.sqrt(_rounded(mean * q, split)), split)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    squeeze = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    odds = _rounded(p / q, split)
    more = _rounded(n + 1, split)
    mode = math.floor(_rounded(more * p, split))
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        us = 0.5 - abs(u)
        number = _rounded(math.floor((2 * a / us + b) * u + (mean + 0.5)), split) if us else -1
        if not 0 <= number <= n:
            continue
        if us >= 0.07 and v <= squeeze:
            return number
        v *= alpha / (a / (us * us) + b)
        rest = _rounded(n - number, split)
        following, left = _rounded(number + 1, split), _rounded(rest + 1, split)
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + more * math.log((n - mode + 1) / left)
            + (number + 0.5) * math.log(odds * left / following)
            + tail(mode)
            + tail(n - mode)
            - tail(number)
            - tail(rest)
        )
        if v == 0 or math.log(v) <= bound:
            return number


def tail(k):
    """log k! less the first terms of Stirling's series."""
    x = k + 1
    if k < 10:
        return math.lgamma(x) - ((k + 0.5) * math.log(x) - x + HALF_LOG_2PI)
    square = x * x
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / x
