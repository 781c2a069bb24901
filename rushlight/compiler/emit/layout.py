"""Strips of images in scratch memory: padded, and parted into planes by stride."""

from dataclasses import dataclass

import numpy as np

from rushlight.compiler.emit.frame import below, lookup, offset, table
from rushlight.compiler.emit.loop import address, loop
from rushlight.compiler.emit.memory import store
from rushlight.compiler.emit.rows import spaced
from rushlight.compiler.emit.shifts import Shifts
from rushlight.compiler.emit.value import constant

__all__ = ["Images", "Layout", "lay_out", "round_up"]


def round_up(n, multiple):
    """The first multiple that is not below ``n``."""
    return -(-n // multiple) * multiple


@dataclass(frozen=True)
class Layout:
    """Some rows of t of one image, or several whole images, with all that their taps meet.

    A plane is one run: rows of ``pitch`` elements, images of ``image_rows`` rows, where rows (and
    images) may share their padding.
    """

    shifts: Shifts
    images: int
    rows: int
    lanes: int

    @property
    def pitch(self):
        return self.shifts.dims[2].pitch

    @property
    def image_rows(self):
        d = self.shifts.dims[1]
        return self.rows + d.reach if self.images == 1 else d.pitch

    @property
    def run(self):
        """From the first t to behind the last: what is in between is computed, too."""
        rows = (self.images - 1) * self.image_rows + self.rows
        return (rows - 1) * self.pitch + self.shifts.dims[2].count

    @property
    def filled(self):
        """The elements of a plane that come from the source; zeros follow."""
        return self.images * self.image_rows * self.pitch

    @property
    def plane(self):
        """From one plane to the next: an odd number of vectors, lest all lie in one cache set."""
        _, h, w = self.shifts.dims
        over = max(0, self.rows + h.reach - self.image_rows) * self.pitch
        over += max(0, w.count + w.reach - self.pitch)
        return ((self.filled + over + self.lanes - 1) // self.lanes | 1) * self.lanes

    @property
    def channel(self):
        """From one channel to the next."""
        return len(self.shifts.slices) * len(self.shifts.planes) * self.plane

    def taps(self):
        return self.shifts.taps(self.plane, self.pitch)


@dataclass(frozen=True)
class Images:
    """The images that a layout is filled from: a buffer, its dtype, strides and number.

    Strides are those of image, channel, depth, row, column.
    """

    dtype: np.dtype
    strides: tuple
    count: int


def lay_out(b, layout, images, x, into, dtype, first, channels, t):
    """Copy from ``x`` what the t from ``t`` = (depth, row) on meet, as ``dtype``.

    ``first`` is the first (image, channel) of so many ``channels``.
    """
    shifts = layout.shifts
    depth, height, width = shifts.dims
    slices = table(b.module, shifts.slices)
    planes = [table(b.module, v) for v in zip(*shifts.planes, strict=True)]
    counts = len(shifts.slices), len(shifts.planes)
    with loop(b, 0, channels) as c, loop(b, 0, counts[0]) as s, loop(b, 0, counts[1]) as p:
        plane = address(
            b, into, ((c * counts[0] + s) * counts[1] + p) * layout.plane, dtype.itemsize
        )
        z = t[0] * depth.step + lookup(b, slices, s)
        top = t[1] * height.step + lookup(b, planes[0], p) + height.base
        column = lookup(b, planes[1], p) + width.base
        with loop(b, 0, layout.images) as i, loop(b, 0, layout.image_rows) as r:
            y = top + r * height.step
            valid = below(b, y, height.source) & below(b, z, depth.source)
            valid = valid & below(b, first[0] + i, images.count)
            line = offset((first[0] + i, first[1] + c, z, y), images.strides[:4])
            row = address(b, plane, (i * layout.image_rows + r) * layout.pitch, dtype.itemsize)
            _copy_row(b, layout, images, address(b, x, line, images.dtype.itemsize), row, dtype,
                      column, valid)  # fmt: skip
        zero = constant(b, 0, dtype, layout.lanes)
        with loop(b, layout.filled, layout.plane, layout.lanes) as j:
            store(b, zero, address(b, plane, j, dtype.itemsize), dtype)


def _copy_row(b, layout, images, x, into, dtype, column, valid):
    """A row of a plane: every step-th element from ``column`` on, zeros outside the source."""
    width, lanes = layout.shifts.dims[2], layout.lanes
    with loop(b, 0, layout.pitch, lanes) as j:
        first = j * width.step + column
        value, _ = spaced(
            b, x, images.dtype, lanes, first, width.step, width.source, images.strides[4], valid
        )
        store(b, value, address(b, into, j, dtype.itemsize), dtype)
