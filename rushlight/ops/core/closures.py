"""Build the public function of each operation as a closure, when the operation is defined.

The closures for one and two operands go straight from the operands to NumPy, in the default mode
and for float32 and float64; those for two tensors also for int64 and bool, and those for a tensor
and an int also for int64. All other calls take ``dispatch.apply``. The closures are long because
each Python call takes a tenth of the time of a small operation. They begin with the same lines,
which ask native code for a call that repeats (``replays.py``). A closure's ``specialise`` runs
when the gradient rules are stated, and notes which values the rules want saved.
"""

from functools import partial

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import look, refresh, tick
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.errors import DtypeError, UnhandledError
from rushlight.ops.core.argument_kinds import Parameter, fits, unfit
from rushlight.ops.core.arguments import bind, judge
from rushlight.ops.core.definition import REQUIRED
from rushlight.ops.core.destination import Destination, took
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import viewed
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.outputs import refuse_gradients
from rushlight.ops.core.overlap import refuse_out
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.core.replays import Replays
from rushlight.strides import in_order, result_order, visited
from rushlight.tensor import Tensor, from_array

__all__ = [
    "binary", "generic", "listed", "looking", "reducer", "slow", "slow_operator", "unary",
    "with_out",
]  # fmt: skip

_new = object.__new__
_asarray = np.asarray
_f4 = np.dtype("f4")
_f8 = np.dtype("f8")
_i8 = np.dtype("i8")
_b1 = np.dtype("?")


def generic(op):
    """The public function of an operation with any signature."""
    n = len(op.inputs)
    replays = Replays()

    def call(*given, out=None, **named):
        if (replay := replays.run) is not None and out is None:
            found = replay(*given, **named)
            if found is not None:
                return found
        if named or len(given) != n or op.params:
            args, params = bind(op, given, named)
        else:
            args, params = given, named
        if out is not None:
            if type(out) is not Destination:
                found = _handled(op, given, {**named, "out": out})
                if found is not NotImplemented:
                    return found
                refuse_out(op, out, args)
            if took(out, op, args, params):
                return out
            out = None if type(out) is Destination else out
        try:
            result = apply(op, args, params, given, named)
        except (RuntimeError, ValueError, IndexError, AttributeError):
            judge(op, params)
            if out is not None:  # PyTorch checks this first, so its error comes first here, too
                refuse_gradients(op.name, (out, *(args[0] if op.variadic else args)))
            raise
        return result if out is None else op.store(out, result)

    replays.function = call
    return call


def _handled(op, args, named):
    """The result of the handler that takes over a call with ``out=``, which it writes itself."""
    if mode.intercept > mode.metas:
        return overridden(op.call, args, named, op.variadic)
    return NotImplemented


def listed(op, method):
    """The function of ``torch`` for a method that takes separate numbers: it takes one tuple."""
    n = len(op.inputs)
    (name,) = op.params

    def call(*args, **named):
        # A class or a mode may know this function, and not the method.
        if mode.intercept > mode.metas or (args and type(args[0]) is not Tensor):
            found = overridden(call, args, named)
            if found is not NotImplemented:
                return found
        if len(args) > n + 1:
            raise TypeError(
                f"{op.name}() takes {n + 1} positional arguments but {len(args)} were given"
            )
        given = args[n] if len(args) > n else named.get(name, ())
        if type(given) is not tuple and not fits("shape", given):
            raise TypeError(unfit(op.name, Parameter(name, "shape"), n + 1, given))
        return method(*args, **named)

    vars(call)["is_listed"] = True
    return call


# Elementwise ------------------------------------------------------------------------------


# A forward that only applies a Python operator is replaced by NumPy's function, which saves a call
# of a Python function.
_OPERATORS = {
    (lambda xp, x, y: x + y).__code__.co_code: np.add,
    (lambda xp, x, y: x - y).__code__.co_code: np.subtract,
    (lambda xp, x, y: x * y).__code__.co_code: np.multiply,
}


class _Names:
    """Stands for NumPy: a function gives its name and its operands."""

    def __getattr__(self, name):
        return lambda *operands: (name, operands)


def _ufunc_of(forward):
    """The ufunc of NumPy that ``forward`` is, or None."""
    x, y = operands = object(), object()
    try:
        found = forward(_Names(), x, y)
    except (AttributeError, TypeError):  # it computes with the operands itself
        return _OPERATORS.get(forward.__code__.co_code)
    ufunc = getattr(np, found[0], None) if type(found) is tuple else None
    return ufunc if isinstance(ufunc, np.ufunc) and found[1] == operands else None


def _arranged_unary(forward, a):
    """``forward(xp, a)``; the result's dims lie in memory in PyTorch's order."""
    found = result_order(a.itemsize, a.shape, a.strides)
    return forward(xp, a) if found is None else visited(partial(forward, xp), (a,), found)


def _arranged_binary(forward, a, b):
    found = result_order(a.itemsize, a.shape, a.strides, b.shape, b.strides)
    return forward(xp, a, b) if found is None else visited(partial(forward, xp), (a, b), found)


def _arranged_by_first(forward, a, b):
    found = result_order(a.itemsize, a.shape, a.strides)
    return forward(xp, a, b) if found is None else visited(partial(forward, xp), (a, b), found)


def unary(op, slow):
    forward, least = op.forward, op.least
    node_class = op.node
    ruled = saves_x = saves_out = saves_none = False

    def specialise():
        nonlocal ruled, saves_x, saves_out, saves_none
        ruled, saved = True, [*op.saves, *op.watched, *op.copied]
        saves_x, saves_out, saves_none = saved == ["x"], saved == ["out"], not saved

    replays = Replays()

    def call(input, *, out=None):
        if (replay := replays.run) is not None and out is None:
            found = replay(input)
            if found is not None:
                return found
        if mode.intercept:  # looking at the memory of an abstract array takes long
            return slow(op, (input,), out)
        try:
            turned = input.turned
            if turned:
                turned = look(input)
            a = input._array
            d = a.dtype
            result = None  # stays None if this path does not serve
            if (d is _f4 or d is _f8) and out is None:
                if least is not None and a.size >= least:
                    result = native.compute(op, (a,), {})
                if result is None:
                    result = forward(xp, a) if turned is None else _arranged_unary(forward, a)
        except (AttributeError, TypeError):
            result = None
        if type(result) is not ndarray:
            if result is None:
                return slow(op, (input,), out)
            result = _asarray(result)
        o = _new(Tensor)
        o._array = result
        o.turned = turned
        o._grad = o.view_of = o._cell = None
        node = input.node
        if mode.grad_off:
            state = mode.state
            if state.inference:
                o._cell = mode.inference_cell()
            if not state.grad:
                node = None
        if node is None or not ruled:
            o.node = None
            return o
        saved: tuple
        cells: tuple
        if saves_x:
            cell = input._cell or input.cell
            saved, cells = (a,), (cell,)
            if mode.inferred and len(cell) > 2:
                return slow(op, (input,), None)
        elif saves_out:
            o._cell = cell = o._cell or [0, 0]
            saved, cells = (result,), (cell,)
        elif saves_none:
            saved = cells = ()
        else:
            return slow(op, (input,), None)
        o.node = n = node_class()
        n.parents = (node,)
        n.saved = saved
        n.cells = cells
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = d
        return o

    replays.function = call
    op.closures.append(specialise)
    return call


def _kept(op):
    """The dtypes besides float32 and float64 of which two operands need no conversion."""
    found = []
    for d in (_i8, _b1):
        try:
            if op.check is None and op.dtype([np.ones(1, d)] * 2).numpy is d:
                found.append(d)
        except DtypeError:
            pass
    return found


def binary(op, slow):
    forward = native.either(op)
    kept = _kept(op)
    direct = _ufunc_of(forward)
    numbers = op.inputs[1] not in op.tensors
    arranged = _arranged_binary if op.keeps_order is True else _arranged_by_first
    node_class = op.node
    ruled = fast = saves_none = y_first = False  # fast: the rules want x and y, and nothing else
    x_for_y = y_for_x = x_for_x = y_for_y = False

    def specialise():
        nonlocal ruled, fast, saves_none, y_first, x_for_y, y_for_x, x_for_x, y_for_y
        ruled, saved = True, [*op.saves, *op.watched, *op.copied]
        saves_none, fast = not saved, sorted(map(str, saved)) == ["x", "y"] and all(op.rules)
        y_first = op.saves == ["y", "x"]
        users = {name: who for name, _, who in op.plan}
        x_for_x, x_for_y = 0 in users.get("x", ()), 1 in users.get("x", ())
        y_for_x, y_for_y = 0 in users.get("y", ()), 1 in users.get("y", ())

    replays = Replays()

    def call(input, other):
        if (replay := replays.run) is not None:
            found = replay(input, other)
            if found is not None:
                return found
        if mode.intercept:
            return slow(op, (input, other), None)
        try:
            turned = input.turned
            if turned:
                turned = look(input)
            a = input._array
            d = a.dtype
            kind = type(other)
            b = None  # stays None if this path does not serve
            if (d is not _f4 and d is not _f8) and (
                d not in kept or (kind is not Tensor and (kind is not int or d is not _i8))
            ):
                pass
            elif kind is Tensor or (kind is not float and kind is not int) or not numbers:
                if other.turned:
                    turned = look(other) or turned
                if other._array.dtype is d:
                    b = other._array
                py = other.node
            else:
                b = _asarray(other, d)  # NumPy is twice as fast on a 0-dim array as on a number
                py = None
            if b is None:
                result = None
            elif turned:
                result = arranged(forward, a, b)
            else:
                if direct is None:
                    result = forward(xp, a, b)
                elif a.size < native.MANY:
                    result = direct(a, b)
                else:
                    result = native.by_ufunc(op, direct, a, b)
        except (AttributeError, TypeError, ValueError, OverflowError):
            result = None
        if type(result) is not ndarray:
            if result is None:
                return slow(op, (input, other), None)
            result = _asarray(result)
        o = _new(Tensor)
        o._array = result
        o.turned = turned
        o._grad = o.view_of = o._cell = None
        px = input.node
        if mode.grad_off:
            state = mode.state
            if state.inference:
                o._cell = mode.inference_cell()
            if not state.grad:
                px = py = None
        if (px is None and py is None) or not ruled:
            o.node = None
            return o
        saved: tuple
        cells: tuple
        if saves_none:
            saved = cells = ()
        elif not fast:
            return slow(op, (input, other), None)
        else:
            keep_x = (x_for_x and px is not None) or (x_for_y and py is not None)
            keep_y = (y_for_x and px is not None) or (y_for_y and py is not None)
            cx = (input._cell or input.cell) if keep_x else None
            numeric = kind is float or kind is int
            cy = (other._cell or other.cell) if keep_y and not numeric else None
            if mode.inferred and (len(cx or ()) > 2 or len(cy or ()) > 2):
                return slow(op, (input, other), None)
            saved = (a if keep_x else None, b if keep_y else None)
            cells = (cx, cy)
            if y_first:
                saved, cells = saved[::-1], cells[::-1]
        o.node = n = node_class()
        n.parents = (px, py)
        n.saved = saved
        n.cells = cells
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = d
        return o

    replays.function = call
    op.closures.append(specialise)
    return call


def with_out(op, operate):
    """The closure ``operate`` for two operands, with an argument ``out=``."""

    def call(input, other, *, out=None):
        return operate(input, other) if out is None else slow(op, (input, other), out)

    return call


def slow(op, args, out):
    if out is not None and type(out) is not Destination:
        found = _handled(op, args, {"out": out})
        if found is not NotImplemented:
            return found
        refuse_out(op, out, args)
    if out is not None and took(out, op, args, {}):
        return out
    result = apply(op, args, {}, args, {})
    if out is None or type(out) is Destination:
        return result
    return op.store(out, result, casts=op.casts(args) if callable(op.casts) else op.casts)


def slow_operator(op, args, out):
    try:
        return apply(op, args, {}, args, {})
    except UnhandledError:
        if len(args) == 1:
            raise
        return NotImplemented
    except TypeError:
        for x in args:
            if not isinstance(x, Tensor) and scalar_dtype(x) is None:
                if op.arrays and type(x) is ndarray:
                    return apply(op, (args[0], from_array(x)), {})
                return NotImplemented
        raise


# Reductions and views ---------------------------------------------------------------------


_ALL_DIMS = [tuple(range(n)) for n in range(65)]


def reducer(op, whole, slow):
    """The closure of a reduction whose only parameters are dim and keepdim.

    ``whole`` is the class of the node if no dim is given, ``slow`` the full path.
    """
    forward, node_class = op.forward, op.node
    ruled = False
    celled: list[str] = []  # the names of what has a cell in a node

    def specialise():
        nonlocal ruled
        ruled = True
        celled[:] = [*op.saves, *[name for name, _, _ in op.watched]]

    replays = Replays()

    def call(input, dim=op.defaults["dim"], keepdim=False, **named):
        if (replay := replays.run) is not None and not named:
            found = replay(input, dim, keepdim)
            if found is not None:
                return found
        if mode.intercept:
            return slow((input, dim, keepdim), named)
        try:
            turned = input.turned
            if turned:
                turned = look(input)
            a = input._array
            d = a.dtype
            result = None  # stays None if this path does not serve
            if (d is _f4 or d is _f8) and not named and (keepdim is False or keepdim is True):
                axes = _ALL_DIMS[a.ndim] if dim is None else shapes.dims(dim, a.ndim, op.name)
                result = forward(xp, a, dim=axes, keepdim=keepdim)
                wide = dim is not None and result.ndim > 1
                if wide and (turned or not result.flags.c_contiguous):
                    result = in_order(result)
        except (AttributeError, ValueError):
            result = None
        except TypeError:
            if dim is REQUIRED:
                return slow((input,), named)  # says that dim is missing
            raise
        if type(result) is not ndarray:
            if result is None:
                return slow((input, dim, keepdim), named)
            result = _asarray(result)
        o = _new(Tensor)
        o._array = result
        o._grad = o.view_of = o._cell = o.turned = None
        node = input.node
        if mode.grad_off:
            state = mode.state
            if state.inference:
                o._cell = mode.inference_cell()
            if not state.grad:
                node = None
        if node is None or not ruled:
            o.node = None
            return o
        if mode.inferred and len(input.cell) > 2:
            return slow((input, dim, keepdim), named)
        o.node = n = (whole if dim is None else node_class)()
        known = {
            "x": a,
            "out": result,
            "x_shape": a.shape,
            "x_dtype": d,
            "dim": axes,
            "keepdim": keepdim,
        }
        clocks = {"x": input.cell, "out": o.cell}
        n.parents = (node,)
        n.saved = tuple([known[name] for name in op.saves])
        n.cells = tuple([clocks.get(name) for name in celled])
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = result.dtype
        return o

    replays.function = call
    op.closures.append(specialise)
    return call


def looking(op):
    """The public function of a view: a fast path for a tensor and parameters of plain types."""
    general, by_name = generic(op), None  # made at the first call, so that the import need not
    forward, prepare, varargs = op.forward, op.prepare, op.varargs

    replays = Replays()

    def call(input=None, /, *args, **named):
        nonlocal by_name
        if (replay := replays.run) is not None:
            found = replay(input, *args, **named)
            if found is not None:
                return found
        if by_name is None:
            by_name = _by_name(op)
        given = args
        if varargs and (len(args) > 1 or (args and not isinstance(args[0], (tuple, list)))):
            given = (args,)
        try:
            params = None if mode.intercept or (named and varargs) else by_name(*given, **named)
            if params is not None:
                x = input._array
                if input.view_of is not None:
                    refresh(input)
                    x = input._array
                if prepare is not None:
                    params = prepare(x, **params)
                array = forward(xp, x, **params)
        except (AttributeError, ValueError, RuntimeError, IndexError, TypeError):
            params = None
        if params is None:
            return general(input, *args, **named) if input is not None else general(*args, **named)
        return viewed(op, input, array, params)

    replays.function = call
    return call


def _by_name(op):
    """A function that gives all parameters of ``op`` by name, or None for types to be looked at.

    It takes the parameters of a call, and raises TypeError if they do not fit. Python's own call of
    a function with this signature is several times as fast as a loop over names.
    """
    known, defaults = op.admitted, op.defaults
    given = [n if n in op.required else f"{n}=defaults['{n}']" for n in op.params]
    tests = [f"type({n}) in known['{n}']" for n in op.params if n in known]
    pairs = ", ".join([f"'{n}': {n}" for n in op.params])
    text = f"lambda {', '.join(given)}: {{{pairs}}} if {' and '.join(tests) or True} else None"
    return eval(text, {"known": known, "defaults": defaults})
