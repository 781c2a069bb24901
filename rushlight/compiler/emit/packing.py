"""Operands of a contraction, and copies of their blocks in the order that tiles read.

An element of an operand has two indices: its place on the *side* (the row of a left operand, the
column of a right one) and its *depth*, the index that is summed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rushlight.compiler.emit.loop import address, lift, loop
from rushlight.compiler.emit.memory import load, prefix_mask, store
from rushlight.compiler.emit.microkernel import transposed
from rushlight.compiler.emit.value import Value, constant, select, splat

__all__ = ["Matrix", "Operand", "Source", "least", "pack_left", "pack_right", "turn_panel", "whole"]


@dataclass(frozen=True)
class Matrix:
    """How an operand lies in memory: element strides, any of them 0 or negative.

    With ``fetch(b, args, batch, row, column, lanes, mask)`` it is computed instead, as a Value of
    ``lanes`` consecutive columns; indices are int64 LLVM values.
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
        axis: ``"side"`` or ``"depth"``: along which its vectors are read.
    """

    matrix: Matrix
    side: int
    depth: int
    axis: str

    @classmethod
    def first(cls, matrix):
        """``matrix`` as the first factor of a product: its columns are summed."""
        along_row = matrix.fetch is not None or matrix.column == 1 or matrix.row != 1
        return cls(matrix, matrix.row, matrix.column, "depth" if along_row else "side")

    @classmethod
    def second(cls, matrix):
        """``matrix`` as the second factor: its rows are summed."""
        along_row = matrix.fetch is not None or matrix.column == 1 or matrix.row != 1
        return cls(matrix, matrix.column, matrix.row, "side" if along_row else "depth")

    @property
    def stride(self):
        """The stride along its axis."""
        return self.side if self.axis == "side" else self.depth

    def plain(self, dtype):
        """Whether it lies in memory in ``dtype``, so that no copy is needed."""
        return self.matrix.fetch is None and self.matrix.dtype == dtype


class Source:
    """An operand while its kernel is written, at one batch index."""

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
        """``lanes`` elements along the operand's axis; those masked off are 0."""
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
    """Copy ``read(i, j, mask)``, vectors of consecutive j, to ``to`` in rows ``pitch`` apart.

    From column ``limit`` on (None: everywhere) there is nothing to read, and zeros are written.
    ``like`` is a :class:`Tile` whose lanes and dtype the panel has.
    """
    with loop(b, 0, rows) as i, loop(b, 0, columns, like.lanes) as j:
        at = address(b, to, i * pitch + j, like.dtype.itemsize)
        store(b, read(i, j, _tail(b, limit, j, like)), at, like.dtype)


def turn_panel(b, read, rows, columns, limit, to, pitch, like):
    """Copy as :func:`copy_panel` does with rows and columns exchanged, whole squares at a time."""
    with loop(b, 0, rows, like.lanes) as i, loop(b, 0, columns, like.lanes) as j:
        mask = _tail(b, limit, j, like)
        square = [read(i + r, j, mask) for r in range(like.lanes)]
        at = address(b, to, j * pitch + i, like.dtype.itemsize)
        for c, x in enumerate(transposed(b, square)):
            store(b, x, address(b, at, c * pitch, like.dtype.itemsize), like.dtype)


def _tail(b, limit, j, like):
    return None if limit is None else prefix_mask(b, lift(b, limit - j).v, like.lanes)


def whole(size, lanes):
    """``size``, or None if it is known to be whole vectors."""
    return None if isinstance(size, int) and size % lanes == 0 else size


def least(x, y):
    """The smaller of two indices; a number if both are."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    b = (x if isinstance(x, Value) else y).b
    x, y = lift(b, x), lift(b, y)
    return select(x < y, x, y)


# Packed operands --------------------------------------------------------------------------


def pack_left(source, cut, to, tile, count, start, size):
    """Copy ``count`` tiles of the left operand, from number ``tile`` on, to ``to``.

    The steps are ``size`` many from ``start`` on; ``cut`` is the :class:`Blocking`. Rows after the
    last are like the last, or 0: their sums go nowhere.
    """
    b, height, lanes = source.b, cut.tile.rows, cut.tile.lanes
    row = tile * height
    if cut.left.axis == "side":
        limit = cut.rows - row
        read = lambda k, i, mask: source.vector(row + i, start + k, lanes, mask)
        copy_panel(b, read, size, count * height, limit, to, cut.left_pitch, cut.tile)
        return
    last = cut.rows - 1
    every = cut.rows % height == 0

    def read_row(i, k, mask):
        place = row + i if every else least(row + i, last)
        return source.vector(place, start + k, lanes, mask)

    copy_panel(
        b, read_row, count * height, size, whole(size, lanes), to, cut.left_pitch, cut.tile
    )  # fmt: skip


def pack_right(source, cut, to, tile, start, size):
    """Copy one tile of the right operand; columns after the last are like the last, or 0."""
    b, lanes = source.b, cut.tile.lanes
    column = tile * cut.width
    if cut.right.axis == "side":
        limit = whole(cut.columns, lanes) and cut.columns - column
        read = lambda k, j, mask: source.vector(column + j, start + k, lanes, mask)
        copy_panel(b, read, size, cut.width, limit, to, cut.width, cut.tile)
        return
    last = cut.columns - 1
    every = cut.columns % cut.width == 0

    def read_column(j, k, mask):
        place = column + j if every else least(column + j, last)
        return source.vector(place, start + k, lanes, mask)

    turn_panel(b, read_column, cut.width, size, whole(size, lanes), to, cut.width, cut.tile)
