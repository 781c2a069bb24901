"""Inference: find the shapes and dtypes of an operation's results without computing them.

It serves traces and the device ``meta``: their arrays are ``Shaped``, without elements.

Costly operations state a shape rule in their block. Other operations are run on arrays of zeros (a
dry run), or on arrays of one element if they are elementwise or reduce.
"""

from functools import partial

import numpy as np

from rushlight import shapes
from rushlight.backend import numpy as xp
from rushlight.dtype import get_default_dtype
from rushlight.meta import MetaArray, matching, on_meta
from rushlight.ops.core.compute import compute, looks
from rushlight.ops.core.small_inference import infer_small
from rushlight.ops.tensor.memory_format import strides_in
from rushlight.shaped import Shaped
from rushlight.strides import channels_order, dense_strides, result_strides
from rushlight.tensor import Tensor

__all__ = ["infer", "inferred_on_meta"]


def infer(op, ins, params, kind):
    """The results of ``op``, as objects of ``kind``, a class of arrays without elements."""
    if op.kind == "elementwise":
        return _elementwise(op, ins, params, kind)
    if op.kind == "source":
        return _source(op, params, kind)
    if op.dynamic(*ins, **params) if callable(op.dynamic) else op.dynamic:
        kind.refuse_shape(op.name)
    found = None if op.shape is None else op.shape(*ins, **params)
    if found is not None:
        found = found if type(found) is list else [found]
        operands = ins[0] if op.variadic else ins
        first = operands[: op.channels]
        order = channels_order(first, op.lines, op.by_contents) if first else None
        dtype = operands[0].dtype
        return [
            _by_columns(shape, dtype, kind) if i in op.columns and len(shape) > 1
            else kind(shape, dtype, _ordered(shape, dtype, order))
            for i, shape in enumerate(found)
        ]  # fmt: skip
    if op.kind == "reduction" and ins[0].size > 4096:
        return _reduction(op, ins, params, kind)
    if op.kind == "kernel" and _is_large(op, ins, kind):
        found = infer_small(op, ins, params, kind, partial(_run, op))
        if found is not None:
            return found
        if op.role == "copy":
            return [_copy(ins[0], kind=kind, **params)]
    return _dry_run(op, ins, params, kind)


def _copy(x, *, memory_format, kind, dtype=None):
    """The array of a copy of ``x``, in ``dtype`` if that is given."""
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    return kind(x.shape, dtype, strides_in(memory_format, x, dtype))


def _by_columns(shape, dtype, kind):
    """An array of ``shape`` whose matrices lie column by column."""
    *lead, m, n = shape
    *steps, across, down = kind((*lead, n, m), dtype).strides
    return kind(shape, dtype, (*steps, down, across))


def _is_large(op, ins, kind):
    operands = ins[0] if op.variadic else ins
    large = LARGE if kind.may_be_huge else _LARGE_IN_PROGRAMS
    return any(isinstance(x, Shaped) and x.size > large for x in operands)


# By running it ----------------------------------------------------------------------------

_DRY = xp.Dry()
#: A kernel whose operands have more elements is run on small arrays, if its results tell the shape.
LARGE = 1 << 16
#: The same in a trace: what is traced will run on so many numbers anyway, or on a few rows of them.
_LARGE_IN_PROGRAMS = 1 << 22
#: A kernel is not run on more elements than these to find the shape of its results.
_MOST = 1 << 31


def _run(op, ins, params):
    """The results of ``op`` on arrays of zeros, as a tuple."""
    if "generator" in params:
        params = {**params, "generator": None}  # draw no random numbers
    with np.errstate(all="ignore"):
        found = compute(op, ins, params, _DRY)
    return found if isinstance(found, tuple) else (found,)


def _dry_run(op, ins, params, kind):
    operands = ins[0] if op.variadic else ins
    if op.kind == "kernel" and any(isinstance(x, Shaped) and x.size > _MOST for x in operands):
        shapes_of = [tuple(x.shape) for x in operands if isinstance(x, Shaped)]
        raise NotImplementedError(
            f"{op.name}: what it gives for the shapes {shapes_of} can only be told by computing it "
            "on as many zeros, which is too much; use smaller sizes"
        )
    fake = list(map(_stand_in, operands))
    fake_params = {k: _stand_in(v) for k, v in params.items()}
    found = _run(op, (fake,) if op.variadic else tuple(fake), fake_params)
    if op.kind == "view":
        return [kind.view(ins[0], fake[0], a) for a in found]
    return [kind(a.shape, a.dtype, a.strides) for a in found]


def _stand_in(value):
    return value.like() if isinstance(value, Shaped) else value


def _reduction(op, ins, params, kind):
    """The result of a large reduction, found without reducing that many elements.

    Its dtype is that of a reduction of one element; its shape follows from ``dim``. A dry run
    serves reductions with several results or several operands.
    """
    x, dims = ins[0], params.get("dim")
    if len(ins) > 1 or type(dims) is not tuple:
        return _dry_run(op, ins, params, kind)
    with np.errstate(all="ignore"):
        found = compute(op, (np.zeros((1,) * x.ndim, x.dtype),), params, _DRY)
    if type(found) is tuple:
        return _dry_run(op, ins, params, kind)
    kept = 1 if params.get("keepdim") else None
    sizes = [kept if d in dims else n for d, n in enumerate(x.shape)]
    return [kind([n for n in sizes if n is not None], found.dtype)]


# Elementwise ------------------------------------------------------------------------------

_dtypes: dict = {}  # (operation, default dtype, kinds of operands) → dtype of the result


def _elementwise(op, ins, params, kind):
    operands = [*ins, *params.values()]
    tensors = [v for v in operands if isinstance(v, Shaped)]
    shape = shapes.broadcast(op.name, *[v.shape for v in tensors])
    key = (op.name, get_default_dtype(), *map(_kind, operands))
    if key not in _dtypes:
        with np.errstate(all="ignore"):
            fake_params = {name: _one(v) for name, v in params.items()}
            fake = compute(op, tuple(map(_one, ins)), fake_params, _DRY)
        if not all(isinstance(v, (Shaped, float, int, type(None))) for v in operands):
            return [kind(shape, fake.dtype, _order(op, ins, shape, fake.dtype))]
        _dtypes[key] = fake.dtype
    return [kind(shape, _dtypes[key], _order(op, ins, shape, _dtypes[key]))]


def _order(op, ins, shape, dtype):
    """The strides that ``compute`` gives an elementwise result; None: contiguous."""
    tensors = [v for v in ins if isinstance(v, Shaped)]
    if not op.keeps_order or len(shape) < 2 or all(v.in_order for v in tensors):
        return None
    common = op.dtype(list(map(_one, ins))).numpy
    own, like = looks(op, ins, common), op.keeps_order == "like"
    step = np.dtype(dtype).itemsize
    return tuple([s * step for s in result_strides(common.itemsize, own, like)])


def _kind(value):
    """The properties of an operand that the result's dtype depends on."""
    if isinstance(value, Shaped):
        return value.dtype, not value.shape
    return value if type(value) is bool else type(value)  # an option may choose the dtype


def _one(value):
    """An array of one element like ``value``. It is 0-dim if ``value`` is, for type promotion.

    An array without elements stays one: no value of it can be refused.
    """
    if not isinstance(value, Shaped):
        return value
    return np.ones((min(value.size, 1),) * min(len(value.shape), 1), value.dtype)


# Sources ----------------------------------------------------------------------------------


def _source(op, params, kind):
    if op.shape is not None:
        shape, dtype = op.shape(**params)
        return [kind(shape, dtype)]
    if "shape" in params and "dtype" in params:
        strides = _ordered(params["shape"], params["dtype"], params.get("order"))
        return [kind(params["shape"], params["dtype"], strides)]
    found = np.asarray(op.forward(xp, **params))
    return [kind(found.shape, found.dtype)]


def _ordered(shape, dtype, order):
    """The strides of an array whose dims lie in memory in ``order``; None if that is None."""
    return None if order is None else dense_strides(shape, order, np.dtype(dtype).itemsize)


# Meta tensors -----------------------------------------------------------------------------


def inferred_on_meta(op, inputs, params):
    """The result of ``op`` as a meta array, or as a tuple of several.

    ``inputs`` has a meta array, or ``op`` makes a new tensor on the device ``meta``.
    """
    params = {k: on_meta(v._array) if isinstance(v, Tensor) else v for k, v in params.items()}
    operands = matching(op, inputs[0] if op.variadic else inputs)
    found = infer(op, (operands,) if op.variadic else tuple(operands), params, MetaArray)
    return found[0] if len(found) == 1 else tuple(found)
