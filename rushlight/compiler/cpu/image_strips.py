"""Strips of images in scratch memory, padded and divided into planes by the stride.

``image_shifts`` defines t, planes and taps.
"""

from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np

from rushlight.compiler.codegen.frame import (
    array,
    below,
    digits,
    least,
    lookup,
    offset,
    prefetch,
)  # fmt: skip
from rushlight.compiler.codegen.loop import address, lift, loop
from rushlight.compiler.codegen.memory import store
from rushlight.compiler.codegen.row_reads import spaced
from rushlight.compiler.codegen.value import Value, constant
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.image_shifts import Shifts
from rushlight.locks import cached_property

__all__ = ["Images", "Layout", "existing", "fetch_ahead", "lay_out", "round_up"]


def round_up(n, multiple):
    """The first multiple that is not below ``n``."""
    return -(-n // multiple) * multiple


@dataclass(frozen=True)
class Layout:
    """A strip: some rows of t of one image, or several whole images, with all that their taps read.

    Very long rows are also cut into pieces of ``columns`` elements.

    A plane is one run of memory: rows of ``pitch`` elements form images of ``image_rows`` rows.
    Neighbouring rows, and neighbouring images, may share their padding.
    """

    shifts: Shifts
    images: int
    rows: int
    columns: int
    lanes: int

    @cached_property
    def whole(self):
        """Whether rows are in one piece."""
        return self.columns == self.shifts.dims[2].count

    @cached_property
    def single(self):
        """Whether a strip lies in one image."""
        return self.images == 1

    @cached_property
    def pitch(self):
        x = self.shifts.dims[2]
        return x.pitch if self.whole else self.columns + x.reach

    @cached_property
    def image_rows(self):
        d = self.shifts.dims[1]
        return self.rows + d.reach if self.images == 1 else d.pitch

    @cached_property
    def run(self):
        """The elements from the first t to the end of the last; gaps are computed, too."""
        rows = (self.images - 1) * self.image_rows + self.rows
        return (rows - 1) * self.pitch + self.columns

    @cached_property
    def filled(self):
        """The number of elements of a plane that are copied from the source, padding included."""
        return self.images * self.image_rows * self.pitch

    @cached_property
    def zeros(self):
        """The number of zeros, in whole vectors, after the filled elements of a plane.

        The taps of the last rows read them.
        """
        _, y, x = self.shifts.dims
        over = max(0, self.rows + y.reach - self.image_rows) * self.pitch
        over += max(0, self.columns + x.reach - self.pitch)
        return round_up(over, self.lanes)

    @cached_property
    def plane(self):
        """The elements from one plane to the next.

        They are an odd number of vectors, so that planes do not all lie in one set of the cache.
        """
        room = max(self.zeros, self.lanes)  # a row's last vector may be longer than the row
        return (round_up(self.filled + room, self.lanes) // self.lanes | 1) * self.lanes

    @cached_property
    def channel(self):
        """The elements from one channel to the next."""
        return len(self.shifts.slices) * len(self.shifts.planes) * self.plane

    @cached_property
    def strips(self):
        """The number of strips along depths, blocks of rows and pieces of rows."""
        z, y, x = [dim.count for dim in self.shifts.dims]
        return z, ceil(y / self.rows), ceil(x / self.columns)

    def start(self, strip):
        """The first t of a strip: its depth, row and column."""
        depth, row, column = strip
        return depth, row * self.rows, 0 if self.whole else column * self.columns

    def left(self, b, t):
        """The number of columns of a strip; the last piece of a row may be shorter."""
        if self.whole:
            return self.columns
        return least(self.shifts.dims[2].count - t[2], self.columns)

    def met(self, t, images):
        """The source elements that the strip from ``t`` on reads.

        Returns ([depth, row, column] of the first, (number of rows, length of a row)).
        """
        z, y, x = self.shifts.dims
        rows = ((self.rows if self.single else y.count) + y.reach) * y.step
        # Of several slices only the last is new: strips at smaller depths have read the others.
        place = [t[0] * z.step + self.shifts.last_slice, t[1] * y.step + y.base]
        if self.whole:
            return [*place, 0], (rows, images.width)
        return [*place, t[2] * x.step + x.base], (rows, (self.columns + x.reach) * x.step)

    def taps(self):
        return self.shifts.taps(self.plane, self.pitch)


@dataclass(frozen=True)
class Images:
    """The images from which a layout is filled: their dtype, strides and number.

    The strides are those of image, channel, depth, row and column. The number may be a Value.
    """

    dtype: np.dtype
    strides: tuple
    count: Any
    width: int  # elements of a row


def lay_out(b, layout, images, x, into, dtype, first, channels, t):
    """Copy the elements of ``x`` that the strip from ``t`` = (depth, row, column) on reads.

    They are converted to ``dtype``. ``first`` is the first (image, channel); ``channels`` is the
    number of channels.
    """
    shifts, size = layout.shifts, dtype.itemsize
    depth, height, width = shifts.dims
    slices = array(b, layout, "slices", lambda: shifts.slices)
    planes = array(b, layout, "planes of rows", lambda: height.planes)
    counts = shifts.slice_count, height.plane_count
    # The only image of a strip exists, so it need not be compared with the count. But with a
    # constant count, LLVM makes faster code if it is (5 % in depthwise convolutions).
    # The image behind the last one is zeros: its first rows may be the padding of the last one.
    some = existing(layout, images.count, first[0] - 1)
    with loop(b, 0, channels) as c, loop(b, 0, counts[0]) as s, loop(b, 0, counts[1]) as p:
        plane = ((c * counts[0] + s) * counts[1] + p) * (width.plane_count * layout.plane)
        plane = address(b, into, plane, size)
        z = t[0] * depth.step + lookup(b, slices, s)
        top = t[1] * height.step + lookup(b, planes, p) + height.base
        with loop(b, 0, some) as i, loop(b, 0, layout.image_rows) as r:
            y = top + r * height.step
            valid = below(b, y, height.source) & below(b, z, depth.source)
            if not layout.single or isinstance(images.count, int):
                valid = valid & below(b, first[0] + i, images.count)
            image = first[0] + i
            if not layout.single:  # masked loads from memory that does not exist take microseconds
                image = least(image, images.count - 1)
            line = offset((image, first[1] + c, z, y), images.strides[:4])
            line = address(b, x, line, images.dtype.itemsize)
            row = address(b, plane, (i * layout.image_rows + r) * layout.pitch, size)
            _copy_row(b, layout, images, line, row, dtype, t[2] * width.step + width.base, valid)
        if isinstance(layout.zeros, Value) or layout.zeros:
            _clear(b, layout, plane, dtype)


def existing(layout, count, first):
    """The number of a strip's images from number ``first`` on, of ``count`` images.

    If ``count`` is known when the code is written, images that do not exist are counted, too.
    """
    if isinstance(count, int) or layout.single:
        return layout.images
    return least(count - first, layout.images)


def _copy_row(b, layout, images, x, into, dtype, first, valid):
    """Copy a row to each column plane: equally spaced elements, and zeros outside the source."""
    width, lanes = layout.shifts.dims[2], layout.lanes
    count = width.plane_count
    # Without a loop the indices are known, so the masks can be constants.
    known = isinstance(layout.pitch, int)
    few = known and count * ceil(layout.pitch / lanes) <= costs.UNROLLED
    columns = width.planes if few else array(b, layout, "planes of columns", lambda: width.planes)

    def copy(p, j):
        column = columns[p] if few else lookup(b, columns, p)
        value, _ = spaced(
            b, x, images.dtype, lanes, j * width.step + column + first, width.step,
            width.source, images.strides[4], valid,
        )  # fmt: skip
        store(b, value, address(b, into, p * layout.plane + j, dtype.itemsize), dtype)

    if few:
        for p, j in product(range(count), range(0, layout.pitch, lanes)):
            copy(p, j)
        return
    with loop(b, 0, count) as p, loop(b, 0, layout.pitch, lanes) as j:
        copy(p, j)


def _clear(b, layout, planes, dtype):
    """Write zeros behind the last row of each column plane."""
    zero = constant(b, 0, dtype, layout.lanes)
    first, last = layout.filled, layout.filled + layout.zeros
    count = layout.shifts.dims[2].plane_count
    with loop(b, 0, count) as p, loop(b, first, last, layout.lanes) as j:
        store(b, zero, address(b, planes, p * layout.plane + j, dtype.itemsize), dtype)


# Fetching ahead ---------------------------------------------------------------------------


def fetch_ahead(b, images, x, wanted, turn, each=None):
    """Prefetch the elements that a later strip reads, a part of them at each turn.

    ``wanted`` is ((the first image, channel), the first (depth, row, column), (images, channels),
    (rows, their length)). ``turn`` is (the number of this turn, the number of all turns). ``each``
    is the number of parts in a turn; the default divides all parts among the turns.
    """
    (image, channel), place, shape, (rows, length) = wanted
    size = images.dtype.itemsize
    each = ceil(prod(shape) / turn[1]) if each is None else each
    start = turn[0] * each
    row = images.strides[3]
    if images.strides[4] != 1:
        return  # channels are interleaved in memory, so they come into the cache together
    known = isinstance(row, int) and isinstance(length, int)
    if row is length or (known and row == length):
        rows, length = 1, rows * length
    with loop(b, start, least(start + each, prod(shape))) as part:
        i, c = digits(lift(b, part), shape)
        line = offset((image + i, channel + c, *place), images.strides)
        line = address(b, x, line, size)
        with loop(b, 0, rows) as y, loop(b, 0, length * size, costs.LINE) as i:
            prefetch(b, address(b, line, y * (row * size) + i))
