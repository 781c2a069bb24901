"""Nodes of a kernel as Values: loads, numbers, elementwise equations, each in its scope."""

from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.elementwise import elementwise
from rushlight.compiler.codegen.memory import gather, iota, load, memory_type
from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.codegen.value import INT, Value, constant, select, splat
from rushlight.compiler.plan.kernel import Root, Scan
from rushlight.compiler.plan.loops import REDUCING

__all__ = ["Nodes", "set_variables"]

_I32, _U32 = np.dtype(np.int32), np.dtype(np.uint32)


class Nodes:
    """Nodes of a kernel as Values, each computed once in the outermost scope that can have it.

    Attributes:
        scopes: The scopes of kernel, row and column; several may be the same object.
        vector: The variable along which the lanes run.
        lanes: The number of lanes.
        mask: A Value of bools, or None if all lanes are in use.
    """

    def __init__(self, pointers, scopes, loops):
        self.pointers, self.scopes, self.columns = pointers, scopes, loops.columns
        self.vector, self.lanes, self.across = loops.vector, loops.lanes, loops.across
        self.mask: Any = None
        self.results: dict = {}  # id of a reduction or Root → its Value
        self.accumulators: dict = {}
        self.spills: Any = None
        self.sizes: dict = {}  # a size → the i64 that holds it, where it is no constant
        self.scalars: dict = {}  # the same of operands that are Python's integers
        self._levels: dict = {}

    def value(self, node):
        """The Value of ``node`` at the current element, for use in the column scope."""
        return self._in(self.scopes[2], node)

    def _in(self, scope, node):
        if id(node) in self.results:
            found = self.results[id(node)]
            return Value(scope.b, found.v, found.dtype)
        level = self.level(node)
        home = self.scopes[min(level, self.scopes.index(scope))]
        found = home.nodes.get(id(node))
        if found is None:
            spilled = self.spills is not None and id(node) in self.spills.places
            found = self.spills.read(node, home) if spilled else None
            if found is None:
                found = getattr(self, "_" + type(node).__name__.lower())(node, home)
                if spilled:
                    self.spills.write(node, found, home)
            home.nodes[id(node)] = found
        return Value(scope.b, found.v, found.dtype)

    def level(self, node):
        """The scope of a node: 0 for the kernel, 1 for the row, 2 for the column."""
        found = self._levels.get(id(node))
        if found is None:
            if type(node) in REDUCING:
                found = 1
            elif type(node) in (Root, Scan):
                found = 2
            else:
                own = self._affine_level(node.address) if hasattr(node, "address") else 0
                found = max([own, *[self.level(c) for c in node.operands]])
            self._levels[id(node)] = found
        return found

    def _affine_level(self, affine):
        if any(v in self.columns for v in affine.terms):
            return 2
        return 1 if affine.terms else 0

    # Addresses ------------------------------------------------------------------------------

    def size(self, n):
        """The size ``n`` as an i64."""
        return self.sizes.get(n) or i64(n)

    def offset(self, affine, level=2):
        """An affine function as an i64, for the first lane.

        Terms of outer scopes' variables are computed in those scopes.
        """
        scope = self.scopes[level]
        if level and scope is self.scopes[level - 1]:
            return self.offset(affine, level - 1)
        key = (affine.offset, frozenset(affine.terms.items()))
        found = scope.offsets.get(key)
        if found is not None:
            return found
        mine = {v: c for v, c in affine.terms.items() if v in scope.variables}
        rest = type(affine)(affine.offset, {v: c for v, c in affine.terms.items() if v not in mine})
        found = self.offset(rest, level - 1) if level else self.size(affine.offset)
        b = scope.b
        for v, c in mine.items():
            part = scope.variables[v] if c == 1 else b.mul(scope.variables[v], self.size(c))
            zero = isinstance(found, ir.Constant) and found.constant == 0
            found = part if zero else b.add(found, part)
        scope.offsets[key] = found
        return found

    def pointer(self, arg, affine, dtype, level=2):
        offset = self.offset(affine, level)
        b = self.scopes[level].b
        return b.gep(self.pointers[arg], [offset], source_etype=memory_type(dtype))

    # Kinds of nodes -------------------------------------------------------------------------

    def _load(self, node, scope):
        level = self.scopes.index(scope)
        pointer = self.pointer(node.arg, node.address, node.dtype, level)
        step = node.address.terms.get(self.vector, 0)
        if step == 0:
            return load(scope.b, pointer, node.dtype)
        mask = self.mask_in(scope)
        return load(scope.b, pointer, node.dtype, self.lanes, mask, step)

    def mask_in(self, scope):
        return None if self.mask is None else self.mask.to(scope.b)

    def _inside(self, node, scope):
        b, step = scope.b, node.address.terms.get(self.vector, 0)
        dtype = _I32 if node.narrow else INT
        at = Value(b, self.offset(node.address, self.scopes.index(scope)), INT).astype(dtype)
        if step:
            at = splat(at, self.lanes) + iota(b, self.lanes, dtype) * step
        size = Value(b, self.size(node.size), INT).astype(dtype) if self.sizes else node.size
        if dtype is INT:
            return (at >= 0) & (at < size)
        return at.bits(_U32) < (size.bits(_U32) if self.sizes else size)

    def _guarded(self, node, scope):
        b, dtype = scope.b, node.dtype
        number, *guards = [self._in(scope, c) for c in node.operands]
        along = _all([g for g in guards if g.lanes > 1])
        here = _all([g for g in guards if g.lanes == 1])
        pointer = self.pointer(node.arg, node.address, dtype, self.scopes.index(scope))
        step = node.address.terms.get(self.vector, 0)
        if step:
            mask = _all([m for m in (self.mask_in(scope), here, along) if m is not None])
            value = load(b, pointer, dtype, self.lanes, mask, step)
        else:
            if here is not None:  # an element that does not exist is not read
                pointer = b.select(here.v, pointer, self.pointers[node.arg])
            value = load(b, pointer, dtype)
        for mask in (here, along):
            value = value if mask is None else select(mask, value, number)
        return value

    def _indirect(self, node, scope):
        level = self.scopes.index(scope)
        b = scope.b
        where = self._in(scope, node.operands[0]).astype(INT)
        base = self.pointer(node.arg, node.address, node.dtype, level)
        step = node.address.terms.get(self.vector, 0)
        element = memory_type(node.dtype)
        if where.lanes == 1:
            at = b.gep(base, [b.mul(where.v, self.size(node.stride))], source_etype=element)
            if step == 0:
                return load(b, at, node.dtype)
            return load(b, at, node.dtype, self.lanes, self.mask_in(scope), step)
        return gather(b, base, where * node.stride + iota(b, self.lanes) * step,
                             node.dtype, self.mask_in(scope))  # fmt: skip

    def _constant(self, node, scope):
        return constant(scope.b, node.value, node.dtype)

    def _position(self, node, scope):
        level = self.scopes.index(scope)
        b = scope.b
        at = Value(b, self.offset(node.address, level), INT)
        step = node.address.terms.get(self.vector, 0)
        if step:
            at = splat(at, self.lanes) + iota(b, self.lanes) * step
        if node.dtype.kind == "f":
            at = at.astype(node.dtype)
        return (at * node.step + node.start).astype(node.dtype)

    def _scan(self, node, scope):
        running = self.accumulators[id(node)]
        running.take()
        return running.current(scope.b).astype(node.dtype)

    def _compute(self, node, scope):
        e = node.equation
        operands = [self._in(scope, c) for c in node.operands]
        if e.op.role == "copy":
            return operands[0].astype(node.dtype)
        rest = iter(operands)
        flat_ins = e.ins[0] if e.op.variadic else e.ins
        values = [next(rest) if _abstract(v) else self._scalar(scope.b, v) for v in flat_ins]
        params = {k: next(rest) if _abstract(v) else v for k, v in e.params.items()}
        return elementwise(e.op, flat_ins, values, params, node.dtype)

    def _scalar(self, b, x):
        found = self.scalars.get(x) if type(x) is int else None
        return x if found is None else Value(b, found, INT)


def _all(masks):
    """Where all ``masks`` are True, or None if there is none."""
    found = None
    for mask in masks:
        found = mask if found is None else found & mask
    return found


def set_variables(b, affine, index, variables, size=i64):
    """Set the loop variables that make up one index of a result, the outermost first.

    ``size(n)``: the size ``n`` in the code.
    """
    rest = index
    terms = sorted(affine.terms.items(), key=lambda item: -item[1])
    for k, (v, step) in enumerate(terms):
        last = k == len(terms) - 1
        variables[v] = rest if last else b.udiv(rest, size(step))
        rest = rest if last else b.urem(rest, size(step))


def _abstract(v):
    return getattr(type(v), "is_abstract", False)
