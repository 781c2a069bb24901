"""Running sums and their like on devices, in steps that many can take at the same time.

Sources: Blelloch, Prefix sums and their applications, CMU-CS-90-190 (1990), for ``in_blocks``;
Hillis and Steele, Data parallel algorithms, Communications of the ACM 29 (1986), for ``doubled``.
"""

import math

from rushlight.ops.create.range import arange
from rushlight.ops.shape.join import cat

__all__ = ["doubled", "in_blocks", "places_along"]

#: A work-item runs along so many elements by itself.
_SHORT = 256


def in_blocks(x, dim, scan, join, neutral):
    """``scan(x, dim)`` of a long row, in blocks; NotImplemented for a short one.

    The blocks are scanned at the same time. Then each is joined with the scan of all blocks before.

    Args:
        x: Tensor.
        scan: ``scan(x, dim=dim)``: the running values.
        join: ``join(x, y)``: the operation whose running values they are.
        neutral: The number that changes nothing.
    """
    n = x.shape[dim] if x.shape else 1
    if n <= _SHORT:
        return NotImplemented
    size = 1 << (math.isqrt(n - 1).bit_length())
    count = -(-n // size)
    rows = x.movedim(dim, -1)
    lead = rows.shape[:-1]
    if count * size > n:
        rows = cat([rows, rows.new_full((*lead, count * size - n), neutral)], -1)
    inside = scan(rows.reshape(*lead, count, size), dim=-1)
    ends = scan(inside[..., -1], dim=-1)
    before = cat([ends.new_full((*lead, 1), neutral), ends[..., :-1]], -1)
    found = join(before.unsqueeze(-1), inside).reshape(*lead, count * size)
    return found[..., :n].movedim(-1, dim)


def doubled(x, dim, join):
    """The running ``join(x, y)`` of x along ``dim``: each step joins twice as many elements."""
    n, step = x.shape[dim], 1
    at = places_along(x, dim)
    while step < n:
        before = x.gather(dim, (at - step).clamp(0).expand(x.shape))
        x, step = join(before, x).where(at >= step, x), 2 * step
    return x


def places_along(x, dim):
    """0, 1, 2, … along ``dim``, broadcastable to x."""
    return arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(len(x.shape))])
