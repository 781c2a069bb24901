"""Negative log-likelihoods of Poisson counts, normal numbers, and a linear layer's classes."""

import math

from rushlight.autograd.mode import no_grad
from rushlight.errors import ShapeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.promotion import as_number
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.linear.linear import linear
from rushlight.ops.loss.cross_entropy import cross_entropy
from rushlight.ops.loss.regression import reduced, reduction_of
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor

__all__ = ["gaussian_nll_loss", "linear_cross_entropy", "poisson_nll_loss"]


@autocasts(SINGLE)
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None,
    reduction="mean",
):  # fmt: skip
    """Compute the negative log-likelihood of counts ``target`` with a Poisson distribution.

    The loss is exp(input) - target · input, or input - target · log(input) with
    ``log_input=False``. ``full`` adds Stirling's approximation of log(target!) for targets above 1.

    Args:
        target: The counts; they broadcast with ``input``.
        eps: Number added to ``input`` before its logarithm is taken. Default: 1e-8.

    >>> import rushlight as torch
    >>> torch.nn.functional.poisson_nll_loss(torch.zeros(1), torch.tensor([2.0]))
    tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    tensor_array(input, "poisson_nll_loss")
    tensor_array(target, "poisson_nll_loss", "target")
    eps = as_number(eps)
    if log_input:
        losses = input.exp() - target * input
    else:
        losses = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + (target * (2 * math.pi)).log() * 0.5
        losses = losses + stirling.masked_fill(target <= 1, 0).to(losses.dtype)
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Compute the negative log-likelihood of ``target`` with a normal distribution.

    The loss is (log var + (input - target)² / var) / 2. ``full`` adds log(2π) / 2.

    Args:
        input: Tensor ``(*)``: the means.
        target: Tensor that broadcasts with ``input``.
        var: The variances: a number, or a tensor of ``input``'s shape, or of that shape without its
            last dim or with one dim of size 1.
        eps: A smaller variance is raised to this number. Default: 1e-6.

    Raises:
        ValueError: A variance is negative, or the shape of ``var`` does not fit.

    Source: Nix and Weigend 1994, Estimating the mean and variance of the target probability
    distribution.

    >>> import rushlight as torch
    >>> torch.nn.functional.gaussian_nll_loss(torch.zeros(1), torch.ones(1), torch.ones(1))
    tensor(0.5000)
    """
    negative = "gaussian_nll_loss: var has negative entry/entries"
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError(f"{negative}: {var}")
        var = input.new_full(input.shape, var)
    elif var.shape != input.shape:
        spread = [v for n, v in zip(input.shape, var.shape, strict=False) if n != v]
        if input.shape[:-1] == var.shape and input.ndim:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or spread != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var is of incorrect size: {tuple(var.shape)} for input "
                f"{tuple(input.shape)}"
            )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"gaussian_nll_loss: {reduction} is not valid")
    check_range(var < 0, low=False, high=False, error=ValueError, message=negative)
    var = var.clone()
    with no_grad():  # as in PyTorch, the gradient is computed as if there were no eps
        var.clamp_min_(eps)
    losses = (var.log() + (input - target).square() / var) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean",
    ignore_index=None, label_smoothing=0.0, options=None,
):  # fmt: skip
    """Compute ``cross_entropy`` of a linear layer's results.

    Args:
        input: Tensor ``(N, in)`` or ``(in)``.
        linear_weight: Tensor ``(C, in)``, or ``(C, *, in)`` to classify at several places.
        target: Class indices ``(N, *)``, or probabilities ``(N, C, *)``.
        linear_bias: Tensor ``(C, *)``. Default: none.
        weight: Tensor ``(C)``: factor of each class. Default: 1.
        ignore_index: Class indices of this value do not count. Default: -100.
        options: Accepted without effect.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses ``(N, *)`` or ``()``.

    Raises:
        RuntimeError: Shapes do not fit, or ``ignore_index`` is given with probabilities.

    >>> import rushlight as torch
    >>> x, w = torch.zeros(1, 3), torch.ones(2, 3)
    >>> torch.nn.functional.linear_cross_entropy(x, w, torch.tensor([1]))
    tensor(0.6931)
    """
    if linear_weight.ndim < 2:
        raise ShapeError(
            "linear_cross_entropy: expected linear_weight with dimensionality at least 2, got "
            f"{linear_weight.ndim}: {tuple(linear_weight.shape)}"
        )
    if input.ndim not in (1, 2):
        raise ShapeError(
            f"linear_cross_entropy: expected input with dimensionality 1 or 2, got {input.ndim}: "
            f"{tuple(input.shape)}"
        )
    if input.shape[-1] != linear_weight.shape[-1]:
        raise ShapeError(
            "linear_cross_entropy: expected equal input and linear_weight last dimensions "
            f"(in_features), got {input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    classes, *places, features = linear_weight.shape
    if linear_bias is not None and tuple(linear_bias.shape) != (classes, *places):
        raise ShapeError(
            f"linear_cross_entropy: expected linear_bias shape {(classes, *places)}, got "
            f"{tuple(linear_bias.shape)}"
        )
    if places:
        if input.ndim != 2:
            raise ShapeError(
                "linear_cross_entropy: K-dimensional loss defined by linear_weight shape "
                f"{tuple(linear_weight.shape)} requires batched input, (N, {features}), got "
                f"unbatched input with shape {tuple(input.shape)}"
            )
        bias = None if linear_bias is None else linear_bias.reshape(-1)
        logits = linear(input, linear_weight.reshape(-1, features), bias)
        logits = logits.reshape(len(input), classes, *places)
    else:
        logits = linear(input, linear_weight, linear_bias)
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError(
            "linear_cross_entropy: ignore_index cannot be specified when target contains "
            "probabilities"
        )
    return cross_entropy(
        logits, target, weight, None, -100 if ignore_index is None else ignore_index, None,
        reduction, label_smoothing,
    )  # fmt: skip
