"""Large products by tensor cores of compute capability 9.0: ``wgmma``, with tiles brought by TMA.

Four warps (a warpgroup) multiply 64 rows by all columns of a tile with one instruction, which reads
both factors from shared memory. One work-item starts the copies: the device's copy engine reads a
tile as a tensor map describes it, puts zeros where the matrix ends, and counts the bytes at a
barrier. Totals are float32.

No NVIDIA board has run this code, so it is used only under ``RUSHLIGHT_WGMMA=1``. An interpreter of
PTX has run it, and NVIDIA's assembler takes it.

Source: NVIDIA's PTX ISA, "Asynchronous warpgroup level matrix instructions" and "Tensor copies".
"""

from typing import Any, NamedTuple

from llvmlite import ir

from rushlight.compiler.codegen.memory import stack
from rushlight.compiler.codegen.scope import Loop, i64
from rushlight.compiler.codegen.value import FLOAT
from rushlight.compiler.device.parts import split, unravel
from rushlight.compiler.device.tensor_cores import Cores
from rushlight.compiler.ir.machine import machine
from rushlight.dtype import bfloat16, float16

__all__ = ["TensorMap", "Warpgroups", "serves"]

_I32, _I64, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_VOID = ir.VoidType()
#: A row of a tile in shared memory, in bytes. Its chunks of 16 bytes are in an order (a swizzle)
#: that repeats every 8 rows.
_LINE, _REPEAT = 128, 1024
#: The dtype → its name in ``wgmma``, and the driver's number of the tensor map's type.
_TYPES = {float16.numpy: ("f16", 6), bfloat16.numpy: ("bf16", 9), FLOAT: ("tf32", 11)}
_ROWS, _COLUMNS, _STAGES = 128, 128, 4
#: The most dims of a tensor map, and the bytes that its strides are multiples of.
_DIMS, _MULTIPLE = 5, 16


class TensorMap(NamedTuple):
    """How the copy engine finds the tiles of an operand; see ``cuTensorMapEncodeTiled``.

    Attributes:
        operand: The number of the operand.
        kind: The driver's number of the dtype.
        sizes: Elements in each dim, that of neighbours first.
        strides: Bytes from one element to the next one, in each dim but the first.
        box: The sizes of a tile.
        itemsize: Bytes of an element.
    """

    operand: int
    kind: int
    sizes: tuple
    strides: tuple
    box: tuple
    itemsize: int


def serves(work):
    """Whether ``Warpgroups`` computes the product ``work``, whose instruction is known to exist."""
    here: Any = machine()
    if not here.maps:
        return False
    if work.role != "product" or work.ins[0].dtype not in _TYPES:
        return False
    if work.m < _ROWS or work.n < _COLUMNS or work.depth * work.ins[0].dtype.itemsize < _LINE:
        return False
    return all(_map(work, side) is not None for side in (0, 1))


def _map(work, side):
    """The ``TensorMap`` of a factor; None if the copy engine cannot read it."""
    value, strides = work.ins[side], work.strides[side]
    size = value.itemsize
    *batch, (row, rows), (depth, depths) = zip(strides, value.shape, strict=True)
    if side:
        (row, rows), (depth, depths) = (depth, depths), (row, rows)
    deep, lines = depth == 1, _LINE // size
    box: tuple
    if deep:
        inner, outer, box = (1, depths), (row, rows), (lines, (_ROWS, _COLUMNS)[side])
    else:
        inner, outer, box = (row, rows), (depth, depths), (lines, lines)
    if inner[0] != 1 or (not deep and size == 4):  # wgmma turns elements of 16 bits only
        return None
    dims = [outer, *[(step, n) for step, n in reversed(batch) if step and n > 1]]
    steps = [step * size for step, _ in dims]
    if len(dims) >= _DIMS or any(s % _MULTIPLE or s <= 0 or s >= 1 << 40 for s in steps):
        return None
    sizes = (inner[1], *[n for _, n in dims])
    box += (1,) * (len(sizes) - 2)
    return TensorMap(side, _TYPES[value.dtype][1], sizes, tuple(steps), box, size)


class Warpgroups(Cores):
    """A way to compute the results of ``product.Tiles``; see ``simt.Items``.

    Attributes:
        maps: The ``TensorMap`` of each factor, of which the driver makes arguments of the kernel.
        deep: Whether neighbours in a factor's memory are of one row, or column of the right factor.
    """

    form = "wgmma"
    rows, columns, stages = _ROWS, _COLUMNS, _STAGES

    def __init__(self, work):
        self.work = work
        self.kind, _ = _TYPES[work.ins[0].dtype]
        self.maps = [_map(work, side) for side in (0, 1)]
        self.itemsize = self.maps[0].itemsize
        self.part = 16, self.columns  # a warp's rows of its warpgroup's 64, and all columns
        self.down, self.across = self.rows // 16, 1
        self.size = 32 * self.down
        self.deep = [work.strides[0][-1] == 1, work.strides[1][-2] == 1]
        self.stage = (self.rows + self.columns) * _LINE
        results = self.rows * (self.columns + 8) * 4
        shared = max(self.stages * self.stage, results)
        self.needs = {"maps": tuple(self.maps), "shared": shared}
        self.key = "wgmma", self.kind, self.rows, self.columns, self.stages

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        work = self.work
        self.module = module
        count = len(work.operands) + len(work.kernel.args)
        b, self.pointers, _ = module.kernel(name, count, maps=len(self.maps))
        self.item = b.trunc(module.work_item(b), _I32)
        number, row, column = self._place(b, module.work_group(b))
        self.batch = unravel(b, number, work.batch)
        self.first = b.mul(row, i64(self.rows)), b.mul(column, i64(self.columns))
        self.lane, warp = b.and_(self.item, _I32(31)), b.lshr(self.item, _I32(5))
        self.warp = b.mul(warp, _I32(16)), _I32(0)
        self.memory = module.asked_memory(_REPEAT)
        self.barriers = module.local_array(_I64, self.stages)
        self.barriers.align = 8
        self.base = b.ptrtoint(self.memory, _I32)
        group = b.lshr(warp, _I32(2))
        self.own = b.mul(group, _I32(64 * _LINE if self.deep[0] else self._block))
        self.described = [module.tensor_map(b, name, 2 * count + 1 + k) for k in (0, 1)]
        self.skipped = [self._skipped(b, m) for m in self.maps]
        self.totals = [stack(b, _FLOAT) for _ in range(self.columns // 2)]
        for total in self.totals:
            b.store(_FLOAT(0.0), total)
        self._sum(b)
        self._finish(b, warp)
        b.ret_void()

    @property
    def _block(self):
        """Bytes of a box whose lines are steps of the depth."""
        return _LINE // self.itemsize * _LINE

    def _skipped(self, b, described):
        """Elements before the operand's first one, since maps begin at multiples of 16 bytes."""
        address = b.trunc(b.ptrtoint(self.pointers[described.operand], _I64), _I32)
        return b.udiv(b.and_(address, _I32(_MULTIPLE - 1)), _I32(described.itemsize))

    def _barrier(self, b, stage):
        return b.add(b.ptrtoint(self.barriers, _I32), b.mul(stage, _I32(8)))

    def _sum(self, b):
        """Add all products. Each turn starts a later step's copies, and multiplies its own step."""
        module, stages = self.module, self.stages
        steps = -(-self.work.depth * self.itemsize // _LINE)
        one = b.icmp_unsigned("==", self.item, _I32(0))
        with b.if_then(one):
            for k in range(stages):
                module.assembly(
                    b, "mbarrier.init.shared.b64 [$0], 1;", "r", self._barrier(b, _I32(k))
                )
            module.assembly(b, "fence.mbarrier_init.release.cluster;", "")
        module.wait(b)
        for k in range(min(steps, stages - 1)):
            self._fetch(b, _I32(k), _I32(k), b.zext(one, _I32))
        loop = Loop(b, i64(0), i64(steps))
        inside = loop.b
        turn = inside.trunc(loop.i, _I32)
        times, stage = split(inside, turn, stages)
        self._arrived(inside, self._barrier(inside, stage), inside.and_(times, _I32(1)))
        module.wait(inside)  # all have multiplied the step whose place the next copies take
        later = inside.add(turn, _I32(stages - 1))
        more = inside.icmp_unsigned("<", later, _I32(steps))
        starts = inside.zext(inside.and_(one, more), _I32)
        self._fetch(inside, later, inside.urem(later, _I32(stages)), starts)
        self._multiply(inside, inside.add(self.base, inside.mul(stage, _I32(self.stage))))
        loop.close()

    def _fetch(self, b, step, stage, starts):
        """Start the copies of a step of the depth to the place ``stage``, if ``starts`` is 1.

        Instructions have the condition, and no branch: the warp must be together in ``wgmma``.
        """
        barrier = self._barrier(b, stage)
        self._starts = starts
        text = f"mbarrier.arrive.expect_tx.shared.b64 _, [$1], {self.stage};"
        self._if_starts(b, text, "r", barrier)
        target = b.add(self.base, b.mul(stage, _I32(self.stage)))
        depth = b.mul(step, _I32(_LINE // self.itemsize))
        for k, described in enumerate(self.maps):
            row = b.trunc(self.first[k], _I32)
            batch = [b.trunc(i, _I32) for i in self._numbers(k)]
            if self.deep[k]:
                self._box(b, k, target, [b.add(depth, self.skipped[k]), row, *batch], barrier)
                target = b.add(target, _I32(described.box[1] * _LINE))
                continue
            row = b.add(row, self.skipped[k])
            lines = described.box[0]
            for first in range(0, (self.rows, self.columns)[k], lines):
                self._box(b, k, target, [b.add(row, _I32(first)), depth, *batch], barrier)
                target = b.add(target, _I32(self._block))

    def _numbers(self, side):
        """The indices of the batch in the dims of a tensor map."""
        shape, strides = self.work.ins[side].shape[:-2], self.work.strides[side][:-2]
        own = self.batch[len(self.batch) - len(shape) :]
        dims = zip(own, shape, strides, strict=True)
        return [i for i, n, step in dims if step and n > 1][::-1]

    def _box(self, b, side, target, at, barrier):
        """Start the copy of a box, whose first element is ``at``."""
        places = ", ".join([f"${k + 4}" for k in range(len(at))])
        text = (
            f"cp.async.bulk.tensor.{len(at)}d.shared::cluster.global.mbarrier::complete_tx::bytes "
            f"[$1], [$2, {{{places}}}], [$3];"
        )
        kinds = ",".join(["r", "l", "r", *["r"] * len(at)])
        self._if_starts(b, text, kinds, target, self.described[side], barrier, *at)

    def _if_starts(self, b, text, kinds, *args):
        text = rf"{{\0A.reg .pred p;\0Asetp.ne.b32 p, $0, 0;\0A@p {text}\0A\09}}"
        self.module.assembly(b, text, f"r,{kinds}", self._starts, *args)

    def _arrived(self, b, barrier, parity):
        """Wait until all bytes of a barrier's phase are there."""
        wait, ready = b.append_basic_block("wait"), b.append_basic_block("ready")
        b.branch(wait)
        b.position_at_end(wait)
        text = (
            r"{\0A.reg .pred p;\0Ambarrier.try_wait.parity.shared.b64 p, [$1], $2;\0A"
            r"selp.b32 $0, 1, 0, p;\0A\09}"
        )
        done = self.module.assembly(b, text, "=r,r,r", barrier, parity, result=_I32)
        b.cbranch(b.icmp_unsigned("!=", done, _I32(0)), ready, wait)
        b.position_at_end(ready)

    def _multiply(self, b, stage):
        """Add the products of a step of the depth, which lies at ``stage``, to the totals."""
        totals = [b.load(total, typ=_FLOAT) for total in self.totals]
        n, depth = len(totals), 32 // self.itemsize
        turns = "" if self.itemsize == 4 else "".join([f", {int(not deep)}" for deep in self.deep])
        names = ", ".join([f"${k}" for k in range(n)])
        text = (
            f"wgmma.mma_async.sync.aligned.m64n{self.columns}k{depth}.f32.{self.kind}.{self.kind} "
            f"{{{names}}}, ${2 * n}, ${2 * n + 1}, 1, 1, 1{turns};"
        )
        kinds = ",".join([*["=f"] * n, *map(str, range(n)), "l", "l"])
        result = ir.LiteralStructType([_FLOAT] * n)
        left, right = b.add(stage, self.own), b.add(stage, _I32(self.rows * _LINE))
        self.module.assembly(b, "wgmma.fence.sync.aligned;", "")
        for step in range(_LINE // 32):
            descriptors = [self._descriptor(b, k, at, step) for k, at in ((0, left), (1, right))]
            found = self.module.assembly(b, text, kinds, *totals, *descriptors, result=result)
            totals = [b.extract_value(found, k) for k in range(n)]
        self.module.assembly(b, "wgmma.commit_group.sync.aligned;", "")
        self.module.assembly(b, "wgmma.wait_group.sync.aligned 0;", "")
        for place, total in zip(self.totals, totals, strict=True):
            b.store(total, place)

    def _descriptor(self, b, side, at, step):
        """Where ``wgmma`` finds a factor's part of 32 bytes of the depth."""
        if self.deep[side]:
            at, blocks = b.add(at, _I32(32 * step)), 1
        else:
            at, blocks = b.add(at, _I32(32 // self.itemsize * _LINE * step)), self._block >> 4
        at = b.zext(b.and_(b.lshr(at, _I32(4)), _I32(0x3FFF)), _I64)
        return b.or_(at, i64(1 << 62 | (_REPEAT >> 4) << 32 | blocks << 16))
