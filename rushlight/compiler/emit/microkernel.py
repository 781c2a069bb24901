"""Register tiles: the loops in which matrix products and convolutions spend their time.

A tile of the result, some rows by some columns, stays in registers while the summed index runs.
``outer`` adds a rank-1 update a step: its lanes are columns, and an element of the left operand
multiplies whole vectors of the right one. ``inner`` has the summed index in its lanes: it is for
operands that both lie along it, where turning one of them would cost more than it saves.

Both are given callables that read an operand, so the same loops serve packed panels, matrices in
place, rows at addresses from a table, and operands that are computed as they are read.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.compiler.emit.loop import carried
from rushlight.compiler.emit.memory import prefix_mask, reduce
from rushlight.compiler.emit.value import Value, constant, splat

__all__ = ["Tile", "best_inner", "best_outer", "inner", "outer", "transposed"]


@dataclass(frozen=True)
class Tile:
    """A block of sums in registers: ``rows`` by ``columns`` vectors of ``lanes``."""

    rows: int
    columns: int
    lanes: int
    dtype: np.dtype
    fma: bool

    def zeros(self, b):
        """Sums before the first product, row by row."""
        return [constant(b, 0, self.dtype, self.lanes)] * (self.rows * self.columns)

    def multiplied(self, b, left, right, sums):
        """``sums[i, j] + left(i) · right(j)``; elements read by ``left`` fill all lanes."""
        columns = [right(j) for j in range(self.columns)]
        found = []
        for i in range(self.rows):
            x = splat(left(i), self.lanes)
            for j, y in enumerate(columns):
                total = sums[i * self.columns + j]
                found.append(x.call("llvm.fma", y, total) if self.fma else x * y + total)
        return found


def outer(b, tile, depth, left, right, sums):
    """Add the products of ``depth`` (≥ 1, or known) steps to ``sums``: Values, row by row.

    Step ``k`` adds ``left(k, i)``, an element, times ``right(k, j)``, a vector of columns.
    """
    return carried(
        b, 0, depth, sums,
        lambda k, sums: tile.multiplied(
            b, lambda i: left(k, i), lambda j: right(k, j), sums
        ),
    )  # fmt: skip


def inner(b, tile, depth, left, right):
    """The sums over ``depth`` (a number) of products, row by row, as 1-lane Values.

    ``left(k, i, mask)`` and ``right(k, j, mask)`` are vectors along the summed index from ``k``.
    """
    whole = depth - depth % tile.lanes

    def step(k, sums, mask=None):
        return tile.multiplied(b, lambda i: left(k, i, mask), lambda j: right(k, j, mask), sums)

    sums = carried(b, 0, whole, tile.zeros(b), step, tile.lanes)
    if whole < depth:
        sums = step(whole, sums, prefix_mask(b, depth - whole, tile.lanes))
    return [reduce(x, "add") for x in sums]


# Shapes of tiles --------------------------------------------------------------------------


def _cycles(rows, columns, loads):
    """Cycles of one step of a tile: two products or two loads a cycle, four for a chain of sums."""
    return max(rows * columns / 2, loads / 2, 4)


def _fitting(target):
    """Tiles whose sums leave registers for the operands."""
    for columns in range(1, target.registers):
        rows = (target.registers - 1 - columns) // columns
        if rows >= 1:
            yield rows, columns


@cache
def best_outer(target, dtype, rows, columns):
    """The tile for ``outer`` products of that many rows and columns, and cycles a step of them all.

    Equal tiles cover the rows, so that the last one is nearly full.
    """
    lanes = target.lanes(dtype)
    vectors = max(1, -(-columns // lanes))
    found = []
    for most_rows, width in _fitting(target):
        if width > vectors:
            break
        tiles = -(-rows // most_rows)
        height = max(1, -(-rows // max(tiles, 1)))
        cost = 0.0
        for count, part in ((vectors // width, width), (1, vectors % width)):
            if part:
                cost += count * tiles * _cycles(height, part, height + part)
        found.append((cost, Tile(height, width, lanes, dtype, target.fma)))
    cost, tile = min(found, key=lambda pair: pair[0])
    return tile, cost


@cache
def best_inner(target, dtype, rows, columns, depth):
    """The tile for ``inner`` products, and the cycles of them all."""
    lanes = target.lanes(dtype)
    steps = -(-depth // lanes)
    found = []
    for most_rows, width in _fitting(target):
        height, width = min(rows, most_rows), min(columns, width)
        tiles = -(-rows // height) * -(-columns // width)
        step = _cycles(height, width, height + width)
        # Adding up the lanes takes about ten instructions a sum.
        cost = tiles * (steps * step + 5 * height * width)
        found.append((cost, Tile(height, width, lanes, dtype, target.fma)))
    cost, tile = min(found, key=lambda pair: pair[0])
    return tile, cost


# Turning a square of vectors --------------------------------------------------------------


def transposed(b, rows):
    """As many vectors as they have lanes, with rows and columns exchanged.

    Interleaving the first half of the rows with the second turns the number of a row and lane,
    seen as bits, by one place; after log2(lanes) rounds rows and lanes have changed places.
    """
    lanes = len(rows)
    half = lanes // 2
    for _ in range(lanes.bit_length() - 1):
        turned = []
        for x, y in zip(rows[:half], rows[half:], strict=True):
            for start in (0, half):
                picks = [start + i // 2 + lanes * (i % 2) for i in range(lanes)]
                kind = ir.VectorType(ir.IntType(32), lanes)
                v = b.shuffle_vector(x.v, y.v, ir.Constant(kind, picks))
                turned.append(Value(b, v, x.dtype))
        rows = turned
    return rows
