"""Sums of products on any device: each work-item multiplies and adds one by one."""

from itertools import chain
from math import prod
from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.memory import load, memory_type, stack
from rushlight.compiler.codegen.scope import Loop, i64
from rushlight.compiler.codegen.value import Value, intrinsic, ir_type
from rushlight.compiler.device.language import shared
from rushlight.compiler.device.parts import below, finish, shrink, split, unravel
from rushlight.compiler.ir.machine import machine

__all__ = ["Items"]

#: A work-group has so many rows and columns of work-items, and adds so many products at a time.
TILE = 16
#: With more fused nodes a work-item computes fewer results, since their code stands for each.
_FUSED = 24


class Items:
    """A way to compute the results of ``product.Tiles``.

    Attributes:
        key: What the code depends on besides the work.
        rows, columns: A work-item computes so many rows and columns of results, ``TILE`` apart.
        groups, size: The number of work-groups, and of work-items in a group.
    """

    size = TILE * TILE
    form = ""
    needs: dict = {}

    def __init__(self, work):
        self.work, self.rows, self.columns = work, 1, 1
        self._divide()
        self.key = self.rows, self.columns

    def _divide(self):
        """Set how many results a work-item computes: as many as leave work for all units."""
        here: Any = machine()
        work = self.work
        most = here.results if len(work.nodes) <= _FUSED else min(here.results, 4)
        while self.rows < most and work.m > TILE * self.rows:
            self.rows *= 2
        while self.columns < most and work.n > TILE * self.columns:
            self.columns *= 2
        shrink(self, here.units, 1)

    @property
    def groups(self):
        return self.down * self.across * prod(self.work.batch)

    @property
    def down(self):
        """The number of work-groups along a column of results."""
        return -(-self.work.m // (TILE * self.rows))

    @property
    def across(self):
        """The number of work-groups along a row of results."""
        return -(-self.work.n // (TILE * self.columns))

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        work = self.work
        of, more = work.of, len(work.open_numbers)
        count = len(work.operands) + len(work.kernel.args)
        b, pointers, (_, *work.numbers) = module.kernel(name, count, 1 + more)
        typ = ir_type(work.dtype)
        item, number = module.work_item(b), module.work_group(b)
        y, x = b.udiv(item, i64(TILE)), b.urem(item, i64(TILE))
        number, across = split(b, number, of("across", self.across))
        number, down = split(b, number, of("down", self.down))
        batch = unravel(b, number, work.batch_sizes())
        row = b.mul(down, i64(TILE * self.rows))
        column = b.mul(across, i64(TILE * self.columns))
        totals = [[stack(b, typ) for _ in range(self.columns)] for _ in range(self.rows)]
        for total in chain(*totals):
            b.store(ir.Constant(typ, 0.0), total)
        left, right = [_Tile(module, typ, n) for n in (self.rows, self.columns)]
        depth = of("depth", work.depth)
        loop = Loop(b, i64(0), depth if isinstance(depth, ir.Value) else i64(depth), TILE)
        inside = loop.b
        for tile, count, first, (i, d), element in (
            (left, self.rows, row, (x, y) if work.upright[0] else (y, x), self._left_element),
            (right, self.columns, column, (y, x) if work.upright[1] else (x, y),
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
                with b.if_then(below(b, (i, of("m", work.m)), (j, of("n", work.n)))):
                    found = Value(b, b.load(total, typ=typ), work.dtype)
                    at = [unravel(b, k, work.shape(part)) for part, k in enumerate((i, j))]
                    index = work.index(b, batch, *at)
                    finish(work, b, pointers[len(work.operands) :], index, found)
        b.ret_void()

    def _left_element(self, b, pointers, batch, row, depth):
        work = self.work
        rows, depths = work.shape(0), work.shape(2)
        found = work.left(b, batch, unravel(b, row, rows), unravel(b, depth, depths))
        edge = below(b, (row, work.of("m", work.m)), (depth, work.of("depth", work.depth)))
        return self._fetch(b, pointers, found, edge)

    def _right_element(self, b, pointers, batch, column, depth):
        work = self.work
        columns, depths = work.shape(1), work.shape(2)
        found = work.right(b, batch, unravel(b, depth, depths), unravel(b, column, columns))
        edge = below(b, (depth, work.of("depth", work.depth)), (column, work.of("n", work.n)))
        return self._fetch(b, pointers, found, edge)

    def _fetch(self, b, pointers, found, edge):
        """The element of a factor that was ``found``, 0 beyond the ``edge``."""
        operand, at, fits = found
        fits = edge if fits is None else b.and_(edge, fits)
        dtype = self.work.ins[operand].dtype
        at = b.select(fits, at, i64(0))  # the first element is read where there is none
        source = b.gep(pointers[operand], [at], source_etype=memory_type(dtype))
        value = load(b, source, dtype).astype(self.work.dtype).v
        return b.select(fits, value, ir.Constant(value.type, 0.0))

    def _add(self, b, left, right, y, x, totals):
        """Add the products of the tiles' rows and columns to the totals of a work-item."""
        typ = ir_type(self.work.dtype)
        name = f"llvm.fma.f{self.work.dtype.itemsize * 8}"
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
