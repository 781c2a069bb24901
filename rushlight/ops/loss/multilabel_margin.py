"""``multilabel_margin_loss``: each label's score against each other class's.

x (N, C) has the scores, and labels (N, C) class indices, which count up to the first negative one.
"""

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range, require_within
from rushlight.ops.core.rules import where
from rushlight.ops.loss.class_indices import check_scores
from rushlight.ops.loss.regression import reduced, share

__all__ = ["multilabel_margin"]

_MANY = large_from(1 << 18)  # from so many pairs on, a program for the exact shape is faster
_FEW_CLASSES = 8  # up to so many, a program compares each label with all classes
#: Up to so many classes, that is one kernel for all numbers of rows. It serves many pairs only.
_FEWEST_CLASSES, _PAIRS = 6, large_from(1 << 15)
_LEAST = large_from(256)  # from so many scores on, a loop is faster than NumPy
_FEW = large_from(1 << 10)  # up to so many labels, NumPy's running ``and`` is fastest


def _checked(x, labels, *, reduction):
    check_scores("multilabel_margin_loss", x)
    if (labels.shape or (1,)) != (x.shape or (1,)):
        raise ShapeError(
            f"multilabel_margin_loss: inconsistent target size: {list(labels.shape)} for input of "
            f"size: {list(x.shape)}"
        )
    if labels.dtype != np.int64:
        raise DtypeError(
            f"multilabel_margin_loss: expected target dtype to be Long, but got {OF[labels.dtype]}"
        )
    return {"reduction": reduction}


def _range(x):
    return {
        "low": -1, "high": (x.shape[-1] if x.ndim else 1) - 1, "error": RuntimeError,
        "message": "multilabel_margin_loss: argument #2 'target' is out of range: {}",
    }  # fmt: skip


def _worth(x, *_, **params):
    return x.size * (x.shape[-1] if x.ndim else 1) >= _MANY


def _rows(x, labels):
    return (x, labels) if x.ndim == 2 else (x.reshape((1, -1)), labels.reshape((1, -1)))


def _gaps(x, labels):
    """(1 - x[label] + x[other], whether the gap counts, the labels) for all pairs, in tensors.

    Shapes: (N, C, C) twice, and (N, C).
    """
    counts = (labels < 0).cumsum(1) == 0
    index = labels.where(counts, 0)
    label = x.new_zeros(x.shape).scatter_add(1, index, counts.to(x.dtype)) > 0
    gap = 1 - x.gather(1, index).unsqueeze(2) + x.unsqueeze(1)
    return gap, (gap > 0) & counts.unsqueeze(2) & ~label.unsqueeze(1), index


def _counted(labels):
    """Whether each label counts: no label before it is negative, nor is the label itself."""
    counts = labels >= 0
    if labels.size <= _FEW:
        return np.logical_and.accumulate(counts, 1)
    for k in range(1, labels.shape[1]):
        counts[:, k] &= counts[:, k - 1]
    return counts


def _gaps_of_arrays(xp, x, labels):
    """``_gaps`` for arrays: NumPy's scatters take longer than these steps."""
    n, classes = x.shape
    counts = _counted(labels)
    rows = np.arange(n)[:, None]
    label = xp.zeros((n, classes + 1), bool)  # the last column is for labels that do not count
    label[rows, np.where(counts, labels, classes)] = True
    index = np.where(counts, labels, 0)
    gap = 1 - x[rows, index][:, :, None] + x[:, None]
    return gap, (gap > 0) & counts[:, :, None] & ~label[:, None, :-1], index


def _of_columns(x, labels):
    """The sum of each row's hinges, in tensors (N), without memory for all pairs.

    A pair that does not count gets a gap of -inf or nan, so its hinge is 0.
    """
    columns = [x[:, c] for c in range(x.shape[1])]
    taken, live, scores, total = [False] * len(columns), True, [], 0
    for k in range(len(columns)):
        label = labels[:, k]
        live = (label >= 0) & live
        label = label.where(live, -1)
        own = columns[0]
        for c, column in enumerate(columns):
            hit = label == c
            own = column.where(hit, own)
            taken[c] = hit | taken[c]
        scores.append((1 - own).where(live, -float("inf")))
    others = [x.where(~hit, -float("inf")) for x, hit in zip(columns, taken, strict=True)]
    for score in scores:
        for other in others:
            gap = score + other
            total = gap.where(gap > 0, 0) + total
    return total


def _reduced(hinges, x, reduction):
    """The loss from the sum of each row's hinges."""
    losses = hinges / (x.shape[-1] if x.ndim else 1)
    return reduced(losses if x.ndim == 2 else losses.reshape(()), reduction)


@kernel(
    public=False, method=False, name="multilabel_margin_loss", least=1 << 12, fixed=True,
    worth=lambda x, *_, **params: x.shape[-1:] > (_FEWEST_CLASSES,) and _worth(x),
    prepare=_checked, autocast=SINGLE,
    check=lambda x, labels, **params: require_within(labels, **_range(x)),
    shape=lambda x, labels, *, reduction: (
        x.shape[:1] if reduction == "none" and x.ndim == 2 else ()
    ),
)  # fmt: skip
def multilabel_margin(xp, x, labels, *, reduction):
    """The losses (N), or their mean or their sum."""
    rows, labels = _rows(x, labels)
    if rows.shape[1] <= _FEWEST_CLASSES and x.size * rows.shape[1] >= _PAIRS:
        found = native.matrices("multilabel margin", _of_columns, rows, labels, least=1)
        if found is not None:
            return _reduced(found[0], x, reduction)
    if x.size >= _LEAST and x.dtype.char in "fd":
        results = [(rows.shape[:1], x.dtype), (rows.shape[1:], np.dtype(bool))]
        looped = native.looped(_sums, (rows, labels, *rows.shape), results)
        if looped is not None:
            return _reduced(looped[0], x, reduction)
    gap, counts, _ = _gaps_of_arrays(xp, rows, labels)
    return _reduced(where(counts, gap, 0).sum((1, 2)), x, reduction)


def _sums(x, labels, n, classes, sums, taken):
    """The sum of the hinges of each row of x (n, classes)."""
    for row in range(n):
        a = row * classes
        for c in range(classes):
            taken[c] = False
        count = 0
        while count < classes and labels[a + count] >= 0:
            taken[labels[a + count]] = True
            count += 1
        total = 0.0
        for k in range(count):
            own = 1.0 - x[a + labels[a + k]]
            for c in range(classes):
                gap = own + x[a + c]
                if gap > 0.0 and not taken[c]:
                    total += gap
        sums[row] = total


@multilabel_margin.lower
def _of_tensors(x, labels, reduction):
    rows, labels = _rows(x, labels)
    if rows.shape[1] <= _FEW_CLASSES:
        return _reduced(_of_columns(rows, labels), x, reduction)
    gap, counts, _ = _gaps(rows, labels)
    return _reduced(gap.where(counts, 0).sum((1, 2)), x, reduction)


multilabel_margin.lower_check(lambda x, labels: check_range(labels, **_range(x)))


@kernel(
    public=False, method=False, name="multilabel_margin_pairs", least=1 << 12, fixed=True,
    worth=_worth,
)  # fmt: skip
def _pairs(xp, x, labels):
    """How many hinges rise with each score, or fall with it (then negative): (N, C)."""
    _, counts, index = _gaps_of_arrays(xp, x, labels)
    found = counts.sum(1, dtype=x.dtype)
    np.subtract.at(found, (np.arange(len(x))[:, None], index), counts.sum(2, dtype=x.dtype))
    return found


@_pairs.lower
def _pairs_of_tensors(x, labels):
    _, counts, index = _gaps(x, labels)
    counts = counts.to(x.dtype)
    return counts.sum(1).scatter_add(1, index, -counts.sum(2))


def _slope(g, x, labels, reduction):
    rows, labels = _rows(x, labels)
    n = _pairs(rows, labels)
    g = share(g, rows[:, 0], reduction) / rows.shape[1]
    g = g.reshape((-1, 1)) if reduction == "none" else g
    return where(n == 0, 0, n * g).reshape(x.shape)


multilabel_margin.grad(x=_slope)
multilabel_margin.watch(x="labels")
