"""Batch normalisation: each channel is normalised over the batch, with running statistics.

Source: Ioffe and Szegedy 2015.
"""

from math import nan, prod

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.write import write
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.backend.summation import SMALL
from rushlight.errors import ShapeError
from rushlight.handled import is_handled
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.compute import compute
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.kinds import kernel, like_first
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.rules import is_array, memo_of, total, where
from rushlight.ops.norm.layer_norm import check_floats
from rushlight.ops.norm.standardize import blocks, inner, slope, standardized
from rushlight.remote import is_remote
from rushlight.tensor import Tensor, from_array

__all__ = ["batch_norm", "batch_normalized"]

#: Channels with fewer places are too short to be rows of the kernel.
_LONG = 32
#: Up to so many elements, all are worked on at once.
_FEW = large_from(1 << 14)
#: Up to so many rows are added one after the other: the error of such a sum is small.
_FEW_ROWS = large_from(1 << 8)
#: The same for a single image, whose channels are the rows of a kernel. There are 10 ms to compile
#: for each number of places, but a kernel takes half of NumPy's time.
_FEW_OF_ONE = large_from(1 << 14)


def _rows(x):
    """(x as (N, C, places) or (N, C), all its dims except the channels')."""
    if len(x.shape) == 2:
        return x, (0,)
    return x.reshape(x.shape[0], x.shape[1], prod(x.shape[2:])), (0, 2)


def _along(v, x):
    """Reshape ``v``, which has one number for each channel, to broadcast over ``_rows(x)``."""
    return v if len(x.shape) == 2 else v.reshape(1, -1, 1)


def _counted(x):
    """The number of values in a channel of x, at least 1: the mean of no values is 0."""
    return max(prod(x.shape) // x.shape[1], 1) if x.shape[1] else 1


def _inverse_root(v):
    """1 / √v of an array or a tensor; nan for -inf."""
    return v.rsqrt() if isinstance(v, Tensor) else 1 / np.sqrt(v)


def _batch_scale(var, eps):
    """1 / √(var + eps) of a batch's own variance; 0 where both are 0, as in PyTorch."""
    scale = _inverse_root(var + eps)
    return scale if eps else where(var == 0, 0, scale)


@kernel(
    public=False, method=False, name="batch_statistics", widen=False,
    shape=lambda x: [x.shape[1:2]] * 2 if x.dtype.itemsize > 2 else None,
)  # fmt: skip
def _statistics(xp, x):
    """The mean and the biased variance of each channel. Half precision is computed in float32."""
    x, dims = _rows(x.astype(np.float32) if x.dtype.itemsize == 2 else x)
    n = _counted(x)
    if 0 < x.size <= SMALL or (0 < x.size <= _FEW and x.ndim == 2 and n <= _FEW_ROWS):
        mean = np.add.reduce(x, axis=dims) / n
        d = x - _along(mean, x)
        squares = np.add.reduce(d * d if x.ndim == 2 else np.vecdot(d, d), axis=0)
        return mean, squares / n
    mean = _plane_sums("sums", lambda x: x.sum(2), x)
    mean = total(x, dims) / n if mean is None else _along(mean / n, x)
    squares = _plane_sums("squares", _squares, x, mean[0])
    if squares is not None:
        return mean.reshape(-1), squares / n
    squares = np.zeros_like(mean)
    for block in blocks(x):
        d = x[block] - mean
        squares += inner(d, d, dims)
    return mean.reshape(-1), (squares / n).reshape(-1)


def _plane_sums(key, function, x, *others):
    """Sum the results (N, C) that ``function`` gives for x (N, C, places) over N, by a kernel.

    The result is None if NumPy should compute the sum.
    """
    found = native.matrices(key, function, x, *others) if x.ndim == 3 else None
    return None if found is None else np.add.reduce(found[0], axis=0)


def _squares(x, mean):
    d = x - mean
    return (d * d).sum(2)


def _move(average, value, momentum, scale):
    """Move a running average towards ``scale · value`` in place, without a new version.

    In a trace, ``average`` is written by a recorded operation instead.
    """
    if average is None:
        return
    if mode.recorder() is not None or is_remote(average) or is_handled(value):
        write(average, average * (1 - momentum) + value * (scale * momentum), "batch_norm")
        return
    average = plain(average)
    average *= 1 - momentum
    average += plain(value) * (scale * momentum)


@_statistics.lower
def _statistics_of_tensors(x):
    x, dims = _rows(x if x.dtype.itemsize > 2 else x.float())
    n = _counted(x)
    mean = total(x, dims) / n
    d = x - mean
    return mean.reshape(-1), (total(d * d, dims) / n).reshape(-1)


# With the statistics of the batch ----------------------------------------------------------


def _shared(x, *others, eps):
    # ``memo`` is a list in which one gradient rule leaves sums that another rule needs, too.
    return {"eps": eps, "memo": memo_of(x)}


@kernel(
    public=False, method=False, name="batch_norm", grad_name="NativeBatchNormBackward0",
    prepare=_shared, shape=like_first, channels=1, by_contents=True, own_slope=True,
)  # fmt: skip
def _batch_norm(xp, x, mean, var, weight=None, bias=None, *, eps, memo=None):
    """Normalise x by its own mean and var. The gradient includes that both depend on x."""
    return _normalized(x, mean, _batch_scale(var, eps), weight, bias)


_batch_norm.op.batching = "channels"


def _normalized(x, mean, scale, weight, bias):
    if weight is not None:
        scale = scale * weight
    if x.size <= (_FEW_OF_ONE if len(x) == 1 and x.flags.c_contiguous else _FEW):
        shape = (-1, *[1] * (x.ndim - 2))
        out = x - mean.reshape(shape)
        out *= scale.reshape(shape)
        return out if bias is None else np.add(out, bias.reshape(shape), out)
    rows, _ = _rows(x)
    mean, scale = _along(mean, x), _along(scale, x)
    found = _scaled(rows, mean, scale, None if bias is None else _along(bias, x))
    if found is not None:
        return found.reshape(x.shape)
    out = np.empty_like(rows)
    for block in blocks(rows):
        into = np.subtract(rows[block], mean, out=out[block])
        into *= scale
        if bias is not None:
            into += _along(bias, x)
    return out.reshape(x.shape)


def _scaled(x, *vectors):
    """(x - mean) · scale + bias by a compiled kernel, or None if NumPy should compute it."""
    count, least = len(x), _FEW_OF_ONE if len(x) == 1 else native.LEAST_MATRIX
    if x.size < least:
        return None
    found = None
    if count > 1:
        given = [v if v is None or v.ndim == 1 else v[0] for v in vectors]
        found = native.matrices("scaled", _scaled_tensors, x, *given)
    if found is None and x.ndim == 3 and x.shape[2] >= _LONG and x.flags.c_contiguous:
        # One image, or images that are too large for a row: each channel of an image is a row.
        given = [v if v is None else v.reshape(-1, 1) for v in vectors]
        if count > 1:
            given = [v if v is None else np.tile(v, (count, 1)) for v in given]
        rows = x.reshape(count * x.shape[1], x.shape[2])
        found = native.matrices("scaled", _scaled_tensors, rows, *given, least=least)
    return None if found is None else found[0]


def _scaled_tensors(x, mean, scale, bias):
    out = (x - mean) * scale
    return out if bias is None else out + bias


def _hat(x, mean, scale):
    """(x normalised, its scale) of tensors, shaped like ``_rows(x)``."""
    scale = _along(scale, x)
    return (_rows(x)[0] - _along(mean, x)) * scale, scale


def _written_out(x, mean, scale, weight, bias):
    """``_normalized`` of tensors."""
    out, _ = _hat(x, mean, scale)
    if weight is not None:
        out = out * _along(weight, x)
    return (out if bias is None else out + _along(bias, x)).reshape(x.shape)


_batch_norm.lower(lambda x, mean, var, weight, bias, eps: (
    _written_out(x, mean, _batch_scale(var, eps), weight, bias)
))  # fmt: skip


def _sums(g, x, mean, memo):
    """(Σ g, Σ g · (x - mean)) of each channel, of arrays."""
    if _has_sums(memo, g):
        return memo[2:]
    (h, dims), (rows, _) = _rows(g), _rows(x)
    mean = _along(mean, x)
    products = None
    if mean.size:
        write = lambda x, h, mean: (h * (x - mean)).sum(2)
        products = _plane_sums("products", write, rows, h, mean[0])
    if products is None:
        for block in blocks(rows):
            part = inner(h[block], rows[block] - mean, dims).reshape(-1)
            products = part if products is None else products + part
    if products is None:  # there are no rows
        products = np.zeros_like(mean).reshape(-1)
    memo[:] = (mode.run, g, _sums_of_channels(g), products)
    return memo[2:]


def _sums_of_channels(g):
    """Σ g of each channel, of an array."""
    h, dims = _rows(g)
    sums = _plane_sums("sums", lambda x: x.sum(2), h)
    return total(h, dims).reshape(-1) if sums is None else sums


def _has_sums(memo, g):
    """Whether another rule has computed the sums for ``g`` in this backward."""
    return memo and memo[0] == mode.run and memo[1] is g


def _slope(g, x, mean, var, weight, eps, memo):
    if memo is None or not is_array(g):
        return _slope_of_tensors(g, x, mean, var, weight, eps)
    scale, n = _batch_scale(var, eps), _counted(x)
    sum_g, sum_gd = _sums(g, x, mean, memo)
    slant = _along(sum_gd * (scale * scale / n), x)
    level = _along(sum_g / n, x)
    scale = _along(scale if weight is None else scale * weight, x)
    mean = _along(mean, x)
    h, rows = _rows(g)[0], _rows(x)[0]
    vectors = [v if v.ndim == 1 else v[0] for v in (mean, slant, level, scale)]
    kernel = native.matrices("batch slope", _slope_of_rows, rows, h, *vectors)
    if kernel is not None:
        return kernel[0].reshape(x.shape)
    found = np.empty_like(rows)
    for block in blocks(rows):
        into = np.subtract(rows[block], mean, out=found[block])
        into *= slant
        np.subtract(h[block], into, out=into)
        into -= level
        into *= scale
    return found.reshape(x.shape)


def _slope_of_rows(x, h, mean, slant, level, scale):
    return (h - (x - mean) * slant - level) * scale


def _standardized(x, mean, var, eps):
    """(x normalised, its scale) of tensors."""
    if mode.records():
        # Compute the statistics from x again, because the second derivative includes their
        # dependence on x.
        rows, dims = _rows(x)
        return standardized(rows, dims, eps)
    return _hat(x, mean, _batch_scale(var, eps))


def _slope_of_tensors(g, x, mean, var, weight, eps):
    h, dims = _rows(g)
    hat, scale = _standardized(x, mean, var, eps)
    if weight is not None:
        scale = scale * _along(weight, x)
    return slope(h, hat, scale, dims).reshape(tuple(x.shape))


def _weight_slope(g, x, mean, var, eps, memo):
    if memo is not None and is_array(g):
        return _sums(g, x, mean, memo)[1] * _batch_scale(var, eps)
    h, dims = _rows(g)
    return inner(h, _standardized(x, mean, var, eps)[0], dims).reshape(-1)


def _bias_slope(g):
    return total(*_rows(g)).reshape(-1)


def _bias_slope_of_batch(g, memo):
    if memo is None or not is_array(g):
        return _bias_slope(g)
    return memo[2] if _has_sums(memo, g) else _sums_of_channels(g)


_batch_norm.grad(
    x=_slope,
    weight=_weight_slope,
    bias=_bias_slope_of_batch,
)

# With given statistics ---------------------------------------------------------------------


@kernel(public=False, method=False, name="batch_norm_fixed", grad_name="NativeBatchNormBackward0",
        channels=1, by_contents=True, constants=("mean", "var"))  # fmt: skip
def _fixed(xp, x, mean, var, weight=None, bias=None, *, eps):
    """Normalise x by a mean and var that do not depend on x."""
    return _normalized(x, mean, _inverse_root(var + eps), weight, bias)


_fixed.lower(lambda x, mean, var, weight, bias, eps: (
    _written_out(x, mean, _inverse_root(var + eps), weight, bias)
))  # fmt: skip


def _fixed_slope(g, var, weight, eps):
    scale = _inverse_root(var + eps)
    if weight is not None:
        scale = scale * weight
    return (_rows(g)[0] * _along(scale, g)).reshape(tuple(g.shape))


def _fixed_weight_slope(g, x, mean, var, eps):
    h, dims = _rows(g)
    hat, _ = _hat(x, mean, _inverse_root(var + eps))
    return inner(h, hat, dims).reshape(-1)


_fixed.grad(x=_fixed_slope, weight=_fixed_weight_slope, bias=_bias_slope)
_fixed.watch(x="x mean", weight="weight", bias="x mean var weight")

# Function ----------------------------------------------------------------------------------


def _check(x, training, **vectors):
    if x.ndim < 2:
        raise ShapeError(
            f"batch_norm: expected input of at least 2 dims (N, C, …), but got {tuple(x.shape)}"
        )
    check_floats("batch_norm", x, *vectors.values())
    for name, v in vectors.items():
        if v is not None and (v._array.ndim != 1 or v._array.shape[0] != x.shape[1]):
            raise ShapeError(
                f"batch_norm: {name} should contain {x.shape[1]} elements not {v._array.size}: "
                "input "
                f"{tuple(x.shape)} has {x.shape[1]} channels in dim 1, {name} is {tuple(v.shape)}"
            )
    if not training and (vectors["running_mean"] is None or vectors["running_var"] is None):
        raise RuntimeError(
            "batch_norm: Expected running_mean and running_var to be defined when training=False"
        )
    if training and (vectors["running_mean"] is None) is not (vectors["running_var"] is None):
        raise ValueError(
            "batch_norm: running_mean and running_var must either both be None or neither be None"
        )


@takes(
    strict=True,
    kinds={"training": "bool", "running_mean": "Tensor?", "running_var": "Tensor?"},
)
def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Normalise each channel of ``input`` to mean 0 and variance 1, then scale and shift it.

    Args:
        input: Tensor ``(N, C, *)``.
        training: Use the mean and variance of the batch, and move the running statistics towards
            them, in place. False (default): use the running statistics.

    Raises:
        ValueError: ``eps`` is negative. In training, a channel has only one value, ``eps`` is 0, or
            only one of the running statistics is given.
        RuntimeError: Sizes or dtypes do not fit; running statistics are missing without
            ``training``.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> torch.nn.functional.batch_norm(x, None, None, training=True)
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """
    if not isinstance(input, Tensor):
        refuse(_batch_norm.op, 0, input)
    if eps < 0 or (training and eps == 0):
        least = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {least}, but got {eps}")
    shape = input._array.shape
    if training and prod(shape[:1] + shape[2:]) == 1:
        raise ValueError(
            "batch_norm: Expected more than 1 value per channel when training, got input size "
            f"{tuple(shape)}"
        )
    return batch_normalized(input, running_mean, running_var, weight, bias, training, momentum, eps)


batch_norm.composes = False  # it writes to running statistics; what it computes is replayed


def batch_normalized(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """``batch_norm`` with any ``eps``, also of single values, as in ``torch.batch_norm``."""
    x = input._array
    _check(
        x, training, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias,
    )  # fmt: skip
    if not training:
        return _evaluated(input, running_mean, running_var, weight, bias, eps)
    out, mean, var = _trained(input, weight, bias, eps)
    n = _counted(x)
    if prod(x.shape):
        was = mode.set_grad(False)
        try:
            _move(running_mean, mean, momentum, 1)
            _move(running_var, var, momentum, n / (n - 1) if n > 1 else nan)
        finally:
            mode.set_grad(was)
    return out


@replayed
def _evaluated(input, mean, var, weight, bias, eps):
    """``input`` normalised by the running statistics."""
    return apply(_fixed.op, (input, mean, var, weight, bias), {"eps": eps})


@replayed
def _trained(input, weight, bias, eps):
    """``input`` normalised by its own statistics, and these: (result, mean, var)."""
    was = mode.set_grad(False)
    try:
        if mode.intercept:
            mean, var = apply(_statistics.op, (input,), {})
        else:
            mean, var = map(from_array, compute(_statistics.op, (plain(input),), {}))
    finally:
        mode.set_grad(was)
    return apply(_batch_norm.op, (input, mean, var, weight, bias), {"eps": eps}), mean, var
