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
from rushlight.compiler.codegen.scope import I64, Loop, Scope, i64
from rushlight.compiler.codegen.value import BOOL, INT, Value, computed, select
from rushlight.compiler.device.language import shared
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel import Extremum, Inside, Reduce, Scan, Scatter
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import REDUCING, Loops

__all__ = ["GROUP", "DeviceLoops", "OpenSizes", "Opened", "emit"]

#: Work-items of a group; of one for a long row, where there are too few rows for all units.
GROUP, MANY = 128, 1024
_I32 = ir.IntType(32)
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


class Opened:
    """The sizes that a kernel gets as arguments, so that one code serves many shapes.

    Equal sizes are one argument. The numbers -1, 0 and 1 stay constants, for which there is better
    code; so do small operands.

    Attributes:
        sizes: size → its name, in the order of the arguments.
        numbers: The arguments: the sizes, and what a subclass adds.
        key: What the code depends on.
    """

    key: str
    numbers: tuple

    def __init__(self):
        self.sizes: dict = {}

    def name(self, n):
        """What stands for the size ``n`` in the key."""
        return n if -1 <= n <= 1 else self.sizes.setdefault(n, f"n{len(self.sizes)}")

    def operand(self, x):
        """What stands for the operand ``x``, which is no value, in the key."""
        return self.name(x) if _is_open(x) else repr(x)

    def give(self, nodes, numbers):
        """Let ``nodes`` use the kernel's arguments ``numbers`` for the sizes."""
        nodes.sizes = dict(zip(self.sizes, numbers, strict=False))
        nodes.scalars = {n: v for n, v in nodes.sizes.items() if _is_open(n)}


class OpenSizes(Opened):
    """The sizes of loops that are arguments.

    These are the extents of variables, the strides and offsets of addresses, and integers that are
    operands, such as the number of elements of a mean.

    To divide by an extent, a kernel multiplies, which is several times as fast: for ``n`` below 2³¹
    and ``2 ** k`` not below ``d``, ``n // d`` is ``n * m >> 31 + k`` if ``m`` is ``2 ** (31 + k) /
    d``, rounded up. (Granlund and Montgomery, Division by Invariant Integers using Multiplication,
    1994, theorem 4.2.)

    Attributes:
        divisors: The extents that are divided by, or none if the kernel divides itself.
        numbers: The arguments: the sizes, then ``m`` and ``31 + k`` of each divisor.
    """

    def __init__(self, loops):
        super().__init__()
        size = self.name
        names = {v: f"v{i}" for i, v in enumerate((*loops.rows, *loops.columns))}
        extents = [[size(v.extent) for v in group[1:]] for group in (loops.rows, loops.columns)]
        narrow = [n.narrow for n in loops.nodes if type(n) is Inside]
        divided = [v.extent for v in (*loops.rows[1:], *loops.columns[1:])]
        small = max(loops.total, loops.width) < 2**31
        self.divisors = [*dict.fromkeys(d for d in divided if d in self.sizes)] if small else []
        form = len(loops.rows), len(loops.columns), extents, size(loops.width), narrow, small
        work = described(loops.stores, loops.nodes, names, size, self.operand)
        self.key = repr((form, work))
        self.numbers = *self.sizes, *[n for d in self.divisors for n in _multiplied(d)]


def _is_open(x):
    """Whether an operand is an argument. float32 has all such integers."""
    return type(x) is int and 16 < abs(x) <= 2**24


def _multiplied(d):
    """The factor and the shift that divide by ``d``; see ``OpenSizes``."""
    shift = 31 + (d - 1).bit_length()
    return -(-(1 << shift) // d), shift


def emit(module, name, loops, count, opened=None, values=()):
    """Add the kernel ``name`` with ``count`` buffers to ``module``.

    The sizes are arguments if they were ``opened``, and else constants of the code. The arguments
    whose numbers are in ``values`` are no memory: the bits of a number stand for the offset.
    """
    _Emitter(module, name, loops, count, opened, values).emit()


class _Nodes(Nodes):
    """Nodes, some of whose loads give numbers: ``given`` has their bits by the argument."""

    given: dict

    def _load(self, node, scope):
        bits = self.given.get(node.arg)
        if bits is None:
            return super()._load(node, scope)
        b, size = scope.b, 8 * node.dtype.itemsize
        bits = bits if size == 64 else b.trunc(bits, ir.IntType(size))
        return Value(b, b.bitcast(bits, memory_type(node.dtype)), node.dtype)


class _Emitter:
    def __init__(self, module, name, loops, count, opened, values):
        self.module, self.loops = module, loops
        more = 0 if opened is None else len(opened.numbers)
        b, pointers, (self.limit, *numbers) = module.kernel(name, count, 1 + more)
        self.kernel = Scope(b)
        self.nodes = _Nodes(pointers, [self.kernel] * 3, loops)
        self.nodes.given = {k: b.function.args[2 * k + 1] for k in values}
        self.factors: dict = {}  # extent → the factor and the shift that divide by it
        if opened is not None:
            rest = numbers[len(opened.sizes) :]
            opened.give(self.nodes, numbers)
            self.factors = dict(
                zip(opened.divisors, zip(rest[::2], rest[1::2], strict=True), strict=True)
            )

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
        self._unravel(row, at, loops.rows)
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
        loop = Loop(row.b, begin, self.nodes.size(loops.width), step)
        column = Scope(loop.b)
        self._unravel(column, loop.i, loops.columns)
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
            step = b.mul(where.v, nodes.size(s.stride))
            pointer = b.gep(pointer, [step], source_etype=element)
            value = value.astype(s.dtype)
            if s.joins:
                value = COMBINE[s.joins](load(b, pointer, s.dtype), value.astype(computed(s.dtype)))
        store(b, value, pointer, s.dtype)

    def _unravel(self, scope, at, variables):
        """Set the ``variables`` of the element number ``at``; the last one runs fastest."""
        for v in reversed(variables[1:]):
            scope.variables[v], at = self._divided(scope.b, at, v.extent)
        for v in variables[:1]:
            scope.variables[v] = at

    def _divided(self, b, at, extent):
        """(remainder, quotient) of a number and an extent."""
        size = self.nodes.size(extent)
        if extent not in self.factors:
            return b.urem(at, size), b.udiv(at, size)
        factor, shift = self.factors[extent]
        # A product of two numbers of 32 bits, for which vectors have an instruction.
        product = b.mul(*[b.zext(b.trunc(x, _I32), I64) for x in (at, factor)])
        quotient = b.lshr(product, shift)
        return b.sub(at, b.mul(quotient, size)), quotient

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
