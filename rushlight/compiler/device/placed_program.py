"""Programs whose values lie on devices: a chain of parts, each on the host or on one device.

Each recorded value lies where eager mode would have it. A part has the equations whose results lie
in one place; values pass from part to part. In most steps of training there are two parts. The host
counts the steps of the optimizer and computes the numbers that depend on the count. Then the device
does everything else, and writes to its inputs in place.

Inputs on the host are written at the end, so that a failure before leaves them as they were.
"""

import time
from typing import Any, NamedTuple

import numpy as np

from rushlight.backend.device import DeviceError
from rushlight.compiler.capture.simplify import alive, operands, renamed
from rushlight.compiler.device.draws import drawn_by_kernels
from rushlight.compiler.device.program import DeviceProgram
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.plan.schedule import CyclicWrites
from rushlight.compiler.run.handlers import is_of_handler
from rushlight.compiler.run.program import generators, make_program, marked, rewind
from rushlight.device import CPU, META
from rushlight.device_array import DeviceArray, DeviceMemory, driver_of, placed, reserved, to_host
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.remote_calls import overwrite

__all__ = ["PlacedProgram", "devices_of"]

#: Values of at most so many bytes go from the host to a device together, in one copy.
SMALL = 4096
_ALIGNMENT = 64


def devices_of(equations, inputs):
    """The devices of a recording's values, without the CPU, in order."""
    values = [*inputs, *[v for e in equations for v in e.outs]]
    return list(dict.fromkeys([v.device for v in values if v.device is not CPU]))


class PlacedProgram:
    """A recorded call with values on devices. ``run`` has the same meaning as ``Program.run``.

    Attributes:
        parts: The parts in the order in which they run: each a ``HostPart`` or a ``DevicePart``.
        positions: The ``Position`` of each generator from which kernels draw.
        host_draws: Whether the host draws random numbers while the program runs.
        devices: The devices, as ``torch.device``.
        seconds: phase of compilation → the seconds that it took.
    """

    def __init__(self, equations, inputs, outputs, writes):
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.recorded = equations, self.inputs, self.outputs, writes
        self.devices = devices_of(equations, inputs)
        self.generators = generators(equations)
        self.aliases: dict = {}  # id of a copy on another device → the value that is copied
        wanted = [*outputs, *[v for _, v in writes]]
        equations, self.positions = drawn_by_kernels(alive(equations, wanted, checking=True))
        self.host_draws = bool(generators(equations))
        stages = self._staged(alive(equations, wanted, checking=True))
        #: For each output: (value, its device), or the constant.
        self.given = [
            (self._source(v), v.device) if isinstance(v, Abstract) else v for v in outputs
        ]
        writes = [(i, self._source(v)) for i, v in writes]
        begin = time.perf_counter()
        try:
            self._share_out(stages, writes)
        except CyclicWrites:  # such as those that exchange two inputs
            self._share_out(stages, writes, in_place=False)
        self.seconds = {"planning and building kernels": time.perf_counter() - begin}

    def _source(self, value):
        return self.aliases.get(value.id, value)

    def _staged(self, equations):
        """The equations of each stage, in order.

        A part reads only what earlier parts have made. Random numbers are drawn in the order of the
        recording.
        """
        places = [CPU, *self.devices]
        stages: dict = {}
        made: dict = {}  # id of a value → its stage
        drawn = 0
        for e in equations:
            if "there" in e.params:  # a copy between devices
                x, out = self._source(e.ins[0]), e.outs[0]
                if x.device is not out.device and x.strides == out.strides:
                    self.aliases[out.id] = x
                    continue
                e = Equation(OPS["clone"], (x,), {"memory_format": None}, e.outs)
            e = renamed(e, self.aliases)
            there = [v.device for v in (*e.outs, *operands(e))]
            place = places.index(there[0] if e.outs or not there else _far(there))
            stage = max([made.get(v.id, 0) for v in operands(e)], default=0)
            if e.op.draws:
                stage = max(stage, drawn)
            stage += (place - stage) % len(places)
            if e.op.draws:
                drawn = stage
            made.update(dict.fromkeys([v.id for v in e.outs], stage))
            stages.setdefault(stage, []).append(e)
        self.made = made
        return [Stage(s, places[s % len(places)], stages[s]) for s in sorted(stages)]

    def _share_out(self, stages, writes, in_place=True):
        """Make the parts, and find out which of them write to inputs.

        Without ``in_place``, all inputs are written at the end.
        """
        results = [given[0] for given in self.given if type(given) is tuple]
        own: dict = {stage.number: [] for stage in stages}  # the writes of each part
        #: (position of an input, value) of the writes that come at the end.
        self.landings = writes
        if in_place:
            self.landings = self._landings(stages, writes, results)
            late = {i for i, _ in self.landings}
            last = {stage.device: stage.number for stage in stages}
            for i, v in writes:
                if i not in late:
                    own[last[self.inputs[i].device]].append((self.inputs[i], v))
        final = [*results, *[v for _, v in self.landings]]
        self.parts: list = []
        for stage in stages:
            n = stage.number
            reads = [v for s in stages if s.number > n for v in _read(s.equations)]
            reads += [v for k, found in own.items() if k > n for _, v in found]
            made = {v.id: v for v in (*reads, *final) if self.made.get(v.id) == n}
            part = HostPart if stage.device is CPU else DevicePart
            self.parts.append(part(stage, [*made.values()], own[n]))

    def _landings(self, stages, writes, results):
        """Return the ``writes`` that must come at the end of the program.

        These are the writes to the host, and to inputs whose old values are results, or are read by
        later parts or by other writes at the end.
        """
        last = {stage.device: stage.number for stage in stages}
        late = set()
        for i, v in writes:
            target = self.inputs[i]
            n = last.get(target.device, -1)
            reads = [v for s in stages if s.number > n for v in _read(s.equations)]
            here = target.device is not CPU and self.made.get(v.id, 0) <= n
            if not here or any(v is target for v in reads):
                late.add(i)
        while True:
            read = {v.id for v in results} | {v.id for i, v in writes if i in late}
            more = {i for i, _ in writes if self.inputs[i].id in read} - late
            if not more:
                return [(i, v) for i, v in writes if i in late]
            late |= more

    # Running --------------------------------------------------------------------------------

    def run(self, arrays, held=()):
        """Run on the inputs' arrays: carry out the writes, and return the arrays of the outputs.

        An exception before the first write gets the attribute ``came_first``, and the random
        generators go back to where they were. This does not apply to a signal handler's exception.
        """
        arrays = [*arrays, *held]
        marks = marked(self.generators) if self.generators else ()
        found, wrote = self.begin(arrays), False
        try:
            for part in self.parts:
                part.run(found)
                wrote = wrote or part.writes
        except Exception as error:
            if is_of_handler(error) or isinstance(error, DeviceError) or wrote:
                raise
            rewind(marks)
            error.came_first = True  # type: ignore[attr-defined]
            raise
        outputs = self._outputs(found)
        self._land(arrays, found)
        return outputs

    def begin(self, arrays):
        """id of a value → its array, of what is there before the first part runs."""
        found = {v.id: a for v, a in zip(self.inputs, arrays, strict=True)}
        if not self.generators:
            return found
        recorded = [(d, driver_of(d).recorded()) for d in self.devices if d is not META]
        d, recording = next((pair for pair in recorded if pair[1] is not None), (None, None))
        if recording is not None and self.host_draws:
            raise RuntimeError(
                "a compiled call that draws random numbers cannot be recorded in a graph: the host "
                "draws them; record the function that is not compiled"
            )
        for p in self.positions:
            found[p.value.id] = p.take() if recording is None else p.take_in_replays(recording, d)
        return found

    def _outputs(self, found):
        """The arrays of the outputs; none shares memory with another, or with an input."""
        taken = {v.id for v in self.inputs}
        outputs = []
        for given in self.given:
            if type(given) is not tuple:
                outputs.append(given)
                continue
            value, device = given
            array = found[value.id]
            if value.device is not device:
                array = placed(to_host(array), device)
            elif value.id in taken:
                array = array.copy()
            else:
                taken.add(value.id)
            outputs.append(array)
        return outputs

    def _land(self, arrays, found):
        inputs = {v.id for v in self.inputs}
        values = [found[v.id].copy() if v.id in inputs else found[v.id] for _, v in self.landings]
        for (i, _), value in zip(self.landings, values, strict=True):
            if self.inputs[i].device is CPU:
                np.copyto(arrays[i], to_host(value), casting="unsafe")
            else:
                overwrite(arrays[i], value)


class Stage(NamedTuple):
    """The equations of one part: which part it is, and the device of their results."""

    number: int
    device: Any
    equations: list


class HostPart:
    """Equations whose values lie on the host.

    Args:
        stage: The ``Stage``.
        products: The values that others read.
        writes: None: inputs on the host are written at the end.
    """

    writes = False  # whether the part writes to inputs

    def __init__(self, stage, products, writes):
        self.products, equations = products, stage.equations
        self.inputs = _read(equations)
        entering = {
            v.id: Abstract(v.shape, v.dtype, v.strides) for v in self.inputs if v.device is not CPU
        }
        inputs = [entering.get(v.id, v) for v in self.inputs]
        self.program = make_program([renamed(e, entering) for e in equations], inputs, products)

    def run(self, found):
        """Add the arrays of the ``products`` to ``found``, which has the arrays of all inputs."""
        made = self.program.run(self.arrays(found))
        found.update(zip([v.id for v in self.products], made, strict=True))

    def arrays(self, found):
        """The arrays of the program's inputs."""
        return [to_host(found[v.id]) for v in self.inputs]


class Crossing(NamedTuple):
    """A value that goes to the device: where it is found, and where it lies in the small copy."""

    value: Abstract
    offset: int | None


class DevicePart:
    """Equations whose values lie on one device.

    Args:
        stage, products: As for a ``HostPart``.
        writes: (input, value) of the inputs that the part writes.

    Attributes:
        program: The ``DeviceProgram``.
        crossings: (the ``Crossing``, the program's input for it) of values from elsewhere.
    """

    def __init__(self, stage, products, writes):
        device, equations = stage.device, stage.equations
        self.device, self.products, self.writes = device, products, bool(writes)
        reads = _read(equations, (*products, *[v for write in writes for v in write]))
        self.inputs = [v for v in reads if v.device is device]
        self.crossings: list = []
        self.staged = 0
        entering: dict = {}  # id of a value from elsewhere → the input that holds it here
        doubles = driver_of(device).doubles
        for v in reads:
            if v.device is not device:
                entering[v.id] = self._enter(v, doubles)
        equations = [renamed(e, entering) for e in equations]
        inputs = [*self.inputs, *entering.values()]
        position = {v.id: i for i, v in enumerate(inputs)}
        places = [(position[target.id], entering.get(v.id, v)) for target, v in writes]
        self.program: Any = DeviceProgram(equations, inputs, products, places, driver_of(device))
        self.written = {p for p, _ in places}

    def _enter(self, value, doubles):
        """The input for a value from elsewhere: a number in float32 if there is no float64."""
        narrow = value.dtype == np.float64 and not value.ndim and not doubles
        dtype = np.dtype(np.float32) if narrow else value.dtype
        found = Abstract(value.shape, dtype, None, self.device)
        offset = None
        if found.nbytes <= SMALL:
            offset, self.staged = self.staged, self.staged + found.nbytes
            self.staged = -(-self.staged // _ALIGNMENT) * _ALIGNMENT
        self.crossings.append((Crossing(value, offset), found))
        return found

    def run(self, found):
        """As ``HostPart.run``."""
        places, kept = self.places(found)
        made = self.program.run(places, self.allocate)
        del kept  # only now: until the kernels are in the queue, nobody else may get the memory
        for product, (memory, value, at, strides) in zip(self.products, made, strict=True):
            steps = _of_trace(product, strides)
            found[product.id] = DeviceArray(value.shape, value.dtype, steps, memory, at)

    def allocate(self, nbytes):
        """Memory on the device."""
        return DeviceMemory(self.device, nbytes)

    def places(self, found):
        """((buffer, offset) of each input of the program, what must stay alive with them)."""
        held = [self._fitting(k, v, found[v.id]) for k, v in enumerate(self.inputs)]
        kept, places = self._entered(found)
        return [*[(a.memory.buffer, a.start) for a in held], *places], (held, kept)

    def _fitting(self, k, value, array):
        """``array``, copied if its elements lie otherwise than those of ``value``."""
        if array.strides == value.strides or _of_trace(value, array.strides) == value.strides:
            return array
        if k in self.written or not array.size:
            return array
        copy = reserved(value.shape, value.dtype, value.strides, self.device)
        overwrite(copy, array)
        return copy

    def _entered(self, found):
        """(what must stay alive, the place of each value that comes from elsewhere)."""
        if not self.crossings:
            return (), ()
        small = DeviceMemory(self.device, self.staged, constant=True)
        stage = np.empty(self.staged, np.uint8)
        kept: list = [small]
        places: list = []
        for (value, offset), there in self.crossings:
            array = found[value.id]
            if type(array) is DeviceArray and array.device is self.device:  # it came by itself
                kept.append(array)
                places.append((array.memory.buffer, array.start))
                continue
            array = to_host(array)
            if offset is None:
                there = placed(np.ascontiguousarray(array), self.device)
                kept.append(there.memory)
                places.append((there.memory.buffer, 0))
                continue
            place = np.ndarray(there.shape, there.dtype, stage, offset)
            np.copyto(place, array, casting="unsafe")
            places.append((small.buffer, offset))
        small.fill(stage, constant=True)
        return kept, places


def _far(devices):
    """The first of ``devices`` that is not the CPU, if there is one."""
    return next((d for d in devices if d is not CPU), CPU)


def _read(equations, more=()):
    """The values that ``equations`` read and do not make, and of ``more`` those not made here."""
    made = {v.id for e in equations for v in e.outs}
    reads = [v for e in equations for v in operands(e)]
    return [*{v.id: v for v in (*reads, *more) if v.id not in made}.values()]


def _of_trace(value, strides):
    """``strides``, with those of ``value`` for dims of size 1, which kernels ignore."""
    steps = zip(value.shape, strides, value.strides, strict=True)
    return tuple([traced if n == 1 else s for n, s, traced in steps])
