"""A kernel that computes one block of a contraction's result a chunk."""

from dataclasses import replace

from llvmlite import ir

from rushlight.compiler.emit.loop import address, lift, loop, unravel
from rushlight.compiler.emit.memory import load, prefix_mask, store
from rushlight.compiler.emit.microkernel import inner, outer
from rushlight.compiler.emit.packing import Source, copy_panel, turn_panel
from rushlight.compiler.emit.value import INT, Value, constant, select

__all__ = ["pointer", "write_kernel"]

_PTR, _I64, _I1, _VOID = ir.PointerType(), ir.IntType(64), ir.IntType(1), ir.VoidType()


def kernel_function(module, name):
    """A function of the kernels' form, ``void name(ptr args, i64 chunk, ptr scratch)``."""
    function = ir.Function(module, ir.FunctionType(_VOID, [_PTR, _I64, _PTR]), name)
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def pointer(b, args, index):
    """The address of buffer number ``index`` of a kernel."""
    return b.load(address(b, args, index, 8), typ=_PTR)


def least(x, y):
    """The smaller of two indices; a number if both are."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    value = x if isinstance(x, Value) else y
    x, y = lift(value.b, x), lift(value.b, y)
    return select(x < y, x, y)


def write_kernel(module, name, cut, sink):
    """Add the function ``name``: it computes a chunk of ``cut``, a Blocking (None: of nothing)."""
    function, b = kernel_function(module, name)
    args, chunk, scratch = function.args
    if cut is not None:
        _Kernel(b, cut, args, scratch).write(Value(b, chunk, INT), sink)
    b.ret_void()


class _Kernel:
    """The state of writing one kernel."""

    def __init__(self, b, cut, args, scratch):
        self.b, self.cut, self.args = b, cut, args
        parts, offset = [], 0
        for size in cut.scratch:
            parts.append(address(b, scratch, offset))
            offset += size
        self.packed_left, self.packed_right, self.block, self.turned = parts

    def write(self, chunk, sink):
        b, cut = self.b, self.cut
        total = 1
        for n in cut.batch:
            total *= n
        group, down, across = _chunk_index(b, chunk, cut.grid)
        self.tile_row, self.row_count = _share(down, cut.row_tiles, cut.tiles[0])
        self.tile_column, self.column_count = _share(across, cut.column_tiles, cut.tiles[1])
        first, count = _share(group, cut.batches, total)
        with loop(b, 0, count) as i:
            batch = unravel(b, first + i, cut.batch)
            self._open(batch)
            self._compute()
            self._drain(sink, batch)

    def _open(self, batch):
        b, cut = self.b, self.cut
        order = (1, 0) if cut.turned else (0, 1)
        self.left, self.right = [
            Source(b, operand, cut.tile.dtype, self.args, pointer(b, self.args, i), batch)
            for operand, i in zip((cut.left, cut.right), order, strict=True)
        ]
        self.depth = cut.depth
        if cut.last_depth != cut.depth:
            last = lift(b, batch[0]) == cut.batch[0] - 1
            self.depth = select(last, lift(b, cut.last_depth), lift(b, cut.depth))

    # Computing ----------------------------------------------------------------------------

    def _compute(self):
        b, cut = self.b, self.cut
        if not cut.depth:
            self._clear()
            return
        if cut.method == "inner":
            with loop(b, 0, self.row_count) as i, loop(b, 0, self.column_count) as j:
                self._inner_tile(i, j)
            return
        blocks = -(-cut.depth // cut.depth_block)
        with loop(b, 0, blocks) as p:
            start = p * cut.depth_block
            size = self.depth if blocks == 1 else least(self.depth - start, cut.depth_block)
            if cut.pack_left:
                with loop(b, 0, self.row_count) as i:
                    self._pack_left(i, start, size)
            with loop(b, 0, self.column_count) as j:
                if cut.pack_right:
                    self._pack_right(j, start, size)
                with loop(b, 0, self.row_count) as i:
                    self._outer_tile(i, j, start, size)

    def _clear(self):
        """The block of a sum of nothing."""
        b, tile = self.b, self.cut.tile
        zeros = constant(b, 0, tile.dtype, tile.lanes)
        rows, pitch = self.cut.block
        with loop(b, 0, rows * pitch, tile.lanes) as i:
            store(b, zeros, address(b, self.block, i, tile.dtype.itemsize), tile.dtype)

    def _row(self, i):
        """The first row of the ``i``-th tile of this chunk."""
        row = (i + self.tile_row) * self.cut.tile.rows
        return least(row, self.cut.rows - self.cut.tile.rows) if self.cut.overlapping else row

    def _column(self, j):
        column = (j + self.tile_column) * self.cut.width
        last = self.cut.columns - self.cut.width
        return least(column, last) if self.cut.method == "inner" else column

    def _place(self, row, column):
        """Where the block has the sum of a row and a column."""
        offset = (row - self._row(0)) * self.cut.block[1] + (column - self._column(0))
        return address(self.b, self.block, offset, self.cut.tile.dtype.itemsize)

    def _inner_tile(self, i, j):
        b, cut = self.b, self.cut
        row, column = self._row(i), self._column(j)
        lanes = cut.tile.lanes
        sums = inner(
            b, cut.tile, self.depth,
            lambda k, i, mask: self.left.vector(row + i, k, lanes, mask),
            lambda k, j, mask: self.right.vector(column + j, k, lanes, mask),
        )  # fmt: skip
        for at, x in enumerate(sums):
            i, j = divmod(at, cut.tile.columns)
            store(b, x, self._place(row + i, column + j), cut.tile.dtype)

    def _outer_tile(self, i, j, start, size):
        b, cut = self.b, self.cut
        row, column = self._row(i), self._column(j)
        itemsize = cut.tile.dtype.itemsize
        if cut.pack_left:
            count, pitch = cut.left_panel
            left = address(b, self.packed_left, i * (count * pitch), itemsize)
        else:
            left = self.left.place(row, start)
        right = self.packed_right if cut.pack_right else self.right.place(column, start)
        args = [left, right, self._place(row, column), lift(b, size).v, (lift(b, start) != 0).v]
        whole, last = self._tile_kinds()
        if last == whole:
            b.call(self._tile_function(*whole), args)
            return
        is_last = lift(b, j + self.tile_column) == cut.tiles[1] - 1
        with b.if_else(is_last.v) as (then, otherwise):
            with then:
                b.call(self._tile_function(*last), args)
            with otherwise:
                b.call(self._tile_function(*whole), args)

    def _tile_kinds(self):
        """The tile and the columns of its last vector (0: all), for most columns and the last."""
        cut = self.cut
        lanes = cut.tile.lanes
        rest = cut.columns - (cut.tiles[1] - 1) * cut.width
        vectors = -(-rest // lanes)
        partial = 0 if cut.pack_right else rest % lanes
        last = replace(cut.tile, columns=vectors), partial
        return ((cut.tile, 0) if cut.tiles[1] > 1 else last), last

    def _tile_function(self, tile, partial):
        cut = self.cut
        if cut.pack_left:
            pitch = cut.left_panel[1]
            left = (pitch, 1) if cut.left.axis == "depth" else (1, pitch)
        else:
            left = cut.left.side, cut.left.depth
        right = cut.right_panel[1] if cut.pack_right else cut.right.depth
        return tile_function(
            self.b.module, tile, partial, left, right, cut.block[1], cut.depth > cut.depth_block
        )

    # Copies -------------------------------------------------------------------------------

    def _pack_left(self, i, start, size):
        b, cut, lanes = self.b, self.cut, self.cut.tile.lanes
        count, pitch = cut.left_panel
        to = address(b, self.packed_left, i * (count * pitch), cut.tile.dtype.itemsize)
        row = self._row(i)
        if cut.left.axis == "side":
            limit = cut.rows - row
            read = lambda k, r, mask: self.left.vector(row + r, start + k, lanes, mask)
            copy_panel(b, read, size, cut.tile.rows, limit, to, pitch, cut.tile)
            return
        last = cut.rows - 1
        read = lambda r, k, mask: self.left.vector(least(row + r, last), start + k, lanes, mask)
        copy_panel(b, read, count, size, _limit(size, lanes), to, pitch, cut.tile)

    def _pack_right(self, j, start, size):
        b, cut, lanes = self.b, self.cut, self.cut.tile.lanes
        pitch = cut.right_panel[1]
        column = self._column(j)
        if cut.right.axis == "side":
            limit = _limit(cut.columns, lanes) and cut.columns - column
            read = lambda k, c, mask: self.right.vector(column + c, start + k, lanes, mask)
            copy_panel(b, read, size, cut.width, limit, self.packed_right, pitch, cut.tile)
            return
        last = cut.columns - 1
        read = lambda c, k, mask: self.right.vector(least(column + c, last), start + k, lanes, mask)
        limit = _limit(size, lanes)
        turn_panel(b, read, cut.width, size, limit, self.packed_right, pitch, cut.tile)

    # The result ---------------------------------------------------------------------------

    def _drain(self, sink, batch):
        """Give the finished block to ``sink``."""
        b, cut = self.b, self.cut
        first_row, first_column = self._row(0), self._column(0)
        tile = cut.tile
        rows = _span(self.tile_row, self.row_count, tile.rows, cut.rows)
        columns = _span(self.tile_column, self.column_count, cut.width, cut.columns)
        block, pitch = self.block, cut.block[1]
        if cut.turned:
            self._turn_block()
            block, pitch = self.turned, cut.block[0]
            rows, columns = columns, rows
            first_row, first_column = first_column, first_row
        batch = [lift(b, i).v for i in batch]
        with loop(b, *rows) as m, loop(b, *columns, tile.lanes) as n:
            mask = None
            if self._ragged():
                mask = prefix_mask(b, lift(b, columns[1] - n).v, tile.lanes)
            offset = (m - first_row) * pitch + (n - first_column)
            at = address(b, block, offset, tile.dtype.itemsize)
            value = load(b, at, tile.dtype, tile.lanes)
            sink(
                b,
                self.args,
                batch,
                lift(b, m).v,
                lift(b, n).v,
                value,
                None if mask is None else mask.v,
            )

    def _ragged(self):
        """Whether some vectors of the result are not full."""
        cut = self.cut
        if cut.turned:
            total, size, count = cut.rows, cut.tile.rows, cut.row_tiles
            chunks = cut.grid[1]
        else:
            total, size, count = cut.columns, cut.width, cut.column_tiles
            chunks = cut.grid[2]
        return total % cut.tile.lanes != 0 or (chunks > 1 and count * size % cut.tile.lanes != 0)

    def _turn_block(self):
        b, cut = self.b, self.cut
        itemsize = cut.tile.dtype.itemsize
        (rows, pitch), lanes = cut.block, cut.tile.lanes

        def read(r, c, mask):
            at = address(b, self.block, r * pitch + c, itemsize)
            return load(b, at, cut.tile.dtype, lanes)

        turn_panel(b, read, rows, pitch, None, self.turned, rows, cut.tile)


def _limit(size, lanes):
    """``size``, or None if it is known to be whole vectors."""
    return None if isinstance(size, int) and size % lanes == 0 else size


def _chunk_index(b, chunk, grid):
    """``unravel`` in which dimensions of one chunk are the number 0."""
    index = iter(unravel(b, chunk, [n for n in grid if n > 1]))
    return [next(index) if n > 1 else 0 for n in grid]


def _share(index, size, total):
    """The first and the number of the ``index``-th ``size`` things of ``total``."""
    first = index * size
    return first, size if total % size == 0 else least(total - first, size)


def _span(first, count, size, total):
    """From the first row of the first tile to the last row of the last."""
    stop = (first + count) * size
    return first * size, total if isinstance(stop, int) and stop > total else least(stop, total)


def tile_function(module, tile, partial, left, right, pitch, resuming):
    """The function that computes a tile of the block; contractions of a module share it.

    ``void tile(ptr left, ptr right, ptr block, i64 depth, i1 resume)``: the left operand has
    strides ``left`` by row and by step, the right one ``right`` by step, and rows of the block lie
    ``pitch`` apart; with ``resume`` the sums go on from those in the block.
    """
    marks = (tile.dtype.char, tile.rows, tile.columns, partial, *left, right, pitch, int(resuming))
    name = "tile." + ".".join(map(str, marks))
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(_VOID, [_PTR] * 3 + [_I64, _I1]), name)
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x, y, block, depth, resume = function.args
    size, lanes, dtype = tile.dtype.itemsize, tile.lanes, tile.dtype
    masks = [None] * tile.columns
    if partial:
        masks[-1] = prefix_mask(b, partial, lanes)
    places = [
        address(b, block, i * pitch + j * lanes, size)
        for i in range(tile.rows)
        for j in range(tile.columns)
    ]

    def element(k, i):
        return load(b, address(b, x, k * left[1] + i * left[0], size), dtype)

    def vector(k, j):
        return load(b, address(b, y, k * right + j * lanes, size), dtype, lanes, masks[j])

    sums = tile.zeros(b)
    if resuming:
        sums = _resumed(b, Value(b, resume, None), places, sums)
    found = outer(b, tile, Value(b, depth, INT), element, vector, sums)
    for place, total in zip(places, found, strict=True):
        store(b, total, place, dtype)
    b.ret_void()
    return function


def _resumed(b, resume, places, sums):
    """The sums in the block if ``resume``, else ``sums``."""
    before = b.block
    with b.if_then(resume.v):
        kept = [load(b, place, x.dtype, x.lanes) for place, x in zip(places, sums, strict=True)]
        inside = b.block
    found = []
    for x, y in zip(sums, kept, strict=True):
        phi = b.phi(x.v.type)
        phi.add_incoming(x.v, before)
        phi.add_incoming(y.v, inside)
        found.append(Value(b, phi, x.dtype))
    return found
