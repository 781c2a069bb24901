"""Writes through views, as operations on the tensor that owns the memory."""

from numpy import ndarray

from rushlight.backend import numpy as xp
from rushlight.ops.dispatch import apply, record
from rushlight.ops.kinds import kernel

__all__ = ["laid_out", "patch", "record_patch", "seen"]


def _look(array, path):
    for op, args, params in path:
        array = op.forward(xp, array, *args, **params)
    return array


def laid_out(array, strides):
    """A copy of ``array`` whose dims lie in memory in the order of ``strides``."""
    order = sorted(range(array.ndim), key=lambda i: -strides[i])
    out = xp.empty([array.shape[i] for i in order], array.dtype)
    out = out.transpose(xp.argsort(order)) if order else out
    out[...] = array
    return out


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
    if isinstance(g, ndarray):
        return seen.op.forward(xp, g, path=path, strides=strides)
    return seen(g, path=path, strides=strides)


patch.grad(base=_kept, value=_written)


def record_patch(root, value, path):
    """Note in ``root``'s history that ``value`` was written where ``path`` looks."""
    arrays = [root.array, value.array]
    params = {"path": path, "strides": root.array.strides}
    record(patch.op, (root, value), arrays, [root.node, value.node], params, root)
