"""Equations as text, and the reasons, in words, why some of them are not kernels."""

import numpy as np

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run.program import native as enabled
from rushlight.dtype import COMPLEX_KINDS

__all__ = ["Names", "call_reason"]

_LONGEST = 32


class Names:
    """Names of values. Inputs have given names; other values are numbered in order of first use."""

    def __init__(self, inputs, given):
        self.given = {v.id: given.get(v.id, f"in{i}") for i, v in enumerate(inputs)}
        self.numbers: dict = {}

    def name(self, value):
        if value.id in self.given:
            return self.given[value.id]
        return f"%{self.numbers.setdefault(value.id, len(self.numbers))}"

    def reads(self, equation):
        return [self.name(v) for v in operands(equation)]

    def text(self, equation):
        """``%2: float32[3, 4] = add(%0, %1)``, without parameters that have their defaults."""
        op = equation.op
        ins = [self._operand(v) for v in equation.ins]
        while ins and ins[-1] == "None":
            ins.pop()
        params = [
            f"{k}={self._operand(v)}" for k, v in equation.params.items()
            if k != "memory_format" and not _default(op, k, v)
        ]  # fmt: skip
        outs = ", ".join([f"{self.name(v)}: {kind(v)}" for v in equation.outs])
        return f"{outs} = {op.name}({', '.join([*ins, *params])})"

    def _operand(self, value):
        if isinstance(value, Abstract):
            return self.name(value)
        if isinstance(value, (tuple, list)) and any(isinstance(v, Abstract) for v in value):
            return f"[{', '.join([self._operand(v) for v in value])}]"
        if isinstance(value, np.dtype):
            return value.name
        if type(value).__name__ == "Generator":
            return "generator"
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def kind(value):
    """The dtype and shape of a value as text, like ``float32[3, 4]``."""
    return f"{value.dtype.name}{list(value.shape)}"


def _default(op, key, value):
    return key in op.defaults and value is op.defaults[key]


def call_reason(e, native=True):
    """Why an equation is a call of its NumPy forward."""
    if not native:
        if enabled():
            return "the code generator failed, as a warning said"
        return "llvmlite is missing, or RUSHLIGHT_COMPILER is numpy"
    values = [*operands(e), *e.outs]
    odd = [v.dtype.name for v in values if v.dtype.kind in COMPLEX_KINDS]
    if odd:
        return f"kernels do not compute with {odd[0]}"
    if any(not v.size for v in values):
        return "there are no elements"
    if e.op.draws:
        return "it draws random numbers, in the order in which eager code would"
    if e.op.raises:
        return "it raises an error where values are wrong"
    return f"no kernel does {e.op.name} with such operands"
