"""Weighted sums of image elements at arbitrary places, for example those around a point.

The gradient of each of the three operations is made of the other two. Shapes: x (N, C, S), an image
with its spatial dims flattened; index and weight (N, K, P), the K elements that each of P points
takes, and their weights; g and results (N, C, P). An index of -1 is outside of the image: nothing
is taken there, even where the weight 0 would make a nan of an infinite number.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from rushlight.backend import native
from rushlight.backend.accumulate import add_rows
from rushlight.backend.sizes import large_from
from rushlight.ops.core.kinds import kernel

__all__ = ["weighted_gather"]


def _taken(x, index):
    """The elements of the tensor ``x`` at ``index``, some element where it is -1: (N, C, K, P)."""
    n, k, p = index.shape
    c = x.shape[1]
    flat = index.clamp(min=0).reshape(n, 1, k * p).expand(n, c, k * p)
    return x.gather(2, flat).reshape(n, c, k, p)


# Small samples are joined to one that has the points and pixels of all, because NumPy then has
# enough work in one call.
_FEW = large_from(1 << 12)  # up to so many elements are taken and summed at once
_BLOCK = 1 << 15  # elements that are taken in one call


@lru_cache(64)
def _starts(shape):
    """The flat places (N, C, 1, 1) where the images of an array (N, C, S) begin."""
    n, c, size = shape
    return (size * np.arange(n * c)).reshape(n, c, 1, 1)


def _groups(x, index):
    """Slices of the samples of ``x`` (N, C, S) that are joined, for ``index`` (N, K, P)."""
    step = max(1, _BLOCK // max(1, x.shape[1] * max(x.shape[2], index.shape[2])))
    return [slice(i, i + step) for i in range(0, len(x), step)]


def _joined(x):
    """The samples (B, R, P) as one (R, B · P)."""
    return x[0] if len(x) == 1 else x.transpose(1, 0, 2).reshape(x.shape[1], len(x) * x.shape[2])


def _parted(x, shape):
    """The samples of ``shape`` (B, R, P) that were joined to ``x``."""
    return x.reshape(shape[1], shape[0], shape[2]).transpose(1, 0, 2)


@lru_cache(64)
def _sample_starts(count, size):
    """The places (N, 1, 1) where samples of ``size`` pixels begin in the joined one."""
    return size * np.arange(count)[:, None, None]


def _places(index, size):
    """``index`` (B, K, P) in joined samples of ``size`` pixels each; -1 stays -1."""
    if len(index) == 1:
        return index[0]
    return _joined(np.where(index < 0, -1, index + _sample_starts(len(index), size)))


@kernel(public=False, method=False, tensors=("weight", "index"))
def weighted_gather(xp, x, weight, index):
    """For each point, the sum over its K elements of weight times x at ``index``."""
    found = xp.empty((*x.shape[:2], index.shape[2]), x.dtype)
    if native.tapped("gathered", x, found, weight, index):
        return found
    if x.shape[1] * index.size <= _FEW:
        shares = x.take(np.maximum(index, 0)[:, None] + _starts(x.shape))
        shares *= weight[:, None]
        np.copyto(shares, 0, where=(index < 0)[:, None])
        return np.add.reduce(shares, axis=2, initial=-0.0)  # the sum of -0.0 alone is -0.0
    outside = index < 0
    some = outside.any()
    for group in _groups(x, index):
        sample, w = _joined(x[group]), _joined(weight[group])
        # Of a place outside, the pixel before the sample is taken, or the last pixel of all.
        at = _joined(index[group] + _sample_starts(len(x[group]), x.shape[2]))
        out: Any = -0.0
        for k in range(len(at)):
            part = sample.take(at[k], 1)
            part *= w[k]
            if some:
                part[:, _joined(outside[group])[k]] = 0
            out = np.add(out, part, out=part)
        found[group] = _parted(out, found[group].shape)
    return found


#: From so many elements on, a product with a sparse matrix adds them.
_PRODUCT = large_from(2048)


def _product(g, weight, index, size):
    """What ``weighted_scatter`` gives for one sample: (size, C)."""
    from scipy.sparse import csc_array

    k, points = index.shape
    places = np.where(index < 0, size, index).T.reshape(-1)  # the row behind the last is left out
    ends = np.arange(points + 1) * k
    shares = csc_array((weight.T.reshape(-1), places, ends), shape=(size + 1, points))
    return (shares @ np.ascontiguousarray(g.T))[:size]


@kernel(public=False, method=False, tensors=("weight", "index"))
def weighted_scatter(xp, g, weight, index, *, size):
    """Add weight times g at ``index`` to zeros (N, C, size)."""
    found = xp.zeros((*g.shape[:2], size), g.dtype)
    if native.tapped("scattered", found, g, weight, index):
        return found
    found = np.zeros((g.shape[0], size, g.shape[1]), g.dtype)
    for group in _groups(g, index):
        part, w = _joined(g[group]), _joined(weight[group])
        at = _places(index[group], size)
        out = found[group].reshape(size * len(found[group]), g.shape[1])
        if at.size * len(part) >= _PRODUCT:
            out[...] = _product(part, w, at, len(out))
            continue
        shares = w[:, :, None] * part.T
        if (at < 0).any():
            shares[at < 0] = 0
            at = at.clip(0)
        add_rows(out, at.reshape(-1), shares.reshape(at.size, len(part)))
    return np.ascontiguousarray(found.transpose(0, 2, 1))


@kernel(public=False, method=False, tensors=("x", "index"))
def gathered_dot(xp, g, x, index):
    """The sum over the channels of g times x at ``index``, as (N, K, P)."""
    found = np.empty(index.shape, g.dtype)
    if native.tapped("dotted", x, g, found, index):
        return found
    for group in _groups(x, index):
        part, sample = _joined(g[group]), _joined(x[group])
        at = _places(index[group], x.shape[2])
        out = np.empty(at.shape, g.dtype)
        for k in range(len(at)):
            np.einsum("cp,cp->p", part, sample.take(at[k], 1), out=out[k])
        found[group] = _parted(out, found[group].shape)
    return found


@weighted_gather.lower
def _sum_of_shares(x, weight, index):
    outside = index.unsqueeze(1) < 0
    return (_taken(x, index) * weight.unsqueeze(1)).masked_fill(outside, 0).sum(2)


gathered_dot.lower(lambda g, x, index: (_taken(x, index) * g.unsqueeze(2)).sum(1))


@weighted_scatter.lower
def _scatter_of_shares(g, weight, index, size):
    n, k, p = index.shape
    c = g.shape[1]
    outside = index.unsqueeze(1) < 0
    shares = (g.unsqueeze(2) * weight.unsqueeze(1)).masked_fill(outside, 0).reshape(n, c, k * p)
    at = index.clamp(min=0).reshape(n, 1, k * p).expand(n, c, k * p)
    return g.new_zeros((n, c, size)).scatter_add(2, at, shares)


weighted_gather.grad(
    x=lambda g, weight, index, x_shape: weighted_scatter(g, weight, index, size=x_shape[2]),
    weight=lambda g, x, index: gathered_dot(g, x, index),
)
weighted_scatter.grad(
    g=lambda h, weight, index: weighted_gather(h, weight, index),
    weight=lambda h, g, index: gathered_dot(g, h, index),
)
gathered_dot.grad(
    g=lambda h, x, index: weighted_gather(x, h, index),
    x=lambda h, g, index, x_shape: weighted_scatter(g, h, index, size=x_shape[2]),
)
