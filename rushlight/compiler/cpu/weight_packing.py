"""Packing a convolution's weight: copies of it in the order in which ``shifted_product`` reads it.

The order is group, block of channels, panel, phase, channel, tap, row. A row is a result channel of
the panel. In memory the rows lie far apart, so packing is a transposition: squares of as many rows
and columns as a vector has lanes are turned in registers. Which numbers make a column
depends on which lie together in memory; see ``way``.
"""

from collections.abc import Callable
from typing import NamedTuple

from rushlight.compiler.codegen.frame import (
    array,
    digits,
    entry,
    kernel,
    least,
    lookup,
    offset,
    tail,
)  # fmt: skip
from rushlight.compiler.codegen.loop import address, loop
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.cpu.microkernel import transposed
from rushlight.compiler.cpu.open_sizes import opened

__all__ = ["channels_of", "order_of", "packed_place", "phases_of", "way", "write_packing"]

LEAST_TAPS, MOST_TAPS = 4, 64  # of a kernel whose taps are the columns of squares


def write_packing(module, name, plan):
    """Write the kernel ``name`` that packs the weight for the plan's cut."""
    b, args, chunk, _ = kernel(module, name)
    taps, copy = plan.choice.layout.shifts.taps(0, 0), way(plan)
    plan = opened(b, args, plan)
    c = plan.choice
    first_panel = chunk * c.packed_at_once
    last_panel = least(first_panel + c.packed_at_once, c.groups * c.all_panels)
    packing = Packing(b, plan, args, taps, copy)
    with loop(b, first_panel, last_panel) as i:
        group, panel = digits(i, (c.groups, c.all_panels))
        for first in range(0, c.tile.rows, c.tile.lanes):
            rows = packing.rows(group, panel, first)
            with loop(b, 0, c.blocks) as block:
                packing.copy((group, block, panel), first, rows)
    b.ret_void()


class Rows(NamedTuple):
    """Rows of the weight: the addresses of their first elements, and the function of a row's."""

    addresses: list
    at: Callable


def way(plan):
    """The name of the ``Packing`` method that copies the columns, by what lies together in memory.

    ``runs``: all taps of all channels. ``channels``: the channels of a tap. ``taps``: the taps of a
    channel. ``one_by_one``: nothing.
    """
    d, c = plan.description, plan.choice
    summed, places = d.weight_strides[2], d.weight_places
    taps = c.layout.shifts.taps(0, 0)
    together = places == list(range(len(places)))
    in_order = len(taps) == 1 and [i for i, _ in taps[0]] == list(range(len(places)))
    if c.tile.rows * 4 < c.tile.lanes or c.tile.lanes == 1:
        return "one_by_one"
    if together and in_order and summed == len(places):
        return "runs"
    if summed == 1:
        return "channels"
    if together and LEAST_TAPS <= len(places) <= MOST_TAPS:
        return "taps"
    return "one_by_one"


class Packing:
    """Writes the code that copies the rows of a panel, a vector's lanes of them at a time."""

    def __init__(self, b, plan, args, taps, copy):
        self.b, self.d, self.cut = b, plan.description, plan.choice
        self.strides, self.places = self.d.weight_strides, self.d.weight_places
        self.taps, self.tables = taps, phases_of(b, self.cut, taps)
        self.order = array(b, self.cut, "order", lambda: order_of(self.d, taps))
        self.weight, self.packed = entry(b, args, 1), entry(b, args, len(self.d.strides))
        self.copy_columns = getattr(self, f"_{copy}")

    def rows(self, group, panel, first):
        """The :class:`Rows` of a panel from row ``first`` on, at most as many as a vector's lanes.

        Rows past the last channel repeat that channel; their sums are never stored.
        """
        c = self.cut

        def at(i):
            result = least(panel * c.tile.rows + first + i, c.results - 1)
            place = offset((group, result), self.strides[:2])
            return address(self.b, self.weight, place, self.d.dtype.itemsize)

        return Rows([at(i) for i in range(min(c.tile.lanes, c.tile.rows - first))], at)

    def copy(self, where, first, rows):
        """Copy one block of channels of the rows from row ``first`` on."""
        channels = channels_of(self.cut, where[1])
        self.copy_columns(where, first, rows, channels)

    def _target(self, where, channels, phase_first, first):
        place = packed_place(self.cut, where, channels, phase_first) + first
        return address(self.b, self.packed, place, self.d.compute.itemsize)

    # The methods ---------------------------------------------------------------------------

    def _runs(self, where, first, rows, channels):
        taps = self.cut.layout.shifts.size
        to = self._target(where, channels, 0, first)
        start = where[1] * (self.cut.block * self.strides[2])
        self._turned(rows, start, channels * taps, to, self.cut.tile.rows)

    def _channels(self, where, first, rows, channels):
        for place, t, before, count in self._all_taps():
            to = self._target(where, channels, before, first)
            to = address(self.b, to, t * self.cut.tile.rows, self.d.compute.itemsize)
            start = where[1] * self.cut.block + place
            self._turned(rows, start, channels, to, count * self.cut.tile.rows)

    def _taps(self, where, first, rows, channels):
        b, lanes, height = self.b, self.cut.tile.lanes, self.cut.tile.rows
        target = {}
        before = 0
        for phase in self.taps:
            for t, (index, _) in enumerate(phase):
                target[self.places[index]] = before, len(phase), t
            before += len(phase)
        with loop(b, 0, channels) as channel:
            start = (where[1] * self.cut.block + channel) * self.strides[2]
            for column in range(0, len(self.places), lanes):
                count = min(lanes, len(self.places) - column)
                stores = []
                for e in range(column, column + count):
                    if e in target:  # a stride may leave taps without a result
                        before, width, t = target[e]
                        to = self._target(where, channels, before, first)
                        place = (channel * width + t) * height
                        to = address(b, to, place, self.d.compute.itemsize)
                        stores.append((e - column, to))
                self._square(rows, start + column, count, stores)

    def _one_by_one(self, where, first, rows, channels):
        b, c = self.b, self.cut
        for place, t, before, count in self._all_taps():
            to = self._target(where, channels, before, first)
            with loop(b, 0, channels) as channel:
                start = (where[1] * c.block + channel) * self.strides[2] + place
                at = (channel * count + t) * c.tile.rows
                self._column(rows, start, address(b, to, at, self.d.compute.itemsize))

    def _all_taps(self):
        """Write loops over the taps of all phases.

        For each tap: its place in the weight, its number in its phase, the taps of the phases
        before, and the number of the phase's taps.
        """
        b, (firsts, counts) = self.b, self.tables
        with loop(b, 0, len(self.taps)) as phase:
            before, count = lookup(b, firsts, phase), lookup(b, counts, phase)
            with loop(b, 0, count) as t:
                yield lookup(b, self.order, before + t), t, before, count

    # Parts ---------------------------------------------------------------------------------

    def _turned(self, rows, start, columns, to, pitch):
        """Copy ``columns`` columns that lie together; their copies are ``pitch`` elements apart."""
        b, lanes, size = self.b, self.cut.tile.lanes, self.d.compute.itemsize
        whole = columns & -lanes
        with loop(b, 0, whole, lanes) as j:
            stores = [(e, address(b, to, (j + e) * pitch, size)) for e in range(lanes)]
            self._square(rows, start + j, lanes, stores)
        if not isinstance(columns, int) or whole < columns:
            with loop(b, whole, columns) as j:
                self._column(rows, start + j, address(b, to, j * pitch, size))

    def _square(self, rows, start, columns, stores):
        """Load ``columns`` elements of each row from ``start`` on; store these columns."""
        b, lanes, d = self.b, self.cut.tile.lanes, self.d
        mask = None if columns == lanes else tail(b, columns, lanes)
        found = []
        for row in rows.addresses:
            at = address(b, row, start, d.dtype.itemsize)
            found.append(load(b, at, d.dtype, lanes, mask).astype(d.compute))
        some = None if len(found) == lanes else tail(b, len(found), lanes)
        found += [found[-1]] * (lanes - len(found))
        turned = transposed(b, found)
        for column, to in stores:
            store(b, turned[column], to, d.compute, some)

    def _column(self, rows, start, to):
        b, d = self.b, self.d
        with loop(b, 0, len(rows.addresses)) as i:
            value = load(b, address(b, rows.at(i), start, d.dtype.itemsize), d.dtype)
            store(b, value, address(b, to, i, d.compute.itemsize), d.compute)


# The order ---------------------------------------------------------------------------------


def channels_of(c, block):
    """The number of channels in a block; the last block may be smaller."""
    return least(c.inputs - block * c.block, c.block)


def packed_place(c, where, channels, first):
    """The offset of the packed weights of a (group, block, panel) from tap number ``first`` on."""
    group, block, panel = where
    rows = c.layout.shifts.size * c.tile_rows
    before = (group * c.inputs + block * c.block) * (c.all_panels * rows)
    return before + channels * (panel * rows + first * c.tile_rows)


def phases_of(b, c, taps):
    """Arrays of each phase's first tap and of its number of taps."""
    firsts = [sum(map(len, taps[:i])) for i in range(len(taps))]
    firsts_of = array(b, c, "first taps", lambda: firsts)
    return firsts_of, array(b, c, "numbers of taps", lambda: [*map(len, taps)])


def order_of(d, taps):
    """The offset in the weight of each tap, phase by phase."""
    return [d.weight_places[index] for phase in taps for index, _ in phase]
