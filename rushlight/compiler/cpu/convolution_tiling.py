"""How a sum of shifted images is cut: tiles, blocks of channels, strips of rows, chunks.

The cut depends on the sizes and the target, by an estimate of cycles, and never on the number of
threads.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, prod

from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.image_shifts import Shifts, shifts_of
from rushlight.compiler.cpu.image_strips import Layout, round_up
from rushlight.compiler.cpu.microkernel import Tile
from rushlight.compiler.plan.pieces import share
from rushlight.locks import cached_property

__all__ = ["ConvolutionTiling", "cheapest"]


@dataclass
class ConvolutionTiling:
    """How the work of a convolution (or of its input gradient) is cut.

    A unit of work computes ``panels`` panels of result channels for one strip. A strip is some rows
    of one image, or several whole images; see :class:`Layout`. A unit takes the source in blocks of
    channels.
    """

    layout: Layout
    groups: int
    inputs: int  # the channels of a group that are summed
    results: int  # the channels of a group's result
    tile: Tile
    panels: int  # the panels of a unit; a panel has a tile's rows, each a result channel
    block: int  # the channels that are laid out in scratch memory at a time
    counts: tuple  # units along: image blocks, groups, blocks of panels, strips in three dims

    @cached_property
    def all_panels(self):
        """The number of panels of a group."""
        return ceil(self.results / self.tile.rows)

    @cached_property
    def panel(self):
        """The number of elements of a packed panel."""
        return self.inputs * self.layout.shifts.size * self.tile.rows

    @cached_property
    def packed_at_once(self):
        """The number of panels that a chunk packs."""
        return max(1, costs.PACKED // max(self.panel, 1))

    @property
    def width(self):
        """The elements from one row of sums to the next."""
        return round_up(self.layout.run, self.tile.columns * self.layout.lanes)

    @property
    def columns(self):
        """The number of tiles side by side in a row of sums."""
        return self.width // (self.tile.columns * self.layout.lanes)

    @property
    def tile_rows(self):
        return self.tile.rows

    @property
    def tile_columns(self):
        return self.tile.columns

    @cached_property
    def gapless(self):
        """Whether each phase has taps."""
        return all(self.layout.shifts.taps(0, 0))

    @cached_property
    def fetched(self):
        """The channels of images that are fetched ahead with each tile of a unit."""
        tiles = len(self.layout.shifts.phases) * self.columns * self.panels
        return ceil(self.layout.images * self.block / tiles)

    @property
    def blocks(self):
        """The number of blocks of channels; 1 even if there are no channels."""
        return max(1, ceil(self.inputs / self.block))

    @cached_property
    def source(self):
        """The elements of scratch that the laid-out source takes."""
        slack = (self.tile.columns + 2) * self.layout.lanes
        return round_up(self.block * self.layout.channel + slack, self.layout.lanes)

    @cached_property
    def sums(self):
        """The elements of scratch that the sums of one phase take."""
        return self.panels * self.tile.rows * self.width

    @cached_property
    def per_chunk(self):
        """The number of units in a chunk."""
        units = prod(self.counts)
        return share(units, units * self.cycles, costs.CONVOLUTION_CHUNK, 4 * costs.BUSY)

    @cached_property
    def chunks(self):
        """The number of chunks of the kernel."""
        return ceil(prod(self.counts) / self.per_chunk)

    @property
    def cycles(self):
        """The estimated cycles of a unit."""
        shifts, tile, layout = self.layout.shifts, self.tile, self.layout
        _, y, x = shifts.dims
        # A core does two products and two loads in a cycle; a vector that crosses cache lines
        # counts as two loads.
        sums = tile.rows * tile.columns
        step = max(sums / 2, (tile.rows + 2 * tile.columns) / 2, 4)
        tiles = self.panels * self.columns
        cycles = tiles * step * shifts.size * self.inputs
        cycles += tiles * len(shifts.phases) * self.blocks * (20 + 1.5 * sums)
        copied = layout.images * layout.image_rows * ceil(layout.pitch / layout.lanes)
        copied *= self.inputs * len(shifts.slices) * len(shifts.planes)
        cycles += copied * (3 if x.step == 1 else 4 * x.step if x.step <= 4 else 30)
        rows = self.panels * tile.rows * layout.images * layout.rows * y.spread
        vectors = ceil(layout.columns * x.spread / layout.lanes)
        cycles += rows * vectors * (4 if x.spread == 1 else 25)
        return cycles

    @property
    def shares(self):
        """The number of units of a block of images."""
        return prod(self.counts[1:])

    def cost(self, batch):
        """The estimated cost of ``batch`` images; idle threads among ``BUSY`` make it higher."""
        units = ceil(batch / self.layout.images) * self.shares
        return self.cycles * units * (ceil(units / costs.BUSY) * costs.BUSY / units) ** 0.5


def cheapest(d, target):
    """The cut of a description with the lowest estimated cost on a target."""
    counts = None if d.batch == 1 else d.counts_at  # all code for one image is cut alike
    return _cheapest(replace(d, flat=False, counts_at=counts, sizes_at=None), target)


@lru_cache(maxsize=256)
def _cheapest(d, target):
    channels, outputs = d.channels // d.groups, d.outputs // d.groups
    inputs, results = (channels, outputs) if d.form == "result" else (outputs, channels)
    lanes = target.lanes(d.compute)
    tiles = [
        Tile(rows, vectors, lanes, d.compute, target.fma)
        for rows, vectors in _tiles(target, results)
    ]
    cuts = [
        _cut(d, target, inputs, results, layout, tile)
        for layout in _layouts(d, shifts_of(d), lanes)
        for tile in tiles
    ]
    most = target.l2 // 4 // d.compute.itemsize
    if d.counts_at is None or d.batch == 1:
        return min(cuts, key=lambda cut: (cut.layout.channel > most, cut.cost(d.batch)))
    # The code is for numbers of images about ``d.batch``: the mean cost of an image counts.
    batches = sorted({ceil(d.batch * n / 4) for n in (2, 3, 4, 5, 6)})
    cost = lambda cut: sum(cut.cost(n) / n for n in batches)
    return min(cuts, key=lambda cut: (cut.layout.channel > most, cost(cut)))


def _tiles(target, results):
    """Yield (rows, vectors) of tiles that fit the registers.

    The results are divided evenly among panels, so that the last panel is nearly full.
    """
    for vectors in range(1, 9):
        most = (target.registers - 1 - vectors) // vectors
        if most:
            yield ceil(results / ceil(results / most)), vectors
        elif results == 1 and vectors < target.registers:
            yield 1, vectors


def _layouts(d, shifts, lanes):
    """Yield layouts: strips of a plane's rows, and blocks of several images if they are small."""
    z, y, x = shifts.dims
    pieces = ceil(x.count / (64 * lanes))
    columns = x.count if pieces < 3 else round_up(ceil(x.count / pieces), 12 * lanes)
    for wide in (x, x.apart()) if x.reach else (x,):
        for rows in sorted({ceil(y.count / n) for n in range(1, y.count + 1)}):
            yield Layout(Shifts((z, y, wide)), 1, rows, columns, lanes)
        for high in (y, y.apart()) if y.reach and wide is not x else (y,):
            images = 2
            while images <= d.batch and images * y.count * x.count <= 96 * lanes:
                yield Layout(Shifts((z, high, wide)), images, y.count, x.count, lanes)
                images *= 2


def _cut(d, target, inputs, results, layout, tile):
    """The cut into such tiles, with blocks that fit the caches."""
    rows, vectors = tile.rows, tile.columns
    panels = ceil(results / rows)
    width = round_up(layout.run, vectors * layout.lanes) * len(layout.shifts.phases)
    part = max(1, min(panels, target.l2 // 4 // d.compute.itemsize // (width * rows)))
    part = ceil(panels / ceil(panels / part))
    counts = ceil(d.batch / layout.images), d.groups, ceil(panels / part), *layout.strips
    block = _block(target, layout, tile, inputs)
    return ConvolutionTiling(layout, d.groups, inputs, results, tile, part, block, counts)


def _block(target, layout, tile, inputs):
    """The number of channels in a block.

    The source elements that a tile reads, and the tile's panel of weights, must fit the first-level
    cache together.
    """
    shifts, size = layout.shifts, tile.dtype.itemsize
    _, y, x = shifts.dims
    vectors = (tile.columns + 1) * layout.lanes + x.reach
    met = min((1 + y.reach) * vectors, vectors + y.reach * layout.pitch)
    met = (met * len(shifts.slices) * len(shifts.planes) + shifts.size * tile.rows) * size
    most = max(1, min(int(target.l1 * 0.7) // met, target.l2 // 4 // (layout.channel * size)))
    return ceil(inputs / ceil(inputs / most)) if inputs else 1
