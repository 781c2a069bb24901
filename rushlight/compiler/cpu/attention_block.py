"""A block of queries and its scores, which lie turned: keys go down, queries fill the lanes.

So all that softmax does to a query is done in its lane, and the products read keys and values
element by element, in place and with any strides. Only the queries themselves are copied.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.compiler.codegen.frame import entry, least, offset, tail
from rushlight.compiler.codegen.loop import address, carried, lift, loop
from rushlight.compiler.codegen.math.exponential import exp
from rushlight.compiler.codegen.memory import iota, load, store
from rushlight.compiler.codegen.value import constant, select, splat
from rushlight.compiler.cpu.microkernel import Tile, tile_function, transposed
from rushlight.compiler.cpu.packing import turn_panel

__all__ = [
    "AttentionTiling", "Block", "Operand", "carve", "copied", "drain", "height", "multiply",
    "turned",
]  # fmt: skip

INF = float("inf")
_I32 = np.dtype(np.int32)


@dataclass(frozen=True)
class AttentionTiling:
    """How the work is cut: ``vectors`` of queries by at most ``block`` keys.

    Attributes:
        parts: The queries of a head of which the gradients of keys and values are added apart.
    """

    dtype: np.dtype
    lanes: int
    registers: int
    vectors: int
    block: int
    parts: int
    fma: bool

    #: Rows that any tile has at most, and vectors.
    most = 14
    widest = 4

    @property
    def width(self):
        """The queries of a block."""
        return self.vectors * self.lanes

    @property
    def rows(self):
        """The rows of a tile as wide as a block."""
        return self.tall(self.vectors)

    def tall(self, vectors):
        """How many rows a tile of so many vectors has at most."""
        return min(self.most, (self.registers - 1 - vectors) // vectors)

    def tile(self, rows, vectors=None):
        return Tile(rows, vectors or self.vectors, self.lanes, self.dtype, self.fma)

    def padded(self, n):
        """``n`` elements in whole vectors."""
        return -(-n // self.lanes) * self.lanes


@dataclass(frozen=True)
class Operand:
    """One matrix of an operand: where it begins, its shape and element strides."""

    pointer: Any
    rows: int
    columns: int
    row: int
    column: int
    dtype: np.dtype

    @classmethod
    def of(cls, b, args, position, batch, shape, strides, dtype):
        """The matrix of ``args[position]`` at the indices ``batch``."""
        place = offset(batch, strides[:-2])
        pointer = address(b, entry(b, args, position), place, dtype.itemsize)
        rows, columns = shape
        return cls(pointer, rows, columns, strides[-2], strides[-1], dtype)

    def place(self, b, row, column=0):
        """The address of an element."""
        return address(b, self.pointer, row * self.row + column * self.column, self.dtype.itemsize)


def carve(b, scratch, sizes, itemsize):
    """The addresses of panels of so many elements, one after the other."""
    found, at = [], 0
    for size in sizes:
        found.append(address(b, scratch, at, itemsize))
        at += size
    return found


# Copies -----------------------------------------------------------------------------------


def copied(b, cut, operand, first, to, factor=None):
    """Copy a block's rows of ``operand``, each in whole vectors; none after the last is read."""
    lanes, pitch = cut.lanes, cut.padded(operand.columns)
    with loop(b, 0, cut.width) as i, loop(b, 0, pitch, lanes) as j:
        mask = tail(b, operand.columns - j, lanes) if operand.columns % lanes else None
        at = operand.place(b, least(first + i, operand.rows - 1), j)
        x = splat(load(b, at, cut.dtype, lanes, mask, operand.column), lanes)
        x = x if factor is None else x * factor
        store(b, x, address(b, to, i * pitch + j, cut.dtype.itemsize), cut.dtype)


def turned(b, cut, panel, rows, columns, to):
    """Copy ``panel`` with rows and columns, whole vectors of both, exchanged."""
    place = lambda i, j: address(b, panel, i * columns + j, cut.dtype.itemsize)
    source = place, columns
    turn_panel(b, None, rows, columns, (None, None), source, to, rows, cut.tile(1))


def drain(b, cut, panel, rows, columns, give, change=None):
    """``give(i, j, value, mask)`` for each vector of the first ``rows`` rows of ``panel``.

    ``change(address, value)`` is given instead of the value, if there is one.
    """
    lanes, pitch = cut.lanes, cut.padded(columns)
    with loop(b, 0, rows) as i, loop(b, 0, columns, lanes) as j:
        mask = tail(b, columns - j, lanes) if columns % lanes else None
        at = address(b, panel, i * pitch + j, cut.dtype.itemsize)
        value = load(b, at, cut.dtype, lanes)
        give(i, j, value if change is None else change(at, value), mask)


# Products ---------------------------------------------------------------------------------


def height(rows, most):
    """How high tiles are to be that cover so many rows: evenly, if that leaves them large."""
    even = [n for n in range(most, most // 2, -1) if rows % n == 0]
    return even[0] if even else min(rows, most)


def multiply(b, tile, left, right, block, rows, depth, adding=False, last=None):
    """block[i, j] = Σ_k left[i, k] · right[k, j]; with ``adding``, that is added to the block.

    Operands are (address, strides); the left one has strides by row and by step. Where ``rows`` is
    a number, the last tile is lower if need be. Else it starts no later than ``last``, or goes on
    past the rows.
    """
    size = tile.dtype.itemsize
    flag = constant(b, adding, np.dtype(bool)).v

    def compute(rows, i):
        part = Tile(rows, tile.columns, tile.lanes, tile.dtype, tile.fma)
        layout = left[1:], right[1], block[1], adding
        function = tile_function(b.module, part, 0, *layout)
        at = address(b, left[0], i * left[1], size)
        to = address(b, block[0], i * block[1], size)
        b.call(function, [at, right[0], to, lift(b, depth).v, flag])

    whole = rows // tile.rows * tile.rows if isinstance(rows, int) else rows
    with loop(b, 0, whole, tile.rows) as i:
        compute(tile.rows, i if last is None else least(i, last))
    if isinstance(rows, int) and whole < rows:
        compute(rows - whole, whole)


# Scores -----------------------------------------------------------------------------------


class Block:
    """The scores of the queries from ``first`` on, while their kernel is written.

    Attributes:
        scores: The address of the scores: a row of ``cut.width`` queries for each key.
    """

    def __init__(self, b, d, cut, scores, first):
        self.b, self.d, self.cut, self.scores, self.first = b, d, cut, scores, first
        self.size = cut.dtype.itemsize
        self.vectors = range(cut.vectors)

    def at(self, panel, row, j):
        """The address of vector ``j`` of a row of a panel."""
        cut = self.cut
        return address(self.b, panel, row * cut.width + j * cut.lanes, self.size)

    def read(self, panel, row, j):
        return load(self.b, self.at(panel, row, j), self.cut.dtype, self.cut.lanes)

    def write(self, value, panel, row, j):
        store(self.b, value, self.at(panel, row, j), self.cut.dtype)

    def filled(self, panel, start, stop, number):
        """Set rows of a panel to a number."""
        x = constant(self.b, number, self.cut.dtype, self.cut.lanes)
        with loop(self.b, start, stop) as row:
            for j in self.vectors:
                self.write(x, panel, row, j)

    def dot(self, rows, queries, panel, start, count):
        """panel[k, q] = row ``start + k`` of an operand · query q, for ``count`` rows.

        The last tile is moved up to end with the last row, so up to a tile's rows before the
        panel are overwritten.
        """
        b, cut = self.b, self.cut
        tile = cut.tile(min(cut.rows, rows.rows))
        left = rows.place(b, start), rows.row, rows.column
        last = lift(b, rows.rows - tile.rows) - start
        count = lift(b, count)
        multiply(b, tile, left, (queries, cut.width), (panel, cut.width), count, rows.columns,
                 last=last)  # fmt: skip

    # Masks ------------------------------------------------------------------------------------

    def hide(self, mask, start, count):
        """Apply the mask to the scores of ``count`` keys from ``start`` on."""
        if self.d.causal:
            self._hide_later(start, count)
        elif mask is not None and mask.row == 0:
            self._hide_alike(mask, start, count)
        elif mask is not None:
            self._hide_each(mask, start, count)

    def _hide_later(self, start, count):
        """Hide the keys after a query's own, if there are any."""
        b, lanes = self.b, self.cut.lanes
        hidden = constant(b, -INF, self.cut.dtype, lanes)
        with b.if_then((lift(b, start + count) > self.first + 1).v):
            step = lift(b, self.first).astype(_I32)
            queries = [iota(b, lanes, _I32) + (step + j * lanes) for j in self.vectors]
            with loop(b, 0, count) as k:
                key = lift(b, start + k).astype(_I32)
                for j in self.vectors:
                    self.write(
                        select(queries[j] < key, hidden, self.read(self.scores, k, j)),
                        self.scores, k, j,
                    )  # fmt: skip

    def _hide_alike(self, mask, start, count):
        """Where all queries have the same mask."""
        with loop(self.b, 0, count) as k:
            x = self._bias(load(self.b, mask.place(self.b, 0, start + k), mask.dtype))
            for j in self.vectors:
                self._change(k, j, splat(x, self.cut.lanes))

    def _hide_each(self, mask, start, count):
        """Where each query has its own: square by square, which is turned."""
        b, lanes = self.b, self.cut.lanes
        with loop(b, 0, count, lanes) as k, loop(b, 0, self.cut.vectors) as j:
            within = tail(b, lift(b, count) - k, lanes)
            rows = []
            for r in range(lanes):
                row = least(self.first + j * lanes + r, self.d.queries - 1)
                at = mask.place(b, row, start + k)
                x = load(b, at, mask.dtype, lanes, within, mask.column)
                rows.append(splat(self._bias(x), lanes))
            for r, x in enumerate(transposed(b, rows)):
                self._change(k + r, j, x)

    def _bias(self, x):
        """What is added to the score; -inf where a bool hides it."""
        if x.dtype.kind != "b":
            return x
        shown, hidden = (constant(x.b, n, self.cut.dtype, x.lanes) for n in (0, -INF))
        return select(x, shown, hidden)

    def _change(self, k, j, bias):
        score = self.read(self.scores, k, j)
        if self.d.mask.kind == "b":
            score = select(bias < 0, bias, score)  # whatever it was, even nan
        else:
            score = score + bias
        self.write(score, self.scores, k, j)

    # Softmax ----------------------------------------------------------------------------------

    def largest(self, count, values):
        """The largest scores of each query's, ``values`` included."""
        over = lambda x, y: select(x > y, x, y)
        step = lambda k, kept: [over(self.read(self.scores, k, j), kept[j]) for j in self.vectors]
        return carried(self.b, 0, count, values, step)

    def weigh(self, count, values, sums):
        """Make scores e^(score - value); the sums with these added."""
        shifts = [self.shift(x) for x in values]

        def step(k, sums):
            found = []
            for j in self.vectors:
                weight = exp(self.read(self.scores, k, j) - shifts[j])
                self.write(weight, self.scores, k, j)
                found.append(sums[j] + weight)
            return found

        return carried(self.b, 0, count, sums, step)

    def shift(self, largest):
        """What is taken from a query's scores: 0 where all are hidden."""
        none = constant(self.b, 0, self.cut.dtype, self.cut.lanes)
        return select(largest == -INF, none, largest)

    def share(self, total):
        """What weights are multiplied by; a query that sees nothing attends to nothing."""
        found = 1.0 / total
        if self.d.mask is None:
            return found
        none = constant(self.b, 0, self.cut.dtype, self.cut.lanes)
        return select(total == 0, none, found)
