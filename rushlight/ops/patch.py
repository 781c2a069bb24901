"""Writes through views, as operations on the tensor that owns the memory."""

from numpy import ndarray

from rushlight.backend import numpy as xp
from rushlight.ops.dispatch import apply, record
from rushlight.ops.kinds import kernel
from rushlight.ops.rules import where
from rushlight.ops.stride import places
from rushlight.strides import overlaps
from rushlight.tensor import from_array

__all__ = ["laid_out", "patch", "record_patch", "seen"]


def _look(array, path):
    for op, args, params in path:
        array = op.forward(xp, array, *args, **params)
    return array


def laid_out(array, strides):
    """A copy of ``array`` whose dims lie in memory in the order of ``strides``."""
    out = _empty(array.shape, strides, array.dtype)
    out[...] = array
    return out


def _empty(shape, strides, dtype):
    """An uninitialised array whose dims lie in memory in the order of ``strides``."""
    order = sorted(range(len(shape)), key=lambda i: -strides[i])
    out = xp.empty([shape[i] for i in order], dtype)
    return out.transpose(xp.argsort(order)) if order else out


@kernel(public=False, method=False, grad_name="CopySlices", widen=False, primitive="patch",
        keeps_order=True)  # fmt: skip
def patch(xp, base, value, *, path, strides):
    """A copy of ``base`` with ``value`` in the part that the views of ``path`` look at.

    ``strides`` are those of the memory that the views were made of: a ``view`` exists only there.
    """
    out = laid_out(base, strides)
    _look(out, path)[...] = value
    return out


def _kept(g, path, strides):
    return (
        patch.op.forward(xp, g, 0, path=path, strides=strides)
        if isinstance(g, ndarray)
        else (patch(g, 0, path=path, strides=strides))
    )


@kernel(public=False, method=False, widen=False)
def seen(xp, x, *, path, strides):
    """A copy of the part of ``x`` that the views of ``path`` look at."""
    return _look(laid_out(x, strides), path).copy()


def _unseen(g, x_shape, path, strides):
    if isinstance(g, ndarray):
        return patch.op.forward(xp, xp.zeros(x_shape, g.dtype), g, path=path, strides=strides)
    return patch(g.new_zeros(x_shape), g, path=path, strides=strides)


@seen.lower
def _seen_of_views(x, path, strides):
    if x.array.strides != tuple(strides):
        return NotImplemented
    for op, args, params in path:
        x = apply(op, (x, *args), params)
    return x


seen.grad(x=_unseen)


def _written(g, path, strides):
    raw = isinstance(g, ndarray)
    like = g if raw else g.array
    part = _look(laid_out(g, strides) if raw else _empty(like.shape, strides, like.dtype), path)
    found = part.copy() if raw else seen(g, path=path, strides=strides)
    if not overlaps(part):
        return found
    stayed = _stayed(part)
    return where(stayed if raw else from_array(stayed), found, 0)


def _stayed(view):
    """Which elements of a written view stayed, where several lie in one place."""
    at = places(view.shape, view.strides)
    at -= at.min()
    order = xp.arange(at.size).reshape(at.shape)
    last = xp.zeros(at.max() + 1, int)
    last[at] = order
    return last[at] == order


patch.grad(base=_kept, value=_written)


def record_patch(root, value, path):
    """Note in ``root``'s history that ``value`` was written where ``path`` looks."""
    arrays = [root.array, value.array]
    params = {"path": path, "strides": root.array.strides}
    record(patch.op, (root, value), arrays, [root.node, value.node], params, root)
