"""Which elements each result of a window operation reads, dim by dim.

Windows and their transpose (which windows contain an element) have the same form here: a table, by
tap and result, of the element that is read, or -1. If the elements that a tap reads follow a
regular rule, vectors are read without the table.
"""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Reads", "Regular", "of_windows", "transposed"]


class Regular(NamedTuple):
    """Result i reads element ``first + step · ((i + phase) // times)``.

    The result reads the element only if ``(i + phase) % times < limit`` and the element exists.
    """

    first: int
    step: int = 1
    times: int = 1
    phase: int = 0
    limit: int = 1

    def at(self, i):
        """The element that result ``i`` reads, or None."""
        place, rest = divmod(i + self.phase, self.times)
        return self.first + self.step * place if rest < self.limit else None


@dataclass(frozen=True)
class Reads:
    """The elements, of ``size``, that ``count`` results of one dim read: ``table[tap][result]``.

    Attributes:
        regular: A ``Regular`` for each tap, or None.
        windows: (kernel, stride, padding, dilation) if ``of_windows`` made the reads, else None.
    """

    size: int
    count: int
    table: tuple
    regular: tuple | None = None
    windows: tuple | None = None

    @property
    def first(self):
        """The first element that each result reads."""
        return tuple(
            [
                min((v for v in reads if v >= 0), default=-1)
                for reads in zip(*self.table, strict=True)
            ]
        )


def _of_regular(size, count, taps, windows=None):
    rows = [[tap.at(i) for i in range(count)] for tap in taps]
    table = [[-1 if v is None or not 0 <= v < size else v for v in row] for row in rows]
    return Reads(size, count, tuple(map(tuple, table)), tuple(taps), windows)


def of_windows(size, kernel, stride, padding, dilation, places):
    """The reads of windows at equal distances."""
    step = stride if places > 1 else 1  # for one result, the unused lanes read nearby elements
    taps = [Regular(k * dilation - padding, step) for k in range(kernel)]
    return _of_regular(size, places, taps, (kernel, stride, padding, dilation))


def transposed(reads):
    """The transposed reads: for each element, the results that read it, in order."""
    if reads.windows is not None and reads.windows[3] == 1:
        kernel, stride, padding, _ = reads.windows
        # An element is read by the last window that starts at or before it, and by some before.
        taps = [
            Regular(padding // stride - k, 1, stride, padding % stride, kernel - stride * k)
            for k in reversed(range(-(-kernel // stride)))
        ]
        return _of_regular(reads.count, reads.size, taps)
    readers: list = [[] for _ in range(reads.size)]
    for i in range(reads.count):
        for row in reads.table:
            if row[i] >= 0:
                readers[row[i]].append(i)
    most = max(1, *map(len, readers))
    table = [[found[k] if k < len(found) else -1 for found in readers] for k in range(most)]
    return Reads(reads.count, reads.size, tuple(map(tuple, table)))
