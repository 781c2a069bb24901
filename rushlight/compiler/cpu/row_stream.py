"""Loop kernels for any number of rows: the number is known only when the kernel runs.

After the addresses of its memories, the ``args`` of such a kernel hold three numbers: the extent of
the outermost variable, the number of steps, and the number of steps in a chunk. A kernel with open
rows has two more: the rows' length and the number of channels (``open_rows.py``).
"""

from llvmlite import ir

from rushlight.compiler.codegen.loop_kernel import LoopEmitter
from rushlight.compiler.codegen.memory import prefix_mask, stack
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64
from rushlight.compiler.ir.affine import Affine

__all__ = ["emit_loop", "emit_stream"]

#: The numbers behind the addresses in ``args``, in kernels of both kinds.
_NUMBERS, _OPEN_NUMBERS = 3, 5


class StreamEmitter(LoopEmitter):
    """Writes one kernel. The extent of its outermost variable ``length`` is an argument."""

    def __init__(self, module, name, loops, count, length):
        super().__init__(module, name, loops, count)
        self.length = length
        args, b = self.function.args[0], self.kernel.b
        self.extent, self.steps, self.size = [
            b.load(b.gep(args, [i64(count + k)], source_etype=I64), typ=I64) for k in range(3)
        ]

    def _extent(self, v):
        return self.extent if v is self.length else super()._extent(v)

    def _whole(self):
        return self.kernel.b.sdiv(self.extent, i64(self.loops.lanes))

    def _piece(self):
        b = self.kernel.b
        begin = b.mul(self.chunk, self.size)
        return begin, self._least(b.add(begin, self.size), self.steps)


class OpenEmitter(StreamEmitter):
    """Writes a kernel whose rows have a length and a number of channels that are arguments."""

    def __init__(self, module, name, loops, count, length, rows):
        super().__init__(module, name, loops, count, length)
        self.rows = rows
        args, b = self.function.args[0], self.kernel.b
        self.width, self.channels = [
            b.load(b.gep(args, [i64(count + k)], source_etype=I64), typ=I64)
            for k in range(_NUMBERS, _OPEN_NUMBERS)
        ]
        self.kernel.variables[rows.width] = self.width
        self.whole = b.and_(self.width, i64(-loops.lanes))
        self.rest = prefix_mask(b, b.sub(self.width, self.whole), loops.lanes)
        self.channel = stack(b, I64)  # counted along with the steps: a division takes longer

    def _steps(self, begin, end):
        b = self.kernel.b
        if self.rows.channels is not None:
            b.store(b.urem(begin, self.channels), self.channel)
        super()._steps(begin, end)

    def _row_variables(self, row, step):
        b, rows = row.b, self.rows
        row.variables[rows.step] = step
        row.variables[rows.start] = b.mul(step, self.width)
        if rows.channels is None:
            return
        channel = b.load(self.channel, typ=I64)
        row.variables[rows.channel] = channel
        row.variables[rows.channel_start] = b.mul(channel, self.width)
        following = b.add(channel, i64(1))
        over = b.icmp_signed("==", following, self.channels)
        b.store(b.select(over, i64(0), following), self.channel)

    def _limit(self, end):
        return self.whole

    def _tail(self, b, whole):
        return self.rest

    def _following(self, access):
        return Affine(0, {self.rows.width: 1}), self.rows.near[id(access)]


def emit_loop(module, kernel, order, is_open=False):
    """Add the function ``loop``: it runs all chunks of a kernel, one after the other.

    Its parameters are words, those of NumPy's loops. The operands are arrays, of which ``order``
    has (number, byte offset) for each of the kernel's memories. The data are the number of chunks,
    the address of the scratch memory, and the kernel's numbers.
    """
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "loop")
    b = ir.IRBuilder(loop.append_basic_block("entry"))
    given, data = b.inttoptr(loop.args[0], POINTER), b.inttoptr(loop.args[3], POINTER)
    word = lambda base, k: b.gep(base, [i64(k)], source_etype=I64)
    read = lambda base, k: b.load(word(base, k), typ=I64)
    words = [b.add(read(given, k), i64(offset)) for k, offset in order]
    words += [read(data, 2 + k) for k in range(_OPEN_NUMBERS if is_open else _NUMBERS)]
    table = b.alloca(I64, len(words))
    for k, w in enumerate(words):
        b.store(w, word(table, k))
    chunks, scratch = read(data, 0), b.inttoptr(read(data, 1), POINTER)
    turns = Loop(b, i64(0), chunks)
    turns.b.call(module.globals[kernel], [table, turns.i, scratch])
    turns.close()
    b.ret(i64(0))


def emit_stream(module, name, loops, count, length, rows=None):
    """Add the kernel to ``module``; ``count`` is the number of its memories.

    ``rows``: the OpenRows of a kernel with open rows.
    """
    if rows is None:
        StreamEmitter(module, name, loops, count, length).emit()
    else:
        OpenEmitter(module, name, loops, count, length, rows).emit()
