"""The kinds of operation. A definition states what is particular; its kind owns the rest.

::

    @elementwise(dtype=to_float)
    def exp(xp, x):
        return xp.exp(x)

    exp.grad(x=lambda g, out: g * out)

Each decorator turns a forward on arrays into the public function and binds it to the ``torch``
namespace and to Tensor. For the common arities of elementwise operations it builds a closure
that goes straight from operands to NumPy; everything else takes ``dispatch.apply``.
"""

import operator as operators_of_python
from functools import update_wrapper

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh, tick
from rushlight.backend import numpy as xp
from rushlight.dtype import OF
from rushlight.ops.definition import Op, publish
from rushlight.ops.direct import viewed
from rushlight.ops.dispatch import apply, bind, raw, store
from rushlight.ops.promotion import promote, scalar_dtype
from rushlight.tensor import Tensor

__all__ = ["elementwise", "kernel", "reduction", "source", "view"]

_new = object.__new__
_asarray = np.asarray
_f4 = np.dtype("f4")
_f8 = np.dtype("f8")


def _finish(op, call, publication):
    """Make ``call`` the public function of ``op``."""
    update_wrapper(call, op.forward)
    call.__name__ = call.__qualname__ = op.name
    call.op = op
    call.grad = op.grad
    op.call = call
    publish(call, op.name, **publication)
    return call


def _split(options):
    names = ("public", "method", "inplace", "alias", "operator")
    return {n: options.pop(n) for n in names if n in options}


def _generic(op):
    """The public function of an operation with any signature."""
    n = len(op.inputs)

    def call(*args, out=None, **kwargs):
        if kwargs or len(args) != n or op.params:
            args, params = bind(op, args, kwargs)
        else:
            params = kwargs
        if out is not None:
            return store(out, apply(op, args, params), op.name)
        return apply(op, args, params)

    return call


# Elementwise ------------------------------------------------------------------------------


def elementwise(forward=None, *, dtype=promote, inplace=True, **options):
    """An operation on each element, broadcasting its inputs.

    ``dtype`` is a promotion rule: the dtype to compute in.
    """
    if forward is None:
        return lambda f: elementwise(f, dtype=dtype, inplace=inplace, **options)
    publication = _split(options)
    op = Op("elementwise", forward, dtype=dtype, **options)
    build = None if op.params or op.optional else {1: _unary, 2: _binary}.get(len(op.inputs))
    call = _generic(op) if build is None else build(op, _slow)
    operators = publication.pop("operator", ())
    call = _finish(op, call, {"inplace": inplace, **publication})
    if operators:
        _bind_operators(op, build, (operators,) if type(operators) is str else operators)
    return call


# A forward that is one of Python's operators is called as that operator, which saves a frame.
_OPERATORS = {
    (lambda xp, x, y: x + y).__code__.co_code: operators_of_python.add,
    (lambda xp, x, y: x - y).__code__.co_code: operators_of_python.sub,
    (lambda xp, x, y: x * y).__code__.co_code: operators_of_python.mul,
}


def _bind_operators(op, build, names):
    """Python's operators: as the function, but operands it can't take are left to their own class."""
    operator = build(op, _slow_operator)
    named, operator.respecialise = operator.respecialise, None
    function, refresh = op.call, op.call.respecialise

    def respecialise():
        refresh()
        named()

    function.respecialise = respecialise
    update_wrapper(operator, op.forward)
    operator.op = op
    for name in names:
        setattr(Tensor, name, operator)


def _unary(op, slow):
    forward = op.forward
    node_class = op.node
    ruled = saves_x = saves_out = saves_none = False

    def respecialise():
        nonlocal ruled, saves_x, saves_out, saves_none
        ruled, saves_none = True, not op.saves
        saves_x, saves_out = op.saves == ["x"], op.saves == ["out"]

    def call(input, *, out=None):
        try:
            a = input.array
            d = a.dtype
            if (d is not _f4 and d is not _f8) or mode.intercept or out is not None:
                return slow(op, (input,), out)
            if input.view_of is not None:
                refresh(input)
            result = forward(xp, a)
        except (AttributeError, TypeError, RuntimeWarning):
            return slow(op, (input,), out)
        if type(result) is not ndarray:
            result = _asarray(result)
        o = _new(Tensor)
        o.array = result
        o._grad = o.view_of = None
        if mode.grad_off:
            o.cell = cell = mode.new_cell()
            node = input.node if mode.state.grad else None
        else:
            o.cell = cell = [0, 0]
            node = input.node
        if node is None or not ruled:
            o.node = None
            return o
        if saves_x:
            saved, cells = (a,), (input.cell,)
            if len(input.cell) > 2:
                return slow(op, (input,), None)
        elif saves_out:
            saved, cells = (result,), (cell,)
        elif saves_none:
            saved = cells = ()
        else:
            return slow(op, (input,), None)
        o.node = n = _new(node_class)
        n.parents = (node,)
        n.saved = saved
        n.cells = cells
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = d
        return o

    call.respecialise = respecialise
    return call


def _binary(op, slow):
    forward = op.forward
    direct = _OPERATORS.get(forward.__code__.co_code)
    numbers = op.inputs[1] not in op.tensors
    node_class = op.node
    ruled = fast = saves_none = y_first = False  # fast: the rules want nothing but x and y
    x_for_y = y_for_x = x_for_x = y_for_y = False

    def respecialise():
        nonlocal ruled, fast, saves_none, y_first, x_for_y, y_for_x, x_for_x, y_for_y
        ruled, saves_none = True, not op.saves
        fast = sorted(op.saves) == ["x", "y"] and all(op.rules)
        y_first = op.saves == ["y", "x"]
        users = {name: who for name, _, who in op.plan}
        x_for_x, x_for_y = 0 in users.get("x", ()), 1 in users.get("x", ())
        y_for_x, y_for_y = 0 in users.get("y", ()), 1 in users.get("y", ())

    def call(input, other, *, out=None):
        try:
            a = input.array
            d = a.dtype
            if (d is not _f4 and d is not _f8) or mode.intercept or out is not None:
                return slow(op, (input, other), out)
            kind = type(other)
            if (kind is float or kind is int) and numbers:
                b = _asarray(other, d)  # NumPy is twice as fast with a 0-dim array as with a number
                py = None
            else:
                b = other.array
                if b.dtype is not d:
                    return slow(op, (input, other), out)
                if other.view_of is not None:
                    refresh(other)
                py = other.node
            if input.view_of is not None:
                refresh(input)
            result = forward(xp, a, b) if direct is None else direct(a, b)
        except (AttributeError, TypeError, ValueError, RuntimeWarning, OverflowError):
            return slow(op, (input, other), out)
        if type(result) is not ndarray:
            result = _asarray(result)
        o = _new(Tensor)
        o.array = result
        o._grad = o.view_of = None
        px = input.node
        if mode.grad_off:
            o.cell = mode.new_cell()
            if not mode.state.grad:
                px = py = None
        else:
            o.cell = [0, 0]
        if (px is None and py is None) or not ruled:
            o.node = None
            return o
        if saves_none:
            saved = cells = ()
        elif not fast:
            return slow(op, (input, other), None)
        else:
            keep_x = (x_for_x and px is not None) or (x_for_y and py is not None)
            keep_y = (y_for_x and px is not None) or (y_for_y and py is not None)
            cx = input.cell if keep_x else None
            cy = other.cell if keep_y and kind is not float and kind is not int else None
            if (cx is not None and len(cx) > 2) or (cy is not None and len(cy) > 2):
                return slow(op, (input, other), None)
            saved = (a if keep_x else None, b if keep_y else None)
            cells = (cx, cy)
            if y_first:
                saved, cells = saved[::-1], cells[::-1]
        o.node = n = _new(node_class)
        n.parents = (px, py)
        n.saved = saved
        n.cells = cells
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = d
        return o

    call.respecialise = respecialise
    return call


def _slow(op, args, out):
    result = apply(op, args, {})
    return result if out is None else store(out, result, op.name)


def _slow_operator(op, args, out):
    try:
        return apply(op, args, {})
    except TypeError:
        for x in args:
            if not isinstance(x, Tensor) and scalar_dtype(x) is None:
                return NotImplemented
        raise


# Reductions -------------------------------------------------------------------------------


def reduction(forward=None, *, whole_name=None, takes_dtype=False, **options):
    """An operation over some dims (None: all), which ``keepdim`` leaves as 1.

    The forward and the rules get ``dim`` as a tuple of dims counted from the front.
    ``whole_name`` is the node's name where no dim was given; ``takes_dtype``: the caller may
    name a dtype, to which the input is converted first.
    """
    if forward is None:
        return lambda f: reduction(f, whole_name=whole_name, takes_dtype=takes_dtype, **options)
    publication = _split(options)
    op = Op("reduction", forward, prepare=None, **options)
    op.prepare = lambda x, *, dim, keepdim, **rest: {
        "dim": shapes.dims(dim, np.ndim(x), op.name), "keepdim": shapes.flag(keepdim, op.name), **rest
    }  # fmt: skip
    op.shape = lambda x, *, dim, keepdim, **_: shapes.reduced(x.shape, dim, keepdim, op.name)
    whole = type(whole_name, (op.node,), {"__slots__": ()}) if whole_name else op.node

    def slow(args, kwargs):
        out = kwargs.pop("out", None)
        dtype = kwargs.pop("dtype", None)
        args, params = bind(op, args, kwargs)
        if dtype is not None:
            if not takes_dtype:
                raise TypeError(f"{op.name}() got an unexpected keyword argument 'dtype'")
            args = (args[0].to(dtype),)
        found = apply(op, args, params)
        if dtype is not None and found.dtype is not dtype:  # integers were summed as int64
            found = found.to(dtype)
        if whole is not op.node and params["dim"] is None and type(found.node) is op.node:
            found.node.__class__ = whole
        return found if out is None else store(out, found, op.name)

    call = (
        _reducer(op, whole, slow) if op.params == ("dim", "keepdim") else lambda *a, **k: slow(a, k)
    )
    return _finish(op, call, publication)


def _reducer(op, whole, slow):
    """The closure of a reduction whose only parameters are dim and keepdim."""
    forward, node_class = op.forward, op.node
    ruled = False

    def respecialise():
        nonlocal ruled
        ruled = True

    def call(input, dim=op.defaults["dim"], keepdim=False, **named):
        try:
            a = input.array
            d = a.dtype
            if (d is not _f4 and d is not _f8) or mode.intercept or named or (
                keepdim is not False and keepdim is not True
            ):
                return slow((input, dim, keepdim), named)
            if input.view_of is not None:
                refresh(input)
            axes = _ALL_DIMS[a.ndim] if dim is None else shapes.dims(dim, a.ndim, op.name)
            result = forward(xp, a, dim=axes, keepdim=keepdim)
        except (AttributeError, RuntimeWarning, ValueError):
            return slow((input, dim, keepdim), named)
        if type(result) is not ndarray:
            result = _asarray(result)
        o = _new(Tensor)
        o.array = result
        o._grad = o.view_of = None
        node = input.node
        if mode.grad_off:
            o.cell = mode.new_cell()
            if not mode.state.grad:
                node = None
        else:
            o.cell = [0, 0]
        if node is None or not ruled:
            o.node = None
            return o
        if len(input.cell) > 2:
            return slow((input, dim, keepdim), named)
        o.node = n = _new(whole if dim is None else node_class)
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
        n.cells = tuple([clocks.get(name) for name in op.saves])
        n.clock = tick()
        n.hooks = None
        n.shape = result.shape
        n.dtype = result.dtype
        return o

    call.respecialise = respecialise
    return call


_ALL_DIMS = [tuple(range(n)) for n in range(65)]


# The rest ---------------------------------------------------------------------------------


def view(forward=None, **options):
    """A look at the same memory: the result shares ``x``'s elements and clock."""
    if forward is None:
        return lambda f: view(f, **options)
    publication = _split(options)
    op = Op("view", forward, widen=False, **options)
    return _finish(op, _looking(op), publication)


def _looking(op):
    """The public function of a view: the short way for a tensor and parameters by position."""
    generic = _generic(op)
    forward, prepare, names = op.forward, op.prepare, op.params
    count = None if op.varargs or None in op.defaults.values() else len(names)

    def call(input=None, *args, **named):
        if named or mode.intercept or (len(args) != count and count is not None):
            return generic(input, *args, **named) if input is not None else generic(*args, **named)
        if count is None:
            if len(args) > 1 or (args and not isinstance(args[0], (tuple, list))):
                args = (args,)
            if len(args) != len(names):
                return generic(input, *args)
        try:
            x = input.array
            if input.view_of is not None:
                refresh(input)
                x = input.array
            params = dict(zip(names, args, strict=True))
            if prepare is not None:
                params = prepare(x, **params)
            array = forward(xp, x, **params)
        except (AttributeError, ValueError):
            return generic(input, *args)
        return viewed(op, input, array, params)

    return call


def kernel(forward=None, **options):
    """Any other computation on arrays.

    ``shape`` states the result's shape and writes the error where there is none; ``widen``
    (default) computes half precision in float32 and rounds once; False leaves arrays as they are.
    """
    if forward is None:
        return lambda f: kernel(f, **options)
    publication = _split(options)
    op = Op("kernel", forward, **options)
    return _finish(op, _generic(op), publication)


def source(forward=None, **options):
    """A tensor from no tensor: creation and random numbers. The forward gets ``xp`` and params."""
    if forward is None:
        return lambda f: source(f, **options)
    publication = {"method": False, **_split(options)}
    op = Op("source", forward, widen=False, **options)
    return _finish(op, _generic(op), publication)


_ = OF, raw
