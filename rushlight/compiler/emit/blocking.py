"""How a contraction is cut: which operand fills the lanes, tiles, copies, blocks and chunks.

Everything is decided from shapes, strides and the target, by counting cycles. The number of
threads plays no part, so the order of all sums, and with it every bit of the result, is the same
for any number of them.
"""

from dataclasses import dataclass, replace
from math import inf, prod

from rushlight.compiler.emit.microkernel import Tile, best_inner, outer_tiles
from rushlight.compiler.emit.packing import Operand

__all__ = ["Blocking", "blocking"]

CHUNK = 1 << 20  # products below which a contraction is not cut, as waking a thread takes longer
DEPTH = 512  # steps whose packed panels stay in the caches
COPY, TURN = 0.2, 0.35  # cycles an element to copy it, and to exchange rows and columns
FAR = 0.06  # cycles an element to get it from the cache that all cores share
START, CHUNK_START = 4000, 300  # cycles to start a kernel on all threads, and a chunk


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
        """From row to row (along depth) or from step to step (along the side) of packed rows."""
        lanes = self.tile.lanes
        if self.left.axis == "depth":
            vectors = _up(self.depth_block, lanes) // lanes
        else:
            tiles = self.tiles[0] if self.pack_left == "ahead" else self.row_tiles
            vectors = _up(tiles * self.tile.rows, lanes) // lanes
        # An odd number of vectors: the lines of a tile don't all fall in one set of the cache.
        return (vectors | 1) * lanes

    @property
    def left_step(self):
        """From tile to tile of the packed left operand."""
        return self.tile.rows * (self.left_pitch if self.left.axis == "depth" else 1)

    def left_size(self, tiles):
        """``tiles`` packed tiles of one block of the depth."""
        if self.left.axis == "depth":
            return tiles * self.left_step
        return self.depth_block * self.left_pitch

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
        left = self.left_size(self.row_tiles) if self.pack_left == "chunk" else 0
        right = self.right_step if self.pack_right == "chunk" else 0
        block = prod(self.block)
        return self._bytes(left, right, block, block if self.turned else 0)

    @property
    def ahead(self):
        """The bytes of the left and the right operand where they are packed ahead."""
        each = prod(self.batch) * self.depth_blocks
        down, across = self.tiles
        left = each * self.left_size(down) if self.pack_left == "ahead" else 0
        right = each * across * self.right_step if self.pack_right == "ahead" else 0
        return self._bytes(left, right)

    def _bytes(self, *elements):
        return tuple([_up(n * self.tile.dtype.itemsize, 64) for n in elements])


def _up(n, multiple):
    return -(-n // multiple) * multiple


# Choosing ---------------------------------------------------------------------------------


def blocking(a, b, dtype, batch, m, n, k, last_depth, target):
    """The cheapest :class:`Blocking` of a contraction of the :class:`Operand` s ``a`` and ``b``."""
    common = {"batch": batch, "depth": k, "last_depth": last_depth}
    best, least = None, inf
    for turned in (False, True):
        left, right, rows, columns = (b, a, n, m) if turned else (a, b, m, n)
        sides = {"left": left, "right": right, "turned": turned, "rows": rows, "columns": columns}
        candidates = [
            (cycles, Blocking(method="outer", tile=tile, depth_block=k, **sides, **common))
            for cycles, tile in outer_tiles(target, dtype, rows, columns, k)
        ]
        if left.axis == right.axis == "depth" and not turned:
            tile, cycles = best_inner(target, dtype, rows, columns, k)
            cut = Blocking(method="inner", tile=tile, depth_block=k, **sides, **common)
            candidates.append((cycles, cut))
        for cycles, cut in candidates:
            for packed in _packings(cut, target):
                for chunked in _chunkings(packed):
                    cost = _cost(cycles, chunked, target)
                    if cost < least:
                        best, least = chunked, cost
    return best


def _packings(cut, target):
    """``cut`` with the copies it needs, or may gain from: none, in each chunk, or ahead."""
    if cut.method == "inner":
        return [cut]
    dtype = cut.tile.dtype
    lefts, rights = ["", "chunk", "ahead"], ["", "chunk", "ahead"]
    if not cut.left.plain(dtype):
        lefts.remove("")
    elif not _scattered(cut.left, cut, target):
        lefts = [""]
    if not cut.right.plain(dtype) or cut.right.side != 1:
        rights.remove("")
    elif not _scattered(cut.right, cut, target):
        rights = [""]
    found = []
    for x in lefts:
        # The sums of overlapping tiles cannot be taken up again.
        blocks = max(1, -(-cut.depth // DEPTH)) if x else 1
        depth = -(-cut.depth // blocks)
        found += [replace(cut, pack_left=x, pack_right=y, depth_block=depth) for y in rights]
    return found


def _scattered(operand, cut, target):
    """Whether the lines of an operand's tile, in place, put each other out of the cache."""
    itemsize = cut.tile.dtype.itemsize
    if operand.axis == "depth":
        return cut.depth * itemsize > 512 and operand.side * itemsize % 1024 == 0
    lines = cut.depth * max(64, min(operand.depth * itemsize, 1 << 12))
    return lines > target.l1


def _chunkings(cut):
    """``cut`` in chunks of several shapes."""
    total, (down, across) = prod(cut.batch), cut.tiles
    products = cut.rows * cut.columns * max(cut.depth, 1)
    if products * total <= CHUNK or (total > 1 and products * 2 <= CHUNK):
        batches = _even(total, max(1, CHUNK // products))
        yield replace(cut, batches=batches, row_tiles=down, column_tiles=across)
        return
    smallest = max(CHUNK, products * total // 64) // 2
    for rows in _parts(down):
        for columns in _parts(across):
            size = rows * cut.tile.rows * columns * cut.width
            if size <= 1 << 16 and (size * cut.depth >= smallest or rows == columns == 1):
                yield replace(cut, row_tiles=rows, column_tiles=columns)


def _parts(count):
    """Sizes of parts to cut ``count`` into, the largest first."""
    return sorted(
        {-(-count // n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)}, reverse=True
    )


def _cost(cycles, cut, target):
    """Cycles of everything, where the tiles take ``cycles`` for each batch index."""
    batches, by_rows, by_columns = cut.grid
    down, across = cut.tiles
    total = cycles + cut.rows * cut.columns * (0.15 + 2 * TURN * cut.turned)
    left, right = cut.rows * cut.depth, cut.columns * cut.depth
    total += _copying(cut.pack_left, COPY, left, by_columns)
    each = COPY if cut.right.axis == "side" else TURN
    total += _copying(cut.pack_right, each, right, by_rows)
    # What the chunks read more than once comes from far away; out of place, a line at a time.
    total += FAR * (left * by_columns + right * by_rows)
    if not cut.pack_left and _scattered(cut.left, cut, target):
        total += 2 * down * across * cut.depth
    if not cut.pack_right and cut.method == "outer" and _scattered(cut.right, cut, target):
        total += right * down * 2 / cut.tile.lanes
    chunks = batches * by_rows * by_columns
    total = total * prod(cut.batch) * _imbalance(chunks) + CHUNK_START * chunks
    return total + START * ("ahead" in (cut.pack_left, cut.pack_right))


def _copying(when, each, elements, times):
    """Cycles to copy elements in each chunk that needs them, or once to far away."""
    if not when:
        return 0
    return elements * (each * times if when == "chunk" else each + FAR)


def _imbalance(chunks):
    """How much longer the threads with one chunk more take: the mean for up to eight threads."""
    return sum(-(-chunks // n) * n / chunks for n in (1, 2, 4, 8)) / 4


def _even(count, most):
    """The size of equal parts of ``count``, none larger than ``most``."""
    parts = -(-count // most)
    return -(-count // parts)
