"""Kernels of single operations on large arrays; ``backend/native.py`` calls them.

An operation, or one of its gradient rules, becomes a ``Stream``. It is compiled at first use for
the given dtypes, inner dims and parameters, and then serves any number of rows. If all arrays have
the same shape, each element is a row.
"""

import atexit
import threading
from collections import OrderedDict
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.backend import numpy as xp
from rushlight.backend.summation import FLOATS, PIECE
from rushlight.compiler.cpu.pooling_forms import FORMS
from rushlight.compiler.cpu.target import CHECKED, host
from rushlight.compiler.ir import roles
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run.array_loops import ArrayLoop
from rushlight.compiler.run.convolution_kernels import Images, images_of, planned_images
from rushlight.compiler.run.eager_operands import (
    NARROW,
    WIDEST,
    elements,
    filled,
    fits,
    in_c_order,
    lines,
    spread,
    without_numbers,
)
from rushlight.compiler.run.handlers import made
from rushlight.compiler.run.operation_program import Single
from rushlight.compiler.run.row_functions import ROWS, Stream
from rushlight.compiler.run.scalar_kernels import Sampler
from rushlight.dtype import OF
from rushlight.locks import new_lock
from rushlight.ops.windows.window import TOGETHER
from rushlight.tensor import Tensor, from_array
from rushlight.threads import get_num_threads

__all__ = ["cast", "compute", "matrices", "program", "sampled", "slope", "update"]

_NUMBERS = int, float
_casting = threading.local()
_MOST = 1024  # kernels that are kept; the oldest one is dropped first
#: With fewer images than this, threads share the rows of an image, so a kernel is for its shape.
_SHARED = 32
#: The forms of pooling that give the positions of the maxima, or take them.
_NOTES = "maxima", "at_grad"
#: The parameters of a convolution whose windows are points.
_POINTS = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1, "name": "convolution"}
_kernels: OrderedDict = OrderedDict()  # signature → Stream or Single; None if there is no kernel
_MOST_CALLS = 4096  # calls whose kernel is looked up at once; beyond, all are forgotten
_calls: dict = {}  # the function and its operands' layouts → what ``_chosen`` gives
_lock = new_lock()


@atexit.register
def _free():
    """Drop the kernels while LLVM can still free them."""
    _calls.clear()
    _kernels.clear()


def compute(op, inputs, params, outs=None, run=None):
    """The result of ``op`` on arrays, or None if NumPy must compute it.

    ``outs``: for an elementwise operation, a list of the array to write the result to. It has the
    result's shape, and may be an input. ``run`` replaces ``_run``.
    """
    if op.worth is not None and not op.worth(*inputs, **params):
        return None
    whole = op.fixed or op.role in roles.CONTRACTIONS
    if run is not None and (whole or params.get("reduction", "none") != "none"):
        return None
    if whole:
        found = _pooled(op, inputs, params) if op.role == "pooling" else None
        if found is not None or op.form in ("positions", *_NOTES):
            return found
        return _fixed(op, inputs, params)
    if params.get("reduction", "none") != "none":
        return _summed(op, inputs, params)
    if op.kind == "elementwise" and not op.widths:
        inputs = filled(inputs)
    if op.kind == "elementwise" and not op.varies:
        inputs = without_numbers(inputs)
        if op.spreads:
            inputs = spread(inputs)

    def prepared():
        dim = params.get("dim")
        if dim is None:
            inner, arranged = params, elements(inputs, WIDEST if op.widths else NARROW)
        else:
            dims = (dim,) if type(dim) is int else dim
            inner = {**params, "dim": 1 if type(dim) is int else (1,)}
            arranged = lines(inputs, dims)
        return (op.name, repr(inner)), _closed(_recorded(op, inner), inputs), arranged

    key = op.name, repr(params) if params else ""
    found = (run or _run)(key, inputs, prepared, outs)
    return None if found is None else found[0]


def _recorded(op, params):
    """A function of tensors without elements that records ``op``."""

    def record(*values):
        given = [v._array if isinstance(v, Tensor) else v for v in values]
        (found,) = mode.state.recorder.emit(op, tuple(given), params)
        return from_array(found)

    return record


def _summed(op, inputs, params):
    """The result of a loss, ``op``: the sum or the mean of its results with reduction="none".

    A kernel sums rows of ``PIECE`` elements, so it serves any number of elements.
    """
    arrays = [x for x in inputs if x is not None]
    x = arrays[0]
    for y in arrays:
        if y.shape != x.shape or y.dtype != x.dtype or not y.flags.c_contiguous:
            return None
    whole = x.size - x.size % PIECE
    if x.dtype not in FLOATS or not whole:
        return None
    flat = [y if y is None else y.reshape(-1) for y in inputs]
    each = _recorded(op, {**params, "reduction": "none"})
    found = matrices(
        ("sums", op.name, repr(params)), lambda *values: each(*values).sum(1),
        [y if y is None else y[:whole].reshape(-1, PIECE) for y in flat],
    )  # fmt: skip
    if found is None:
        return None
    rest = [y if y is None else y[whole:] for y in flat]
    total = np.add.reduce(found[0]) + op.forward(xp, *rest, **{**params, "reduction": "sum"})
    return np.asarray(total if params["reduction"] == "sum" else total / x.size, x.dtype)


def _pooled(op, inputs, params):
    """The result of a pooling that is a loop, or of positions or a gradient of maxima, or None.

    The kernel serves any number of images and channels.
    """
    windows = params.get("windows")
    if windows is None:
        return None
    places, notes = windows.places, op.form in _NOTES
    arrays = [in_c_order(x, op.fixed or notes) for x in inputs]
    x = arrays[0]
    lead, size = x.shape[: x.ndim - len(places)], x.shape[x.ndim - len(places) :]
    if (prod(lead) < _SHARED and not notes) or not all(x.flags.c_contiguous for x in arrays):
        return None
    if op.form in ("max_grad", "positions") or notes:
        if op.form == "positions" and x.strides != inputs[0].strides:
            return None  # the positions would have to lie in memory as the elements do
        flat = [x.reshape(-1, *x.shape[len(lead) :]) for x in arrays]
        run = program(op, flat, params, Images)
        if run is None:
            return None
        shape = (*lead, *_ends(op, arrays, params))
        found = [r.reshape(shape) for r in run(flat)]
        return tuple(found) if op.form == "maxima" else found[0]
    if op.form in FORMS or prod(windows.kernel_size) > TOGETHER:
        return None  # it is no loop, or several
    key, function, shape = (op.name, repr(params)), _recorded(op, params), (*lead, *places)
    found = _run(key, [x], lambda: (key, function, (prod(lead), [(ROWS, *size)], shape)))
    return None if found is None else found[0]


def _ends(op, inputs, params):
    """The last dims of the result of a pooling with windows."""
    places = params["windows"].places
    if op.form in ("positions", "maxima"):
        return places
    return params["size"] if op.form == "at_grad" else inputs[1].shape[-len(places) :]


def _fixed(op, inputs, params):
    """The result of ``op``, by a program for exactly these shapes; None: use NumPy."""
    arrays = [x if x is None else in_c_order(x, op.fixed) for x in inputs]
    run = program(op, arrays, params)
    found = None if run is None else run([x for x in arrays if x is not None])
    return None if found is None else found[0]


def product(a, b):
    """See ``backend/native.py``. It is a convolution of one image, whose windows are points."""
    from rushlight.ops.windows.conv import conv

    return _fixed(conv.op, (b[None], a[..., None]), _POINTS)


def program(op, inputs, params, kind=None):
    """The program of ``op`` for arrays like ``inputs``, which are in C order; None: use NumPy."""
    if not all(fits(x) for x in inputs if x is not None):
        return None
    shapes = [x if x is None else x.shape for x in inputs]
    dtypes = [x if x is None else x.dtype for x in inputs]
    inner: Any = None
    if op.role == "convolution":
        kind, inner = Images, (*params.values(),)  # ints, and tuples of ints
    else:
        inner = repr(params)
    if kind is Images:
        for k in images_of(op):
            shapes[k] = planned_images(shapes[k][0]), *shapes[k][1:]
    key = (op.name, inner, *shapes, *dtypes)
    found = _kernels.get(key, key)
    return _compiled(key, lambda: (kind or Single)(op, inputs, params)) if found is key else found


def slope(op, name, rule, values, outs=None, run=None):
    """The result of a gradient rule on arrays, or None if NumPy must compute it.

    ``run`` replaces ``_run``.
    """
    if "mean" in [v for v in values if type(v) is str]:
        if run is not None:
            return None  # the gradient changes before the kernel gets it
        # The rule would count the elements of a kernel's rows, whose number is unknown.
        g = values[0]
        rest = ["sum" if type(v) is str and v == "mean" else v for v in values[1:]]
        count = max(v.size for v in rest if type(v) is ndarray)
        values = (np.asarray(g / count, g.dtype), *rest)

    def prepared():
        dims = [v for v in values if type(v) is tuple]
        arranged = lines(values, dims[0]) if dims else elements(values)
        inner = [(1,) if type(v) is tuple else v for v in values]
        return (op.name, name), _closed(rule, inner), arranged

    found = (run or _run)((op.name, name), values, prepared, outs)
    return None if found is None else found[0]


def matrices(key, function, values, outs=None, run=None):
    """The results of ``function``, in a list, or None if NumPy must compute them.

    Arrays with as many dims as the first one have their rows in dim 0; the others have no rows.
    ``run`` replaces ``_run``.
    """
    rows, *inner = values[0].shape
    if rows < 2 or not 2 <= prod(inner) <= WIDEST:
        return None

    def prepared():
        given = [x for x in values if x is not None]
        if not all(x.flags.c_contiguous for x in given):  # an expanded array has fewer elements
            return key, function, None
        shapes = [(ROWS, *x.shape[1:]) if x.ndim == values[0].ndim else x.shape for x in given]
        return key, _closed(function, values), (rows, shapes, None)

    return (run or _run)(key, values, prepared, outs)


def noted(function, first, values, *rest):
    """A kernel's results in a call that will be replayed, which notes the kernel.

    Args:
        function: ``compute``, ``matrices`` or ``slope``.
        first: The arguments before the ``values``, of which some are ``Noted``.
        rest: The arguments behind them.
    """
    by_array = {id(x.array): x for x in values if hasattr(x, "noted")}
    tape = next(iter(by_array.values())).tape
    bare = [getattr(x, "array", x) for x in values]
    if function is compute and first[0].role == "convolution":
        return _noted_images(tape, first[0], [x for x in values if x is not None], bare, *rest)
    if function is compute and first[0].form in ("max_grad", *_NOTES):
        return _noted_pooled(tape, first[0], values, bare, *rest)

    def run(key, given, prepared, outs):
        stream, work = _known(key, given, prepared)
        if stream is None or CHECKED:
            return None
        if work[-1] > 1 and get_num_threads() > 1:  # they share the chunks
            return None
        arrays = [x for x in given if type(x) is ndarray]
        if any(x.size > 1 and id(x) not in by_array for x in arrays):  # a copy, by no loop
            return None
        operands = [by_array[id(x)] if id(x) in by_array else tape.constant(x) for x in arrays]
        address, data = stream.loop(work)
        return tape.call(address, data[0], operands, stream(work, arrays), (stream, data))

    return function(*first, bare, *rest, run=run)


def _noted_images(tape, op, noted, arrays, params):
    """``noted`` of an operation on images."""
    if not all(hasattr(x, "noted") and x.flags.c_contiguous for x in noted) or CHECKED:
        return None
    images = program(op, arrays, params, Images)
    found = None if images is None else images.loop(len(arrays[0]))
    if found is None:
        return None
    address, data, alive = found
    results = images([x.array for x in noted])
    made = tape.call(address, data, noted, results, alive)
    return made if op.form == "maxima" else made[0]


def _noted_pooled(tape, op, values, arrays, params):
    """``noted`` of a pooling that gives the positions of maxima, or of a gradient of maxima."""
    if params.get("windows") is None:
        return None
    n = len(params["windows"].places)
    lead = values[0].shape[: values[0].ndim - n]
    if prod(lead) < _SHARED and op.form not in _NOTES:
        return None
    planes = [x.reshape(-1, *x.shape[x.ndim - n :]) for x in values]
    found = _noted_images(tape, op, planes, [x.array for x in planes], params)
    if found is None:
        return None
    shape = (*lead, *_ends(op, values, params))
    return tuple([r.reshape(shape) for r in found]) if op.form == "maxima" else found.reshape(shape)


def update(key, function, arrays, scalars):
    """Change flat ``arrays`` in place by ``function(*arrays, *scalars)``; False: use NumPy.

    The function returns the new values of the first array, and of those from the third on. The
    second array (the gradient) is only read.
    """
    changed = [arrays[0], *arrays[2:]]
    values = [*arrays, *scalars]

    def prepared():
        shapes = [*[(ROWS,)] * len(arrays), *[()] * len(scalars)]
        return key, _closed(function, values), (arrays[0].size, shapes, None)

    return _run(key, values, prepared, changed) is not None


def cast(out, x):
    """Write ``x`` to ``out`` in its dtype, and tell whether; both lie alike in memory."""
    if getattr(_casting, "on", False):  # a kernel that runs on NumPy asks for its own cast
        return False
    if not x.flags.c_contiguous:
        out, x = out.T, x.T
    if not (x.flags.c_contiguous and out.flags.c_contiguous):
        return False
    flat, dtype = x.reshape(-1), out.dtype

    def prepared():
        return ("cast", dtype), lambda values: values.to(OF[dtype]), (flat.size, [(ROWS,)], None)

    _casting.on = True
    try:
        return _run(("cast", dtype), [flat], prepared, [out.reshape(-1)]) is not None
    finally:
        _casting.on = False


def grid(*given):
    """The result of a kernel of ``grid_kernels.py``."""
    from rushlight.compiler.run import grid_kernels

    return grid_kernels.run(*given)


def noted_grid(*given):
    """The result of a kernel of ``grid_kernels.py`` in a call that will be replayed."""
    from rushlight.compiler.run import grid_kernels

    return grid_kernels.noted(*given)


def tapped(*given):
    """Run a kernel of ``tap_kernels.py``."""
    from rushlight.compiler.run import tap_kernels

    tap_kernels.run(*given)


def recurrent(*given):
    """Run a kernel of ``recurrent_kernels.py``, and tell whether it did."""
    from rushlight.compiler.run import recurrent_kernels

    return recurrent_kernels.run(*given)


def noted_recurrent(*given):
    """Note a run of a kernel of ``recurrent_kernels.py`` in a call that will be replayed."""
    from rushlight.compiler.run import recurrent_kernels

    return recurrent_kernels.noted(*given)


def looped(function, given, results):
    """The results of a Python loop over arrays; see ``backend/native.py``."""
    kinds, is_noted = [], False
    for k, x in enumerate(given):
        kind = type(x)
        if kind not in _NUMBERS:
            is_noted = is_noted or kind is not ndarray
            kind = x.dtype
            if not x.flags.c_contiguous:
                given = [*given[:k], x.copy(), *given[k + 1 :]]
        kinds.append(kind)
    key = (function, *kinds, *[x.dtype if type(x) is ndarray else x[1] for x in results])
    loop = _kernels.get(key, key)
    if loop is key:
        loop = _compiled(key, lambda: ArrayLoop(function, key[1:]))
    if loop is None:
        return None
    found = [x if type(x) is ndarray else np.empty(*x) for x in results]
    if not is_noted:
        loop((*given, *found))
        return found
    if CHECKED:
        return None
    loop([*[getattr(x, "array", x) for x in given], *found])
    return loop.noted(given, found)


def flipped(*given):
    """Run the kernel of ``flip_kernels.py``."""
    from rushlight.compiler.run import flip_kernels

    flip_kernels.run(*given)


def short_flipped(*given):
    """Run the kernel for short rows of ``flip_kernels.py``."""
    from rushlight.compiler.run import flip_kernels

    flip_kernels.run_short(*given)


def turned(*given):
    """Run the kernel of ``turn_kernels.py``."""
    from rushlight.compiler.run import turn_kernels

    turn_kernels.run(*given)


def drawn(*given):
    """Run a kernel of ``twister_kernels.py``, and tell whether it did."""
    if not host().fma:
        return False
    from rushlight.compiler.run import twister_kernels

    twister_kernels.run(*given)
    return True


def sampled(function, stream, engine, state, columns):
    """A float64 array with a number for each row of ``columns``; None: Python draws them."""
    found = sampler(function, stream, engine, len(columns))
    return None if found is None else found(state, engine, columns)


def sampler(function, stream, engine, columns):
    """The ``Sampler`` with these arguments, or None if there is none."""
    key = function, stream
    found = _kernels.get(key, key)
    if found is key:
        found = _compiled(key, lambda: Sampler(function, stream, engine, columns))
    return found


# Kernels ----------------------------------------------------------------------------------


def _run(key, values, prepared, outs=None):
    """The results of a function on ``values``, or None if no kernel can compute them.

    ``key`` tells the functions apart. For operands that are new, ``prepared()`` gives the key of
    the kernel, the function of the arrays among ``values``, and how the arrays lie: (rows, shape of
    each array, shape of the result or None).
    """
    stream, work = _known(key, values, prepared)
    if stream is None or (outs and [o.dtype for o in outs] != [r.dtype for r in stream.results]):
        return None
    return stream(work, [x for x in values if type(x) is ndarray], outs)


def _known(key, values, prepared):
    """(kernel, its work) for operands like ``values``, or (None, None); see ``_run``."""
    call = (key, *[_look(x) for x in values])
    known = _calls.get(call)
    if known is None:
        known = _chosen(values, *prepared())
        if len(_calls) >= _MOST_CALLS:
            _calls.clear()
        _calls[call] = known
    return known


def _look(x):
    """What the choice of a kernel depends on."""
    if type(x) is ndarray:
        return x.shape, x.strides, x.dtype, x.flags.aligned
    return type(x), repr(x)


def _chosen(values, key, function, arranged):
    """(kernel, its work), or (None, None), for operands like ``values``."""
    arrays = [x for x in values if type(x) is ndarray]
    if arranged is None or not all(map(fits, arrays)):
        return None, None
    rows, shapes, shape = arranged
    specs = [(x.dtype, own) for x, own in zip(arrays, shapes, strict=True)]
    # Tuples are dims, which ``arranged`` has brought to the same place in all arrays.
    rest = [None if type(x) in (ndarray, tuple) else (type(x), repr(x)) for x in values]
    key = (key, tuple(specs), tuple(rest))
    stream = _kernels.get(key, key)
    if stream is key:
        abstract = lambda: [Abstract(own, dtype) for dtype, own in specs]
        stream = _compiled(key, lambda: Stream(function, abstract()))
    return stream, stream and stream.work(rows, shape)


def _closed(function, values):
    """``function`` with only the arrays among ``values`` as arguments; the others are fixed."""

    def call(*tensors):
        rest = iter(tensors)
        return function(*[next(rest) if type(x) is ndarray else x for x in values])

    return call


def _compiled(key, make):
    with _lock:
        if key not in _kernels:
            _kernels[key] = made(make)  # if it fails, NumPy computes, and raises what is wrong
            if len(_kernels) > _MOST:
                _kernels.popitem(last=False)
                _calls.clear()
        return _kernels[key]
