"""Operations without a kernel: calls of NumPy forwards between two stretches of machine code."""

import numpy as np

from rushlight.ops.core.compute import compute
from rushlight.ops.core.view_writes import lying

__all__ = ["Call", "inputs_of"]


class Call:
    """One equation, computed by NumPy.

    Attributes:
        equation: The equation.
        ins, params: The places of its values, None for constants. A place is (slot, byte offset,
            strides).
        outs: The place of each result; None for a result that is never read.
    """

    def __init__(self, equation, ins, params, outs):
        self.equation, self.outs = equation, outs
        self.ins = list(zip(inputs_of(equation), ins, strict=True))
        self.params = {k: (v, params[k]) for k, v in equation.params.items()}
        self.places = ins, params, outs

    def run(self, state):
        """Compute, and copy the results to their places."""
        values = [v if p is None else state.array(v, p) for v, p in self.ins]
        params = {k: v if p is None else state.array(v, p) for k, (v, p) in self.params.items()}
        op = self.equation.op
        if op.by_layout:  # the view needs the operand's layout in the trace
            strides = self.equation.ins[0].strides
            if op.of_storage or values[0].strides != strides:
                values[0] = lying(values[0], strides)
        with np.errstate(all="ignore"):
            found = compute(op, (values,) if op.variadic else tuple(values), params)
        found = found if isinstance(found, tuple) else (found,)
        for v, place, array in zip(self.equation.outs, self.outs, found, strict=True):
            if place is not None:
                np.copyto(state.array(v, place), array)


def inputs_of(equation):
    """The inputs of an equation as a flat list."""
    return list(equation.ins[0] if equation.op.variadic else equation.ins)
