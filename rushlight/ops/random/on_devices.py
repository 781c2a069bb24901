"""Random numbers of CUDA's stream, made by the device that reads them.

``draw/philox.py`` says which word of which thread's stream an element takes. The word depends on
the seed, on the number of the step at which the draw begins, and on the element's place. So a
kernel computes each number by itself, and the host sends only the *position*: the seed and the
step. The numbers are those of ``draw/philox.py``; the last digits of logarithms and sines may
differ.

A *recipe* has what the host knows of a draw. Its ``way`` says how places become threads and words:

- each: how many elements a thread makes in a step.
- side: how many of them are neighbours.
- once: whether a single step of all threads makes all elements.
- wide: whether the places need 64 bits.
"""

from math import ceil, prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.device_array import driver_of
from rushlight.draw.bernoulli import KNOWN
from rushlight.draw.continuous import (
    REAL,
    check_bounds,
    check_geometric,
    require_continuous,
    require_positive,
)
from rushlight.draw.integers import I64, LOWEST, _range, whole_size
from rushlight.draw.permutation import check_permutation
from rushlight.draw.philox import (
    BLOCK,
    HIGHEST_GRID,
    box_muller32,
    box_muller64,
    four_words,
    unit32,
    unit64,
)
from rushlight.draw.rounding import fma32, fma64
from rushlight.draw.words import F32, F64, LARGEST, cast
from rushlight.dtype import OF, float32
from rushlight.ops.core.kinds import elementwise, kernel, source
from rushlight.ops.create.range import arange
from rushlight.ops.elementwise.complex import view_as_complex
from rushlight.ops.random.sampling import drawn_
from rushlight.ops.shape.join import stack
from rushlight.random import PhiloxGenerator
from rushlight.remote import at
from rushlight.strides import dense_strides
from rushlight.tensor import from_array

__all__ = ["PRIVATE", "Recipe", "made", "philox_number", "recipe"]

_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)
#: What the parts of a draw are: neither public nor taken by kernels for halves.
PRIVATE: dict = {
    "public": False, "method": False, "inplace": False, "least": None, "halves": False,
}  # fmt: skip


# Words, as operations on each element -------------------------------------------------------


def _words(place, seed, step, threads, way):
    """(the four words of an element's thread and step, which of the thread's elements it is)."""
    each, side, once, wide = way
    kind = _U64 if wide else _U32
    place, threads = cast(place, kind), cast(threads, kind)
    if not once:
        whole = threads * each
        steps = place // whole
        place, step = place - steps * whole, step + steps.astype(I64)
    thread, turn = place >> (side.bit_length() - 1), None
    for j in range(1, each // side):
        beyond = (thread >= threads * j).astype(kind)
        turn = beyond if turn is None else turn + beyond
    number = place & (side - 1)
    if turn is not None:
        thread, number = thread - turn * threads, number + turn * side
    return four_words(thread, step, seed), number


def _single(xp, place, seed, step, threads, way):
    """The word of an element that takes one."""
    (w0, w1, w2, w3), number = _words(place, seed, step, threads, way)
    first, second = xp.where(number == 0, w0, w1), xp.where(number == 2, w2, w3)
    return xp.where(number < 2, first, second)


def _pair(xp, place, seed, step, threads, way):
    """The two words of an element that takes as many."""
    (w0, w1, w2, w3), number = _words(place, seed, step, threads, way)
    return xp.where(number == 0, w0, w2), xp.where(number == 0, w1, w3)


@elementwise(**PRIVATE)
def philox_unit(xp, place, seed, step, threads, *, way, dtype):
    """Uniform numbers in (0, 1], float32 or float64."""
    if dtype == F64:
        return unit64(*_pair(xp, place, seed, step, threads, way))
    return unit32(_single(xp, place, seed, step, threads, way))


@elementwise(**PRIVATE)
def philox_normal(xp, place, seed, step, threads, *, way, dtype):
    """Normal numbers, float32 or float64."""
    (w0, w1, w2, w3), number = _words(place, seed, step, threads, way)
    if dtype == F64:
        sine, cosine = box_muller64(xp, w0, w1, w2, w3)
    else:
        sine, cosine = box_muller32(xp, *[xp.where(number < 2, *w) for w in ((w0, w2), (w1, w3))])
    return xp.where((number & 1) == 0, sine, cosine)


@elementwise(**PRIVATE)
def philox_integer(xp, place, seed, step, threads, low, size=None, *, way, long):
    """``low`` + a word mod ``size``; with ``long`` a 64-bit word. Without ``size`` the word."""
    if long:
        upper, lower = _pair(xp, place, seed, step, threads, way)
        word = upper.astype(_U64) << 32 | lower.astype(_U64)
    else:
        word = _single(xp, place, seed, step, threads, way)
    if size is None:
        return word.astype(I64)
    return (word % cast(size, word.dtype)).astype(I64) + low


@elementwise(**PRIVATE)
def philox_between(xp, unit, width, low):
    """``unit`` · ``width`` + ``low``, rounded once. All widths are one number, and all lows."""
    if hasattr(xp, "fma"):
        return xp.fma(unit, width, low)
    width, low = [np.ravel(x)[0] for x in (width, low)]
    return (fma64 if unit.dtype == F64 else fma32)(unit, width, low)


@elementwise(**PRIVATE)
def philox_number(xp, bits, *, dtype):
    """The floating-point number that the position carries as ``bits``."""
    bits = bits if dtype == F64 else bits.astype(_U32)
    return bits.bits(dtype) if hasattr(bits, "bits") else bits.view(dtype)


# Distributions: what the host plans, and what the device makes -----------------------------


class Plan(NamedTuple):
    """What a distribution needs.

    Attributes:
        numbers: The parameters that the kernel reads: NumPy's floats, and ints.
        each, side: See above; with ``each`` 1 the places are threads.
        taken: As in a ``Recipe``; None: four for each step.
        more: What else the code depends on.
    """

    numbers: tuple = ()
    each: int = 4
    side: int = 1
    taken: int | None = None
    more: Any = None


class Words:
    """The words of a draw, on the device.

    Args:
        count: The number of elements.
        seed, step, threads: 0-dim tensors, or numbers.
        way: See above.
    """

    def __init__(self, count, seed, step, threads, way):
        self.count, self.way = count, way
        self.place, self.seed, self.step, self.threads = arange(count), seed, step, threads

    def _of(self, operation, *args, **params):
        return operation(
            self.place, self.seed, self.step, self.threads, *args, way=self.way, **params
        )

    def units(self, dtype=float32):
        """Uniform numbers in (0, 1]: float64 for float64, else float32."""
        return self._of(philox_unit, dtype=_real(dtype.numpy))

    def normals(self, dtype):
        """Normal numbers: float64 for float64, else float32."""
        return self._of(philox_normal, dtype=_real(dtype.numpy))

    def integers(self, low, size, long):
        """See ``philox_integer``."""
        return self._of(philox_integer, low, size, long=long)


def _real(dtype):
    """The dtype in which numbers of ``dtype`` are made."""
    return F64 if dtype == F64 else F32


def _each(dtype):
    return 2 if dtype == F64 else 4


def _signed(n):
    """``n`` mod 2^64 as a signed number."""
    return (n + 2**63) % 2**64 - 2**63


def _plan_uniform(count, dtype, low=0.0, high=1.0):
    if dtype not in LARGEST:
        return None
    check_bounds(low, high, dtype)
    real = _real(dtype).type
    ends = [real(dtype.type(v)) for v in (low, high)]
    return Plan((real(high) - real(low), real(low), *ends), _each(dtype))


def _uniform(words, dtype, more, width, low, least, most):
    found = philox_between(words.units(dtype), width, low).to(dtype)
    return found.where(found != most, least)


def _plan_normal(count, dtype, mean=0.0, std=1.0, contiguous=True):
    if dtype not in LARGEST or not std >= 0.0:
        return None
    real = _real(dtype).type
    return Plan((real(mean), real(std)), _each(dtype))


def _normal(words, dtype, more, mean, std):
    return words.normals(dtype) * std + mean


def _plan_log_normal(count, dtype, mean=1.0, std=2.0):
    require_positive("log_normal_", "std", std)
    return _plan_normal(count, dtype, mean, std)


def _log_normal(words, dtype, more, mean, std):
    return _normal(words, dtype, more, mean, std).exp()


def _plan_integers(count, dtype, low, high):
    if dtype not in KNOWN:
        return None
    if high is None and low == LOWEST:
        return Plan((), 2, more=True)
    low, size = _range(dtype, low, high)
    long = size >= 1 << 28
    return Plan((low, _signed(size)), 2 if long else 4, more=long)


def _plan_full_range(count, dtype):
    long = dtype in (I64, F64)
    return Plan((0, _signed(whole_size(dtype))), 2 if long else 4, more=long)


def _integers(words, dtype, long, low=0, size=None):
    return words.integers(low, size, long)


def _plan_bernoulli(count, dtype, p):
    if dtype not in KNOWN or not 0 <= p <= 1:
        return None
    return Plan((_real(dtype).type(p),), _each(dtype))


def _bernoulli(words, dtype, more, p):
    return words.units(dtype) < p


def _plan_dropout(count, dtype, p):
    if dtype not in LARGEST or not 0 < p < 1:
        return None
    keep, real = 1.0 - p, _real(dtype).type
    side = 4 if count % 4 == 0 else 2 if count % 2 == 0 else 1
    return Plan((np.float32(keep), real(1.0) / real(keep)), 4, side)


def _dropout(words, dtype, more, keep, scale):
    kept = words.units() < keep
    return kept.to(OF[_real(dtype.numpy)]) * scale


def _plan_exponential(count, dtype, rate=1.0):
    require_positive("exponential_", "lambda", rate)
    require_continuous("exponential_", dtype)
    real = _real(dtype).type
    return Plan((real(-1.0) / real(rate),), _each(dtype))


def _exponential(words, dtype, more, scale):
    u = words.units(dtype)
    half = float(np.finfo(_real(dtype.numpy)).eps) / 2
    return u.log().where(u < 1 - half, -half) * scale


def _plan_cauchy(count, dtype, median=0.0, sigma=1.0):
    require_positive("cauchy_", "sigma", sigma)
    require_continuous("cauchy_", dtype)
    real = _real(dtype).type
    return Plan((real(median), real(sigma)), _each(dtype))


def _cauchy(words, dtype, more, median, sigma):
    real = _real(dtype.numpy).type
    eps = float(np.finfo(real).eps)
    angle = (words.units(dtype).clamp(eps, 1 - eps) - 0.5) * float(real(np.pi))
    return angle.tan() * sigma + median


def _plan_geometric(count, dtype, p):
    check_geometric(count, dtype, p)
    real = _real(dtype).type
    return Plan((np.log1p(-real(p)),), _each(dtype))


def _geometric(words, dtype, more, log):
    found = (words.units(dtype).log() / log).ceil()
    return found if dtype.is_floating_point else found.long()


def _plan_four_by_four(count, dtype):
    return Plan((), 4, 4, taken=12)


def _plan_one_by_one(count, dtype, width):
    return Plan((), 1, taken=4 * ceil(count // width / HIGHEST_GRID), more=width)


def _one_by_one(words, dtype, width):
    """A block has 128 threads, and a row as many blocks as it needs."""
    rows = arange(words.count // width).unsqueeze(1)
    words.step = rows // HIGHEST_GRID + words.step
    words.place = rows % HIGHEST_GRID * (ceil(width / 128) * 128) + arange(width)
    return words.units().reshape(-1)


def _plan_permutation(count, dtype, n=None):
    n = count if n is None else n
    check_permutation(n, dtype)
    return Plan((), 2, more=n)


def _permutation(words, dtype, n):
    """The order of random numbers of 64 bits."""
    keys = words.integers(0, None, True).reshape(-1, n)
    return keys.argsort(-1).reshape(-1)


def _plan_position(count, dtype, taken):
    return Plan((), taken=taken)


def _position_of(words, dtype, more):
    return stack([words.seed, words.step])


#: Distribution → (the function that plans it, the function that makes it).
_DISTRIBUTIONS: dict = {
    "uniform": (_plan_uniform, _uniform),
    "normal": (_plan_normal, _normal),
    "log_normal": (_plan_log_normal, _log_normal),
    "integers": (_plan_integers, _integers),
    "full_range": (_plan_full_range, _integers),
    "bernoulli": (_plan_bernoulli, _bernoulli),
    "dropout": (_plan_dropout, _dropout),
    "exponential": (_plan_exponential, _exponential),
    "cauchy": (_plan_cauchy, _cauchy),
    "geometric": (_plan_geometric, _geometric),
    "four_by_four": (_plan_four_by_four, lambda words, dtype, more: words.units()),
    "one_by_one": (_plan_one_by_one, _one_by_one),
    "permutation": (_plan_permutation, _permutation),
    "position": (_plan_position, _position_of),
}


class Recipe(NamedTuple):
    """What the host knows of a draw.

    Attributes:
        taken: How many numbers the draw takes of each thread's stream.
        threads: The number of threads.
        numbers: The parameters that the kernel reads: NumPy's floats, and ints.
        form: What else the code depends on: (distribution, way, more, the kinds of the numbers).
    """

    taken: int
    threads: int
    numbers: tuple
    form: tuple


def recipe(generator, shape, dtype, distribution, parameters):
    """The ``Recipe`` of a draw, or None if the host must make its numbers, or raise its error."""
    count = prod(shape)
    if not count or not isinstance(generator, PhiloxGenerator):
        return None
    if dtype == F64 and not driver_of(generator.device).doubles:
        return None
    try:
        plan = _DISTRIBUTIONS[distribution][0](count, dtype, *parameters)
    except (RuntimeError, ValueError, NotImplementedError):
        return None
    if plan is None:
        return None
    threads = min(ceil(count / BLOCK), generator.blocks) * BLOCK
    steps = ceil(count / (threads * plan.each)) if plan.taken is None else 1
    way = plan.each, plan.side, steps == 1, count >= 1 << 31
    taken = 4 * steps if plan.taken is None else plan.taken
    kinds = "".join([getattr(n, "dtype", I64).char for n in plan.numbers])
    return Recipe(taken, threads, plan.numbers, (distribution, way, plan.more, kinds))


def made(form, shape, dtype, order, seed, step, threads, numbers):
    """The tensor of a draw. All but its form may be 0-dim tensors on the device, or numbers."""
    distribution, way, more, _ = form
    words = Words(prod(shape), seed, step, threads, way)
    kind = OF[dtype]
    found = _DISTRIBUTIONS[distribution][1](words, kind, more, *numbers).to(kind)
    if order is None:
        return found.reshape(shape)
    return found.reshape([shape[d] for d in order]).permute(np.argsort(order).tolist())


# Eager calls --------------------------------------------------------------------------------


@source(public=False, name="philox_position", draws=True,
        shape=lambda rest, **_: ((2 + len(rest),), I64))  # fmt: skip
def _position(xp, *, generator, taken, rest):
    """The seed, the step at which a draw begins, and what else its kernel reads."""
    with generator.lock:
        first = generator.take(taken)
    numbers = generator.initial_seed(), first // 4, *rest
    return np.array([n % 2**64 for n in numbers], np.uint64).view(np.int64)


@kernel(public=False, method=False, name="philox_draw", widen=False, keeps_order=True)
def _draw(xp, position, *, shape, dtype, form, order):
    """The numbers of a draw."""
    if xp.dry:
        strides = dense_strides(shape, order or range(len(shape)), dtype.itemsize)
        return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
    with at(CPU):
        return _from_position(from_array(position), shape, dtype, form, order)._array


@_draw.lower_on_devices
def _from_position(position, shape, dtype, form, order):
    seed, step, threads, *rest = position.unbind()
    # Expanded, so that the kernel of the draw reads the numbers: 0-dim results have their own one.
    count = prod(shape)
    numbers = [
        n if kind == "l" else philox_number(n.expand(count), dtype=np.dtype(kind))
        for n, kind in zip(rest, form[-1], strict=True)
    ]
    return made(form, shape, dtype, order, seed, step, threads, numbers)


@drawn_.lower_on_devices
def _by_kernel(shape, dtype, distribution, parameters, generator, order):
    """A program's draws become kernels otherwise; see ``compiler/device/draws.py``."""
    if dtype in REAL and isinstance(generator, PhiloxGenerator):
        return _by_parts(shape, dtype, distribution, parameters, generator, order)
    if mode.recorder() is not None or distribution == "position":
        return NotImplemented
    found = recipe(generator, shape, dtype, distribution, parameters)
    if found is None:
        return NotImplemented
    rest = found.threads, *map(_bits, found.numbers)
    position = _position(generator=generator, taken=found.taken, rest=rest)
    return _draw(position, shape=tuple(shape), dtype=dtype, form=found.form, order=order)


def _by_parts(shape, dtype, distribution, parameters, generator, order):
    """Complex numbers: the real and the imaginary part of each are drawn one after the other."""
    if distribution == "normal":
        mean, std = parameters or (0.0, 1.0)
        if not std >= 0.0:
            return NotImplemented
        parameters = mean, std / sqrt(2.0)
    elif distribution != "uniform":
        return NotImplemented
    order = None if order is None else (*order, len(shape))
    parts = drawn_(shape=(*shape, 2), dtype=REAL[dtype], distribution=distribution,
                   parameters=parameters, generator=generator, order=order)  # fmt: skip
    return view_as_complex(parts)


def _bits(number):
    """A number as a whole number with the same bits."""
    if isinstance(number, np.floating):
        return int(number.view(_U64 if number.itemsize == 8 else _U32))
    return number
