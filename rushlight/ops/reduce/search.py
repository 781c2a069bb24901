"""Places in sorted sequences: searchsorted, bucketize."""

from math import prod

import numpy as np

from rushlight.dtype import COMPLEX_KINDS, OF, int64
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.notices import warn_once
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.promotion import promote
from rushlight.tensor import Tensor, from_array


def _side(right, side, name):
    if side is None:
        return "right" if right else "left"
    if side not in ("left", "right"):
        raise RuntimeError(f"{name}(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            f"{name}(): side and right can't be set to opposites, got side left and right True"
        )
    return side


@kernel(public=False, method=False, name="searchsorted")
def searchsorted_(xp, ordered, x, sorter=None, *, side, integer):
    """The indices at which the elements of x belong into the rows of ``ordered``.

    Both have one dtype.
    """
    if ordered.dtype.kind in ("b", *COMPLEX_KINDS):
        raise UnsupportedDtypeError(f"searchsorted: not implemented for {ordered.dtype}")
    if sorter is not None:
        ordered = np.take_along_axis(ordered, sorter, -1)
    last = ordered[..., -1:]
    if (last != last).any():
        return _beside_nan(ordered, x, side).astype(integer)
    if ordered.ndim == 1:
        return np.searchsorted(ordered, x, side).astype(integer)
    count = prod(x.shape[:-1])
    rows = zip(ordered.reshape(count, -1), x.reshape(count, -1), strict=True) if x.size else ()
    found = [np.searchsorted(row, values, side) for row, values in rows]
    return np.array(found, integer).reshape(x.shape)


def _beside_nan(ordered, x, side):
    """PyTorch's binary search. Every comparison with nan is False, so it goes on behind a nan."""
    start, end = np.zeros(x.shape, np.int64), np.full(x.shape, ordered.shape[-1])
    while (start < end).any():
        middle = (start + end) // 2
        at = np.minimum(middle, ordered.shape[-1] - 1)
        found = ordered[at] if ordered.ndim == 1 else np.take_along_axis(ordered, at, -1)
        behind = ~(found >= x if side == "left" else found > x) & (start < end)
        start, end = np.where(behind, middle + 1, start), np.where(behind, end, middle)
    return start


def _rows_of_batch(batch, e, operands, params):
    """A row that all samples share serves a batch of elements; others become rows of a matrix."""
    if not any(b for _, b in (operands[0], *operands[2:])) and operands[0][0].ndim == 1:
        return batch.apply(e.op, [t for t, _ in operands], params)
    ordered, x, *sorter = [
        t if b or t is None else t.expand(batch.size, *t.shape) for t, b in operands
    ]
    whole = x if ordered.ndim > 2 else x.reshape(batch.size, x[0].numel())
    return batch.apply(e.op, [ordered, whole, *sorter], params).reshape(x.shape)


searchsorted_.op.batching = _rows_of_batch


@searchsorted_.lower_on_devices
def _by_halves(ordered, x, sorter, side, integer):
    """Binary searches that all elements make at the same time."""
    if sorter is not None:
        ordered = ordered.gather(-1, sorter)
    lead, n = x.shape, ordered.shape[-1]
    rows = x.reshape(-1) if len(ordered.shape) == 1 else x
    start = rows.new_zeros(rows.shape, dtype=int64)
    end = start + n
    for _ in range(n.bit_length()):  # as in ``_beside_nan``
        middle = (start + end) >> 1
        found = ordered.gather(-1, middle.clamp(max=n - 1))
        behind = ~(found >= rows if side == "left" else found > rows) & (start < end)
        start, end = (middle + 1).where(behind, start), end.where(behind, middle)
    return start.reshape(lead).to(OF[np.dtype(integer)])


def _as_tensor(x):
    return (
        x
        if isinstance(x, Tensor)
        else from_array(np.asarray(x, np.float32 if isinstance(x, float) else None))
    )


@function(method=False, kinds={"input": "operand", "side": "str", "sorter": "Tensor"})
def searchsorted(
    sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None, out=None
):
    """Find the indices at which ``input`` belongs into ``sorted_sequence``.

    Args:
        sorted_sequence: Tensor ``(N,)``, or ``(*, N)`` for an ``input`` with the same leading dims.
            It is sorted along its last dim, unless ``sorter`` is given.
        input: Tensor ``(*, M)``, or a number. For ``sorted_sequence`` of one dim any shape ``(*)``.
        out_int32: Give int32 indices, not int64. Default: False.
        right: True means ``side="right"``. Default: False.
        side: An index is before equal elements (``"left"``) or behind them (``"right"``). Default:
            None, ``right`` decides.
        sorter: Int64 tensor of ``sorted_sequence``'s shape with the indices that sort it. Default:
            None, it is sorted.

    Returns:
        Tensor of ``input``'s shape with indices from 0 to N.

    Raises:
        RuntimeError: shapes do not fit, or ``side`` is ``"left"`` and ``right`` is True.

    >>> import rushlight as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 4]))
    tensor([1, 2])
    """
    x = _as_tensor(input)
    for t, what in ((x, "input value"), (sorted_sequence, "boundary"), (sorter, "sorter")):
        if t is not None and not t.is_contiguous():
            _warn_of_order(what)
    common = promote((sorted_sequence, input))
    sorted_sequence, x = sorted_sequence.to(common), x.to(common)
    lead, given = sorted_sequence.shape[:-1], x.shape[:-1]
    if not sorted_sequence.ndim:
        raise ShapeError(
            "searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if sorted_sequence.ndim > 1 and lead != given:
        raise ShapeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
            "of boundaries tensor and input value tensor must match, but got "
            f"{tuple(sorted_sequence.shape)} and {tuple(x.shape)}"
        )
    if sorter is not None and sorter.shape != sorted_sequence.shape:
        raise ShapeError(
            "searchsorted(): boundary and sorter must have the same size, but got "
            f"{tuple(sorted_sequence.shape)} and {tuple(sorter.shape)}"
        )
    integer = np.int32 if out_int32 else np.int64
    side = _side(right, side, "searchsorted")
    return searchsorted_(sorted_sequence, x, sorter, side=side, integer=integer, out=out)


def _warn_of_order(what):
    warn_once(
        f"torch.searchsorted(): {what} tensor is non-contiguous, this will lower the performance "
        "due to extra data copy when converting non-contiguous tensor to contiguous, please use "
        f"contiguous {what} tensor if possible. This message will only appear once per program."
    )


@function(method=False, kinds={"input": "operand"})
def bucketize(input, boundaries, *, out_int32=False, right=False, out=None):
    """Find the index of the interval between ``boundaries`` that contains each element.

    Interval 0 is below the first of the N boundaries, and interval N above the last one.

    Args:
        input: Tensor of any shape ``(*)``, or a number.
        boundaries: Tensor ``(N,)``, sorted.
        out_int32: Give int32 indices, not int64. Default: False.
        right: Elements that equal a boundary belong to the interval above it. Default: False, they
            belong to the interval below it.

    Returns:
        Tensor of ``input``'s shape with indices from 0 to N.

    Raises:
        RuntimeError: ``boundaries`` has not one dim.

    >>> import rushlight as torch
    >>> torch.bucketize(torch.tensor([0.5, 1.0, 4.0]), torch.tensor([1.0, 3.0]))
    tensor([0, 0, 2])
    """
    if boundaries.ndim != 1:
        raise ShapeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)
