"""Loop kernels for any number of rows: the number is known only when the kernel runs.

After the addresses of its memories, the ``args`` of such a kernel hold three numbers: the extent of
the outermost variable, the number of steps, and the number of steps in a chunk.
"""

from rushlight.compiler.codegen.loop_kernel import LoopEmitter
from rushlight.compiler.codegen.scope import I64, i64

__all__ = ["emit_stream"]


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


def emit_stream(module, name, loops, count, length):
    """Add the kernel to ``module``; ``count`` is the number of its memories."""
    StreamEmitter(module, name, loops, count, length).emit()
