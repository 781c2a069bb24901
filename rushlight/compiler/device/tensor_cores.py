"""Sums of products by tensor cores: NVIDIA's instructions for small matrices (``mma.sync``).

A work-group computes a tile of results, and each of its warps (32 work-items) a part of it. The
factors' tiles pass through shared memory, in which several steps of the depth have a place: while
the warps multiply one, the next ones are copied. Totals are float32, whatever the factors are.

Source: NVIDIA's PTX ISA, "Matrix multiply-accumulate operation using mma instruction", which says
which elements of a matrix each work-item has.
"""

from math import gcd, prod
from typing import Any, NamedTuple

from llvmlite import ir

from rushlight import precision
from rushlight.compiler.codegen.memory import stack
from rushlight.compiler.codegen.scope import Loop, i64
from rushlight.compiler.codegen.value import FLOAT, Value
from rushlight.compiler.device.factor_tiles import DEPTH, Factor
from rushlight.compiler.device.parts import below, finish, shrink, split, unravel
from rushlight.compiler.ir.machine import machine
from rushlight.dtype import bfloat16, float16

__all__ = ["Cores", "Instruction", "instruction_for"]

_I32, _FLOAT = ir.IntType(32), ir.FloatType()
#: The least rows, columns and depth for which a tile is not nearly empty.
_LEAST = 8
#: The most rows of tiles of a block; see ``_place``.
_BLOCK = 8
#: Rows and columns of a tile → those of a warp's part.
_WARPS = {
    (128, 128): (64, 32), (128, 64): (32, 32), (64, 128): (32, 32), (64, 64): (32, 32),
    (128, 32): (32, 32), (32, 128): (32, 32), (64, 32): (32, 16), (32, 64): (16, 32),
    (32, 32): (16, 16),
}  # fmt: skip


class Instruction(NamedTuple):
    """The instruction of a device that multiplies matrices of one dtype.

    Attributes:
        name: Its shape and type in LLVM.
        itemsize: Bytes of an element.
        steps: How many of it use up 32 bytes of a row.
        registers: LLVM's type of the registers of a factor.
        later: Whether copies to shared memory go on while others compute.
    """

    name: str
    itemsize: int
    steps: int
    registers: Any
    later: bool


_HALF = ir.VectorType(ir.HalfType(), 2)
_OLD_HALF = Instruction("m16n8k8.row.col.f32.f32", 2, 2, _HALF, False)
_INSTRUCTIONS = {
    float16.numpy: Instruction("m16n8k16.row.col.f32.f32", 2, 1, _HALF, True),
    bfloat16.numpy: Instruction("m16n8k16.row.col.bf16", 2, 1, _I32, True),
    FLOAT: Instruction("m16n8k8.row.col.tf32", 4, 1, _I32, True),
}


def instruction_for(here, work):
    """The instruction for the product ``work`` on the machine ``here``; None if there is none."""
    dtype = work.ins[0].dtype
    if min(work.m, work.n, work.depth) < _LEAST or here.capability < (7, 5):
        return None
    if here.capability < (8, 0):
        return _OLD_HALF if dtype == float16.numpy else None
    if dtype == FLOAT and not precision.tf32(work.role):
        return None
    return _INSTRUCTIONS.get(dtype)


class Cores:
    """A way to compute the results of ``product.Tiles``; see ``simt.Items``.

    Attributes:
        rows, columns: Those of a work-group's tile.
        stages: So many steps of the depth have a place in shared memory.
        form: The name of the instruction.
        needs: What a launch needs besides; see ``Device.kernel``.
    """

    form = "mma.sync"
    needs: dict = {}
    key: tuple

    def __init__(self, work, instruction):
        self.work, self.instruction = work, instruction
        self.stages = 3 if instruction.later else 2
        self._divide()
        self.part = _WARPS[self.rows, self.columns]
        self.down, self.across = self.rows // self.part[0], self.columns // self.part[1]
        self.size = 32 * self.down * self.across
        self.key = instruction.name, instruction.later, self.rows, self.columns

    def _divide(self):
        """Set the tile: the largest one that leaves work for all units."""
        here: Any = machine()
        self.rows, self.columns = [_tile(n) for n in (self.work.m, self.work.n)]
        shrink(self, here.units, 32 * 32)

    @property
    def groups(self):
        return prod([*self._tiles, *self.work.batch])

    @property
    def _tiles(self):
        """The number of tiles in a column of results, and in a row."""
        return -(-self.work.m // self.rows), -(-self.work.n // self.columns)

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        work = self.work
        self.module = module
        b, self.pointers, _ = module.kernel(name, len(work.operands) + len(work.kernel.args))
        self.item = b.trunc(module.work_item(b), _I32)
        number, row, column = self._place(b, module.work_group(b))
        self.batch = unravel(b, number, work.batch)
        self.first = b.mul(row, i64(self.rows)), b.mul(column, i64(self.columns))
        self.lane, warp = b.and_(self.item, _I32(31)), b.lshr(self.item, _I32(5))
        y, x = split(b, warp, self.across)
        self.warp = b.mul(y, _I32(self.part[0])), b.mul(x, _I32(self.part[1]))
        self.factors = [Factor(self, side) for side in (0, 1)]
        self.stage = sum([f.nbytes for f in self.factors])
        self.memory = module.local_array(ir.IntType(8), self.stages * self.stage)
        self.memory.align = 128
        self.totals = [stack(b, _FLOAT) for _ in range(self.part[0] * self.part[1] // 32)]
        for total in self.totals:
            b.store(_FLOAT(0.0), total)
        self.factors[1].base = self.factors[0].nbytes
        for factor in self.factors:
            factor.prepare(b)
        self._sum(b)
        self._finish(b, y)
        b.ret_void()

    def _place(self, b, group):
        """(number in the batch, row and column of tiles) of a work-group.

        Groups that run at the same time compute blocks of several rows, so that they read the same
        parts of both factors, which the cache keeps.
        """
        down, across = self._tiles
        block = gcd(down, _BLOCK)
        number, inner = split(b, group, block * across)
        column, row = split(b, inner, block)
        number, first = split(b, number, down // block)
        return number, b.add(b.mul(first, i64(block)), row), column

    def at(self, b, offset):
        """The address of a byte of shared memory."""
        return b.gep(self.memory, [offset], source_etype=ir.IntType(8))

    def _sum(self, b):
        """Add all products. Each turn copies a step of the depth, and multiplies an earlier one."""
        stages, later = self.stages, self.instruction.later
        depth = DEPTH // self.instruction.itemsize
        steps = -(-self.work.depth // depth)
        loop = Loop(b, i64(0), i64(steps + stages - 1))
        inside, module = loop.b, self.module
        if later:
            module.wait_for_copies(inside, stages - 2)
        module.wait(
            inside
        )  # all have copied what is multiplied, and multiplied what is overwritten
        turn = inside.trunc(loop.i, _I32)
        place = inside.mul(inside.urem(turn, _I32(stages)), _I32(self.stage))
        following = inside.urem(inside.add(turn, _I32(1)), _I32(stages))
        more = inside.icmp_unsigned("<", loop.i, i64(steps))
        with inside.if_then(more):
            for factor in self.factors:
                factor.fetch(inside, inside.mul(loop.i, i64(depth)), place)
        if later:
            module.mark_copies(inside)
        with inside.if_then(inside.icmp_unsigned(">=", loop.i, i64(stages - 1))):
            self._multiply(inside, inside.mul(following, _I32(self.stage)))
        with inside.if_then(more):
            for factor in self.factors:
                factor.put(inside, place)
        loop.close()

    def _multiply(self, b, stage):
        """Add the products of a step of the depth, which lies at ``stage``, to the totals."""
        totals = [b.load(total, typ=_FLOAT) for total in self.totals]
        left, right = self.factors
        for step in range(DEPTH // 32):
            rows = left.registers(b, stage, step)
            pairs = right.registers(b, stage, step)
            columns = [half for four in pairs for half in (four[:2], four[2:])]
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    k = 4 * (i * len(columns) + j)
                    totals[k : k + 4] = self._products(b, row, column, totals[k : k + 4])
        for place, total in zip(self.totals, totals, strict=True):
            b.store(total, place)

    def _products(self, b, left, right, totals):
        """The totals with the products of 32 bytes of 16 rows and of 8 columns."""
        how, steps = self.instruction, self.instruction.steps
        left, right = [[b.bitcast(r, how.registers) for r in side] for side in (left, right)]
        for k in range(steps):
            own = [side[k * len(side) // steps : (k + 1) * len(side) // steps]
                   for side in (left, right)]  # fmt: skip
            totals = self.module.products(b, how.name, *own, totals)
        return totals

    # Results ----------------------------------------------------------------------------------

    def _finish(self, b, y):
        """Finish the results, of 16 rows of each warp at a time.

        They pass through shared memory, so that neighbouring items store neighbouring elements, and
        the fused operations stand in the code once for these rows.
        """
        work = self.work
        line = self.columns + 8  # 8 more, so that rows begin in different banks of memory
        group, pair = b.lshr(self.lane, _I32(2)), b.shl(b.and_(self.lane, _I32(3)), _I32(1))
        row = b.add(b.mul(y, _I32(16)), group)
        own = b.add(b.add(b.mul(row, _I32(line)), self.warp[1]), pair)
        item_row, column = split(b, self.item, self.columns)
        at = b.add(self.first[1], b.zext(column, ir.IntType(64)))
        index = unravel(b, at, work.shapes[1])
        width = self.part[1] // 8
        for i in range(self.part[0] // 16):
            self.module.wait(b)
            for j in range(width):
                for half in (0, 1):
                    offset = b.add(own, _I32(8 * half * line + 8 * j))
                    for k in (0, 1):
                        total = self.totals[4 * (i * width + j) + 2 * half + k]
                        target = self.at(b, b.mul(b.add(offset, _I32(k)), _I32(4)))
                        b.store(b.load(total, typ=_FLOAT), target)
            self.module.wait(b)
            loop = Loop(b, i64(0), i64(16 * self.down), self.size // self.columns)
            inside = loop.b
            place = inside.add(inside.trunc(loop.i, _I32), item_row)
            block, inner = split(inside, place, 16)
            row = inside.add(inside.mul(block, _I32(self.part[0])), inner)
            row = inside.zext(inside.add(row, _I32(16 * i)), ir.IntType(64))
            row = inside.add(self.first[0], row)
            with inside.if_then(below(inside, (row, work.m), (at, work.n))):
                source = inside.add(inside.mul(place, _I32(line)), column)
                source = self.at(inside, inside.mul(source, _I32(4)))
                found = Value(inside, inside.load(source, typ=_FLOAT), FLOAT)
                rows = unravel(inside, row, work.shapes[0])
                whole = work.index(inside, self.batch, rows, index)
                finish(work, inside, self.pointers[len(work.operands) :], whole, found)
            loop.close()


def _tile(n):
    """The rows or columns of a tile for ``n`` of them."""
    return 128 if n > 64 else 64 if n > 32 else 32
