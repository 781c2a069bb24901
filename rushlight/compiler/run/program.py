"""A program without machine code: a flat list of NumPy calls on numbered slots."""

import warnings

import numpy as np
from numpy import ndarray

from rushlight.autograd.write import read_only
from rushlight.backend import native as kernels
from rushlight.backend import numpy as xp
from rushlight.compiler.capture.simplify import alive
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run.handlers import is_of_handler
from rushlight.device import CPU
from rushlight.ops.core.compute import compute
from rushlight.ops.core.view_writes import laid_out, lying
from rushlight.storage import root

__all__ = ["Program", "generators", "make_program", "marked", "rewind"]

_FAST = ("f", "d")


def make_program(equations, inputs, outputs, writes=()):
    """The program that computes ``outputs`` from ``inputs`` and then writes to some inputs.

    Args:
        equations: The recorded equations, in order. Equations that no output and no write depends
            on are dropped, unless they draw random numbers or check values.
        inputs: Abstract values. ``run(arrays, held)`` takes the arrays of the first inputs in the
            list ``arrays``, and the arrays of the others in the tuple ``held``. The tuple must be
            the same object exactly as long as all of its arrays are the same objects.
        outputs: Abstract values or constants. ``run`` returns their arrays in this order. No
            returned array shares memory with an input or with another output.
        writes: (position in ``inputs``, value): the value is written to the input's array. All
            writes come after all computations, so that a failure leaves every input as it was.

    If values lie on devices, their part of the program runs there.
    """
    if any(v.device is not CPU for v in (*inputs, *[v for e in equations for v in e.outs])):
        from rushlight.compiler.device.placed_program import PlacedProgram

        return PlacedProgram(equations, inputs, outputs, writes)
    if native():
        from rushlight.compiler.run.native_program import NativeProgram

        try:
            return NativeProgram(equations, inputs, outputs, writes)
        except Exception as error:  # after an error of the code generator NumPy can still run it
            if is_of_handler(error):
                raise
            message = f"torch.compile: no native code, running on NumPy: {error!r}"
            warnings.warn(message, stacklevel=2)
    return Program(equations, inputs, outputs, writes)


def native():
    """Whether programs become machine code: llvmlite must work.

    With RUSHLIGHT_COMPILER=numpy in the environment, programs run on NumPy instead.
    """
    return kernels.COMPILER == "native" and kernels.llvm_works()


class Program:
    """The program as a list of NumPy calls."""

    def __init__(self, equations, inputs, outputs, writes):
        self.inputs = list(inputs)
        self.targets = [i for i, _ in writes]
        self.outputs = [*outputs, *[value for _, value in writes]]
        self.equations = alive(equations, self.outputs, checking=True)
        self.slots: dict = {}
        for value in self.inputs:
            self._slot(value)
        self.steps = [self._step(e) for e in self.equations]
        self.generators = generators(self.equations)
        self.results = [self._read(v) for v in self.outputs]
        self._free_early()

    def _slot(self, value):
        return self.slots.setdefault(value.id, len(self.slots))

    def _read(self, value):
        """(slot, None) of an abstract value, (None, constant) of anything else."""
        return (self._slot(value), None) if isinstance(value, Abstract) else (None, value)

    def _step(self, e):
        ins = [self._read(v) for v in (e.ins[0] if e.op.variadic else e.ins)]
        params = {k: self._read(v) for k, v in e.params.items() if isinstance(v, Abstract)}
        constants = {k: v for k, v in e.params.items() if not isinstance(v, Abstract)}
        outs = [self._slot(v) for v in e.outs]
        return [_call(e), ins, constants, params, outs, e.op.variadic, ()]

    def _free_early(self):
        """Let each step empty the slots that no later step reads, so that memory is freed early."""
        kept = {slot for slot, _ in self.results} | {self.slots[v.id] for v in self.inputs}
        seen: set = set()
        for step in reversed(self.steps):
            used = {slot for slot, _ in [*step[1], *step[3].values()]} | set(step[4])
            step[6] = tuple([s for s in used if s is not None and s not in seen and s not in kept])
            seen |= used

    def run(self, arrays, held=()):
        """Run on the inputs' arrays: carry out the writes, and return the arrays of the outputs.

        An exception before the first write gets the attribute ``came_first``, and the random
        generators go back to where they were. This does not apply to a signal handler's exception.
        """
        arrays = [*arrays, *held]
        marks = marked(self.generators)
        try:
            found = self._compute(arrays)
        except Exception as error:
            if is_of_handler(error):
                raise
            rewind(marks)
            error.came_first = True  # type: ignore[attr-defined]
            raise
        n = len(found) - len(self.targets)
        outputs = _apart(found[:n], arrays)
        outputs = [_as_traced(a, v) for a, v in zip(outputs, self.outputs, strict=False)]
        self._land(found[n:], arrays)
        return outputs

    def _land(self, values, arrays):
        targets = [arrays[i] for i in self.targets]
        for target in targets:
            if not target.flags.writeable:
                raise read_only("write", target)
        # A value that shares memory with a target is copied before any target is written.
        values = [
            v.copy() if any(np.may_share_memory(v, t) for t in targets) else v for v in values
        ]
        for target, value in zip(targets, values, strict=True):
            np.copyto(target, value, casting="unsafe")

    def _compute(self, arrays):
        env = list(arrays) + [None] * (len(self.slots) - len(self.inputs))
        with np.errstate(all="ignore"):
            for call, ins, constants, params, outs, variadic, freed in self.steps:
                values = [c if slot is None else env[slot] for slot, c in ins]
                if params:
                    constants = {**constants, **{k: env[slot] for k, (slot, _) in params.items()}}
                found = call(values, constants) if not variadic else call([values], constants)
                if len(outs) == 1:
                    env[outs[0]] = found[0] if type(found) is tuple else found
                else:
                    for slot, array in zip(outs, found, strict=True):
                        env[slot] = array
                for slot in freed:
                    env[slot] = None
        return [c if slot is None else env[slot] for slot, c in self.results]


def generators(equations):
    """The generators of random numbers that the equations draw from."""
    return list({id(e.params["generator"]): e.params["generator"]
                 for e in equations if e.op.draws}.values())  # fmt: skip


def marked(generators):
    """(generator, present position of its stream) for each generator."""
    return [(g, g.mark()) for g in generators]


def rewind(marks):
    """Set the generators back to positions from ``marked``."""
    for generator, mark in marks:
        generator.rewind(mark)


def _apart(outputs, inputs):
    """Return ``outputs`` as arrays with memory of their own.

    An output is copied if it shares memory with an input or an earlier output, or if several of its
    elements share memory (a stride is 0).
    """
    taken = {id(root(a)) for a in inputs}
    for i, a in enumerate(outputs):
        if a is None:  # a gradient that does not exist
            continue
        if id(root(a)) in taken or 0 in a.strides:
            a = outputs[i] = a.copy(order="K")
        taken.add(id(root(a)))
    return outputs


def _as_traced(array, value):
    """``array``, copied if needed so that its dims have the trace's order in memory."""
    if not isinstance(value, Abstract) or array.strides == value.strides or not array.size:
        return array
    return laid_out(array, value.strides)


def _call(e):
    """The function that runs an equation: the bare forward, if its dtypes need no conversion."""
    op = e.op
    forward = op.forward
    flat = e.ins[0] if op.variadic else e.ins
    dtypes = {v.dtype.char for v in flat if isinstance(v, Abstract)}
    numbers = any(not isinstance(v, Abstract) and v is not None for v in flat)
    scalar_free = not numbers or (op.kind == "elementwise" and all(
        isinstance(v, Abstract) or type(v) in (int, float) for v in flat))  # fmt: skip
    plain = op.check is None and (
        op.kind == "view" or (len(dtypes) <= 1 and dtypes <= set(_FAST) and scalar_free)
    )
    if not plain:
        return lambda values, params: compute(op, values, params)
    if op.by_layout:
        strides = e.ins[0].strides  # the view needs the operand's layout in the trace

        def look(values, params):
            (x,) = values
            there = x.strides == strides and not op.of_storage
            return forward(xp, x if there else lying(x, strides), **params)

        return look

    def call(values, params):
        found = forward(xp, *values, **params)
        if type(found) is tuple:
            return tuple([np.asarray(array) for array in found])
        return found if type(found) is ndarray else np.asarray(found)

    return call
