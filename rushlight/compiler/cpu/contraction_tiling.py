"""How a contraction is cut: which operand fills the lanes, tiles, copies, blocks and chunks.

Everything is decided from shapes, strides and the target, by counting cycles. The number of
threads plays no part, so the order of all sums, and with it every bit of the result, is the same
for any number of them.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, inf, prod

from rushlight.backend.sizes import large_from
from rushlight.compiler.cpu.microkernel import Tile, best_inner, outer_tiles
from rushlight.compiler.cpu.packing import Operand

__all__ = ["Blocking", "blocking"]

CHUNK = large_from(1 << 18)  # products, at least, in a chunk of more: some microseconds
DEPTH = 512  # steps whose packed panels stay in the caches
COPY, TURN = 0.2, 0.35  # cycles an element to copy it, and to exchange rows and columns
FETCH = 1.0  # cycles an element to compute it
NEXT = 8  # cycles a step that finds nothing in a core's own caches
STREAM = 32  # bytes a cycle from a core's second-level cache
PAGE, PAGES = 4, 48  # cycles to find a page, and how many pages are known
FAR = 0.06  # cycles an element to get it from the cache that all cores share
LATE = 250  # cycles until memory brings what nobody saw coming: the start of a chunk's row of sums
START, CHUNK_START = 4000, 300  # cycles to start a kernel on all threads, and a chunk
CODE = 400  # cycles that more code must gain
SHARE = 1 << 13  # cycles of work for a thread, times the number of threads


@dataclass(frozen=True)
class Blocking:
    """The cut of ``rows`` by ``columns`` sums of ``depth`` products, for each batch index.

    ``left`` supplies elements, ``right`` the lanes. If ``turned`` they are the contraction's second
    and first operand, and its result is this one with rows and columns exchanged.

    Attributes:
        last_depth: The depth for the last index of the first batch dim, where a long sum was split.
        pack_left, pack_right: ``""`` (read in place), ``"chunk"`` (each chunk copies what it needs
            to its scratch memory) or ``"ahead"`` (a kernel before this one copies everything).
        depth_block: Steps between which the sums go to memory and come back.
        batches, row_tiles, column_tiles: What a chunk computes.
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
    def depth_blocks(self):
        return -(-self.depth // self.depth_block) if self.depth else 1

    @property
    def overlapping(self):
        """Whether the last tile down starts early to be full, computing some rows a second time."""
        return not self.pack_left

    # Memory, in elements ------------------------------------------------------------------

    @property
    def left_pitch(self):
        """From row to row of a packed tile that is read along its depth, else from step to step."""
        return self._odd(self.depth_block) if self.left.axis == "depth" else self.tile.rows

    @property
    def left_step(self):
        """From tile to tile of the packed left operand."""
        if self.left.axis == "depth":
            return self.tile.rows * self.left_pitch
        # A whole vector is stored for each step, and the next begins where its rows end.
        return self._odd(self.depth_block * self.tile.rows + self.tile.lanes)

    @property
    def left_size(self):
        """The packed left operand of a chunk, for one block of the depth."""
        return self.row_tiles * self.left_step

    def _odd(self, size):
        """An odd number of vectors: the lines of a tile don't all fall in one set of the cache."""
        lanes = self.tile.lanes
        return (_up(size, lanes) // lanes | 1) * lanes

    @property
    def right_step(self):
        """A packed tile of the right operand: rows of its width, for one block of the depth."""
        return _up(self.depth_block, self.tile.lanes) * self.width

    @property
    def block(self):
        """The rows of a chunk's block of sums, and the pitch from row to row."""
        lanes = self.tile.lanes
        rows = _up(self.row_tiles * self.tile.rows, lanes)
        return rows, _up(self.column_tiles * self.width, lanes)

    @property
    def scratch(self):
        """The bytes of what a chunk keeps: packed left and right, the block, the block turned."""
        left = self.left_size if self.pack_left == "chunk" else 0
        right = self.right_step if self.pack_right == "chunk" else 0
        block = prod(self.block)
        return self._bytes(left, right, block, block if self.turned else 0)

    @property
    def ahead(self):
        """The bytes of the left and the right operand where they are packed ahead."""
        each = prod(self.batch) * self.depth_blocks
        left = each * self.grid[1] * self.left_size if self.pack_left == "ahead" else 0
        right = each * self.tiles[1] * self.right_step if self.pack_right == "ahead" else 0
        return self._bytes(left, right)

    def _bytes(self, *elements):
        return tuple([_up(n * self.tile.dtype.itemsize, 64) for n in elements])


def _up(n, multiple):
    return -(-n // multiple) * multiple


# Choosing ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # a product is planned before its code is written, and then again
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
    """The cost of ``cut`` in the best chunks, with the best copies, and what that is.

    The tiles of one batch index take ``cycles``.
    """
    total = prod(cut.batch)
    tiles = total * prod(cut.tiles)
    left, right = _ways(cut, target)
    cycles += cut.rows * cut.columns * 0.15
    if cut.turned:
        cycles += cut.rows * cut.columns * 2 * TURN + CODE / total
    results = total * cut.rows * cut.columns * cut.tile.dtype.itemsize
    late = cut.rows * LATE if results > target.l2 else 0
    found = []
    for batches, rows, columns in _chunks(cut):
        by_rows, by_columns = -(-cut.tiles[0] // rows), -(-cut.tiles[1] // columns)
        copies_left, pack_left = min(_priced(left, by_columns))
        copies_right, pack_right = min(_priced(right, by_rows))
        chunks = -(-total // batches) * by_rows * by_columns
        products = max(cycles, _streamed(cut, columns, target))
        cost = (products + copies_left + copies_right + by_columns * late) * total
        cost *= _imbalance(chunks, batches * rows * columns / tiles, cost)
        cost += CHUNK_START * chunks
        found.append((cost, batches, rows, columns, pack_left, pack_right))
    cost, batches, rows, columns, pack_left, pack_right = min(found)
    # Sums that two tiles share could not be taken up again.
    whole = cut.method == "outer" and (pack_left or cut.rows % cut.tile.rows == 0)
    blocks = max(1, -(-cut.depth // DEPTH)) if whole and cut.tiles[0] > 1 else 1
    return cost, replace(
        cut, batches=batches, row_tiles=rows, column_tiles=columns, pack_left=pack_left,
        pack_right=pack_right, depth_block=-(-cut.depth // blocks),
    )  # fmt: skip


def _priced(ways, times):
    """The ways to read an operand with their cycles where ``times`` chunks need each element."""
    return [(once + times * each, when) for when, once, each in ways]


def _ways(cut, target):
    """For each operand the ways to read it: (when it is packed, cycles once, cycles a chunk).

    Cycles are those of one batch index.
    """
    total, (down, across) = prod(cut.batch), cut.tiles
    found = []
    for operand, elements, again, reads in (
        (cut.left, cut.rows * cut.depth, across - 1, down * cut.depth),
        (cut.right, cut.columns * cut.depth, down - 1, across * cut.depth),
    ):
        turning = operand is cut.right and operand.axis == "depth"
        each = FETCH if operand.matrix.fetch else TURN if turning else COPY
        far = FAR * elements
        ways = [
            ("chunk", CODE / total, each * elements + far),
            ("ahead", (CODE + START) / total + (each + FAR) * elements, far),
        ]
        in_place = "", _scatter(operand, cut, target) * again * reads, far
        if cut.method == "inner":
            ways = [in_place]
        elif operand.plain(cut.tile.dtype) and (operand is cut.left or operand.side == 1):
            ways.append(in_place)
        found.append(ways)
    return found


def _streamed(cut, columns, target):
    """Cycles to get the columns that each tile down needs anew from the second-level cache.

    Tiles with lanes along the depth read a chunk's columns in place, whole.
    """
    itemsize = cut.tile.dtype.itemsize
    if cut.method == "outer" or columns * cut.width * cut.depth * itemsize <= target.l1:
        return 0
    return cut.tiles[0] * cut.columns * cut.depth * itemsize / STREAM


def _scatter(operand, cut, target):
    """Cycles a step because the lines that a tile reads in place put each other out of the caches.

    A cache has sets of lines; lines whose distance is a multiple of a power of two share few. And
    a core knows the places of few pages. Vectors of the right operand are asked for early enough
    to lose less in the first cache.
    """
    itemsize = cut.tile.dtype.itemsize
    along = operand.axis == "side"
    step = abs(operand.depth if along else operand.side) * itemsize
    depth = min(cut.depth, DEPTH)
    lines = cut.depth * min(step, 64) // 64 if along else cut.tile.rows
    cycles = 0.0
    if lines > _held(step, 64, target.l1 // 4096):
        sets = max(1, 64 // max(1, gcd(step, 4096) // 64))
        cycles += min(2, 8 / sets) * (1 if operand is cut.left else 0.25)
    if along and lines > _held(step, target.l2 // 1024, 16):
        cycles += NEXT
    if along and depth * step > PAGES * 4096:
        cycles += PAGE * min(1, step / 4096)
    return cycles


def _held(step, sets, ways):
    """How many lines ``step`` bytes apart a cache keeps, with some room for others."""
    used = max(1, sets // max(1, gcd(step, 64 * sets) // 64))
    return inf if used == sets else used * ways * 3 // 4


def _chunks(cut):
    """Some ways to chunk: numbers of batch indices, of tiles down and of tiles across a chunk."""
    total, (down, across) = prod(cut.batch), cut.tiles
    products = cut.rows * cut.columns * max(cut.depth, 1)
    if products * total <= 2 * CHUNK or (total > 1 and products <= CHUNK):
        return [(_even(total, max(1, CHUNK // products)), down, across)]
    smallest = max(CHUNK, products * total // 128)
    found = []
    for rows in _parts(down):
        for columns in _parts(across):
            size = rows * cut.tile.rows * columns * cut.width
            if size <= 1 << 16 and size * cut.depth >= smallest:
                found.append((1, rows, columns))
    return found or [(1, 1, 1)]


def _parts(count):
    """Sizes of equal parts of ``count``, each smaller than the one before."""
    return sorted({-(-count // n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)}, reverse=True)


def _imbalance(chunks, share, cycles):
    """How much longer the busiest thread takes: the mean for reasonable numbers of them.

    ``share`` is a chunk's part of the work; the last ones may be smaller. Whoever ends first helps
    the others, so nobody works alone for longer than a chunk. The more threads, the more work for
    each must there be.
    """
    threads = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= 2 or cycles >= n * n * SHARE]
    busiest = lambda n: min(-(-chunks // n) * share, (1 - share) / n + share)
    return sum(n * busiest(n) for n in threads) / len(threads)


def _even(count, most):
    """The size of equal parts of ``count``, none larger than ``most``."""
    parts = -(-count // most)
    return -(-count // parts)
