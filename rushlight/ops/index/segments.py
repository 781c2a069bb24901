"""Scatters on devices of many elements to few columns: sorted by place, and then joined.

A loop that runs along the elements would have one work-item for each column. So the elements are
sorted by their place, in which equal places keep their order, and there is a work-item for each
place, which joins what belongs there. The results are those of the loop, to the last bit.
"""

import numpy as np

from rushlight import late
from rushlight.dtype import int64
from rushlight.ops.core.kinds import kernel
from rushlight.ops.create.range import arange
from rushlight.ops.reduce.merge_sort import ranked
from rushlight.ops.reduce.search import searchsorted

__all__ = ["joined_at"]

#: From this many elements for each column on, and for up to so many columns, elements are sorted.
_LONG, _FEW = 2048, 32
_AT = {
    "add": np.add, "multiply": np.multiply, "mul": np.multiply, "max": np.maximum,
    "min": np.minimum,
}  # fmt: skip


@kernel(public=False, method=False, name="segments", primitive="sorting segments")
def segments(xp, x, src, ends, *, reduce):
    """x (R, N) joined with the elements of src (R, M) in N segments of each row.

    Segment k ends before the element ``ends[r, k]``, and begins where the one before ends.
    """
    out = x.copy()
    for row, values, last in zip(out, src, ends, strict=True):
        places = np.repeat(np.arange(x.shape[1]), np.diff(last, prepend=0))
        _AT[reduce].at(row, places, values[: len(places)])
    return out


def joined_at(x, index, src, dim, reduce):
    """The lowering of a scatter that joins by ``reduce``; NotImplemented if a loop is as good."""
    shape, count = index.shape, index.shape[dim]
    if not late.spreads() or shape != src.shape or count < _LONG or shape.numel() > _FEW * count:
        return NotImplemented
    if any(n != m for d, (n, m) in enumerate(zip(x.shape, shape, strict=True)) if d != dim):
        return NotImplemented
    order = ranked(index, dim)
    rows = [
        v.movedim(dim, -1).reshape(-1, v.shape[dim])
        for v in (x, src.gather(dim, order), index.gather(dim, order).to(int64))
    ]
    places = arange(x.shape[dim]).expand(rows[0].shape)
    ends = searchsorted(rows[2], places, right=True)
    if reduce is None:  # the last one stays
        before = searchsorted(rows[2], places)
        found = rows[1].gather(-1, (ends - 1).clamp(0)).where(ends > before, rows[0])
    else:
        found = segments(rows[0], rows[1], ends, reduce=reduce)
    return found.reshape(x.movedim(dim, -1).shape).movedim(-1, dim)
