"""Normalisation over the last dims (layer, RMS) and over groups of channels.

Source: Ba et al. 2016 (layer), Wu and He 2018 (group), Zhang and Sennrich 2019 (RMS).
"""

from math import prod

import numpy as np

from rushlight.backend import native
from rushlight.backend.summation import SMALL, row_sums
from rushlight.dtype import OF, complex128, finfo, float32, float64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.kinds import kernel, like_first
from rushlight.ops.core.rules import in_c_order, is_array, memo_of, total
from rushlight.ops.norm import standardize
from rushlight.strides import channels_order
from rushlight.tensor import Tensor

__all__ = ["group_norm", "layer_norm", "rms_norm"]


def check_floats(name, x, *others):
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise UnsupportedDtypeError(
            f"{name}: not implemented for {OF[x.dtype]}; convert with .float()"
        )
    fitting = (x.dtype, np.float32) if x.dtype.itemsize == 2 else (x.dtype,)
    for t in others:
        if t is not None and t._array.dtype not in fitting:
            raise DtypeError(
                f"{name}: mixed dtype: expected weight and bias in {OF[x.dtype]} as the input, or "
                f"float32 for half precision, but got {t.dtype}; convert with .to()"
            )


def _with_memo(x, weight, bias, **params):
    """The parameters with ``memo`` for the forward's (mean, scale)."""
    return {**params, "memo": memo_of(x)}


# Layers and RMS -------------------------------------------------------------------------------


def _check_shape(name, x, shape, weight, bias):
    shape = tuple(shape)
    if not shape:
        raise RuntimeError(
            f"{name}: Expected normalized_shape to be at least 1-dimensional, but got ()"
        )
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.shape != shape:
            raise ShapeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got "
                f"{what} of shape "
                f"{list(t.shape)} and normalized_shape = {list(shape)}"
            )
    if x.shape[max(x.ndim - len(shape), 0) :] != shape:
        raise ShapeError(
            f"{name}: Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(x.shape)}"
        )


def _norm_kernel(name, grad_name, centred):
    """The operation ``name``: a normalisation over the last ``n`` dims."""

    def forward(xp, x, weight=None, bias=None, *, n, eps, memo=None):
        if n == 1 and 0 < x.size <= SMALL and x.flags.c_contiguous:
            out, *kept = standardize.normalized(x, eps, centred, weight, bias)
        else:
            affine = [None if t is None else t.reshape(-1) for t in (weight, bias)]
            out, *kept = standardize.normalized(_matrix(x, n), eps, centred, *affine)
        if memo is not None:
            memo[:] = kept
        return out if out.shape == x.shape else out.reshape(x.shape)

    def dx(g, x, weight, n, eps, memo):
        if memo and is_array(g):
            weight = None if weight is None else weight.reshape(-1)
            mean, scale = memo
            found = standardize.row_slope(_matrix(g, n), _matrix(x, n), mean, scale, weight)
            return found.reshape(x.shape)
        dims = tuple(range(len(x.shape) - n, len(x.shape)))
        hat, scale = standardize.standardized(x, dims, eps, centred)
        return standardize.slope(g if weight is None else g * weight, hat, scale, dims, centred)

    def dw(g, x, n, eps, memo):
        if memo and is_array(g):
            found = standardize.weight_slope(_matrix(g, n), _matrix(x, n), *memo)
            return found.reshape(x.shape[x.ndim - n :])
        dims = tuple(range(len(x.shape) - n, len(x.shape)))
        return _over_samples(g * standardize.standardized(x, dims, eps, centred)[0], n)

    forward.__doc__ = "x over its last n dims, normalised."
    op = kernel(
        forward, name=name, grad_name=grad_name, public=False, method=False, shape=like_first,
        prepare=_with_memo, channels=int(not centred),
    )  # fmt: skip

    @op.lower
    def written_out(x, weight, bias, n, eps):
        dims = tuple(range(len(x.shape) - n, len(x.shape)))
        return _affine(standardize.standardized(x, dims, eps, centred)[0], weight, bias)

    op.grad(x=dx, weight=dw, bias=lambda g, n: _over_samples(g, n))
    if centred:
        op.watch(x="bias", weight="weight bias", bias="x weight bias")
    return op.op


def _affine(hat, weight, bias):
    """hat · weight + bias; ``weight`` and ``bias`` may be None."""
    if weight is not None:
        hat = hat * weight
    return hat if bias is None else hat + bias


def _matrix(x, n):
    """Reshape an array to a matrix whose rows hold the last ``n`` dims."""
    lead = x.ndim - n
    return x.reshape(prod(x.shape[:lead]), prod(x.shape[lead:]))


def _over_samples(g, n):
    """The sum of ``g`` over all but its last ``n`` dims."""
    lead = tuple(range(len(g.shape) - n))
    return total(g, lead).reshape(tuple(g.shape[len(lead) :])) if lead else g


_LAYER_NORM = _norm_kernel("layer_norm", "NativeLayerNormBackward0", True)
_RMS_NORM = _norm_kernel("rms_norm", "MulBackward0", False)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise ``input`` over its last dims to mean 0 and variance 1, then scale and shift it.

    Args:
        input: Tensor ``(*, *normalized_shape)``.
        weight: Tensor of shape ``normalized_shape``: factors of the elements. Default: 1.
        bias: Tensor of shape ``normalized_shape``: numbers added to the elements. Default: 0.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    if not isinstance(input, Tensor):
        refuse(_LAYER_NORM, 0, input)
    _check_shape("layer_norm", input._array, normalized_shape, weight, bias)
    check_floats("layer_norm", input._array, weight, bias)
    return apply(_LAYER_NORM, (input, weight, bias), {"n": len(normalized_shape), "eps": eps})


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Normalise ``input`` over its last dims to root mean square 1, then scale it.

    Args:
        input: Tensor ``(*, *normalized_shape)``.
        weight: Tensor of shape ``normalized_shape``: factors of the elements. Default: 1.
        eps: Number added to the mean square. Default: the machine epsilon of the dtype of the
            computation, which is float32 for half precision.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.
        ValueError: ``input`` has fewer dims than ``normalized_shape``.

    >>> import rushlight as torch
    >>> torch.nn.functional.rms_norm(torch.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    if not isinstance(input, Tensor):
        refuse(_RMS_NORM, 0, input)
    if input._array.ndim < len(normalized_shape):
        raise ValueError(
            f"rms_norm: input must have at least {len(normalized_shape)} dimensions, but is "
            f"{tuple(input.shape)}"
        )
    if weight is not None and weight.dtype.itemsize < input.dtype.itemsize:
        weight = weight.to(input.dtype)
    _check_shape("rms_norm", input._array, normalized_shape, weight, None)
    if eps is None:
        # Half precision is computed in float32, so eps is float32's.
        eps = finfo(float64 if input.dtype in (float64, complex128) else float32).eps
    if input.is_complex():  # as in PyTorch, by the squares and not by their absolute values
        input = input.contiguous()
        dims = tuple(range(-len(normalized_shape), 0))
        found = input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt()
        return found if weight is None else found * weight
    check_floats("rms_norm", input._array, weight)
    params = {"n": len(normalized_shape), "eps": eps}
    fixed = weight is not None and weight.requires_grad and not input.requires_grad
    # The product saves the normalised result for the gradient of weight, so the input itself may
    # be overwritten.
    if fixed and input.dtype.itemsize > 2:
        return apply(_RMS_NORM, (input, None, None), params) * weight
    return apply(_RMS_NORM, (input, weight, None), params)


# Groups of channels ---------------------------------------------------------------------------

_GROUP_DIMS = (2, 3)


def _grouped(x, groups):
    """Reshape (N, C, …) to (N, groups, C / groups, places)."""
    n, c = x.shape[:2]
    return x.reshape(n, groups, c // groups, prod(x.shape[2:]))


def _per_group(weight, groups):
    return weight.reshape(1, groups, -1, 1)


def _group_rows(x, groups):
    """Reshape an array (N, C, …) to a matrix with a row for each group of each image."""
    return x.reshape(len(x) * groups, prod(x.shape[1:]) // groups)


@kernel(
    public=False, method=False, name="group_norm", grad_name="NativeGroupNormBackward0", channels=1,
    shape=like_first, prepare=_with_memo,
)  # fmt: skip
def _group_norm(xp, x, weight=None, bias=None, *, groups, eps, memo=None):
    """x (N, C, …), normalised over each group of channels."""
    out, *kept = standardize.normalized(_group_rows(x, groups), eps, True)
    if memo is not None and x.size:  # an empty array has no rows for the kernels
        memo[:] = kept
    if weight is None and bias is None:
        return out.reshape(x.shape)
    if x.size <= SMALL:
        shape = (-1, *[1] * (x.ndim - 2))
        out = out.reshape(x.shape)
        out = out.copy() if weight is None else out * weight.reshape(shape)
        return out if bias is None else np.add(out, bias.reshape(shape), out)
    out = out.reshape(*x.shape[:2], prod(x.shape[2:]))
    columns = [None if t is None else t.reshape(-1, 1) for t in (weight, bias)]
    found = native.matrices("channels scaled", _affine, out, *columns)
    if found is not None:
        return found[0].reshape(x.shape)
    if weight is not None:
        out *= columns[0]
    if bias is not None:
        out += columns[1]
    return out.reshape(x.shape)


@_group_norm.lower
def _group_norm_of_rows(x, weight, bias, groups, eps):
    hat, _ = standardize.standardized(_grouped(x, groups), _GROUP_DIMS, eps)
    affine = [None if t is None else _per_group(t, groups) for t in (weight, bias)]
    return _affine(hat, *affine).reshape(x.shape)


def _group_slope(g, x, weight, groups, eps, memo):
    if memo and is_array(g):
        g = in_c_order(g)  # a kernel takes no expanded array
        h, rows = [a.reshape(len(x) * groups, -1, prod(x.shape[2:])) for a in (g, x)]
        if weight is not None:
            weight = weight.reshape(1, -1).repeat(len(x), axis=0).reshape(*h.shape[:2], 1)
        mean, scale = memo
        return standardize.group_slope(h, rows, mean, scale, weight).reshape(x.shape)
    h = _grouped(g, groups)
    if weight is not None:
        h = h * _per_group(weight, groups)
    hat, scale = standardize.standardized(_grouped(x, groups), _GROUP_DIMS, eps)
    return standardize.slope(h, hat, scale, _GROUP_DIMS).reshape(tuple(x.shape))


def _group_weight_slope(g, x, groups, eps, memo):
    if memo and is_array(g):
        each = [a.reshape(-1, prod(x.shape[2:])) for a in (in_c_order(g), x)]
        kept = [a.repeat(x.shape[1] // groups, axis=0) for a in memo]
        return standardize.channel_slope(*each, *kept).reshape(x.shape[:2]).sum(axis=0)
    hat, _ = standardize.standardized(_grouped(x, groups), _GROUP_DIMS, eps)
    return standardize.inner(_grouped(g, groups), hat, (0, 3)).reshape(-1)


def _group_bias_slope(g, groups, memo):
    if memo and is_array(g):
        return row_sums(in_c_order(g).reshape(*g.shape[:2], -1)).sum(axis=0)
    return total(_grouped(g, groups), (0, 3)).reshape(-1)


_group_norm.grad(x=_group_slope, weight=_group_weight_slope, bias=_group_bias_slope)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalise each of ``num_groups`` groups of channels to mean 0 and variance 1.

    Each channel is then scaled and shifted.

    Args:
        input: Tensor ``(N, C, *)``.

    Raises:
        RuntimeError: ``num_groups`` does not divide C; weight or bias do not fit.
        ValueError: ``input`` has one value for each group.

    >>> import rushlight as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if not isinstance(input, Tensor):
        refuse(_group_norm.op, 0, input)
    found = group_normalized(input, num_groups, weight, bias, eps)
    if prod(input._array.shape) // num_groups == 1:
        raise ValueError(
            "group_norm: Expected more than 1 value per channel when training, got input size "
            f"{list(input.shape)}"
        )
    return found


def group_normalized(input, num_groups, weight=None, bias=None, eps=1e-5):
    """``group_norm`` also of single values, as in ``torch.group_norm``."""
    x = input._array
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
        if t is not None and t._array.shape != (channels,):
            raise ShapeError(
                f"group_norm: Expected {what} to be a vector of size equal to the number of "
                "channels in "
                f"input ({channels}), but got {what} of shape {list(t.shape)} and input of shape "
                f"{list(x.shape)}"
            )
    check_floats("group_norm", x, weight, bias)
    if not input.is_contiguous() and channels_order([x]) is None:
        input = input.contiguous()  # as in PyTorch, which therefore saves a copy
    return apply(_group_norm.op, (input, weight, bias), {"groups": num_groups, "eps": eps})
