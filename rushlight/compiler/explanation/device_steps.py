"""A description of a program of which devices run a part: its steps, timed one by one."""

import time
from math import prod

from rushlight.compiler.device.placed_program import DevicePart
from rushlight.compiler.explanation.inventory import Inventory
from rushlight.compiler.explanation.rehearsal import Watch, kept_generators, timed
from rushlight.compiler.explanation.wording import call_reason
from rushlight.device_array import driver_of

__all__ = ["Rehearsal"]


class Rehearsal:
    """One run of a ``PlacedProgram`` on copies of its inputs, and the times of its steps.

    Args:
        watch: The copies.
        names: The ``Names`` of the program's values.
        make: The class of the reports, ``KernelReport``.
        explain: ``explain(watch)`` gives the Explanation of a part on the host.

    Attributes:
        kernels: A report of each step.
        devices, launches, moved, equations, seconds: See ``Explanation``.
    """

    def __init__(self, watch, names, make, explain):
        program = watch.program
        drivers = [driver_of(d) for d in program.devices]
        named = zip(program.devices, drivers, strict=True)
        self.devices = [f"{d} ({driver.name})" for d, driver in named]
        arrays = [*watch.arrays, *watch.held]
        before = [(d.launches, d.moved) for d in drivers]
        begin = time.perf_counter()
        with kept_generators(program.recorded[0]):
            program.run(arrays)
            for d in drivers:
                d.synchronize()
            self.seconds = time.perf_counter() - begin
            after = [(d.launches, d.moved) for d in drivers]
            self.launches, self.moved = [
                sum([b[k] - a[k] for a, b in zip(before, after, strict=True)]) for k in (0, 1)
            ]
            self.kernels: list = []
            self.equations = 0
            self.codes: dict[int, str] = {}  # id of a kernel's code → its name, in all parts
            found = program.begin(arrays)
            for part in program.parts:
                self._add(part, found, names, make, explain)
                part.run(found)

    def _add(self, part, found, names, make, explain):
        if not isinstance(part, DevicePart):
            watch = Watch()
            watch.take(part.program, part.arrays(found))
            explained = explain(watch)
            self.kernels += explained.kernels
            self.equations += explained.equations
            return
        for (value, _), entered in part.crossings:
            names.given[entered.id] = names.name(value)
        places, kept = part.places(found)
        for program in (part.program.guard, part.program):
            if program is not None:
                self.equations += len(program.schedule.graph.equations)
                self.kernels += DeviceInventory(program, names).timed_reports(
                    make, places, part.allocate, self.codes
                )
        del kept


class DeviceInventory(Inventory):
    """The steps of a ``DeviceProgram``."""

    def timed_reports(self, make, inputs, allocate, codes):
        """A report of each step, with its time.

        ``inputs`` and ``allocate`` are as for a run; ``codes`` has the names that codes got.
        """
        program = self.program
        places, *kept = program.bind(inputs, allocate)

        def run(step):
            step.run(places)
            program.device.synchronize()

        found = [self._report(step, make, codes) for step in program.steps]
        times = timed([lambda s=s: run(s) for s in program.steps], lambda: None)
        for report, seconds in zip(found, times, strict=True):
            report.seconds = seconds
        del kept
        return found

    def _report(self, step, make, codes):
        if not hasattr(step, "groups"):
            return self._host_step(step, make)
        group, members = step.groups[0], [e for g in step.groups for e in g.members]
        kind = group.kind if group.kind == "loops" else group.members[0].op.role
        name = codes.setdefault(id(step.handle), f"{kind}{len(codes)}")
        wanted = {v for g in step.groups for v in self.schedule.wanted[g.number]}
        writes = [v for e in members for v in e.outs if v.id in wanted]
        groups, joined = step.kernel.groups, len(step.groups)
        how = f"{groups} work-group{'' if groups == 1 else 's'}"
        how += f" of {step.form}" if step.form else ""
        sizes = [self.values[owner].nbytes for owner in step.owners if owner in self.values]
        return make(
            name, group.kind, [line for g in step.groups for line in self._members(g)],
            tuple([v.extent for v in group.variables]),
            how if joined == 1 else f"{how}, of {joined} kernels in one launch", groups,
            self._reads(members), [self.owner(v) for v in writes], bytes=sum(sizes),
        )  # fmt: skip

    def _host_step(self, step, make):
        shape = prod(step.members[-1].outs[0].shape)
        return make(
            step.members[0].op.name, "call", [self.names.text(e) for e in step.members], (shape,),
            reads=self._reads(step.members), writes=[self.owner(v) for v, _ in step.stores],
            reason=f"the host computes it: {call_reason(step.members[0])}",
        )  # fmt: skip
