"""Random integers whose probabilities, weights or rates come in tensors.

On a device the host draws only the numbers that PyTorch's kernels take; what becomes of them is
computed there. A Poisson number takes as many of the stream as it needs, so the host makes it.
"""

import numpy as np

import rushlight.dtype as dtypes
from rushlight import draw
from rushlight.draw.bernoulli import KNOWN
from rushlight.draw.multinomial import NO_PROBABILITY
from rushlight.dtype import float32, float64, int32
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import zeros
from rushlight.ops.create.filled import finished
from rushlight.ops.create.range import arange
from rushlight.ops.random.sampling import checked_generator, drawn_, drawn_for, draws_of, empty
from rushlight.ops.reduce.search import searchsorted
from rushlight.random import PhiloxGenerator

__all__ = ["bernoulli", "bernoulli_for", "multinomial", "poisson"]


@kernel(public=False, method=False, name="bernoulli", widen=False, draws=True)
def _bernoulli(xp, probabilities, *, shape, dtype, generator, order=None):
    """Ones with the given probabilities, zeros otherwise. Without a generator nothing is drawn."""
    out = empty(xp, shape, dtype, order)
    return out if generator is None else draw.bernoulli_like(generator, out, probabilities)


_bernoulli.grad(probabilities=zeros)


@_bernoulli.lower_check
def _check_probabilities(probabilities):
    if probabilities.dtype.is_floating_point:
        message = "bernoulli: expects p in [0, 1], but got p={}"
        check_range(probabilities, low=0, high=1, error=RuntimeError, message=message)


@_bernoulli.lower_on_devices
def _hits(probabilities, shape, dtype, generator, order):
    """Uniform numbers that are compared with the probabilities."""
    if dtype not in KNOWN or not probabilities.dtype.is_floating_point:
        return NotImplemented  # the host says why
    probabilities = probabilities.expand(shape)
    wide = probabilities.dtype is float64
    if isinstance(generator, PhiloxGenerator):
        wide = dtype == np.float64
        u = drawn_(shape=shape, dtype=np.dtype(np.float32), distribution="four_by_four",
                   parameters=(), generator=generator, order=order)  # fmt: skip
        found = u.to(float64) if wide else u
        found = found <= probabilities.to(float64 if wide else float32)
    else:
        kind = float64 if wide else float32
        u = drawn_(shape=shape, dtype=kind.numpy, distribution="uniform", parameters=(),
                   generator=generator, order=order)  # fmt: skip
        found = u < probabilities.to(kind)
    return found.to(dtypes.OF[dtype])


def bernoulli_for(array, probabilities, generator, order=None):
    shape = tuple(array.shape)
    return _bernoulli(
        probabilities, shape=shape, dtype=array.dtype, generator=generator, order=order
    )


@function
def bernoulli(input, p=None, *, generator=None, out=None):
    """Draw ones with given probabilities, and zeros otherwise.

    Args:
        input: The probability of a one for each element of the result, in [0, 1]: tensor (*),
            floating point. If ``p`` is given, only its shape and dtype count.
        p: One probability for all elements, instead of those of ``input``. Default: None.
        out: Tensor of any dtype that receives the result.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: A probability is outside [0, 1].

    >>> import rushlight as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    generator = checked_generator(generator, "bernoulli")
    if p is None:
        found = bernoulli_for(input._array, input, generator)
    else:
        found = drawn_(
            shape=tuple(input._array.shape),
            dtype=input._array.dtype,
            distribution="bernoulli",
            parameters=(float(p),),
            generator=generator,
        )
    return finished(found, False, out, "bernoulli", casts=dtypes.DTYPES)


@kernel(public=False, method=False, name="multinomial", widen=False, draws=True)
def _multinomial(xp, weights, *, count, replacement, generator):
    """Positions drawn in proportion to ``weights``, or zeros without a generator."""
    if generator is None:
        return xp.zeros((*weights.shape[:-1], count), xp.int64)
    return draw.multinomial(generator, weights, count, replacement)


@_multinomial.lower_check
def _check_weights(weights, count, replacement):
    if not _fits(weights, count, replacement):
        return
    most = dtypes.finfo(weights.dtype).max
    check_range(weights, low=0, high=most, error=RuntimeError, message=NO_PROBABILITY)
    message = "invalid multinomial distribution (sum of probabilities <= 0)"
    positive = (weights > 0).any(-1).to(int32)
    check_range(positive, low=1, high=1, error=RuntimeError, message=message)


@_multinomial.lower_on_devices
def _chosen(weights, count, replacement, generator):
    """The race of ``draw/multinomial.py``, or its search in cumulative sums."""
    if not _fits(weights, count, replacement):
        return NotImplemented  # the host says why
    kind = float64 if weights.dtype is float64 else float32
    if replacement and count > 1:
        found = _searched(weights.reshape(-1, weights.shape[-1]).to(kind), count, generator)
        return found.reshape((*weights.shape[:-1], count))
    a = weights._array
    race = (weights / drawn_for(a, a.dtype, "exponential", (), generator)).to(kind)
    return race.argmax(-1, keepdim=True) if count == 1 else race.topk(count)[1]


def _fits(weights, count, replacement):
    n = weights.shape[-1] if weights.shape else 0
    return weights.dtype.is_floating_point and 0 < count <= (1 << 63 if replacement else n)


def _searched(weights, count, generator):
    """Of each row (rows, n) the places of ``count`` uniform numbers in its cumulative sums."""
    rows, n = weights.shape
    shape = rows, count
    if isinstance(generator, PhiloxGenerator):
        weights = weights / weights.sum(-1, keepdim=True)
        u = drawn_(shape=shape, dtype=weights.dtype.numpy, distribution="one_by_one",
                   parameters=(count,), generator=generator)  # fmt: skip
        found = searchsorted(weights.cumsum(-1), u).clamp(max=n - 1)
        positive = (weights > 0) * arange(n)
        return positive.cummax(-1)[0].gather(-1, found)  # rounding may lead to a weight of 0
    sums = weights.cumsum(-1)
    sums = sums / sums[:, -1:]
    u = drawn_(shape=shape, dtype=np.dtype(np.float64), distribution="uniform", parameters=(),
               generator=generator)  # fmt: skip
    sums = sums.where(sums == sums, 1.0).to(float64)  # inf / inf, where the sum overflowed
    return searchsorted(sums, u).clamp(max=n - 1)


@function
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Draw ``num_samples`` positions from each row of weights.

    Args:
        input: The weights (n) or (rows, n), floating point. A position is drawn in proportion to
            its weight; the weights need not sum to 1.
        num_samples: Number of positions to draw from each row.
        replacement: Draw a position any number of times, not once at most. Default: False.

    Returns:
        int64 tensor (num_samples) or (rows, num_samples), with values in [0, n - 1].

    Raises:
        RuntimeError: Weights are negative, infinite or nan, or too few of them are positive.

    >>> import rushlight as torch
    >>> torch.multinomial(torch.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    generator = checked_generator(generator, "multinomial")
    if input.dim() > 2:  # only a batch of vmap has more
        raise RuntimeError(
            f"multinomial: prob_dist must be 1 or 2 dim, but is {tuple(input.shape)}"
        )
    found = _multinomial(input, count=num_samples, replacement=replacement, generator=generator)
    return finished(found, False, out, "multinomial")


@kernel(public=False, method=False, name="poisson", widen=False, draws=True)
def poisson_(xp, rates, *, generator):
    """Poisson samples, or zeros without a generator."""
    if generator is None:
        return xp.zeros_like(rates)
    return draws_of(generator).poisson(generator, rates)


poisson_.grad(rates=zeros)


@function(method=False)
def poisson(input, generator=None):
    """Draw Poisson samples, the numbers of events that happen at given rates.

    Args:
        input: The rate of each element, not negative: tensor (*), floating point.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: A rate is negative or nan.
        NotImplementedError: ``input`` is not floating point.

    >>> import rushlight as torch
    >>> torch.poisson(torch.tensor([0.0, 0.0]))
    tensor([0., 0.])
    """
    return poisson_(input, generator=checked_generator(generator, "poisson"))
