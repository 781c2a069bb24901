"""One kernel as a small graph of nodes: loads at affine addresses, computations, and stores.

A group of equations becomes such a graph. Its leaves are loads and constants, and its results are
stored. The addresses are all that the code generator must know of memory.
"""

from math import prod
from typing import Any

import numpy as np

from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.affine import ZERO, Affine, Var, broadcast, flat, strides_of, unravel
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.ir.roles import joins
from rushlight.ops.tensor.array_dtypes import as_scalar

__all__ = [
    "Compute", "Constant", "Extremum", "Guarded", "Indirect", "Inside", "Kernel", "Load",
    "Position", "Reduce", "Root", "Scan", "Scatter", "Store", "outside",
]  # fmt: skip


class Load:
    """The element at ``address`` (in elements) of argument ``arg``."""

    __slots__ = ("address", "arg", "dtype")
    operands = ()

    def __init__(self, arg, address, dtype):
        self.arg, self.address, self.dtype = arg, address, dtype


class Inside:
    """Whether ``address``, here a position in a dim of ``size``, is one of the dim's elements."""

    __slots__ = ("address", "dtype", "size")
    operands = ()

    def __init__(self, address, size):
        self.address, self.size, self.dtype = address, size, np.dtype(bool)

    @property
    def narrow(self):
        """Whether all positions are numbers of 32 bits."""
        low, high = self.address.bounds()
        return -(2**31) <= low <= high < 2**31


class Guarded:
    """The element at ``address`` of argument ``arg`` if it exists, else another number.

    The operands are nodes: the other number, and an ``Inside`` for each dim in which elements may
    be missing. Address 0 is the first element of the value.
    """

    __slots__ = ("address", "arg", "dtype", "operands")

    def __init__(self, arg, address, number, guards, dtype):
        self.arg, self.address, self.dtype = arg, address, dtype
        self.operands = (number, *guards)


class Indirect:
    """The element at ``address + where · stride`` of argument ``arg``; ``where`` is a node."""

    __slots__ = ("address", "arg", "dtype", "operands", "stride")

    def __init__(self, arg, address, where, stride, dtype):
        self.arg, self.address, self.stride, self.dtype = arg, address, stride, dtype
        self.operands = (where,)


class Constant:
    """A node with the constant ``value``."""

    __slots__ = ("dtype", "value")
    operands = ()

    def __init__(self, value, dtype):
        self.value, self.dtype = value, dtype


class Position:
    """``start + step · address``: an element of an arange."""

    __slots__ = ("address", "dtype", "start", "step")
    operands = ()

    def __init__(self, address, start, step, dtype):
        self.address, self.start, self.step, self.dtype = address, start, step, dtype


class Compute:
    """An elementwise equation, computed on nodes."""

    __slots__ = ("dtype", "equation", "operands")

    def __init__(self, equation, operands, dtype):
        self.equation, self.operands, self.dtype = equation, operands, dtype


class Reduce:
    """A reduction of its operand over the columns."""

    __slots__ = ("dtype", "op", "operands")

    def __init__(self, op, operand, dtype):
        self.op, self.operands, self.dtype = op, (operand,), dtype


class Extremum:
    """The first position in the columns where its operand is largest (``max``) or smallest."""

    __slots__ = ("address", "dtype", "op", "operands")

    def __init__(self, op, operand, position, dtype):
        self.op, self.operands, self.address, self.dtype = op, (operand,), position, dtype


class Scan:
    """Its operand combined over the columns up to the current one, which is included."""

    __slots__ = ("dtype", "op", "operands")

    def __init__(self, op, operand, dtype):
        self.op, self.operands, self.dtype = op, (operand,), dtype


class Root:
    """The result of the contraction; the other nodes are its epilogue."""

    __slots__ = ("dtype",)
    operands = ()

    def __init__(self, dtype):
        self.dtype = dtype


class Store:
    """``node`` is stored at ``address`` (in elements) of argument ``arg``."""

    __slots__ = ("address", "arg", "dtype", "node")

    def __init__(self, arg, address, node, dtype):
        self.arg, self.address, self.node, self.dtype = arg, address, node, dtype


class Scatter(Store):
    """``node`` is stored at ``address + where · stride`` of argument ``arg``.

    ``joins`` is the form of the reduction that joins it with what is there: ``add``, ``mul``,
    ``max`` or ``min``. If it is empty, ``node`` replaces what is there.
    """

    __slots__ = ("joins", "stride", "where")

    def __init__(self, arg, address, node, dtype, where, stride, joins):
        super().__init__(arg, address, node, dtype)
        self.where, self.stride, self.joins = where, stride, joins

    @property
    def adds(self):
        """Whether the node is added."""
        return self.joins == "add"


class Kernel:
    """The stores of a group, with loops over ``rows`` and, in each row, over ``columns``.

    Attributes:
        args: (owner of the memory, byte offset) of each argument: memory that is read or written.
        stores: The results of the kernel.
    """

    def __init__(self, group, wanted, place):
        """Build the nodes.

        Args:
            group: The ``Group`` of equations.
            wanted: ids of the values that are stored.
            place: ``place(value)`` gives (owner, offset, strides) of a value in memory.
        """
        self.group = group
        self.graph = group.graph
        self.place = place
        columns = group.columns or set()
        self.rows = [v for v in group.variables if v not in columns]
        self.columns = [v for v in group.variables if v in columns]
        self.args: list = []
        self._nodes: dict = {}
        self.stores = [
            self._store(v) for e in group.members for v in e.outs if v.id in wanted
        ]  # fmt: skip
        self._nodes.clear()

    @property
    def work(self):
        """An estimate of the number of operations on elements."""
        nodes: set = set()
        for s in self.stores:
            _collect(s.node, nodes)
        size = prod([v.extent for v in (*self.rows, *self.columns)])
        return size * max(1, sum(type(n) is not Constant for n in nodes))

    def _arg(self, owner, address, dtype) -> tuple[int, Any]:
        """(argument, address in it). The offset belongs to the argument, not to the address.

        So kernels that differ only in offsets have the same code.
        """
        place = owner, address.offset * dtype.itemsize
        if place not in self.args:
            self.args.append(place)
        return self.args.index(place), Affine(0, address.terms)

    def _store(self, value):
        index = self.group.index[value.id]
        owner, offset, strides = self.place(value)
        if self.graph.role(value) == "scatter":
            return self._scatter(value, index, owner)
        node = self._member(value)
        place = self._arg(owner, flat(index, strides, offset), value.dtype)
        return Store(*place, node, value.dtype)

    # Nodes ----------------------------------------------------------------------------------

    def _member(self, value):
        """The node of a value that the group computes, at the index at which it is computed."""
        found = self._nodes.get(value.id)
        if found is None:
            maker = self.graph.makers[value.id]
            role = self.graph.roles[id(maker)]
            index = self.group.index[value.id]
            found = self._nodes[value.id] = getattr(self, "_" + role)(maker, value, index)
        return found

    def _pointwise(self, e, value, index):
        read = lambda v: self._element(v, broadcast(index, v.shape))
        flat_ins = e.ins[0] if e.op.variadic else e.ins
        operands = [read(v) for v in (*flat_ins, *e.params.values()) if isinstance(v, Abstract)]
        return Compute(e, tuple(operands), value.dtype)

    def _reduction(self, e, value, index):
        x = e.ins[0]
        operand = self._element(x, self.group.express(x.shape))
        if all(x.shape[d] == 1 for d in dims_of(e)):
            if e.op.form in ("or", "and"):  # a uint8 may be another number than 0 and 1
                truth = Abstract(x.shape, bool)
                operand = Compute(cast(x, truth), (operand,), truth.dtype)
                x = truth
            found = Compute(cast(x, value), (operand,), value.dtype)
            if e.op.form == "add" and value.dtype.kind not in "biu":  # a sum turns -0.0 into 0.0
                found = Compute(_plus_zero(value), (found,), value.dtype)
            return found
        return Reduce(e.op, operand, value.dtype)

    def _extremum(self, e, value, index):
        x, dim = e.ins[0], e.params["dim"]
        inner = self.group.express(x.shape)
        position = flat(inner, strides_of(x.shape)) if dim is None else inner[dim]
        return Extremum(e.op, self._element(x, inner), position, value.dtype)

    def _scan(self, e, value, index):
        return Scan(e.op, self._element(e.ins[0], index), value.dtype)

    def _gather(self, e, value, index):
        x, where = e.ins
        owner, address, stride = self._along(x, index, e.params["dim"])
        place = self._arg(owner, address, x.dtype)
        return Indirect(*place, self._element(where, index), stride, x.dtype)

    def _padding(self, e, value, index):
        x = e.ins[0]
        within, guards = list(index), []
        for dim, before in before_of(e):
            within[dim] = at = index[dim].plus(Affine(-before))
            low, high = at.bounds()
            if low < 0 or high >= x.shape[dim]:
                guards.append(Inside(at, x.shape[dim]))
        owner, address = self._outside(x, tuple(within))
        _, first = self._outside(x, (ZERO,) * x.ndim)
        arg, _ = self._arg(owner, first, x.dtype)
        number = Constant(as_scalar(e.params["value"], x.dtype), x.dtype)
        return Guarded(arg, address.plus(first, -1), number, guards, x.dtype)

    def _scatter(self, value, index, owner):
        e = self.graph.makers[value.id]
        _, where, source = e.ins
        _, address, stride = self._along(value, index, e.params["dim"])
        node, place = self._element(source, index), self._element(where, index)
        memory = self._arg(owner, address, value.dtype)
        return Scatter(*memory, node, value.dtype, place, stride, joins(e))

    def _along(self, value, index, dim):
        """(owner, address, stride) of the elements of ``value`` along ``dim``.

        The address is that of position 0 in ``dim``; ``index`` gives the other dims.
        """
        kept = list(index)
        kept[dim] = Affine()
        owner, address = self._outside(value, tuple(kept))
        at = lambda n: self._outside(
            value, tuple([Affine(n * (d == dim)) for d in range(value.ndim)])
        )
        return owner, address, at(1)[1].offset - at(0)[1].offset

    def _contraction(self, e, value, index):
        return Root(value.dtype)

    def _element(self, value, index):
        """The node of ``value`` at ``index``."""
        view = self.graph.views.get(value.id)
        source = value if view is None else view.source
        if source.id in self.group.index:
            return self._member(source)
        role = self.graph.role(source)
        if role == "constant":
            return self._constant(source, view, index)
        owner, address = self._outside(value, index)
        key = (owner, address.offset, frozenset(address.terms.items()), value.dtype)
        if key not in self._nodes:
            self._nodes[key] = Load(*self._arg(owner, address, value.dtype), value.dtype)
        return self._nodes[key]

    def _constant(self, source, view, index):
        params = self.graph.makers[source.id].params
        if "value" in params:
            return Constant(params["value"], source.dtype)
        address = index[0] if view is None else flat(index, view.strides, view.offset)
        return Position(address, params["start"], params["step"], source.dtype)

    def _outside(self, value, index):
        return outside(self.graph, self.place, value, index)


def outside(graph, place, value, index):
    """(owner, address) of the element at ``index`` of a value in memory."""
    view = graph.views.get(value.id)
    source = value if view is None else view.source
    owner, offset, strides = place(source)
    if view is not None:
        position = flat(index, view.strides, view.offset)
        if strides == strides_of(source.shape):
            return owner, position.plus(Affine(offset))
        index = _followed(position, view, value, source, index)
    return owner, flat(index, strides, offset)


def before_of(e):
    """(dim, the number of elements that the padding ``e`` adds before it), for its last dims."""
    before = e.params["pad"][::2]
    return [(e.ins[0].ndim - 1 - k, n) for k, n in enumerate(before)]


def dims_of(e):
    """The dims that the reduction ``e`` reduces, as a tuple."""
    dims = e.params["dim"]
    if dims is None or not e.ins[0].ndim:
        return tuple(range(e.ins[0].ndim))
    return (dims,) if isinstance(dims, int) else tuple(dims)


def _followed(position, view, value, source, index):
    """The index in ``source`` of the element at ``position`` in its C order.

    If ``position`` itself has no affine index, the index is found for the view's own dims, and
    these are then replaced by ``index``.
    """
    found = unravel(position, source.shape)
    if found is not None:
        return found
    dims = [Var(n) for n in value.shape]
    inner = unravel(
        flat([Affine(0, {v: 1}) for v in dims], view.strides, view.offset), source.shape
    )
    assert inner is not None  # the graph makes no view that cannot be followed
    for d, i in zip(dims, index, strict=True):
        inner = [a.replaced(d, i) for a in inner]
    return tuple(inner)


def _collect(node, nodes):
    if node not in nodes:
        nodes.add(node)
        for child in node.operands:
            _collect(child, nodes)


def cast(x, out):
    """The equation that converts ``x`` to the dtype of ``out``."""
    from rushlight.ops.core.definition import OPS

    return Equation(OPS["to_copy"], (x,), {"dtype": out.dtype}, (out,))


def _plus_zero(x):
    from rushlight.ops.core.definition import OPS

    return Equation(OPS["add"], (x, 0.0), {}, (x,))
