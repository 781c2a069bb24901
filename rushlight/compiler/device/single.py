"""Programs of single operations, for eager calls on a device."""

from rushlight.autograd import mode
from rushlight.compiler.capture.lowering import recording
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.codegen.value import Unsupported
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.program import CheckFailed, DeviceProgram, NotOnDevice
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.device_array import DeviceArray, DeviceMemory, look_at
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.inference import infer
from rushlight.tensor import from_array

_NONE = NotOnDevice, NoCode, Unsupported
__all__ = [
    "CheckFailed",
    "ShortRun",
    "of_call",
    "of_call_into",
    "of_gradients",
    "of_write",
    "shapes",
    "shortened",
]


def of_call(op, operands, params, is_input, is_number, driver, opens):
    """The program that computes ``op`` once.

    Args:
        operands, params: Operands and parameters of a call. A value for which ``is_input`` holds is
            an input of the program, and has a shape, strides and a dtype. If ``is_number`` holds
            for it, too, the input is a number and not memory; see ``DeviceProgram``.
        driver: The ``opencl.Device``.
        opens: See ``DeviceProgram``.

    Returns:
        A ``DeviceProgram``; None if an operation in it has no kernel.
    """
    found = _traced(op, operands, params, is_input)
    if found is None:
        return None
    inputs, equation = found
    given = [x for x in (*operands, *params.values()) if is_input(x)]
    values = [v.id for x, v in zip(given, inputs, strict=True) if is_number(x)]
    outs = equation.outs
    if not any(v.size for v in outs):
        return Nothing(outs)
    if not all(v.size for v in outs):
        return None
    outs = [] if op.raises else outs  # a check has flags in place of results
    try:
        return DeviceProgram([equation], inputs, outs, (), driver, True, opens, values)
    except _NONE:  # Unsupported: such as a forward that needs a number
        return None


def of_call_into(op, operands, params, is_target, is_input, is_number, driver, opens):
    """As ``of_call``, with the result of ``op`` in the memory of the first of ``operands``.

    ``op`` gets the others; those for which ``is_target`` holds are the first one itself. Returns
    None also if the result does not fit into that memory as it is.
    """
    target = Abstract(operands[0].shape, operands[0].dtype, operands[0].strides)
    known = lambda x: target if is_target(x) else None
    found = _traced(op, operands[1:], params, is_input, known)
    if found is None:
        return None
    inputs, equation = found
    given = [x for x in (*operands[1:], *params.values()) if is_input(x)]
    values = [v.id for x, v in zip(given, inputs, strict=True) if is_number(x)]
    out = equation.outs[0]
    if len(equation.outs) > 1 or out.shape != target.shape or out.dtype != target.dtype:
        return None
    try:
        writes = [(0, out)]
        return DeviceProgram([equation], [target, *inputs], [], writes, driver, True, opens, values)
    except _NONE:
        return None


class Gradients:
    """The program of an operation's gradient rules.

    Attributes:
        short: The ``ShortRun`` of its kernels.
        results: For each gradient None, ("given", the position of an operand that it is), or
            ("made", the position among the results of ``short``).
    """

    def __init__(self, program, results, d):
        self.program, self.results = program, results
        self.gains, self.short = program.gains, shortened(program, d)

    def codes(self):
        """The code of each kernel."""
        return self.program.codes()


def of_gradients(rules, operands, driver, d, opens):
    """The ``Gradients`` that ``rules`` make of ``operands``; None if they must run as they are.

    Args:
        rules: A function of the operands, with tensors in place of arrays on the device. It gives a
            list of tensors and None.
        operands: Arrays on the device ``d``, numbers and other values.
        driver, opens: See ``of_call``.
    """
    recorder, inputs = Recorder(), {}
    for k, x in enumerate(operands):
        if type(x) is DeviceArray:
            inputs[k] = Abstract(x.shape, x.dtype, x.strides)
    # Rules leave values for each other in a list, in which those of a trace must not stay.
    own = [[*x] if type(x) is list else x for x in operands]
    given = [from_array(inputs[k]) if k in inputs else x for k, x in enumerate(own)]
    place = mode.exchange("place", None)
    try:
        with recording(recorder):
            found = rules(given)
            values = [None if t is None else recorder.value(t) for t in found]
    except (RuntimeError, ValueError, IndexError, TypeError):  # such as one that reads elements
        return None
    finally:
        mode.exchange("place", place)
    if recorder.captured:  # arrays of the host, which the program would have to copy each time
        return None
    known = {v.id: ("given", k) for k, v in inputs.items()}
    outs: list = []
    for v in values:
        if v is not None and v.id not in known:
            known[v.id] = "made", len(outs)
            outs.append(v)
    if all(e.op.shares for e in recorder.equations) or not all(v.size for v in outs):
        return None  # views need no kernel
    try:
        program = DeviceProgram(
            recorder.equations, [*inputs.values()], outs, (), driver, True, opens
        )
    except _NONE:
        return None
    results = [None if v is None else known[v.id] for v in values]
    made = Gradients(program, results, d)
    return made if made.short else None


def shapes(op, operands, params, kind):
    """Abstract values for the results of ``op``; None if they cannot be told without elements.

    Args:
        operands, params: Those of a call. Arrays among them are of the type ``kind``.
    """
    found = _traced(op, operands, params, lambda x: isinstance(x, kind))
    return None if found is None else found[1].outs


def _traced(op, operands, params, is_input, known=lambda x: None):
    """(abstract inputs, equation) of a call; None if the elements must be known.

    ``known``: an operand → the abstract value that it is, or None.
    """
    inputs: list = []

    def abstract(x):
        if (found := known(x)) is not None:
            return found
        if not is_input(x):
            return x
        inputs.append(Abstract(x.shape, x.dtype, x.strides))
        return inputs[-1]

    flat = [abstract(a) for a in operands]
    ins = (flat,) if op.variadic else tuple(flat)
    named = {k: abstract(v) for k, v in params.items()}
    try:
        outs = infer(op, ins, named, Abstract)
    except (RuntimeError, ValueError, IndexError):  # the host knows masks' elements, or raises, too
        return None
    return inputs, Equation(op, ins, named, outs)


class Nothing:
    """The program of a call whose results have no elements."""

    gains = short = False

    def __init__(self, outs):
        self.outs = outs

    def codes(self):
        """None."""
        return ()

    def run(self, inputs, allocate):
        """As ``DeviceProgram.run``."""
        return [(allocate(0), v, 0, v.strides) for v in self.outs]


def shortened(program, d):
    """The ``ShortRun`` of a program on the device ``d``; False if it has more to do."""
    if program.short is None:
        more = program.guard, program.flags, program.host_steps, program.generators, program.chains
        program.short = not any(more) and ShortRun(program, d)
    return program.short


class ShortRun:
    """The runs of a program that only starts kernels, with all prepared that does not change."""

    def __init__(self, program, d):
        self.device, self.driver, self.arena = d, program.device, program.arena
        self.results = [
            (value.nbytes, look_at(value.shape, strides, value.dtype), at)
            for value, (at, strides) in program.results
        ]
        inputs = 2 * len(program.inputs)
        last = inputs + 2 * len(self.results)
        #: slot → where its buffer is among the numbers of a run; the arena comes last.
        at = [last, *range(0, last, 2)]
        places = [[(at[slot], offset) for slot, offset in step.args] for step in program.steps]
        in_order = [(k, 0) for k in range(0, last, 2)]
        self.steps = [
            (step.kernel, None if place == in_order else place)
            for step, place in zip(program.steps, places, strict=True)
        ]

    def run(self, numbers):
        """The results, as arrays. ``numbers``: the buffer and the start of each input, in a list.

        The caller keeps the inputs. While work is recorded, the program itself must run.
        """
        driver, made = self.driver, []
        for nbytes, look, at in self.results:
            memory = DeviceMemory(self.device, nbytes, False, driver)
            numbers.append(memory.buffer)
            numbers.append(0)
            made.append(DeviceArray.of(look, memory, at))
        arena = None  # it is kept until the kernels are in the queue
        if self.arena:
            arena = DeviceMemory(self.device, self.arena, False, driver)
            numbers += arena.buffer, 0
        queue = driver.ready()
        for kernel, places in self.steps:
            if places is None:
                kernel.start(queue, numbers)
            else:
                own = [n for k, at in places for n in (numbers[k], numbers[k + 1] + at)]
                kernel.start(queue, own)
        return made


def of_write(target, source, driver, opens):
    """The program for ``target[...] = source``; the source is broadcast and converted."""
    x, v = [Abstract(a.shape, a.dtype, a.strides) for a in (target, source)]
    equations, found = [], v
    for name, params in (
        ("to_copy", {"dtype": x.dtype, "memory_format": None}),
        ("expand", {"size": x.shape}),
    ):
        (made,) = infer(OPS[name], (found,), params, Abstract)
        equations.append(Equation(OPS[name], (found,), params, [made]))
        found = made
    return DeviceProgram(equations, [x, v], [], [(0, found)], driver, True, opens)
