"""Operands of a contraction, and packing: copies of their blocks in the order that tiles read.

An element of an operand has two indices: its place on the *side* (the row of a left operand, the
column of a right one) and its *depth*, the index that is summed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.frame import least, tail
from rushlight.compiler.codegen.loop import address, lift, loop
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import internal_function
from rushlight.compiler.codegen.value import INT, Value, constant, ir_type, select, splat
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.microkernel import transposed

__all__ = ["Matrix", "Operand", "Source", "pack_left", "pack_right", "turn_panel", "whole"]


_PTR, _I64 = ir.PointerType(), ir.IntType(64)


@dataclass(frozen=True)
class Matrix:
    """How an operand lies in memory: its element strides, which may be 0 or negative.

    An operand with ``fetch`` is not in memory. ``fetch(b, args, batch, row, column, lanes, mask)``
    computes ``lanes`` consecutive columns as a Value; the indices are int64 LLVM values.
    """

    dtype: np.dtype
    batch: tuple[int, ...] = ()
    row: int = 0
    column: int = 0
    fetch: Callable | None = None


@dataclass(frozen=True)
class Operand:
    """A matrix in its role in a contraction: the strides of its side and of its depth.

    Attributes:
        axis: ``"side"`` or ``"depth"``: the direction of the vectors that are read.
        arg: The place of its address among the kernels' ``args``.
    """

    matrix: Matrix
    side: int
    depth: int
    axis: str
    arg: int

    @classmethod
    def first(cls, matrix, arg):
        """``matrix`` as the first factor of a product: its columns are summed."""
        return cls(matrix, matrix.row, matrix.column, "depth" if _by_row(matrix) else "side", arg)

    @classmethod
    def second(cls, matrix, arg):
        """``matrix`` as the second factor: its rows are summed."""
        return cls(matrix, matrix.column, matrix.row, "side" if _by_row(matrix) else "depth", arg)

    @property
    def along_depth(self):
        """Whether the operand lies in memory and is contiguous along its depth."""
        return self.matrix.fetch is None and self.depth == 1

    @property
    def stride(self):
        """The stride along its axis."""
        return self.side if self.axis == "side" else self.depth

    def plain(self, dtype):
        """Whether the operand lies in memory in ``dtype``, so that no copy is needed."""
        return self.matrix.fetch is None and self.matrix.dtype == dtype


def _by_row(matrix):
    """Whether vectors are read along rows: always, unless only columns are contiguous."""
    return matrix.fetch is not None or matrix.column == 1 or matrix.row != 1


class Source:
    """Writes the reads of an operand at one batch index."""

    def __init__(self, b, operand, dtype, args, pointer, batch):
        self.b, self.operand, self.dtype, self.args = b, operand, dtype, args
        self.itemsize = operand.matrix.dtype.itemsize
        self.batch = batch
        offset = 0
        if operand.matrix.fetch is None:
            for i, stride in zip(batch, operand.matrix.batch, strict=True):
                offset = i * stride + offset
        self.pointer = address(b, pointer, offset, self.itemsize)

    def place(self, side, depth):
        """The address of an element."""
        offset = side * self.operand.side + depth * self.operand.depth
        return address(self.b, self.pointer, offset, self.itemsize)

    def vector(self, side, depth, lanes, mask=None):
        """``lanes`` elements along the operand's axis; masked-off elements are 0."""
        b, operand = self.b, self.operand
        if operand.matrix.fetch is not None:
            return self._fetched(side, depth, lanes, mask)
        stride = operand.stride
        x = load(
            b,
            self.place(side, depth),
            operand.matrix.dtype,
            lanes,
            mask if stride else None,
            stride,
        )
        x = splat(x.astype(self.dtype), lanes)
        return x if stride else _zeroed(x, mask)

    def _fetched(self, side, depth, lanes, mask):
        b = self.b
        row, column = (side, depth) if self.operand.axis == "depth" else (depth, side)
        row, column, *batch = [lift(b, i).v for i in (row, column, *self.batch)]
        x = self.operand.matrix.fetch(b, self.args, batch, row, column, lanes, mask)
        return _zeroed(splat(x.astype(self.dtype), lanes), mask)


def _zeroed(x, mask):
    return x if mask is None else select(mask, x, constant(x.b, 0, x.dtype, x.lanes))


def copy_panel(b, read, rows, columns, limit, to, pitch, like):
    """Copy vectors ``read(i, j, mask)`` of consecutive j to ``to``, in rows ``pitch`` apart.

    Columns from ``limit`` on cannot be read and become zeros; with None all can be read. ``like``
    is a :class:`Tile` that gives the panel's lanes and dtype.
    """
    with loop(b, 0, rows) as i, loop(b, 0, columns, like.lanes) as j:
        at = address(b, to, i * pitch + j, like.dtype.itemsize)
        store(b, read(i, j, _tail(b, limit, j, like.lanes)), at, like.dtype)


def turn_panel(b, read, rows, columns, limits, source, to, pitch, like):
    """Copy as :func:`copy_panel` does, but transposed, square by square.

    A square has as many rows and columns as a vector has lanes. ``source`` is None or (function
    from a square's row and column to its address, elements from row to row). With a ``source``,
    squares within the ``limits`` of rows and of columns (None: no limit) are transposed straight
    from memory. All other squares are read by ``read``, row by row.
    """
    lanes, size = like.lanes, like.dtype.itemsize
    turn = turn_function(b.module, like)
    with b.goto_entry_block():
        square = b.alloca(ir.ArrayType(ir_type(like.dtype, lanes), lanes))
        square.type = _PTR  # llvmlite gave it a typed pointer, but functions take opaque ones

    def straight(i, j, at):
        place, step = source
        b.call(turn, [place(i, j), _I64(step), at, _I64(pitch)])

    def copied(i, j, at):
        mask = _tail(b, limits[1], j, lanes)
        with loop(b, 0, lanes) as r:
            store(b, read(i + r, j, mask), address(b, square, r * lanes, size), like.dtype)
        b.call(turn, [square, _I64(lanes), at, _I64(pitch)])

    with loop(b, 0, rows, lanes) as i, loop(b, 0, columns, lanes) as j:
        at = address(b, to, j * pitch + i, size)
        edges = [(n, limit) for n, limit in zip((i, j), limits, strict=True) if limit is not None]
        if source is None or not edges:
            (copied if source is None else straight)(i, j, at)
        else:
            inside = [lift(b, limit) >= n + lanes for n, limit in edges]
            with b.if_else((inside[0] & inside[-1]).v) as (then, otherwise):
                with then:
                    straight(i, j, at)
                with otherwise:
                    copied(i, j, at)


def turn_function(module, like):
    """``void turn(ptr from, i64 step, ptr to, i64 pitch)``: write the transpose of a square.

    Rows lie ``step`` elements apart in the source, and ``pitch`` elements in the copy.
    """
    name = f"turn.{like.dtype.char}.{like.lanes}"
    function, b = internal_function(module, name, [_PTR, _I64, _PTR, _I64])
    if b is None:
        return function
    place, step, to, pitch = function.args
    size = like.dtype.itemsize
    rows = []
    for _ in range(like.lanes):
        rows.append(load(b, place, like.dtype, like.lanes))
        place = address(b, place, Value(b, step, INT), size)
    for x in transposed(b, rows):
        store(b, x, to, like.dtype)
        to = address(b, to, Value(b, pitch, INT), size)
    b.ret_void()
    return function


def _tail(b, limit, j, lanes):
    return None if limit is None else tail(b, limit - j, lanes)


def whole(size, lanes):
    """``size``, or None if it is known to be whole vectors."""
    return None if isinstance(size, int) and size % lanes == 0 else size


# Packed operands --------------------------------------------------------------------------


def pack_left(source, cut, to, tile, count, start, size):
    """Pack ``count`` tiles of the left operand, from tile number ``tile`` on, to ``to``.

    The tiles have ``size`` steps from ``start`` on. ``cut`` is the :class:`Blocking`. Rows after
    the operand's last are copies of it or zeros; their sums are never used.
    """
    b, height, lanes = source.b, cut.tile.rows, cut.tile.lanes
    row = tile * height
    if cut.left.axis == "side":
        _interleave(source, cut, to, row, count, start, size)
        return
    last = cut.rows - 1
    every = cut.rows % height == 0

    def read_row(i, k, mask):
        place = row + i if every else least(row + i, last)
        return source.vector(place, start + k, lanes, mask)

    limit = whole(size, lanes)
    copy_panel(b, read_row, count * height, size, limit, to, cut.left_pitch, cut.tile)


def _interleave(source, cut, to, row, count, start, size):
    """Copy tiles so that each has all its rows of the first step, then all of the next step, etc.

    A vector may be longer than the tile's rows; the next step's vector then overwrites the excess.
    """
    b, tile = source.b, cut.tile
    height, itemsize, limit = tile.rows, tile.dtype.itemsize, cut.rows - row
    lanes = min(tile.lanes, 1 << (height - 1).bit_length())

    def copy(k, steps, read):
        with loop(b, 0, count) as i:
            parts = [(j, i * height + j) for j in range(0, height, lanes)]
            masks = [_tail(b, limit, first, lanes) for _, first in parts]
            at = address(b, to, i * cut.left_step + k * height, itemsize)
            for s in range(steps):
                for (j, first), mask in zip(parts, masks, strict=True):
                    x = read(k + s, first, mask)
                    store(b, x, address(b, at, s * height + j, itemsize), tile.dtype)

    if source.operand.matrix.fetch is None:
        read = lambda k, i, mask: source.vector(row + i, start + k, lanes, mask)
        most = size & -costs.STEPS
        with loop(b, 0, most, costs.STEPS) as k:
            copy(k, costs.STEPS, read)
        if not isinstance(size, int) or most < size:
            with loop(b, most, size) as k:
                copy(k, 1, read)
        return
    # An operand with ``fetch`` is computed once for each step; then all tiles copy their rows.
    with b.goto_entry_block():
        line = b.alloca(ir.ArrayType(ir_type(tile.dtype), cut.row_tiles * height + 2 * tile.lanes))
        line.type = _PTR
    with loop(b, 0, size) as k:
        computed = lambda _, i, mask: source.vector(row + i, start + k, tile.lanes, mask)
        copy_panel(b, computed, 1, count * height, limit, line, 0, tile)
        copy(k, 1, lambda _, i, mask: load(b, address(b, line, i, itemsize), tile.dtype, lanes))


def pack_right(source, cut, to, tile, start, size):
    """Pack tile number ``tile`` of the right operand to ``to``.

    Columns after the operand's last, up to a whole vector, are copies of it or zeros.
    """
    b, lanes = source.b, cut.tile.lanes
    column = tile * cut.width
    every = cut.columns % cut.width == 0
    if cut.right.axis == "side":
        left = cut.columns - column
        # The last tile gets only as many vectors as have columns: memory may end behind them.
        width = cut.width if every else least(left, cut.width)
        limit = whole(cut.columns, lanes) and left
        read = lambda k, j, mask: source.vector(column + j, start + k, lanes, mask)
        copy_panel(b, read, size, width, limit, to, cut.width, cut.tile)
        return
    last = cut.columns - 1

    def read_column(j, k, mask):
        place = column + j if every else least(column + j, last)
        return source.vector(place, start + k, lanes, mask)

    in_memory = None
    if source.operand.plain(cut.tile.dtype) and source.operand.depth == 1:
        in_memory = lambda j, k: source.place(column + j, start + k), source.operand.side
    limits = None if every else cut.columns - column, whole(size, lanes)
    turn_panel(b, read_column, cut.width, size, limits, in_memory, to, cut.width, cut.tile)
