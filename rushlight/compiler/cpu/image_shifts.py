"""Convolution and its input gradient in one form: a sum of shifted images.

In each dim, result element ``spread · t + phase`` is a sum over the taps of its phase. Each tap
takes source element ``step · (t + shift) + plane + base``. A convolution has one phase of results,
and as many planes of the source as its stride. Its input gradient has one plane, and as many phases
as the stride. Once each plane is copied to memory of its own, with its padding, a tap is only an
offset.
"""

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import NamedTuple

from rushlight.locks import cached_property

__all__ = ["Dim", "Tap", "Shifts", "shifts_of"]


class Tap(NamedTuple):
    """An element of the kernel in one dim, the phase of its results, and its source elements.

    ``plane`` and ``shift`` give the source elements; see the module.
    """

    phase: int
    element: int
    plane: int
    shift: int


@dataclass(frozen=True)
class Dim:
    """One dim of a sum of shifted images; the module explains the fields.

    ``source`` and ``result`` are the sizes of the source and of the result.
    """

    source: int
    result: int
    count: int  # the number of values of t
    step: int
    spread: int
    base: int
    taps: tuple

    @cached_property
    def reach(self):
        """How far the largest shift reaches past the last t."""
        return max(tap.shift for tap in self.taps)

    @cached_property
    def planes(self):
        """The planes of the source that some tap reads."""
        return tuple(sorted({tap.plane for tap in self.taps}))

    @cached_property
    def plane_count(self):
        return len(self.planes)

    @cached_property
    def blank(self):
        """How many elements at the start of each plane lie outside the source."""
        return max(0, -((self.base + max(self.planes)) // self.step))

    @cached_property
    def pitch(self):
        """The elements from one row of a plane to the next.

        The padding after a row and the padding before the next row may be the same elements.
        """
        last = self.count + self.reach
        end = (self.source - 1 - self.base - min(self.planes)) // self.step + 1
        return max(self.count, min(end, last), last - self.blank)

    def apart(self):
        """This dim with a plane for each tap.

        There are more copies then, but rows of t follow each other without a gap.
        """
        taps = [tap._replace(plane=self.step * tap.shift + tap.plane, shift=0) for tap in self.taps]
        return replace(self, taps=tuple(taps))


def forward(size, places, kernel, stride, padding, dilation):
    """A dim of a convolution: ``size`` elements of x give ``places`` results."""
    taps = [Tap(0, k, dilation * k % stride, dilation * k // stride) for k in range(kernel)]
    return Dim(size, places, places, stride, 1, -padding, tuple(taps))


def backward(size, places, kernel, stride, padding, dilation):
    """A dim of the input gradient of the convolution with these parameters."""
    taps = []
    for phase, k in product(range(stride), range(kernel)):
        shift, rest = divmod(phase + padding - dilation * k, stride)
        taps += [Tap(phase, k, 0, shift)] * (rest == 0)
    lowest = min(tap.shift for tap in taps)
    taps = [tap._replace(shift=tap.shift - lowest) for tap in taps]
    return Dim(places, size, -(-size // stride), 1, stride, lowest, tuple(taps))


@dataclass(frozen=True)
class Shifts:
    """The three dims together: one for each of depth, height and width."""

    dims: tuple[Dim, Dim, Dim]

    @cached_property
    def slices(self):
        """The depths of the slices that the taps read, relative to the source's ``step · t``."""
        d = self.dims[0]
        return tuple(sorted({d.step * tap.shift + tap.plane + d.base for tap in d.taps}))

    @cached_property
    def slice_count(self):
        return len(self.slices)

    @cached_property
    def last_slice(self):
        return self.slices[-1]

    @cached_property
    def planes(self):
        """The (row, column) planes into which each slice is divided."""
        return tuple(product(self.dims[1].planes, self.dims[2].planes))

    @cached_property
    def phases(self):
        """The (depth, row, column) phases of the results."""
        return tuple(product(*[range(d.spread) for d in self.dims]))

    def taps(self, plane_pitch, row_pitch):
        """For each phase, a list of (position in the kernel, offset of the source element)."""
        d = self.dims[0]
        slices, planes = self.slices, self.planes
        widths = [1 + max(tap.element for tap in dim.taps) for dim in self.dims]
        found: dict = {phase: [] for phase in self.phases}
        for z, y, x in product(*[dim.taps for dim in self.dims]):
            part = slices.index(d.step * z.shift + z.plane + d.base) * len(planes)
            part += planes.index((y.plane, x.plane))
            offset = part * plane_pitch + y.shift * row_pitch + x.shift
            index = (z.element * widths[1] + y.element) * widths[2] + x.element
            found[z.phase, y.phase, x.phase].append((index, offset))
        return [sorted(found[phase]) for phase in self.phases]

    @cached_property
    def size(self):
        """The number of elements of the kernel."""
        return prod(1 + max(tap.element for tap in d.taps) for d in self.dims)


def shifts_of(d):
    """The shifts of a convolution or of its input gradient.

    A weight gradient reads the same elements as the convolution itself, so it has the same shifts.
    """
    direction = backward if d.form == "input_grad" else forward
    lead = 3 - len(d.size)
    windows = ((1, d.size), (1, d.places), (1, d.kernel), (1, d.stride), (0, d.padding),
               (1, d.dilation))  # fmt: skip
    dims = zip(*[(*[fill] * lead, *v) for fill, v in windows], strict=True)
    return Shifts(tuple([direction(*dim) for dim in dims]))
