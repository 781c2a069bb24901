"""The tiles of a factor of a product in shared memory: how they get there, and into registers.

A tile has ``DEPTH`` bytes of the depth for each of its rows (columns, of the right factor). It lies
in shared memory as in the device's memory: *deep* if neighbours are of one row, else *flat*. It is
made of chunks of 16 bytes. The order of a line's chunks depends on the number of the line, so that
chunks that a warp reads at once, of several lines, lie in different banks of memory.
"""

from llvmlite import ir

from rushlight.compiler.codegen.memory import stack
from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.device.parts import below, split, unravel

__all__ = ["DEPTH", "Factor"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: Bytes of the depth in a tile.
DEPTH = 64
_CHUNK = ir.VectorType(_I32, 4)


class Factor:
    """A factor in a kernel.

    Args:
        cores: The ``Cores`` that emits the kernel.
        side: 0 for the left factor, 1 for the right one. The columns of the right factor are called
            its rows here.

    Attributes:
        nbytes, base: Bytes of a tile, and its first byte in a stage.
        chunks: The number of chunks in a line.
    """

    base = 0

    def __init__(self, cores, side):
        self.cores, self.side, self.module, work = cores, side, cores.module, cores.work
        self.work, self.itemsize = work, cores.instruction.itemsize
        self.rows, self.end = (cores.rows, work.m) if side == 0 else (cores.columns, work.n)
        self.deep = work.upright[1] if side else not work.upright[0]
        self.nbytes = self.rows * DEPTH
        self.length = 16 // self.itemsize  # elements of a chunk
        self.chunks = (DEPTH if self.deep else self.rows * self.itemsize) // 16
        self.run, self.later = work.runs[side], cores.instruction.later
        self.element = ir.IntType(8 * self.itemsize)

    def prepare(self, b):
        """Compute what stays the same in all steps of the depth: once, before them."""
        cores, per = self.cores, self.nbytes // 16 // self.cores.size
        self.first = cores.first[self.side]
        #: (line, first element in it, bytes in the tile) of the chunks that a work-item copies.
        self.own = []
        for k in range(per):
            line, chunk = split(b, b.add(cores.item, _I32(k * cores.size)), self.chunks)
            start = b.zext(b.mul(chunk, _I32(self.length)), _I64)
            self.own.append((b.zext(line, _I64), start, self._offset(b, line, chunk)))
        if self.deep:
            shape = self.work.shapes[self.side]
            self.indices = [unravel(b, b.add(self.first, line), shape) for line, *_ in self.own]
        self.held = [stack(b, _CHUNK) for _ in self.own]
        operand, width = self._operand(b), self.run * self.itemsize
        address = b.ptrtoint(cores.pointers[operand], _I64)
        self.aligned = b.icmp_unsigned("==", b.and_(address, i64(width - 1)), i64(0))
        self._prepare_registers(b)

    def _operand(self, b):
        """The number of the operand."""
        zero = [[i64(0)] * len(s) for s in self.work.shapes]
        return self._look(b, zero[self.side], zero[2])[0]

    def _look(self, b, row, depth):
        batch = self.cores.batch
        if self.side:
            return self.work.right(b, batch, depth, row)
        return self.work.left(b, batch, row, depth)

    def _offset(self, b, line, chunk):
        """Where a chunk of a line lies in the tile, in bytes."""
        wide = self.itemsize == 4 and not self.deep
        if wide:  # a warp reads 8 elements of lines t = 0 … 3, or 4 … 7: two chunks of each
            turn = b.shl(line, _I32(1))
        else:  # a warp reads one chunk of 8 lines
            turn = b.lshr(line, _I32(max(1, 8 // self.chunks).bit_length() - 1))
        turn = b.and_(turn, _I32(min(self.chunks, 8) - 1))
        at = b.add(b.mul(line, _I32(16 * self.chunks)), b.mul(b.xor(chunk, turn), _I32(16)))
        return b.add(at, _I32(self.base))

    # Into shared memory -----------------------------------------------------------------------

    def fetch(self, b, depth, stage):
        """Begin to copy the tile at a ``depth`` of the factor to a ``stage``; see ``put``."""
        single = 1 if self.later and self.itemsize == 4 else 0
        if self.run == 1:
            self._copy(b, depth, stage, single)
            return
        with b.if_else(self.aligned) as (then, other):
            with then:
                self._copy(b, depth, stage, self.run)
            with other:
                self._copy(b, depth, stage, single)
                if self.later and not single:
                    self._put(b, stage)

    def _copy(self, b, depth, stage, run):
        """Copy in pieces of ``run`` elements; if it is 0, hold single elements in registers."""
        later = self.later and run * self.itemsize >= 4
        for k, (_, _, offset) in enumerate(self.own):
            parts = []
            for i in range(0, self.length, run or 1):
                pointer, fits = self._source(b, k, i, depth)
                if later:
                    at = b.add(b.add(stage, offset), _I32(i * self.itemsize))
                    size = run * self.itemsize
                    count = b.select(fits, _I32(size), _I32(0))
                    self.module.copy_later(b, self.cores.at(b, at), pointer, size, count)
                    continue
                typ = self.element if run < 2 else ir.VectorType(self.element, run)
                value = b.load(pointer, typ=typ, align=max(run, 1) * self.itemsize)
                parts.append(b.select(fits, value, ir.Constant(typ, None if run > 1 else 0)))
            if parts:
                b.store(self._joined(b, parts), self.held[k])

    def _joined(self, b, parts):
        """A chunk made of equal parts."""
        if len(parts) == 1:
            return b.bitcast(parts[0], _CHUNK)
        typ = ir.IntType(128 // len(parts))
        chunk = ir.Constant(ir.VectorType(typ, len(parts)), ir.Undefined)
        for k, part in enumerate(parts):
            chunk = b.insert_element(chunk, b.bitcast(part, typ), _I32(k))
        return b.bitcast(chunk, _CHUNK)

    def _source(self, b, k, i, depth):
        """(address, condition) of the element ``i`` of the work-item's chunk ``k``."""
        line, start, _ = self.own[k]
        at = b.add(start, i64(i))
        rows, depths = self.work.shapes[self.side], self.work.shapes[2]
        if self.deep:
            row, d = b.add(self.first, line), b.add(depth, at)
            index = self.indices[k]
        else:
            row, d = b.add(self.first, at), b.add(depth, line)
            index = unravel(b, row, rows)
        operand, place, found = self._look(b, index, unravel(b, d, depths))
        fits = below(b, (row, self.end), (d, self.work.depth))
        fits = fits if found is None else b.and_(fits, found)
        place = b.select(fits, place, i64(0))  # the first element is read where there is none
        return b.gep(self.cores.pointers[operand], [place], source_etype=self.element), fits

    def put(self, b, stage):
        """Store what ``fetch`` holds in registers, after other work, in the ``stage``."""
        if not self.later or self.run * self.itemsize < 4:
            self._put(b, stage)

    def _put(self, b, stage):
        for (_, _, offset), held in zip(self.own, self.held, strict=True):
            target = self.cores.at(b, b.add(stage, offset))
            b.store(b.load(held, typ=_CHUNK), target, align=16)

    # Into registers ---------------------------------------------------------------------------

    def _prepare_registers(self, b):
        """Find where a work-item's elements of 16 rows and 32 bytes of the depth lie in a tile."""
        cores = self.cores
        first = cores.warp[self.side]
        blocks = [b.add(first, _I32(n)) for n in range(0, cores.part[self.side], 16)]
        find = self._rows_of_words if self.itemsize == 4 and not self.deep else self._matrices
        self.places = [[find(b, row, step) for row in blocks] for step in range(DEPTH // 32)]

    def _matrices(self, b, row, step):
        """The address that a work-item gives ``Ptx.matrices``: of a row of one of four matrices.

        The matrices are the lower and upper rows, and these further in the depth; of the right
        factor the order is another one.
        """
        lane = self.cores.lane
        low = b.and_(lane, _I32(7))
        first, second = [b.and_(b.lshr(lane, _I32(bit)), _I32(1)) for bit in (3, 4)]
        half, further = (second, first) if self.side else (first, second)
        if self.deep:
            line = b.add(row, b.add(low, b.mul(half, _I32(8))))
            return [self._offset(b, line, b.add(further, _I32(2 * step)))]
        line = b.add(_I32(16 * step), b.add(low, b.mul(further, _I32(8))))
        return [self._offset(b, line, b.add(b.lshr(row, _I32(3)), half))]

    def _rows_of_words(self, b, row, step):
        """The addresses of a work-item's four elements, in a flat tile of 32-bit elements."""
        group, own = split(b, self.cores.lane, 4)
        found = []
        for second in (0, 1):
            for first in (0, 1):
                half, further = (second, first) if self.side else (first, second)
                line = b.add(own, _I32(8 * step + 4 * further))
                at = b.add(row, b.add(group, _I32(8 * half)))
                chunk, inner = split(b, at, 4)
                found.append(b.add(self._offset(b, line, chunk), b.mul(inner, _I32(4))))
        return found

    def registers(self, b, stage, step):
        """The registers of each 16 rows with 32 bytes of the depth, four for each.

        Of the left factor they are (lower, upper rows) and these further in the depth; of the right
        factor (near, further) of the lower and of the upper rows.
        """
        blocks = []
        for places in self.places[step]:
            sources = [self.cores.at(b, b.add(stage, place)) for place in places]
            if len(sources) == 1:
                block = self.module.matrices(b, sources[0], not self.deep)
            else:
                block = [b.load(source, typ=_I32) for source in sources]
            if self.itemsize == 4:
                block = [self.module.rounded(b, r) for r in block]
            blocks.append(block)
        return blocks
