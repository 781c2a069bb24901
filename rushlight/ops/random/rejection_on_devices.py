"""Poisson, gamma and Dirichlet numbers of CUDA's stream, made by the device that reads them.

An element takes words of its own thread's stream until a number is accepted. The methods are those
of ``draw/philox_rejection.py``, and so are the words that each takes.
"""

import numpy as np

from rushlight.device_array import driver_of
from rushlight.draw.gamma import TINY
from rushlight.draw.philox import unit32, unit64
from rushlight.draw.words import F32, F64
from rushlight.dtype import float32, float64, int64
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.range import arange
from rushlight.ops.random.discrete import poisson_
from rushlight.ops.random.distributions import dirichlet_, gamma_
from rushlight.ops.random.on_devices import PRIVATE, four_words
from rushlight.ops.random.sampling import drawn_
from rushlight.random import PhiloxGenerator

__all__ = ["philox_gamma", "philox_poisson"]

_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


@elementwise(**PRIVATE)
def philox_bits(xp, x):
    """The bits of float32 or float64 numbers, as whole numbers."""
    kind = np.dtype(f"i{x.dtype.itemsize}")
    return (x.bits(kind) if hasattr(x, "bits") else x.view(kind)).astype(np.int64)


def _from_bits(bits, dtype):
    bits = bits if dtype == F64 else bits.astype(_U32)
    return bits.bits(dtype) if hasattr(bits, "bits") else bits.view(dtype)


def _word(xp, thread, number, seed):
    """The word ``number`` of a thread's stream."""
    w0, w1, w2, w3 = four_words(thread, number >> 2, seed)
    turn = number & 3
    return xp.where(turn < 2, xp.where(turn == 0, w0, w1), xp.where(turn == 2, w2, w3))


def _one(condition):
    """1 where the condition holds, else 0."""
    return condition.astype(_U64)


# Poisson ----------------------------------------------------------------------------------


@elementwise(**PRIVATE)
def philox_poisson(xp, thread, bits, seed, step):
    """Poisson numbers, float64, for means that come as the bits of float64 numbers."""
    mean, start = _from_bits(bits, F64), step.astype(_U64) << 2
    unit = lambda number: unit32(_word(xp, thread, number, seed))
    found = xp.where_any(mean < 64.0, lambda x: _by_products(xp, mean, start, unit), mean)
    middle = (mean >= 64.0) & (mean <= 4000.0)
    found = xp.where_any(
        middle, lambda x: xp.where(middle, _by_inversion(xp, mean, middle, start, unit), x), found
    )
    large = mean > 4000.0
    return xp.where_any(
        large, lambda x: xp.where(large, _by_normals(xp, mean, thread, step, seed), x), found
    )


def _by_products(xp, mean, start, unit):
    few = mean < 64.0
    product = xp.where(few, xp.exp(xp.where(few, mean, 0.0).astype(F32)), mean.astype(F32) * 0.0)

    def step(number, product, found):
        more = product > 1.0
        product = xp.where(more, product * unit(number), product)
        return number + _one(more), product, found + more.astype(F64)

    state = start + _one(mean != mean), product, mean * 0.0 - 1.0
    found = xp.repeat_while(lambda number, product, found: product > 1.0, step, state)[2]
    return xp.maximum(found, 0.0)


def _by_inversion(xp, mean, active, start, unit):
    """The distribution function is about 1 / (1 + exp(slope · (mean - k) - shift))²."""
    mean = xp.where(active, mean, 64.0).astype(F32)
    slope = 1.4324803 / xp.sqrt(mean - 0.12400979) + 0.00025361075
    shift = 0.21096735 / xp.sqrt(mean - 1.9738117) + 0.94201735

    def below(k):
        rest = 1 + xp.exp(slope * (mean - k) - shift)
        return 1 / (rest * rest)

    def step(number, found, active):
        y = xp.log(1 / xp.sqrt(unit(number)) - 1)
        k = xp.floor(mean - (shift + y) / slope)
        weight = (below(k + 1) - below(k)) * 1.3
        fits = (k >= 0) & (k < 8192)
        log = k * xp.log(mean) - mean - _log_factorial(xp, xp.where(fits, k, 0.0))
        accepted = fits & (weight >= 1e-20) & (unit(number + 1) * weight < xp.exp(log))
        found = xp.where(active & accepted, k.astype(F64), found)
        return number + (_one(active) << 1), found, active & ~accepted

    state = start + _one(mean != mean), mean.astype(F64) * 0.0, active
    return xp.repeat_while(lambda number, found, active: active, step, state)[1]


def _log_factorial(xp, k):
    """log k! by Stirling's series, rounded to float32."""
    x = k.astype(F64) + 1.0
    square = x * x
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / x
    return ((x - 0.5) * xp.log(x) - x + _HALF_LOG_2PI + series).astype(F32)


def _by_normals(xp, mean, thread, step, seed):
    w0, w1, w2, w3 = four_words(thread, step, seed)
    turn = w2.astype(_U64) ^ (w3.astype(_U64) << 21)
    angle = np.pi * (turn.astype(F64) * 2.0**-52 + 2.0**-53)
    normal = xp.sqrt(-2.0 * xp.log(unit64(w0, w1))) * xp.sin(angle)
    found = xp.sqrt(mean) * normal + mean + 0.5
    found = xp.where(found == found, found, 0.0)
    return xp.floor(xp.minimum(xp.maximum(found, 0.0), 2.0**32 - 1))


# Gamma ------------------------------------------------------------------------------------


@elementwise(**PRIVATE)
def philox_gamma(xp, thread, bits, seed, step, *, dtype):
    """Gamma numbers of rate 1, for shape parameters that come as bits of numbers of ``dtype``."""
    alpha, start = _from_bits(bits, dtype), step.astype(_U64) << 2
    unit = lambda number: 1 - unit32(_word(xp, thread, number, seed)).astype(dtype)
    small, going = alpha < 1, (alpha > 0) & (alpha < np.inf)
    scale = xp.where(small, xp.power(unit(start), 1 / alpha), 1.0)
    d = xp.where(small, alpha + 1, alpha) - float(dtype.type(1 / 3))
    c = 1 / xp.sqrt(9 * d)

    def step_(number, kept, waits, found, active):
        one, other = _normals(xp, thread, number, seed)
        x = xp.where(waits, kept, one)
        after = number + (_one(~waits) << 1)
        kept, waits = xp.where(waits, kept, other), ~waits
        y = 1 + c * x.astype(dtype)
        x, inside, v = x.astype(dtype), y > 0, y * y * y
        u = unit(after)
        bound = x * x / 2 + d * (1 - v + xp.log(v))
        accepted = inside & ((u < 1 - 0.0331 * (x * x * (x * x))) | (xp.log(u) < bound))
        found = xp.where(active & accepted, scale * d * v, found)
        return after + _one(inside), kept, waits, found, active & ~accepted

    nothing = xp.where(alpha == np.inf, alpha, alpha.astype(dtype) * 0.0)
    state = start + _one(small), alpha.astype(F32) * 0, alpha != alpha, nothing, going
    found = xp.repeat_while(lambda *state: state[-1], step_, state)[3]
    return xp.fmax(found, float(TINY[dtype]))


def _normals(xp, thread, number, seed):
    """Two normal float32 numbers of the next two words."""
    turn = float(np.float32(2.0**-32) * np.float32(2.0 * np.pi))
    size = xp.sqrt(-2.0 * xp.log(unit32(_word(xp, thread, number, seed))))
    angle = _word(xp, thread, number + 1, seed).astype(F32) * turn + turn / 2
    return size * xp.sin(angle), size * xp.cos(angle)


# On devices -------------------------------------------------------------------------------


def _at(x, generator, taken):
    """The thread of each element of ``x``, the seed, and the step at which the draw begins."""
    position = drawn_(shape=(2,), dtype=int64.numpy, distribution="position", parameters=(taken,),
                      generator=generator)  # fmt: skip
    return arange(x.numel()).reshape(x.shape), position[0], position[1]


def _fits(generator, double):
    is_philox = isinstance(generator, PhiloxGenerator)
    return is_philox and (not double or driver_of(generator.device).doubles)


@poisson_.lower_on_devices
def _poisson(rates, generator):
    if not _fits(generator, True) or not rates.dtype.is_floating_point:
        return NotImplemented  # the host computes it, or says why
    thread, seed, step = _at(rates, generator, 20)
    return philox_poisson(thread, philox_bits(rates.to(float64)), seed, step).to(rates.dtype)


@poisson_.lower_check
def _check_rates(rates):
    if rates.dtype.is_floating_point:
        message = "poisson: a rate is negative or nan"
        check_range((rates >= 0).int(), low=1, high=1, error=RuntimeError, message=message)


def _gamma_numbers(x, generator):
    thread, seed, step = _at(x, generator, 12)
    return philox_gamma(thread, philox_bits(x), seed, step, dtype=x.dtype.numpy)


@gamma_.lower_on_devices
def _gamma(x, generator):
    if x.dtype not in (float32, float64) or not _fits(generator, x.dtype is float64):
        return NotImplemented
    return _gamma_numbers(x, generator)


@dirichlet_.lower_on_devices
def _dirichlet(x, generator):
    if x.dtype not in (float32, float64) or not _fits(generator, x.dtype is float64):
        return NotImplemented
    parts = _gamma_numbers(x, generator)
    eps = float(np.finfo(x.dtype.numpy).eps)
    return (parts / parts.sum(-1, keepdim=True)).clamp(float(TINY[x.dtype.numpy]), 1 - eps)
