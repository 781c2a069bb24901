"""The full path of an operation, for any operands in any mode. Closures shorten it (closures.py).

The steps are: modes that take the operation over (a subclass's override, autocast, a trace), checks
and promotion by kind, the forward on arrays, and a node if a gradient is wanted.
"""

import inspect
import traceback
from copy import copy
from functools import cache, wraps
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
from rushlight.errors import UnhandledError
from rushlight.ops.core.arguments import refuse
from rushlight.ops.core.compute import compute
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ours import is_our_module
from rushlight.remote import RemoteArray
from rushlight.return_types import NamedResult
from rushlight.tensor import Tensor, ViewOf, disabled_torch_function, from_array

__all__ = [
    "apply",
    "keep_subclass",
    "overridden",
    "overrides",
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


@cache
def prepared(op):
    """``op`` without its ``prepare`` step: recorded parameters are prepared already."""
    found = copy(op)
    found.prepare = found.short = None
    return found


def apply(op, args, params):
    """Run ``op`` on ``args`` (tensors, numbers, None) with bound ``params``."""
    run: Any = compute
    if mode.intercept:
        found = _intercept(op, args, params)
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
                found = overridden(op.call, args, params, op.variadic)
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
    raise RuntimeError(f"{op.name}: expected a non-empty list of Tensors")


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


def _intercept(op, args, params):
    if mode.intercept <= mode.metas:  # meta tensors are the only reason to be here
        return NotImplemented
    state = mode.state
    if state.dispatch or state.function_modes:
        found = overridden(op.call, args, params, op.variadic)
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


def overrides(kind):
    """Whether the class ``kind`` overrides functions of ``torch`` (``__torch_function__``)."""
    override = None if kind is Tensor else getattr(kind, "__torch_function__", None)
    return override is not None and override is not disabled_torch_function


def overridden(call, args, params, deep=False):
    """The result of the mode or class that takes ``call`` over; NotImplemented if there is none.

    ``deep``: the operands inside lists and tuples are asked as well, as in ``cat``.

    Raises:
        UnhandledError: Modes or classes were asked, and none took the call. Classes of ours that
            have ``asked_again`` may decline: ``call`` asks them again for what it calls.
    """
    modes = mode.state.function_modes
    if not (mode.state.dispatch or modes):
        return NotImplemented
    types: list[Any] = []
    for x in (*args, *params.values()) if mode.state.dispatch else ():
        for item in x if deep and isinstance(x, (list, tuple)) else (x,):
            kind = type(item)
            if kind not in types and overrides(kind):
                types.append(kind)
    if not (types or modes):
        return NotImplemented
    params, by_place = _changed(call, params), _by_place(call)
    if by_place and len(args) == len(call.op.inputs):
        args = (*args, *[params.pop(name) for name in by_place])
    shown = _public(call)
    found = hand_over(shown, types, args, params)
    again = types and all(hasattr(t, "asked_again") for t in types)
    if found is NotImplemented and not again:
        raise unhandled(shown, types)
    return found


def unhandled(call, types):
    """The error that the modes and the classes ``types`` all declined ``call``."""
    modes = mode.state.function_modes
    in_mode = f" nor in mode {modes[-1]}" if modes else ""
    return UnhandledError(
        f"no implementation found for {_path(call)!r} on types that implement __torch_function__: "
        f"{types}{in_mode}. Multiple dispatch failed: all their handlers returned NotImplemented"
    )


def _path(call):
    """Where PyTorch's users find ``call``."""
    owner = getattr(call, "__self__", None)
    if isinstance(owner, property) and owner.fget:
        return f"torch.Tensor.{owner.fget.__name__}.{call.__name__}"
    module = (getattr(call, "__module__", None) or "torch").replace("rushlight", "torch", 1)
    return f"{module.partition('.ops.')[0]}.{getattr(call, '__qualname__', call)}"


@cache
def _by_place(call):
    """The parameters of an operation without defaults that follow its operands in its signature.

    Calls give these by position, as in ``torch.transpose(x, 0, 1)``. So a handler gets them by
    position, too: it may have other names for them.
    """
    if not hasattr(call, "op") or call.op.variadic:
        return ()
    names, op = list(inspect.signature(call).parameters), call.op
    n = len(op.inputs)
    after = names[n : n + len(op.required)]
    fits = {*after} == {*op.required} and {*op.params}.isdisjoint(names[:n])
    return tuple(after) if fits else ()


def _changed(call, params):
    """The parameters of an operation that differ from their defaults, and all of other functions.

    A handler may have only the parameters that it knows, as ``def mean(input)``.
    """
    if not hasattr(call, "op"):
        return dict(params)
    defaults = call.op.defaults
    return {k: v for k, v in params.items() if k not in defaults or v is not defaults[k]}


def hand_over(call, types, args, params):
    """Let the innermost mode, and then the classes in ``types``, run ``call``.

    The result is that of the first one which does not return NotImplemented, else NotImplemented.
    """
    modes = mode.state.function_modes
    if modes:
        mode.exchange("function_modes", modes[:-1] or None)
        try:
            found = modes[-1].__torch_function__(call, tuple(types), args, dict(params))
        finally:
            mode.exchange("function_modes", modes)
        if found is not NotImplemented:
            return found
    # A subclass is asked before its base class; otherwise the left operand's class comes first.
    for kind in sorted(types, key=lambda t: -len(t.__mro__)):
        found = kind.__torch_function__(call, tuple(types), args, dict(params))
        if found is not NotImplemented:
            return found
    return NotImplemented


def _public(call):
    """The function of ``torch`` that computes its result by the operation ``call`` alone."""
    found = FUNCTIONS.get(call.__name__) if hasattr(call, "op") else None
    if found is None or hasattr(found, "is_guarded") or hasattr(found, "is_listed"):
        return call
    return found


def keep_subclass(cls, func, args, kwargs):
    """Run ``func`` on plain tensors and give its results the class ``cls``."""
    was, mode.state.dispatch = mode.state.dispatch, False
    try:
        return _as_class(func(*args, **kwargs), cls)
    finally:
        mode.state.dispatch = was


_DUNDERS = ("__contains__", "__reversed__", "__repr__")


def ask(cls, everything):
    """Make methods that ``cls`` inherits ask ``cls`` before they run.

    ``cls`` is a subclass that overrides operations. Tensor's own ``@short`` methods do not ask it.
    ``everything``: nor do properties, and methods that compute nothing, such as ``data_ptr``.
    """
    for name, member in vars(Tensor).items():
        if getattr(cls, name) is not member and inspect.getattr_static(cls, name) is not member:
            continue  # the class has its own
        if hasattr(member, "is_short") or (everything and _asks_nobody(name, member)):
            setattr(cls, name, _asking(member))
        elif everything and type(member) is property and name != "cell":
            setattr(cls, name, _asking_property(member))


late.ask, late.keep_subclass, late.overridden = ask, keep_subclass, overridden


def _asks_nobody(name, member):
    if not inspect.isfunction(member) or (name.startswith("_") and name not in _DUNDERS):
        return False
    if not is_our_module(member.__module__):  # a library's method, which it has put on Tensor
        return False
    return not any(hasattr(member, a) for a in ("op", "is_guarded", "is_in_place"))


def _asking(function):
    shown = getattr(function, "stands_for", function)
    is_operator = function.__name__ in ("__matmul__", "__rmatmul__")

    @wraps(function)
    def call(self, *args, **named):
        try:
            found = overridden(shown, (self, *args), named)
        except UnhandledError:
            if is_operator:
                return NotImplemented
            raise
        return function(self, *args, **named) if found is NotImplemented else found

    return call


def _asking_property(member):
    """The property for a subclass. Handlers see ``Tensor.shape.__get__``, as in PyTorch."""

    def read(self):
        found = overridden(member.__get__, (self,), {})
        return member.__get__(self) if found is NotImplemented else found

    def write(self, value):
        found = overridden(member.__set__, (self, value), {})
        if found is NotImplemented:
            member.__set__(self, value)

    return property(read, write if member.fset else None, member.fdel, member.__doc__)


def _as_class(found, cls):
    if type(found) is Tensor and cls is not Tensor:
        found.__class__ = cls
        return found
    if type(found) in (tuple, list) or isinstance(found, NamedResult):
        return type(found)([_as_class(f, cls) for f in found])
    return found
