"""A description of a native program: what its steps do, and where its values lie in memory."""

from dataclasses import dataclass, field
from math import prod

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.explanation.cost import bytes_of, cost, itemsize
from rushlight.compiler.explanation.machine_peak import limits
from rushlight.compiler.explanation.wording import call_reason
from rushlight.compiler.plan.kernel import Kernel
from rushlight.compiler.plan.loops import Loops, nodes_of

__all__ = ["Inventory", "Memory", "loops_of", "memory_of"]


class Inventory:
    """The steps of a native program, with the names and sizes of what they read and store."""

    def __init__(self, program, names):
        self.program, self.schedule, self.names = program, program.schedule, names
        graph = self.schedule.graph
        made = [v for e in graph.makers.values() for v in e.outs]
        self.values = {v.id: v for v in (*program.inputs, *made)}

    def reports(self, make):
        """A report of each step, made by ``make(name, kind, members, …)``."""
        steps = self.program.assembly.steps
        return [(self._kernel if hasattr(s, "chunks") else self._call)(s, make) for s in steps]

    def _call(self, step, make):
        e = step.equation
        return make(
            e.op.name, "call", [self.names.text(e)], tuple(e.outs[0].shape), reads=self._reads([e]),
            writes=[self.owner(v) for v in e.outs], reason=call_reason(e),
        )  # fmt: skip

    def _kernel(self, step, make):
        group = step.group
        wanted = self.schedule.wanted[group.number]
        work = self._loops if group.kind == "loops" else self._product
        words, flops, moved = work(step)
        size = max(itemsize(e) for e in group.members)
        return make(
            step.name, group.kind, self._members(group), tuple([v.extent for v in group.variables]),
            words, max(1, step.chunks), self._reads(group.members),
            [self.owner(v) for e in group.members for v in e.outs if v.id in wanted],
            flops, moved, 0.0, limits().least(flops, moved, size),
        )  # fmt: skip

    def _members(self, group):
        """The equations as text; views and constants stand before the equation that reads them."""
        lines: list = []
        graph = self.schedule.graph

        def visit(e):
            for v in operands(e):
                if graph.role(v) in ("view", "constant"):
                    visit(graph.makers[v.id])
            text = self.names.text(e)
            if text not in lines:
                lines.append(text)

        for e in group.members:
            visit(e)
        return lines

    def _reads(self, members):
        """The names of the values in memory that equations read, each once."""
        graph = self.schedule.graph
        inside = {v.id for e in members for v in e.outs}
        sources = [graph.source(v) for e in members for v in operands(e)]
        kept = [v for v in sources if v.id not in inside and graph.role(v) != "constant"]
        return list(dict.fromkeys([self.owner(v) for v in kept]))

    def owner(self, value):
        """The name of the value in whose memory ``value`` lies."""
        return self.names.name(self.values[self.schedule.owner(value)])

    # Work ---------------------------------------------------------------------------------

    def _lowered(self, group):
        return Kernel(group, self.schedule.wanted[group.number], self.schedule.place)

    def _sizes(self, kernel):
        return [self.values[owner].nbytes for owner, _ in kernel.args]

    def _loops(self, step):
        """(words, flops, bytes) of a kernel of loops."""
        kernel = self._lowered(step.group)
        reduces = bool(kernel.columns)
        loops = Loops(kernel, self.program.machine)
        domain = [*loops.rows, *loops.columns]
        work = cost(loops.stores, loops.nodes, loops.columns, domain, self._sizes(kernel))
        return _words(loops, reduces), *work

    def _product(self, step):
        """(words, flops, bytes) of one of the kernels of a contraction."""
        root = step.group.members[0]
        plans = self.program.assembly.plans.values()
        plan = next(p for p in plans if step.name in [k.name for k in p.kernels])
        names = [k.name for k in plan.kernels]
        heavy = next((n for n in names if n.endswith("_parts")), None) or next(
            n for n in names if not n.endswith((".pack", "_pack", ".sum", "_positions"))
        )
        parts = plan.temporaries[-1] if heavy != names[-1] else 0
        if step.name == heavy:
            words, flops = _form(root), plan.description.flops
            moved = bytes_of(operands(root)) + parts
        elif step.name == names[-1]:
            words, flops, moved = "adds the parts", parts // root.outs[0].itemsize, parts
        else:
            words, flops, moved = "packs an operand", 0, 2 * (sum(plan.temporaries) - parts)
        if step.name == names[-1]:
            kernel = self._lowered(step.group)
            nodes, domain = nodes_of(kernel.stores), step.group.variables
            more = cost(kernel.stores, nodes, (), domain, self._sizes(kernel))
            flops, moved = flops + more[0], moved + more[1]
        return words, flops, moved


def loops_of(program, group):
    """The loops of a group, the same as in the program's code."""
    schedule = program.schedule
    return Loops(Kernel(group, schedule.wanted[group.number], schedule.place), program.machine)


def _words(loops, reduces):
    """How loops run, in words: ``64 rows of 128, 16 lanes along rows, 3 passes``."""
    lanes = f"{loops.lanes} lane{'' if loops.lanes == 1 else 's'}"
    if not reduces:
        return f"{lanes}, in tiles" if loops.tile is not None else lanes
    rows = prod([v.extent for v in loops.rows])
    columns = prod([v.extent for v in loops.columns])
    if loops.across and loops.vector is not None:
        rows *= loops.vector.extent
    side = "across" if loops.across else "along"
    passes = f", {len(loops.passes)} passes" if len(loops.passes) > 1 else ""
    return f"{rows} row{'' if rows == 1 else 's'} of {columns}, {lanes} {side} rows{passes}"


def _form(e):
    """A contraction in words, with its sizes if it is a product."""
    if e.op.role == "product":
        batch = "".join([f"{n} of " for n in e.outs[0].shape[:-2]])
        return (
            f"product {batch}{e.outs[0].shape[-2]} × {e.outs[0].shape[-1]} × {e.ins[0].shape[-1]}"
        )
    return e.op.name.replace("_", " ")


# Memory -----------------------------------------------------------------------------------


@dataclass
class Memory:
    """Where the values of a program lie.

    Attributes:
        arena: The bytes of the memory that temporaries share.
        values: The bytes that the temporaries would take side by side.
        places: (offset, bytes, name, first step, last step) of each value in the arena; steps
            count from 0.
        shared: Lists of the names of values that lie at the same offset at different times.
        in_place: (input, kernel) for each kernel that stores an input's new value while it
            computes it.
        copied: (input, kernel) for each kernel that only copies an input's new value to it.
        outputs: The names of the outputs that have memory of their own.
    """

    arena: int
    values: int
    places: list = field(default_factory=list)
    shared: list = field(default_factory=list)
    in_place: list = field(default_factory=list)
    copied: list = field(default_factory=list)
    outputs: list = field(default_factory=list)


def memory_of(program, names):
    """The :class:`Memory` of a native program."""
    schedule, assembly = program.schedule, program.assembly
    made = {v.id: v for e in schedule.graph.equations for v in e.outs}
    own, steps = set(assembly.slot), _step_numbers(program)
    places = [
        (at, schedule.spans[owner][2], names.name(made[owner]), *steps(*schedule.spans[owner][:2]))
        for owner, at in sorted(schedule.offsets.items(), key=lambda item: item[1])
        if owner in made and owner not in own
    ]
    offsets: dict = {}
    for at, _, name, *_ in places:
        offsets.setdefault(at, []).append(name)
    shared = [found for found in offsets.values() if len(found) > 1]
    memory = Memory(assembly.arena, sum(p[1] for p in places), places, shared)
    memory.outputs = [names.name(made[schedule.outputs[k].id]) for k, _ in assembly.large]
    _note_writes(memory, program, names)
    return memory


def _step_numbers(program):
    """A function from the positions of a first and a last group to the numbers of their steps."""
    groups = [s.group if hasattr(s, "chunks") else s.equation for s in program.assembly.steps]
    of = [g.members[0] if g.kind == "call" else g for g in program.schedule.groups]
    first = [sum(g in of[:i] for g in groups) for i in range(len(of) + 2)]
    return lambda born, last: (first[born], max(first[born], first[last + 1] - 1))


def _note_writes(memory, program, names):
    """Divide the writes to inputs into stores in place and copies."""
    schedule = program.schedule
    steps = {s.group.number: s.name for s in program.assembly.steps if hasattr(s, "group")}
    for result in schedule.results:
        target = schedule.targets.get(result.id)
        if target is None:
            continue
        number = schedule.fused.of[result.id]
        group = schedule.fused.groups[number]
        alone = [e.op.name for e in group.members] == ["clone"]
        pair = names.name(target), steps.get(number, "")
        (memory.copied if alone else memory.in_place).append(pair)
