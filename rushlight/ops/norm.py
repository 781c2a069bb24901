"""Normalisation over some dims: of each sample (layer, RMS), of groups of channels.

x̂ = (x - mean) / √(var + eps) over ``dims``; with h, the gradient of x̂,

    dx = (h - mean(h) - x̂ · mean(h · x̂)) / √(var + eps).

Without a mean to subtract (RMS) the term mean(h) falls away.

Source: Ba et al. 2016 (layer), Wu and He 2018 (group), Zhang and Sennrich 2019 (RMS).
"""

from math import prod

import numpy as np
from numpy import ndarray

from rushlight.dtype import OF, finfo
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.dispatch import apply, refuse
from rushlight.ops.kinds import kernel
from rushlight.ops.rules import total
from rushlight.tensor import Tensor

__all__ = ["group_norm", "inner", "layer_norm", "mean_of", "rms_norm", "slope", "standardized"]

# Arithmetic, on arrays and on tensors -------------------------------------------------------


def mean_of(x, dims):
    """The mean over ``dims``, which stay as 1."""
    return total(x, dims) / prod([x.shape[d] for d in dims])


def inner(x, y, dims):
    """The sum of x · y over ``dims``, which stay as 1."""
    if type(x) is not ndarray or not _adjacent(x, y, dims):
        return total(x * y, dims)
    # The last of the dims are one run of memory: a dot product, with no product in between.
    first = x.ndim - 1
    while first - 1 in dims:
        first -= 1
    shape = (*x.shape[:first], prod(x.shape[first:]))
    found = np.vecdot(x.reshape(shape), y.reshape(shape))
    found = found.reshape(*x.shape[:first], *[1] * (x.ndim - first))
    rest = tuple([d for d in dims if d < first])
    return total(found, rest) if rest else found


def _adjacent(x, y, dims):
    return (
        dims[-1] == x.ndim - 1
        and x.shape == y.shape
        and x.flags.c_contiguous
        and y.flags.c_contiguous
        and x.dtype == y.dtype
    )


def standardized(x, dims, eps, centred=True):
    """(x̂, 1 / √(var + eps)) over ``dims``; not ``centred``: the mean is taken as 0."""
    d = x - mean_of(x, dims) if centred else x
    scale = (inner(d, d, dims) / prod([x.shape[i] for i in dims]) + eps) ** -0.5
    return d * scale, scale


def slope(h, hat, scale, dims, centred=True):
    """dx from the gradient ``h`` of x̂ = ``hat``."""
    n = prod([hat.shape[d] for d in dims])
    found = h - hat * (inner(h, hat, dims) / n)
    if centred:
        found = found - total(h, dims) / n
    return found * scale


def _scaled(hat, weight, bias):
    """``hat · weight + bias``, written into the array ``hat``."""
    if weight is not None:
        hat *= weight
    if bias is not None:
        hat += bias
    return hat


def _floating(name, x, *others):
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise UnsupportedDtypeError(
            f"{name}: not implemented for {OF[x.dtype]}; convert with .float()"
        )
    for t in others:
        if t is not None and t.array.dtype not in (x.dtype, np.float32):
            raise DtypeError(
                f"{name}: mixed dtype: expected weight and bias in {OF[x.dtype]} as the input "
                "(or in "
                f"float32), but got {t.dtype}; convert with .to()"
            )


def _fresh(x, **params):
    """The parameters with a list in which the forward leaves (x̂, scale); none in a trace."""
    return {**params, "memo": [] if type(x) is ndarray else None}


def _recalled(x, dims, eps, memo, centred=True):
    """What ``standardized`` gives: as the forward left it, or computed again."""
    if memo and type(x) is ndarray:
        return memo
    return standardized(x, dims, eps, centred)


# Layers and RMS -------------------------------------------------------------------------------


def _last(x, n):
    return tuple(range(len(x.shape) - n, len(x.shape)))


def _check_shape(name, x, shape, weight, bias):
    shape = tuple(shape)
    if not shape:
        raise RuntimeError(
            f"{name}: Expected normalized_shape to be at least 1-dimensional, but got ()"
        )
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape:
            raise ShapeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got "
                f"{what} of shape "
                f"{list(t.shape)} and normalized_shape = {list(shape)}"
            )
    if tuple(x.shape[max(x.ndim - len(shape), 0) :]) != shape:
        raise ShapeError(
            f"{name}: Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size {list(x.shape)}"
        )
    _floating(name, x, weight, bias)


def _norm_kernel(name, grad_name, centred):
    """The kernel of a normalisation over the last ``n`` dims."""

    def forward(xp, x, weight=None, bias=None, *, n, eps, memo=None):
        hat, scale = standardized(x, _last(x, n), eps, centred)
        if memo is not None:
            memo[:] = (hat, scale)
            if weight is not None or bias is not None:
                hat = hat.copy()
        return _scaled(hat, weight, bias)

    def dx(g, x, weight, n, eps, memo):
        hat, scale = _recalled(x, _last(x, n), eps, memo, centred)
        return slope(g if weight is None else g * weight, hat, scale, _last(x, n), centred)

    def dw(g, x, n, eps, memo):
        hat, _ = _recalled(x, _last(x, n), eps, memo, centred)
        return _over_samples(g * hat, n)

    forward.__doc__ = "x over its last n dims, normalised."
    op = kernel(
        forward, name=name, grad_name=grad_name, public=False, method=False,
        prepare=lambda x, weight, bias, **params: _fresh(x, **params),
    )  # fmt: skip
    op.grad(x=dx, weight=dw, bias=lambda g, n: _over_samples(g, n))
    return op.op


def _over_samples(g, n):
    """The sum of ``g`` over all but its last ``n`` dims."""
    lead = tuple(range(len(g.shape) - n))
    return total(g, lead).reshape(tuple(g.shape[len(lead) :])) if lead else g


_LAYER_NORM = _norm_kernel("layer_norm", "NativeLayerNormBackward0", True)
_RMS_NORM = _norm_kernel("rms_norm", "MulBackward0", False)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """``input`` with mean 0 and variance 1 over its last dims, scaled and shifted.

    Shape: (…, *normalized_shape), weight and bias normalized_shape → the same.

    Raises:
        RuntimeError: the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    if not isinstance(input, Tensor):
        refuse(_LAYER_NORM, 0, input)
    _check_shape("layer_norm", input.array, normalized_shape, weight, bias)
    return apply(_LAYER_NORM, (input, weight, bias), {"n": len(normalized_shape), "eps": eps})


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """``input`` with root mean square 1 over its last dims, scaled; eps None is the dtype's.

    Shape: (…, *normalized_shape), weight normalized_shape → the same.

    Raises:
        RuntimeError: the shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.rms_norm(torch.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    if not isinstance(input, Tensor):
        refuse(_RMS_NORM, 0, input)
    _check_shape("rms_norm", input.array, normalized_shape, weight, None)
    if eps is None:
        eps = finfo(input.dtype).eps
    return apply(_RMS_NORM, (input, weight, None), {"n": len(normalized_shape), "eps": eps})


# Groups of channels ---------------------------------------------------------------------------

_GROUP_DIMS = (2, 3)


def _grouped(x, groups):
    """(N, C, …) as (N, groups, C / groups, places)."""
    n, c = x.shape[:2]
    return x.reshape(n, groups, c // groups if groups else 0, prod(x.shape[2:]))


def _per_group(weight, groups):
    return weight.reshape(1, groups, -1, 1)


@kernel(
    public=False, method=False, name="group_norm", grad_name="NativeGroupNormBackward0",
    prepare=lambda x, weight, bias, **params: _fresh(x, **params),
)  # fmt: skip
def _group_norm(xp, x, weight=None, bias=None, *, groups, eps, memo=None):
    """x (N, C, …), normalised over each group of channels."""
    hat, scale = standardized(_grouped(x, groups), _GROUP_DIMS, eps)
    if memo is not None:
        memo[:] = (hat, scale)
        if weight is not None or bias is not None:
            hat = hat.copy()
    weight, bias = [None if t is None else _per_group(t, groups) for t in (weight, bias)]
    return _scaled(hat, weight, bias).reshape(x.shape)


def _group_slope(g, x, weight, groups, eps, memo):
    hat, scale = _recalled(_grouped(x, groups), _GROUP_DIMS, eps, memo)
    h = _grouped(g, groups)
    if weight is not None:
        h = h * _per_group(weight, groups)
    return slope(h, hat, scale, _GROUP_DIMS).reshape(tuple(x.shape))


def _group_weight_slope(g, x, groups, eps, memo):
    hat, _ = _recalled(_grouped(x, groups), _GROUP_DIMS, eps, memo)
    return inner(_grouped(g, groups), hat, (0, 3)).reshape(-1)


_group_norm.grad(
    x=_group_slope,
    weight=_group_weight_slope,
    bias=lambda g, groups: total(_grouped(g, groups), (0, 3)).reshape(-1),
)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """``input`` with mean 0 and variance 1 over each of ``num_groups`` groups of its channels.

    Shape: (N, C, …), weight and bias (C) → the same.

    Raises:
        RuntimeError: C is not divisible; weight or bias do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if not isinstance(input, Tensor):
        refuse(_group_norm.op, 0, input)
    x = input.array
    if x.ndim < 2:
        raise ShapeError(
            f"group_norm: Expected at least 2 dimensions for input tensor but received {x.ndim}: "
            f"{tuple(x.shape)}"
        )
    channels = x.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(
            "group_norm: Expected number of channels in input to be divisible by num_groups, "
            "but got input "
            f"of shape {list(x.shape)} and num_groups={num_groups}"
        )
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (channels,):
            raise ShapeError(
                f"group_norm: Expected {what} to be a vector of size equal to the number of "
                "channels in "
                f"input ({channels}), but got {what} of shape {list(t.shape)} and input of shape "
                f"{list(x.shape)}"
            )
    _floating("group_norm", x, weight, bias)
    if prod(x.shape) // num_groups == 1:
        raise ValueError(
            "group_norm: Expected more than 1 value per channel when training, got input size "
            f"{list(x.shape)}"
        )
    return apply(_group_norm.op, (input, weight, bias), {"groups": num_groups, "eps": eps})
