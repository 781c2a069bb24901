"""Programs whose inputs and results lie in a device's memory."""

import weakref
from typing import Any

from rushlight import locks
from rushlight.backend.device import DeviceError
from rushlight.compiler.capture.simplify import alive, operands
from rushlight.compiler.device.bundles import Bundle, Task, bundled
from rushlight.compiler.device.complex_values import split
from rushlight.compiler.device.host_step import HostStep
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.machine import DeviceMachine, LoopWork
from rushlight.compiler.device.ptx import Ptx
from rushlight.compiler.device.spirv import Spirv
from rushlight.compiler.device.work_groups import GroupWork
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.machine import planning_for
from rushlight.compiler.plan.kernel import Kernel as Plan
from rushlight.compiler.plan.schedule import arrange
from rushlight.compiler.run import cache
from rushlight.compiler.run.assembly import scheduled
from rushlight.compiler.run.program import generators, marked, rewind

__all__ = ["DeviceProgram", "NotOnDevice"]


#: So many launches are worth a sequence; a program keeps so many.
_CHAIN, _KEPT = 4, 8


class NotOnDevice(Exception):
    """A program needs an operation that no kernel of the device computes."""


class Launch:
    """One launch of a kernel.

    Attributes:
        handle: The code, which launches share.
        form: The instruction that computes a product, or "".
        args: Where the arguments lie, as (slot, byte offset).
        owners: The ids of the values in whose memory they lie.
        groups: The groups of equations that it computes.
    """

    def __init__(self, handle, kernel, args, owners, groups, form=""):
        self.form = form
        self.handle, self.kernel, self.args = handle, kernel, args
        self.owners, self.groups = owners, groups

    def bound(self, places):
        """The arguments: (buffer, offset) of each. ``places``: the same of each slot."""
        args = []
        for slot, offset in self.args:
            buffer, begin = places[slot]
            args.append((buffer, begin + offset))
        return args

    def run(self, places):
        """Start the kernel. ``places``: (buffer, offset) of each slot."""
        self.kernel.launch(self.bound(places))


class DeviceProgram:
    """A recorded call as kernels for one device.

    Args:
        equations, inputs, outputs, writes: See ``run.program.make_program``.
        device: A ``backend.device.Device``.
        whole: Whether kernels must compute everything. Otherwise the host computes what has none.
        opens: Whether kernels get their sizes as arguments, so that programs share them.
        values: Ids of inputs that are numbers. In the place of one, (0, its bits) stands for the
            buffer and the offset.

    Attributes:
        steps: The launches of kernels and the host's steps, in order.
        guard: The program that checks values before this one runs, or None.
        gains: Whether kernels would be faster without ``opens``.
        short: A ``single.ShortRun`` of it, False if there can be none, and None at first.

    Raises:
        NotOnDevice: no kernel computes an equation, and the program must be ``whole``.
    """

    def __init__(
        self, equations, inputs, outputs, writes, device, whole=False, opens=False, values=()
    ):
        self.whole, self.gains = whole, False
        self.short: Any = None
        #: The results as they were recorded. Complex ones are real ones with one more dim below.
        self.recorded = [v for v in outputs if isinstance(v, Abstract)]
        if (real := split(equations, inputs, outputs, writes)) is not None:
            if values:
                raise NotOnDevice("a number beside complex ones")
            equations, inputs, outputs, writes = (
                real.equations,
                real.inputs,
                real.outputs,
                real.writes,
            )
        self.device, self.inputs = device, list(inputs)
        self.language = LANGUAGES[device.language]
        self.machine = DeviceMachine(device, self.language.wide, opens, values)
        self.generators = generators(equations)
        # Kernels read and write at indices, so the checks of these run, and are read, before them.
        self.guard: Any = None
        checks = alive(equations, (), checking=True, drawing=False, again=True)
        if checks and (outputs or writes):
            guard = DeviceProgram(checks, inputs, [], (), device, whole, opens, values)
            self.guard = guard if guard.steps else None
        with planning_for(self.machine):
            self._plan(equations, outputs, writes)
        #: The places of a run → its launches as one sequence; None after the first run with them.
        self._sequences: dict = {}
        self.chains = device.chains and not self.host_steps and len(self.steps) >= _CHAIN

    def _plan(self, equations, outputs, writes):
        checking = not (outputs or writes)
        self.schedule, *_ = scheduled(equations, self.inputs, outputs, writes, checking)
        s = self.schedule
        #: Slots: the arena, then the inputs, then the results.
        self._slot = {v.id: 1 + i for i, v in enumerate(self.inputs)}
        for k, r in enumerate(s.outputs):
            self._slot[s.owner(r)] = 1 + len(self.inputs) + k
        tasks = [t for t in map(self._task, s.groups) if t is not None]
        # Kernels with open sizes are shared among programs, which bundles are not.
        alone = self.machine.opens or len(tasks) < 2
        inputs = {v.id for v in self.inputs}
        steps = [[t] for t in tasks] if alone else bundled(tasks, self.device.parameters, inputs)
        self._offsets, self.arena = arrange(self._spans(steps))
        self.steps = [step for tasks in steps for step in self._launched(tasks)]
        self.host_steps = [step for step in self.steps if isinstance(step, HostStep)]
        self.results = [self._result(*pair) for pair in zip(s.outputs, self.recorded, strict=True)]
        self.flags = [self._place(s.owner(flag), 0) for flag in s.flags]

    def _task(self, group):
        """The ``Task`` for a group; None if there is nothing to compute."""
        s = self.schedule
        wanted = s.wanted[group.number]
        if group.kind == "patch":
            return None
        if group.kind == "call":
            e = group.members[0]
            if e.op.role != "looped" or not GroupWork.serves(e, self.device):
                return self._host_task(group, e.op.name)
            work: Any = GroupWork(e, s.layout)
            args, stored = work.operands, set()
        else:
            plan = Plan(group, wanted, s.place)
            if not plan.stores:
                return None
            work = self.machine.work(group, plan, s)
            args = [*work.operands, *plan.args]
            stored = {plan.args[store.arg][0] for store in plan.stores}
        if not work.groups:
            return None
        if type(work) is not LoopWork and any(owner in self.machine.values for owner, _ in args):
            raise NotOnDevice("a number is read as memory")
        task = Task(group, work, args, {owner for owner, _ in args}, stored)
        if not task.joins():
            task.written = task.touched  # its code may also write to its operands
        return task

    def _host_task(self, group, reason):
        if self.whole:
            raise NotOnDevice(reason)
        s = self.schedule
        wanted = s.wanted[group.number]
        made = {s.owner(v) for e in group.members for v in e.outs if v.id in wanted}
        read = {s.owner(v) for e in group.members for v in operands(e)}
        return Task(group, None, (), made | read, made)

    def _spans(self, steps):
        """owner → (first step that uses it, last step, bytes) of what lies in the arena."""
        whole = 0, len(steps)
        used: dict = {}
        for k, tasks in enumerate(steps):
            for owner in {o for t in tasks for o in t.touched}:
                used[owner] = used.get(owner, (k, k))[0], k
        for flag in self.schedule.flags:  # they are read after the last step
            used[self.schedule.owner(flag)] = whole
        if unknown := used.keys() - self.schedule.spans.keys() - self._slot.keys():
            raise AssertionError(f"steps use {unknown}, which no step makes")
        return {
            owner: (*used.get(owner, whole), size)
            for owner, (_, _, size) in self.schedule.spans.items()
            if owner not in self._slot
        }

    def _launched(self, tasks):
        """The steps that compute ``tasks``: one launch, if the device has code for all of them."""
        first = tasks[0]
        if first.work is None:
            return [self._on_host(first)]
        together = len(tasks) > 1
        work: Any = Bundle(tasks) if together else first.work
        try:
            handle = _built(self.device, work)
        except NoCode as error:
            if together:
                return [step for t in tasks for step in self._launched([t])]
            if self.whole:
                raise NotOnDevice(str(error)) from error
            return [self._on_host(first)]
        self.gains = self.gains or getattr(work, "gains", False)
        args = work.args if together else first.args
        numbers = work.limit, *getattr(work, "open_numbers", ())
        needs = getattr(work, "needs", {})
        kernel = self.device.kernel(handle, work.groups, work.size, numbers, **needs)
        owners, form = [owner for owner, _ in args], getattr(work, "form", "")
        groups = [t.group for t in tasks]
        return [Launch(handle, kernel, [self._place(*a) for a in args], owners, groups, form)]

    def _on_host(self, task):
        wanted = self.schedule.wanted[task.group.number]
        return HostStep(self.device, task.group.members, wanted, self._locate)

    def _place(self, owner, offset):
        """(slot, byte offset) of an offset in the memory of the value ``owner``."""
        slot = self._slot.get(owner)
        return (slot, offset) if slot is not None else (0, self._offsets[owner] + offset)

    def _locate(self, value):
        """(slot, byte offset, strides in bytes) of a value."""
        owner, offset, strides = self.schedule.layout(value)
        size = value.itemsize
        return (*self._place(owner, offset * size), tuple([step * size for step in strides]))

    def _result(self, value, recorded):
        """(value, (byte offset, strides)) of a result."""
        _, offset, strides = self._locate(value)
        apart = value.ndim > recorded.ndim  # the parts of complex numbers
        return (recorded, (offset, strides[:-1])) if apart else (value, (offset, strides))

    def run(self, inputs, allocate):
        """Start the kernels; returns (memory, value, byte offset, strides) of each result.

        Args:
            inputs: (buffer, byte offset of the first element) of each input.
            allocate: ``allocate(nbytes)`` gives an object with memory: it has ``buffer``.

        Raises:
            CheckFailed: a check of values failed; nothing was computed or written.
        """
        if self.guard is not None:
            marks = marked(self.guard.generators)
            self.guard.run(inputs, allocate)
            rewind(marks)  # the same numbers are drawn again
        for host_step in self.host_steps:  # before anything is written
            host_step.count()
        places, made, _arena = self.bind(inputs, allocate)
        self._start(places)
        if self.flags:
            self._check(places)
        return [(m, value, *where) for m, (value, where) in zip(made, self.results, strict=True)]

    def _start(self, places):
        """Run all steps: as one sequence, if an earlier run had the same places.

        The pool gives the steps of a training loop the same memory again and again.
        """
        if self.chains and self.device.recorded() is None:
            key = tuple(places)
            if key in self._sequences:
                if self._sequences[key] is None:
                    launches = [(step.kernel, step.bound(places)) for step in self.steps]
                    self._sequences[key] = self.device.sequence(launches)
                self._sequences[key].launch()
                return
            if len(self._sequences) >= _KEPT:
                self._sequences.clear()
            self._sequences[key] = None
        for step in self.steps:
            step.run(places)

    def codes(self):
        """The codes of the kernels that it starts, each once."""
        found = {step.handle for step in self.steps if isinstance(step, Launch)}
        return found if self.guard is None else found | self.guard.codes()

    def bind(self, inputs, allocate):
        """((buffer, offset) of each slot, the memory of the results, the arena's); see ``run``."""
        arena = allocate(self.arena) if self.arena else None
        made = [allocate(value.nbytes) for value, _ in self.results]
        own = arena.buffer if arena is not None else None
        return [(own, 0), *inputs, *[(m.buffer, 0) for m in made]], made, arena

    def _check(self, places):
        recording = self.device.recorded()
        if recording is not None:
            recording.do(lambda: self._check_again(places))
        elif self._has_failed(places):
            raise CheckFailed

    def _check_again(self, places):
        """Check values in a replay, where nobody knows the call any more."""
        if self._has_failed(places):
            raise DeviceError(
                "CUDA error: device-side assert triggered: an index or a label of a recorded call "
                "is out of range"
            )

    def _has_failed(self, places):
        raised = bytearray(1)
        for slot, offset in self.flags:
            buffer, begin = places[slot]
            self.device.read_into(raised, buffer, begin + offset)
            if raised[0]:
                return True
        return False


class CheckFailed(Exception):
    """A check of values failed on the device: the same call on the host raises the right error."""


#: The language of a device's kernels, by the name that the device's driver gives it.
LANGUAGES = {"SPIR-V": Spirv, "PTX": Ptx}
#: (device, key of the code) → its code, as long as a program refers to it.
_kernels: Any = weakref.WeakValueDictionary()
_lock = locks.new_lock()


def _built(device, work):
    key = device, work.key
    with _lock:
        found = _kernels.get(key)
        if found is None:
            _kernels[key] = found = device.build(_code(device, work), "kernel")
    return found


def _code(device, work):
    """The code of a kernel, from the cache on disk if it was made before."""
    module = LANGUAGES[device.language]()
    work.emit(module, "kernel")
    text = str(module)
    key = f"{module.language} {device.architecture} {text}"
    found = cache.get(key)
    if found is None:
        found = module.code(text, device.architecture)
        cache.put(key, found)
    return found
