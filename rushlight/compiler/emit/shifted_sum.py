"""Convolution and its input gradient as kernels: no columns, but products of shifted images.

The weight is packed in panels of a few output channels. Each unit of work lays a strip of the
source's rows out in scratch memory, padded and parted into planes (``shifts``), so that a tap's
operand is a vector at an offset, whatever stride, padding and dilation are. ``shifted_product``
sums over channels and taps; the sums go to the sink row by row.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from rushlight.compiler.emit.frame import (
    below,
    entry,
    gather,
    kernel,
    least,
    lookup,
    offset,
    table,
)  # fmt: skip
from rushlight.compiler.emit.layout import Layout, fetch_ahead, lay_out, round_up
from rushlight.compiler.emit.loop import address, lift, loop, unravel
from rushlight.compiler.emit.memory import load, prefix_mask, store
from rushlight.compiler.emit.microkernel import Tile
from rushlight.compiler.emit.plan import Kernel, Plan
from rushlight.compiler.emit.shifts import Shifts, shifts_of
from rushlight.compiler.emit.tiles import shifted_product
from rushlight.compiler.emit.value import INT, splat
from rushlight.compiler.emit.value import lift as as_value

__all__ = ["emit", "plan"]

_CHUNK = 1 << 21  # multiplications that are worth handing to a thread
_PACKED = 1 << 14  # elements that a chunk packs
_BUSY = 8  # threads that a large convolution keeps busy

# Plans ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Choice:
    """How the work is cut up."""

    layout: Layout
    groups: int
    inputs: int  # channels that are summed over, of a group
    results: int  # channels of the result, of a group
    tile: Tile
    panels: int  # tiles of rows of a unit
    block: int  # channels that are laid out at a time
    counts: tuple  # of units: image blocks, groups, blocks of panels, depths, strips
    per_chunk: int

    @property
    def all_panels(self):
        return ceil(self.results / self.tile.rows)

    @property
    def panel(self):
        """The elements of a packed panel."""
        return self.inputs * self.layout.shifts.size * self.tile.rows

    @property
    def packed_at_once(self):
        """The panels that a chunk packs."""
        return max(1, _PACKED // max(self.panel, 1))

    @property
    def width(self):
        """From one row of sums to the next."""
        return round_up(self.layout.run, self.tile.columns * self.layout.lanes)

    @property
    def chunks(self):
        return ceil(prod(self.counts) / self.per_chunk)

    @property
    def source(self):
        """The elements of scratch that the laid-out source takes."""
        slack = (self.tile.columns + 2) * self.layout.lanes
        return round_up(self.block * self.layout.channel + slack, self.layout.lanes)

    @property
    def blocks(self):
        """Of channels; one even if there are none."""
        return max(1, ceil(self.inputs / self.block))

    @property
    def columns(self):
        """The tiles next to each other."""
        return self.width // (self.tile.columns * self.layout.lanes)

    @property
    def sums(self):
        """The elements of scratch that the sums of one phase take."""
        return self.panels * self.tile.rows * self.width


def _roles(d):
    """(shifts, summed channels of a group, result channels of a group) of a description."""
    channels = d.channels // d.groups, d.outputs // d.groups
    return shifts_of(d), *(channels if d.op == "convolution" else reversed(channels))


def plan(d, target, name):
    choice = _choose(d, target)
    size = d.compute.itemsize
    packed = d.groups * choice.all_panels * choice.panel * size
    scratch = (choice.source + choice.sums * len(choice.layout.shifts.phases)) * size
    kernels = (
        Kernel(f"{name}_pack", ceil(d.groups * choice.all_panels / choice.packed_at_once), 0),
        Kernel(name, choice.chunks, scratch),
    )
    return Plan(d, target, kernels, (max(packed, size),), choice)


def _choose(d, target):
    """The cheapest way to cut the work up, by a count of cycles."""
    shifts, _, results = _roles(d)
    choices = [
        _cut(d, target, layout, rows, vectors)
        for layout in _layouts(d, shifts, target.lanes(d.compute))
        for rows, vectors in _tiles(target, results)
    ]
    return min(choices, key=lambda c: _cost(c, target, d.compute.itemsize))


def _tiles(target, results):
    """Rows and vectors of tiles that fit the registers, of nearly full panels."""
    for vectors in range(1, 9):
        most = (target.registers - 1 - vectors) // vectors
        if most:
            yield ceil(results / ceil(results / most)), vectors
        elif results == 1 and vectors < target.registers:
            yield 1, vectors


def _layouts(d, shifts, lanes):
    """Strips of a plane's rows, and blocks of images where they are small."""
    _, y, x = shifts.dims
    for wide in (x, x.apart()) if x.reach else (x,):
        flat = Shifts((shifts.dims[0], y, wide))
        for r in sorted({ceil(y.count / n) for n in range(1, y.count + 1)}):
            yield Layout(flat, 1, r, lanes)
        for high in (y, y.apart()) if y.reach and wide is not x else (y,):
            images = 2
            while images <= d.batch and images * y.count * x.count <= 96 * lanes:
                yield Layout(Shifts((shifts.dims[0], high, wide)), images, y.count, lanes)
                images *= 2


def _cut(d, target, layout, rows, vectors):
    """The work in tiles of ``rows`` and ``vectors``: blocks of what the caches hold."""
    shifts, inputs, results = layout.shifts, *_roles(d)[1:]
    size = d.compute.itemsize
    tile = Tile(rows, vectors, layout.lanes, d.compute, target.fma)
    panels = ceil(results / rows)
    row = round_up(layout.run, vectors * layout.lanes) * len(shifts.phases) * size
    part = max(1, min(panels, target.l2 // 4 // (row * rows)))
    part = ceil(panels / ceil(panels / part))
    counts = (
        ceil(d.batch / layout.images), d.groups, ceil(panels / part),
        shifts.dims[0].count, ceil(shifts.dims[1].count / layout.rows),
    )  # fmt: skip
    block = _block(target, layout, tile, inputs, size)
    work = rows * part * inputs * shifts.size * layout.run
    per_chunk = max(
        1, ceil(prod(counts) / (4 * _BUSY)), min(prod(counts) // 4, _CHUNK // max(work, 1))
    )
    return _Choice(layout, d.groups, inputs, results, tile, part, block, counts, per_chunk)


def _block(target, layout, tile, inputs, size):
    """So many channels that what a tile meets and its panel stay in the first-level cache."""
    shifts, rows, vectors = layout.shifts, tile.rows, tile.columns
    _, y, x = shifts.dims
    vector, line = (vectors + 1) * layout.lanes, layout.pitch
    met = min((1 + y.reach) * (vector + x.reach), vector + y.reach * line + x.reach)
    met *= len(shifts.slices) * len(shifts.planes) * size
    most = int(target.l1 * 0.7) // (met + shifts.size * rows * size)
    most = max(1, min(most, target.l2 // 4 // (layout.channel * size)))
    return ceil(inputs / ceil(inputs / most)) if inputs else 1


def _cost(c, target, size):
    """The cycles of all units, as far as the choice changes them; first what must not be."""
    shifts, tile, layout = c.layout.shifts, c.tile, c.layout
    _, y, x = shifts.dims
    rows, vectors = tile.rows, tile.columns
    # Two products and two loads a cycle; a vector that crosses cache lines is two loads.
    step = max(rows * vectors / 2, (rows + 2 * vectors) / 2, 4)
    tiles = c.panels * c.width // (vectors * layout.lanes)
    cycles = tiles * step * shifts.size * c.inputs
    cycles += tiles * len(shifts.phases) * c.blocks * (20 + 1.5 * rows * vectors)
    copied = layout.images * layout.image_rows * ceil(layout.pitch / layout.lanes)
    copied *= c.inputs * len(shifts.slices) * len(shifts.planes)
    cycles += copied * (3 if x.step == 1 else 4 * x.step if x.step <= 4 else 30)
    passed = (
        c.panels * rows * layout.images * layout.rows * y.spread * ceil(x.result / layout.lanes)
    )
    cycles += passed * (4 if x.spread == 1 else 25)
    units = prod(c.counts)
    cycles *= units * (ceil(units / _BUSY) * _BUSY / units) ** 0.5
    return layout.channel * size > target.l2 // 4, cycles


# Packing ----------------------------------------------------------------------------------


def _emit_pack(module, plan):
    """The weight as panels: group, panel, phase, channel, tap, row."""
    d, c = plan.description, plan.choice
    size = d.compute.itemsize
    b, args, chunk, _ = kernel(module, plan.kernels[0].name)
    strides, places = _weight_strides(d)
    taps = c.layout.taps()
    places = table(module, [places[index] for phase in taps for index, _ in phase])
    firsts, counts = _phases(module, taps)
    weight, packed = entry(b, args, 1), entry(b, args, len(d.strides))
    first_panel = chunk * c.packed_at_once
    last_panel = least(b, first_panel + c.packed_at_once, d.groups * c.all_panels)
    with loop(b, first_panel, last_panel) as i, loop(b, 0, c.tile.rows) as row:
        group, panel = unravel(b, i, (d.groups, c.all_panels))
        # Rows beyond the last repeat it; their sums are never stored.
        result = least(b, panel * c.tile.rows + row, c.results - 1)
        start = address(b, weight, offset((group, result), strides[:2]), d.dtype.itemsize)
        into = address(b, packed, i * c.panel + row, size)
        with loop(b, 0, len(taps)) as phase:
            first, count = lookup(b, firsts, phase), lookup(b, counts, phase)
            with loop(b, 0, c.inputs) as channel, loop(b, 0, count) as t:
                place = channel * strides[2] + lookup(b, places, first + t)
                value = load(b, address(b, start, place, d.dtype.itemsize), d.dtype)
                place = (first * c.inputs + channel * count + t) * c.tile.rows
                store(b, value, address(b, into, place, size), d.compute)
    b.ret_void()


def _phases(module, taps):
    """Tables of each phase's first tap and of how many it has."""
    firsts = [sum(map(len, taps[:i])) for i in range(len(taps))]
    return table(module, firsts), table(module, map(len, taps))


def _weight_strides(d):
    """The weight's strides of (group, result channel, summed channel); its taps' places."""
    outer, inner, *steps = d.strides[1]
    places = [0]
    for n, step in zip(d.kernel, steps, strict=True):
        places = [place + k * step for place in places for k in range(n)]
    group = d.outputs // d.groups * outer
    strides = (group, outer, inner) if d.op == "convolution" else (group, inner, outer)
    return strides, places


# The product ------------------------------------------------------------------------------


def emit(module, plan, sink):
    _emit_pack(module, plan)
    c = plan.choice
    b, args, chunk, scratch = kernel(module, plan.kernels[1].name)
    sums = address(b, scratch, c.source * plan.description.compute.itemsize)
    start = chunk * c.per_chunk
    end = least(b, start + c.per_chunk, prod(c.counts))
    with loop(b, start * c.blocks, end * c.blocks) as step:
        *where, block = unravel(b, step, (*c.counts, c.blocks))
        _emit_sums(b, plan, args, scratch, sums, step)
        if c.blocks == 1:
            _emit_results(b, plan, args, sums, where, sink)
        else:
            with b.if_then((block == c.blocks - 1).v):
                _emit_results(b, plan, args, sums, where, sink)
    b.ret_void()


def _emit_sums(b, plan, args, scratch, sums, step):
    """Add a block of channels to the sums of a unit, tile by tile."""
    d, c = plan.description, plan.choice
    dtype, layout, tile, size = d.compute, c.layout, c.tile, d.compute.itemsize
    x, packed = entry(b, args, 0), entry(b, args, len(d.strides))
    taps = layout.taps()
    firsts, counts = _phases(b.module, taps)
    offsets = table(b.module, [place for phase in taps for _, place in phase])
    product = shifted_product(b.module, tile)
    image, group, part, t, channel, channels = _source(b, c, step)
    source = (image, group * c.inputs + channel)
    lay_out(b, layout, d.images(), x, scratch, dtype, source, channels, t)
    panels = least(b, part * -c.panels + c.all_panels, c.panels)
    first_panel = group * c.all_panels + part * c.panels
    fresh = as_value(b, channel == 0)
    ahead = _ahead(b, c, step + 1)
    with loop(b, 0, len(taps)) as phase:
        first, count = lookup(b, firsts, phase), lookup(b, counts, phase)
        with loop(b, 0, c.columns) as j, loop(b, 0, panels) as p:
            turn = (phase * c.columns + j) * c.panels + p
            fetch_ahead(b, d.images(), x, *ahead, (turn, len(taps) * c.columns * c.panels))
            weights = (first_panel + p) * c.panel
            weights = weights + (first * c.inputs + channel * count) * tile.rows
            row, column = (phase * c.panels + p) * tile.rows, j * (tile.columns * layout.lanes)
            b.call(product, [
                address(b, packed, weights, size), address(b, scratch, column, size),
                address(b, sums, row * c.width + column, size), channels.v,
                lift(b, layout.channel).v, lift(b, c.width).v,
                address(b, offsets, first, 8), lift(b, count).v, fresh.v,
            ])  # fmt: skip


def _source(b, c, step):
    """What a step needs: first image, group, block of panels, first t, channel, channels."""
    image, group, part, depth, strip, block = unravel(b, step, (*c.counts, c.blocks))
    channel = block * c.block
    channels = least(b, channel * -1 + c.inputs, c.block)
    t = depth, strip * c.layout.rows
    return image * c.layout.images, group, part, t, channel, channels


def _ahead(b, c, step):
    """Where the source of a later step begins, and how much of it there is."""
    image, group, _, (depth, row), channel, _ = _source(b, c, step)
    z, y, _ = c.layout.shifts.dims
    rows = (c.layout.rows if c.layout.images == 1 else y.count) + y.reach
    # Of several slices, all but the last were needed before.
    first = (
        image, group * c.inputs + channel, depth * z.step + c.layout.shifts.slices[-1],
        row * y.step + y.base,
    )  # fmt: skip
    return first, (c.layout.images, c.block), rows * y.step


def _emit_results(b, plan, args, sums, where, sink):
    """Give the results of a unit to the sink, row by row."""
    d, c = plan.description, plan.choice
    layout = c.layout
    z, y, _ = layout.shifts.dims
    image, group, part, depth, strip = where
    first = part * (c.panels * c.tile.rows)
    channels = least(b, first * -1 + c.results, c.panels * c.tile.rows)
    images = least(b, image * -layout.images + d.batch, layout.images)
    steps = least(b, strip * -layout.rows + y.count, layout.rows)
    with loop(b, 0, channels) as o:
        channel = group * c.results + first + o
        bias = _bias(b, d, args, channel)
        with loop(b, 0, images) as i, loop(b, 0, z.spread) as pz:
            row_z = depth * z.spread + pz - z.lead
            with loop(b, 0, steps) as t, loop(b, 0, y.spread) as py:
                row_y = (strip * layout.rows + t) * y.spread + py - y.lead
                line = ((pz * y.spread + py) * layout.shifts.dims[2].spread) * c.sums
                line = line + o * c.width + (i * layout.image_rows + t) * layout.pitch
                line = address(b, sums, line, d.compute.itemsize)
                index = (image * layout.images + i, channel, row_z, row_y)
                index = index[:2] + index[5 - len(d.size) :]
                exists: Any = nullcontext()
                if z.spread * y.spread > 1:  # some phases end earlier than others
                    exists = below(b, row_z, z.result) & below(b, row_y, y.result)
                    exists = b.if_then(exists.v)
                with exists:
                    _emit_row(b, plan, args, line, index, bias, sink)


def _bias(b, d, args, channel):
    if len(d.strides) < 3:
        return None
    place = channel * d.strides[2][0]
    return load(b, address(b, entry(b, args, 2), place, d.dtype.itemsize), d.dtype)


def _emit_row(b, plan, args, sums, index, bias, sink):
    """Give the results from ``sums`` on to the sink, a vector at a time."""
    d, c = plan.description, plan.choice
    width, lanes, dtype = c.layout.shifts.dims[2], c.layout.lanes, d.compute
    if width.spread > 1:  # phases lie apart: a table says where each column is
        columns = range(width.lead, width.lead + round_up(width.result, lanes))
        places = [x % width.spread * c.sums + x // width.spread for x in columns]
        places = table(b.module, places)
    with loop(b, 0, width.result, lanes) as x:
        mask = prefix_mask(b, lift(b, x * -1 + width.result).v, lanes)
        if width.spread > 1:
            found = load(b, address(b, places, x, 8), INT, lanes)
            value = gather(b, sums, found, dtype, mask)
        else:
            value = load(b, address(b, sums, x, dtype.itemsize), dtype, lanes)
        if bias is not None:
            value = value + splat(bias, lanes)
        sink(b, args, [lift(b, i).v for i in (*index, x)], value, mask)
