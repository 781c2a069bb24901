"""Which elements each result of a window operation reads, dim by dim.

Windows, their transpose (which windows hold an element), and the uneven windows of adaptive
pooling are all the same here: a table, by tap and result, of the element that is read, or -1. Where
a row of the table is regular, vectors are read without it.
"""

from dataclasses import dataclass
from functools import cached_property

__all__ = ["Reads", "of_spans", "of_windows", "transposed"]


@dataclass(frozen=True)
class Reads:
    """What ``count`` results of one dim read of ``size`` elements: ``table[tap][result]``."""

    size: int
    count: int
    table: tuple

    @cached_property
    def steps(self):
        """For each tap (first, step) if it reads ``first + step · i`` wherever that exists."""
        return tuple([self._regular(row) for row in self.table])

    def _regular(self, row):
        there = [i for i, v in enumerate(row) if v >= 0]
        if not there:
            return (self.size, 1)
        start = there[0]
        step = (row[there[-1]] - row[start]) // max(there[-1] - start, 1) or 1
        first = row[start] - step * start
        for i, v in enumerate(row):
            at = first + step * i
            if v != (at if 0 <= at < self.size else -1):
                return None
        return (first, step)

    @cached_property
    def stretch(self):
        """n if each element is read by the next n results, one tap each; else None."""
        if len(self.table) != 1 or self.count < 2:
            return None
        row = self.table[0]
        n = row.count(0)
        expected = (
            tuple([i // n if i // n < self.size else -1 for i in range(self.count)]) if n else ()
        )
        return n if n > 1 and row == expected else None


def of_windows(size, kernel, stride, padding, dilation, places):
    """The reads of windows at even distances."""

    def at(k, i):
        place = i * stride + k * dilation - padding
        return place if 0 <= place < size else -1

    return Reads(size, places, tuple(
        tuple(at(k, i) for i in range(places)) for k in range(kernel)
    ))  # fmt: skip


def of_spans(size, places):
    """The reads of ``places`` windows that cover ``size`` elements evenly."""
    spans = [(i * size // places, -(-(i + 1) * size // places)) for i in range(places)]
    longest = max(end - start for start, end in spans)
    return Reads(size, places, tuple(
        tuple(start + k if start + k < end else -1 for start, end in spans)
        for k in range(longest)
    ))  # fmt: skip


def transposed(reads):
    """For each element the results that read it, in order."""
    readers: list = [[] for _ in range(reads.size)]
    for i in range(reads.count):
        for row in reads.table:
            if row[i] >= 0:
                readers[row[i]].append(i)
    most = max(1, *map(len, readers))
    return Reads(reads.count, reads.size, tuple(
        tuple(found[k] if k < len(found) else -1 for found in readers) for k in range(most)
    ))  # fmt: skip
