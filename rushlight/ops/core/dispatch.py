"""The full path of an operation, for any operands in any mode. Closures shorten it (closures.py).

The steps are: modes that take the operation over (a subclass's override, autocast, a trace), checks
and promotion by kind, the forward on arrays, and a node if a gradient is wanted.
"""

import traceback
from functools import wraps
from typing import Any

import numpy as np
from numpy import ndarray

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.saved import pack_results
from rushlight.autograd.tape import output, recorded_at, refresh, tick
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.meta import MetaArray
from rushlight.ops.core.arguments import refuse
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.promotion import as_in_half, scalar_dtype
from rushlight.strides import (
    by_columns,
    channels_order,
    converted_strides,
    in_order,
    is_odd,
    laid,
    preserved,
    result_order,
    visited,
)
from rushlight.tensor import Tensor, ViewOf, disabled_torch_function, from_array

__all__ = [
    "apply",
    "compute",
    "keep_subclass",
    "overridden",
    "overrides",
    "raw",
    "record",
    "refuse",
]

_new = object.__new__
_f4 = np.dtype("f4")
_f8 = np.dtype("f8")
_FLOAT8 = tuple([d.numpy for d in dtypes.FLOAT8])
#: The dtypes whose numbers are computed as float32, and then rounded; those of 8 bits are not.
_HALF = (dtypes.float16.numpy, dtypes.bfloat16.numpy, *_FLOAT8)


# The path ---------------------------------------------------------------------------------


def apply(op, args, params):
    """Run ``op`` on ``args`` (tensors, numbers, None) with bound ``params``."""
    run: Any = compute
    if mode.intercept:
        found = _intercept(op, args, params)
        if found is not NotImplemented:
            return found
        run = _on_any_device
    operands = args[0] if op.variadic else args
    arrays: list[Any] = []
    parents: list[Any] = []
    recording = False
    tensors = 0
    grad = not mode.grad_off or mode.state.grad
    for i, x in enumerate(operands):
        kind = type(x)
        if (kind is float or kind is int) and not (op.variadic or op.inputs[i] in op.tensors):
            # Numbers have no ``array``; the exception below would cost as much as all the rest.
            arrays.append(x)
            parents.append(None)
            continue
        try:
            a = x.array
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
            a = x.array
        tensors += 1
        node = x.node
        if node is not None and grad:
            recording = True
            parents.append(node)
        else:
            parents.append(None)
        arrays.append(a)
    if not tensors and op.inputs:
        return apply(op, (_no_tensor(op, operands), *args[1:]), params)
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
    """``compute``, or for the device ``meta`` the inference of what it would give."""
    operands = inputs[0] if op.variadic else inputs
    meta = any(type(a) is MetaArray for a in operands)
    if not meta and not (mode.state.place is not None and op.kind == "source"):
        return compute(op, inputs, params)
    from rushlight.ops.core.inference import without_elements

    return without_elements(op, inputs, params)


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


def compute(op, inputs, params, xp=xp):
    """Run the forward of ``op`` on raw ``inputs`` by the rules of its kind; gives arrays."""
    if op.arranges:
        for a in inputs:
            if type(a) is ndarray and (not a.flags.c_contiguous or (1 in a.shape and is_odd(a))):
                return _arranged(op, inputs, params, xp)
    result = _computed(op, inputs, params, xp)
    if op.keeps_order:
        return result
    if type(result) is tuple:
        columns = op.columns
        return tuple([by_columns(r) if i in columns else in_order(r) for i, r in enumerate(result)])
    if op.in_order:
        return in_order(result)
    if op.columns:
        return by_columns(result)
    order = channels_order(inputs[: op.channels], op.lines, op.by_contents)
    return in_order(result) if order is None else laid(result, order)


def _arranged(op, inputs, params, xp):
    """The result of an elementwise operation, with its dims in memory in PyTorch's order.

    PyTorch converts the operands to one dtype before it looks at their strides.
    """
    found = None
    try:
        common = inputs[0].dtype if op.dtype is None else op.dtype(inputs).numpy
        own = [part for look in looks(op, inputs, common) for part in look]
        others = any(
            type(a) is ndarray for i, a in enumerate(inputs) if i not in _deciding(op, inputs)
        )
        found = result_order(common.itemsize, *own, like=op.keeps_order == "like", others=others)
    except (DtypeError, ValueError):
        pass  # _computed raises the error again, with the operation's name
    if found is None:
        return _computed(op, inputs, params, xp)
    return visited(lambda *turned: _computed(op, turned, params, xp), inputs, found)


def _deciding(op, inputs):
    """The indices of the operands that decide the order of dims of an elementwise result."""
    return op.keeps_order if type(op.keeps_order) is tuple else range(len(inputs))


def looks(op, inputs, common):
    """The (shape, strides) of the operands that decide the order of the result's dims.

    The strides are those of the operands after conversion to the dtype ``common``.
    """
    found = []
    for i in _deciding(op, inputs):
        x = inputs[i]
        if hasattr(x, "strides"):
            found.append((x.shape, converted_strides(x, common)))
        elif op.inputs[i] not in op.optional:  # a number counts as an operand without dims
            found.append(((), ()))
    return found


def _computed(op, inputs, params, xp):
    if op.check is not None:
        op.check(*inputs, **params)
    if op.least is not None and not xp.dry:
        found = native.compute(op, inputs, params)
        if found is not None:
            return found
    if op.kind == "elementwise":
        inputs, final = _promoted(op, inputs)
    else:
        inputs, final = _widened(op, inputs) if op.widen else (inputs, None)
    try:
        result = op.forward(xp, *inputs, **params)
    except RuntimeWarning:
        # The user turned warnings into errors, but PyTorch does not warn of infinities.
        with np.errstate(all="ignore"):
            result = op.forward(xp, *inputs, **params)
    except (ValueError, TypeError, IndexError, np.exceptions.AxisError) as error:
        explain(op, inputs, params, error)
        raise
    if type(result) is ndarray:
        if final is not None and result.dtype.kind == "f":
            return _rounded_to(op, result, final)
        if result.dtype is _f8 and op.kind == "elementwise" and _is_single(inputs):
            return result.astype(_f4)  # NumPy's function of a Python number is a double
        if op.shares or not inputs:
            return result
        fresh = result.base is None and result is not inputs[0] and result is not inputs[-1]
        return result if fresh and not op.variadic else _owned(op, result, inputs)
    if type(result) is tuple:
        results = [_final(op, np.asarray(r), final) for r in result]
        return tuple(results if op.shares else [_owned(op, r, inputs) for r in results])
    return _final(op, np.asarray(result), final)


def _is_single(inputs):
    """Whether an operand is of float32."""
    return any(type(a) is ndarray and a.dtype is _f4 for a in inputs)


def _owned(op, result, inputs):
    """``result`` in writable memory of its own, because only views may share their input's."""
    if result.base is None:
        for a in inputs[0] if op.variadic else inputs:
            if result is a:
                return result.copy(order="K")
        return result
    if not result.flags.writeable:
        return result.copy(order="K")
    for a in inputs[0] if op.variadic else inputs:
        if type(a) is ndarray and np.may_share_memory(result, a):
            return result.copy(order="K")
    return result


def _final(op, array, final):
    same = final is None or array.dtype != _f4
    return array if same else _rounded_to(op, array, final)


def _rounded_to(op, result, final):
    """The float32 ``result`` in the dtype ``final``; an error if that has 8 bits."""
    if final in _FLOAT8:
        raise UnsupportedDtypeError(
            f'"{op.name}" not implemented for {OF[final]}, which only stores numbers; convert with '
            ".float()"
        )
    return result.astype(final)


def _keeps_floats(rule, n):
    """Whether the promotion rule leaves ``n`` arrays of float32, or of float64, unchanged."""
    try:
        return all(rule([np.ones(1, d)] * n).numpy is d for d in (_f4, _f8))
    except DtypeError:
        return False


def _of_one_float(inputs):
    """Whether all arrays are float32, or all float64, and the other operands Python numbers."""
    common = None
    for a in inputs:
        if type(a) is ndarray:
            if common is None:
                common = a.dtype
            elif a.dtype is not common:
                return False
        elif a is not None and type(a) is not float and type(a) is not int:
            return False
    return common is _f4 or common is _f8


def _promoted(op, inputs):
    """(operands, final): the operands in the dtype in which the elementwise ``op`` computes.

    ``final`` is the result's dtype if the computation has another dtype, else None.
    """
    if op.keeps_floats is None:
        op.keeps_floats = _keeps_floats(op.dtype, len(op.inputs))
    if op.keeps_floats and _of_one_float(inputs):
        return inputs, None
    try:
        common = op.dtype(inputs)
    except DtypeError as error:
        raise type(error)(f"{op.name}: {error}") from None
    target = common.numpy
    if target in _HALF:
        return _in_half(op, inputs, target), target
    out: list[Any] = []
    for a in inputs:
        if type(a) is ndarray:
            out.append(a if a.dtype is target else preserved(a, target))
        elif a is None:
            out.append(None)
        elif common.category < 2 or isinstance(a, np.generic):
            out.append(np.asarray(a).astype(target)[()])
        else:
            out.append(int(a) if a is True or a is False else a)  # NumPy's log(True) is float16
    return out, None


def _in_half(op, inputs, half):
    """The operands as float32, after rounding to the dtype ``half``; see ``Op.exact``."""
    out: list[Any] = []
    for i, a in enumerate(inputs):
        if getattr(a, "dtype", None) is not half and not op.is_exact(i, a):
            a = _rounded(a, half)
        out.append(preserved(a, _f4) if type(a) is ndarray else a)
    return out


def _rounded(a, half):
    """An array or a number in half precision; values that are too large become infinite."""
    if type(a) is not ndarray:
        return as_in_half(a, half)
    with np.errstate(over="ignore"):
        return preserved(a, half)


def _widened(op, inputs):
    """(inputs, final): half-precision arrays as float32, and the dtype to round the result to."""
    final = None
    out = []
    for a in inputs:
        # Most arrays are float32; to compare dtypes takes longer than to see that two are the same.
        if type(a) is ndarray and a.dtype is not _f4 and a.dtype in _HALF:
            final = a.dtype
            a = preserved(a, _f4)
        elif type(a) is list and a and a[0].dtype in _HALF:
            final = a[0].dtype
            a = [preserved(item, _f4) for item in a]
        out.append(a)
    return out, final


def explain(op, inputs, params, error):
    """Raise a better error for the failed forward, one that names the operands' shapes.

    Returns if the caller should raise ``error`` itself: a source has no shapes, and an operation
    with ``raises`` raised the right error.
    """
    if op.kind == "source" or op.raises:
        return
    if op.explain is not None:
        op.explain(*inputs, **params)
    if op.kind == "elementwise":
        from rushlight import shapes

        name = op.name.removesuffix("_number")
        shapes.broadcast(name, *[np.shape(a) for a in inputs if a is not None])
    if type(error) is TypeError or (
        isinstance(error, TypeError) and any(isinstance(p, (str, Tensor)) for p in params.values())
    ):
        raise TypeError(f"{op.name}(): {error}") from error
    if isinstance(error, (ValueError, TypeError)):
        given = ", ".join(
            f"{n} {tuple(a.shape)}"
            for n, a in zip(op.inputs, inputs, strict=False)
            if hasattr(a, "shape")
        )
        raise ShapeError(f"{op.name}: {error} ({given})") from error


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
        operands = args[0] if op.variadic else args
        node = record(op, operands, arrays, parents, params, outs[0], outs)
        for i, o in enumerate(outs):
            if OF[o.array.dtype].category > 1:
                o.node = output(node, i, len(outs), o.array)
            else:
                o.node = None
    return tuple(outs)


def record(op, operands, arrays, parents, params, out, outs=None):
    """Give ``out`` a node with the values that the gradient rules of ``op`` want."""
    if not any(op.rules):
        return None
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
            value, cell = outs[-1].array, outs[-1].cell
        elif origin < 0:
            value = out.array if outs is None else tuple([o.array for o in outs])
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
    node.shape = out.array.shape
    node.dtype = out.array.dtype
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
    return x.array.copy() if recorder is None else recorder.snapshot(x)


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
    """The result of the mode or class that takes ``call`` over, else NotImplemented.

    ``deep``: the operands inside lists and tuples are asked as well, as in ``cat``.
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
    return hand_over(_public(call), types, args, params) if types or modes else NotImplemented


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


def ask(cls):
    """Make the inherited ``@short`` methods of ``cls`` ask ``cls`` before they run.

    ``cls`` is a subclass that overrides operations. Tensor's own short methods do not ask it.
    """
    for name, call in vars(Tensor).items():
        if hasattr(call, "is_short") and getattr(cls, name) is call:
            setattr(cls, name, _asking(call))


late.ask, late.keep_subclass = ask, keep_subclass


def _asking(function):
    @wraps(function)
    def call(self, *args, **named):
        found = overridden(function, (self, *args), named)
        return function(self, *args, **named) if found is NotImplemented else found

    return call


def _as_class(found, cls):
    if type(found) is Tensor and cls is not Tensor:
        found.__class__ = cls
        return found
    if type(found) in (tuple, list):
        return type(found)([_as_class(f, cls) for f in found])
    return found
