"""Basic indexing as views: ints, slices, None and Ellipsis, with PyTorch's strides."""

from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import viewed
from rushlight.ops.core.kinds import kernel, view
from rushlight.storage import offset, reach, strides_of

__all__ = [
    "ALIAS",
    "FULL",
    "SELECT",
    "SLICE",
    "UNSQUEEZE",
    "basic",
    "box",
    "embed",
    "explain",
    "look",
    "placed",
    "solid",
]

FULL = slice(None)


def look_at(xp, x, *, index):
    """Return the view ``x[index]`` for ints, slices, None and Ellipsis, with PyTorch's strides."""
    out = x[index]
    if None in index or not out.size:
        return _exact(x, index)
    return out


def _exact(x, index):
    """Return ``x[index]`` with PyTorch's strides and offset.

    NumPy chooses others if the index has None, or if the result is empty.
    """
    out = x[index]
    whole = out.size == x.size > 0 and min(out.strides, default=0) >= 0
    if whole and x.flags.c_contiguous and 1 not in x.shape:  # the index only adds dims
        return x.reshape(out.shape)
    size = x.itemsize
    have = [s // size for s in strides_of(x)]
    shape, strides, start, dim = [], [], offset(x), 0
    for k in _filled(x.ndim, index):
        if k is None:
            shape.append(1)
            strides.append(x.shape[dim] * have[dim] if dim < x.ndim else 1)
            continue
        if isinstance(k, slice):
            first, last, step = k.indices(x.shape[dim])
            shape.append(len(range(first, last, step)))
            strides.append(have[dim] * step)
            start += first * have[dim]
        else:
            start += (k % x.shape[dim]) * have[dim]
        dim += 1
    if start < 0:  # an empty slice of a flipped view; only compiled programs have flipped views
        return out
    return reach(x, shape, strides, start, "index")


def _filled(ndim, index):
    """Replace the Ellipsis in ``index`` by a full slice for each dim that it stands for."""
    missing = ndim - sum(k is not None and k is not Ellipsis for k in index)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    return (*index[:at], *[FULL] * missing, *index[at + 1 :])


@kernel(public=False, method=False, widen=False, moves=True)
def embed(xp, x, *, shape, index):
    """Return zeros of ``shape`` with ``x`` written at the basic ``index``."""
    out = xp.zeros(shape, x.dtype)
    out[index] = x
    return out


def placed(base, value, index):
    """Return a copy of the tensor ``base`` with ``value`` written at the basic ``index``."""
    path = ((SLICE, (), {"index": index}),)
    return OPS["patch"].call(base, value, path=path, strides=base._array.strides)


def box(shape, index):
    """The positions that a basic ``index`` selects, a range for each dim; None if it adds dims."""
    if None in index:
        return None
    return [
        range(n)[k] if isinstance(k, slice) else range(k % n, k % n + 1)
        for n, k in zip(shape, _filled(len(shape), index), strict=True)
    ]


def solid(places):
    """Whether the ranges of a ``box`` leave no element out between their first and their last."""
    return places is not None and all(r.step == 1 or len(r) == 1 for r in places)


@embed.lower
def _padded_or_placed(x, shape, index):
    places = box(shape, index)
    if not solid(places):
        return placed(x.new_zeros(shape), x, index)
    pad = [k for r, n in zip(places, shape, strict=True) for k in (n - 1 - r[-1], r[0])]
    x = x.reshape([len(r) for r in places])
    return OPS["constant_pad_nd"].call(x, pad=tuple(reversed(pad)), value=0)


def _embedded(g, x_shape, index):
    if type(g) is ndarray:
        return embed.op.forward(np, g, shape=x_shape, index=index)
    return embed(g, shape=x_shape, index=index)


def basic(name, grad_name, **options):
    """Define an operation called ``name`` that returns the view ``x[index]``."""
    made = view(look_at, public=False, method=False, name=name, grad_name=grad_name, **options)
    made.grad(x=_embedded)
    return made.op


# These are the same operation. Their names, and the names of their nodes, are as in PyTorch.
SELECT = basic("select_index", "SelectBackward0")
SLICE: Any = basic("slice_index", "SliceBackward0")
UNSQUEEZE = basic("unsqueeze_index", "UnsqueezeBackward0")
ALIAS = basic("alias_index", "AliasBackward0")

# Indices of a trace may have negative steps, which ``Tensor.__getitem__`` refuses.
embed.grad(x=lambda g, index: g[index] if type(g) is ndarray else SLICE.call(g, index=index))


def look(x, op, index):
    """Return the view ``x[index]``, recorded as ``op``. ``index`` is a tuple that has a ``...``."""
    if mode.intercept:
        try:
            return apply(op, (x,), {"index": index})
        except IndexError:
            explain(index, x._array)
            raise
    if x.view_of is not None:
        refresh(x)
    try:
        array = x._array[index]
    except IndexError:
        explain(index, x._array)
        raise
    if None in index or not array.size:
        array = _exact(x._array, index)
    return viewed(op, x, array, {"index": index})


def explain(index, array):
    """Raise PyTorch's IndexError for a basic ``index`` at which NumPy's ``array[index]`` failed."""
    shape = tuple(array.shape)
    used = [k for k in index if k is not None and k is not Ellipsis]
    if used and not shape:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a "
            "number"
        ) from None
    if len(used) > len(shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)} (shape {shape})"
        ) from None
    for d, k in enumerate(used):
        if type(k) is int and not -shape[d] <= k < shape[d]:
            raise IndexError(
                f"index {k} is out of bounds for dimension {d} with size {shape[d]}"
            ) from None
