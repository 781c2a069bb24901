"""Activation functions of neural networks, element by element."""

from math import pi, sqrt

import numpy as np
from numpy import ndarray

from rushlight.backend.numpy import clipped, gated
from rushlight.backend.sizes import large_from
from rushlight.dtype import scalar_name
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import as_in_half, as_real, to_float
from rushlight.ops.core.rules import conj, where
from rushlight.ops.elementwise.division import real_numbers
from rushlight.ops.elementwise.exponential import exp, floating, floats, inexact
from rushlight.ops.elementwise.trigonometry import tanh
from rushlight.ops.tensor.array_dtypes import as_scalar, bounds
from rushlight.tensor import Tensor

__all__ = [
    "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid",
    "mish", "relu", "sigmoid", "silu", "softplus", "softshrink", "threshold",
]  # fmt: skip


#: Zero as an array without dims.
_ZERO = {d: np.zeros((), d) for d in (np.dtype("f4"), np.dtype("f8"))}
#: Up to this many elements, assigning zeros by a mask is faster than masking bits (``gated``).
_FEW = large_from(64)


@elementwise(dtype=real_numbers, least=1 << 15, flat=True)
def relu(xp, x):
    """``input`` where it is positive, else 0.

    >>> import rushlight as torch
    >>> torch.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    # Zero is an array, because converting a Python number takes NumPy as long as the whole rest of
    # the work on a small array.
    return xp.maximum(x, _ZERO.get(x.dtype, 0) if type(x) is ndarray else 0)


def _relu_slope(g, out):
    # The result is never negative. For nan, ``!= 0`` is true, so the gradient passes.
    d = out.dtype
    zero = _ZERO.get(d) if type(out) is ndarray else None
    if zero is not None and g.dtype is d and out.ndim:
        if out.size > _FEW:
            return gated(out != zero, g)
        found = g.copy()
        np.putmask(found, np.equal(out, zero), zero)
        return found
    return where(out != 0, g, 0)


relu.grad(x=_relu_slope)


@elementwise(dtype=to_float, least=1 << 15)
def sigmoid(xp, x):
    """Compute ``1 / (1 + exp(-input))``.

    >>> import rushlight as torch
    >>> torch.sigmoid(torch.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return 1 / (1 + xp.exp(-x))


sigmoid.grad(x=lambda g, out: g * conj((1 - out) * out))


def _activation(forward=None, *, dtype=floating, **options):
    """An operation that only ``nn.functional`` publishes."""
    if forward is None:
        return lambda f: _activation(f, dtype=dtype, **options)
    return elementwise(forward, dtype=dtype, public=False, method=False, inplace=False, **options)


# Around zero ------------------------------------------------------------------------------


@_activation(least=1 << 15, flat=True)
def leaky_relu(xp, x, *, negative_slope=0.01):
    """x where it is positive, else ``negative_slope · x``."""
    return xp.where(x > 0, x, x * negative_slope)


leaky_relu.grad(x=lambda g, x, negative_slope: where(x > 0, g, g * negative_slope))


@_activation(least=1 << 13)
def elu(xp, x, *, alpha=1.0, scale=1.0, input_scale=1.0):
    """``scale · alpha · (exp(input_scale · x) - 1)`` where x is negative, else ``scale · x``."""
    return xp.where(x < 0, xp.expm1(x * input_scale) * (alpha * scale), x * scale)


def _elu_slope(g, x, alpha, scale, input_scale):
    steep = input_scale * alpha * scale
    slope = exp(x * input_scale) * steep
    if isinstance(g, Tensor):  # as in PyTorch, the second derivative is 0 at x = 0
        slope = where(x == 0, steep, slope)
    return where(x <= 0, g * slope, g * scale)  # a nan passes its gradient on


elu.grad(x=_elu_slope)


def _in_dtype(x, *, threshold, value):
    """Of an integer tensor the limits lose their fractional parts."""
    whole = x.dtype.kind in "iu"
    dtype = x.dtype if whole or x.dtype.itemsize > 2 else np.dtype(np.float32)
    as_scalar(value, x.dtype)  # raises if half precision cannot hold the value
    held = [as_scalar(number, dtype).item() for number in (threshold, value)]
    # Numbers beside half precision are compared as they are.
    limits = held if whole else [as_real(number) for number in (threshold, value)]
    return dict(zip(("threshold", "value"), limits, strict=True))


_LIMITS = {"threshold": "Number", "value": "Number"}


@_activation(dtype=real_numbers, casts=True, prepare=_in_dtype, kinds=_LIMITS, flat=True)
def threshold(xp, x, *, threshold, value):
    """x where it is above the threshold, else ``value``."""
    return xp.where(x <= threshold, x.dtype.type(value), x)


threshold.grad(x=lambda g, x, threshold: where(x <= threshold, 0, g))


#: The largest float16: numbers up to it fit into every floating dtype that computes.
_FITTING = 65504


def _compared(x, *, lambd):
    lambd = as_real(lambd)
    if not -_FITTING <= lambd <= _FITTING:
        as_scalar(lambd, x.dtype)  # raises if the dtype cannot hold it
    return {"lambd": as_in_half(lambd, x.dtype)}


@in_c
@elementwise(dtype=floating, inplace=False, prepare=_compared, least=1 << 15, flat=True)
def hardshrink(xp, x, *, lambd=0.5):
    """Set the elements from ``-lambd`` to ``lambd`` to 0.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        lambd: The largest absolute value that becomes 0. Default: 0.5.

    >>> import rushlight as torch
    >>> torch.hardshrink(torch.tensor([-0.4, 2.0]))
    tensor([0., 2.])
    """
    return xp.where((x >= -lambd) & (x <= lambd), 0, x)


hardshrink.grad(x=lambda g, x, lambd: where((x >= -lambd) & (x <= lambd), 0, g))


def _not_negative(x, *, lambd):
    if not 0 <= lambd <= _FITTING:
        most = bounds(x.dtype, False)[1]
        if not 0 <= lambd <= most:
            raise RuntimeError(
                f"softshrink: lambda must be in range [0, {most:g}] for input dtype "
                f"{scalar_name(x.dtype)}, but found {lambd}"
            )
    return {"lambd": lambd}


@in_c
@_activation(prepare=_not_negative, least=1 << 15, flat=True)
def softshrink(xp, x, *, lambd=0.5):
    """Move each element by ``lambd`` towards 0, but not beyond 0.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        lambd: The distance, not negative. Default: 0.5.

    Raises:
        RuntimeError: ``lambd`` is negative, or the dtype cannot hold it.

    >>> import rushlight as torch
    >>> torch.nn.functional.softshrink(torch.tensor([-1.0, 0.2, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """
    return xp.where(x > lambd, x - lambd, xp.where(x < -lambd, x + lambd, x * 0))


softshrink.grad(x=lambda g, x, lambd: where((x >= -lambd) & (x <= lambd), 0, g))

# Between bounds ---------------------------------------------------------------------------


def _fitting_limits(x, *, min_val, max_val):
    if x.dtype.kind in "iu" or not -_FITTING <= min_val <= max_val <= _FITTING:
        for limit in (min_val, max_val):
            as_scalar(limit, x.dtype)  # raises if the dtype cannot hold it
    return {"min_val": min_val, "max_val": max_val}


@_activation(dtype=real_numbers, keeps_order="like", flat=True, prepare=_fitting_limits)
def hardtanh(xp, x, *, min_val=-1.0, max_val=1.0):
    """x, limited to [min_val, max_val]. For integers the limits lose their fractional parts."""
    if x.dtype.kind in "iu":
        min_val, max_val = int(min_val), int(max_val)
        if x.dtype.kind == "u" and min_val < 0:
            raise RuntimeError(f"hardtanh: min_val={min_val} is negative, {x.dtype} is unsigned")
    found = clipped(x, min_val, max_val)
    return xp.minimum(xp.maximum(x, min_val), max_val) if found is None else found


hardtanh.grad(x=lambda g, x, min_val, max_val: where((x <= min_val) | (x >= max_val), 0, g))


@_activation(least=1 << 15, flat=True)
def hardsigmoid(xp, x):
    """x / 6 + 1/2, limited to [0, 1]."""
    return xp.minimum(xp.maximum(x + 3, 0), 6) / 6


#: PyTorch uses the float32 value of 1/6 in every dtype.
_SIXTH = float(np.float32(1 / 6))
hardsigmoid.grad(x=lambda g, x: where((x > -3) & (x < 3), g * _SIXTH, 0))


@_activation(least=1 << 15)
def hardswish(xp, x):
    """``x · hardsigmoid(x)``."""
    return x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6


hardswish.grad(x=lambda g, x: where(x <= -3, 0, where(x < 3, g * (x / 3 + 0.5), g)))

# Smooth -----------------------------------------------------------------------------------


@_activation(dtype=inexact, least=1 << 15)
def silu(xp, x):
    """``x · sigmoid(x)``."""
    return x / (1 + xp.exp(-x))


def _silu_slope(g, x):
    s = sigmoid(x)
    return g * conj(s * (1 + x * (1 - s)))


silu.grad(x=_silu_slope)


@_activation(least=1 << 13)
def mish(xp, x):
    """``x · tanh(log(1 + exp(x)))``."""
    return x * xp.tanh(xp.logaddexp(x, x.dtype.type(0)))


def _mish_slope(g, x):
    t = tanh(softplus(x))
    return g * (t + x * sigmoid(x) * (1 - t * t))


mish.grad(x=_mish_slope)


@in_c
@_activation(least=1 << 13)
def softplus(xp, x, *, beta=1.0, threshold=20.0):
    """Compute ``log(1 + exp(beta · x)) / beta``, a smooth version of ``relu``.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        beta: Sharpness of the bend at 0: the larger, the closer to ``relu``. Default: 1.
        threshold: The result is ``input`` where ``beta · input`` is above this. Default: 20.

    >>> import rushlight as torch
    >>> torch.nn.functional.softplus(torch.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    z = x * beta
    return xp.where(z > threshold, x, xp.log1p(xp.exp(z)) / beta)


softplus.grad(x=lambda g, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)))


@in_c
@_activation(grad_name="LogSigmoidBackward0", least=1 << 15, keeps_order=False)
def logsigmoid(xp, x):
    """Compute the logarithm of ``sigmoid``: ``log(1 / (1 + exp(-x)))``.

    Args:
        input: Tensor of any shape ``(*)``, floating point.

    >>> import rushlight as torch
    >>> torch.nn.functional.logsigmoid(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.3133, -0.6931, -0.3133])
    """
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


logsigmoid.grad(x=lambda g, x: g * sigmoid(-x))

_CUBE = 0.044715  # the factor of x³ in the tanh approximation of gelu
_BETA = sqrt(2 / pi)


@in_c
@_activation(least=1 << 12)
def gelu(xp, x, *, approximate="none"):
    """Compute ``x · Φ(x)``, where Φ is the standard normal distribution function.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        approximate: ``"none"`` computes Φ by ``erf``, ``"tanh"`` approximates it by ``tanh``.
            Default is ``"none"``.

    Raises:
        RuntimeError: ``approximate`` is neither ``"none"`` nor ``"tanh"``.

    Source: Hendrycks and Gimpel 2016.

    >>> import rushlight as torch
    >>> torch.nn.functional.gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"gelu: approximate argument must be either none or tanh, not {approximate!r}"
        )
    if approximate == "tanh":
        return 0.5 * x * (1 + xp.tanh(_BETA * (x + _CUBE * x * x * x)))
    return 0.5 * x * (1 + xp.erf(x * sqrt(0.5)))


def _gelu_slope(g, x, approximate):
    if approximate == "tanh":
        t = tanh(_BETA * (x + _CUBE * x * x * x))
        inner = _BETA * (1 + 3 * _CUBE * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)
    density = exp(-0.5 * x * x) * (1 / sqrt(2 * pi))
    return g * (0.5 * (1 + erf(x * sqrt(0.5))) + x * density)


gelu.grad(x=_gelu_slope)

# The error function -----------------------------------------------------------------------


@elementwise(dtype=floats, least=1 << 13)
def erf(xp, x):
    """The error function.

    >>> import rushlight as torch
    >>> torch.erf(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return xp.erf(x)


erf.grad(x=lambda g, x: g * (exp(-x * x) * (2 / sqrt(pi))))
