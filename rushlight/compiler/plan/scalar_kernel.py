"""The nodes of a ``ScalarProgram``, for a kernel that computes it for each of its elements."""

from functools import lru_cache

from rushlight.compiler.capture.lowering import expand
from rushlight.compiler.capture.ranges import Range, ranges
from rushlight.compiler.capture.simplify import simplify
from rushlight.compiler.ir.affine import ZERO, strides_of
from rushlight.compiler.plan.fusion import Group
from rushlight.compiler.plan.graph import Graph
from rushlight.compiler.plan.kernel import Kernel, Root, Store
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of

__all__ = ["ScalarKernel", "scalar_kernel"]


class Unfit(Exception):
    """A kernel can't compute a program of numbers."""


@lru_cache(maxsize=64)
def scalar_kernel(program):
    """The ``ScalarKernel`` of a ``ScalarProgram``, or None if there is none.

    There is none if the program does more than to compute numbers and to read captured tensors, or
    if an index is not known to be in range.
    """
    try:
        return ScalarKernel(program)
    except Unfit:
        return None


class ScalarKernel(Kernel):
    """The nodes of the outputs of a ``ScalarProgram``.

    Attributes:
        roots: The nodes of the inputs.
        args: (number of a captured tensor, byte offset) of each argument.
        stores: One for each output; only its node has a meaning.
    """

    def __init__(self, program):
        equations, outputs = simplify(expand(program.equations), program.outputs)
        equations = _proven(equations, program)
        graph = Graph(equations, [*program.inputs, *program.captured])
        group = Group(graph, "loops")
        for e in graph.equations:
            role = graph.roles[id(e)]
            if role in ("view", "constant"):
                continue
            (out,) = e.outs
            if role not in ("pointwise", "gather") or e.op.draws or out.size != 1:
                raise Unfit
            group.index[out.id] = (ZERO,) * out.ndim
        self.roots = [Root(v.dtype) for v in program.inputs]
        self._root_of = {v.id: r for v, r in zip(program.inputs, self.roots, strict=True)}
        self._number_of = {v.id: i for i, v in enumerate(program.captured)}
        super().__init__(group, (), self._place)
        self.stores = [Store(0, ZERO, self._element(v, ()), v.dtype) for v in outputs]
        nodes = nodes_of(self.stores)
        used = [nodes.index(r) if r in nodes else None for r in self.roots]
        self._text = repr((described(self.stores, nodes, {}), used))

    def __repr__(self):
        """A text that is equal for kernels with equal code."""
        return self._text

    def _place(self, value):
        if value.id not in self._number_of:
            raise Unfit
        return self._number_of[value.id], 0, strides_of(value.shape)

    def _element(self, value, index):
        root = self._root_of.get(self.graph.source(value).id)
        return super()._element(value, index) if root is None else root


def _proven(equations, program):
    """``equations`` without checks, all of which pass always."""
    found: list = []
    checks: list = []
    for e in equations:
        (checks if e.op.raises else found).append(e)
    pairs = zip(program.inputs, program.bounds, strict=True)
    known = ranges(found, {v.id: Range(*ends) for v, ends in pairs if ends is not None})
    for e in checks:
        index = known.get(e.ins[0].id, Range())
        if not e.params["low"] <= index.low <= index.high <= e.params["high"]:
            raise Unfit
    return found
