"""Poisson, gamma and Dirichlet numbers of CUDA's stream, made by the device that reads them.

An element takes words of its own thread's stream until a number is accepted. The methods are those
of ``draw/philox_rejection.py``, and so are the words that each takes.
"""

import numpy as np

from rushlight.device_array import driver_of
from rushlight.draw.gamma import TINY
from rushlight.draw.philox_rejection import gamma_numbers, poisson_numbers
from rushlight.draw.words import F64
from rushlight.dtype import float32, float64, int64
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.range import arange
from rushlight.ops.random.discrete import poisson_
from rushlight.ops.random.distributions import dirichlet_, gamma_
from rushlight.ops.random.on_devices import PRIVATE
from rushlight.ops.random.sampling import drawn_
from rushlight.random import PhiloxGenerator

__all__ = ["philox_gamma", "philox_poisson"]

_U32 = np.dtype(np.uint32)


@elementwise(**PRIVATE)
def philox_bits(xp, x):
    """The bits of float32 or float64 numbers, as whole numbers."""
    kind = np.dtype(f"i{x.dtype.itemsize}")
    return (x.bits(kind) if hasattr(x, "bits") else x.view(kind)).astype(np.int64)


def _from_bits(bits, dtype):
    bits = bits if dtype == F64 else bits.astype(_U32)
    return bits.bits(dtype) if hasattr(bits, "bits") else bits.view(dtype)


@elementwise(**PRIVATE)
def philox_poisson(xp, thread, bits, seed, step):
    """Poisson numbers, float64, for means that come as the bits of float64 numbers."""
    return poisson_numbers(xp, _from_bits(bits, F64), thread, seed, step)


@elementwise(**PRIVATE)
def philox_gamma(xp, thread, bits, seed, step, *, dtype):
    """Gamma numbers of rate 1, for shape parameters that come as bits of numbers of ``dtype``."""
    return gamma_numbers(xp, _from_bits(bits, dtype), thread, seed, step, dtype)


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
