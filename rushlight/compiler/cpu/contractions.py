"""A program's products, convolutions, poolings and attentions, each with its fused epilogue.

A ``Product`` describes the operation to the emitter of its kind. The epilogue is the code for the
operations that are fused into the result.
"""

from dataclasses import replace
from math import prod
from typing import Any

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.codegen.memory import store
from rushlight.compiler.codegen.nodes import Nodes, set_variables
from rushlight.compiler.codegen.scope import I64, POINTER, Scope
from rushlight.compiler.codegen.value import BOOL, Value, computed, splat
from rushlight.compiler.cpu import attention, contraction, convolution, costs, pooling
from rushlight.compiler.cpu.contraction import Contraction, Matrix, Storing
from rushlight.compiler.ir.abstract import HALF, Abstract
from rushlight.compiler.plan.kernel import Load, Root, Store
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of
from rushlight.compiler.plan.scalar_kernel import scalar_kernel

__all__ = ["Product", "serves"]

_EMITTERS = {
    "product": contraction, "convolution": convolution, "pooling": pooling, "attention": attention,
}  # fmt: skip


def serves(e):
    """Whether there is an emitter for the contraction ``e``: see ``Machine.serves``."""
    if e.op.role not in _EMITTERS or (e.op.role == "pooling" and not pooling.serves(e)):
        return False
    ins = operands(e)
    if e.op.form == "at_grad":
        ins = ins[:1]  # the other operand has positions
    if e.op.role != "attention":
        return _floating(ins[0].dtype) and len({v.dtype for v in ins}) == 1
    program = e.params.get("program")
    first = e.op.form == "grad"
    query, key, value, *rest = ins[first:]
    if program is None:  # a mask, and the noise of dropout
        noise = len(e.ins) == len(e.op.inputs) and e.ins[-1] is not None
        if noise or any(mask.ndim > query.ndim for mask in rest):
            return False
    elif scalar_kernel(program) is None:
        return False
    if not all(v.size and _floating(v.dtype) for v in (query, key, value)):
        return False
    batch = query.shape[:-2]
    alike = key.shape[:-2] == value.shape[:-2] == e.outs[0].shape[:-2] == batch
    return alike and min(query.shape[-2], key.shape[-2]) >= costs.QUERIES


def _floating(d):
    return d.kind == "f" or d in HALF


class Product:
    """A contraction with the operations that are fused into its result: a ``Work``."""

    stem = "product"

    def __init__(self, group, kernel, schedule, target):
        self.group, self.kernel, self.target = group, kernel, target
        self.equation = group.members[0]
        self.layouts = [(v, schedule.layout(v)) for v in operands(self.equation)]
        self.operands = [(o, offset * v.itemsize) for v, (o, offset, _) in self.layouts]
        self.changed = self._program()
        self.emitter: Any = _EMITTERS[self.equation.op.role]
        self.nodes = nodes_of(kernel.stores)
        self.description = self._describe()
        names = {v: f"v{i}:{v.extent}" for i, v in enumerate(group.variables)}
        root = [
            (i.offset, sorted([(names[v], c) for v, c in i.terms.items()])) for i in self._root()
        ]
        self.key = repr((self.description, root, described(kernel.stores, self.nodes, names)))

    def _program(self):
        """The ``ScalarKernel`` of attention's program, or None.

        What the kernel reads besides comes behind the attention's own operands.
        """
        program = self.equation.params.get("program")
        if program is None:
            return None
        found, own = scalar_kernel(program), len(self.layouts) - len(program.captured)
        captured = self.operands[own:]
        del self.layouts[own:], self.operands[own:]
        for number, skipped in found.args:
            owner, start = captured[number]
            self.operands.append((owner, start + skipped))
        return found

    def _describe(self):
        e = self.equation
        if self.emitter is not contraction:
            ins = [
                Abstract(v.shape, v.dtype, tuple([step * v.itemsize for step in strides]))
                for v, (_, _, strides) in self.layouts
            ]
            found = self.emitter.describe(e.op.form, ins, e.outs[0].shape, e.params)
            if self.changed is not None:
                return replace(found, changed=self.changed)
            return replace(found, flat=self._flat()) if self.emitter is convolution else found
        (x, (_, _, xs)), (y, (_, _, ys)) = self.layouts
        out = e.outs[0].shape
        a = Matrix(x.dtype, tuple(xs[:-2]), xs[-2], xs[-1])
        b = Matrix(y.dtype, tuple(ys[:-2]), ys[-2], ys[-1])
        return Contraction(computed(x.dtype), tuple(out[:-2]), out[-2], out[-1], x.shape[-1], a, b)

    @property
    def nanoseconds(self):
        if self.emitter is attention:
            return self.description.products / costs.PRODUCTS
        ins = [v.size for v in operands(self.equation)]
        out = self.equation.outs[0].size
        depth = max(ins) * min(ins) / max(out, 1)
        return out * max(1.0, depth**0.5) / costs.PRODUCTS

    @property
    def simple(self):
        loads = sum(type(n) is Load for n in self.nodes)
        if self.emitter is not convolution or loads > 1 or len(self.kernel.stores) > 1:
            return False
        return convolution.is_simple(self.description, self.target)

    def plan(self, name):
        return self.emitter.plan(self.description, self.target, name)

    def emit(self, module, name):
        plan = self.plan(name)
        first = len(self.operands) + len(plan.temporaries)

        def sink(b, args, *rest):
            indices, value, mask = _flattened(rest)
            _Epilogue(self, b, args, first).run(indices, value, mask)

        plain = self._storing(first) if self.emitter is contraction else None
        self.emitter.emit(module, plan, plain or sink)

    def _storing(self, first):
        """A ``Storing`` if the epilogue only stores rows of the result unchanged, else None."""
        s, *others = self.kernel.stores
        index = self._root()
        plain = type(s) is Store and type(s.node) is Root and not others
        if not plain or any(i.offset or set(i.terms.values()) - {1} for i in index):
            return None
        if any(len(i.terms) > 1 for i in index):
            return None
        strides = [sum(s.address.terms.get(v, 0) for v in i.terms) for i in index]
        if strides[-1] != 1:
            return None
        return Storing(first + s.arg, s.dtype, strides, s.address.offset)

    def _flat(self):
        """Whether the places of the result can be numbered through.

        They can if each address in the epilogue is a linear function of that number, also where a
        row ends. A vector of results may then start in one row and end in the next.
        """
        spatial = self._root()[2:]
        if any(i.offset or {*i.terms.values()} - {1} or len(i.terms) > 1 for i in spatial):
            return False
        found = [next(iter(i.terms)) for i in spatial if i.terms]
        if not found:
            return True
        *outer, last = found
        if not spatial[-1].terms:
            return False  # lanes run along the last dim
        nodes = [*self.nodes, *self.kernel.stores]
        addresses = [node.address for node in nodes if hasattr(node, "address")]
        steps = [prod(v.extent for v in found[k + 1 :]) for k in range(len(outer))]
        return all(
            a.terms.get(v, 0) == step * a.terms.get(last, 0)
            for a in addresses
            for v, step in zip(outer, steps, strict=True)
        )

    def _root(self):
        return self.group.index[self.equation.outs[0].id]


def _flattened(rest):
    """(indices, value, mask) from the arguments of a sink.

    Contractions pass (batch, m, n, value, mask), the other emitters (indices, value, mask).
    """
    if len(rest) == 5:
        batch, m, n, value, mask = rest
        return (*batch, m, n), value, mask
    return rest


class _Pointers:
    """The addresses that an epilogue uses, each loaded where it is used first."""

    def __init__(self, b, args, first):
        self.b, self.args, self.first = b, args, first
        self.found: dict = {}

    def __getitem__(self, k):
        if k not in self.found:
            slot = self.b.gep(self.args, [I64(self.first + k)], source_etype=POINTER)
            self.found[k] = self.b.load(slot, typ=POINTER, align=8)
        return self.found[k]


class _Lanes:
    """The schedule that ``Nodes`` needs, with lanes along the last dim of the result."""

    across = False

    def __init__(self, columns, vector, lanes):
        self.columns, self.vector, self.lanes = columns, vector, lanes


class _Epilogue:
    """Writes a group's fused operations for one vector of the contraction's results."""

    def __init__(self, product, b, args, first):
        self.product, self.b = product, b
        self.pointers = _Pointers(b, args, first)

    def run(self, indices, value, mask):
        product, b = self.product, self.b
        root = product._root()
        vector = next(iter(root[-1].terms), None) if root else None
        if vector is None and value.lanes > 1:
            value = Value(b, b.extract_element(value.v, _first()), value.dtype)
            mask = None
        scope = Scope(b)
        for affine, index in zip(root, indices, strict=True):
            set_variables(b, affine, index, scope.variables)
        lanes = _Lanes(product.group.variables, vector, value.lanes)
        nodes = Nodes(self.pointers, [scope] * 3, lanes)
        nodes.mask = mask if mask is None or isinstance(mask, Value) else Value(b, mask, BOOL)
        for node in product.nodes:
            if type(node) is Root:
                nodes.results[id(node)] = value.astype(node.dtype)
        for s in product.kernel.stores:
            self._store(nodes, s)

    def _store(self, nodes, s):
        value = nodes.value(s.node)
        step = s.address.terms.get(nodes.vector, 0)
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        if step:
            store(self.b, splat(value, nodes.lanes), pointer, s.dtype, nodes.mask, step)
        else:
            store(self.b, value, pointer, s.dtype)


def _first():
    from llvmlite import ir

    return ir.IntType(32)(0)
