"""Kernels of convolution and of its input gradient: products of shifted images, without im2col.

The weight is packed in panels of a few result channels. Each unit of work copies a strip of the
source's rows to scratch memory, padded and divided into planes (``image_shifts``). For any stride,
padding and dilation, a tap's operand is then a vector at a fixed offset. ``shifted_product`` sums
over channels and taps. The sums go to the sink row by row.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from math import ceil, prod
from typing import Any, NamedTuple

from llvmlite import ir

from rushlight.compiler.codegen.emission import OPEN, Launch, Plan
from rushlight.compiler.codegen.emission import opened as with_open_counts
from rushlight.compiler.codegen.frame import (
    array,
    below,
    counted,
    digits,
    entry,
    kernel,
    least,
    lookup,
    quotient,
    row_end,
    tail,
)
from rushlight.compiler.codegen.loop import address, lift, loop
from rushlight.compiler.codegen.memory import gather, load, store
from rushlight.compiler.codegen.value import INT, Value, constant, splat
from rushlight.compiler.codegen.value import lift as as_value
from rushlight.compiler.cpu.convolution_tiles import PRODUCT, shifted_product, write_product
from rushlight.compiler.cpu.convolution_tiling import cheapest
from rushlight.compiler.cpu.image_strips import existing, fetch_ahead, lay_out, round_up
from rushlight.compiler.cpu.open_sizes import (
    Sizes,
    arrays_of_images,
    number,
    opened,
    same_of_images,
    sizes_of_images,
    structure_of,
)  # fmt: skip
from rushlight.compiler.cpu.target import CHECKED
from rushlight.compiler.cpu.weight_packing import (
    channels_of,
    order_of,
    packed_place,
    phases_of,
    way,
    write_packing,
)  # fmt: skip

__all__ = ["emit", "plan", "resized"]

# Plans ------------------------------------------------------------------------------------


class _Counts(NamedTuple):
    images: Any
    units: Any
    per_chunk: Any


def plan(d, target, name):
    """As ``convolution.plan``."""
    return _planned(d, target, name, cheapest(d, target))


def resized(plan, images):
    """As ``convolution.resized``."""
    d, c = replace(plan.description, batch=images), plan.choice
    cut = replace(c, counts=(ceil(images / c.layout.images), *c.counts[1:]))
    return _planned(d, plan.target, plan.kernels[1].name, cut)


def _planned(d, target, name, cut):
    size = d.compute.itemsize
    panels = d.groups * cut.all_panels
    scratch = (cut.source + cut.sums * len(cut.layout.shifts.phases)) * size
    kernels = (
        Launch(f"{name}_pack", ceil(panels / cut.packed_at_once), 0),
        Launch(name, cut.chunks, scratch),
    )
    counts = _Counts(d.batch, prod(cut.counts), cut.per_chunk)
    found = Plan(d, target, kernels, (max(panels * cut.panel, 1) * size,), cut, counts)
    return found if d.sizes_at is None else replace(found, sizes=_sizes(found))


_NAMES = (
    *[f"description.weight_strides[{k}]" for k in range(3)],
    *[f"choice.{name}" for name in (
        "groups", "inputs", "results", "panels", "all_panels", "packed_at_once", "block", "blocks",
        "width", "columns", "source", "sums", "fetched", "tile_rows", "tile_columns",
    )],
    *[f"choice.counts[{k}]" for k in range(1, 6)],
)  # fmt: skip


def _sizes(plan):
    """The :class:`Sizes` of a plan for many shapes."""
    d, c = plan.description, plan.choice
    shifts, fixed = c.layout.shifts, {"choice.counts[0]": OPEN}
    kept = ["choice.groups", "choice.counts[3]", "choice.counts[5]"]
    names = [*_NAMES, *sizes_of_images(d, c.layout, fixed)]
    fixed |= {name: 1 for name in kept if number(plan, name) == 1}
    taps = c.layout.taps()
    arrays = {
        "offsets": [place for phase in taps for _, place in phase],
        "first taps": [sum(map(len, taps[:i])) for i in range(len(taps))],
        "numbers of taps": [*map(len, taps)],
        "order": order_of(d, taps),
        **arrays_of_images(c.layout),
    }
    if shifts.dims[2].spread > 1:
        arrays["places"] = _places(c)
    structure = structure_of(d, c.layout), c.gapless
    return Sizes(plan, names, fixed, arrays, structure, same_of_images(d))


def _places(c):
    """The place of each column of a row of results among the sums, if phases lie apart."""
    x, layout = c.layout.shifts.dims[2], c.layout
    length = x.result if layout.whole else layout.columns * x.spread
    columns = range(round_up(length, layout.lanes))
    return [i % x.spread * c.sums + i // x.spread for i in columns]


def parts(plan):
    """(key, module) of each piece of code that a plan for many shapes calls by its address.

    The first is the innermost loop, the second the kernel that packs the weight. Both depend on the
    tile. A module is made by a call.
    """
    d, c = plan.description, plan.choice
    copy, tile = way(plan), f"{c.tile.rows}x{c.tile.columns} {c.tile.lanes} {d.compute}"
    known = (c.layout.shifts.taps(0, 0), d.weight_places) if copy == "taps" else ()

    def packing():
        module = ir.Module("packing")
        write_packing(module, "part", plan)
        module.simple = True
        return module

    def product():
        module = ir.Module("product")
        write_product(module, "part", c.tile)
        module.simple = True
        return module

    return [
        (f"product {tile}", product),
        (f"packing {c.tile.rows} {copy} {known} {plan.sizes.key}", packing),
    ]


def _product(b, plan, args):
    """The function of the innermost loop, to be called."""
    if plan.sizes is None:
        return shifted_product(b.module, plan.choice.tile)
    place = address(b, args, plan.description.sizes_at + 1, 8)
    return b.inttoptr(b.load(place, typ=ir.IntType(64)), PRODUCT.as_pointer())


# The product ------------------------------------------------------------------------------


def emit(module, plan, sink):
    """As ``convolution.emit``."""
    plan = with_open_counts(plan)
    if plan.sizes is None:
        write_packing(module, plan.kernels[0].name, plan)
    b, args, chunk, scratch = kernel(module, plan.kernels[1].name)
    plan = opened(b, args, plan)
    c = plan.choice
    sums = address(b, scratch, c.source * plan.description.compute.itemsize)
    n = counted(b, args, plan)
    start = chunk * n.per_chunk
    end = least(start + n.per_chunk, n.units)
    with loop(b, start * c.blocks, end * c.blocks) as step:
        *where, block = digits(step, (*c.counts, c.blocks))
        _emit_sums(b, plan, args, scratch, sums, step, n.images)
        if isinstance(c.blocks, int) and c.blocks == 1:
            _emit_results(b, plan, args, sums, where, n.images, sink)
        else:
            with b.if_then((block == c.blocks - 1).v):
                _emit_results(b, plan, args, sums, where, n.images, sink)
    b.ret_void()


def _emit_sums(b, plan, args, scratch, sums, step, batch):
    """Add a block of channels to the sums of a unit, tile by tile; ``batch``: all images."""
    d, c = plan.description, plan.choice
    dtype, layout, size = d.compute, c.layout, d.compute.itemsize
    x, packed = entry(b, args, 0), entry(b, args, len(d.strides))
    phases = len(layout.shifts.phases)
    firsts, counts = phases_of(b, c, () if plan.sizes else layout.taps())
    offsets = array(b, c, "offsets", lambda: [at for phase in layout.taps() for _, at in phase])
    product = _product(b, plan, args)
    image, group, part, t, block = _source(c, step)
    channels = channels_of(c, block)
    source = (image, group * c.inputs + block * c.block)
    images = d.images(count=batch)
    lay_out(b, layout, images, x, scratch, dtype, source, channels, t)
    columns = _columns(b, c, existing(layout, batch, image))
    panels = least(c.all_panels - part * c.panels, c.panels)
    fresh = as_value(b, block == 0)
    ahead = _ahead(c, step + 1, images)
    with loop(b, 0, phases) as phase:
        first, count = lookup(b, firsts, phase), lookup(b, counts, phase)
        with loop(b, 0, columns) as j, loop(b, 0, panels) as p:
            turn = (phase * c.columns + j) * c.panels + p
            fetch_ahead(b, images, x, ahead, (turn, None), c.fetched)
            weights = packed_place(c, (group, block, part * c.panels + p), channels, first)
            row, column = (phase * c.panels + p) * c.tile_rows, j * (c.tile_columns * layout.lanes)
            into = address(b, sums, row * c.width + column, size)
            with _unless_empty(b, c, count, into):
                b.call(product, [
                    address(b, packed, weights, size), address(b, scratch, column, size), into,
                    lift(b, channels).v, lift(b, layout.channel).v, lift(b, c.width).v,
                    address(b, offsets, first, 8), lift(b, count).v, fresh.v,
                ])  # fmt: skip


def _columns(b, c, images):
    """The number of tiles side by side that ``images`` images of a strip need."""
    layout, width = c.layout, c.tile_columns * c.layout.lanes
    if isinstance(images, int):
        return c.columns
    saved = (layout.images - images) * (layout.image_rows * layout.pitch)
    return quotient(b, layout.run - saved + (width - 1), width)


@contextmanager
def _unless_empty(b, c, count, into):
    """The ``with`` block's code runs if there is something to sum.

    Otherwise the tile at ``into`` is cleared.
    """
    some = isinstance(c.inputs, Value) or bool(c.inputs)
    if some and c.gapless:
        yield
        return
    something = lift(b, count) > 0 if some else as_value(b, False)
    zero, tile = constant(b, 0, c.tile.dtype, c.tile.lanes), c.tile
    with b.if_else(something.v) as (then, otherwise):
        with then:
            yield
        with otherwise, loop(b, 0, c.tile_rows) as i, loop(b, 0, c.tile_columns) as j:
            place = address(b, into, i * c.width + j * tile.lanes, tile.dtype.itemsize)
            store(b, zero, place, tile.dtype)


def _stores_some_lanes(plan):
    """Whether the processor has a store of some lanes that fits the results; see ``Prefix``."""
    d, wide = plan.description, plan.target.vector_bytes >= 32 and not CHECKED
    return wide and plan.choice.layout.lanes > 1 and d.dtype.kind == "f" and d.dtype.itemsize >= 4


def _source(c, step):
    """The parts of a step: first image, group, block of panels, first t, block of channels."""
    image, group, part, *strip, block = digits(step, (*c.counts, c.blocks))
    return image * c.layout.images, group, part, c.layout.start(strip), block


def _ahead(c, step, images):
    """The first element and the extent of the source that a later step reads.

    They have the form of ``wanted`` in ``fetch_ahead``.
    """
    image, group, _, t, block = _source(c, step)
    place, size = c.layout.met(t, images)
    return (image, group * c.inputs + block * c.block), place, (c.layout.images, c.block), size


def _emit_results(b, plan, args, sums, where, batch, sink):
    """Pass the results of a unit to the sink, row by row."""
    d, c = plan.description, plan.choice
    layout = c.layout
    z, y, _ = layout.shifts.dims
    image, group, part, *strip = where
    depth, row, column = layout.start(strip)
    first = part * (c.panels * c.tile_rows)
    channels = least(c.results - first, c.panels * c.tile_rows)
    images = 1
    if not layout.single or isinstance(batch, int):  # see ``lay_out``
        images = least(batch - image * layout.images, layout.images)
    steps = least(y.count - row, layout.rows)
    with loop(b, 0, channels) as o:
        channel = group * c.results + first + o
        bias = _bias(b, d, args, channel)
        with loop(b, 0, images) as i, loop(b, 0, z.spread) as pz:
            row_z = depth * z.spread + pz
            with loop(b, 0, steps) as t, loop(b, 0, y.spread) as py:
                row_y = (row + t) * y.spread + py
                line = ((pz * y.spread + py) * layout.shifts.dims[2].spread) * c.sums
                line = line + o * c.width + (i * layout.image_rows + t) * layout.pitch
                line = address(b, sums, line, d.compute.itemsize)
                index = (image * layout.images + i, channel, row_z, row_y)
                index = index[:2] + index[5 - len(d.size) :]
                exists: Any = nullcontext()
                if z.spread * y.spread > 1:  # some phases have fewer rows than others
                    exists = below(b, row_z, z.result) & below(b, row_y, y.result)
                    exists = b.if_then(exists.v)
                with exists:
                    _emit_row(b, plan, args, line, index, column, bias, sink)


def _bias(b, d, args, channel):
    if len(d.strides) < 3:
        return None
    place = channel * d.strides[2][0]
    return load(b, address(b, entry(b, args, 2), place, d.dtype.itemsize), d.dtype)


def _emit_row(b, plan, args, sums, index, column, bias, sink):
    """Pass the row of results at ``sums`` to the sink, a vector at a time."""
    d, c = plan.description, plan.choice
    width, lanes, dtype = c.layout.shifts.dims[2], c.layout.lanes, d.compute
    length = width.result if c.layout.whole else c.layout.columns * width.spread
    places = None
    if width.spread > 1:  # phases lie apart, so a table has the place of each column
        places = array(b, c, "places", lambda: _places(c))
    with loop(b, 0, length, lanes) as i:
        x = column * width.spread + i
        if c.layout.whole:
            mask = row_end(b, length, i, lanes)
        else:
            mask = tail(b, least(length - i, width.result - x), lanes)
        if plan.sizes is not None:
            mask.at_once = _stores_some_lanes(plan)
        if places is not None:
            found = load(b, address(b, places, i, 8), INT, lanes)
            value = gather(b, sums, found, dtype)
        else:
            value = load(b, address(b, sums, i, dtype.itemsize), dtype, lanes)
        if bias is not None:
            value = value + splat(bias, lanes)
        sink(b, args, [lift(b, v).v for v in (*index, x)], value, mask)
