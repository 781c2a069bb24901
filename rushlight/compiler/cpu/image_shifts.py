"""Convolution and its input gradient as one form: a sum of shifted images.

In each dim, result element ``spread · t + phase`` is a sum over the taps of its phase of source
element ``step · (t + shift) + plane + base``. A convolution has one phase of results, and
as many planes of sources as its stride; its input gradient has it the other way round. Once the
planes lie apart and padded, a tap is nothing but an offset.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import NamedTuple

__all__ = ["Dim", "Tap", "Shifts", "shifts_of"]


class Tap(NamedTuple):
    """An element of the kernel in one dim: the results it is for, and what it meets."""

    phase: int
    element: int
    plane: int
    shift: int


@dataclass(frozen=True)
class Dim:
    """One dim of a sum of shifted images; the module says what the fields mean."""

    source: int
    result: int
    count: int  # of t
    step: int
    spread: int
    base: int
    taps: tuple

    @cached_property
    def reach(self):
        """How far the shifts reach beyond the last t."""
        return max(tap.shift for tap in self.taps)

    @cached_property
    def planes(self):
        """The planes of sources that some tap meets."""
        return tuple(sorted({tap.plane for tap in self.taps}))

    @cached_property
    def blank(self):
        """How many elements at the start of each plane lie outside the source."""
        return max(0, -((self.base + max(self.planes)) // self.step))

    @cached_property
    def pitch(self):
        """From one row of a plane to the next: the padding of both may be the same elements."""
        last = self.count + self.reach
        end = (self.source - 1 - self.base - min(self.planes)) // self.step + 1
        return max(self.count, min(end, last), last - self.blank)

    def apart(self):
        """This dim with a plane for each tap: more copies, but nothing between the rows' t."""
        taps = [tap._replace(plane=self.step * tap.shift + tap.plane, shift=0) for tap in self.taps]
        return replace(self, taps=tuple(taps))


def forward(size, places, kernel, stride, padding, dilation):
    """A dim of a convolution of ``size`` that has ``places``."""
    taps = [Tap(0, k, dilation * k % stride, dilation * k // stride) for k in range(kernel)]
    return Dim(size, places, places, stride, 1, -padding, tuple(taps))


def backward(size, places, kernel, stride, padding, dilation):
    """A dim of the gradient of the input of such a convolution."""
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
        """Where the slices lie that the taps meet, from the source's ``step · t`` on."""
        d = self.dims[0]
        return tuple(sorted({d.step * tap.shift + tap.plane + d.base for tap in d.taps}))

    @cached_property
    def planes(self):
        """The (row, column) planes that each slice is parted into."""
        return tuple(product(self.dims[1].planes, self.dims[2].planes))

    @cached_property
    def phases(self):
        """The (depth, row, column) phases of the results."""
        return tuple(product(*[range(d.spread) for d in self.dims]))

    def taps(self, plane_pitch, row_pitch):
        """For each phase, [(position in the kernel, offset of what it meets)]."""
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
        """How many elements the kernel has."""
        return prod(1 + max(tap.element for tap in d.taps) for d in self.dims)


def shifts_of(d):
    """The sum of shifted images that is a convolution, or the gradient of its input.

    The gradient of the weight meets the same elements as the convolution itself.
    """
    direction = backward if d.form == "input_grad" else forward
    lead = 3 - len(d.size)
    windows = ((1, d.size), (1, d.places), (1, d.kernel), (1, d.stride), (0, d.padding),
               (1, d.dilation))  # fmt: skip
    dims = zip(*[(*[fill] * lead, *v) for fill, v in windows], strict=True)
    return Shifts(tuple([direction(*dim) for dim in dims]))
