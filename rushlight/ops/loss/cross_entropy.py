"""Losses of classification: negative log-likelihood and cross entropy."""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.fast_path import FLOATS, taped
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.promotion import as_number
from rushlight.ops.core.range_checks import within
from rushlight.ops.core.rules import is_array, memo_of
from rushlight.ops.loss import class_indices, cross_entropy_arrays
from rushlight.ops.loss.class_indices import class_dim
from rushlight.ops.loss.regression import reduction_of
from rushlight.ops.reduce.softmax import log_softmax, softmax
from rushlight.tensor import Tensor

__all__ = ["cross_entropy", "nll_loss"]

_F4, _F8 = FLOATS
_I8 = np.dtype("i8")
_sum: Any = np.add.reduce
_FEW = large_from(2048)

# Class indices ----------------------------------------------------------------------------


@lru_cache(64)
def _rows(n):
    """The indices of ``n`` rows."""
    return np.arange(n)


def _indexed(target, classes, ignore_index):
    """(the class indices with 0 in place of ignored ones, True where a target is not ignored).

    The second is None if no target is ignored.
    """
    target = target.astype(_I8, copy=False)
    if within(target, 0, classes - 1):
        keep = target != ignore_index if 0 <= ignore_index < classes else None
        return target, None if keep is None or keep.all() else keep
    keep = target != ignore_index
    wrong = target[keep & ((target < 0) | (target >= classes))]
    if wrong.size:
        raise IndexError(
            f"cross_entropy: Target {wrong[0]} is out of bounds: the classes are 0 to {classes - 1}"
        )
    return np.where(keep, target, 0), keep


def _shares(x, target, weight, ignore_index):
    """(class indices, the weight of each position: an array, or 1 for all)."""
    if x.ndim == 1:
        target = target.reshape(())
    target, keep = _indexed(target, x.shape[class_dim(x.shape)], ignore_index)
    if weight is None:
        return target, 1 if keep is None else keep.astype(x.dtype)
    share = weight[target] if weight.size else np.zeros(target.shape, weight.dtype)
    return target, share if keep is None else np.where(keep, share, 0)


def _pick(x, target):
    """The elements of ``x`` at the classes ``target``; zeros if there are no classes."""
    if not x.shape[class_dim(x.shape)]:  # so all targets are ignored
        return np.zeros(target.shape, x.dtype)
    if x.ndim == 1:
        return x[target]
    if x.ndim == 2:
        return x[_rows(len(x)), target]
    if target.size >= _FEW and x.flags.c_contiguous and x.dtype.char in "fd":
        given = x, target, *x.shape[:2], prod(x.shape[2:])
        found = native.looped(_picked, given, [(target.shape, x.dtype)])
        if found is not None:
            return found[0]
    return np.take_along_axis(x, target[:, None], 1)[:, 0]


def _picked(x, target, n, classes, behind, out):
    """The elements of x (n, classes, behind) at the classes (n, behind)."""
    for i in range(n):
        for j in range(behind):
            out[i * behind + j] = x[(i * classes + target[i * behind + j]) * behind + j]


def _place(shape, target, values):
    """Zeros of ``shape`` with ``values`` at the classes ``target``."""
    out = np.zeros(shape, values.dtype)
    if not out.size:
        return out
    if out.ndim == 1:
        out[target] = values
    elif out.ndim == 2:
        out[_rows(len(out)), target] = values
    else:
        values = values[:, None] if values.ndim else values
        np.put_along_axis(out, target[:, None], values, 1)
    return out


def _loss(surprise, share, reduction):
    """The loss from ``surprise``, the negative log-probabilities of the target classes."""
    if type(share) is int:
        losses, total = surprise, surprise.size
    else:
        losses, total = np.where(share == 0, surprise.dtype.type(0), surprise * share), None
    if reduction == "none":
        return losses
    loss = np.add.reduce(losses, axis=None)
    if reduction == "sum":
        return loss
    if total is None:
        total = np.add.reduce(share, axis=None)
    return np.true_divide(loss, total, dtype=surprise.dtype)


def _scale(g, x, target, share, reduction):
    """The gradient of each position's loss, from the gradient ``g`` of the whole loss."""
    if reduction == "mean":
        total = target.size if type(share) is int else np.add.reduce(share, axis=None)
        g = np.true_divide(g, total, dtype=x.dtype)
    # Positions of weight 0 get 0, even if all weights are 0 and g / total is not finite.
    return g if type(share) is int else np.where(share == 0, g.dtype.type(0), g * share)


def _prepared(x, target, weight, *, name, **params):
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise UnsupportedDtypeError(
            f"{name}: not implemented for {OF[x.dtype]}; convert with .float()"
        )
    class_indices.check_shapes(name, x, target, weight)
    return {"name": name, **params}


# The operations nll_loss and cross_entropy, for class indices ------------------------------


def _nll(xp, x, target, weight=None, *, reduction, ignore_index, name="nll_loss"):
    """-x at the target classes, as its mean, its sum or each element."""
    target, share = _shares(x, target, weight, ignore_index)
    return _loss(-_pick(x, target), share, reduction)


def _nll_slope(g, x_shape, target, weight, reduction, ignore_index):
    if type(g) is ndarray:
        like = np.broadcast_to(np.zeros((), g.dtype), x_shape)
        target, share = _shares(like, target, weight, ignore_index)
        return _place(x_shape, target, -_scale(g, like, target, share, reduction))
    return _nll_back(g, target, weight, x_shape, reduction, ignore_index)


def _nll_rule(g, x, target, weight, reduction, ignore_index):
    """``_nll_slope``. Naming ``x`` saves it, so a later write to it is refused, as by PyTorch."""
    return _nll_slope(g, x.shape, target, weight, reduction, ignore_index)


def _both_ranks(forward, name, rule, lowered, **options):
    """The operation twice, with PyTorch's gradient names: for x of up to 2 dims, and of more."""
    found = []
    for rank, grad_name in (("", "NllLossBackward0"), ("2d", "NllLoss2DBackward0")):
        op = kernel(
            forward, name=name + rank, grad_name=grad_name, public=False, method=False,
            prepare=_prepared, autocast=SINGLE, constants=("weight",), **options,
        )  # fmt: skip
        op.grad(x=rule)
        op.lower(lowered)
        op.lower_check(
            lambda x, target, ignore_index: class_indices.check_values(x, target, ignore_index)
        )
        found.append(op.op)
    return found


def _nll_of_tensors(x, target, weight, reduction, ignore_index):
    surprise = -class_indices.picked(x, target, ignore_index)
    return class_indices.loss(surprise, x.shape, target, weight, reduction, ignore_index)


_NLL = _both_ranks(_nll, "nll_loss", _nll_rule, _nll_of_tensors, flat=True)


@kernel(public=False, method=False, name="nll_loss_backward")
def _nll_back(xp, g, target, weight=None, *, x_shape, reduction, ignore_index):
    """The gradient of nll_loss."""
    return _nll_slope(g, x_shape, target, weight, reduction, ignore_index)


@_nll_back.lower
def _nll_back_of_tensors(g, target, weight, x_shape, reduction, ignore_index):
    scale = class_indices.scale(g, x_shape, target, weight, reduction, ignore_index)
    return (-scale).where(class_indices.hot(target, x_shape, ignore_index), 0)


_nll_back.grad(
    g=lambda g, target, weight, x_shape, reduction, ignore_index: apply(
        _NLL[len(x_shape) > 2],
        (g, target, weight),
        {"reduction": reduction, "ignore_index": ignore_index, "name": "nll_loss"},
    )
)


def _is_narrow(x):
    """Whether NumPy is faster if the classes are the first dim in memory, as few elements follow.

    NumPy's loops along the other dims then run over all positions at once.
    """
    return x.ndim > 2 and x.size > _FEW and prod(x.shape[2:]) < 16 and x.flags.c_contiguous


def _cross_entropy(xp, x, target, weight=None, *, reduction, ignore_index, name, memo=None):
    """nll_loss of log_softmax(x)."""
    dim = class_dim(x.shape)
    if memo is not None and _is_mean_of_rows(x, target, weight, reduction, ignore_index):
        found, memo[:] = cross_entropy_arrays.of_rows(xp, x, target)
        return found
    turned = _is_narrow(x)
    if turned:
        x = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    z = x - np.maximum.reduce(x, axis=dim, keepdims=True) if x.size else x
    target, share = _shares(x, target, weight, ignore_index)
    picked = _pick(z, target)
    e = np.exp(z, out=z)
    total = np.add.reduce(e, axis=dim, keepdims=True)
    if memo is not None:
        memo[:] = (e, total, target, share, turned)
    return _loss(np.log(total).reshape(picked.shape) - picked, share, reduction)


def _is_mean_of_rows(x, target, weight, reduction, ignore_index):
    """Whether ``_short`` computes such a call, if no mode is on."""
    if weight is not None or reduction != "mean" or x.ndim != 2 or ignore_index >= 0:
        return False
    if x.dtype not in FLOATS or len(x) < 2 or target.dtype != np.int64:
        return False
    return bool(((target >= 0) & (target < x.shape[1])).all())


def _memorised(x, target, weight, **params):
    # ``memo`` is a list in which the forward leaves values for the gradient. It is None in a trace.
    params = _prepared(x, target, weight, **params)
    return {**params, "memo": memo_of(x)}


def _cross_entropy_slope(g, x, target, weight, reduction, ignore_index, name, memo):
    if is_array(g) and memo:
        if type(memo[0]) is str:
            return cross_entropy_arrays.slope(g, *memo)
        e, total, target, share, turned = memo
        scale = _scale(g, e, target, share, reduction)
        found = e * ((scale.reshape(total.shape) if scale.ndim else scale) / total)
        if e.ndim == 2:
            found[_rows(len(e)), target] -= scale
            return found
        found -= _place(e.shape, target, scale)
        return np.ascontiguousarray(found) if turned else found
    scale = class_indices.scale(g, x.shape, target, weight, reduction, ignore_index)
    hot = class_indices.hot(target, x.shape, ignore_index)
    return softmax(x, class_dim(x._array.shape)) * scale - scale.where(hot, 0)


def _cross_entropy_of_tensors(x, target, weight, reduction, ignore_index):
    dim = class_dim(x._array.shape)
    largest = x.amax(dim, keepdim=True)
    total = (x - largest).exp().sum(dim, keepdim=True)
    surprise = total.log() - (class_indices.picked(x, target, ignore_index) - largest)
    return class_indices.loss(surprise, x.shape, target, weight, reduction, ignore_index)


_CROSS_ENTROPY = _both_ranks(
    _cross_entropy, "cross_entropy", _cross_entropy_slope, _cross_entropy_of_tensors
)
for _op in _CROSS_ENTROPY:
    _op.prepare, _op.spared = _memorised, ("x",)

# Functions --------------------------------------------------------------------------------


def nll_loss(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):
    """Compute the negative of the log-probability that ``input`` gives to the class ``target``.

    Args:
        input: Tensor ``(N, C, *)`` or ``(C)``: logarithms of the probabilities of C classes.
        target: Class indices ``(N, *)`` or ``()``, int64 or uint8.
        weight: Tensor ``(C)``: factor of each class. The mean is divided by the factors' sum.
            Default: 1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses ``(N, *)`` or ``()``.

    Raises:
        ValueError: The batch sizes differ; the reduction is unknown.
        RuntimeError: Shapes or dtypes do not fit.
        IndexError: A target is outside [0, C) and not ``ignore_index``.

    >>> import rushlight as torch
    >>> log_p = torch.tensor([[0.5, 0.5], [0.1, 0.9]]).log()
    >>> torch.nn.functional.nll_loss(log_p, torch.tensor([0, 1]))
    tensor(0.3993)
    """
    params = {
        "reduction": reduction_of(reduction, size_average, reduce),
        "ignore_index": ignore_index, "name": "nll_loss",
    }  # fmt: skip
    if not isinstance(input, Tensor):
        refuse(_NLL[0], 0, input)
    return apply(_NLL[input._array.ndim > 2], (input, target, weight), params)


def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
    reduction="mean", label_smoothing=0.0,
):  # fmt: skip
    """Compute the cross entropy between ``target`` and the softmax of ``input``.

    Args:
        input: Tensor ``(N, C, *)`` or ``(C)``: logits of C classes.
        target: Class indices ``(N, *)`` or ``()``, int64 or uint8; or probabilities of ``input``'s
            shape.
        weight: Tensor ``(C)``: factor of each class. The mean over class indices is divided by the
            factors' sum. Default: 1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses ``(N, *)`` or ``()``.

    Raises:
        ValueError: The batch sizes differ; the reduction is unknown.
        RuntimeError: Shapes or dtypes do not fit; label_smoothing is outside [0, 1].
        IndexError: A target is outside [0, C) and not ``ignore_index``.

    >>> import rushlight as torch
    >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> torch.nn.functional.cross_entropy(x, torch.tensor([0, 1]))
    tensor(0.2201)
    """
    if reduction == "mean" and weight is size_average is reduce is None and not label_smoothing:
        found = _short(input, target, ignore_index)
        if found is not None:
            return found
    label_smoothing = as_number(label_smoothing)
    reduction = reduction_of(reduction, size_average, reduce)
    if not isinstance(input, Tensor):
        refuse(_CROSS_ENTROPY[0], 0, input)
    if not isinstance(target, Tensor):
        refuse(_CROSS_ENTROPY[0], 1, target)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input._array.shape == target._array.shape:
        if ignore_index >= 0:
            raise RuntimeError(
                "cross_entropy: ignore_index is not supported for floating point target: weigh the "
                "probabilities instead"
            )
        return _of_probabilities(input, target, weight, reduction, label_smoothing)
    if label_smoothing:
        return _smoothed(input, target, weight, ignore_index, reduction, label_smoothing)
    params = {"reduction": reduction, "ignore_index": ignore_index, "name": "cross_entropy"}
    return apply(_CROSS_ENTROPY[input._array.ndim > 2], (input, target, weight), params)


def _short(input, target, ignore_index):
    """The mean cross_entropy of (N, C) by the short path, or None if the full path is needed.

    The short path checks only what this case can get wrong, and takes a third of the full path's
    time for 32 x 10 logits.
    """
    try:
        if input.view_of is not None:
            refresh(input)
        if target.view_of is not None:
            refresh(target)
        x, t = input._array, target._array
        d = x.dtype
        if (
            mode.intercept
            or (d is not _F4 and d is not _F8)
            or t.dtype is not _I8
            or x.ndim != 2
            or t.shape != x.shape[:1]
            or ignore_index >= 0
            or not x.size
            or t.item(t.argmin()) < 0
        ):
            return None
        loss, memo = cross_entropy_arrays.mean_surprise(x, t)
    except (AttributeError, IndexError):
        return None
    saved = (x, t, None, "mean", ignore_index, "cross_entropy", memo)
    cells = (input._cell or input.cell, target._cell or target.cell)
    return taped(_CROSS_ENTROPY[0], loss, (input.node, None, None), saved, cells)


@autocasts(SINGLE)
def _of_probabilities(input, target, weight, reduction, label_smoothing):
    if target._array.dtype.kind in "iub":
        raise DtypeError(
            f"cross_entropy: Expected floating point type for target with class probabilities, got "
            f"{target.dtype}: target has input's shape {tuple(input.shape)}; class indices have no "
            "dim of classes"
        )
    dim = class_dim(input._array.shape)
    classes = input._array.shape[dim]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(
            "cross_entropy: weight tensor should be defined either for all or no classes: input "
            f"{tuple(input.shape)} has {classes}, weight is {tuple(weight.shape)}"
        )
    if label_smoothing:
        target = target * (1 - label_smoothing) + _share(label_smoothing, classes)
    terms = log_softmax(input, dim) * target
    if weight is not None:
        terms = terms * _per_class(weight, input)
    losses = -terms.sum(dim)
    if reduction == "mean":
        return losses.sum() / (input._array.size // classes if classes else 0)
    return losses.sum() if reduction == "sum" else losses


def _share(label_smoothing, classes):
    """Each class's part of ``label_smoothing``, or infinity for 0 classes, as C divides floats."""
    return label_smoothing / classes if classes else float("inf")


def _per_class(weight, input):
    """``weight`` (C), reshaped to broadcast along the classes of ``input``."""
    return weight.reshape(-1, *[1] * (input._array.ndim - 2)) if input._array.ndim > 2 else weight


@autocasts(SINGLE)
def _smoothed(input, target, weight, ignore_index, reduction, label_smoothing):
    dim = class_dim(input._array.shape)
    classes = input._array.shape[dim]
    log_p = log_softmax(input, dim)
    picked = nll_loss(log_p, target, weight, ignore_index=ignore_index, reduction=reduction)
    each = -(log_p if weight is None else log_p * _per_class(weight, input)).sum(dim)
    ignored = target == ignore_index
    each = each.masked_fill(ignored.reshape(each.shape), 0)
    if reduction == "mean":
        if weight is None:
            total = (~ignored).sum()
        else:
            total = weight[target.masked_fill(ignored, 0)].masked_fill(ignored, 0).sum()
        each = each.sum() / total
    elif reduction == "sum":
        each = each.sum()
    return picked * (1 - label_smoothing) + each * _share(label_smoothing, classes)
