"""The full path of an operation, for any operands in any mode. Closures shorten it (closures.py).

The steps are: modes that take the operation over (a subclass's override, autocast, a trace), checks
and promotion by kind, the forward on arrays, and a node if a gradient is wanted.
"""

import traceback
from copy import copy
from functools import cache
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.saved import pack_results
from rushlight.autograd.tape import output, recorded_at, refresh, tick
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.dtype import OF
from rushlight.handled import HandledArray, keep
from rushlight.ops.core.arguments import refuse
from rushlight.ops.core.compute import compute
from rushlight.ops.core.handlers import PLAIN, by_name, overridden, overrides
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.remote import RemoteArray
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = [
    "apply",
    "prepared",
    "raw",
    "record",
    "refuse",
    "repeat",
]

_new = object.__new__


# The path ---------------------------------------------------------------------------------


def repeat(op, args, params):
    """``apply`` with the parameters of a recorded equation, which are prepared already."""
    params = {**op.defaults, **params}
    if "memo" in params:  # a list for what gradient rules reuse, None in a trace
        params["memo"] = [] if mode.recorder() is None else None
    return apply(prepared(op), args, params)


late.repeat = repeat


@cache
def prepared(op):
    """``op`` without its ``prepare`` step: recorded parameters are prepared already."""
    found = copy(op)
    found.prepare = found.short = None
    return found


def apply(op, args, params, given=None, named=None):
    """Run ``op`` on ``args`` (tensors, numbers, None) with bound ``params``.

    ``given`` and ``named`` are the arguments of the public function's call, as it was written.
    """
    run: Any = compute
    if mode.intercept:
        found = _intercept(op, args, params, given, named)
        if found is not NotImplemented:
            return found
        run = _on_any_device
    elif op.short is not None:
        found = op.short(args, params)
        if found is not None:
            return found
    operands = args[0] if op.variadic else args
    arrays: list[Any] = []
    parents: list[Any] = []
    tensors = False
    for i, x in enumerate(operands):
        kind = type(x)
        if (x is None or kind is float or kind is int) and not (
            op.variadic
            or op.inputs[i] in op.tensors
            or (x is None and op.inputs[i] not in op.optional)
        ):
            # These have no ``_array``; the exception below would cost as much as all the rest.
            arrays.append(x)
            parents.append(None)
            continue
        try:
            a = x._array
        except AttributeError:
            if hasattr(kind, "__torch_function__"):
                found = _overridden(op, args, params, given, named)
                if found is not NotImplemented:
                    return found
            if type(x) is ndarray or isinstance(x, np.generic):
                if mode.state.in_rule:
                    return raw(op, args, params)
                if not isinstance(x, np.generic) or (
                    not op.variadic and op.inputs[i] in op.tensors
                ):
                    refuse(op, 0 if op.variadic else i, x)
            elif scalar_dtype(x) is None and (x is not None or op.inputs[i] not in op.optional):
                refuse(op, 0 if op.variadic else i, x)
            elif op.tensors and op.inputs[i] in op.tensors:
                refuse(op, i, x)
            arrays.append(x)
            parents.append(None)
            continue
        if x.view_of is not None:
            refresh(x)
            a = x._array
        tensors = True
        arrays.append(a)
        parents.append(x.node)
    if not tensors and op.inputs:
        return apply(op, (_no_tensor(op, operands), *args[1:]), params)
    grad = not mode.grad_off or mode.state.grad
    recording = grad and any(parents)
    if run is not compute and HandledArray.made and _has_handled(arrays, params):
        if mode.state.handlers:
            return _handled(op, args, arrays, parents if recording else None, params, grad)
        arrays, params = late.handlers().beneath_of(arrays, params)
    if op.prepare is not None:
        try:
            params = op.prepare(*((arrays,) if op.variadic else arrays), **params)
        except AttributeError:
            _refuse_numbers(op, operands)
            raise
    inputs = (arrays,) if op.variadic else arrays
    result = run(op, inputs, params)
    if type(result) is tuple:
        return _many(op, args, arrays, parents if recording else None, params, result)
    out = from_array(result)
    if op.in_order:
        out.turned = None
    if op.kind == "view":
        _link(out, args, op, params, grad)
    if recording and OF[result.dtype].category > 1:
        record(op, operands, arrays, parents, params, out)
    return out


def _has_handled(arrays, params):
    """Whether an operand, or a tensor among ``params``, is one whose class has a handler."""
    for a in arrays:
        if type(a) is HandledArray:
            return True
    return any(type(getattr(v, "_array", None)) is HandledArray for v in params.values())


def _handled(op, args, arrays, parents, params, tracked):
    """The result of ``op`` from the handler of an operand's class, with its history."""
    found = late.handlers().operation(op, args, params)
    several = isinstance(found, (list, tuple))
    outs = list(found) if several else [found]
    if not all(isinstance(t, Tensor) for t in outs):
        return found
    if op.prepare is not None and (parents is not None or op.kind == "view"):
        params = op.prepare(*((arrays,) if op.variadic else arrays), **params)
    if op.kind == "view" and not several:
        _link(found, args, op, params, tracked)
    if parents is not None:
        operands = args[0] if op.variadic else args
        if several:
            node = record_several(op, operands, arrays, parents, params, outs)
        elif OF[found._array.dtype].category > 1:
            node = record(op, operands, arrays, parents, params, found)
        else:
            node = None
        if node is not None:
            node.saved = tuple([keep(v) for v in node.saved])
    return tuple(outs) if several else found


def _on_any_device(op, inputs, params):
    """``compute``, on the device of the operands."""
    d = mode.state.place if op.kind == "source" else None
    for a in inputs[0] if op.variadic else inputs:
        if isinstance(a, RemoteArray):
            d = a.device
            break
    if d is None:
        return compute(op, inputs, params)
    return late.remote_calls().compute_on(d, op, inputs, params)


def _refuse_numbers(op, operands):
    """Raise TypeError for the first operand that is no tensor."""
    for i, x in enumerate(operands):
        if x is not None and not isinstance(x, Tensor):
            refuse(op, 0 if op.variadic else i, x)


def _no_tensor(op, operands):
    """The first of several Python numbers as a tensor, if ``op`` takes that, else an error."""
    if op.numbers:
        return from_array(np.asarray(operands[0], scalar_dtype(operands[0]).numpy))
    for i, x in enumerate(operands):
        refuse(op, 0 if op.variadic else i, x)
    raise RuntimeError(f"{op.name} expects a non-empty TensorList")


def raw(op, args, params):
    """Run ``op`` on raw arrays, for gradient rules in an ordinary backward."""
    if op.prepare is not None:
        params = op.prepare(*args, **params)
    result = native.compute(op, args, params) if op.least is not None else None
    if result is None:
        result = op.forward(xp, *args, **params)
    return result if type(result) in (ndarray, tuple) else np.asarray(result)


def _link(out, args, op, params, tracked):
    """Make ``out`` a view of the first argument in ``args``."""
    x = args[0]
    view = x.view_of
    root, path, untracked = (
        (x, (), False) if view is None else (view.root, view.path, view.untracked)
    )
    kind = ViewOf if view is None else type(view)
    out.cell = x.cell
    step = (op, args[1:], params)
    out.view_of = kind(root, (*path, step), x.cell[0], untracked or not tracked)


def _many(op, args, arrays, parents, params, results):
    """Wrap several results as tensors. Floating and complex results get a node."""
    outs = [from_array(r) for r in results]
    if parents is not None:
        record_several(op, args[0] if op.variadic else args, arrays, parents, params, outs)
    return tuple(outs)


def record_several(op, operands, arrays, parents, params, outs):
    """``record`` for several results: each floating or complex one gets a node of its own."""
    node = record(op, operands, arrays, parents, params, outs[0], outs)
    for i, o in enumerate(outs):
        floats = OF[o._array.dtype].category > 1
        o.node = output(node, i, len(outs), o._array) if floats else None
    return node


def record(op, operands, arrays, parents, params, out, outs=None):
    """Give ``out`` a node with the values that the gradient rules of ``op`` want."""
    if not any(op.rules):
        return None
    for name in op.constants:
        if parents[op.inputs.index(name)] is not None:
            raise RuntimeError(
                f"The function '{op.name}' is not differentiable with respect to argument '{name}'."
                " This input cannot have requires_grad True; detach() it."
            )
    node = op.node()
    saved = []
    cells = []
    for name, origin, users in op.plan:
        cell = None
        if not op.variadic and not any(parents[u] is not None for u in users):
            value = None
        elif origin is None:
            value = params[name] if name in params else _described(op, name, arrays)
        elif origin == -2:
            value, cell = outs[-1]._array, outs[-1].cell
        elif origin < 0:
            value = out._array if outs is None else tuple([o._array for o in outs])
            cell = out.cell
        elif op.variadic:
            value = list(arrays)
        else:
            value = arrays[origin]
            x = operands[origin]
            if isinstance(x, Tensor):
                if len(x.cell) > 2:
                    raise RuntimeError(
                        f"{op.name}: Inference tensors cannot be saved for backward. Make a "
                        "clone() outside inference_mode() to use it in autograd."
                    )
                cell = x.cell
                if name in op.copied:
                    value, cell = _copied(x), None
        saved.append(value)
        cells.append(cell)
    if op.watched:
        cells += _watched(op, operands, parents, out, outs)
    if outs is not None and -1 in op.origins:
        cells += [None if k in op.unread else o.cell for k, o in enumerate(outs) if k]
    node.parents = tuple(parents)
    node.saved = tuple(saved)
    node.cells = tuple(cells)
    node.clock = tick()
    node.hooks = None
    node.shape = out._array.shape
    node.dtype = out._array.dtype
    if op.kind == "elementwise" and len(op.inputs) > 1 and _is_mixed(op, saved, node.dtype):
        node.__class__ = op.mixed_node
    out.node = node
    if mode.state.anomaly is not None:
        recorded_at[node] = "".join(traceback.format_stack()[:-3])
    return node


def _watched(op, operands, parents, out, outs):
    """The clock cell of each value that the operation watches."""
    cells: list = []
    for name, origin, users in op.watched:
        if not any(parents[u] is not None for u in users):
            cells.append(None)
        elif origin < 0:
            cells.append(out.cell if outs is None else outs[int(name[3:])].cell)
        else:
            cells.append(getattr(operands[origin], "cell", None))
    return cells


def _copied(x):
    recorder = mode.recorder() if mode.intercept else None
    return x._array.copy() if recorder is None else recorder.snapshot(x)


def _is_mixed(op, saved, dtype):
    """Whether an operand was saved whose dtype is not the result's, which is real."""
    if OF[dtype].category != 2:
        return False
    return any(
        origin is not None and origin >= 0 and getattr(value, "dtype", dtype) != dtype
        for (_, origin, _), value in zip(op.plan, saved, strict=True)
    )


def _described(op, name, arrays):
    owner, _, what = name.rpartition("_")
    if op.variadic:
        return [getattr(a, what) for a in arrays]
    a = arrays[op.inputs.index(owner)]
    return getattr(a, what) if hasattr(a, what) else np.shape(a) if what == "shape" else None


# Modes ------------------------------------------------------------------------------------


def _overridden(op, args, params, given, named):
    """The result of the handler that takes the operation over; NotImplemented if none does."""
    if given is None:
        if mode.state.function_modes is None and not op.variadic:
            for x in (*args, *params.values()) if params else args:
                if type(x) not in PLAIN and overrides(type(x)):
                    break
            else:
                return NotImplemented
        given, named = by_name(op, args, params)
    return overridden(op.call, given, named, op.variadic)


def _intercept(op, args, params, given, named):
    if mode.intercept <= mode.metas:  # meta tensors are the only reason to be here
        return NotImplemented
    state = mode.state
    if state.dispatch or state.function_modes:
        found = _overridden(op, args, params, given, named)
        if found is not NotImplemented:
            return found
    if state.autocast is not None:
        found = state.autocast.apply(op, args, params)
        if found is not NotImplemented:
            return found
    if state.dispatch_modes is not None:
        return state.dispatch_modes.operation(op, args, params)
    if state.recorder is not None:
        return state.recorder.record(op, args, params)
    if state.packing is not None:
        return pack_results(apply, op, args, params)
    if state.profiler is not None:
        return state.profiler.operation(op, args, params)
    return NotImplemented
