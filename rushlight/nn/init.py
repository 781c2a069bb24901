"""Initial values of parameters. Every function fills its tensor in place and returns the tensor.

The functions are not recorded for gradients. Random values are drawn from ``generator``, or from
the default generator if ``generator`` is None.
"""

import functools
import inspect
import math
import warnings

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.autograd.mode import no_grad
from rushlight.docstrings import document
from rushlight.ops.core.handlers import overridden

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_",
    "kaiming_normal", "kaiming_normal_", "kaiming_uniform", "kaiming_uniform_", "normal",
    "normal_", "ones_", "orthogonal", "orthogonal_", "sparse", "sparse_", "trunc_normal_",
    "uniform", "uniform_", "xavier_normal", "xavier_normal_", "xavier_uniform",
    "xavier_uniform_", "zeros_",
]  # fmt: skip


def _seen(call):
    """Let handlers see the calls of ``call``, all arguments by name, as those of PyTorch's."""
    signature = inspect.signature(call)

    @functools.wraps(call)
    def asking(*args, **kwargs):
        if mode.state.dispatch or mode.state.function_modes:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            found = overridden(asking, (), given.arguments)
            if found is not NotImplemented:
                return found
        return call(*args, **kwargs)

    return asking


_LINEAR = (
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "sigmoid",
)  # fmt: skip


def calculate_gain(nonlinearity, param=None):
    """Return the factor by which a layer must scale its weights to make up for a nonlinearity.

    Args:
        nonlinearity: Name of the function after the layer: ``"linear"``, ``"conv1d"`` and the other
            convolutions, ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"`` or ``"selu"``.
        param: Negative slope of ``"leaky_relu"``. Default: 0.01.

    Returns:
        The factor, a number.

    Raises:
        ValueError: The nonlinearity is not known, or the slope is no number.

    >>> import rushlight as torch
    >>> torch.nn.init.calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"calculate_gain: the negative slope must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")


# Given values -----------------------------------------------------------------------------


@_seen
@no_grad()
def constant_(tensor, val):
    """Fill a tensor with one value.

    Args:
        val: The value.

    >>> import rushlight as torch
    >>> torch.nn.init.constant_(torch.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    return tensor.fill_(val)


@no_grad()
def ones_(tensor):
    """Fill a tensor with 1.

    >>> import rushlight as torch
    >>> torch.nn.init.ones_(torch.empty(2))
    tensor([1., 1.])
    """
    return tensor.fill_(1.0)


@no_grad()
def zeros_(tensor):
    """Fill a tensor with 0.

    >>> import rushlight as torch
    >>> torch.nn.init.zeros_(torch.empty(2))
    tensor([0., 0.])
    """
    return tensor.zero_()


@no_grad()
def eye_(tensor):
    """Fill a matrix with ones on the diagonal and zeros elsewhere.

    Args:
        tensor: Tensor ``(n, m)``, which is filled in place.

    Raises:
        ValueError: ``tensor`` does not have two dims.

    >>> import rushlight as torch
    >>> torch.nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    _check_matrix("eye_", tensor)
    return tensor.copy_(rushlight.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


@no_grad()
def dirac_(tensor, groups=1):
    """Fill the weights of a convolution so that it copies its input channels.

    In each group, result channel i is the group's input channel i. Further result channels are 0.

    Args:
        tensor: Tensor ``(O, C, *k)`` with 1 to 3 spatial dims, which is filled in place.
        groups: Number of groups of result channels. It must divide O. Default: 1.

    Raises:
        ValueError: ``tensor`` does not have 3, 4 or 5 dims, or O is not divisible by ``groups``.

    >>> import rushlight as torch
    >>> torch.nn.init.dirac_(torch.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    shape = tuple(tensor.shape)
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_: tensor {shape} must have 3, 4 or 5 dims")
    if shape[0] % groups:
        raise ValueError(f"dirac_: dim 0 of tensor {shape} is not divisible by groups={groups}")
    each = shape[0] // groups
    middle = [size // 2 for size in shape[2:]]
    tensor.zero_()
    for group in range(groups):
        for channel in range(min(each, shape[1])):
            tensor[(group * each + channel, channel, *middle)] = 1
    return tensor


def _no_grad_uniform_(tensor, a, b, generator=None):
    return uniform_(tensor, a, b, generator)


def _no_grad_normal_(tensor, mean, std, generator=None):
    return normal_(tensor, mean, std, generator)


def _no_grad_fill_(tensor, val):
    return constant_(tensor, val)


def _no_grad_zero_(tensor):
    return zeros_(tensor)


# Random values ----------------------------------------------------------------------------


@_seen
@no_grad()
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Draw uniformly from [``a``, ``b``).

    Args:
        a: Lower end of the range. Default: 0.
        b: Upper end of the range. Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.init.uniform_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    return tensor.uniform_(a, b, generator=generator)


@_seen
@no_grad()
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Draw from the normal distribution.

    >>> import rushlight as torch
    >>> torch.nn.init.normal_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Draw from the normal distribution, restricted to [``a``, ``b``].

    Args:
        mean: Mean of the distribution before it is restricted. Default: 0.
        std: Standard deviation of the distribution before it is restricted. Default: 1.
        a: The least value. Default: -2.
        b: The largest value. Default: 2.

    >>> import rushlight as torch
    >>> bool(torch.nn.init.trunc_normal_(torch.empty(1000)).abs().max() <= 2)
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean={mean} is more than 2 std from [{a}, {b}]; "
            "the values may not follow the distribution",
            stacklevel=3,
        )
    if tensor.is_meta:
        return tensor
    if _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std) > 0.3:
        return _redraw_outside(tensor, mean, std, a, b, generator)
    return _reject_uniform(tensor, mean, std, a, b, generator)


def _normal_cdf(x):
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _redraw_outside(tensor, mean, std, a, b, generator):
    """Draw normal values, and redraw those outside [a, b]; fast if most values are inside."""
    low, high = (rushlight.full((), bound, dtype=tensor.dtype).item() for bound in (a, b))
    tensor.normal_(mean, std, generator=generator)
    while True:
        outside = (tensor < low) | (tensor > high)
        if not outside.any():
            return tensor
        again = rushlight.empty_like(tensor).normal_(mean, std, generator=generator)
        tensor.copy_(rushlight.where(outside, again, tensor))


def _reject_uniform(tensor, mean, std, a, b, generator):
    """Draw uniform values, accepting each by the normal density; fast if [a, b] is in a tail."""
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    pending = None
    while pending is None or pending.any():
        drawn = rushlight.empty_like(tensor).uniform_(a, b, generator=generator)
        tensor.copy_(drawn if pending is None else rushlight.where(pending, drawn, tensor))
        log_density = drawn.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)
        coin = rushlight.empty_like(tensor).uniform_(generator=generator).log_()
        refused = coin > log_density
        pending = refused if pending is None else pending & refused
    return tensor


@no_grad()
def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Draw uniformly from ±gain·√(6 / (fan_in + fan_out)).

    fan_in is C·∏k and fan_out is O·∏k for a tensor ``(O, C, *k)``.

    Args:
        tensor: Tensor ``(O, C, *k)`` of at least 2 dims, which is filled in place.

    Raises:
        ValueError: ``tensor`` has fewer than two dims.

    Source: Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html

    >>> import rushlight as torch
    >>> torch.nn.init.xavier_uniform_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return tensor.uniform_(-bound, bound, generator=generator)


@no_grad()
def xavier_normal_(tensor, gain=1.0, generator=None):
    """Draw from the normal distribution with std = gain·√(2 / (fan_in + fan_out)).

    fan_in is C·∏k and fan_out is O·∏k for a tensor ``(O, C, *k)``.

    Args:
        tensor: Tensor ``(O, C, *k)`` of at least 2 dims, which is filled in place.

    Raises:
        ValueError: ``tensor`` has fewer than two dims.

    Source: Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html

    >>> import rushlight as torch
    >>> torch.nn.init.xavier_normal_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    return tensor.normal_(0.0, _xavier_std(tensor, gain), generator=generator)


def _xavier_std(tensor, gain):
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / float(fan_in + fan_out))


@_seen
@no_grad()
def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Draw uniformly from ±gain·√(3 / fan).

    gain is ``calculate_gain(nonlinearity, a)``. For a tensor ``(O, C, *k)`` fan is C·∏k with
    ``mode="fan_in"``, and O·∏k with ``mode="fan_out"``.

    Args:
        tensor: Tensor ``(O, C, *k)`` of at least 2 dims, which is filled in place.
        a: Negative slope of ``"leaky_relu"``. Default: 0.

    Raises:
        ValueError: ``tensor`` has fewer than two dims, or a mode or nonlinearity is not known.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852

    >>> import rushlight as torch
    >>> torch.nn.init.kaiming_uniform_(torch.empty(3, 5), nonlinearity="relu").shape
    torch.Size([3, 5])
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor.uniform_(-bound, bound, generator=generator)


@no_grad()
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Draw from the normal distribution with std = gain / √fan.

    gain is ``calculate_gain(nonlinearity, a)``. For a tensor ``(O, C, *k)`` fan is C·∏k with
    ``mode="fan_in"``, and O·∏k with ``mode="fan_out"``.

    Args:
        tensor: Tensor ``(O, C, *k)`` of at least 2 dims, which is filled in place.
        a: Negative slope of ``"leaky_relu"``. Default: 0.

    Raises:
        ValueError: ``tensor`` has fewer than two dims, or a mode or nonlinearity is not known.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852

    >>> import rushlight as torch
    >>> torch.nn.init.kaiming_normal_(torch.empty(3, 5), mode="fan_out").shape
    torch.Size([3, 5])
    """
    if _is_empty(tensor):
        return tensor
    return tensor.normal_(0, _kaiming_std(tensor, a, mode, nonlinearity), generator=generator)


def _is_empty(tensor):
    if 0 not in tensor.shape:
        return False
    warnings.warn(
        f"Initializing zero-element tensors is a no-op: the shape is {tuple(tensor.shape)}",
        stacklevel=4,
    )
    return True


def _kaiming_std(tensor, a, mode, nonlinearity):
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


@no_grad()
def orthogonal_(tensor, gain=1, generator=None):
    """Fill a matrix with orthonormal columns, or rows if it has fewer rows than columns.

    Args:
        tensor: Tensor ``(n, *)`` of at least 2 dims, which is filled in place. It is seen as a
            matrix of n rows.

    Raises:
        ValueError: ``tensor`` has fewer than two dims.

    Source: Saxe et al. 2013, https://arxiv.org/abs/1312.6120

    >>> import rushlight as torch
    >>> w = torch.nn.init.orthogonal_(torch.empty(2, 3))
    >>> torch.allclose(w @ w.T, torch.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: tensor {tuple(tensor.shape)} must have 2 dims or more")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    drawn = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
    if tensor.is_meta:
        return tensor.copy_(drawn.view(tensor.shape))
    flat = drawn.double().cpu().numpy()
    q, r = np.linalg.qr(flat.T if rows < columns else flat)
    q *= np.sign(np.diag(r))  # makes the decomposition unique
    q = rushlight.from_numpy(np.ascontiguousarray(q.T if rows < columns else q))
    return tensor.copy_(q.view(tensor.shape)).mul_(gain)


@no_grad()
def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Draw a matrix from the normal distribution, and set a part of each column to zero.

    The places of the zeros are drawn from the default generator.

    Args:
        tensor: Tensor ``(n, m)``, which is filled in place.
        sparsity: Part of each column that becomes zero, from 0 to 1. The number of zeros is rounded
            up.
        std: Standard deviation of the normal distribution. Default: 0.01.

    Raises:
        ValueError: ``tensor`` does not have two dims.

    Source: Martens 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf

    >>> import rushlight as torch
    >>> int((torch.nn.init.sparse_(torch.empty(10, 2), 0.3) == 0).sum())
    6
    """
    _check_matrix("sparse_", tensor)
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    chosen = [rushlight.randperm(rows)[:zeros] for _ in range(columns)]
    if zeros and columns:
        place = tensor.device
        columns = rushlight.arange(columns, device=place)
        tensor[rushlight.stack(chosen, 1).to(place), columns] = 0
    return tensor


# Shapes -----------------------------------------------------------------------------------


def _check_matrix(name, tensor):
    if tensor.ndim != 2:
        raise ValueError(f"{name}: tensor {tuple(tensor.shape)} must have 2 dims")


def _calculate_fan_in_and_fan_out(tensor):
    """For weights (O, I, *k): the number of inputs of an output, and of outputs of an input."""
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError(f"fan in and fan out: tensor {shape} must have 2 dims or more")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_correct_fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


# Old names --------------------------------------------------------------------------------


def _deprecated(function):
    """Make a deprecated variant of ``function`` that warns; its name has no final underscore."""
    new = function.__name__
    old = new.removesuffix("_")

    @functools.wraps(function)
    def renamed(*args, **kwargs):
        warnings.warn(
            f"nn.init.{old} is deprecated; use nn.init.{new}", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    renamed.__name__ = renamed.__qualname__ = old
    renamed.__doc__ = f"The deprecated name of ``{new}``."
    return renamed


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)

for _name in __all__:
    document(globals()[_name], "init")
