"""Loop kernels for any number of rows: the number is known only when the kernel runs.

After the addresses of its memories, the ``args`` of such a kernel hold three numbers: the extent of
the outermost variable, the number of steps, and the number of steps in a chunk.
"""

from llvmlite import ir

from rushlight.compiler.codegen.loop_kernel import LoopEmitter
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64

__all__ = ["emit_loop", "emit_stream"]


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


def emit_loop(module, kernel, order):
    """Add the function ``loop``: it runs all chunks of a kernel, one after the other.

    Its parameters are words, those of NumPy's loops. The operands are arrays, of which ``order``
    has (number, byte offset) for each of the kernel's memories. The data are the number of chunks,
    the address of the scratch memory, and the kernel's three numbers.
    """
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "loop")
    b = ir.IRBuilder(loop.append_basic_block("entry"))
    given, data = b.inttoptr(loop.args[0], POINTER), b.inttoptr(loop.args[3], POINTER)
    word = lambda base, k: b.gep(base, [i64(k)], source_etype=I64)
    read = lambda base, k: b.load(word(base, k), typ=I64)
    words = [b.add(read(given, k), i64(offset)) for k, offset in order]
    words += [read(data, k) for k in (2, 3, 4)]
    table = b.alloca(I64, len(words))
    for k, w in enumerate(words):
        b.store(w, word(table, k))
    chunks, scratch = read(data, 0), b.inttoptr(read(data, 1), POINTER)
    turns = Loop(b, i64(0), chunks)
    turns.b.call(module.globals[kernel], [table, turns.i, scratch])
    turns.close()
    b.ret(i64(0))


def emit_stream(module, name, loops, count, length):
    """Add the kernel to ``module``; ``count`` is the number of its memories."""
    StreamEmitter(module, name, loops, count, length).emit()
