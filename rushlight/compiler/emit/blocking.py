"""How a contraction is cut: which operand fills the lanes, tiles, copies, blocks and chunks.

Everything is decided from shapes, strides and the target. The number of threads plays no part, so
the order of all sums, and with it every bit of the result, is the same for any number of them.
"""

from dataclasses import dataclass, replace
from math import prod

from rushlight.compiler.emit.microkernel import Tile, best_inner, best_outer
from rushlight.compiler.emit.packing import Operand

__all__ = ["Blocking", "blocking"]

CHUNK = 1 << 20  # products in a chunk, where the contraction is large enough to be cut
DEPTH = 512  # steps after which the panels of a tile no longer stay in the first-level cache
TURN = 0.25  # cycles an element to exchange rows and columns


@dataclass(frozen=True)
class Blocking:
    """The cut of ``rows`` by ``columns`` sums of ``depth`` products, for each batch index.

    ``left`` supplies elements, ``right`` the lanes. If ``turned`` they are the contraction's second
    and first operand, and its result is this one with rows and columns exchanged. ``last_depth`` is
    the depth of the last index of the first batch dimension, where a long sum was split unevenly.
    """

    left: Operand
    right: Operand
    turned: bool
    method: str
    tile: Tile
    batch: tuple[int, ...]
    rows: int
    columns: int
    depth: int
    last_depth: int
    pack_left: bool = False
    pack_right: bool = False
    depth_block: int = 0
    batches: int = 1
    row_tiles: int = 1
    column_tiles: int = 1

    @property
    def width(self):
        """The columns of a tile."""
        return self.tile.columns * (1 if self.method == "inner" else self.tile.lanes)

    @property
    def tiles(self):
        """How many tiles there are down and across."""
        return -(-self.rows // self.tile.rows), -(-self.columns // self.width)

    @property
    def grid(self):
        """Chunks by batch, by rows, by columns."""
        down, across = self.tiles
        batches = -(-prod(self.batch) // self.batches)
        return batches, -(-down // self.row_tiles), -(-across // self.column_tiles)

    @property
    def overlapping(self):
        """Whether the last tile down starts early to be full, computing some rows a second time."""
        return not self.pack_left

    # The parts of a chunk's scratch memory, as shapes.

    @property
    def left_panel(self):
        """A packed tile of the left operand: (rows, pitch) along its axis."""
        depth, lanes = self.depth_block, self.tile.lanes
        if self.left.axis == "depth":
            # An odd number of vectors: the rows don't all fall in one set of the cache.
            return self.tile.rows, (_up(depth, lanes) // lanes | 1) * lanes
        return depth, _up(self.tile.rows, lanes)

    @property
    def right_panel(self):
        return _up(self.depth_block, self.tile.lanes), self.width

    @property
    def block(self):
        lanes = self.tile.lanes
        rows = _up(self.row_tiles * self.tile.rows, lanes)
        return rows, _up(self.column_tiles * self.width, lanes)

    @property
    def scratch(self):
        """The bytes of the packed left and right operand, the block, and the block turned."""
        left = self.row_tiles * prod(self.left_panel) if self.pack_left else 0
        right = prod(self.right_panel) if self.pack_right else 0
        block = prod(self.block)
        elements = left, right, block, block if self.turned else 0
        return tuple([_up(n * self.tile.dtype.itemsize, 64) for n in elements])


def _up(n, multiple):
    return -(-n // multiple) * multiple


def blocking(a, b, dtype, batch, m, n, k, last_depth, target):
    """The best :class:`Blocking` of a contraction of the :class:`Operand` s ``a`` and ``b``."""
    common = {"batch": batch, "depth": k, "last_depth": last_depth}
    found = []
    for turned in (False, True):
        left, right, rows, columns = (b, a, n, m) if turned else (a, b, m, n)
        sides = {"left": left, "right": right, "turned": turned, "rows": rows, "columns": columns}
        tile, cost = best_outer(target, dtype, rows, columns)
        cost = cost * k + TURN * (2 * turned * m * n + (right.axis == "depth") * columns * k)
        found.append((cost, Blocking(method="outer", tile=tile, **sides, **common)))
        if left.axis == right.axis == "depth" and not turned:
            tile, cost = best_inner(target, dtype, rows, columns, k)
            found.append((cost, Blocking(method="inner", tile=tile, **sides, **common)))
    best = min(found, key=lambda pair: pair[0])[1]
    return _chunked(_packed(best))


def _packed(cut):
    """``cut`` with the copies it needs or gains from."""
    if cut.method == "inner":
        return replace(cut, depth_block=cut.depth)
    dtype = cut.tile.dtype
    down, across = cut.tiles
    lines = cut.left.side * dtype.itemsize % 1024 == 0
    pack_left = not cut.left.plain(dtype) or (across >= 4 and cut.depth > 64 and lines)
    pack_right = not cut.right.plain(dtype) or cut.right.side != 1 or down >= 4
    blocks = -(-cut.depth // DEPTH) if pack_left else 1
    return replace(
        cut,
        pack_left=pack_left,
        pack_right=pack_right,
        depth_block=-(-cut.depth // max(blocks, 1)),
    )


def _chunked(cut):
    """``cut`` with blocks of about as many products as a chunk should have."""
    down, across = cut.tiles
    products = cut.rows * cut.columns * cut.depth
    if products * 2 <= CHUNK:
        total = max(prod(cut.batch), 1)
        batches = min(total, max(1, CHUNK // max(products, 1)))
        return replace(cut, batches=batches, row_tiles=max(down, 1), column_tiles=max(across, 1))
    tile = cut.tile.rows * cut.width * max(cut.depth, 1)
    wanted = max(1, max(CHUNK, products // 64) // tile)
    # The squarer a block, the less is copied.
    row_tiles = min(down, max(1, round((wanted * cut.width / cut.tile.rows) ** 0.5)))
    column_tiles = min(across, max(1, wanted // row_tiles))
    row_tiles = min(down, max(1, wanted // column_tiles))
    return replace(cut, row_tiles=_even(down, row_tiles), column_tiles=_even(across, column_tiles))


def _even(count, most):
    """The size of equal parts of ``count``, none larger than ``most``."""
    parts = -(-count // most)
    return -(-count // parts)
