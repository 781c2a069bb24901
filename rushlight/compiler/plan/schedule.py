"""The order of the kernels, and the memory of every value.

Values that outlive their kernel lie in one arena. Two values share memory if the last reader of
one runs before the other is computed. A new value of an input is stored there by the kernel that
computes it, provided that all readers of the old value and everything that may fail run before.
"""

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.affine import Affine, Var
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.plan.fusion import fuse
from rushlight.compiler.plan.graph import Graph
from rushlight.compiler.plan.kernel import Kernel, Load, outside
from rushlight.compiler.plan.loops import nodes_of
from rushlight.ops.core.definition import OPS

__all__ = ["ALIGNMENT", "CyclicWrites", "Schedule"]

ALIGNMENT = 64


class CyclicWrites(Exception):
    """Inputs get values that are computed from each other's old values, as in an exchange."""


class Schedule:
    """The groups in order, and the places of their values.

    A place is (owner, offset, strides). The owner is the id of a value that has memory; offset and
    strides are in elements.

    Args:
        outputs: (value, recorded value). The output gets the layout of the recorded value.
        writes: (position in ``inputs``, value): the value is written to this input.
        flags: The values that are flags of checks.

    Attributes:
        groups: The groups in the order in which they run.
        results: Copies of the outputs, then copies of the written values.
        offsets: owner → byte offset in the arena, for owners that lie in the arena.
        size: Bytes of the arena.
    """

    def __init__(self, equations, inputs, outputs, writes, flags):
        self.inputs = inputs
        self.flags = flags
        self.written = {inputs[position].id for position, _ in writes}
        try:
            self._plan(list(equations), outputs, writes)
        except CyclicWrites:
            self._plan(list(equations), outputs, writes, apart=True)

    def _plan(self, equations, outputs, writes, apart=False):
        """Find the order of the groups and the places of their values.

        With ``apart``, an input's old value that is written to another input is copied before all
        writes, so that inputs can be exchanged.
        """
        self.targets: dict = {}  # id of a result → the input that it is written to
        self.results = []
        for v, recorded in outputs:
            self.results.append(self._leaving(v, equations, recorded))
        self.outputs = list(self.results)
        views = {e.outs[0].id for e in equations if e.op.kind == "view"}
        for position, v in writes:
            # A view may be one of the target itself.
            if v.id in views or (apart and v.id in self.written):
                v = self._leaving(v, equations, v)
            result = self._leaving(v, equations, v)
            self.targets[result.id] = self.inputs[position]
            self.results.append(result)
        self.graph = Graph(equations, self.inputs)
        self.graph.check_first(self.flags)
        self.leaving = {v.id for v in (*self.results, *self.flags)}
        self.graph.leaving = {v.id for v in self.results}
        self.fused = fuse(self.graph)
        self._settle_writes()
        self.groups = self.fused.ordered()
        self._find_users()
        self._lay_out()

    def _leaving(self, v, equations, like):
        """Append a copy of ``v`` with the layout of ``like``, and return it as a result.

        The kernel that computes ``v`` will fuse the copy: it stores ``v`` there directly.
        """
        result = Abstract(v.shape, v.dtype, like.strides if _dense(like) else None)
        equations.append(Equation(OPS["clone"], (v,), {"memory_format": None}, [result]))
        return result

    # Places ---------------------------------------------------------------------------------

    def place(self, value):
        """(owner, offset, strides) of a value that is no view."""
        target = self.targets.get(value.id)
        if target is not None:
            return target.id, 0, self.graph.strides(target)
        patch = self.graph.patches.get(value.id)
        if patch is not None:
            base, offset, strides = patch
            return self.owner(base), offset, strides
        return value.id, 0, self.graph.strides(value)

    def layout(self, value):
        """(owner, offset, strides) of a value in memory, or of a view of one."""
        dims = [Var(n) for n in value.shape]
        index = tuple([Affine(0, {v: 1}) for v in dims])
        owner, address = outside(self.graph, self.place, value, index)
        return owner, address.offset, tuple([address.terms.get(v, 0) for v in dims])

    def owner(self, value):
        """The value in whose memory ``value`` lies, which may be a view."""
        return self.place(self.graph.source(value))[0]

    # Writes ---------------------------------------------------------------------------------

    def _settle_writes(self):
        """Let kernels store to inputs directly where this is safe; otherwise copy at the end."""
        fused = self.fused
        self.readers = readers_of(fused.alive(), self.graph)
        copies = {id(self.graph.makers[r.id]) for r in self.results}
        fallible = {g.number for g in fused.alive() if may_fail(g, copies)}
        for result in self.results:
            target = self.targets.get(result.id)
            if target is None:
                continue
            group = fused.groups[fused.of[result.id]]
            first = (self.readers.get(target.id, set()) | fallible) - {group.number}
            if self._in_place(group, target) and fused.require(group.number, first):
                continue
            copy = self.graph.makers[result.id]
            alone = fused.eject(group, copy)
            self.readers.setdefault(self.graph.source(copy.ins[0]).id, set()).add(alone.number)
            if not fused.require(alone.number, (first | {group.number}) - {alone.number}):
                raise CyclicWrites("each of several copies at the end must come before another")

    def _wanted(self, group):
        """ids of the values that other groups read, or that are results or flags."""
        if group.members[0].op.role == "looped":  # its kernel writes them all
            return {v.id for v in group.members[0].outs}
        return {
            v.id for e in group.members for v in e.outs
            if v.id in self.leaving or self.readers.get(v.id, set()) - {group.number}
        }  # fmt: skip

    def _in_place(self, group, target):
        """Whether ``group`` may write the input ``target`` while it runs.

        If the group also reads ``target``, each element must be read only in the step that writes
        the same element.
        """
        if group.kind not in ("loops", "contraction") or group.checks:
            return False
        if group.kind == "contraction" and any(
            self.graph.source(v).id == target.id for v in operands(group.members[0])
        ):
            return False
        if group.number not in self.readers.get(target.id, ()):
            return True
        kernel = Kernel(group, self._wanted(group), self.place)
        mine = lambda x: kernel.args[x.arg][0] == target.id
        (store,) = [s for s in kernel.stores if mine(s)]
        if group.columns and group.columns & set(store.address.terms):
            return False  # a later pass would read what an earlier one wrote
        reads = [n for n in nodes_of(kernel.stores) if hasattr(n, "arg") and mine(n)]
        return all(
            type(n) is Load and n.arg == store.arg and n.address == store.address for n in reads
        )

    # Lifetimes ------------------------------------------------------------------------------

    def _find_users(self):
        """Find the values that each group stores, and the position of each value's last reader."""
        self.wanted = {g.number: self._wanted(g) for g in self.groups}
        position = {g.number: i for i, g in enumerate(self.groups)}
        self.last = {v: max(position[n] for n in numbers) for v, numbers in self.readers.items()}

    def _lay_out(self):
        spans: dict = {}  # owner → [born, last, bytes]
        values = {v.id: v for g in self.groups for e in g.members for v in e.outs}
        values |= {base.id: base for base, _, _ in self.graph.patches.values()}
        inputs = {v.id for v in self.inputs}
        for i, g in enumerate(self.groups):
            for key in self.wanted[g.number]:
                owner = self.owner(values[key])
                if owner in inputs:
                    continue
                last = max(i, self.last.get(key, i))
                span = spans.setdefault(owner, [i, last, 0])
                span[0], span[1] = min(span[0], i), max(span[1], last)
        results = {self.owner(v) for v in (*self.results, *self.flags)}
        for owner, span in spans.items():
            span[2] = values[owner].nbytes
            if owner in results:
                span[0], span[1] = 0, len(self.groups)
        self.spans = spans
        self.offsets, self.size = arrange(spans)


def _dense(value):
    """Whether the elements of ``value`` fill a piece of memory without gaps, in any dim order."""
    step = value.itemsize
    for s, n in sorted(zip(value.strides, value.shape, strict=True)):
        if n > 1 and s != step:
            return False
        step *= n
    return bool(value.size)


def readers_of(groups, graph):
    """value id → the numbers of the groups that read it."""
    found: dict = {}
    for g in groups:
        for source in reads_of(g, graph):
            found.setdefault(source, set()).add(g.number)
    return found


def reads_of(group, graph):
    """ids of the values in memory that a group reads."""
    inside = {v.id for e in group.members for v in e.outs}
    found = []
    for e in group.members:
        for v in operands(e):
            source = graph.source(v)
            if source.id not in inside and graph.role(source) != "constant":
                found.append(source.id)
    return found


def may_fail(group, copies):
    """Whether ``group`` may raise. A copy does not; ``copies`` has the ids of such equations."""
    calls = group.kind == "call" and any(id(e) not in copies for e in group.members)
    return calls or group.checks


def arrange(spans):
    """(owner → byte offset, size of the arena) for ``spans``: owner → (born, last, bytes).

    Values that live at the same time do not overlap in memory. The largest value is placed first,
    and each value goes into the lowest gap that is large enough.
    """
    placed: list = []  # (offset, end, born, last)
    offsets, top = {}, 0
    for owner, (born, last, size) in sorted(spans.items(), key=lambda item: -item[1][2]):
        size = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        at = 0
        for offset, end, b, e in sorted(placed):
            if b > last or e < born:
                continue
            if at + size <= offset:
                break
            at = max(at, end)
        placed.append((at, at + size, born, last))
        offsets[owner] = at
        top = max(top, at + size)
    return offsets, top
