"""Writes through views, recorded as operations on the tensor that owns the memory (the root)."""

from functools import partial
from math import inf

from numpy import ndarray

from rushlight import late
from rushlight.autograd.hooks import move_retained
from rushlight.backend import numpy as xp
from rushlight.dtype import OF
from rushlight.ops.core.dispatch import apply, record
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import where
from rushlight.ops.shape.strided import geometry, places
from rushlight.storage import contiguous_strides, span, strided
from rushlight.strides import overlaps
from rushlight.tensor import from_array

__all__ = ["laid_out", "lying", "patch", "record_patch", "seen"]


def _look(array, path):
    for op, args, params in path:
        array = op.forward(xp, array, *args, **params)
    return array


def _opened(array, path, strides, steps):
    """(a copy of ``array`` with the memory order of ``strides``, the view of it along ``path``).

    ``steps``: the strides in elements if the first view is one of the storage, else None.
    """
    if steps is None:
        out = laid_out(array, strides)
        return out, _look(out, path)
    # A view of the storage may contain memory between the array's elements, and beyond them.
    (_, _, params), *rest = path
    size, stride, start = params["size"], params["stride"], params["start"]
    dense = array.flags.c_contiguous and 1 not in array.shape and array.size
    dense = dense and tuple(steps) == contiguous_strides(array.shape)
    if dense and 0 <= start <= array.size - span(size, stride):  # the view lies in the array
        out = array.copy()
        steps = [n * array.itemsize for n in stride]
        return out, _look(strided(out.reshape(-1)[start:], size, steps), rest)
    before = max(-start, 0)
    length = before + max(span(array.shape, steps), start + span(size, stride))
    memory = xp.zeros(length, array.dtype)
    at = lambda shape, steps, first: strided(
        memory[min(first, length) :], shape, [n * array.itemsize for n in steps]
    )
    out = at(array.shape, steps, before)
    out[...] = array
    return out, _look(at(size, stride, before + start), rest)


def laid_out(array, strides):
    """A copy of ``array`` whose dims lie in memory in the order of ``strides``, without gaps."""
    if array.flags.c_contiguous and array.strides == strides and 1 not in array.shape:
        return array.copy()
    out = _empty(array.shape, strides, array.dtype)
    out[...] = array
    return out


def lying(array, strides):
    """A copy of ``array`` with exactly these ``strides``, or by ``laid_out`` if they leave gaps."""
    try:
        out = ndarray(array.shape, array.dtype, None, 0, strides)
    except ValueError:  # the strides reach beyond the memory of so many elements
        return laid_out(array, strides)
    out[...] = array
    return out


def _empty(shape, strides, dtype):
    """An uninitialised array whose dims lie in memory in the order of ``strides``."""
    # A dim with stride 0 comes first (-inf): such a dim was made by expand, outside all others.
    order = sorted(range(len(shape)), key=lambda i: -strides[i] or -inf)
    out = xp.empty([shape[i] for i in order], dtype)
    out = out.transpose(xp.argsort(order)) if order else out
    if 1 not in shape or out.strides == strides:
        return out
    steps = zip(shape, strides, out.strides, strict=True)
    return strided(out, shape, [given if n == 1 else own for n, given, own in steps])


@kernel(public=False, method=False, grad_name="CopySlices", widen=False, primitive="patch",
        keeps_order=True)  # fmt: skip
def patch(xp, base, value, *, path, strides, steps=None):
    """A copy of ``base`` with ``value`` in the part that the view along ``path`` contains.

    ``strides`` are those of the tensor of which the views were made; a ``view`` may be impossible
    in memory of another order. ``steps`` are the same strides in elements if the first view is one
    of a storage, else None.
    """
    out, part = _opened(base, path, strides, steps)
    part[...] = value
    return out if steps is None or out.base is None else laid_out(out, strides)


def _kept(g, path, strides, steps):
    put = partial(patch.op.forward, xp) if isinstance(g, ndarray) else patch
    return put(g, 0, path=path, strides=strides, steps=steps)


@kernel(public=False, method=False, widen=False)
def seen(xp, x, *, path, strides, steps=None):
    """A copy of the part of ``x`` that the view along ``path`` contains."""
    return _opened(x, path, strides, steps)[1].copy()


def _unseen(g, x_shape, x_dtype, path, strides, steps):
    raw = isinstance(g, ndarray)
    own = g.dtype if raw else g._array.dtype
    dtype = x_dtype if OF[x_dtype].is_complex else own  # a view of real parts has a real g
    base = xp.zeros(x_shape, dtype) if raw else g.new_zeros(x_shape, dtype=OF[dtype])
    put = partial(patch.op.forward, xp) if raw else patch
    return put(base, g, path=path, strides=strides, steps=steps)


@seen.lower
def _seen_of_views(x, path, strides, steps):
    if steps is not None or x._array.strides != tuple(strides):
        return NotImplemented
    for op, args, params in path:
        x = apply(op, (x, *args), params)
    return x


seen.grad(x=_unseen)


def _written(g, path, strides, steps):
    raw = isinstance(g, ndarray)
    like = g if raw else _empty(g._array.shape, strides, g._array.dtype)
    part = _opened(like, path, strides, steps)[1]
    found = part.copy() if raw else seen(g, path=path, strides=strides, steps=steps)
    if not overlaps(part):
        return found
    stayed = _stayed(part)
    return where(stayed if raw else from_array(stayed), found, 0)


def _stayed(view):
    """A mask of the elements that were not overwritten by later elements of the same ``view``.

    If several elements of the view share one place in memory, the last one's value stays.
    """
    at = places(view.shape, view.strides)
    at -= at.min()
    order = xp.arange(at.size).reshape(at.shape)
    last = xp.zeros(at.max() + 1, int)
    last[at] = order
    return last[at] == order


patch.grad(base=_kept, value=_written)


def record_patch(root, value, path):
    """Record in the history of ``root`` that ``value`` was written to the view along ``path``."""
    arrays = [root._array, value._array]
    params = {"path": path, "strides": root._array.strides, "steps": None}
    if path and path[0][0].of_storage:
        (op, args, view), *rest = path
        _, params["steps"], first = geometry(root)
        view = {**view, "start": view["start"] - first}  # counted from the root's first element
        params["path"] = ((op, args, view), *rest)
    before = root.node
    record(patch.op, (root, value), arrays, [before, value.node], params, root)
    if before is not None and before.hooks:
        move_retained(root, before)


late.record_patch = record_patch
