"""Products of matrices, and other sums of products: a work-group computes a tile of results.

The operands' tiles pass through memory that the group shares, so that each element is read once for
all the results of its row or column of the tile.
"""

from itertools import chain
from math import prod
from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.memory import load, memory_type, stack, store
from rushlight.compiler.codegen.nodes import Nodes, set_variables
from rushlight.compiler.codegen.scope import Loop, Scope, i64
from rushlight.compiler.codegen.value import Value, computed, intrinsic, ir_type
from rushlight.compiler.device.language import shared
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel import Root
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of

__all__ = ["TILE", "Product", "Tiles", "finish", "place", "split", "unravel"]

#: A work-group has so many rows and columns of work-items, and adds so many products at a time.
TILE = 16
#: With more fused nodes a work-item computes fewer results, since their code stands for each.
_FUSED = 24


class Tiles:
    """A sum of products over a depth, for each element of (batches of) matrices; fused operations.

    A subclass says where the factors' elements lie, and which result an element is.

    Attributes:
        key: Equal keys mean equal code.
        operands: (owner of the memory, byte offset) of the factors.
        batch, m, n, depth: The sizes of the batch's dims, of the matrices, and of the sums.
        rows, columns: A work-item computes so many rows and columns of results, ``TILE`` apart.
        upright: Whether neighbours in memory are of one column, of the left and the right factor.
        groups, size: The number of work-groups, and of work-items in a group.
    """

    size = TILE * TILE
    rows = columns = 1
    upright = False, False
    limit = 0  # all items have work
    batch: list
    m: int
    n: int
    depth: int

    def __init__(self, group, kernel, schedule):
        self.group, self.kernel = group, kernel
        self.equation = group.members[0]
        self.ins = [v for v in self.equation.ins if v is not None]
        layouts = [schedule.layout(v) for v in self.ins]
        self.operands = [
            (owner, offset * v.itemsize)
            for v, (owner, offset, _) in zip(self.ins, layouts, strict=True)
        ]
        self.strides = [strides for _, _, strides in layouts]
        self.dtype = computed(self.ins[0].dtype)
        self._measure()
        self.nodes = nodes_of(kernel.stores)
        self._divide()
        names = {v: f"v{i}:{v.extent}" for i, v in enumerate(group.variables)}
        root = [(i.offset, sorted([(names[v], c) for v, c in i.terms.items()])) for i in self.root]
        shape = [v.dtype for v in self.ins], self.strides, self.rows, self.columns, self._shape()
        self.key = repr((shape, root, described(kernel.stores, self.nodes, names)))

    def _measure(self):
        """Set the sizes."""
        raise NotImplementedError

    def _shape(self):
        """What the code depends on besides the operands' dtypes and strides."""
        raise NotImplementedError

    def _left(self, b, batch, row, depth):
        """(number of the operand, its element, condition or None) of the left factor."""
        raise NotImplementedError

    def _right(self, b, batch, depth, column):
        """(number of the operand, its element, condition or None) of the right factor."""
        raise NotImplementedError

    def _index(self, b, batch, row, column):
        """The index of a result's element."""
        raise NotImplementedError

    @property
    def root(self):
        """The index of the result's element as functions of the group's variables."""
        return self.group.index[self.equation.outs[0].id]

    def _divide(self):
        """Set how many results a work-item computes: as many as leave work for all units."""
        here: Any = machine()
        most = here.results if len(self.nodes) <= _FUSED else min(here.results, 4)
        while self.rows < most and self.m > TILE * self.rows:
            self.rows *= 2
        while self.columns < most and self.n > TILE * self.columns:
            self.columns *= 2
        while self.groups < here.units and self.rows * self.columns > 1:
            if self.rows >= self.columns:
                self.rows //= 2
            else:
                self.columns //= 2

    @property
    def groups(self):
        """The number of work-groups."""
        return self._down * self._across * prod(self.batch)

    @property
    def _down(self):
        return -(-self.m // (TILE * self.rows))

    @property
    def _across(self):
        return -(-self.n // (TILE * self.columns))

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        b, pointers, _ = module.kernel(name, len(self.operands) + len(self.kernel.args))
        typ = ir_type(self.dtype)
        item, number = module.work_item(b), module.work_group(b)
        y, x = b.udiv(item, i64(TILE)), b.urem(item, i64(TILE))
        number, across = split(b, number, self._across)
        number, down = split(b, number, self._down)
        batch = unravel(b, number, self.batch)
        row = b.mul(down, i64(TILE * self.rows))
        column = b.mul(across, i64(TILE * self.columns))
        totals = [[stack(b, typ) for _ in range(self.columns)] for _ in range(self.rows)]
        for total in chain(*totals):
            b.store(ir.Constant(typ, 0.0), total)
        left, right = [_Tile(module, typ, n) for n in (self.rows, self.columns)]
        loop = Loop(b, i64(0), i64(self.depth), TILE)
        inside = loop.b
        for tile, count, first, (i, d), element in (
            (left, self.rows, row, (x, y) if self.upright[0] else (y, x), self._left_element),
            (right, self.columns, column, (y, x) if self.upright[1] else (x, y),
             self._right_element),
        ):  # fmt: skip
            depth = inside.add(loop.i, d)
            for k in range(count):
                at = inside.add(i, i64(TILE * k))
                found = element(inside, pointers, batch, inside.add(first, at), depth)
                tile.put(inside, d, at, found)
        module.wait(inside)
        self._add(inside, left, right, y, x, totals)
        module.wait(inside)
        loop.close()
        rows, columns = [
            [b.add(first, b.add(own, i64(TILE * k))) for k in range(count)]
            for first, own, count in ((row, y, self.rows), (column, x, self.columns))
        ]
        for i, line in zip(rows, totals, strict=True):
            for j, total in zip(columns, line, strict=True):
                with b.if_then(_below(b, (i, self.m), (j, self.n))):
                    found = Value(b, b.load(total, typ=typ), self.dtype)
                    finish(self, b, pointers[len(self.operands) :],
                           self._index(b, batch, i, j), found)  # fmt: skip
        b.ret_void()

    def _left_element(self, b, pointers, batch, row, depth):
        found = self._left(b, batch, row, depth)
        return self._fetch(b, pointers, found, _below(b, (row, self.m), (depth, self.depth)))

    def _right_element(self, b, pointers, batch, column, depth):
        found = self._right(b, batch, depth, column)
        return self._fetch(b, pointers, found, _below(b, (depth, self.depth), (column, self.n)))

    def _fetch(self, b, pointers, found, edge):
        """The element of a factor that was ``found``, 0 beyond the ``edge``."""
        operand, at, fits = found
        fits = edge if fits is None else b.and_(edge, fits)
        dtype = self.ins[operand].dtype
        at = b.select(fits, at, i64(0))  # the first element is read where there is none
        source = b.gep(pointers[operand], [at], source_etype=memory_type(dtype))
        value = load(b, source, dtype).astype(self.dtype).v
        return b.select(fits, value, ir.Constant(value.type, 0.0))

    def _add(self, b, left, right, y, x, totals):
        """Add the products of the tiles' rows and columns to the totals of a work-item."""
        typ = ir_type(self.dtype)
        name = f"llvm.fma.f{self.dtype.itemsize * 8}"
        found = [[b.load(total, typ=typ) for total in line] for line in totals]
        for k in range(TILE):
            ys = [left.get(b, k, b.add(y, i64(TILE * n))) for n in range(self.rows)]
            xs = [right.get(b, k, b.add(x, i64(TILE * n))) for n in range(self.columns)]
            found = [
                [intrinsic(b, name, typ, [u, v, total]) for v, total in zip(xs, line, strict=True)]
                for u, line in zip(ys, found, strict=True)
            ]
        for line, values in zip(totals, found, strict=True):
            for total, value in zip(line, values, strict=True):
                b.store(value, total)


class _Tile:
    """Part of a factor in memory that a work-group shares: ``TILE`` lines of the depth."""

    def __init__(self, module, typ, count):
        self.typ = typ
        self.line = TILE * count + 1  # one more, since else lines begin in one bank of memory
        self._array = module.local_array(typ, TILE * self.line)

    def _at(self, b, depth, place):
        line = i64(depth * self.line) if isinstance(depth, int) else b.mul(depth, i64(self.line))
        return shared(b, self._array, b.add(line, place), self.typ)

    def put(self, b, depth, place, value):
        b.store(value, self._at(b, depth, place))

    def get(self, b, depth, place):
        return b.load(self._at(b, depth, place), typ=self.typ)


class Product(Tiles):
    """A product of (batches of) matrices."""

    def _measure(self):
        *self.batch, self.m, self.n = self.equation.outs[0].shape
        self.depth = self.ins[0].shape[-1]
        (*_, left, _), (*_, right, _) = self.strides
        self.upright = left == 1, right == 1

    def _shape(self):
        return self.batch, self.m, self.n, self.depth

    def _left(self, b, batch, row, depth):
        return 0, place(b, (*batch, row, depth), self.strides[0]), None

    def _right(self, b, batch, depth, column):
        return 1, place(b, (*batch, depth, column), self.strides[1]), None

    def _index(self, b, batch, row, column):
        return [*batch, row, column]


# Parts that kernels share ---------------------------------------------------------------------


def finish(work, b, pointers, index, found):
    """Compute the operations fused into a result's element ``found``, and store what they give.

    Args:
        work: Has ``group``, ``kernel``, ``nodes`` and ``root``.
        pointers: The memory that the kernel's nodes and stores use.
    """
    scope = Scope(b)
    for affine, i in zip(work.root, index, strict=True):
        set_variables(b, affine, i, scope.variables)
    nodes = Nodes(pointers, [scope] * 3, _One(work.group.variables))
    for node in work.nodes:
        if type(node) is Root:
            nodes.results[id(node)] = found.astype(node.dtype)
    for s in work.kernel.stores:
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        store(scope.b, nodes.value(s.node), pointer, s.dtype)


class _One:
    """The schedule that ``Nodes`` needs for one element."""

    across, lanes, vector = False, 1, None

    def __init__(self, columns):
        self.columns = columns


def split(b, number, n):
    """(quotient, remainder) of ``number`` by ``n``."""
    if n & (n - 1) == 0:
        return b.lshr(number, i64(n.bit_length() - 1)), b.and_(number, i64(n - 1))
    return b.udiv(number, i64(n)), b.urem(number, i64(n))


def unravel(b, number, shape):
    """The index of the element ``number`` of an array of ``shape`` in C order."""
    index: list = []
    for n in reversed(shape[1:]):
        number, at = split(b, number, n)
        index.insert(0, at)
    return [number, *index] if shape else []


def place(b, index, strides):
    """The position in memory of the element at ``index``, in elements."""
    found = i64(0)
    for i, step in zip(index, strides, strict=True):
        found = b.add(found, b.mul(i, i64(step)))
    return found


def _below(b, *pairs):
    """Whether each number is below its end."""
    found = None
    for number, end in pairs:
        fits = b.icmp_unsigned("<", number, i64(end))
        found = fits if found is None else b.and_(found, fits)
    return found
