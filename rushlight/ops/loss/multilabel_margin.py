"""The hinges of ``multilabel_margin_loss``: each label's score against each other class's.

x (N, C) has the scores, and labels (N, C) class indices, which count up to the first negative one.
"""

import numpy as np

from rushlight.backend.sizes import large_from
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import where

__all__ = ["multilabel_hinges"]

_MANY = large_from(1 << 18)  # from so many pairs on, a program for the exact shape is faster


def _worth(x, labels):
    return x.size * x.shape[-1] >= _MANY


def _gaps(x, labels):
    """(1 - x[label] + x[other], whether the gap counts, the labels) for all pairs, in tensors.

    Shapes: (N, C, C) twice, and (N, C).
    """
    counts = (labels < 0).cumsum(1) == 0
    index = labels.where(counts, 0)
    label = x.new_zeros(x.shape).scatter_add(1, index, counts.to(x.dtype)) > 0
    gap = 1 - x.gather(1, index).unsqueeze(2) + x.unsqueeze(1)
    return gap, (gap > 0) & counts.unsqueeze(2) & ~label.unsqueeze(1), index


def _gaps_of_arrays(x, labels):
    """``_gaps`` for arrays: NumPy's running sums and scatters take longer than these steps."""
    counts = np.empty(labels.shape, bool)
    before = np.ones(len(labels), bool)  # whether no label so far was negative
    for k in range(labels.shape[1]):
        before &= labels[:, k] >= 0
        counts[:, k] = before
    index = np.where(counts, labels, 0)
    rows = np.arange(len(x))[:, None]
    label = np.zeros(x.shape, bool)
    row, place = np.nonzero(counts)
    label[row, labels[row, place]] = True
    gap = 1 - x[rows, index][:, :, None] + x[:, None]
    return gap, (gap > 0) & counts[:, :, None] & ~label[:, None], index


@kernel(
    public=False, method=False, name="multilabel_margin_loss", least=1 << 12, fixed=True,
    worth=_worth, shape=lambda x, labels: x.shape[:1],
)  # fmt: skip
def multilabel_hinges(xp, x, labels):
    """The mean over C of the hinges of each row: (N)."""
    gap, counts, _ = _gaps_of_arrays(x, labels)
    return np.where(counts, gap, 0).sum((1, 2)) / x.shape[1]


@multilabel_hinges.lower
def _hinges_of_tensors(x, labels):
    gap, counts, _ = _gaps(x, labels)
    return gap.where(counts, 0).sum((1, 2)) / x.shape[1]


@kernel(
    public=False, method=False, name="multilabel_margin_pairs", least=1 << 12, fixed=True,
    worth=_worth,
)  # fmt: skip
def _pairs(xp, x, labels):
    """How many hinges rise with each score, or fall with it (then negative): (N, C)."""
    _, counts, index = _gaps_of_arrays(x, labels)
    found = counts.sum(1, dtype=x.dtype)
    np.subtract.at(found, (np.arange(len(x))[:, None], index), counts.sum(2, dtype=x.dtype))
    return found


@_pairs.lower
def _pairs_of_tensors(x, labels):
    _, counts, index = _gaps(x, labels)
    counts = counts.to(x.dtype)
    return counts.sum(1).scatter_add(1, index, -counts.sum(2))


def _slope(g, x, labels):
    n = _pairs(x, labels)
    return where(n == 0, 0, n * (g / x.shape[1])[:, None])


multilabel_hinges.grad(x=_slope)
