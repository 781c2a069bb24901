"""Rectifiers whose slope for negative inputs is learned (prelu) or random (rrelu)."""

import math

import numpy as np

from rushlight import draw
from rushlight.draw.singles import each
from rushlight.dtype import float32, float64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import elementwise, kernel
from rushlight.ops.core.promotion import as_number
from rushlight.ops.core.rules import where
from rushlight.ops.elementwise.activation import leaky_relu
from rushlight.ops.elementwise.division import real_numbers
from rushlight.ops.random.sampling import checked_generator, drawn_
from rushlight.ops.shape.view import tensor_array
from rushlight.random import PhiloxGenerator
from rushlight.tensor import Tensor

__all__ = ["prelu", "rrelu"]

# Learned ------------------------------------------------------------------------------------


@elementwise(public=False, method=False, inplace=False, dtype=real_numbers, name="prelu_kernel",
             keeps_order="like", flat=True)  # fmt: skip
def _sloped(xp, x, weight):
    """x where it is positive, else ``weight · x``."""
    return xp.where(x > 0, x, weight * x)


_sloped.grad(
    x=lambda g, x, weight: where(x > 0, g, g * weight),
    weight=lambda g, x: where(x > 0, 0, g * x),
)


@in_c
@function
@autocasts(LOWER)
def prelu(input, weight):
    """Multiply the elements that are not positive by learned slopes.

    Args:
        input: Tensor ``(N, C, *)``. Tensors with fewer than 2 dims have one channel.
        weight: The slopes, a tensor of ``input``'s dtype: ``(C,)`` with one for each channel, or
            ``(1,)`` or ``()`` with one for all elements.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: the number of weights is neither 1 nor C; the dtypes differ.

    Source: He et al. 2015.

    >>> import rushlight as torch
    >>> torch.prelu(torch.tensor([-1.0, 2.0]), torch.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    for position, (argument, t) in enumerate((("input", input), ("weight", weight)), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"prelu(): argument '{argument}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )
    x, w = input._array, weight._array
    if x.dtype != w.dtype:
        raise DtypeError(
            f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}"
        )
    if w.ndim > 1:
        raise ShapeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}"
        )
    if w.size != 1:
        if x.ndim == 0:
            raise ShapeError("prelu: Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if w.shape != (channels,):
            raise ShapeError(
                "prelu: Mismatch of parameter numbers and input channel size. Found parameter "
                f"numbers = {w.size} and channel size = {channels}: input {tuple(x.shape)}, weight "
                f"{tuple(w.shape)}"
            )
    if x.ndim == 0:
        weight = weight.reshape(())
    elif w.ndim and x.ndim != 2:
        weight = weight.reshape(1, -1, *[1] * (x.ndim - 2)) if x.ndim > 1 else weight.reshape(1)
    return _sloped(input, weight)


# Random -------------------------------------------------------------------------------------


@kernel(public=False, method=False, widen=False, draws=True, name="rrelu_slopes")
def _slopes(xp, x, *, lower, upper, generator):
    """A slope for each element of x: 1 if it is positive, else random from [lower, upper)."""
    # As in PyTorch, the bounds are rounded to the dtype of the computation, and the product of
    # doubles is rounded before the sum. ``uniform_`` rounds once.
    low, high = (v if x.dtype.itemsize == 8 else float(np.float32(v)) for v in (lower, upper))
    if generator is not None and generator.noted:  # a call that will be replayed
        return each(generator, _slope, x, low, high - low).astype(x.dtype).reshape(x.shape)
    slopes = xp.ones(x.shape, x.dtype)
    if generator is not None:
        places = np.flatnonzero(x <= 0)  # faster than a mask
        drawn = draw.uniform(generator, len(places), np.dtype("f8"))
        slopes.reshape(-1)[places] = drawn * (high - low) + low
    return slopes


@_slopes.lower_on_devices
def _slopes_by_kernel(x, lower, upper, generator):
    """A number is drawn for each element, and replaced by 1 where the element is positive."""
    if not isinstance(generator, PhiloxGenerator):
        return NotImplemented
    kind = float64 if x.dtype is float64 else float32
    slopes = drawn_(shape=x.shape, dtype=kind.numpy, distribution="uniform",
                    parameters=(lower, upper), generator=generator)  # fmt: skip
    return slopes.where(x <= 0, 1.0).to(x.dtype)


def _slope(stream, x, low, width):
    return stream.uniform() * width + low if x <= 0 else 1.0


@elementwise(
    public=False, method=False, inplace=False, dtype=real_numbers, name="rrelu_with_noise",
    keeps_order=False, least=None, flat=True,
)  # fmt: skip
def _noisy(xp, x, noise):
    """x times its slope."""
    return x * noise


_noisy.grad(x=lambda g, noise: g * noise)
_noisy.watch(x="x")


@function(method=False)
def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, generator=None):
    """Multiply the elements that are not positive by random slopes.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        lower: The lowest slope. Default: 1/8.
        upper: Slopes are below this number. Default: 1/3.
        training: Draw a slope for each element. Default: False, and each slope is the mean of
            ``lower`` and ``upper``.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: a bound is not finite, or ``lower`` is above ``upper``.

    Source: Xu et al. 2015.

    >>> import rushlight as torch
    >>> torch.rrelu(torch.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """
    lower, upper = as_number(lower), as_number(upper)
    for name, bound in (("lower", lower), ("upper", upper)):
        if not math.isfinite(bound):
            raise RuntimeError(f"rrelu: {name} bound must be finite, got {bound}")
    if lower > upper:
        raise RuntimeError(
            "rrelu: Lower bound should be less than or equal to the upper bound: "
            f"lower={lower}, upper={upper}"
        )
    if not training:
        return leaky_relu(input.contiguous(), negative_slope=(lower + upper) / 2)
    tensor_array(input, "rrelu")
    if not input.is_floating_point():
        raise UnsupportedDtypeError(f"rrelu: not implemented for {input.dtype}")
    generator = checked_generator(generator, "rrelu")
    return _noisy(input, _slopes(input, lower=lower, upper=upper, generator=generator))
