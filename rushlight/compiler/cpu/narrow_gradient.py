"""The gradient of a convolution's weight if a group has few output channels.

There are too few channels to fill a vector, so lanes run along the windows of a row, in the
result's gradient ``g`` and in ``x`` alike. The lanes of a sum are added together only after all
parts are added up.
"""

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any, NamedTuple

from rushlight.compiler.codegen.emission import OPEN, Launch, Plan
from rushlight.compiler.codegen.emission import opened as with_open_counts
from rushlight.compiler.codegen.frame import (
    array,
    counted,
    digits,
    entry,
    kernel,
    least,
    offset,
    row_end,
)
from rushlight.compiler.codegen.loop import address, carried, lift, loop
from rushlight.compiler.codegen.memory import load, reduce, store
from rushlight.compiler.codegen.value import constant
from rushlight.compiler.codegen.value import lift as as_value
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.convolution_tiles import open_row_product, row_product
from rushlight.compiler.cpu.image_shifts import shifts_of
from rushlight.compiler.cpu.image_strips import Layout, fetch_ahead, lay_out
from rushlight.compiler.cpu.microkernel import Tile
from rushlight.compiler.cpu.open_sizes import (
    Sizes,
    arrays_of_images,
    number,
    opened,
    same_of_images,
    sizes_of_images,
    structure_of,
)  # fmt: skip
from rushlight.compiler.cpu.weight_gradient import split
from rushlight.compiler.plan.pieces import share

__all__ = ["emit", "fits", "plan", "resized"]


@dataclass(frozen=True)
class _Choice:
    """How the work is cut."""

    layout: Layout
    groups: int
    inputs: int  # channels of x in a group
    results: int  # channels of g in a group
    pieces: tuple  # (first, end) of the taps of each tile
    block: int  # channels of a unit
    parts: int  # partial sums of each result, which are computed apart and then added
    steps: int  # strips of a part
    counts: tuple  # the number of images, and of strips in three dims

    @property
    def blocks(self):
        return ceil(self.inputs / self.block)

    @property
    def columns(self):
        """The number of elements of one output channel's weight."""
        return self.inputs * self.layout.shifts.size

    @property
    def units(self):
        """The number of units of work: one for each part, group and block of channels."""
        return self.parts * self.groups * self.blocks

    @property
    def per_chunk(self):
        """The number of units in a chunk."""
        places = prod(self.counts) * self.layout.rows * self.layout.columns
        work = self.groups * self.blocks * self.block * self.results
        work *= self.layout.shifts.size * places
        return share(self.units, work, costs.NARROW_CHUNK / 4, costs.MOST_PIECES)

    @property
    def added_at_once(self):
        """The number of output channels in a chunk of the second kernel."""
        results = self.groups * self.results
        work = results * self.columns * max(self.parts, 1)
        return share(results, work, costs.NARROW_ADDED, costs.MOST_PIECES)

    @property
    def partial(self):
        """The elements of one part's sums: group, output channel, channel, tap, lane."""
        return self.groups * self.results * self.columns * self.layout.lanes

    @property
    def fetched(self):
        """The channels of g that are fetched ahead with each channel of x."""
        return ceil(self.results / self.block)


def fits(d):
    """Whether groups have few enough output channels for this algorithm."""
    return d.outputs // d.groups <= costs.NARROW


class _Counts(NamedTuple):
    images: Any
    strips: Any
    parts: Any
    steps: Any
    units: Any
    per_chunk: Any
    added_at_once: Any


def plan(d, target, name):
    """As ``convolution.plan``."""
    return _planned(d, target, name, _choose(d, target))


def resized(plan, images):
    """As ``convolution.resized``."""
    d, c = replace(plan.description, batch=images), plan.choice
    counts = images, *c.counts[1:]
    parts, steps = _split(d, counts, c.blocks)
    choice = replace(c, counts=counts, parts=parts, steps=steps)
    return _planned(d, plan.target, plan.kernels[-1].name, choice)


def _planned(d, target, name, c):
    size = d.compute.itemsize
    kernels = []
    if c.parts:
        scratch = (c.block * c.layout.channel + 2 * c.layout.lanes) * size
        kernels.append(Launch(f"{name}_parts", ceil(c.units / c.per_chunk), scratch))
    kernels.append(Launch(name, ceil(d.outputs / c.added_at_once), c.layout.lanes * size))
    strips, chunk = prod(c.counts), c.per_chunk if c.parts else 1
    counts = _Counts(d.batch, strips, c.parts, c.steps, c.units, chunk, c.added_at_once)
    found = Plan(d, target, tuple(kernels), (max(1, c.parts * c.partial) * size,), c, counts)
    return found if d.sizes_at is None or not c.parts else replace(found, sizes=_sizes(found))


_NAMES = (
    "description.outputs",
    *[f"choice.{name}" for name in ("groups", "inputs", "block", "blocks", "columns", "partial",
                                    "fetched")],
    *[f"choice.counts[{k}]" for k in range(1, 4)],
)  # fmt: skip


def _sizes(plan):
    """The :class:`Sizes` of a plan for many shapes."""
    d, c = plan.description, plan.choice
    fixed = {"choice.counts[0]": OPEN, "choice.parts": OPEN, "choice.results": c.results}
    names = [*_NAMES, *sizes_of_images(d, c.layout, fixed)]
    kept = "choice.inputs", "choice.block", "choice.blocks"
    fixed |= {name: 1 for name in kept if number(plan, name) == 1}
    (taps,) = c.layout.taps()
    arrays = {"offsets": [place for _, place in taps], **arrays_of_images(c.layout)}
    rest = c.layout.columns >= c.layout.lanes, c.layout.columns % c.layout.lanes > 0
    structure = structure_of(d, c.layout), c.results, c.pieces, rest
    return Sizes(plan, names, fixed, arrays, structure, same_of_images(d))


def _choose(d, target):
    lanes, size = target.lanes(d.compute), d.compute.itemsize
    shifts = shifts_of(d)
    inputs, results = d.channels // d.groups, d.outputs // d.groups
    most = max(1, (target.registers - 2) // (results + 1))
    length = ceil(shifts.size / ceil(shifts.size / most))
    pieces = tuple(
        (first, min(first + length, shifts.size)) for first in range(0, shifts.size, length)
    )
    _, y, x = shifts.dims
    cuts = ceil(x.count / (64 * lanes))
    columns = x.count if cuts < 3 else ceil(x.count / cuts)
    rows = max(1, target.l1 // 2 // (Layout(shifts, 1, 1, columns, lanes).channel * size))
    layout = Layout(shifts, 1, ceil(y.count / ceil(y.count / rows)), columns, lanes)
    block = max(1, min(inputs, target.l2 // 4 // (layout.channel * size)))
    block = ceil(inputs / ceil(inputs / block))
    counts = d.batch, *layout.strips
    parts, steps = _split(d, counts, ceil(inputs / block))
    return _Choice(layout, d.groups, inputs, results, pieces, block, parts, steps, counts)


def _split(d, counts, blocks):
    return split(d, prod(counts), d.groups * blocks, costs.NARROW_CHUNK, prod(counts))


def emit(module, plan, sink):
    """As ``convolution.emit``."""
    plan = with_open_counts(plan, parts=OPEN)
    if plan.choice.parts:
        _emit_parts(module, plan)
    _emit_total(module, plan, sink)


def _emit_parts(module, plan):
    """Write the kernel that sums over each part of the windows, each lane for itself."""
    pieces = plan.choice.pieces
    b, args, chunk, scratch = kernel(module, plan.kernels[0].name)
    plan = opened(b, args, plan)
    c = plan.choice
    n = counted(b, args, plan)
    first = chunk * n.per_chunk
    with loop(b, first, least(first + n.per_chunk, n.units)) as unit:
        where = digits(unit, (c.parts, c.groups, c.blocks))
        _emit_part(b, plan, pieces, args, scratch, where, n)
    b.ret_void()


def _emit_part(b, plan, pieces, args, scratch, where, n):
    """Compute one part of the sums of a block of channels."""
    d, c = plan.description, plan.choice
    part, group, block = where
    dtype, size, layout = d.compute, d.compute.itemsize, c.layout
    g, x = d.images(0, n.images), d.images(1, n.images)
    first = block * c.block
    channels = least(c.inputs - first, c.block)
    sums = (part * c.groups + group) * (c.results * c.columns) + first * layout.shifts.size
    sums = address(b, entry(b, args, 2), sums * layout.lanes, size)
    start = part * n.steps
    with loop(b, start, least(start + n.steps, n.strips)) as strip:
        image, *place = digits(strip, c.counts)
        t = layout.start(place)
        source = (image, group * c.inputs + first)
        lay_out(b, layout, x, entry(b, args, 1), scratch, dtype, source, channels, t)
        met = offset((image, group * c.results, *t), g.strides)
        met = address(b, entry(b, args, 0), met, d.dtype.itemsize)
        shape = least(layout.shifts.dims[1].count - t[1], layout.rows), layout.left(b, t)
        fresh = as_value(b, strip == start)
        ahead = _ahead(c, strip + 1, x, group, first)
        with loop(b, 0, channels) as channel:
            turn = channel, None
            fetch_ahead(b, x, entry(b, args, 1), ahead[0], turn, 1)
            fetch_ahead(b, g, entry(b, args, 0), ahead[1], turn, c.fetched)
            source = address(b, scratch, channel * layout.channel, size)
            into = address(b, sums, channel * (layout.shifts.size * layout.lanes), size)
            write = _emit_tiles if plan.sizes is None else _emit_open_tiles
            write(b, plan, pieces, g, (met, source, into), shape, fresh)


def _ahead(c, strip, x, group, channel):
    """Where the parts of x and of g that a later strip needs begin, and how large they are."""
    image, *place = digits(strip, c.counts)
    t = c.layout.start(place)
    place, size = c.layout.met(t, x)
    return (
        ((image, group * c.inputs + channel), place, (1, c.block), size),
        ((image, group * c.results), t, (1, c.results), (c.layout.rows, c.layout.columns)),
    )


def _emit_tiles(b, plan, pieces, g, places, shape, fresh):
    """Multiply all taps of a channel of x by all channels of g.

    ``places`` are the addresses of g, of x and of the sums.
    """
    c, (met, x, sums) = plan.choice, places
    (taps,) = c.layout.taps()
    size, lanes = plan.description.compute.itemsize, c.layout.lanes
    for first, last in pieces:
        places = [place for _, place in taps[first:last]]
        start = min(places)
        function = row_product(
            b.module, _tile(plan, first, last), g.dtype,
            (g.strides[1], g.strides[3], g.strides[4]), [place - start for place in places],
            c.layout,
        )  # fmt: skip
        b.call(function, [
            met, address(b, x, start, size), address(b, sums, first * lanes, size),
            lift(b, shape[0]).v, lift(b, shape[1]).v, lift(b, c.columns * lanes).v, fresh.v,
        ])  # fmt: skip


def _emit_open_tiles(b, plan, pieces, g, places, shape, fresh):
    """As ``_emit_tiles``, for many shapes."""
    c, (met, x, sums) = plan.choice, places
    size, lanes = plan.description.compute.itemsize, c.layout.lanes
    offsets = array(b, c, "offsets", None)
    rest = plan.sizes.structure[-1] if c.layout.whole else None
    for first, last in pieces:
        function = open_row_product(b.module, _tile(plan, first, last), g.dtype, rest)
        b.call(function, [
            met, x, address(b, sums, first * lanes, size), lift(b, shape[0]).v,
            lift(b, shape[1]).v, lift(b, c.columns * lanes).v, fresh.v,
            address(b, offsets, first, 8), lift(b, c.layout.pitch).v, lift(b, g.strides[1]).v,
            lift(b, g.strides[3]).v,
        ])  # fmt: skip


def _tile(plan, first, last):
    dtype, lanes = plan.description.compute, plan.choice.layout.lanes
    return Tile(plan.choice.results, last - first, lanes, dtype, plan.target.fma)


def _emit_total(module, plan, sink):
    """Write the kernel that adds the parts in order, then the lanes, and calls the sink."""
    b, args, chunk, scratch = kernel(module, plan.kernels[-1].name)
    plan = opened(b, args, plan)
    d, c = plan.description, plan.choice
    lanes, dtype, size = c.layout.lanes, d.compute, d.compute.itemsize
    n = counted(b, args, plan)
    zero, first = constant(b, 0, dtype, lanes), chunk * n.added_at_once
    last = least(first + n.added_at_once, d.outputs)
    with loop(b, first, last) as output, loop(b, 0, c.columns, lanes) as j:
        with loop(b, 0, least(c.columns - j, lanes)) as i:
            place = (output * c.columns + j + i) * lanes
            parts = address(b, entry(b, args, 2), place, size)

            def add(part, sums, parts=parts):
                return [sums[0] + load(b, address(b, parts, part * c.partial, size), dtype, lanes)]

            (total,) = carried(b, 0, n.parts, [zero], add)
            store(b, reduce(total, "add"), address(b, scratch, i, size), dtype)
        mask = row_end(b, c.columns, j, lanes)
        value = load(b, scratch, dtype, lanes, mask)
        sink(b, args, [output.v, lift(b, j).v], value, mask)
    b.ret_void()
