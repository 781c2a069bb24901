"""Fusion: equations that run over the same elements become one kernel.

A group has a *domain*: loop variables that run over the elements of its largest values. Each member
has an index, affine in these variables, at which it is computed. An equation may join a group if
it reads every value of the group at the index at which the group computes that value. Reductions
split the variables into *columns*, which are reduced, and *rows*. A softmax is one group, which
passes over each row several times. Equations that read the result of a contraction join its group
as the epilogue.
"""

from math import prod
from typing import Any

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.affine import (
    ZERO,
    Affine,
    Var,
    broadcast,
    flat,
    refinement,
    strides_of,
    unravel,
)  # fmt: skip
from rushlight.compiler.plan.kernel import dims_of

__all__ = ["Group", "fuse"]


#: The longest chain of equations in a kernel. It is limited because nodes are emitted recursively.
_DEPTH = 64
#: A row of results with at least this many elements fills vectors.
_WIDE = 16


class Group:
    """Equations for one kernel.

    Attributes:
        kind: ``loops``, ``contraction``, ``patch`` or ``call``.
        members: The equations.
        variables: The loop variables of the domain, outermost first.
        columns: The variables that its reductions reduce; None before the first reduction.
        index: value id → the index, affine in the variables, at which the value is computed.
        depth: value id → the length of the longest chain of members that ends in the value.
    """

    def __init__(self, graph, kind):
        self.graph = graph
        self.kind = kind
        self.members: list = []
        self.variables: list = []
        self.columns: Any = None
        self.index: dict = {}
        self.depth: dict = {}
        self.number = -1

    @property
    def checks(self):
        """Whether the group computes the flag of a check of values."""
        return any(v.id in self.graph.checks for e in self.members for v in e.outs)

    @property
    def wide(self):
        """Whether the group is a contraction whose rows fill vectors: equations join it first."""
        contraction = self.kind == "contraction" and bool(self.variables)
        return contraction and self.variables[-1].extent >= _WIDE

    @property
    def sizes(self):
        """The numbers of elements that values in the group's loops may have."""
        whole = prod([v.extent for v in self.variables])
        return (whole, self._rows()) if self.columns else (whole,)

    # Joining --------------------------------------------------------------------------------

    def add(self, e):
        """Take ``e`` in if it fits; returns whether it did."""
        role = self.graph.roles[id(e)]
        if not self.members:
            self._start(e, role)
            return True
        if role == "scatter" or self.graph.roles[id(self.members[0])] == "scatter":
            return False  # a scatter's result is complete only when its kernel has ended
        if any(v.id in self.index for v in self.graph.after.get(id(e), ())):
            return False
        if self._depth(e) > _DEPTH:
            return False
        if role in ("reduction", "extremum", "scan"):
            return self.kind == "loops" and self._reduce(e)
        shape = e.outs[0].shape
        index = self.express(shape)
        if index is not None and self._reads(e, index):
            return self._take(e, index)
        if self.columns and prod(shape) == self._rows():
            index = unravel(self._row_position(), shape)
            if index is not None and self._reads(e, index):
                return self._take(e, index)
        return False

    def _start(self, e, role):
        shape = e.ins[0].shape if role in ("reduction", "extremum") else e.outs[0].shape
        if role == "scatter":
            shape = e.ins[1].shape
        self.variables = [Var(n) for n in shape if n != 1]
        if role in ("reduction", "extremum", "scan"):
            self._reduce(e)
        elif role == "scatter":
            index = self.express(shape)
            self.columns = set(index[e.params["dim"]].terms)
            self._take(e, index)
        else:
            self._take(e, self.express(shape))

    def _take(self, e, index):
        self.members.append(e)
        self.index[e.outs[0].id] = index
        self.depth[e.outs[0].id] = self._depth(e)
        return True

    def _depth(self, e):
        sources = [self.graph.source(v).id for v in operands(e)]
        return 1 + max([self.depth.get(s, 0) for s in sources], default=0)

    def _reduce(self, e):
        x = e.ins[0]
        index = self.express(x.shape)
        if index is None or not self.reads(x, index):
            return False
        dims = dims_of(e)
        columns = {v for d in dims for v in index[d].terms}
        kept = {v for d in range(x.ndim) if d not in dims for v in index[d].terms}
        if columns & kept or self.columns not in (None, columns):
            return False
        if self.columns is None and self.index and not columns:
            return False
        out = [i for d, i in enumerate(index) if d not in dims]
        if self.graph.roles[id(e)] == "scan":
            out = list(index)
        elif e.params["keepdim"]:
            out = [ZERO if d in dims else i for d, i in enumerate(index)]
        self.columns = columns
        return self._take(e, tuple(out))

    def express(self, shape):
        """The index in ``shape`` that visits its elements in the same order as the domain's.

        The variables are split if ``shape`` needs finer ones. None if there is no affine index.
        """
        extents = tuple([v.extent for v in self.variables])
        if prod(extents) != prod(shape):
            return None
        finer = refinement(extents, tuple([n for n in shape if n != 1]))
        if finer is None:
            return None
        if finer != extents:
            if self.kind == "contraction" and finer[-1] != extents[-1]:
                return None  # a contraction's lanes run along the last variable: it must stay whole
            self._refine(finer)
        return unravel(flat(self._identity(), strides_of(finer)), shape)

    def _identity(self):
        return [Affine(0, {v: 1}) for v in self.variables]

    def _rows(self):
        return prod([v.extent for v in self.variables if v not in self.columns])

    def _row_position(self):
        rows = [v for v in self.variables if v not in self.columns]
        return flat([Affine(0, {v: 1}) for v in rows], strides_of(tuple([v.extent for v in rows])))

    def _refine(self, extents):
        """Split variables so that their extents become ``extents``."""
        rest, found = list(extents), []
        for old in self.variables:
            parts: list = []
            while prod([v.extent for v in parts]) != old.extent:
                parts.append(Var(rest.pop(0)))
            if len(parts) == 1:
                parts = [old]
            else:
                strides = strides_of(tuple([v.extent for v in parts]))
                self._replace(old, parts, flat([Affine(0, {v: 1}) for v in parts], strides))
            found += parts
        self.variables = found

    def _replace(self, old, parts, new):
        for key, index in self.index.items():
            self.index[key] = tuple([i.replaced(old, new) for i in index])
        if self.columns and old in self.columns:
            self.columns = self.columns - {old} | set(parts)

    # Reading --------------------------------------------------------------------------------

    def _reads(self, e, index):
        """Whether this kernel can read all operands of ``e`` for the element at ``index``."""
        if self.graph.roles[id(e)] == "gather":
            x, where = e.ins
            return self._outside(x) and self.reads(where, index)
        if self.graph.roles[id(e)] == "padding":
            return self._outside(e.ins[0])
        return all(self.reads(v, broadcast(index, v.shape)) for v in operands(e))

    def _outside(self, value):
        return self.graph.source(value).id not in self.index

    def reads(self, value, index):
        """Whether this kernel can read the element at ``index`` of ``value``.

        Memory can be read anywhere; a member only at the index at which it is computed.
        """
        found = self.at(value, index)
        if found is None:
            return False
        source, index = found
        return source.id not in self.index or self.index[source.id] == index

    def at(self, value, index):
        """(source, index in the source) of the element at ``index`` of ``value``.

        None if the index in the source is not affine. For a view whose source is outside the
        group the index is None: memory can be read at any position.
        """
        view = self.graph.views.get(value.id)
        if view is None:
            return value, index
        if view.source.id not in self.index:
            return view.source, None
        index = unravel(flat(index, view.strides, view.offset), view.source.shape)
        return None if index is None else (view.source, index)


# Grouping -----------------------------------------------------------------------------------


class Grouping:
    """The groups of a graph while they grow, and the order in which groups must run."""

    def __init__(self, graph):
        self.graph = graph
        self.order = {id(e): i for i, e in enumerate(graph.equations)}
        self.groups: list = []
        self.before: list = []  # for each group, all groups that must run before it, as bits
        self.of: dict = {}  # value id → number of its group
        self._drawn: set = set()  # the last group that draws random numbers: draws keep their order

    def place(self, e):
        """Put ``e`` into a group."""
        role = self.graph.roles[id(e)]
        if role in ("view", "constant"):
            return
        needs = self._needs(e)
        fuses = role in ("pointwise", "gather", "padding", "reduction", "extremum", "scan")
        if fuses and not self._spreads(e):
            for number in sorted(needs, key=self._preference, reverse=True):
                if self._join(e, number, needs):
                    self._merge(number, needs - {number})
                    return
        self._open(e, "loops" if fuses or role == "scatter" else role, needs)

    def _spreads(self, e):
        """True if ``e`` only broadcasts a smaller value.

        Such an equation does not join a group that it reads from. It opens a new group, so that
        it can be computed inside its consumers: they join this group, or ``_merge`` it into theirs.
        """
        sizes = [v.size for v in operands(e) if self.graph.role(self.graph.source(v)) != "constant"]
        return bool(sizes) and max(sizes) < e.outs[0].size

    def _preference(self, number):
        group = self.groups[number]
        return group.wide, prod_of(group), number

    def _needs(self, e):
        """The groups that ``e`` reads from."""
        values = [*operands(e), *self.graph.after.get(id(e), ())]
        sources = [self.graph.source(v).id for v in values]
        needs = {self.of[s] for s in sources if s in self.of}
        if e.op.draws:
            needs |= self._drawn
            self._drawn = {len(self.groups)}
        return needs

    def _open(self, e, kind, needs):
        group = Group(self.graph, kind)
        if kind in ("loops", "contraction"):
            group.add(e)
        else:
            group.members.append(e)
        group.number = len(self.groups)
        self.groups.append(group)
        self.before.append(self._closure(needs))
        for v in e.outs:
            self.of[v.id] = group.number

    def _closure(self, numbers):
        bits = 0
        for n in numbers:
            bits |= 1 << n | self.before[n]
        return bits

    def _join(self, e, number, needs):
        group = self.groups[number]
        if group.kind not in ("loops", "contraction"):
            return False
        others = self._closure(needs - {number})
        if others >> number & 1 or not group.add(e):
            return False
        self._depend(number, others)
        for v in e.outs:
            self.of[v.id] = number
        return True

    def _depend(self, number, others):
        """Note that a group, and all groups that come after it, must come after ``others``."""
        if not others & ~self.before[number]:
            return
        reach, bit = self.before[number] | others, 1 << number
        self.before[number] = reach
        for n, bits in enumerate(self.before):
            if bits & bit:
                self.before[n] |= reach

    def _merge(self, number, needs):
        """Join groups in ``needs`` to the group ``number``, which reads from them, if they fit."""
        for other in sorted(needs, reverse=True):
            a, b = self.groups[number], self.groups[other]
            if b is None or b.kind != "loops" or prod_of(b) not in a.sizes:
                continue
            between = self.before[number] & ~(1 << other)
            if any(self.before[n] >> other & 1 for n in _bits(between)):
                continue
            merged = self._merged(a, b)
            if merged is None:
                continue
            merged.number = number
            self.groups[number], self.groups[other] = merged, None
            for e in b.members:
                for v in e.outs:
                    self.of[v.id] = number
            self._absorb(number, other)

    def _absorb(self, number, other):
        bit = 1 << other
        self.before[number] = (self.before[number] | self.before[other]) & ~bit
        for n in range(len(self.before)):
            if self.before[n] & bit:
                self.before[n] = self.before[n] & ~bit | 1 << number
            if self.before[n] >> number & 1:
                self.before[n] |= self.before[number]

    def _merged(self, a, b):
        merged = Group(self.graph, a.kind)
        order = self.order
        first = a.members[:1] if a.kind == "contraction" else []
        made = {v.id for e in b.members for v in e.outs}
        if any(self.graph.source(v).id in made for e in first for v in operands(e)):
            return None  # a contraction's operands must be complete before its kernel begins
        rest = [e for e in [*a.members, *b.members] if e not in first]
        for e in [*first, *sorted(rest, key=lambda e: order[id(e)])]:
            if not merged.add(e):
                return None
        return merged

    # Afterwards -----------------------------------------------------------------------------

    def alive(self):
        return [g for g in self.groups if g is not None]

    def require(self, number, first):
        """Make a group run after the groups in ``first``; False if one of them depends on it."""
        if any(self.before[n] >> number & 1 for n in first):
            return False
        self._depend(number, self._closure(first))
        return True

    def eject(self, group, e):
        """Move ``e`` out of ``group`` into a group of its own; returns the group of ``e``."""
        if len(group.members) == 1:
            return group
        group.members.remove(e)
        for v in e.outs:
            del group.index[v.id]
        self._open(e, "loops", {group.number})
        return self.groups[-1]

    def ordered(self):
        """The groups in an order in which they can run, as close to the recorded one as possible.

        Each step takes the first group, in recorded order, whose predecessors have all run.
        """
        order = self.order
        waiting = sorted(self.alive(), key=lambda g: min(order[id(e)] for e in g.members))
        done, found = 0, []
        while waiting:
            g = next(g for g in waiting if not self.before[g.number] & ~done)
            waiting.remove(g)
            done |= 1 << g.number
            found.append(g)
        return found


def _bits(number):
    """The positions of the bits of ``number`` that are 1."""
    while number:
        least = number & -number
        yield least.bit_length() - 1
        number ^= least


def prod_of(group):
    return prod([v.extent for v in group.variables])


def fuse(graph):
    """Put the equations of ``graph`` into groups; returns the ``Grouping``."""
    grouping = Grouping(graph)
    for e in graph.equations:
        grouping.place(e)
    return grouping
