"""Losses that compare input and target element by element."""

import warnings
from math import prod

import numpy as np

from rushlight.autograd import mode
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, promote_types
from rushlight.errors import UnsupportedDtypeError
from rushlight.notices import warn
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import FLOATS, plain, taped
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.promotion import to_float
from rushlight.tensor import Tensor

__all__ = [
    "huber_loss", "l1_loss", "mse_loss", "reduced", "reduction_of", "reduction_of_flags",
    "smooth_l1_loss", "weighted",
]  # fmt: skip

_F4, _F8 = FLOATS
_FEW = large_from(4096)  # up to so many elements, a BLAS product is as precise as a pairwise sum

# Reductions -------------------------------------------------------------------------------


def reduction_of_flags(size_average, reduce):
    """Return the reduction that the two deprecated flags stand for. None counts as true.

    A tensor of several elements is refused: it comes from ``MSELoss(input, target)``, which makes a
    loss and computes none.
    """
    for flag in (size_average, reduce):
        if isinstance(flag, Tensor) and flag.numel() != 1:
            raise RuntimeError(
                "Boolean value of Tensor with more than one value is ambiguous: size_average and "
                "reduce are flags. A loss module takes tensors when it is called: "
                "loss = MSELoss(); loss(input, target)"
            )
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def reduction_of(reduction, size_average=None, reduce=None):
    """``reduction``, checked, or its value by the two deprecated flags if one is given."""
    if size_average is not None or reduce is not None:
        reduction = reduction_of_flags(size_average, reduce)
        warnings.warn(
            f"size_average and reduce args will be deprecated; use reduction='{reduction}'",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(losses, reduction):
    """The mean or the sum of ``losses``, a tensor or an array; "none" gives ``losses`` itself."""
    if reduction == "none":
        return losses
    if isinstance(losses, Tensor):
        return losses.mean() if reduction == "mean" else losses.sum()
    total = np.add.reduce(losses, axis=None)
    return total if reduction == "sum" else np.true_divide(total, losses.size, dtype=losses.dtype)


def share(g, like, reduction):
    """The gradient of each element's loss, from the gradient ``g`` of the reduced loss.

    ``like`` has the shape of the losses.
    """
    return g / prod(like.shape) if reduction == "mean" else g


def compared(name, input, target):
    """The two operands of a loss in one dtype, with a warning if their shapes differ."""
    for position, (argument, t) in enumerate((("input", input), ("target", target)), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )
    if input._array.shape != target._array.shape:
        warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}): {name} broadcasts them, which often is a mistake. Please ensure they"
            " have the same size."
        )
    return in_one_dtype(input, target)


def stored(losses, dtype):
    """``losses`` in ``dtype``, that of the memory in which PyTorch computes them.

    Under autocast they stay as they are: there it computes in float32.
    """
    return losses if mode.state.autocast is not None else losses.to(dtype)


def in_one_dtype(x, y):
    """Both tensors, converted to their common dtype."""
    if x._array.dtype == y._array.dtype:
        return x, y
    # Both are broadcast first, so a tensor of no dims counts as much as the other one.
    common = promote_types(OF[x._array.dtype], OF[y._array.dtype])
    return x.to(common), y.to(common)


# Mean squared error -----------------------------------------------------------------------


def floating(name):
    """The ``prepare`` function of a loss that takes floating-point numbers only."""

    def prepare(x, y, *others, **params):
        if to_float((x, y)).is_complex or (x.dtype.kind in "iub" and y.dtype.kind in "iub"):
            raise UnsupportedDtypeError(
                f"{name}: not implemented for {x.dtype}; convert with .float()"
            )
        return params

    return prepare


@kernel(public=False, method=False, name="mse_loss", prepare=floating("mse_loss"), autocast=SINGLE,
        keeps_order=(0, 1), least=1 << 16, slopes=True)  # fmt: skip
def _mse(xp, x, y, *, reduction):
    """(x - y)², its mean or its sum."""
    d = x - y
    if reduction == "none" or isinstance(d, Tensor) or d.size > _FEW:
        return reduced(d * d, reduction)
    flat = d.ravel()
    total = flat.dot(flat)
    return total if reduction == "sum" else np.true_divide(total, d.size, dtype=d.dtype)


def _mse_slope(g, x, y, reduction):
    d = x - y
    if reduction != "mean":
        return (d + d) * g
    return d * (g * (2 / (prod(d.shape) or 1)))  # 1: any, for an empty d


_mse.lower()
_mse.grad(x=_mse_slope, y=lambda g, x, y, reduction: -_mse_slope(g, x, y, reduction))
_mse_op = _mse.op


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Compute (input - target)².

    Args:
        weight: Tensor of ``input``'s shape: factors of the losses. The mean is divided by their
            sum. Default: 1.

    Raises:
        ValueError: The reduction is unknown; ``weight`` does not have input's shape.

    >>> import rushlight as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    if weight is None and size_average is None and reduce is None:
        found = _short(input, target, reduction)
        if found is not None:
            return found
    reduction = reduction_of(reduction, size_average, reduce)
    input, target = compared("mse_loss", input, target)
    if weight is None:
        return apply(_mse_op, (input, target), {"reduction": reduction})
    return weighted(
        apply(_mse_op, (input, target), {"reduction": "none"}), input, weight, reduction
    )


def _short(input, target, reduction):
    """The mean mse_loss by the short path, or None if the full path is needed."""
    try:
        x, y = plain(input), plain(target)
        d = x.dtype
        if (
            mode.intercept
            or y.dtype is not d
            or (d is not _F4 and d is not _F8)
            or x.shape != y.shape
            or x.size >= _mse_op.least
            or reduction != "mean"
        ):
            return None
        diff = x - y
        n = diff.size
        if n > _FEW:
            loss = reduced(diff * diff, "mean")
        else:
            flat = diff.ravel()
            loss = flat.dot(flat) / n
    except (AttributeError, ZeroDivisionError):
        return None
    return taped(
        _mse_op, np.asarray(loss), (input.node, target.node), (x, y, reduction),
        (input.cell, target.cell),
    )  # fmt: skip


def weighted(losses, input, weight, reduction):
    """The weighted mean of ``losses``, or the sum or each element of ``losses · weight``."""
    if weight._array.shape != input._array.shape:
        raise ValueError(
            f"Weights and input must have the same size, not {tuple(weight.shape)} and "
            f"{tuple(input.shape)}"
        )
    losses = losses * weight
    if reduction == "mean":
        return losses.sum() / weight.sum()
    return losses.sum() if reduction == "sum" else losses


# Absolute error, and losses that are squared near 0 and absolute further out -----------------


@autocasts(SINGLE)
def _absolute_errors(input, target):
    return (input - target).abs()


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Compute |input - target|.

    Args:
        weight: Tensor of ``input``'s shape: factors of the losses. The mean is divided by their
            sum. Default: 1.

    Raises:
        ValueError: The reduction is unknown; ``weight`` does not have input's shape.

    >>> import rushlight as torch
    >>> torch.nn.functional.l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    input, target = compared("l1_loss", input, target)
    losses = _absolute_errors(input, target)
    if weight is None:
        return reduced(losses, reduction)
    return weighted(losses, input, weight, reduction)


@kernel(
    public=False,
    method=False,
    name="smooth_l1_loss",
    prepare=floating("smooth_l1_loss"),
    autocast=SINGLE,
    keeps_order=(0, 1),
    least=1 << 16,
    slopes=True,
)
def _smooth_l1(xp, x, y, *, reduction, beta):
    """d² / (2 beta) where |d| < beta, else |d| - beta / 2, for d = x - y."""
    d = abs(x - y)
    return reduced(xp.where(d < beta, d * d * (0.5 / beta), d - beta / 2), reduction)


def _smooth_l1_slope(g, x, y, reduction, beta):
    return ((x - y) / beta).clip(-1, 1) * share(g, x - y, reduction)


_smooth_l1.lower()
_smooth_l1.grad(
    x=_smooth_l1_slope,
    y=lambda g, x, y, reduction, beta: -_smooth_l1_slope(g, x, y, reduction, beta),
)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Compute d² / (2 beta) where d = |input - target| < beta, and d - beta / 2 elsewhere.

    Args:
        beta: Distance from which on the loss is linear instead of squared; 0 gives ``l1_loss``.
            Default: 1.

    Raises:
        RuntimeError: ``beta`` is negative.
        ValueError: The reduction is unknown.

    Source: Girshick 2015, Fast R-CNN, eq. 3.

    >>> import rushlight as torch
    >>> torch.nn.functional.smooth_l1_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0]))
    tensor(1.5000)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    input, target = compared("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta: {beta}")
    if beta == 0:
        return reduced(_absolute_errors(input, target), reduction)
    return apply(_smooth_l1.op, (input, target), {"reduction": reduction, "beta": beta})


@kernel(
    public=False,
    method=False,
    name="huber_loss",
    prepare=floating("huber_loss"),
    autocast=SINGLE,
    keeps_order="like",
    least=1 << 16,
    slopes=True,
)
def _huber(xp, x, y, *, reduction, delta):
    """d² / 2 where |d| <= delta, else delta (|d| - delta / 2), for d = x - y."""
    d = abs(x - y)
    return reduced(xp.where(d <= delta, d * d * 0.5, (d - delta / 2) * delta), reduction)


def _huber_slope(g, x, y, reduction, delta):
    return (x - y).clip(-delta, delta) * share(g, x - y, reduction)


_huber.lower()
_huber.grad(
    x=_huber_slope,
    y=lambda g, x, y, reduction, delta: -_huber_slope(g, x, y, reduction, delta),
)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Compute d² / 2 where d = |input - target| <= delta, and delta (d - delta / 2) elsewhere.

    Args:
        weight: Tensor of ``input``'s shape: factors of the losses. The mean is divided by the
            number of elements. Default: 1.

    Raises:
        RuntimeError: ``delta`` is not positive.
        ValueError: The reduction is unknown; ``weight`` does not have input's shape.

    Source: Huber 1964.

    >>> import rushlight as torch
    >>> torch.nn.functional.huber_loss(torch.zeros(2), torch.tensor([1.0, 3.0]), delta=2.0)
    tensor(2.2500)
    """
    reduction = reduction_of(reduction)
    of, (input, target) = input, compared("huber_loss", input, target)
    if not of.is_floating_point():
        raise UnsupportedDtypeError(f"huber_loss: not implemented for {of.dtype}")
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta: {delta}")
    if weight is None:
        found = apply(_huber.op, (input, target), {"reduction": reduction, "delta": delta})
        return stored(found, of.dtype)
    losses = apply(_huber.op, (input, target), {"reduction": "none", "delta": delta})
    # Unlike in mse_loss and l1_loss, PyTorch divides by the number of elements, not by the weights.
    return reduced(weighted(losses, input, weight, "none"), reduction)
