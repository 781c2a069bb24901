"""Drop equations without changing the results: those that repeat, do nothing, or are not read."""

import numpy as np

from rushlight.compiler.ir import roles
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.affine import strides_of, view_map
from rushlight.compiler.ir.equation import Equation
from rushlight.ops.core.definition import OPS

__all__ = ["alive", "operands", "renamed", "simplify", "without"]


def operands(equation):
    """The abstract values that ``equation`` reads."""
    flat = equation.ins[0] if equation.op.variadic else equation.ins
    return [v for v in (*flat, *equation.params.values()) if isinstance(v, Abstract)]


def alive(equations, outputs, checking=False, drawing=True, again=False):
    """The equations that ``outputs`` depend on, and those that draw random numbers or only check.

    Without ``drawing``, random numbers that nothing reads are not drawn. But with ``again`` those
    before others that are read are drawn, so that these have their place in the generator's stream:
    the equations run in addition to the whole program. With ``checking``,
    equations whose forward also checks values are kept, too. This is needed until
    ``lowering.expand`` has made the checks equations of their own.
    """
    wanted = {v.id for v in outputs if isinstance(v, Abstract)}
    kept = []
    for e in reversed(equations):
        acts = (drawing and e.op.draws) or e.op.raises or (checking and _checks(e.op))
        if acts or any(v.id in wanted for v in e.outs):
            kept.append(e)
            wanted.update(v.id for v in operands(e))
            drawing = drawing or (again and e.op.draws)
    kept.reverse()
    return kept


def _checks(op):
    return op.check is not None or op.checking is not None


def simplify(equations, outputs):
    """(equations, outputs) without repeated, idle and unread equations."""
    same: dict = {}  # id of a dropped value → the equal value that replaces it
    known: dict = {}  # key of an equation, see _key → its results
    kept = []
    equations = [part for e in alive(equations, outputs) for part in _scans_of_one(e)]
    # Values whose layout in memory matters, because they are operands of a view that depends on
    # the layout. Copies to such values are dropped only if the strides are equal.
    laid = {
        v.id for e in equations for v in operands(e)
        if e.op.role == "memory" or (e.op.by_layout and not roles.dtype(v.dtype))
    }  # fmt: skip
    for e in equations:
        e = renamed(e, same)
        if _idle(e) and (e.outs[0].id not in laid or e.ins[0].strides == e.outs[0].strides):
            same[e.outs[0].id] = e.ins[0]
            continue
        key = None if e.op.draws or e.op.form == "unset" else _key(e)
        earlier = known.get(key) if key is not None else None
        if earlier is None:
            kept.append(e)
            if key is not None:
                known[key] = e.outs
        else:
            same.update({v.id: u for v, u in zip(e.outs, earlier, strict=True)})
    outputs = [_stand_in(v, same) for v in outputs]
    return alive(kept, outputs), outputs


def _scans_of_one(e):
    """``[e]``; for a scan over a dim of size 1 instead a copy, and 0.0 added if it is a sum."""
    if e.op.role != "scan" or (e.ins[0].ndim and e.ins[0].shape[e.params["dim"]] != 1):
        return [e]
    (x,), (out,) = e.ins, e.outs
    adds = e.op.form == "add" and out.dtype.kind not in "biu" and x.ndim
    copied = Abstract(out.shape, out.dtype) if adds else out
    found = [Equation(OPS["to_copy"], (x,), {"dtype": out.dtype}, [copied])]
    if adds:  # -0.0 becomes 0.0
        found.append(Equation(OPS["add"], (copied, 0.0), {}, [out]))
    return found


def _stand_in(value, same):
    return same.get(value.id, value) if isinstance(value, Abstract) else value


def renamed(e, same):
    """The equation ``e`` on other values. ``same``: id of a value → the value in its place."""
    if not any(v.id in same for v in operands(e)):
        return e
    if e.op.variadic:
        ins: tuple = ([_stand_in(v, same) for v in e.ins[0]], *e.ins[1:])
    else:
        ins = tuple([_stand_in(v, same) for v in e.ins])
    params = {k: _stand_in(v, same) for k, v in e.params.items()}
    return Equation(e.op, ins, params, e.outs)


def without(equations, grads, absent, present):
    """(equations, grads) of a backward pass in which some results have no gradient.

    Args:
        equations: (equation, whether a present gradient passes the node that it belongs to).
        grads: The results of the equations; Abstract values or None.
        absent, present: ids of the results' gradients that are absent, and of the present ones.

    The sum of an absent and a present gradient is the present one. A node that a present gradient
    passes reads zeros for absent gradients. The results of other nodes are absent.
    """
    absent, present = {*absent}, {*present}
    same: dict = {}  # id of a sum → its other addend
    kept = []
    for e, passed in equations:
        e = renamed(e, same)
        gone = {v.id: v for v in operands(e) if v.id in absent}
        rest = [v for v in operands(e) if v.id in present]
        ids = {v.id for v in e.outs}
        if gone and e.op is OPS["add"] and not e.params and rest and _alike(rest[0], e.outs[0]):
            (out,) = e.outs
            if rest[0].strides == out.strides:
                same[out.id] = rest[0]
            else:  # later views were recorded on the strides of the sum
                kept.append(Equation(OPS["clone"], (rest[0],), {"memory_format": None}, [out]))
                present.add(out.id)
        elif passed:
            zeros = [_zeros(v) for v in gone.values()]
            named = {i: z.outs[0] for i, z in zip(gone, zeros, strict=True)}
            kept += [*zeros, renamed(e, named)]
            present |= ids
        else:
            absent |= ids
    grads = [_stand_in(g, same) for g in grads]
    grads = [None if isinstance(g, Abstract) and g.id in absent else g for g in grads]
    return alive(kept, grads), grads


def _alike(x, y):
    return (x.shape, x.dtype) == (y.shape, y.dtype)


def _zeros(v):
    params = {"shape": v.shape, "value": 0, "dtype": v.dtype}
    return Equation(OPS["full"], (), params, [Abstract(v.shape, v.dtype, None, v.device)])


def _idle(e):
    """Whether ``e`` returns its operand unchanged. A copy does, as values have no memory yet."""
    x, out = e.ins[0] if e.ins else None, e.outs[0]
    if not isinstance(x, Abstract) or not _alike(x, out):
        return False
    if e.op.role == "view":
        return view_map(e) == (0, strides_of(x.shape))
    return e.op.role == "copy"


def _key(e):
    """A hashable key that is equal for equations with equal results; None if there is none."""
    try:
        key = (e.op.name, _frozen(e.ins), _frozen(tuple(sorted(e.params.items()))))
        hash(key)
    except TypeError:
        return None
    return key


def _frozen(value):
    if isinstance(value, Abstract):
        return ("%", value.id)
    if isinstance(value, (tuple, list)):
        return tuple([_frozen(v) for v in value])
    if isinstance(value, slice):  # hashable only from Python 3.12 on
        return slice, _frozen((value.start, value.stop, value.step))
    if isinstance(value, (float, int, np.generic)):
        return type(value), repr(value)  # 0.0 is not -0.0, nor 1 True
    return value
