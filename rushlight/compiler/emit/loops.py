"""LLVM code of a loop kernel: rows, passes over the columns, vectors with a mask at the end.

Three scopes nest: what depends on no variable is computed once, what depends on rows once a row,
the rest in the loop over columns. Each has a builder of its own, so that a value is put into the
outermost scope that can have it.
"""

from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.compiler.emit import memory
from rushlight.compiler.emit.elementwise import elementwise
from rushlight.compiler.emit.memory import iota, load, memory_type, prefix_mask, store
from rushlight.compiler.emit.value import HALF, INT, Value, constant, select, splat
from rushlight.compiler.kernel import Extremum, Reduce, Root, Scan, Scatter
from rushlight.compiler.loops import REDUCING, TILE

__all__ = ["KERNEL", "LoopEmitter", "Nodes", "emit_loops", "kernel_function"]

I64 = ir.IntType(64)
POINTER = ir.PointerType()
#: void kernel(args, chunk, scratch)
KERNEL = ir.FunctionType(ir.VoidType(), [POINTER, I64, POINTER])
_FLOAT = np.dtype(np.float32)
#: Terms of a short sum.
BLOCK = 32
_COPIES = ("to_copy", "clone")


def kernel_function(module, name):
    """An empty kernel and the builder of its first block."""
    function = ir.Function(module, KERNEL, name)
    function.args[2].add_attribute("noalias")
    return function, ir.IRBuilder(function.append_basic_block())


def i64(n):
    return ir.Constant(I64, n)


class Loop:
    """A counted loop that is open for instructions before it and in it at the same time."""

    def __init__(self, outer, begin, end, step=1):
        self.outer, self.begin, self.end, self.step = outer, begin, end, step
        function = outer.function
        self.header = function.append_basic_block()
        self.exit = function.append_basic_block()
        head = ir.IRBuilder(self.header)
        self.i = head.phi(I64)
        body = function.append_basic_block()
        head.cbranch(head.icmp_signed("<", self.i, end), body, self.exit)
        self.b = ir.IRBuilder(body)

    def close(self):
        """End both; the outer builder goes on after the loop."""
        following = self.b.add(self.i, i64(self.step))
        self.b.branch(self.header)
        self.i.add_incoming(self.begin, self.outer.block)
        self.i.add_incoming(following, self.b.block)
        # Others may have put variables at the end of this block.
        self.outer.position_at_end(self.outer.block)
        self.outer.branch(self.header)
        self.outer.position_at_end(self.exit)


class Scope:
    """A builder with what was computed by it: variables, offsets, nodes."""

    def __init__(self, b):
        self.b = b
        self.variables: dict = {}
        self.offsets: dict = {}
        self.nodes: dict = {}


class Nodes:
    """Nodes of a kernel as Values, each in the scope where it belongs.

    Attributes:
        scopes: kernel, row, column; the last two may be the same object.
        vector: The variable along which the lanes run.
        lanes: Their number.
        mask: A Value of bools, or None where all lanes are in use.
    """

    def __init__(self, pointers, scopes, loops):
        self.pointers, self.scopes, self.columns = pointers, scopes, set(loops.columns)
        self.vector, self.lanes, self.across = loops.vector, loops.lanes, loops.across
        self.mask: Any = None
        self.results: dict = {}  # id of a reduction or Root → its Value
        self.accumulators: dict = {}
        self.spills: Any = None
        self._levels: dict = {}

    def value(self, node):
        """The Value of ``node`` at the current element, for use in the column scope."""
        return self._in(self.scopes[2], node)

    def _in(self, scope, node):
        if id(node) in self.results:
            found = self.results[id(node)]
            return Value(scope.b, found.v, found.dtype)
        level = self.level(node)
        home = self.scopes[min(level, self.scopes.index(scope))]
        found = home.nodes.get(id(node))
        if found is None:
            spilled = self.spills is not None and id(node) in self.spills.places
            found = self.spills.read(node, home) if spilled else None
            if found is None:
                found = getattr(self, "_" + type(node).__name__.lower())(node, home)
                if spilled:
                    self.spills.write(node, found, home)
            home.nodes[id(node)] = found
        return Value(scope.b, found.v, found.dtype)

    def level(self, node):
        """0, 1 or 2: the scope of a node."""
        found = self._levels.get(id(node))
        if found is None:
            if type(node) in REDUCING:
                found = 1
            elif type(node) in (Root, Scan):
                found = 2
            else:
                own = self._affine_level(node.address) if hasattr(node, "address") else 0
                found = max([own, *[self.level(c) for c in node.operands]])
            self._levels[id(node)] = found
        return found

    def _affine_level(self, affine):
        if any(v in self.columns for v in affine.terms):
            return 2
        return 1 if affine.terms else 0

    # Addresses ------------------------------------------------------------------------------

    def offset(self, affine, level=2):
        """An affine function as an i64, of the first lane; parts of outer scopes stay there."""
        scope = self.scopes[level]
        if level and scope is self.scopes[level - 1]:
            return self.offset(affine, level - 1)
        key = (affine.offset, frozenset(affine.terms.items()))
        found = scope.offsets.get(key)
        if found is not None:
            return found
        mine = {v: c for v, c in affine.terms.items() if v in scope.variables}
        rest = type(affine)(affine.offset, {v: c for v, c in affine.terms.items() if v not in mine})
        found = self.offset(rest, level - 1) if level else i64(affine.offset)
        b = scope.b
        for v, c in mine.items():
            part = scope.variables[v] if c == 1 else b.mul(scope.variables[v], i64(c))
            zero = isinstance(found, ir.Constant) and found.constant == 0
            found = part if zero else b.add(found, part)
        scope.offsets[key] = found
        return found

    def pointer(self, arg, affine, dtype, level=2):
        offset = self.offset(affine, level)
        b = self.scopes[level].b
        return b.gep(self.pointers[arg], [offset], source_etype=memory_type(dtype))

    # Kinds of nodes -------------------------------------------------------------------------

    def _load(self, node, scope):
        level = self.scopes.index(scope)
        pointer = self.pointer(node.arg, node.address, node.dtype, level)
        step = node.address.terms.get(self.vector, 0)
        if step == 0:
            return load(scope.b, pointer, node.dtype)
        mask = self.mask_in(scope)
        return load(scope.b, pointer, node.dtype, self.lanes, mask, step)

    def mask_in(self, scope):
        return None if self.mask is None else Value(scope.b, self.mask.v, self.mask.dtype)

    def _indirect(self, node, scope):
        level = self.scopes.index(scope)
        b = scope.b
        where = self._in(scope, node.operands[0]).astype(INT)
        base = self.pointer(node.arg, node.address, node.dtype, level)
        step = node.address.terms.get(self.vector, 0)
        element = memory_type(node.dtype)
        if where.lanes == 1:
            at = b.gep(base, [b.mul(where.v, i64(node.stride))], source_etype=element)
            if step == 0:
                return load(b, at, node.dtype)
            return load(b, at, node.dtype, self.lanes, self.mask_in(scope), step)
        return gather(b, base, where * node.stride + iota(b, self.lanes) * step,
                             node.dtype, self.mask_in(scope))  # fmt: skip

    def _number(self, node, scope):
        return constant(scope.b, node.value, node.dtype)

    def _position(self, node, scope):
        level = self.scopes.index(scope)
        b = scope.b
        at = Value(b, self.offset(node.address, level), INT)
        step = node.address.terms.get(self.vector, 0)
        if step:
            at = splat(at, self.lanes) + iota(b, self.lanes) * step
        if node.dtype.kind == "f":
            at = at.astype(node.dtype)
        return (at * node.step + node.start).astype(node.dtype)

    def _scan(self, node, scope):
        running = self.accumulators[id(node)]
        running.take()
        return running.current(scope.b).astype(node.dtype)

    def _compute(self, node, scope):
        e = node.equation
        operands = [self._in(scope, c) for c in node.operands]
        if e.op.name in _COPIES:
            return operands[0].astype(node.dtype)
        rest = iter(operands)
        flat_ins = e.ins[0] if e.op.variadic else e.ins
        values = [next(rest) if _abstract(v) else v for v in flat_ins]
        params = {k: next(rest) if _abstract(v) else v for k, v in e.params.items()}
        return elementwise(e.op, flat_ins, values, params, node.dtype)


def _abstract(v):
    return getattr(type(v), "is_abstract", False)


def gather(b, base, where, dtype, mask):
    """The elements ``where`` (a Value of lanes of int64) after the pointer ``base``."""
    return memory.load_from(b, addresses(b, base, where, dtype), dtype, where.lanes, mask)


def addresses(b, base, where, dtype):
    """The pointers to the elements ``where`` after ``base``."""
    found = b.gep(base, [where.v], source_etype=memory_type(dtype))
    found.type = ir.VectorType(POINTER, where.lanes)  # llvmlite takes it for one pointer
    return found


class Spills:
    """Values kept in this thread's scratch memory from one pass over a row to later ones."""

    def __init__(self, loops, scratch):
        self.loops, self.scratch = loops, scratch
        self.places: dict = {}
        self.bytes = 0
        self.now = 0  # the pass that is being written
        self.nodes: Any = None
        for key, (_, size) in loops.spilled.items():
            self.places[key] = self.bytes
            self.bytes += -(-size // 64) * 64

    def read(self, node, scope):
        """The value from an earlier pass; None in the pass that computes it."""
        if self.now == self.loops.spilled[id(node)][0]:
            return None
        dtype = _FLOAT if node.dtype in HALF else node.dtype
        return load(scope.b, self._pointer(node, scope), dtype, self.nodes.lanes)

    def write(self, node, value, scope):
        dtype = _FLOAT if node.dtype in HALF else node.dtype
        store(scope.b, splat(value, self.nodes.lanes), self._pointer(node, scope), dtype)

    def _pointer(self, node, scope):
        """Where the lanes of the current element lie: columns in order, padded to whole vectors."""
        loops, b = self.loops, scope.b
        at: Any = i64(0)
        for v in loops.columns:
            if v is loops.vector:
                width = -(-v.extent // loops.lanes) * loops.lanes
                at = b.add(b.mul(at, i64(width)), scope.variables[v])
            else:
                at = b.add(b.mul(at, i64(v.extent)), scope.variables[v])
        if loops.across:
            at = b.mul(at, i64(loops.lanes))
        start = b.gep(self.scratch, [i64(self.places[id(node)])], source_etype=ir.IntType(8))
        dtype = _FLOAT if node.dtype in HALF else node.dtype
        return b.gep(start, [at], source_etype=memory_type(dtype))


# Reductions -------------------------------------------------------------------------------

_COMBINE = {
    "sum": "add", "prod": "mul", "amax": "max", "amin": "min", "any": "or", "all": "and",
    "cumsum": "add", "cumprod": "mul", "argmax": "max", "argmin": "min",
}  # fmt: skip


def _identity(name, dtype):
    if _COMBINE[name] in ("add", "mul"):
        return int(_COMBINE[name] == "mul")
    if name in ("any", "all"):
        return name == "all"
    if dtype.kind == "f":
        return -np.inf if _COMBINE[name] == "max" else np.inf
    if dtype.kind == "b":
        return _COMBINE[name] == "min"
    info = np.iinfo(dtype)
    return info.min if _COMBINE[name] == "max" else info.max


class Accumulator:
    """A reduction while it runs: a variable on the stack, which LLVM keeps in registers."""

    def __init__(self, node, nodes, entry):
        self.node, self.nodes = node, nodes
        self.dtype = np.dtype(bool) if node.name in ("any", "all") else node.dtype
        if type(node) is Extremum:
            self.dtype = node.operands[0].dtype
        self.dtype = _FLOAT if self.dtype in HALF else self.dtype
        self.lanes = nodes.lanes
        self.start = constant(entry, _identity(node.name, self.dtype), self.dtype, self.lanes)
        self.slot = memory.stack(entry, self.start.v.type)
        self.combine = memory.COMBINE[_COMBINE[node.name]]
        # Long sums of floats are sums of short ones, or small terms would get lost.
        long = type(node) is Reduce and node.name == "sum" and self.dtype.kind == "f"
        self.total = memory.stack(entry, self.start.v.type) if long else None

    def clear(self, b):
        b.store(self.start.v, self.slot)
        if self.total is not None:
            b.store(self.start.v, self.total)

    def flush(self, b):
        """Add the short sum to the long one."""
        b.store(self.combine(self._read(b, self.total), self._read(b, self.slot)).v, self.total)
        b.store(self.start.v, self.slot)

    def _read(self, b, slot):
        return Value(b, b.load(slot, typ=self.start.v.type), self.dtype)

    def take(self):
        """Combine with the operand at the current element."""
        b = self.nodes.scopes[2].b
        x = splat(self.nodes.value(self.node.operands[0]).astype(self.dtype), self.lanes)
        mask = self.nodes.mask
        if mask is not None and not self.nodes.across:
            x = select(Value(b, mask.v, mask.dtype), x, Value(b, self.start.v, self.dtype))
        b.store(self.combine(self.current(b), x).v, self.slot)

    def current(self, b):
        return self._read(b, self.slot)

    def result(self, b):
        found = self.current(b)
        if self.total is not None:
            found = self.combine(self._read(b, self.total), found)
        if not self.nodes.across:
            found = memory.reduce(found, _COMBINE[self.node.name])
        return found.astype(self.node.dtype)


class Search(Accumulator):
    """An argmax or argmin while it runs: the best value so far and where it was."""

    def __init__(self, node, nodes, entry):
        super().__init__(node, nodes, entry)
        self.none = constant(entry, 0, INT, self.lanes)
        self.place = memory.stack(entry, self.none.v.type)

    def clear(self, b):
        super().clear(b)
        b.store(self.none.v, self.place)

    def take(self):
        nodes = self.nodes
        b = nodes.scopes[2].b
        x = splat(nodes.value(self.node.operands[0]).astype(self.dtype), self.lanes)
        at = Value(b, nodes.offset(self.node.address), INT)
        step = self.node.address.terms.get(nodes.vector, 0)
        at = splat(at, self.lanes)
        if step:
            at = at + iota(b, self.lanes) * step
        better = self._better(x, self.current(b))
        if nodes.mask is not None and not nodes.across:
            better = better & Value(b, nodes.mask.v, nodes.mask.dtype)
        where = Value(b, b.load(self.place, typ=self.none.v.type), INT)
        b.store(select(better, x, self.current(b)).v, self.slot)
        b.store(select(better, at, where).v, self.place)

    def _better(self, x, best):
        better = x > best if self.node.name == "argmax" else x < best
        if self.dtype.kind == "f":
            better = better | ((x != x) & (best == best))  # nan beats all but an earlier nan
        return better

    def result(self, b):
        found = self.current(b), Value(b, b.load(self.place, typ=self.none.v.type), INT)
        while not self.nodes.across and found[0].lanes > 1:
            (x, y), (i, j) = memory.halves(found[0]), memory.halves(found[1])
            better = self._better(y, x)
            same = (x == y) | ((x != x) & (y != y)) if self.dtype.kind == "f" else x == y
            better = better | (same & (j < i))
            found = select(better, y, x), select(better, j, i)
        return found[1].astype(self.node.dtype)


# The kernel -------------------------------------------------------------------------------


class LoopEmitter:
    """Writes one kernel by its schedule."""

    def __init__(self, module, name, loops, count):
        self.loops = loops
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
        # Accumulators' slots come first, in a block that runs once.
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
            loop = Loop(self.kernel.b, begin, end)
            row = Scope(loop.b)
            self.nodes.scopes = [self.kernel, row, row]
            self._row(row, loop.i)
            loop.close()
        self.kernel.b.ret_void()

    def _piece(self):
        loops, b = self.loops, self.kernel.b
        if loops.pieces == 1:
            return i64(0), i64(loops.steps)
        size = -(-loops.steps // loops.pieces)
        begin = b.mul(self.chunk, i64(size))
        end = b.add(begin, i64(size))
        over = b.icmp_signed(">", end, i64(loops.steps))
        return begin, b.select(over, i64(loops.steps), end)

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
        """The variables of the row ``step``, the last of them running fastest."""
        loops, b = self.loops, row.b
        rest = step
        order = list(loops.rows)
        extents = [v.extent for v in order]
        if loops.across and loops.vector is not None:
            order.append(loops.vector)
            extents.append(-(-loops.vector.extent // loops.lanes))
        if loops.tile is not None:
            order.append(loops.tile)
            extents.append(-(-loops.tile.extent // TILE))
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
                if loops.masked:
                    left = b.sub(self._extent(v), at)
                    self.nodes.mask = prefix_mask(b, left, loops.lanes)
            if v is loops.tile:
                self._find_tile(b, at)
            else:
                row.variables[v] = at

    def _extent(self, v):
        return i64(v.extent)

    def _find_tile(self, b, number):
        begin = b.mul(number, i64(TILE))
        end = b.add(begin, i64(TILE))
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
        """The innermost loop; in blocks where long sums are to be made of short ones."""
        if self.sums and end > 2 * BLOCK * step:
            block = Loop(b, i64(0), i64(end), BLOCK * step)
            stop = block.b.add(block.i, i64(BLOCK * step))
            over = block.b.icmp_signed(">", stop, i64(end))
            stop = block.b.select(over, i64(end), stop)
            loop = Loop(block.b, block.i, stop, step)
            body(loop.b, loop.i)
            loop.close()
            for a in self.sums:
                a.flush(block.b)
            block.close()
            return
        loop = Loop(b, i64(0), i64(end), step)
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
        """The innermost loop, whose lanes run along the columns, and what is left at its end."""
        loops = self.loops
        whole = loops.vector.extent // loops.lanes * loops.lanes
        if whole:
            self._count(b, whole, loops.lanes, bool(variables), lambda b, i: self._in_columns(
                row, b, {**variables, loops.vector: i}, roots))  # fmt: skip
        if loops.masked:
            self.nodes.mask = prefix_mask(b, loops.vector.extent - whole, loops.lanes)
            self._in_columns(row, b, {**variables, loops.vector: i64(whole)}, roots)
            self.nodes.mask = None

    def _body(self, roots):
        for root in roots:
            if type(root) in REDUCING:
                self.accumulators[id(root)].take()
            else:
                self._store(root)

    def _store(self, s):
        nodes = self.nodes
        value = nodes.value(s.node)
        scope = nodes.scopes[2]
        step = s.address.terms.get(nodes.vector, 0)
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        if type(s) is Scatter:
            self._scatter(s, value, pointer, step)
        elif step:
            store(scope.b, splat(value, nodes.lanes), pointer, s.dtype, nodes.mask_in(scope), step)
        else:
            store(scope.b, value, pointer, s.dtype)

    def _scatter(self, s, value, pointer, step):
        """Elements go one after the other: lanes lie in other places, whatever their indices."""
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
