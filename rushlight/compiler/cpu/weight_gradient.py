"""Kernels of the gradient of a convolution's weight: result gradients times shifted images.

The sums run over the windows, and lanes run along the output channels. Each unit of work therefore
transposes a strip of ``g``, the result's gradient, so that its channels are contiguous. It copies
the strip of ``x`` to scratch memory as the convolution itself does (``image_strips``). A row of
sums belongs to one channel of ``x`` and one tap; its factor is the element of ``x`` at the tap's
offset. Partial sums of the same result are added in a fixed order.
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
    quotient,
    row_end,
)
from rushlight.compiler.codegen.loop import address, carried, lift, loop
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.value import constant
from rushlight.compiler.codegen.value import lift as as_value
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.convolution_tiles import open_weight_product, square, weight_product
from rushlight.compiler.cpu.image_shifts import Shifts, shifts_of
from rushlight.compiler.cpu.image_strips import Layout, fetch_ahead, lay_out, round_up
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

__all__ = ["emit", "plan", "resized"]


# Plans ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Choice:
    """How the work is cut."""

    layout: Layout
    groups: int
    inputs: int  # channels of x in a group
    results: int  # channels of g in a group
    vectors: int  # vectors in a row of a tile
    together: int  # channels of x whose taps share a tile
    pieces: tuple  # (first, end) of the taps of each tile
    block: int  # channels of x in a unit
    parts: int  # partial sums of each result, which are computed apart and then added
    steps: int  # strips of a part
    counts: tuple  # the number of blocks of images, and of strips in three dims

    @property
    def panel(self):
        """The number of output channels of a panel."""
        return self.vectors * self.layout.lanes

    @property
    def panels(self):
        return ceil(self.results / self.panel)

    @property
    def blocks(self):
        return ceil(self.inputs / self.block)

    @property
    def rows(self):
        """The number of rows of sums of a panel: one for each channel of x and each tap."""
        return self.blocks * self.block * self.layout.shifts.size

    @property
    def tiles(self):
        """The number of tiles of a block, for each panel and each of the ``pieces``."""
        return self.block // self.together

    @property
    def fetched(self):
        """The channels of images of x, and of g, that are fetched ahead with each tile."""
        turns = self.panels * self.tiles
        images = self.layout.images
        return ceil(images * self.block / turns), ceil(images * self.results / turns)

    @property
    def columns(self):
        """The number of elements of one output channel's weight."""
        return self.inputs * self.layout.shifts.size

    @property
    def one_run(self):
        """Whether all rows of a strip are one run of memory."""
        return self.layout.whole and self.layout.pitch == self.layout.columns

    @property
    def places(self):
        """The number of windows of a strip."""
        return self.layout.images * self.layout.rows * self.layout.columns

    @property
    def source(self):
        """The elements of scratch that the strip of x takes."""
        return self.block * self.layout.channel + 2 * self.layout.lanes

    @property
    def turned(self):
        """The elements of scratch that the strip of g takes."""
        return (self.panels * self.places + self.layout.lanes) * self.panel

    @property
    def partial(self):
        """The elements of one part's sums."""
        return self.groups * self.panels * self.rows * self.panel


class _Counts(NamedTuple):
    images: Any
    strips: Any
    parts: Any
    steps: Any


def plan(d, target, name):
    """As ``convolution.plan``."""
    return _planned(d, target, name, _choose(d, target))


def resized(plan, images):
    """As ``convolution.resized``."""
    d, c = replace(plan.description, batch=images), plan.choice
    counts = (ceil(images / c.layout.images), *c.counts[1:])
    parts, steps = _split(d, c.layout, counts, c.blocks)
    choice = replace(c, counts=counts, parts=parts, steps=steps)
    return _planned(d, plan.target, plan.kernels[-1].name, choice)


def _planned(d, target, name, c):
    size = d.compute.itemsize
    kernels = []
    if c.parts:
        scratch = (c.source + c.turned) * size
        kernels.append(Launch(f"{name}_parts", c.parts * c.groups * c.blocks, scratch))
    scratch = c.panel * c.layout.lanes * size
    kernels.append(Launch(name, c.groups * c.panels, scratch))
    counts = _Counts(d.batch, prod(c.counts), c.parts, c.steps)
    found = Plan(d, target, tuple(kernels), (max(1, c.parts * c.partial) * size,), c, counts)
    return found if d.sizes_at is None or not c.parts else replace(found, sizes=_sizes(found))


_NAMES = (
    *[f"choice.{name}" for name in (
        "groups", "inputs", "results", "panels", "blocks", "block", "rows", "places", "source",
        "partial", "tiles", "columns",
    )],
    *[f"choice.fetched[{k}]" for k in range(2)],
    *[f"choice.counts[{k}]" for k in range(1, 4)],
)  # fmt: skip


def _sizes(plan):
    """The :class:`Sizes` of a plan for many shapes."""
    d, c = plan.description, plan.choice
    size = c.layout.shifts.size
    fixed = {
        "choice.counts[0]": OPEN, "choice.parts": OPEN, "choice.vectors": c.vectors,
        "choice.panel": c.panel, "choice.together": c.together, "choice.layout.shifts.size": size,
    }  # fmt: skip
    names = [*_NAMES, *sizes_of_images(d, c.layout, fixed)]
    kept = "choice.groups", "choice.blocks", "choice.counts[1]", "choice.counts[3]"
    fixed |= {name: 1 for name in kept if number(plan, name) == 1}
    offsets = [place for rows in _rows(c) for place, _ in rows]
    arrays = {"offsets": offsets, **arrays_of_images(c.layout)}
    structure = structure_of(d, c.layout), c.pieces, c.one_run
    return Sizes(plan, names, fixed, arrays, structure, same_of_images(d))


def _rows(c):
    """For each of the pieces: the offset of each row of its tile in x, and its row of sums."""
    (taps,) = c.layout.taps()
    return [
        [
            (i * c.layout.channel + place, i * c.layout.shifts.size + k)
            for i in range(c.together)
            for k, (_, place) in enumerate(taps[first:last])
        ]
        for first, last in c.pieces
    ]


def _choose(d, target):
    lanes, size = target.lanes(d.compute), d.compute.itemsize
    shifts = shifts_of(d)
    inputs, results = d.channels // d.groups, d.outputs // d.groups
    pieces = _pieces(d.kernel)
    vectors, together = _tile(target, lanes, pieces, inputs, results)
    layout = _layout(d, target, shifts, vectors, lanes)
    counts = ceil(d.batch / layout.images), *layout.strips
    fitting = min(target.l2 // 4 // (layout.channel * size), 64, inputs)
    blocks = ceil(inputs / round_up(max(fitting, 1), together))
    block = round_up(ceil(inputs / blocks), together)
    parts, steps = _split(d, layout, counts, blocks)
    return _Choice(layout, d.groups, inputs, results, vectors, together, pieces, block, parts,
                   steps, counts)  # fmt: skip


def _split(d, layout, counts, blocks):
    size = d.outputs * (d.channels // d.groups) * layout.shifts.size * d.compute.itemsize
    most = max(1, costs.PARTIAL // size)
    return split(d, prod(counts), d.groups * blocks, costs.GRADIENT_CHUNK, most)


def split(d, strips, shares, chunk, most):
    """(The number of parts in which the strips are summed, the strips of a part).

    A part is the work of ``shares`` chunks, each of about ``chunk`` multiplications or more. There
    are at most ``most`` parts.
    """
    work = d.batch * prod(d.places) * d.outputs * (d.channels // d.groups) * prod(d.kernel)
    parts = min(ceil(4 * costs.BUSY / shares), ceil(work / chunk / shares), strips, most)
    steps = ceil(strips / max(parts, 1))
    return (ceil(strips / steps), steps) if strips else (0, 1)


def _tile(target, lanes, pieces, inputs, results):
    """(Vectors of a tile, number of channels whose taps share it) with the fewest cycles."""
    longest = max(last - first for first, last in pieces)
    found = []
    for vectors in range(1, 5):
        most = (target.registers - 1 - vectors) // vectors
        if longest > most:
            break
        together = max(1, min(inputs, most // longest))
        rows = together * longest
        step = max(rows * vectors / 2, (rows + vectors) / 2, 4)
        cost = ceil(results / (vectors * lanes)) * ceil(inputs / together) * step
        found.append((cost, vectors, together))
    return min(found)[1:]


def _pieces(kernel, most=13):
    """The taps in runs that fit a tile: a single run of all taps, or parts of the last dim."""
    if prod(kernel) <= most:
        return ((0, prod(kernel)),)
    width = kernel[-1]
    length = ceil(width / ceil(width / most))
    return tuple(
        (row * width + first, row * width + min(first + length, width))
        for row in range(prod(kernel[:-1]))
        for first in range(0, width, length)
    )


def _layout(d, target, shifts, vectors, lanes):
    """Strips whose part of g fits the first-level cache, or strips of several small images.

    Small images have a plane for each tap, so that one loop runs through all windows.
    """
    z, y, x = shifts.dims
    most = max(1, int(target.l1 * costs.STRIP) // (vectors * lanes * d.compute.itemsize))
    images = min(ceil(costs.SHORT / (y.count * x.count)), d.batch)
    if images > 1:
        return Layout(Shifts((z, y.apart(), x.apart())), images, y.count, x.count, lanes)
    rows, pieces = max(1, most // x.count), ceil(x.count / most)
    columns = x.count if pieces < 3 else ceil(x.count / pieces)
    return Layout(shifts, 1, ceil(y.count / ceil(y.count / rows)), columns, lanes)


# Parts ------------------------------------------------------------------------------------


def emit(module, plan, sink):
    """As ``convolution.emit``."""
    plan = with_open_counts(plan, parts=OPEN)
    if plan.choice.parts:
        _emit_parts(module, plan)
    _emit_total(module, plan, sink)


def _emit_parts(module, plan):
    """Write the kernel that sums over each part of the windows."""
    choice = plan.choice
    b, args, chunk, scratch = kernel(module, plan.kernels[0].name)
    plan = opened(b, args, plan)
    d, c = plan.description, plan.choice
    n = counted(b, args, plan)
    dtype, size, layout = d.compute, d.compute.itemsize, c.layout
    part, group, block = digits(chunk, (c.parts, c.groups, c.blocks))
    g, x = d.images(0, n.images), d.images(1, n.images)
    turned = address(b, scratch, c.source * size)
    channels = least(c.inputs - block * c.block, c.block)
    tiles = quotient(b, lift(b, channels) + (c.together - 1), c.together)
    sums = (part * c.groups + group) * c.panels * c.rows + block * (c.block * layout.shifts.size)
    start = part * n.steps
    with loop(b, start, least(start + n.steps, n.strips)) as strip:
        image, *place = digits(strip, c.counts)
        image, t = image * layout.images, layout.start(place)
        source = (image, group * c.inputs + block * c.block)
        lay_out(b, layout, x, entry(b, args, 1), scratch, dtype, source, channels, t)
        shape = (
            least(n.images - image, layout.images),
            least(layout.shifts.dims[1].count - t[1], layout.rows),
            layout.left(b, t),
        )
        first = (image, group * c.results, *t)
        _turn(b, c, g, entry(b, args, 0), turned, dtype, first, shape)
        fresh = as_value(b, strip == start)
        ahead = _ahead(c, strip + 1, x, group, block)
        with loop(b, 0, c.panels) as p, loop(b, 0, tiles) as t:
            turn = p * c.tiles + t, None
            fetch_ahead(b, x, entry(b, args, 1), ahead[0], turn, c.fetched[0])
            fetch_ahead(b, g, entry(b, args, 0), ahead[1], turn, c.fetched[1])
            met = address(b, turned, p * (c.places * c.panel), size)
            channel = t * c.together
            source = address(b, scratch, channel * layout.channel, size)
            into = (sums + p * c.rows + channel * layout.shifts.size) * c.panel
            into = address(b, entry(b, args, 2), into, size)
            _emit_tiles(b, plan, choice, (source, met, into), shape, fresh)
    b.ret_void()


def _ahead(c, strip, x, group, block):
    """Where the parts of x and of g that a later strip needs begin, and how large they are."""
    image, *place = digits(strip, c.counts)
    image, t = image * c.layout.images, c.layout.start(place)
    place, size = c.layout.met(t, x)
    images = c.layout.images
    return (
        ((image, group * c.inputs + block * c.block), place, (images, c.block), size),
        ((image, group * c.results), t, (images, c.results), (c.layout.rows, c.layout.columns)),
    )


def _emit_tiles(b, plan, choice, pointers, shape, fresh):
    """Multiply all taps of ``c.together`` channels of x by a panel of g.

    ``pointers`` are the addresses of x, of g and of the sums. ``choice`` has the numbers that are
    known.
    """
    c, (x, g, sums) = plan.choice, pointers
    count, width = lift(b, shape[0] * shape[1]), shape[2]
    if choice.one_run:
        count, width = lift(b, 1), count * width
    dtype, at = plan.description.compute, 0
    size = dtype.itemsize
    for (first, _), rows in zip(choice.pieces, _rows(choice), strict=True):
        tile = Tile(len(rows), c.vectors, c.layout.lanes, dtype, plan.target.fma)
        numbers = [count.v, lift(b, width).v, lift(b, c.layout.pitch).v, fresh.v]
        into = address(b, sums, first * c.panel, size)
        if plan.sizes is None:
            start = min(place for place, _ in rows)
            rows = tuple([(place - start, row) for place, row in rows])
            product = weight_product(b.module, tile, rows)
            b.call(product, [address(b, x, start, size), g, into, *numbers])
        else:
            product = open_weight_product(b.module, tile, tuple([row for _, row in rows]))
            offsets = address(b, array(b, c, "offsets", None), at, 8)
            b.call(product, [x, g, into, *numbers, offsets])
        at += len(rows)


def _turn(b, c, g, pointer, into, dtype, first, shape):
    """Copy the strip of g that begins at ``first`` in the order panel, image, row, column, channel.

    ``shape`` is its number of images, rows and columns.
    """
    lanes, size, width = c.layout.lanes, g.dtype.itemsize, shape[2]
    start = address(b, pointer, offset(first, g.strides), size)
    function = square(b.module, g, dtype, lanes, c.panel)
    with loop(b, 0, c.panels) as p, loop(b, 0, c.vectors) as v:
        channel = (p * c.vectors + v) * lanes
        # Lanes past the last channel repeat that channel; their sums are never stored.
        last = least(c.results - 1 - channel, lanes - 1)
        with loop(b, 0, shape[0]) as i, loop(b, 0, shape[1]) as y, loop(b, 0, width, lanes) as x:
            source = offset(
                (i, channel, y, x), (g.strides[0], g.strides[1], g.strides[3], g.strides[4])
            )
            place = p * c.places + (i * c.layout.rows + y) * c.layout.columns + x
            place = place * c.panel + v * lanes
            b.call(function, [
                address(b, start, source, size), address(b, into, place, dtype.itemsize),
                lift(b, last).v, lift(b, width - x).v, lift(b, g.strides[1]).v,
            ])  # fmt: skip


# The total --------------------------------------------------------------------------------


def _emit_total(module, plan, sink):
    """Write the kernel that adds the parts in order and calls the sink.

    The lanes that the sink gets run along channels of x and taps.
    """
    b, args, chunk, scratch = kernel(module, plan.kernels[-1].name)
    plan = opened(b, args, plan)
    d, c = plan.description, plan.choice
    lanes, dtype, size = c.layout.lanes, d.compute, d.compute.itemsize
    parts = counted(b, args, plan).parts
    group, panel = digits(chunk, (c.groups, c.panels))
    columns = c.columns
    outputs = least(c.results - panel * c.panel, c.panel)
    with loop(b, 0, columns, lanes) as j:
        with loop(b, 0, least(columns - j, lanes)) as i, loop(b, 0, c.vectors) as v:
            place = (chunk * c.rows + j + i) * c.panel + v * lanes
            total = _emit_sum(b, c, parts, address(b, entry(b, args, 2), place, size), dtype)
            store(b, total, address(b, scratch, i * c.panel + v * lanes, size), dtype)
        mask = row_end(b, columns, j, lanes)
        with loop(b, 0, outputs) as o:
            value = load(b, address(b, scratch, o, size), dtype, lanes, mask, c.panel)
            index = (group * c.results + panel * c.panel + o, j)
            sink(b, args, [lift(b, i).v for i in index], value, mask)
    b.ret_void()


def _emit_sum(b, c, parts, pointer, dtype):
    """The sum over the parts of the vectors at ``pointer``."""
    zero = constant(b, 0, dtype, c.layout.lanes)

    def add(part, sums):
        place = address(b, pointer, part * c.partial, dtype.itemsize)
        return [sums[0] + load(b, place, dtype, c.layout.lanes)]

    return carried(b, 0, parts, [zero], add)[0]
