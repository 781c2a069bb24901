"""LLVM code of a loop kernel: rows, passes over the columns, vectors with a mask at the end.

Three scopes nest. Values that depend on no variable are computed once, values that depend on rows
once for each row, and the rest in the loop over columns. Each scope has a builder of its own, so
that a value is put into the outermost scope that can have it.
"""

from llvmlite import ir

from rushlight.compiler.codegen import memory
from rushlight.compiler.codegen.accumulators import Accumulator, Search
from rushlight.compiler.codegen.frame import prefetch
from rushlight.compiler.codegen.memory import (
    addresses,
    gather,
    iota,
    load,
    memory_type,
    prefix_mask,
    store,
)
from rushlight.compiler.codegen.nodes import Nodes
from rushlight.compiler.codegen.scope import POINTER, Loop, Scope, i64, kernel_function
from rushlight.compiler.codegen.spills import Spills
from rushlight.compiler.codegen.value import INT, splat
from rushlight.compiler.ir.affine import Affine
from rushlight.compiler.plan.kernel import Extremum, Load, Reduce, Scan, Scatter
from rushlight.compiler.plan.loops import REDUCING

__all__ = ["LoopEmitter", "emit_loops", "in_blocks"]

#: The number of terms of a short sum.
BLOCK = 32


def in_blocks(end, step):
    """Whether sums along so many columns are made of short sums."""
    return end > 2 * BLOCK * step


class LoopEmitter:
    """Writes one kernel by its schedule."""

    def __init__(self, module, name, loops, count):
        self.loops, self.masks = loops, True
        self.function, entry = kernel_function(module, name)
        args, self.chunk, self.scratch = self.function.args
        pointers = []
        for k in range(count):
            slot = entry.gep(args, [i64(k)], source_etype=POINTER)
            pointers.append(entry.load(slot, typ=POINTER, align=8))
        self.kernel = Scope(entry)
        self.nodes = Nodes(pointers, [self.kernel] * 3, loops)
        self.spills = self.nodes.spills = Spills(loops, self.scratch)
        self.spills.nodes = self.nodes

    def emit(self):
        loops = self.loops
        # The accumulators' variables are allocated first, in a block that runs once.
        kinds = {Reduce: Accumulator, Scan: Accumulator, Extremum: Search}
        self.accumulators = self.nodes.accumulators = {
            id(n): kinds[type(n)](n, self.nodes, self.kernel.b)
            for n in loops.nodes if type(n) in kinds
        }  # fmt: skip
        self.scans = [self.accumulators[id(n)] for n in loops.nodes if type(n) is Scan]
        if loops.steps == 1:
            self._row(self.kernel, None)
        else:
            begin, end = self._piece()
            if loops.across and loops.masked and not loops.rows:
                # Whole vectors come first, without masks: for memory beyond the cache, stores with
                # a mask take ten times as long.
                middle = self._least(end, self._whole())
                self.masks = False
                self._steps(begin, middle)
                begin, self.masks = middle, True
            self._steps(begin, end)
        self.kernel.b.ret_void()

    def _steps(self, begin, end):
        loop = Loop(self.kernel.b, begin, end)
        row = Scope(loop.b)
        self.nodes.scopes = [self.kernel, row, row]
        self._row(row, loop.i)
        loop.close()

    def _whole(self):
        """The number of vectors that need no mask."""
        return i64(self.loops.vector.extent // self.loops.lanes)

    def _least(self, x, y):
        b = self.kernel.b
        return b.select(b.icmp_signed("<", x, y), x, y)

    def _piece(self):
        loops, b = self.loops, self.kernel.b
        if loops.pieces == 1:
            return i64(0), i64(loops.steps)
        size = -(-loops.steps // loops.pieces)
        begin = b.mul(self.chunk, i64(size))
        return begin, self._least(b.add(begin, i64(size)), i64(loops.steps))

    def _row(self, row, step):
        loops, nodes = self.loops, self.nodes
        self._row_variables(row, step)
        if not loops.across and loops.vector is not None and loops.straight and loops.masked:
            nodes.mask = prefix_mask(row.b, loops.vector.extent, loops.lanes)
        for self.spills.now, roots in enumerate(loops.passes):
            reductions = [r for r in roots if type(r) in REDUCING]
            for running in (*[self.accumulators[id(r)] for r in reductions], *self.scans):
                running.clear(row.b)
            self._pass(row, roots)
            for r in reductions:
                nodes.results[id(r)] = self.accumulators[id(r)].result(row.b)
        self._at_row(row)
        done = {id(s) for roots in loops.passes for s in roots}
        for s in loops.stores:
            if id(s) not in done:
                self._store(s)

    def _at_row(self, row):
        self.nodes.scopes = [self.kernel, row, row]

    def _row_variables(self, row, step):
        """Set the loop variables of row number ``step``; the last variable runs fastest."""
        loops, b = self.loops, row.b
        rest = step
        order = list(loops.rows)
        extents = [v.extent for v in order]
        if loops.across and loops.vector is not None:
            order.append(loops.vector)
            extents.append(-(-loops.vector.extent // loops.lanes))
        if loops.tile is not None:
            order.append(loops.tile)
            extents.append(-(-loops.tile.extent // loops.costs.tile))
        for k in reversed(range(len(order))):
            v, n = order[k], extents[k]
            if step is None:
                at = i64(0)
            elif k == 0:
                at = rest
            else:
                at, rest = b.urem(rest, i64(n)), b.udiv(rest, i64(n))
            if v is loops.vector:
                at = b.mul(at, i64(loops.lanes)) if step is not None else at
                self.nodes.mask = None
                if loops.masked and self.masks:
                    left = b.sub(self._extent(v), at)
                    self.nodes.mask = prefix_mask(b, left, loops.lanes)
            if v is loops.tile:
                self._find_tile(b, at)
            else:
                row.variables[v] = at

    def _extent(self, v):
        return i64(v.extent)

    def _find_tile(self, b, number):
        begin = b.mul(number, i64(self.loops.costs.tile))
        end = b.add(begin, i64(self.loops.costs.tile))
        last = i64(self.loops.tile.extent)
        self.tile = begin, b.select(b.icmp_signed("<", end, last), end, last)

    # One pass over the columns --------------------------------------------------------------

    def _pass(self, row, roots):
        loops = self.loops
        self._at_row(row)
        if loops.straight:
            for v in loops.columns:
                row.variables[v] = i64(0)
            self._body(roots)
            return
        sums = [self.accumulators[id(r)] for r in roots if type(r) in REDUCING]
        self.sums = [a for a in sums if a.total is not None]
        outer = [v for v in loops.columns if v is not loops.vector and v is not loops.tile]
        last = outer.pop() if loops.across else None
        opened = []
        b = row.b
        variables = {}
        for v in outer:
            loop = Loop(b, i64(0), i64(v.extent))
            opened.append(loop)
            variables[v] = loop.i
            b = loop.b
        if last is None:
            self._along(row, b, variables, roots)
        else:
            self._count(b, last.extent, 1, bool(opened), lambda b, i: self._in_columns(
                row, b, {**variables, last: i}, roots))  # fmt: skip
        for loop in reversed(opened):
            loop.close()

    def _count(self, b, end, step, inside, body):
        """Write the innermost loop; it runs in blocks if long sums are made of short ones."""
        limit = self._limit(end)
        if self.sums and in_blocks(end, step):
            block = Loop(b, i64(0), limit, BLOCK * step)
            stop = block.b.add(block.i, i64(BLOCK * step))
            over = block.b.icmp_signed(">", stop, limit)
            stop = block.b.select(over, limit, stop)
            loop = Loop(block.b, block.i, stop, step)
            body(loop.b, loop.i)
            loop.close()
            for a in self.sums:
                a.flush(block.b)
            block.close()
            return
        loop = Loop(b, i64(0), limit, step)
        body(loop.b, loop.i)
        loop.close()
        if inside and end >= 8 * step:
            for a in self.sums:
                a.flush(b)

    def _in_columns(self, row, b, variables, roots):
        tile = None if self.loops.tile is None else Loop(b, *self.tile)
        column = Scope(b if tile is None else tile.b)
        column.variables = dict(variables)
        if tile is not None:
            column.variables[self.loops.tile] = tile.i
        self.nodes.scopes = [self.kernel, row, column]
        self._body(roots)
        if tile is not None:
            tile.close()

    def _along(self, row, b, variables, roots):
        """Write the innermost loop with lanes along the columns, and a masked vector at its end."""
        loops = self.loops
        whole = loops.vector.extent // loops.lanes * loops.lanes
        if whole:
            self._count(b, whole, loops.lanes, bool(variables), lambda b, i: self._in_columns(
                row, b, {**variables, loops.vector: i}, roots))  # fmt: skip
        if loops.masked:
            self.nodes.mask = self._tail(b, whole)
            self._in_columns(row, b, {**variables, loops.vector: self._limit(whole)}, roots)
            self.nodes.mask = None

    def _limit(self, end):
        """The end of the innermost loop."""
        return i64(end)

    def _tail(self, b, whole):
        """The mask of the vector that follows ``whole`` columns."""
        return prefix_mask(b, self.loops.vector.extent - whole, self.loops.lanes)

    def _body(self, roots):
        for access in self.loops.asked_for(self.spills.now):
            self._ask_for(access)
        for root in roots:
            if type(root) in REDUCING:
                self.accumulators[id(root)].take()
            else:
                self._store(root)

    def _ask_for(self, access):
        """Prefetch the memory that a step stores to, or that it loads from in the next row."""
        size, loads = access.dtype.itemsize, type(access) is Load
        following, near = self._following(access)
        for k in range(0, self.loops.lanes * size, self.loops.costs.line):
            address = access.address.plus(Affine(k // size)).plus(following, int(loads))
            place = self.nodes.pointer(access.arg, address, access.dtype)
            prefetch(self.nodes.scopes[2].b, place, near, not loads)

    def _following(self, access):
        """The elements from one row to the next, and whether a row fits the first-level cache."""
        row = access.address.terms[self.loops.rows[-1]]
        return Affine(row), row * access.dtype.itemsize <= self.loops.costs.kept

    def _store(self, s):
        nodes = self.nodes
        value = nodes.value(s.node)
        scope = nodes.scopes[2]
        step = s.address.terms.get(nodes.vector, 0)
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        if type(s) is Scatter:
            self._scatter(s, value, pointer, step)
        elif id(s) in self.loops.streamed and nodes.mask is None:
            value = splat(value.astype(s.dtype), nodes.lanes)
            self._stream(scope.b, value, pointer, self.loops.streamed[id(s)])
        elif step:
            store(scope.b, splat(value, nodes.lanes), pointer, s.dtype, nodes.mask_in(scope), step)
        else:
            store(scope.b, value, pointer, s.dtype)

    def _stream(self, b, value, pointer, align):
        """Store past the caches.

        An ordinary store would first read the line that is overwritten, and keep the line in the
        cache although nobody reads it soon.
        """
        written = b.store(value.v, pointer, align=align)
        written.set_metadata("nontemporal", b.module.add_metadata([ir.IntType(32)(1)]))

    def _scatter(self, s, value, pointer, step):
        """Store at indexed places, one vector after the other.

        The lanes of a vector always have different places, whatever the indices are.
        """
        nodes, lanes = self.nodes, self.loops.lanes
        b = nodes.scopes[2].b
        where = nodes.value(s.where).astype(INT)
        value = splat(value.astype(s.dtype), lanes)
        mask = nodes.mask_in(nodes.scopes[2])
        if where.lanes == 1 and step in (0, 1):
            at = b.gep(pointer, [b.mul(where.v, i64(s.stride))], source_etype=memory_type(s.dtype))
            if s.adds:
                value = load(b, at, s.dtype, lanes, mask) + value
            store(b, value, at, s.dtype, mask)
            return
        places = splat(where, lanes) * s.stride + iota(b, lanes) * step
        if s.adds:
            value = gather(b, pointer, places, s.dtype, mask) + value
        memory.store_to(b, value, addresses(b, pointer, places, s.dtype), s.dtype, mask)


def emit_loops(module, name, loops, count):
    """Add the kernel to ``module``; returns the bytes of scratch memory that a thread needs.

    ``count`` is the number of its arguments.
    """
    emitter = LoopEmitter(module, name, loops, count)
    emitter.emit()
    return emitter.spills.bytes
