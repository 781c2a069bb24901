"""Losses of probabilities: binary cross entropy, also of logits, and the KL divergence."""

import warnings

import numpy as np

from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import log
from rushlight.ops.elementwise.activation import sigmoid
from rushlight.ops.elementwise.exponential import xlogy
from rushlight.ops.loss.regression import (
    floating,
    in_one_dtype,
    reduced,
    reduction_of,
    share,
    stored,
)
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]

_LOWEST = -100  # the lower limit of logarithms, so that the loss stays finite

_OUTSIDE = (
    "binary_cross_entropy: all elements of {} should be between 0 and 1; for logits use "
    "binary_cross_entropy_with_logits"
)

# Probabilities ------------------------------------------------------------------------------


def _check_values(x, y, weight=None, *, reduction):
    low, high = np.minimum.reduce, np.maximum.reduce
    for a, what in ((x, "input"), (y, "target")):
        if a.size and not (low(a, axis=None) >= 0 and high(a, axis=None) <= 1):
            raise RuntimeError(_OUTSIDE.format(what))


@kernel(
    public=False, method=False, name="binary_cross_entropy", check=_check_values,
    prepare=floating("binary_cross_entropy"), autocast=SINGLE, keeps_order=(0, 1),
    least=1 << 16, slopes=True, constants=("weight",),
)  # fmt: skip
def _bce(xp, x, y, weight=None, *, reduction):
    """-(y log x + (1 - y) log(1 - x)), times weight."""
    losses = (y - 1) * xp.maximum(xp.log1p(-x), _LOWEST) - y * xp.maximum(xp.log(x), _LOWEST)
    return reduced(losses if weight is None else losses * weight, reduction)


_bce.op.batching = "loss"  # the gradients of its parts are others at 0 and 1
_bce.lower()


@_bce.lower_check
def _check_bce(x, y):
    for t, what in ((x, "input"), (y, "target")):
        check_range(t, low=0, high=1, error=RuntimeError, message=_OUTSIDE.format(what))


def _weighed(g, like, weight, reduction):
    g = share(g, like, reduction)
    return g if weight is None else g * weight


def _bce_target_slope(g, x, weight, reduction):
    odds = log(1 - x) - log(x)
    return odds * _weighed(g, x, weight, reduction)


_bce.grad(
    x=lambda g, x, y, weight, reduction: (
        (x - y) / ((1 - x) * x).clip(1e-12, None) * _weighed(g, x, weight, reduction)
    ),
    y=_bce_target_slope,
)


def binary_cross_entropy(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """Compute -(target log(input) + (1 - target) log(1 - input)).

    Logarithms are limited to at least -100, so that the loss stays finite.

    Args:
        input: Tensor of any shape ``(*)``: probabilities, in [0, 1].
        target: Tensor of ``input``'s shape and dtype: the probabilities that ``input`` should have.
        weight: Tensor that broadcasts to ``input``: factors of the losses. Default: 1.

    Raises:
        RuntimeError: An element of ``input`` or ``target`` is outside [0, 1].
        ValueError: The shapes differ; the reduction is unknown.

    >>> import rushlight as torch
    >>> torch.nn.functional.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _same_shape("binary_cross_entropy", input, target)
    if input._array.dtype != target._array.dtype:
        raise DtypeError(
            f"binary_cross_entropy: Found dtype {target.dtype} but expected {input.dtype}: both "
            "must have one dtype; convert with .to()"
        )
    if weight is not None:
        weight = weight.expand(target.shape)
    return apply(_bce.op, (input, target, weight), {"reduction": reduction})


def _same_shape(name, input, target):
    for position, (argument, t) in enumerate((("input", input), ("target", target)), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"{name}: Target size {tuple(target.shape)} must be the same as input size "
            f"{tuple(input.shape)}; reshape one of them"
        )


# Logits --------------------------------------------------------------------------------------


def _log_sigmoid(xp, x):
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-abs(x)))


@kernel(
    public=False, method=False, name="binary_cross_entropy_with_logits",
    prepare=floating("binary_cross_entropy_with_logits"), autocast=SINGLE, keeps_order=(1,),
    least=1 << 16, slopes=True, constants=("weight", "pos_weight"),
)  # fmt: skip
def _bce_logits(xp, x, y, weight=None, pos_weight=None, *, reduction):
    """The cross entropy of sigmoid(x), precise even if sigmoid(x) rounds to 0 or 1."""
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * y
    losses = (1 - y) * x - scale * _log_sigmoid(xp, x)
    return reduced(losses if weight is None else losses * weight, reduction)


def _logits_slope(g, x, y, weight, pos_weight, reduction):
    p = sigmoid(x)
    slope = p - y if pos_weight is None else (1 + (pos_weight - 1) * y) * p - pos_weight * y
    return slope * _weighed(g, slope, weight, reduction)


def _logits_target_slope(g, x, weight, pos_weight, reduction):
    slope = -x if pos_weight is None else -x - (pos_weight - 1) * log(sigmoid(x))
    return slope * _weighed(g, slope, weight, reduction)


_bce_logits.op.batching = "loss"  # the gradients of its parts are others at 0
_bce_logits.lower()
_bce_logits.grad(x=_logits_slope, y=_logits_target_slope)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """Compute ``binary_cross_entropy`` of sigmoid(input), precisely for large inputs, too.

    Args:
        input: Tensor of any shape ``(*)``, floating point: logits.
        target: Tensor of ``input``'s shape: the probabilities that sigmoid(input) should have.
        weight: Tensor that broadcasts to ``input``: factors of the losses. Default: 1.

    Raises:
        ValueError: The shapes differ; the reduction is unknown.

    >>> import rushlight as torch
    >>> x, y = torch.tensor([0.0, 100.0]), torch.tensor([1.0, 1.0])
    >>> torch.nn.functional.binary_cross_entropy_with_logits(x, y)
    tensor(0.3466)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _same_shape("binary_cross_entropy_with_logits", input, target)
    if not input.is_floating_point():
        raise UnsupportedDtypeError(
            f"binary_cross_entropy_with_logits: not implemented for {input.dtype}"
        )
    if not target.is_floating_point():
        raise DtypeError(
            f"binary_cross_entropy_with_logits: target must be of floats, but is {target.dtype}"
        )
    dtype = target.dtype
    input, target = in_one_dtype(input, target)
    operands = (input, target, weight, pos_weight)
    return stored(apply(_bce_logits.op, operands, {"reduction": reduction}), dtype)


# Kullback-Leibler divergence ------------------------------------------------------------------


@takes(strict=True)
@autocasts(SINGLE)
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """Compute target (log(target) - input) for each element, where ``input`` is a log-probability.

    Args:
        input: Tensor of any shape ``(*)``: logarithms of probabilities.
        target: Tensor that broadcasts with ``input``: probabilities.
        reduction: ``"batchmean"`` divides the sum by the size of the first dim, as the divergence
            is defined; ``"mean"`` (default) by the number of elements; or ``"sum"``, ``"none"``.

    Returns:
        Tensor ``()``; with ``reduction="none"`` a loss for each element.

    Raises:
        ValueError: The reduction is unknown.

    >>> import rushlight as torch
    >>> p = torch.tensor([[0.5, 0.5]])
    >>> torch.nn.functional.kl_div(p.log(), torch.tensor([[0.25, 0.75]]), reduction="batchmean")
    tensor(0.1308)
    """
    by_batch = reduction == "batchmean" and (size_average is not None or reduce is not None)
    if reduction != "batchmean" or size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by the number of elements in kl_div; "
            "'batchmean' divides by the batch size, as the divergence is defined",
            stacklevel=2,
        )
    tensor_array(input, "kl_div")
    if input.is_complex() or target.is_complex():
        raise RuntimeError("kl_div: Complex inputs not supported.")
    if min(input.dtype.category, target.dtype.category) < 2:
        raise DtypeError(
            f"kl_div: Integral inputs not supported, but got {input.dtype} and {target.dtype}"
        )
    losses = (
        target.exp() * (target - input) if log_target else xlogy(target, target) - target * input
    )
    if reduction == "batchmean":
        return losses.sum() / input._array.shape[0] if input._array.ndim else losses.sum()
    losses = reduced(losses, reduction)
    # The flags of old decide how the losses are reduced, and "batchmean" divides all the same.
    return losses / input._array.shape[0] if by_batch and input._array.ndim else losses
