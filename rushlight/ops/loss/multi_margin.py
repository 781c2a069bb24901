"""``multi_margin_loss``: the target's score against each other class's.

The formulas work on arrays and on tensors. x (N, C) has the scores, and index (N, 1) the targets.
"""

from functools import partial

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, scalar_name
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range, require_within
from rushlight.ops.core.rules import total, where
from rushlight.ops.create.range import arange
from rushlight.ops.loss.class_indices import check_scores
from rushlight.ops.loss.regression import reduced, share
from rushlight.tensor import Tensor

__all__ = ["multi_margin"]


def _checked(x, target, weight=None, *, p, margin, reduction):
    n, classes = check_scores("multi_margin_loss", x)
    if target.ndim > 1 or target.size != n:
        raise ShapeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got {list(target.shape)}"
        )
    if weight is not None and weight.ndim != 1:
        raise ValueError(
            f"multi_margin_loss: weight must be one-dimensional, but is {list(weight.shape)}"
        )
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(
            f"multi_margin_loss: inconsistent weight size, expected {classes} but got "
            f"{list(weight.shape)}"
        )
    if weight is not None and weight.dtype != x.dtype:
        raise DtypeError(
            f"multi_margin_loss: input is {OF[x.dtype]} but weight is {OF[weight.dtype]}"
        )
    if target.dtype != np.int64:
        raise DtypeError(
            f"multi_margin_loss: expected scalar type Long but found {scalar_name(target.dtype)}"
        )
    return {"p": p, "margin": margin, "reduction": reduction}


def _range(x):
    return {
        "low": 0, "high": (x.shape[-1] if x.ndim else 1) - 1, "error": RuntimeError,
        "message": "multi_margin_loss: target out of range: {}",
    }  # fmt: skip


def _rows(x, target, weight):
    """(x (N, C), the targets' scores (N, 1), index (N, 1), their weights (N, 1) or None)."""
    x = x if x.ndim == 2 else x.reshape((1, -1))
    index = target.reshape((-1, 1))
    if isinstance(x, Tensor):
        own = x.gather(1, index)
        return x, own, index, None if weight is None else weight.take(index)
    own = x[np.arange(len(x)), index[:, 0]][:, None]
    return x, own, index, None if weight is None else weight[index]


def _hinges(x, own, index, margin):
    """(the hinges (N, C), where they count, where the target is)."""
    classes = arange(x.shape[1]) if isinstance(x, Tensor) else np.arange(x.shape[1])
    gap = x - own + margin
    target = classes == index
    counts = (gap > 0) & ~target
    return where(counts, gap, 0), counts, target


def _of_rows(p, margin, x, own, index, weight):
    """The losses (N)."""
    gap, counts, _ = _hinges(x, own, index, margin)
    gap = gap if p == 1 else gap * gap
    if weight is not None:  # a weight may be infinite, and infinity times 0 is nan
        gap = where(counts, gap * weight, 0)
    return total(gap, (1,), False) / x.shape[1]


_MANY = large_from(1 << 13)  # from so many scores on, a kernel computes the losses
#: Up to so many scores, fewer calls of NumPy take less time than its fast loops save.
_FEW = large_from(1 << 10)


def _of_few(p, margin, x, own, index, weight):
    """``_of_rows`` for a small array."""
    gap = x - own
    gap += margin
    np.fmax(gap, 0, out=gap)  # a nan counts as 0, as a gap that is not positive
    counts = gap > 0
    if p != 1:
        gap *= gap
    if weight is not None:  # a weight may be infinite, and infinity times 0 is nan
        gap = where(counts, gap * weight, 0)
    gap[np.arange(len(x)), index[:, 0]] = 0
    return np.add.reduce(gap, axis=1) / x.shape[1]


@kernel(
    public=False, method=False, name="multi_margin_loss", prepare=_checked, autocast=SINGLE,
    constants=("weight",),
    check=lambda x, target, *_, **params: require_within(target, **_range(x)),
    shape=lambda x, target, *_, reduction, **params: target.shape if reduction == "none" else (),
)  # fmt: skip
def multi_margin(xp, x, target, weight=None, *, p, margin, reduction):
    """The mean over C of the hinges of each row: (N), or its mean or its sum."""
    rows = _rows(x, target, weight)
    key = "multi margin", p, margin, weight is None
    found = native.matrices(key, partial(_of_rows, p, margin), *rows, least=_MANY)
    if found is None:
        losses = (_of_few if x.size <= _FEW else _of_rows)(p, margin, *rows)
    else:
        losses = found[0]
    return reduced(losses.reshape(target.shape), reduction)


multi_margin.lower(
    lambda x, target, weight, p, margin, reduction: reduced(
        _of_rows(p, margin, *_rows(x, target, weight)).reshape(target.shape), reduction
    )
)
multi_margin.lower_check(lambda x, target: check_range(target, **_range(x)))


def _slope(g, x, target, weight, p, margin, reduction):
    g = share(g, target, reduction)
    g = g.reshape((-1, 1)) if reduction == "none" else g
    rows, own, index, weight = _rows(x, target, weight)
    gap, counts, hit = _hinges(rows, own, index, margin)
    each = g / rows.shape[1] * (1 if weight is None else weight)
    each = where(counts, each if p == 1 else each * gap * 2, 0)
    return where(hit, -total(each, (1,)), each).reshape(x.shape)


multi_margin.grad(x=_slope)
