"""Values kept in a thread's scratch memory from one pass over a row to later ones."""

from typing import Any

from llvmlite import ir

from rushlight.compiler.codegen.memory import load, memory_type, store
from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.codegen.value import computed, splat

__all__ = ["Spills"]


class Spills:
    """Places in scratch memory for the values that ``loops.spilled`` lists."""

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
        place = self._pointer(node, scope)
        return load(scope.b, place, computed(node.dtype), self.nodes.lanes)

    def write(self, node, value, scope):
        value, place = splat(value, self.nodes.lanes), self._pointer(node, scope)
        store(scope.b, value, place, computed(node.dtype))

    def _pointer(self, node, scope):
        """The address of the current element's lanes.

        The columns lie in order; the vector's variable is padded to whole vectors.
        """
        loops, b = self.loops, scope.b
        at: Any = None
        for v in loops.columns:
            padded = -(-v.extent // loops.lanes) * loops.lanes if v is loops.vector else v.extent
            own = scope.variables[v]
            at = own if at is None else b.add(b.mul(at, i64(padded)), own)
        at = i64(0) if at is None else at
        if loops.across:
            at = b.mul(at, i64(loops.lanes))
        start = b.gep(self.scratch, [i64(self.places[id(node)])], source_etype=ir.IntType(8))
        return b.gep(start, [at], source_etype=memory_type(computed(node.dtype)))
