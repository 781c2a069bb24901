"""How a contraction is cut: the operand that fills the lanes, tiles, copies, blocks and chunks.

Everything is decided from shapes, strides and the target, by an estimate of cycles. The number of
threads plays no part, so sums are added in the same order, and every bit of the result is the same,
for any number of threads.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, inf, prod

from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.microkernel import Tile, best_inner, outer_tiles
from rushlight.compiler.cpu.packing import Operand

__all__ = ["Blocking", "blocking"]


@dataclass(frozen=True)
class Blocking:
    """The cut of ``rows`` by ``columns`` sums of ``depth`` products, for each batch index.

    ``right`` fills the lanes, and single elements of ``left`` multiply whole vectors. If
    ``turned``, ``left`` is the contraction's second operand and ``right`` its first; the
    contraction's result is then the transpose of this one.

    Attributes:
        method: ``"outer"``, or ``"inner"``, where lanes run along the depth; see ``microkernel``.
        last_depth: The depth at the last index of the first batch dim. It differs from ``depth`` if
            a long sum was split into unequal parts.
        pack_left, pack_right: ``""`` (read in place), ``"chunk"`` (each chunk copies what it needs
            to its scratch memory) or ``"ahead"`` (a kernel before this one copies everything).
        depth_block: The number of steps after which the sums are stored and loaded again.
        batches, row_tiles, column_tiles: The batch indices, the tiles down and the tiles across
            that a chunk computes.
        before: The place of the first temporary among the kernels' ``args``.
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
    depth_block: int
    pack_left: str = ""
    pack_right: str = ""
    batches: int = 1
    row_tiles: int = 1
    column_tiles: int = 1
    before: int = 2

    @property
    def width(self):
        """The number of columns of a tile."""
        return self.tile.columns * (1 if self.method == "inner" else self.tile.lanes)

    @property
    def tiles(self):
        """The number of tiles down, and across."""
        return -(-self.rows // self.tile.rows), -(-self.columns // self.width)

    @property
    def grid(self):
        """The number of chunks along the batch, along the rows and along the columns."""
        down, across = self.tiles
        batches = -(-prod(self.batch) // self.batches)
        return batches, -(-down // self.row_tiles), -(-across // self.column_tiles)

    @property
    def depth_blocks(self):
        return -(-self.depth // self.depth_block) if self.depth else 1

    @property
    def overlapping(self):
        """Whether the last tile down starts early to be full, computing some rows a second time."""
        return not self.pack_left

    # Memory, in elements ------------------------------------------------------------------

    @property
    def left_pitch(self):
        """The elements from row to row of a packed tile whose vectors run along the depth.

        If its vectors run along the rows, the elements from step to step.
        """
        return self._odd(self.depth_block) if self.left.axis == "depth" else self.tile.rows

    @property
    def left_step(self):
        """The elements from tile to tile of the packed left operand."""
        if self.left.axis == "depth":
            return self.tile.rows * self.left_pitch
        # Each step stores a whole vector, and the next step overwrites what exceeds the tile's
        # rows. After the last step there must be room for the excess.
        return self._odd(self.depth_block * self.tile.rows + self.tile.lanes)

    @property
    def left_size(self):
        """The elements of a chunk's packed left operand, for one block of the depth."""
        return self.row_tiles * self.left_step

    def _odd(self, size):
        """``size`` rounded up to an odd number of vectors.

        The cache lines of a tile then do not all fall into the same set of the cache.
        """
        lanes = self.tile.lanes
        return (_up(size, lanes) // lanes | 1) * lanes

    @property
    def right_step(self):
        """The elements of a packed tile of the right operand, for one block of the depth."""
        return _up(self.depth_block, self.tile.lanes) * self.width

    @property
    def block(self):
        """The rows of a chunk's block of sums, and the elements from row to row."""
        lanes = self.tile.lanes
        rows = _up(self.row_tiles * self.tile.rows, lanes)
        return rows, _up(self.column_tiles * self.width, lanes)

    @property
    def scratch(self):
        """The bytes of a chunk's packed left and right operand, its block, its transposed block."""
        left = self.left_size if self.pack_left == "chunk" else 0
        right = self.right_step if self.pack_right == "chunk" else 0
        block = prod(self.block)
        return self._bytes(left, right, block, block if self.turned else 0)

    @property
    def ahead(self):
        """The bytes of the left and the right operand that are packed ahead; 0 if one is not."""
        each = prod(self.batch) * self.depth_blocks
        left = each * self.grid[1] * self.left_size if self.pack_left == "ahead" else 0
        right = each * self.tiles[1] * self.right_step if self.pack_right == "ahead" else 0
        return self._bytes(left, right)

    def _bytes(self, *elements):
        return tuple([_up(n * self.tile.dtype.itemsize, 64) for n in elements])


def _up(n, multiple):
    return -(-n // multiple) * multiple


# Choosing ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # a product is planned twice: also when its code is written
def blocking(a, b, dtype, batch, m, n, k, last_depth, target):
    """The cheapest :class:`Blocking` of a contraction of the :class:`Operand` s ``a`` and ``b``."""
    common = {"batch": batch, "depth": k, "depth_block": k, "last_depth": last_depth}
    found = []
    for turned in (False, True):
        left, right, rows, columns = (b, a, n, m) if turned else (a, b, m, n)
        sides = {"left": left, "right": right, "turned": turned, "rows": rows, "columns": columns}
        tiles = outer_tiles(target, dtype, rows, columns, k)
        found += [(t, Blocking(method="outer", tile=tile, **sides, **common)) for t, tile in tiles]
        if left.along_depth and right.along_depth and not turned:
            cycles, tile = best_inner(target, dtype, rows, columns, k)
            found.append((cycles, Blocking(method="inner", tile=tile, **sides, **common)))
    chosen = [_cheapest(cycles, cut, target) for cycles, cut in found]
    return min(chosen, key=lambda pair: pair[0])[1]


def _cheapest(cycles, cut, target):
    """Return (cost, ``cut`` with its cheapest chunks and copies).

    ``cycles`` are those of the tiles of one batch index.
    """
    total = prod(cut.batch)
    tiles = total * prod(cut.tiles)
    left, right = _ways(cut, target)
    cycles += cut.rows * cut.columns * 0.15
    if cut.turned:
        cycles += cut.rows * cut.columns * 2 * costs.TURN + costs.CODE / total
    results = total * cut.rows * cut.columns * cut.tile.dtype.itemsize
    late = cut.rows * costs.LATE if results > target.l2 else 0
    found = []
    for batches, rows, columns in _chunks(cut):
        by_rows, by_columns = -(-cut.tiles[0] // rows), -(-cut.tiles[1] // columns)
        copies_left, pack_left = min(_priced(left, by_columns))
        copies_right, pack_right = min(_priced(right, by_rows))
        chunks = -(-total // batches) * by_rows * by_columns
        products = max(cycles, _streamed(cut, columns, target))
        cost = (products + copies_left + copies_right + by_columns * late) * total
        cost *= _imbalance(chunks, batches * rows * columns / tiles, cost)
        cost += costs.CHUNK_START * chunks
        found.append((cost, batches, rows, columns, pack_left, pack_right))
    cost, batches, rows, columns, pack_left, pack_right = min(found)
    # If two tiles share rows, blocks of the depth would add to the shared sums twice.
    whole = cut.method == "outer" and (pack_left or cut.rows % cut.tile.rows == 0)
    blocks = max(1, -(-cut.depth // costs.DEPTH)) if whole and cut.tiles[0] > 1 else 1
    return cost, replace(
        cut, batches=batches, row_tiles=rows, column_tiles=columns, pack_left=pack_left,
        pack_right=pack_right, depth_block=-(-cut.depth // blocks),
    )  # fmt: skip


def _priced(ways, times):
    """(cycles, way) for each way to read an operand, if ``times`` chunks need each element."""
    return [(once + times * each, when) for when, once, each in ways]


def _ways(cut, target):
    """For each operand, the ways to read it: (when packed, cycles once, cycles of each chunk).

    The cycles are those of one batch index.
    """
    total, (down, across) = prod(cut.batch), cut.tiles
    found = []
    for operand, elements, again, reads in (
        (cut.left, cut.rows * cut.depth, across - 1, down * cut.depth),
        (cut.right, cut.columns * cut.depth, down - 1, across * cut.depth),
    ):
        turning = operand is cut.right and operand.axis == "depth"
        each = costs.FETCH if operand.matrix.fetch else costs.TURN if turning else costs.COPY
        far = costs.FAR * elements
        ways = [
            ("chunk", costs.CODE / total, each * elements + far),
            ("ahead", (costs.CODE + costs.START) / total + (each + costs.FAR) * elements, far),
        ]
        in_place = "", _scatter(operand, cut, target) * again * reads, far
        if cut.method == "inner":
            ways = [in_place]
        elif operand.plain(cut.tile.dtype) and (operand is cut.left or operand.side == 1):
            ways.append(in_place)
        found.append(ways)
    return found


def _streamed(cut, columns, target):
    """Cycles to read all columns again from the second-level cache for each tile down.

    Only ``inner`` tiles need them: they read the whole columns of a chunk in place, and these may
    not fit the first-level cache.
    """
    itemsize = cut.tile.dtype.itemsize
    if cut.method == "outer" or columns * cut.width * cut.depth * itemsize <= target.l1:
        return 0
    return cut.tiles[0] * cut.columns * cut.depth * itemsize / costs.STREAM


def _scatter(operand, cut, target):
    """Extra cycles of a step because cache lines that a tile reads in place evict each other.

    A cache is divided into sets. Lines at a distance that is a multiple of a large power of two
    fall into few sets. The TLB also holds few pages. The right operand loses less in the
    first-level cache, because its vectors are requested early enough.
    """
    itemsize = cut.tile.dtype.itemsize
    along = operand.axis == "side"
    step = abs(operand.depth if along else operand.side) * itemsize
    depth = min(cut.depth, costs.DEPTH)
    lines = cut.depth * min(step, 64) // 64 if along else cut.tile.rows
    cycles = 0.0
    if lines > _held(step, 64, target.l1 // 4096):
        sets = max(1, 64 // max(1, gcd(step, 4096) // 64))
        cycles += min(2, 8 / sets) * (1 if operand is cut.left else 0.25)
    if along and lines > _held(step, target.l2 // 1024, 16):
        cycles += costs.NEXT
    if along and depth * step > costs.PAGES * 4096:
        cycles += costs.PAGE * min(1, step / 4096)
    return cycles


def _held(step, sets, ways):
    """The number of lines ``step`` bytes apart that a cache keeps; a quarter is for other data."""
    used = max(1, sets // max(1, gcd(step, 64 * sets) // 64))
    return inf if used == sets else used * ways * 3 // 4


def _chunks(cut):
    """The candidates for a chunk: (batch indices, tiles down, tiles across)."""
    total, (down, across) = prod(cut.batch), cut.tiles
    products = cut.rows * cut.columns * max(cut.depth, 1)
    if products * total <= 2 * costs.PRODUCT_CHUNK or (
        total > 1 and products <= costs.PRODUCT_CHUNK
    ):
        return [(_even(total, max(1, costs.PRODUCT_CHUNK // products)), down, across)]
    smallest = max(costs.PRODUCT_CHUNK, products * total // 128)
    found = []
    for rows in _parts(down):
        for columns in _parts(across):
            size = rows * cut.tile.rows * columns * cut.width
            if size <= 1 << 16 and size * cut.depth >= smallest:
                found.append((1, rows, columns))
    return found or [(1, 1, 1)]


def _parts(count):
    """Candidate sizes of equal parts of ``count``, the largest first."""
    return sorted({-(-count // n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)}, reverse=True)


def _imbalance(chunks, share, cycles):
    """How many times longer than ideal the busiest thread takes, averaged over numbers of threads.

    ``share`` is the fraction of the work in one chunk; the last chunks may be smaller. A thread
    that has finished helps the others, so no thread works alone for longer than one chunk. A number
    of threads counts if there is enough work for each thread; see ``costs.SHARE``.
    """
    threads = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= 2 or cycles >= n * n * costs.SHARE]
    busiest = lambda n: min(-(-chunks // n) * share, (1 - share) / n + share)
    return sum(n * busiest(n) for n in threads) / len(threads)


def _even(count, most):
    """The size of equal parts of ``count``, none larger than ``most``."""
    parts = -(-count // most)
    return -(-count // parts)
