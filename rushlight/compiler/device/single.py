"""Programs of single operations, for eager calls on a device."""

from rushlight.compiler.codegen.value import Unsupported
from rushlight.compiler.device.program import CheckFailed, DeviceProgram, NotOnDevice
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.inference import infer

__all__ = ["CheckFailed", "of_call", "of_write", "shapes"]


def of_call(op, operands, params, is_input, driver, opens):
    """The program that computes ``op`` once.

    Args:
        operands, params: Those of a call. Those for which ``is_input`` holds are inputs of the
            program, in this order. They have a shape, strides and a dtype.
        driver: The ``opencl.Device``.
        opens: See ``DeviceProgram``.

    Returns:
        A ``DeviceProgram``; None if an operation in it has no kernel.
    """
    found = _traced(op, operands, params, is_input)
    if found is None:
        return None
    inputs, equation = found
    outs = equation.outs
    if not any(v.size for v in outs):
        return Nothing(outs)
    if not all(v.size for v in outs):
        return None
    outs = [] if op.raises else outs  # a check has flags in place of results
    try:
        return DeviceProgram([equation], inputs, outs, (), driver, True, opens)
    except (NotOnDevice, Unsupported):  # Unsupported: such as a forward that needs a number
        return None


def shapes(op, operands, params, kind):
    """Abstract values for the results of ``op``; None if they cannot be told without elements.

    Args:
        operands, params: Those of a call. Arrays among them are of the type ``kind``.
    """
    found = _traced(op, operands, params, lambda x: isinstance(x, kind))
    return None if found is None else found[1].outs


def _traced(op, operands, params, is_input):
    """(abstract inputs, equation) of a call; None if the elements must be known."""
    inputs: list = []

    def abstract(x):
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

    gains = False

    def __init__(self, outs):
        self.outs = outs

    def codes(self):
        """None."""
        return ()

    def run(self, inputs, allocate):
        """As ``DeviceProgram.run``."""
        return [(allocate(0), v, 0, v.strides) for v in self.outs]


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
