"""Activation functions with an ``inplace`` option, and softmax with an optional dim."""

import warnings

from rushlight.autograd.tape import renamed
from rushlight.backend import numpy as xp
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.half_precision import rounded_once
from rushlight.ops.core.handlers import unasked
from rushlight.ops.core.outputs import in_place
from rushlight.ops.core.promotion import as_number, as_real
from rushlight.ops.elementwise import activation
from rushlight.ops.elementwise.activation import gelu, logsigmoid, softplus
from rushlight.ops.elementwise.rectifier import prelu
from rushlight.ops.elementwise.rectifier import rrelu as _rrelu
from rushlight.ops.elementwise.trigonometry import tanh as _tanh
from rushlight.ops.random.sampling import exponential_like
from rushlight.ops.reduce import softmax as _softmax
from rushlight.tensor import Tensor

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    "threshold", "threshold_",
]  # fmt: skip

hardshrink = activation.hardshrink
softshrink = activation.softshrink
relu_ = Tensor.relu_


def _selu(input):
    return activation.elu(input, alpha=1.6732632423543772, scale=1.0507009873554805)


def _celu(input, alpha=1.0):
    alpha = as_real(alpha)
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return activation.elu(input, alpha=alpha, input_scale=1 / alpha)


_threshold = activation.threshold
leaky_relu_ = in_place(activation.leaky_relu, "leaky_relu_", saves_result=True)
elu_ = in_place(activation.elu, "elu_", saves_result=True)
selu_ = in_place(_selu, "selu_", saves_result=True)
celu_ = in_place(_celu, "celu_", saves_result=True)
hardtanh_ = in_place(activation.hardtanh, "hardtanh_")
threshold_ = in_place(activation.threshold, "threshold_")
rrelu_ = in_place(_rrelu, "rrelu_", saves_result=True)
_hardsigmoid_ = in_place(activation.hardsigmoid, "hardsigmoid_")
_hardswish_ = in_place(activation.hardswish, "hardswish_")
_silu_ = in_place(activation.silu, "silu_")
_mish_ = in_place(activation.mish, "mish_")

# Around zero --------------------------------------------------------------------------------


def relu(input, inplace=False):
    """Return ``input`` where it is positive, and 0 elsewhere.

    >>> import rushlight as torch
    >>> torch.nn.functional.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return relu_(input) if inplace else activation.relu(input)


def relu6(input, inplace=False):
    """Limit ``input`` to the range from 0 to 6.

    >>> import rushlight as torch
    >>> torch.nn.functional.relu6(torch.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """Return ``input`` where it is positive, and ``negative_slope · input`` elsewhere.

    >>> import rushlight as torch
    >>> torch.nn.functional.leaky_relu(torch.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return (leaky_relu_ if inplace else activation.leaky_relu)(input, negative_slope=negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """Return ``input`` where it is positive, and alpha (exp(input) - 1) elsewhere.

    Args:
        alpha: Factor of the negative part, which stays above ``-alpha``. Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.functional.elu(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return (elu_ if inplace else activation.elu)(input, alpha=alpha)


def selu(input, inplace=False):
    """Scale ``elu`` so that values keep mean 0 and variance 1 from layer to layer.

    Source: Klambauer et al. 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.selu(torch.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return (selu_ if inplace else _selu)(input)


def celu(input, alpha=1.0, inplace=False):
    """Return ``input`` where it is positive, and alpha (exp(input / alpha) - 1) elsewhere.

    Args:
        alpha: Factor of the negative part, which stays above ``-alpha``. Default: 1.

    Raises:
        RuntimeError: ``alpha`` is 0.

    Source: Barron 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.celu(torch.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    return (celu_ if inplace else _celu)(input, alpha=as_number(alpha))


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """Return ``input`` where it is positive, and ``input`` times a slope elsewhere.

    Args:
        training: Draw a slope from ``lower`` to ``upper`` for each element. Default: False; the
            slope is the middle of both.

    Raises:
        RuntimeError: ``lower`` is above ``upper``, or one of them is not finite.

    Source: Xu et al. 2015.

    >>> import rushlight as torch
    >>> torch.nn.functional.rrelu(torch.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """
    return (rrelu_ if inplace else _rrelu)(input, lower, upper, training)


def threshold(input, threshold, value, inplace=False):
    """Return ``input`` where it is above ``threshold``, and ``value`` elsewhere.

    Args:
        threshold: Number above which elements stay as they are.
        value: Number that replaces all other elements.

    >>> import rushlight as torch
    >>> torch.nn.functional.threshold(torch.tensor([0.5, 2.0]), 1.0, 9.0)
    tensor([9., 2.])
    """
    return (threshold_ if inplace else _threshold)(input, threshold=threshold, value=value)


# Limited ------------------------------------------------------------------------------------


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """Limit ``input`` to the range from ``min_val`` to ``max_val``.

    The limits of integers lose their fractional parts.

    Raises:
        ValueError: ``min_val`` is above ``max_val``.

    >>> import rushlight as torch
    >>> torch.nn.functional.hardtanh(torch.tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val cannot be greater than max_val: {min_val} > {max_val}")
    return (hardtanh_ if inplace else activation.hardtanh)(input, min_val=min_val, max_val=max_val)


@unasked
def sigmoid(input):
    """Compute 1 / (1 + exp(-input)).

    >>> import rushlight as torch
    >>> torch.nn.functional.sigmoid(torch.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return activation.sigmoid(input)


@unasked
def tanh(input):
    """Compute the hyperbolic tangent of ``input``.

    >>> import rushlight as torch
    >>> torch.nn.functional.tanh(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return _tanh(input)


def hardsigmoid(input, inplace=False):
    """Compute ``input`` / 6 + 1 / 2, limited to the range from 0 to 1.

    >>> import rushlight as torch
    >>> torch.nn.functional.hardsigmoid(torch.tensor([-4.0, 0.0, 3.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return (_hardsigmoid_ if inplace else activation.hardsigmoid)(input)


def hardswish(input, inplace=False):
    """Compute ``input · hardsigmoid(input)``.

    Source: Howard et al. 2019.

    >>> import rushlight as torch
    >>> torch.nn.functional.hardswish(torch.tensor([-4.0, 1.0, 3.0]))
    tensor([-0.0000, 0.6667, 3.0000])
    """
    return (_hardswish_ if inplace else activation.hardswish)(input)


def silu(input, inplace=False):
    """Compute ``input · sigmoid(input)``.

    Source: Elfwing et al. 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.silu(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """
    return (_silu_ if inplace else activation.silu)(input)


def mish(input, inplace=False):
    """Compute ``input · tanh(softplus(input))``.

    Source: Misra 2019.

    >>> import rushlight as torch
    >>> torch.nn.functional.mish(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """
    return (_mish_ if inplace else activation.mish)(input)


def softsign(input):
    """Compute ``input`` / (1 + |input|).

    >>> import rushlight as torch
    >>> torch.nn.functional.softsign(torch.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (input.abs() + 1)


def tanhshrink(input):
    """Compute ``input`` - tanh(input).

    >>> import rushlight as torch
    >>> torch.nn.functional.tanhshrink(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """
    return input - input.tanh()


def _gated(x, dim):
    """``glu`` of an array."""
    lead, n = (slice(None),) * (dim % x.ndim), x.shape[dim] // 2
    return x[(*lead, slice(n))] * activation.sigmoid.op.forward(xp, x[(*lead, slice(n, None))])


def glu(input, dim=-1):
    """Multiply the first half of ``input`` along ``dim`` with the sigmoid of the second half.

    Args:
        input: Tensor ``(…, 2n, …)``, floating point or complex.
        dim: The dim of size 2n, which is halved. Default: the last.

    Returns:
        Tensor ``(…, n, …)``.

    Raises:
        RuntimeError: The size of ``dim`` is odd.

    Source: Dauphin et al. 2016.

    >>> import rushlight as torch
    >>> torch.nn.functional.glu(torch.tensor([3.0, 0.0]))
    tensor([1.5000])
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if not (input.is_floating_point() or input.is_complex()):
        raise UnsupportedDtypeError(f"glu: not implemented for {input.dtype}")
    n = input.shape[dim]
    if n % 2:
        raise ShapeError(
            f"glu: Halving dimension must be even, but dimension {dim} is size {n}: "
            f"{tuple(input.shape)}"
        )
    found = on_arrays(lambda x: _gated(x, dim), input)
    if found is not None:
        return found
    gated = lambda x, gate: x * gate.sigmoid()
    x, gate = input.narrow(dim, 0, n // 2), input.narrow(dim, n // 2, n // 2)
    return renamed(rounded_once(gated, x, gate), "GluBackward0")


# Softmax --------------------------------------------------------------------------------------


def _dim(name, input, dim, stacklevel):
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated: pass dim={dim} for the one "
            "chosen here",
            stacklevel=stacklevel + 1,
        )
    return dim


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """Compute exp(input), scaled so that the sum over ``dim`` is 1.

    Args:
        dim: The dim along which the result sums to 1. The default is deprecated: 0 for an ``input``
            of 0, 1 or 3 dims, and 1 otherwise.

    >>> import rushlight as torch
    >>> torch.nn.functional.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _softmax.softmax(input, _dim("softmax", input, dim, _stacklevel), dtype)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """Compute ``softmax`` of ``-input``.

    Args:
        dim: As in ``softmax``.

    >>> import rushlight as torch
    >>> torch.nn.functional.softmin(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _softmax.softmax(-input, _dim("softmin", input, dim, _stacklevel), dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """Compute the logarithm of ``softmax``, precisely also where ``softmax`` is tiny.

    Args:
        dim: As in ``softmax``.

    >>> import rushlight as torch
    >>> torch.nn.functional.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax.log_softmax(input, _dim("log_softmax", input, dim, _stacklevel), dtype)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """Draw a class at random by ``logits``, as a soft one-hot vector that has a gradient.

    Args:
        logits: Tensor of any shape ``(*)``, floating point: logarithms of the classes' weights.
        tau: Temperature, above 0. A smaller one gives vectors closer to one-hot. Default: 1.
        hard: Return vectors that are exactly one-hot. Their gradient is that of the soft vectors.
            Default: False.
        eps: Deprecated, without effect.
        dim: The dim of the classes. Default: the last.

    Returns:
        Tensor of the shape of ``logits``, whose sum over ``dim`` is 1.

    Source: Jang et al. 2016, https://arxiv.org/abs/1611.01144

    >>> import rushlight as torch
    >>> torch.nn.functional.gumbel_softmax(torch.tensor([0.0, 90.0]), hard=True)
    tensor([0., 1.])
    """
    if eps != 1e-10:
        warnings.warn("gumbel_softmax: `eps` is deprecated and has no effect", stacklevel=2)
    noise = -exponential_like(logits).log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    return soft.detach().new_zeros(soft.shape).scatter_(dim, index, 1.0) - soft.detach() + soft
