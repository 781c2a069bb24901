"""The fast path of kernels that are called often: from plain operands to a result with its node.

Such a kernel computes its result on arrays itself and calls ``taped``. In unusual cases (a trace,
subclasses, half precision) it calls ``dispatch.apply`` instead.
"""

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import look, refresh, tick
from rushlight.backend.sizes import large_from
from rushlight.strides import in_order
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = ["FLOATS", "indexed", "on_arrays", "plain", "recorded", "several", "taped", "viewed"]

_new = object.__new__
_FEW = large_from(1 << 12)  # operations on more elements have ways of their own
#: The dtypes that take the fast path.
FLOATS = _F4, _F8 = np.dtype("f4"), np.dtype("f8")


def plain(x):
    """The up-to-date array of the tensor ``x``; AttributeError for anything else."""
    if x.view_of is not None:
        refresh(x)
    return x._array


def on_arrays(function, *tensors, floats=True, most=_FEW):
    """``function`` of the arrays of a few tensors, as a tensor; None: they are not plain.

    Functions made of several operations compute in one step with it. Plain tensors keep no history,
    and no mode is on. Their elements lie in the order of their dims. They are all float32 or all
    float64; without ``floats`` they have any dtype. They have at most ``most`` elements.
    """
    if mode.intercept:
        return None
    arrays: list = []
    for x in tensors:
        if type(x) is not Tensor or (x.node is not None and mode.records()):
            return None
        if x.turned and look(x):
            return None
        a = x._array
        if a.size > most or not a.flags.c_contiguous:
            return None
        if floats:
            known = FLOATS if not arrays else (arrays[0].dtype,)
            if a.dtype not in known:
                return None
        arrays.append(a)
    o = from_array(in_order(np.asarray(function(*arrays))))
    o.turned = None
    return o


def taped(op, array, parents, saved, cells):
    """A tensor over ``array`` as the result of ``op``, with a node if a parent is a node.

    ``parents`` are the nodes of the inputs. ``saved`` and ``cells`` have the order of ``op.saves``.
    """
    if any(parents):
        return recorded(op, array, parents, saved, cells)
    o = from_array(array)
    o.turned = None
    return o


def recorded(op, array, parents, saved, cells):
    """``taped`` for callers that know that a parent is a node."""
    o = _new(Tensor)
    o._array = array
    o._grad = o.view_of = o.node = o._cell = o.turned = None
    if mode.grad_off:
        state = mode.state
        if state.inference:
            o._cell = mode.inference_cell()
        if not state.grad:
            return o
    if mode.inferred:
        _check_saved(op, cells)
    o.node = n = op.node()
    n.parents = parents
    n.saved = saved
    n.cells = cells
    n.clock = tick()
    n.hooks = None
    n.shape = array.shape
    n.dtype = array.dtype
    return o


def _check_saved(op, cells):
    for cell in cells:
        if cell is not None and len(cell) > 2:
            raise RuntimeError(
                f"{op.name}: Inference tensors cannot be saved for backward. Make a clone() "
                "outside inference_mode() to use it in autograd."
            )


def viewed_parts(op, x, places):
    """``viewed`` for views at many ``places``, basic indices, of which no gradient is wanted."""
    if x.view_of is not None:
        refresh(x)
    array, cell, source = x._array, x.cell, x.view_of
    kind = ViewOf if source is None else type(source)
    root, path = (x, ()) if source is None else (source.root, source.path)
    seen = cell[0]
    untracked = (mode.grad_off and not mode.state.grad) or (source is not None and source.untracked)
    found = []
    is_rows = array.ndim > 1 and places[0] == (0, ...) and len(places) == len(array)
    # NumPy makes all rows in a third of the time.
    arrays = list(array) if is_rows else [array[place] for place in places]
    for place, part in zip(places, arrays, strict=True):
        o = _new(Tensor)
        o._array = part
        o.turned = True
        o._grad = o.node = None
        o._cell = cell
        o.view_of = kind(root, (*path, (op, (), {"index": place})), seen, untracked)
        found.append(o)
    return tuple(found)


def indexed(op, x, index, params):
    """``op(x, index, **params)`` for operations whose index has no gradient, in default mode."""
    a, i = plain(x), plain(index)
    params = op.prepare(a, i, **params)
    op.check(a, i, **params)
    array = op.forward(np, a, i, **params)
    if x.node is None:
        o = from_array(array)
        o.turned = None
        return o
    values = {"x_shape": a.shape, "index": i, **params}
    found = [index.cell if s == "index" else None for s in op.saves]
    cells = (*found, *[x.cell for _ in op.watched])  # only x is watched
    return taped(op, array, (x.node, None), tuple([values[s] for s in op.saves]), cells)


def several(call, x, params, out=None):
    """The results of ``call(x, **params, out=out)``, where ``call`` is a kernel with several.

    Plain calls need no binding of their parameters.
    """
    if out is None and not mode.intercept:
        found = call.op.short((x,), params)
        if found is not None:
            return found
    return call(x, **params, out=out)


def viewed(op, x, array, params):
    """A tensor over ``array``, which ``op`` made as a view of the up-to-date tensor ``x``."""
    o = _new(Tensor)
    o._array = array
    o.turned = True
    o._grad = o.node = None
    o._cell = cell = x._cell or x.cell
    source = x.view_of
    step = (op, (), params)
    grad = not mode.grad_off or mode.state.grad
    if source is None:
        o.view_of = ViewOf(x, (step,), cell[0], not grad)
    else:
        untracked = source.untracked or not grad
        o.view_of = type(source)(source.root, (*source.path, step), cell[0], untracked)
    node = x.node
    if node is not None and grad and op.rules[0] is not None:
        o.node = n = op.node()
        n.parents = (node,)
        n.saved = tuple([params.get(s, x._array.shape) for s in op.saves])
        n.cells = (None,) * len(op.saves)
        n.clock = tick()
        n.hooks = None
        n.shape = array.shape
        n.dtype = array.dtype
    return o
