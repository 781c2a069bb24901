"""Register tiles: the loops in which matrix products and convolutions spend their time.

A tile of the result, some rows by some columns, stays in registers while the summed index runs.
``outer`` adds a rank-1 update in each step: lanes are columns, and an element of the left operand
multiplies whole vectors of the right one. In ``inner``, lanes run along the summed index. It serves
operands that are both contiguous along the summed index, if a transposed copy of one of them would
cost more than it saves.

The callers pass callables that read an operand, so the same loops serve packed panels, matrices in
place, rows at addresses from a table, and operands that are computed as they are read.
"""

from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.loop import address, carried, lift
from rushlight.compiler.codegen.memory import load, prefix_mask, reduce, store
from rushlight.compiler.codegen.scope import internal_function
from rushlight.compiler.codegen.value import INT, Value, constant, lane_numbers, splat
from rushlight.compiler.cpu import costs

__all__ = ["Tile", "best_inner", "inner", "outer", "outer_tiles", "tile_function", "transposed"]


_PTR, _I64, _I1, _VOID = ir.PointerType(), ir.IntType(64), ir.IntType(1), ir.VoidType()


@dataclass(frozen=True)
class Tile:
    """A block of sums in registers: ``rows`` by ``columns`` vectors of ``lanes``."""

    rows: int
    columns: int
    lanes: int
    dtype: np.dtype
    fma: bool

    def zeros(self, b):
        """The sums before the first product, row by row."""
        return [constant(b, 0, self.dtype, self.lanes)] * (self.rows * self.columns)

    def multiplied(self, b, left, right, sums):
        """``sums[i, j] + left(i) · right(j)``; a single element from ``left`` fills all lanes."""
        columns = [right(j) for j in range(self.columns)]
        found = []
        for i in range(self.rows):
            x = splat(left(i), self.lanes)
            for j, y in enumerate(columns):
                total = sums[i * self.columns + j]
                found.append(x.call("llvm.fma", y, total) if self.fma else x * y + total)
        return found


def outer(b, tile, depth, step, sums):
    """Return ``sums`` plus the products of ``depth`` steps, as a list of Values, row by row.

    ``depth`` is a Python integer, or a Value that is at least 1 when the kernel runs. ``step(k)``
    returns two callables: the first reads element ``i`` of the left operand, the second reads
    vector ``j`` of the right one.
    """
    return carried(b, 0, depth, sums, lambda k, sums: tile.multiplied(b, *step(k), sums))


def inner(b, tile, depth, step):
    """Return the sums of products over ``depth`` steps as 1-lane Values, row by row.

    ``depth`` is a Python integer, or a Value of at least ``tile.lanes`` when the kernel runs.
    ``step(k, mask)`` returns two callables that read vectors along the summed index from ``k`` on:
    the first for row ``i`` of the left operand, the second for column ``j`` of the right one.
    """
    whole = depth & -tile.lanes
    sums = carried(
        b, 0, whole, tile.zeros(b),
        lambda k, sums: tile.multiplied(b, *step(k, None), sums), tile.lanes,
    )  # fmt: skip
    if not isinstance(depth, int) or whole < depth:
        mask = prefix_mask(b, lift(b, depth - whole).v, tile.lanes)
        sums = tile.multiplied(b, *step(whole, mask), sums)
    return [reduce(x, "add") for x in sums]


def tile_function(module, tile, partial, left, right, pitch, resuming):
    """The function that computes a tile of the block; contractions of a module share it.

    ``void tile(ptr left, ptr right, ptr block, i64 depth, i1 resume)``: the left operand has
    strides ``left`` by row and by step, the right one has stride ``right`` by step, and rows of the
    block lie ``pitch`` apart. If ``resuming`` is true, code for ``resume`` is written: a call with
    ``resume`` adds to the sums in the block. The last vector of columns has ``partial`` lanes (0:
    all).
    """
    marks = (tile.dtype.char, tile.rows, tile.columns, partial, *left, right, pitch, int(resuming))
    name = "tile." + ".".join(map(str, marks))
    function, b = internal_function(module, name, [_PTR, _PTR, _PTR, _I64, _I1])
    if b is None:
        return function
    x, y, block, depth, resume = function.args
    size, lanes, dtype = tile.dtype.itemsize, tile.lanes, tile.dtype
    masks = [None] * tile.columns
    if partial:
        masks[-1] = prefix_mask(b, partial, lanes)

    def step(k):
        at, to = address(b, x, k * left[1], size), address(b, y, k * right, size)
        return (
            lambda i: load(b, address(b, at, i * left[0], size), dtype),
            lambda j: load(b, address(b, to, j * lanes, size), dtype, lanes, masks[j]),
        )

    sums = tile.zeros(b)
    places = [i * pitch + j * lanes for i in range(tile.rows) for j in range(tile.columns)]
    if resuming:
        sums = _resumed(b, resume, block, places, sums)
    sums = outer(b, tile, Value(b, depth, INT), step, sums)
    for place, total in zip(places, sums, strict=True):
        store(b, total, address(b, block, place, size), dtype)
    b.ret_void()
    return function


def _resumed(b, resume, block, places, sums):
    """The sums in the block if ``resume``, else ``sums``."""
    before = b.block
    with b.if_then(resume):
        kept = [
            load(b, address(b, block, place, x.dtype.itemsize), x.dtype, x.lanes)
            for place, x in zip(places, sums, strict=True)
        ]
        inside = b.block
    found = []
    for x, y in zip(sums, kept, strict=True):
        phi = b.phi(x.v.type)
        phi.add_incoming(x.v, before)
        phi.add_incoming(y.v, inside)
        found.append(Value(b, phi, x.dtype))
    return found


# Shapes of tiles --------------------------------------------------------------------------


def _cycles(rows, columns, vectors=0.0):
    """The estimated cycles of one step of a tile; ``vectors`` are those to fetch its vectors.

    A cycle does two products or two loads. A step takes at least 4 cycles and a little more,
    because each sum waits for the sum of the step before.
    """
    loads = rows + columns
    return max(rows * columns / 2, loads / 2, 4.5, vectors) + loads / 64


def _fitting(target):
    """Yield (rows, columns) of tiles whose sums leave registers for the operands.

    A tile of a single row may be wider, because it uses each vector once, straight from memory.
    """
    for columns in range(1, target.registers - 1):
        rows = (target.registers - 1 - columns) // columns
        yield max(1, rows), columns


def outer_tiles(target, dtype, rows, columns, depth):
    """The best three tiles for ``outer`` products: pairs of (cycles of all tiles, tile).

    The rows are divided evenly among the tiles, so that the last tile is nearly full.
    """
    lanes = target.lanes(dtype)
    vectors = -(-columns // lanes)
    found = []
    for most_rows, width in _fitting(target):
        if width > vectors:
            break
        tiles = -(-rows // most_rows)
        height = -(-rows // tiles)
        # Vectors that do not stay in the first-level cache come from the second. If the right
        # operand is read only once and exceeds the second-level cache, its vectors come from
        # memory, and each step begins a new row there.
        far = tiles == 1 and depth * columns * dtype.itemsize > target.l2
        near = depth * width * target.vector_bytes < 0.6 * target.l1
        each, row = (2.0, 16) if far else (0.0, 0) if near else (2.2, 0)
        whole, rest = divmod(vectors, width)
        cycles = 0.0
        for count, part in ((whole, width), (1, rest)):
            if part:
                # Starting a tile and writing its sums take cycles, too.
                once = 20 + 2 * height * part
                cycles += count * tiles * (depth * _cycles(height, part, each * part + row) + once)
        # A narrower last tile is a second function, so it must save enough to pay for its code.
        cycles = cycles * 1.01 + 400 if rest else cycles
        found.append((cycles, Tile(height, width, lanes, dtype, target.fma)))
    return sorted(found, key=lambda pair: pair[0])[:3]


def best_inner(target, dtype, rows, columns, depth):
    """(Cycles of all tiles, tile) for the best tile of ``inner`` products.

    Each row and each column of a tile is a stream from memory, so ``costs.STREAMS`` limits them.
    """
    lanes = target.lanes(dtype)
    steps = -(-depth // lanes)
    found = []
    for most_rows, most_columns in _fitting(target):
        height, width = (
            min(rows, most_rows, costs.STREAMS - 1),
            min(columns, most_columns, costs.STREAMS - 1),
        )
        if height + width > costs.STREAMS:
            continue
        tiles = -(-rows // height) * -(-columns // width)
        # Adding up the lanes takes about ten instructions a sum.
        cycles = tiles * (steps * _cycles(height, width) + 20 + 5 * height * width)
        found.append((cycles, Tile(height, width, lanes, dtype, target.fma)))
    return min(found, key=lambda pair: pair[0])


# Turning a square of vectors --------------------------------------------------------------


def transposed(b, rows):
    """Transpose a square: as many vectors as each vector has lanes.

    Take the bits of an element's row and the bits of its lane as one number. Interleaving the first
    half of the rows with the second rotates the bits of this number by one place. After log2(lanes)
    rounds, rows and lanes have changed places.
    """
    lanes = len(rows)
    half = lanes // 2
    for _ in range(lanes.bit_length() - 1):
        turned = []
        for x, y in zip(rows[:half], rows[half:], strict=True):
            for start in (0, half):
                picks = [start + i // 2 + lanes * (i % 2) for i in range(lanes)]
                v = b.shuffle_vector(x.v, y.v, lane_numbers(picks))
                turned.append(Value(b, v, x.dtype))
        rows = turned
    return rows
