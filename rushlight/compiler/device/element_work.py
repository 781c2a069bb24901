"""Kernels in which each work-item computes an element of the result from elements of operands."""

from rushlight.compiler.codegen.memory import load, memory_type, stack
from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.codegen.value import Value, ir_type
from rushlight.compiler.device.parts import place
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of

__all__ = ["ElementWork", "Variable"]


class ElementWork:
    """The work for an equation whose kernel reads its operands anywhere, and what is fused to it.

    A subclass states the sizes in ``_measure``, and what the code depends on besides the operands'
    dtypes and strides in ``_shape``. Its ``body`` writes the kernel.

    Attributes:
        key: Equal keys mean equal code.
        operands: (owner of the memory, byte offset) of the operands.
        ins: The operands with the strides that they have in memory.
        groups, size: The number of work-groups, and of work-items in a group.
        limit: The number of items that have work.
    """

    size = 128
    groups: int
    limit: int

    def __init__(self, group, kernel, schedule):
        self.group, self.kernel = group, kernel
        self.equation = e = group.members[0]
        layouts = [(v, schedule.layout(v)) for v in e.ins]
        self.operands = [(owner, offset * v.itemsize) for v, (owner, offset, _) in layouts]
        self.strides = [strides for _, (_, _, strides) in layouts]
        self.ins = [
            Abstract(v.shape, v.dtype, tuple([n * v.itemsize for n in strides]))
            for v, (_, _, strides) in layouts
        ]
        self.dtypes = [v.dtype for v in self.ins]
        self._measure()
        self.nodes = nodes_of(kernel.stores)
        names = {v: f"v{i}:{v.extent}" for i, v in enumerate(group.variables)}
        root = [(i.offset, sorted([(names[v], c) for v, c in i.terms.items()])) for i in self.root]
        shape = type(self).__name__, self._shape(), self.dtypes, self.strides
        self.key = repr((shape, root, described(kernel.stores, self.nodes, names)))

    def _measure(self):
        """Set the sizes: ``limit`` and ``groups``."""
        raise NotImplementedError

    def _shape(self):
        """What the code depends on besides the operands' dtypes and strides."""
        raise NotImplementedError

    def body(self, module, b, limit):
        """Write the kernel, up to its end."""
        raise NotImplementedError

    @property
    def root(self):
        """The index of the result's element as functions of the group's variables."""
        return self.group.index[self.equation.outs[0].id]

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        count = len(self.operands)
        b, pointers, (limit,) = module.kernel(name, count + len(self.kernel.args))
        self.sources, self.targets = pointers[:count], pointers[count:]
        self.body(module, b, limit)
        b.ret_void()

    def item(self, module, b):
        """The number of the work-item among all."""
        return b.add(b.mul(module.work_group(b), i64(self.size)), module.work_item(b))

    def read(self, b, operand, index):
        """The element of an operand at an index, as a Value."""
        dtype = self.dtypes[operand]
        at = place(b, index, self.strides[operand])
        return load(b, b.gep(self.sources[operand], [at], source_etype=memory_type(dtype)), dtype)


class Variable:
    """A variable of one work-item. It is made outside of loops: its memory is not given back."""

    def __init__(self, b, dtype):
        self.dtype, self.typ = dtype, ir_type(dtype)
        self.slot = stack(b, self.typ)
        if dtype.kind == "f":
            b.store(self.typ(0.0), self.slot)

    def set(self, b, number):
        """Become a Python number."""
        b.store(self.typ(number), self.slot)

    def get(self, b):
        """The present value, as a Value."""
        return Value(b, b.load(self.slot, typ=self.typ), self.dtype)

    def put(self, b, value, fits=None):
        """Become ``value`` if it ``fits``."""
        v = value.astype(self.dtype).v
        b.store(v if fits is None else b.select(fits, v, self.get(b).v), self.slot)

    def add(self, b, value, fits=None):
        """Add ``value`` if it ``fits``."""
        self.put(b, self.get(b) + value.astype(self.dtype), fits)
