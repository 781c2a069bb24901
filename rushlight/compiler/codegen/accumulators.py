"""The running state of reductions, searches and scans: variables that LLVM keeps in registers."""

import numpy as np

from rushlight.compiler.codegen import memory
from rushlight.compiler.codegen.memory import iota
from rushlight.compiler.codegen.value import INT, Value, computed, constant, select, splat
from rushlight.compiler.plan.kernel import Extremum, Reduce

__all__ = ["Accumulator", "Search"]

_NEUTRAL = {"add": 0, "mul": 1, "or": False, "and": True}


def _identity(form, dtype):
    """The neutral element of a reduction: combining it with x gives x."""
    if form in _NEUTRAL:
        return _NEUTRAL[form]
    if dtype.kind == "f":
        return -np.inf if form == "max" else np.inf
    if dtype.kind == "b":
        return form == "min"
    info = np.iinfo(dtype)
    return info.min if form == "max" else info.max


class Accumulator:
    """A reduction while it runs: a variable on the stack, which LLVM keeps in registers."""

    def __init__(self, node, nodes, entry):
        self.node, self.nodes = node, nodes
        self.dtype = np.dtype(bool) if node.op.form in ("or", "and") else node.dtype
        if type(node) is Extremum:
            self.dtype = node.operands[0].dtype
        self.dtype = computed(self.dtype)
        self.lanes = nodes.lanes
        self.start = constant(entry, _identity(node.op.form, self.dtype), self.dtype, self.lanes)
        self.slot = memory.stack(entry, self.start.v.type)
        self.combine = memory.COMBINE[node.op.form]
        # A long sum of floats is a sum of short sums; otherwise rounding would lose small terms.
        long = type(node) is Reduce and node.op.form == "add" and self.dtype.kind == "f"
        self.total = memory.stack(entry, self.start.v.type) if long else None

    def clear(self, b):
        b.store(self.start.v, self.slot)
        if self.total is not None:
            b.store(self.start.v, self.total)

    def flush(self, b):
        """Add the short sum to the long one, and begin a new short sum."""
        b.store(self.combine(self._read(b, self.total), self._read(b, self.slot)).v, self.total)
        b.store(self.start.v, self.slot)

    def _read(self, b, slot):
        return Value(b, b.load(slot, typ=self.start.v.type), self.dtype)

    def take(self):
        """Combine with the operand at the current element."""
        b = self.nodes.scopes[2].b
        x = splat(self.nodes.value(self.node.operands[0]).astype(self.dtype), self.lanes)
        mask, current = self.nodes.mask, self.current(b)
        found = self.combine(x, current)  # x first: its nan test need not wait for ``current``
        if mask is not None and not self.nodes.across:
            found = select(Value(b, mask.v, mask.dtype), found, current)
        b.store(found.v, self.slot)

    def current(self, b):
        return self._read(b, self.slot)

    def result(self, b):
        found = self.current(b)
        if self.total is not None:
            found = self.combine(self._read(b, self.total), found)
        if not self.nodes.across:
            found = memory.reduce(found, self.node.op.form)
        return found.astype(self.node.dtype)


class Search(Accumulator):
    """An argmax or argmin while it runs: the best value so far and its position."""

    def __init__(self, node, nodes, entry):
        super().__init__(node, nodes, entry)
        self.none = constant(entry, 0, INT, self.lanes)
        self.place = memory.stack(entry, self.none.v.type)

    def clear(self, b):
        super().clear(b)
        b.store(self.none.v, self.place)

    def take(self):
        nodes = self.nodes
        b = nodes.scopes[2].b
        x = splat(nodes.value(self.node.operands[0]).astype(self.dtype), self.lanes)
        at = Value(b, nodes.offset(self.node.address), INT)
        step = self.node.address.terms.get(nodes.vector, 0)
        at = splat(at, self.lanes)
        if step:
            at = at + iota(b, self.lanes) * step
        where = Value(b, b.load(self.place, typ=self.none.v.type), INT)
        better = self._better(x, self.current(b))
        if not self._comes_in_order():
            better = better | (self._same(x, self.current(b)) & (at < where))
        if nodes.mask is not None and not nodes.across:
            better = better & Value(b, nodes.mask.v, nodes.mask.dtype)
        b.store(select(better, x, self.current(b)).v, self.slot)
        b.store(select(better, at, where).v, self.place)

    def _better(self, x, best):
        better = x > best if self.node.op.form == "max" else x < best
        if self.dtype.kind == "f":
            better = better | ((x != x) & (best == best))  # nan beats all but an earlier nan
        return better

    def _same(self, x, y):
        same = x == y
        return same | ((x != x) & (y != y)) if self.dtype.kind == "f" else same

    def _comes_in_order(self):
        """Whether the loops visit the positions from the first to the last.

        They don't if the variable of the lanes, along which memory is contiguous, is not the last.
        """
        terms = self.node.address.terms
        steps = [terms.get(v, 0) for v in self.nodes.columns]
        return steps == sorted(steps, reverse=True)

    def result(self, b):
        found = self.current(b), Value(b, b.load(self.place, typ=self.none.v.type), INT)
        while not self.nodes.across and found[0].lanes > 1:
            (x, y), (i, j) = memory.halves(found[0]), memory.halves(found[1])
            better = self._better(y, x)
            better = better | (self._same(x, y) & (j < i))
            found = select(better, y, x), select(better, j, i)
        return found[1].astype(self.node.dtype)
