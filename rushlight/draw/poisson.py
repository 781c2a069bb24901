"""Poisson numbers, by two methods.

Below a mean of 10, uniform numbers are multiplied until the product falls below exp(-mean). From a
mean of 10 on, numbers are drawn by transformed rejection.

Source: Knuth, The Art of Computer Programming 2, 3.4.1; Hörmann, The transformed rejection method
for generating Poisson random variables, Insurance: Mathematics and Economics 12 (1993), PTRS.
"""

import math

import numpy as np

from rushlight.draw.singles import each
from rushlight.draw.words import DIGITS, refuse, to_dtype

__all__ = ["poisson"]


def poisson(generator, rates):
    """Draw a Poisson number for each mean in the array ``rates``, in the dtype of ``rates``.

    Raises:
        RuntimeError: a rate is negative or nan.
        NotImplementedError: ``rates`` is not floating point.
    """
    check_rates(rates)
    numbers = each(generator, _number, rates)
    with np.errstate(over="ignore", invalid="ignore"):
        return to_dtype(numbers.astype(np.int64), rates.dtype).reshape(rates.shape)


def check_rates(rates):
    """Raise unless ``rates`` are floating point and none is negative or nan."""
    if rates.dtype not in DIGITS:
        refuse("poisson", rates.dtype)
    if not (rates >= 0).all():
        raise RuntimeError("poisson: a rate is negative or nan")


def _number(stream, rate):
    if rate >= 10.0:
        return _by_rejection(stream, rate)
    if rate == 0.0:
        return 0.0
    limit = math.exp(-rate)
    number = 0
    product = stream.uniform()
    while product > limit:
        number += 1
        product *= stream.uniform()
    return number


def _by_rejection(stream, rate):
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    log_rate = math.log(rate)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        us = 0.5 - abs(u)
        number = (2.0 * a / us + b) * u + rate + 0.43
        number = math.floor(number) if abs(number) < math.inf else number
        if us >= 0.07 and v <= squeeze:
            return number
        if number < 0 or (us < 0.013 and v > us):
            continue
        bound = number * log_rate - rate - math.lgamma(number + 1.0)
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b) <= bound:
            return number
