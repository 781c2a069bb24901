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

from functools import update_wrapper

import numpy as np
from numpy import ndarray

from rushlight import dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh, tick
from rushlight.backend import numpy as xp
from rushlight.dtype import OF
from rushlight.ops.definition import Op, publish
from rushlight.ops.dispatch import apply, bind, raw, store
from rushlight.ops.promotion import promote
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
    call = _generic(op) if build is None else build(op)
    return _finish(op, call, {"inplace": inplace, **publication})


def _unary(op):
    forward = op.forward
    node_class = op.node
    saves_x = saves_out = False

    def respecialise():
        nonlocal saves_x, saves_out
        saves_x, saves_out = op.saves == ["x"], op.saves == ["out"]

    def call(input, *, out=None):
        try:
            a = input.array
            d = a.dtype
            if (d is not _f4 and d is not _f8) or mode.intercept or out is not None:
                return _slow(op, (input,), out)
            if input.view_of is not None:
                refresh(input)
            result = forward(xp, a)
        except (AttributeError, RuntimeWarning):
            return _slow(op, (input,), out)
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
        if node is None:
            o.node = None
            return o
        if saves_x:
            saved, cells = (a,), (input.cell,)
        elif saves_out:
            saved, cells = (result,), (cell,)
        else:
            return _slow(op, (input,), None)
        if len(cells[0]) > 2:
            return _slow(op, (input,), None)
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


def _binary(op):
    forward = op.forward
    node_class = op.node
    fast = False  # the rules want nothing but x and y
    x_for_y = y_for_x = x_for_x = y_for_y = False

    def respecialise():
        nonlocal fast, x_for_y, y_for_x, x_for_x, y_for_y
        fast = set(op.saves) <= {"x", "y"} and all(op.rules)
        users = {name: who for name, _, who in op.plan}
        x_for_x, x_for_y = 0 in users.get("x", ()), 1 in users.get("x", ())
        y_for_x, y_for_y = 0 in users.get("y", ()), 1 in users.get("y", ())
        op.order = tuple([("x", "y").index(s) for s in op.saves]) if fast else None

    def call(input, other, *, out=None):
        try:
            a = input.array
            d = a.dtype
            if (d is not _f4 and d is not _f8) or mode.intercept or out is not None:
                return _slow(op, (input, other), out)
            kind = type(other)
            if kind is float or kind is int:
                b = _asarray(other, d)  # NumPy is twice as fast with a 0-dim array as with a number
                py = None
            else:
                b = other.array
                if b.dtype is not d:
                    return _slow(op, (input, other), out)
                if other.view_of is not None:
                    refresh(other)
                py = other.node
            if input.view_of is not None:
                refresh(input)
            result = forward(xp, a, b)
        except (AttributeError, ValueError, RuntimeWarning, OverflowError):
            return _slow(op, (input, other), out)
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
        if px is None and py is None:
            o.node = None
            return o
        if not fast:
            return _slow(op, (input, other), None)
        keep_x = (x_for_x and px is not None) or (x_for_y and py is not None)
        keep_y = (y_for_x and px is not None) or (y_for_y and py is not None)
        cx = input.cell if keep_x else None
        cy = other.cell if keep_y and kind is not float and kind is not int else None
        if (cx is not None and len(cx) > 2) or (cy is not None and len(cy) > 2):
            return _slow(op, (input, other), None)
        o.node = n = _new(node_class)
        n.parents = (px, py)
        order = op.order
        if order == (1, 0):
            n.saved = (b if keep_y else None, a if keep_x else None)
            n.cells = (cy, cx)
        elif not order:
            n.saved = n.cells = ()
        else:
            pair, clocks = (a if keep_x else None, b if keep_y else None), (cx, cy)
            n.saved = tuple([pair[i] for i in order])
            n.cells = tuple([clocks[i] for i in order])
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


# Reductions -------------------------------------------------------------------------------

#: How a reduction treats integers and bool.
_INTEGERS = {
    "int64": lambda d: dtypes.int64 if d.category < 2 else d,
    "float": lambda d: dtypes._default if d.category < 2 else d,
    "keep": lambda d: d,
}


def reduction(forward=None, *, integers="keep", **options):
    """An operation over some dims (None: all), which ``keepdim`` leaves as 1.

    The forward and the rules get ``dim`` as a tuple of dims counted from the front.
    ``integers``: the dtype that integers and bool are summed in; ``refuse`` raises.
    """
    if forward is None:
        return lambda f: reduction(f, integers=integers, **options)
    publication = _split(options)
    takes_dtype = options.pop("takes_dtype", integers != "keep")
    op = Op("reduction", forward, prepare=None, **options)
    op.prepare = lambda x, *, dim, keepdim, **rest: {
        "dim": shapes.dims(dim, np.ndim(x), op.name), "keepdim": bool(keepdim), **rest
    }  # fmt: skip
    op.shape = lambda x, *, dim, keepdim, **_: shapes.reduced(x.shape, dim, keepdim, op.name)

    def call(*args, out=None, dtype=None, **kwargs):
        args, params = bind(op, args, kwargs)
        x = args[0]
        if dtype is not None and not takes_dtype:
            raise TypeError(f"{op.name}() got an unexpected keyword argument 'dtype'")
        if isinstance(x, Tensor):
            target = dtype or _INTEGERS[integers](x.dtype)
            if target is not x.dtype:
                args = (x.to(target),)
        found = apply(op, args, params)
        return found if out is None else store(out, found, op.name)

    return _finish(op, call, publication)


# The rest ---------------------------------------------------------------------------------


def view(forward=None, **options):
    """A look at the same memory: the result shares ``x``'s elements and clock."""
    if forward is None:
        return lambda f: view(f, **options)
    publication = _split(options)
    op = Op("view", forward, widen=False, **options)
    return _finish(op, _generic(op), publication)


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
