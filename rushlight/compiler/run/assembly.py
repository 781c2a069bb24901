"""From groups to machine code: one kernel per kind of work, one function per stretch of kernels.

Two kernels that differ only in the memory they work on share their code. A stretch is a function
``i64 run(ptr table)``. The table holds the addresses of ``parallel``, of the arena, of the inputs
and of the large outputs, in this order. The function returns 0, or the number of the check that
failed, counted from 1.
"""

from hashlib import sha256

from rushlight.backend.sizes import large_from
from rushlight.compiler.capture.lowering import expand
from rushlight.compiler.capture.simplify import alive, simplify
from rushlight.compiler.capture.value_checks import native_checks
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.plan.kernel import Kernel
from rushlight.compiler.plan.schedule import ALIGNMENT, Schedule
from rushlight.compiler.run.manifest import Image
from rushlight.compiler.run.numpy_call import Call, inputs_of

__all__ = ["Assembly", "Step", "assemble", "primitive", "scheduled"]

#: An output of at most this many bytes is computed in the arena and then copied. A larger output
#: is computed in an array of its own.
SMALL = 4096
#: A function that takes less than this many nanoseconds does not release the GIL.
BRIEF = large_from(20_000)


def primitive(equations, outputs, writes, checking=True):
    """The lowered and simplified recording: (equations, results, flags → the checks).

    Without ``checking``, checks that have flags are left out.
    """
    wanted = [*[v for v in outputs if isinstance(v, Abstract)], *[v for _, v in writes]]
    # Unread equations are dropped before lowering, because their inputs may be missing.
    equations, checks = native_checks(expand(alive(equations, wanted, checking=True)))
    checks = checks if checking else {}
    return (*simplify(equations, [*wanted, *checks]), checks)


def scheduled(equations, inputs, outputs, writes, checking=True):
    """(schedule, equations, checks) of a recorded call, planned for the present machine.

    ``checking``: see ``primitive``.
    """
    equations, found, checks = primitive(equations, outputs, writes, checking)
    n = len(found) - len(checks) - len(writes)
    written = [(p, v) for (p, _), v in zip(writes, found[n:], strict=False)]
    flags = found[n + len(writes) :]
    recorded = [v for v in outputs if isinstance(v, Abstract)]
    results = list(zip(found[:n], recorded, strict=True))
    return Schedule(equations, inputs, results, written, flags), equations, checks


def assemble(equations, inputs, outputs, writes, machine):
    """The :class:`Assembly` of a recorded call."""
    schedule, equations, checks = scheduled(equations, inputs, outputs, writes)
    return Assembly(schedule, machine, equations, list(checks.values()))


class Step:
    """One call of a kernel.

    Attributes:
        name: The name of the kernel.
        chunks: The number of chunks that the work is cut into.
        args: (owner, byte offset) of each argument.
        scratch: Bytes of scratch memory that a thread needs.
        group: The group that the kernel computes.
        nanoseconds: The estimated duration.
    """

    def __init__(self, name, chunks, args, scratch, group, nanoseconds):
        self.name, self.chunks, self.args = name, chunks, args
        self.scratch, self.group, self.nanoseconds = scratch, group, nanoseconds


class Assembly:
    """All code of a program.

    Attributes:
        segments: In order: names of functions (stretches of kernels), and ``Call`` objects.
        key: The text that identifies the code in the cache.
        slots: The length of the table.
        arena: Bytes of the arena, temporaries included.
        large: (number of the output, slot) for outputs that have memory of their own.
        scratch: Bytes of scratch memory that each thread needs.
        checked: The equations of the checks that kernels make.
    """

    def __init__(self, schedule, machine, equations, checked):
        self.schedule, self.machine, self.checked = schedule, machine, checked
        self.numbers = {e.outs[0].id: i for i, e in enumerate(equations) if e.outs}
        self.kernels: dict = {}  # key → (name, Work)
        self.plans: dict = {}
        self.arena = schedule.size
        self._find_slots()
        self.steps = [s for g in schedule.groups for s in self._steps(g)]
        self.scratch = max([s.scratch for s in self.steps if type(s) is Step], default=0)
        self._cut()

    def _find_slots(self):
        schedule = self.schedule
        self.slot = {v.id: 2 + i for i, v in enumerate(schedule.inputs)}
        self.slots = 2 + len(self.slot)
        self.large = []
        for k, r in enumerate(schedule.outputs):
            if r.nbytes > SMALL:
                self.slot[schedule.owner(r)] = self.slots
                self.large.append((k, self.slots))
                self.slots += 1

    # Steps ----------------------------------------------------------------------------------

    def _steps(self, group):
        if group.kind == "patch":
            return []
        if group.kind == "call":
            return [self._call(group.members[0])]
        schedule = self.schedule
        kernel = Kernel(group, schedule.wanted[group.number], schedule.place)
        if not kernel.stores:
            return []
        work = self.machine.work(group, kernel, schedule)
        name = self._name(work)
        plan = self.plans[name]
        at = schedule.size
        temporaries = []
        for size in plan.temporaries:
            temporaries.append((None, at))
            at += -(-size // ALIGNMENT) * ALIGNMENT
        self.arena = max(self.arena, at)
        args = [*work.operands, *temporaries, *kernel.args]
        return [
            Step(k.name, k.chunks, args, k.scratch, group, work.nanoseconds)
            for k in plan.kernels if k.chunks
        ]  # fmt: skip

    def _name(self, work):
        """The name of the code; equal code gets the name of the first."""
        found = self.kernels.get(work.key)
        if found is None:
            found = self.kernels[work.key] = f"{work.stem}{len(self.kernels)}", work
            self.plans[found[0]] = work.plan(found[0])
        return found[0]

    def _call(self, equation):
        place = lambda v: self.locate(v) if isinstance(v, Abstract) else None
        params = {k: place(v) for k, v in equation.params.items()}
        # A result with an owner that is not among these is never read.
        kept = self.schedule.spans.keys() | {v.id for v in self.schedule.inputs}
        outs = [place(v) if self.schedule.owner(v) in kept else None for v in equation.outs]
        return Call(equation, [place(v) for v in inputs_of(equation)], params, outs)

    def locate(self, value):
        """(slot, byte offset, strides) of a value in memory."""
        owner, offset, strides = self.schedule.layout(value)
        size = value.itemsize
        return (*self.place(owner, offset * size), tuple([s * size for s in strides]))

    # Functions ------------------------------------------------------------------------------

    def _cut(self):
        """Join neighbouring kernels to one function; NumPy calls separate the functions."""
        self.segments: list = []
        self.stretches: dict = {}
        for step in self.steps:
            if type(step) is not Step:
                self.segments.append(step)
                continue
            if not self.segments or type(self.segments[-1]) is not str:
                name = f"run{len(self.stretches)}"
                self.segments.append(name)
                self.stretches[name] = []
            self.stretches[self.segments[-1]].append(step)

    @property
    def calls(self):
        return [s for s in self.segments if type(s) is Call]

    @property
    def image(self):
        """The data besides the code that a run needs."""
        schedule = self.schedule
        calls = self.calls
        number = {id(call): i for i, call in enumerate(calls)}
        return Image(
            code=self.key, arena=self.arena, slots=self.slots, scratch=self.scratch,
            large=self.large, results=[self.locate(r) for r in schedule.outputs],
            written=[i for i, v in enumerate(schedule.inputs) if v.id in schedule.written],
            segments=[
                number[id(s)] if type(s) is Call
                else (s, sum(step.nanoseconds for step in self.stretches[s]) < BRIEF)
                for s in self.segments
            ],
            calls=[(self.numbers.get(c.equation.outs[0].id), *c.places) for c in calls],
            checking=bool(self.checked),
        )  # fmt: skip

    @property
    def key(self):
        """The text that identifies all the code."""
        layout = [
            (name, [(s.name, s.chunks, self.places(s)) for s in steps])
            for name, steps in self.stretches.items()
        ]
        flags = [self.flags(s) for steps in self.stretches.values() for s in steps]
        text = repr((list(self.kernels), layout, flags))
        return "program " + sha256(text.encode()).hexdigest()

    def places(self, step):
        return [self.place(*a) for a in step.args]

    def place(self, owner, offset):
        """(slot of the table, byte offset). Temporaries have no owner and lie in the arena."""
        if owner is None:
            return 1, offset
        slot = self.slot.get(owner)
        return (slot, offset) if slot is not None else (1, self.schedule.offsets[owner] + offset)

    def flags(self, step):
        """(number of the check, place of its flag) for each flag that a step sets."""
        made = {v.id for e in step.group.members for v in e.outs}
        found = []
        for number, flag in enumerate(self.schedule.flags):
            if flag.id in made:
                found.append((number, self.place(self.schedule.owner(flag), 0)))
        return found

    def module(self):
        """The LLVM module with all kernels and functions."""
        return self.machine.module(self)
