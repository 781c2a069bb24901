"""Binomial numbers, by two methods.

Below a mean of 10, geometric waiting times are summed. From a mean of 10 on, numbers are drawn by
transformed rejection.

Source: Devroye, Non-uniform random variate generation (1986), X.4.3; Hörmann, The generation of
binomial random variates, Journal of Statistical Computation and Simulation 46 (1993), BTRS.
"""

import math

import numpy as np

from rushlight.draw.singles import Singles
from rushlight.draw.words import F32, F64, refuse

__all__ = ["binomial"]


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
    rest = (1.0 - probabilities.astype(np.float64)).astype(dtype)
    trials = (
        counts.reshape(-1).tolist(),
        probabilities.reshape(-1).tolist(),
        rest.reshape(-1).tolist(),
    )
    with Singles(generator, 4 * counts.size) as singles:
        numbers = [_number(singles.uniform, *row) for row in zip(*trials, strict=True)]
    return np.array(numbers, np.float64).astype(dtype).reshape(counts.shape)


def _number(uniform, n, p, q):
    if n <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return n
    if not math.isfinite(n):
        raise RuntimeError(f"binomial: count must be finite, but an element is {n}")
    if p <= 0.5:
        return _successes(uniform, n, p)
    return n - _successes(uniform, n, q) if p > 0.5 else math.nan


def _successes(uniform, n, p):
    return (_by_rejection if n * p >= 10.0 else _by_waiting)(uniform, n, p)


def _by_waiting(uniform, n, p):
    """Count how many waiting times, each until the next success, fit into ``n`` trials."""
    log_failure = math.log1p(-p)
    number, time = 0, 0.0
    while True:
        u = uniform()
        time += math.ceil(math.log(u) / log_failure) if u else math.inf
        if time > n:
            return float(number)
        number += 1


def _by_rejection(uniform, n, p):
    deviation = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    squeeze = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    log_odds = math.log(p / (1 - p))
    mode = math.floor((n + 1) * p)
    while True:
        u = uniform() - 0.5
        v = uniform()
        us = 0.5 - abs(u)
        number = math.floor((2 * a / us + b) * u + n * p + 0.5) if us else -1
        if not 0 <= number <= n:
            continue
        if us >= 0.07 and v <= squeeze:
            return float(number)
        v *= alpha / (a / (us * us) + b)
        bound = _log_ways(n, number) - _log_ways(n, mode) + (number - mode) * log_odds
        if v == 0 or math.log(v) <= bound:
            return float(number)


def _log_ways(n, k):
    """The logarithm of the binomial coefficient "n over k", without the term log n!.

    Callers subtract two such logarithms for the same n, so the term would cancel.
    """
    return -math.lgamma(k + 1) - math.lgamma(n - k + 1)
