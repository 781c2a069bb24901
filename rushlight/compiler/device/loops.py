"""Loop kernels for devices: a work-item for each element, or a work-group for each row.

A kernel has one of three forms. Without columns each work-item computes one element. A short row,
or one whose elements depend on earlier ones, has a work-item that runs along it. Every other row
has a work-group: its work-items take turns along the row, and combine what they found through
memory that they share.
"""

from math import prod
from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.accumulators import Accumulator, Search
from rushlight.compiler.codegen.memory import COMBINE, load, memory_type, store
from rushlight.compiler.codegen.nodes import Nodes
from rushlight.compiler.codegen.scope import Loop, Scope, i64
from rushlight.compiler.codegen.value import BOOL, INT, Value, computed, select
from rushlight.compiler.device.language import shared
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel import Extremum, Reduce, Scan, Scatter
from rushlight.compiler.plan.loops import REDUCING, Loops

__all__ = ["GROUP", "DeviceLoops", "emit"]

#: Work-items of a group; of one for a long row, where there are too few rows for all units.
GROUP, MANY = 128, 1024
#: A row is long from so many elements on.
_LONG = 4096
#: Rows of at most so many elements have a work-item each, not a group.
_SHORT = 32


class DeviceLoops(Loops):
    """The schedule of a kernel on a device: one lane, and a form.

    Attributes:
        form: ``"each"``, ``"row"`` or ``"group"``: what a work-item computes (see above).
        groups, size: The number of work-groups, and of work-items in a group.
    """

    def _orient(self):
        self.vector = self.tile = None
        self.across = True  # each work-item reduces by itself

    def _widen(self):
        self.lanes = 1

    def _spill(self):
        self.spilled = {}

    def _cut(self):
        self.total = prod([v.extent for v in self.rows])
        self.width = prod([v.extent for v in self.columns])
        ordered = any(type(n) is Scan for n in self.nodes) or type(self.stores[0]) is Scatter
        short = self.width <= _SHORT
        self.form = "each" if not self.columns else "row" if ordered or short else "group"
        self.size = GROUP
        here: Any = machine()
        few = self.total < 4 * here.units and self.width >= _LONG
        if self.form == "group" and few and here.spreads:
            self.size = min(MANY, here.most)
        self.groups = self.total if self.form == "group" else -(-self.total // GROUP)
        self.steps, self.pieces = self.total, 1
        self.nanoseconds = float(self.total * self.width)


def emit(module, name, loops, count):
    """Add the kernel ``name`` with ``count`` arguments to ``module``."""
    _Emitter(module, name, loops, count).emit()


class _Emitter:
    def __init__(self, module, name, loops, count):
        self.module, self.loops = module, loops
        b, pointers, self.limit = module.kernel(name, count)
        self.kernel = Scope(b)
        self.nodes = Nodes(pointers, [self.kernel] * 3, loops)

    def emit(self):
        loops, b = self.loops, self.kernel.b
        kinds = {Reduce: Accumulator, Scan: Accumulator, Extremum: Search}
        self.running = self.nodes.accumulators = {
            id(n): kinds[type(n)](n, self.nodes, b) for n in loops.nodes if type(n) in kinds
        }
        self.item = self.module.work_item(b)
        at = self.module.work_group(b)
        if loops.form == "group":
            self._row(Scope(b), at)
        else:
            at = b.add(b.mul(at, i64(GROUP)), self.item)
            with b.if_then(b.icmp_signed("<", at, self.limit)):
                self._row(Scope(b), at)
        b.ret_void()

    def _row(self, row, at):
        """One row, or one element: ``at`` is its number."""
        loops, nodes = self.loops, self.nodes
        _unravel(row, at, loops.rows)
        scans = [self.running[id(n)] for n in loops.nodes if type(n) is Scan]
        for roots in loops.passes:
            reductions = [r for r in roots if type(r) in REDUCING]
            for a in (*[self.running[id(r)] for r in reductions], *scans):
                a.clear(row.b)
            if roots:
                self._pass(row, roots)
            for r in reductions:
                nodes.results[id(r)] = self._result(row.b, r)
        nodes.scopes = [self.kernel, row, row]
        done = {id(s) for roots in loops.passes for s in roots}
        rest = [s for s in loops.stores if id(s) not in done]
        if rest and loops.form == "group":
            with row.b.if_then(row.b.icmp_unsigned("==", self.item, i64(0))):
                self._stores(rest)
        else:
            self._stores(rest)

    def _stores(self, stores):
        for s in stores:
            self._store(s)

    def _pass(self, row, roots):
        loops = self.loops
        if loops.form == "each":
            self.nodes.scopes = [self.kernel, row, row]
            self._body(roots)
            return
        whole = loops.form == "row"
        begin, step = (i64(0), 1) if whole else (self.item, loops.size)
        loop = Loop(row.b, begin, i64(loops.width), step)
        column = Scope(loop.b)
        _unravel(column, loop.i, loops.columns)
        self.nodes.scopes = [self.kernel, row, column]
        self._body(roots)
        loop.close()

    def _body(self, roots):
        for r in roots:
            if type(r) in REDUCING:
                self.running[id(r)].take()
            else:
                self._store(r)

    def _store(self, s):
        nodes = self.nodes
        value, b = nodes.value(s.node), nodes.scopes[2].b
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        if type(s) is Scatter:
            where = nodes.value(s.where).astype(INT)
            element = memory_type(s.dtype)
            pointer = b.gep(pointer, [b.mul(where.v, i64(s.stride))], source_etype=element)
            value = value.astype(s.dtype)
            if s.joins:
                value = COMBINE[s.joins](load(b, pointer, s.dtype), value.astype(computed(s.dtype)))
        store(b, value, pointer, s.dtype)

    # Combining the work-items of a group ------------------------------------------------------

    def _result(self, b, r):
        """The result of a reduction, which all work-items of the group get."""
        running = self.running[id(r)]
        if self.loops.form != "group":
            return running.result(b)
        if type(r) is Extremum:
            place = Value(b, b.load(running.place, typ=running.none.v.type), INT)
            own, combine = (running.current(b), place), lambda x, y: _better(running, x, y)
            return self._combined(b, own, combine)[1].astype(r.dtype)
        own = running.current(b)
        if running.total is not None:
            own = running.combine(running._read(b, running.total), own)
        combine = lambda x, y: (running.combine(x[0], y[0]),)
        return self._combined(b, (own,), combine)[0].astype(r.dtype)

    def _combined(self, b, own, combine):
        """The tuples of all work-items combined, the upper half into the lower, step by step."""
        arrays = [_Shared(self.module, v, self.loops.size) for v in own]
        for array, v in zip(arrays, own, strict=True):
            array.put(b, self.item, v)
        self.module.wait(b)
        size = self.loops.size // 2
        while size:
            with b.if_then(b.icmp_unsigned("<", self.item, i64(size))):
                other = b.add(self.item, i64(size))
                found = combine(*[tuple([a.get(b, i) for a in arrays]) for i in (self.item, other)])
                for array, v in zip(arrays, found, strict=True):
                    array.put(b, self.item, v)
            self.module.wait(b)
            size //= 2
        found = [a.get(b, i64(0)) for a in arrays]
        self.module.wait(b)  # before the next reduction uses the memory
        return found


class _Shared:
    """An element for each work-item, in memory that the group shares."""

    def __init__(self, module, like, size):
        self.dtype = like.dtype
        self.typ = ir.IntType(8) if like.dtype == BOOL else like.v.type
        self._array = module.local_array(self.typ, size)

    def put(self, b, at, value):
        v = b.zext(value.v, self.typ) if self.dtype == BOOL else value.v
        b.store(v, shared(b, self._array, at, self.typ))

    def get(self, b, at):
        v = b.load(shared(b, self._array, at, self.typ), typ=self.typ)
        return Value(b, b.trunc(v, ir.IntType(1)) if self.dtype == BOOL else v, self.dtype)


def _better(search, x, y):
    """The better one of two pairs of a value and its position; of equal values the first."""
    (u, i), (v, j) = x, y
    better = search._better(v, u) | (search._same(v, u) & (j < i))
    return select(better, v, u), select(better, j, i)


def _unravel(scope, at, variables):
    """Set the ``variables`` of the element number ``at``; the last one runs fastest."""
    b = scope.b
    for k in reversed(range(len(variables))):
        v = variables[k]
        scope.variables[v] = b.urem(at, i64(v.extent)) if k else at
        at = b.udiv(at, i64(v.extent)) if k else at
