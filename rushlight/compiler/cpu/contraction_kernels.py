"""The kernels of a contraction: one packs operands ahead, the other computes blocks of sums.

``contraction_tiling`` has decided before how the contraction is cut.
"""

from dataclasses import replace
from math import prod

import numpy as np

from rushlight.compiler.codegen.emission import OPEN
from rushlight.compiler.codegen.frame import entry, kernel, least
from rushlight.compiler.codegen.loop import address, lift, loop, unravel
from rushlight.compiler.codegen.memory import load, prefix_mask, store
from rushlight.compiler.codegen.value import INT, Value, constant, select
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.microkernel import inner, tile_function
from rushlight.compiler.cpu.packing import Source, pack_left, pack_right, turn_panel

__all__ = ["Storing", "packing_chunks", "write_blocks", "write_packing"]


class Storing:
    """A sink that stores results at ``args[position]``.

    ``strides`` are the element strides of the batch dims, of m and of n.
    """

    def __init__(self, position, dtype, strides, offset=0):
        self.position, self.dtype, self.strides = position, np.dtype(dtype), tuple(strides)
        self.offset = offset

    def __call__(self, b, args, batch, m, n, value, mask):
        at = self.place(b, args, [Value(b, i, INT) for i in (*batch, m, n)])
        store(b, value, at, self.dtype, mask, self.strides[-1])

    def place(self, b, args, indices):
        """The address of the result at ``indices``."""
        at = self.offset
        for index, stride in zip(indices, self.strides, strict=True):
            at = lift(b, index) * stride + at
        return address(b, entry(b, args, self.position), at, self.dtype.itemsize)

    def takes(self, cut):
        """Whether the tiles of ``cut``, a :class:`Blocking`, can be stored directly and whole."""
        tile = cut.tile
        whole = cut.columns % tile.lanes == 0 and (cut.overlapping or cut.rows % tile.rows == 0)
        plain = cut.method == "outer" and not cut.turned and cut.depth and cut.depth_blocks == 1
        return plain and whole and self.dtype == tile.dtype and self.strides[-1] == 1


class _Operands:
    """Both operands at one batch index, and the addresses of their packed copies."""

    def __init__(self, b, cut, args, batch):
        self.b, self.cut, self.batch = b, cut, batch
        self.indices = indices = unravel(b, batch, cut.batch)
        self.left, self.right = [
            Source(b, operand, cut.tile.dtype, args, entry(b, args, operand.arg), indices)
            for operand in (cut.left, cut.right)
        ]
        self.depth = cut.depth
        if cut.last_depth != cut.depth:
            last = lift(b, indices[0]) == cut.batch[0] - 1
            self.depth = select(last, lift(b, cut.last_depth), lift(b, cut.depth))
        following = iter(range(cut.before, cut.before + 2))
        self.ahead = [
            entry(b, args, next(following)) if when == "ahead" else None
            for when in (cut.pack_left, cut.pack_right)
        ]

    def span(self, p):
        """The first step of block ``p`` of the depth, and the number of its steps."""
        cut = self.cut
        if cut.depth_blocks == 1:
            return 0, self.depth
        start = p * cut.depth_block
        return start, least(lift(self.b, self.depth) - start, cut.depth_block)

    def left_ahead(self, p, group):
        cut = self.cut
        groups = (self.batch * cut.depth_blocks + p) * cut.grid[1] + group
        return address(self.b, self.ahead[0], groups * cut.left_size, self._itemsize)

    def right_ahead(self, p, tile):
        cut = self.cut
        tiles = (self.batch * cut.depth_blocks + p) * cut.tiles[1] + tile
        return address(self.b, self.ahead[1], tiles * cut.right_step, self._itemsize)

    @property
    def _itemsize(self):
        return self.cut.tile.dtype.itemsize


# Packing ahead ----------------------------------------------------------------------------


def packing_chunks(cut, batch=None):
    """The number of chunks that pack the left operand, and of those that pack the right one.

    ``batch``: the number of batch indices if it is not that of ``cut``.
    """
    each = (prod(cut.batch) if batch is None else batch) * cut.depth_blocks
    groups = -(-cut.tiles[1] // _packed_tiles(cut))
    return (
        each * cut.grid[1] if cut.pack_left == "ahead" else 0,
        each * groups if cut.pack_right == "ahead" else 0,
    )


def _packed_tiles(cut):
    """The number of tiles of the right operand that a chunk packs."""
    return max(1, costs.PACKED // (cut.width * cut.depth_block))


def write_packing(module, name, cut, batch=None):
    """Add the kernel that packs operands ahead of the kernel that computes.

    A chunk packs the rows of one block of the left operand, or some tiles of the right operand.
    ``batch``: see ``write_blocks``.
    """
    b, args, chunk, _ = kernel(module, name)
    left, right = packing_chunks(cut)
    if left and right:
        if batch is not None:
            left, _ = packing_chunks(cut, batch(b, args))
        with b.if_else((chunk < left).v) as (then, otherwise):
            with then:
                _pack_rows(b, cut, args, chunk)
            with otherwise:
                _pack_columns(b, cut, args, chunk - left)
    elif left:
        _pack_rows(b, cut, args, chunk)
    else:
        _pack_columns(b, cut, args, chunk)
    b.ret_void()


def _pack_rows(b, cut, args, chunk):
    batch, p, group = _numbers(b, chunk, (prod(cut.batch), cut.depth_blocks, cut.grid[1]))
    operands = _Operands(b, cut, args, batch)
    first, count = _share(group, cut.row_tiles, cut.tiles[0])
    to = operands.left_ahead(p, group)
    pack_left(operands.left, cut, to, first, count, *operands.span(p))


def _pack_columns(b, cut, args, chunk):
    tiles = _packed_tiles(cut)
    groups = -(-cut.tiles[1] // tiles)
    batch, p, group = _numbers(b, chunk, (prod(cut.batch), cut.depth_blocks, groups))
    operands = _Operands(b, cut, args, batch)
    first, count = _share(group, tiles, cut.tiles[1])
    with loop(b, 0, count) as j:
        tile = first + j
        pack_right(operands.right, cut, operands.right_ahead(p, tile), tile, *operands.span(p))


# Computing --------------------------------------------------------------------------------


def write_blocks(module, name, cut, sink, batch=None):
    """Add the kernel whose chunks compute blocks of ``cut``, a :class:`Blocking`, for ``sink``.

    ``batch``: a function of (builder, args) that gives the number of batch indices, if it is known
    only at run time.
    """
    b, args, chunk, scratch = kernel(module, name)
    group, down, across = _numbers(b, chunk, cut.grid if batch is None else (OPEN, *cut.grid[1:]))
    direct = sink if isinstance(sink, Storing) and sink.takes(cut) else None
    block = _Block(b, cut, args, scratch, down, across, direct)
    first, count = _share(group, cut.batches, prod(cut.batch) if batch is None else batch(b, args))
    with loop(b, 0, count) as i:
        index = first + i
        block.compute(_Operands(b, cut, args, index))
        if direct is None:
            block.drain(sink, [lift(b, n).v for n in unravel(b, index, cut.batch)])
    b.ret_void()


class _Block:
    """Writes the computation of one block of sums.

    The sums are kept in scratch memory. If ``direct``, a :class:`Storing`, is given, they go
    straight to the result's memory.
    """

    def __init__(self, b, cut, args, scratch, down, across, direct):
        self.b, self.cut, self.args, self.direct = b, cut, args, direct
        self.itemsize = cut.tile.dtype.itemsize
        parts, offset = [], 0
        for size in cut.scratch:
            parts.append(address(b, scratch, offset))
            offset += size
        self.packed_left, self.packed_right, self.sums, self.turned = parts
        self.group = down
        self.first_row, self.row_tiles = _share(down, cut.row_tiles, cut.tiles[0])
        self.first_column, self.column_tiles = _share(across, cut.column_tiles, cut.tiles[1])

    def compute(self, operands):
        """Fill the block with the sums of one batch index."""
        b, cut = self.b, self.cut
        self.operands = operands
        if not cut.depth:
            self._clear()
        elif cut.method == "inner":
            with loop(b, 0, self.row_tiles) as i, loop(b, 0, self.column_tiles) as j:
                self._inner_tile(i, j)
        else:
            with loop(b, 0, cut.depth_blocks) as p:
                self._outer_tiles(p)

    def _clear(self):
        b, tile = self.b, self.cut.tile
        zeros = constant(b, 0, tile.dtype, tile.lanes)
        rows, pitch = self.cut.block
        with loop(b, 0, rows * pitch, tile.lanes) as i:
            store(b, zeros, address(b, self.sums, i, self.itemsize), tile.dtype)

    def _row(self, i):
        """The first row of the ``i``-th tile of this chunk."""
        row = (self.first_row + i) * self.cut.tile.rows
        return least(row, self.cut.rows - self.cut.tile.rows) if self.cut.overlapping else row

    def _column(self, j):
        column = (self.first_column + j) * self.cut.width
        last = self.cut.columns - self.cut.width
        return least(column, last) if self.cut.method == "inner" else column

    def _place(self, row, column):
        """The address of the sum of a row and a column."""
        if self.direct is not None:
            return self.direct.place(self.b, self.args, (*self.operands.indices, row, column))
        offset = (row - self._row(0)) * self.cut.block[1] + (column - self._column(0))
        return address(self.b, self.sums, offset, self.itemsize)

    def _inner_tile(self, i, j):
        b, cut = self.b, self.cut
        row, column = self._row(i), self._column(j)
        lanes, (left, right) = cut.tile.lanes, (self.operands.left, self.operands.right)

        def step(k, mask):
            return (
                lambda i: left.vector(row + i, k, lanes, mask),
                lambda j: right.vector(column + j, k, lanes, mask),
            )

        sums = inner(b, cut.tile, self.operands.depth, step)
        place = self._place(row, column)
        for n, x in enumerate(sums):
            i, j = divmod(n, cut.tile.columns)
            store(b, x, address(b, place, i * cut.block[1] + j, self.itemsize), cut.tile.dtype)

    def _outer_tiles(self, p):
        b, cut, operands = self.b, self.cut, self.operands
        start, size = operands.span(p)
        packed = operands.left_ahead(p, self.group) if cut.pack_left == "ahead" else None
        if cut.pack_left == "chunk":
            packed = self.packed_left
            pack_left(operands.left, cut, packed, self.first_row, self.row_tiles, start, size)
        with loop(b, 0, self.column_tiles) as j:
            tile = self.first_column + j
            if cut.pack_right == "chunk":
                pack_right(operands.right, cut, self.packed_right, tile, start, size)
                right = self.packed_right
            elif cut.pack_right == "ahead":
                right = operands.right_ahead(p, tile)
            else:
                right = operands.right.place(self._column(j), start)
            with loop(b, 0, self.row_tiles) as i:
                if packed is None:
                    left = operands.left.place(self._row(i), start)
                else:
                    left = address(b, packed, i * cut.left_step, self.itemsize)
                place = self._place(self._row(i), self._column(j))
                self._call(tile, [left, right, place, lift(b, size).v, (lift(b, p) != 0).v])

    def _call(self, tile, args):
        """Call the function that computes a tile.

        The last tile across may have fewer columns, so it may have a function of its own.
        """
        b, cut = self.b, self.cut
        most, last = self._functions()
        if last is most:
            b.call(most, args)
            return
        with b.if_else((lift(b, tile) == cut.tiles[1] - 1).v) as (then, otherwise):
            with then:
                b.call(last, args)
            with otherwise:
                b.call(most, args)

    def _functions(self):
        cut, lanes = self.cut, self.cut.tile.lanes
        left = cut.left.side, cut.left.depth
        if cut.pack_left:
            left = (cut.left_pitch, 1) if cut.left.axis == "depth" else (1, cut.left_pitch)
        right = cut.width if cut.pack_right else cut.right.depth
        pitch = cut.block[1] if self.direct is None else self.direct.strides[-2]
        layout = left, right, pitch, cut.depth_blocks > 1
        rest = cut.columns - (cut.tiles[1] - 1) * cut.width
        tile = replace(cut.tile, columns=-(-rest // lanes))
        partial = 0 if cut.pack_right else rest % lanes
        last = tile_function(self.b.module, tile, partial, *layout)
        if cut.tiles[1] == 1:
            return last, last
        return tile_function(self.b.module, cut.tile, 0, *layout), last

    # The result ---------------------------------------------------------------------------

    def drain(self, sink, batch):
        """Pass the finished sums to ``sink``, vector by vector."""
        b, cut, lanes = self.b, self.cut, self.cut.tile.lanes
        rows = _span(self.first_row, self.row_tiles, cut.tile.rows, cut.rows)
        columns = _span(self.first_column, self.column_tiles, cut.width, cut.columns)
        row, column = self._row(0), self._column(0)
        sums, pitch = self.sums, cut.block[1]
        if cut.turned:
            self._turn()
            sums, pitch = self.turned, cut.block[0]
            rows, columns, row, column = columns, rows, column, row
        ragged = self._ragged()
        with loop(b, rows[0], rows[1]) as m, loop(b, columns[0], columns[1], lanes) as n:
            mask = prefix_mask(b, lift(b, columns[1] - n).v, lanes) if ragged else None
            at = address(b, sums, (m - row) * pitch + (n - column), self.itemsize)
            value = load(b, at, cut.tile.dtype, lanes)
            sink(b, self.args, batch, lift(b, m).v, lift(b, n).v, value, mask)

    def _ragged(self):
        """Whether some vectors of the result are only partly filled."""
        cut, lanes = self.cut, self.cut.tile.lanes
        if cut.turned:
            total, size, chunks = cut.rows, cut.row_tiles * cut.tile.rows, cut.grid[1]
        else:
            total, size, chunks = cut.columns, cut.column_tiles * cut.width, cut.grid[2]
        return total % lanes != 0 or (chunks > 1 and size % lanes != 0)

    def _turn(self):
        b, (rows, pitch), tile = self.b, self.cut.block, self.cut.tile
        sums = lambda r, c: address(b, self.sums, r * pitch + c, self.itemsize), pitch
        turn_panel(b, None, rows, pitch, (None, None), sums, self.turned, rows, tile)


def _numbers(b, chunk, counts):
    """``unravel``, but with the Python number 0 for each count of 1."""
    found = iter(unravel(b, chunk, [n for n in counts if n > 1]))
    return [next(found) if n > 1 else 0 for n in counts]


def _share(index, size, total):
    """The first item and the number of items in group ``index``.

    ``total`` items form groups of ``size``; the last group may be smaller.
    """
    first = index * size
    even = size == 1 or (isinstance(total, int) and total % size == 0)
    return first, size if even else least(total - first, size)


def _span(first, count, size, total):
    """The start and end of the rows that ``count`` tiles from tile ``first`` on cover."""
    return first * size, least((first + count) * size, total)
