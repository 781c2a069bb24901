"""Checks of values in native programs: a kernel computes a flag, and a set flag is an error."""

from rushlight.compiler.ir import roles
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.inference import infer

__all__ = ["native_checks"]


def native_checks(equations):
    """(equations, flags): each check is replaced by equations that compute its flag.

    ``flags`` maps each flag to its check. A flag is true if the check fails. A check stays as it is
    if there are no kernels for its dtype, or if its operand has no elements.
    """
    found: list = []
    flags: dict = {}
    for e in equations:
        if not e.op.raises or not roles.dtype(e.ins[0].dtype) or not e.ins[0].size:
            found.append(e)
            continue
        flags[_flag(e, found)] = e
    return found, flags


def _flag(e, found):
    """Append the equations of the check ``e`` to ``found``; returns the flag."""

    def emit(name, *ins, **params):
        op = OPS[name]
        params = op.defaults | params
        outs = infer(op, ins, params, Abstract)
        found.append(Equation(op, ins, params, outs))
        return outs[0]

    x: Abstract = e.ins[0]
    low, high = emit("lt", x, e.params["low"]), emit("gt", x, e.params["high"])
    wrong = emit("bitwise_or", low, high)
    if x.dtype.kind == "f":
        wrong = emit("bitwise_or", wrong, emit("ne", x, x))
    if e.params["ignored"] is not None:
        wrong = emit("bitwise_and", wrong, emit("ne", x, e.params["ignored"]))
    return emit("any", wrong, dim=tuple(range(x.ndim)))
