"""Sampling of images at arbitrary points: the operations ``grid_sampler_2d`` and ``_3d``.

The value at a point is a weighted sum of the pixels around it. Along each dim a point has a few
taps (``grid_taps.py``). Each combination of one tap per dim is a tap of the point, and its weight
is the product of their weights.
"""

from functools import lru_cache
from math import prod

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode as modes
from rushlight.backend import native
from rushlight.dtype import int64
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import zeros
from rushlight.ops.shape.join import stack
from rushlight.ops.windows.grid_sample import gathered_dot, weighted_gather, weighted_scatter
from rushlight.ops.windows.grid_taps import Slanted, marks_lost, product_of, taps
from rushlight.tensor import from_array

__all__ = ["grid_sampler"]


# Tensors ----------------------------------------------------------------------------------


class _Math:
    """What ``grid_taps.Slanted`` asks of tensors."""

    floor = staticmethod(lambda x: x.floor())
    trunc = staticmethod(lambda x: x.trunc())
    round = staticmethod(lambda x: x.round())
    abs = staticmethod(lambda x: x.abs())
    index = staticmethod(lambda x: x.to(int64))

    @staticmethod
    def where(condition, x, y):
        return x.where(condition, y)


def _points(grid, dims):
    return grid.reshape(grid.shape[0], prod(grid.shape[1:-1]), dims)


def _taps(points, size, mode, padding, align, slope=False):
    """(flat places, weights of each dim, whether it is inside) of the taps of ``points``.

    Weights are ``Slanted`` if ``slope``.
    """
    dims = []
    for d, n in enumerate(size):
        x = points[..., -1 - d]  # the last coordinate belongs to the first dim
        x = Slanted(_Math, x, x.new_ones(()).expand(x.shape)) if slope else x
        found = taps(x, n, mode, padding, align, len(size) == 3)
        index = [place.index() if slope else place.to(int64) for place, _, _ in found]
        dims.append([(i, w, inside) for i, (_, w, inside) in zip(index, found, strict=True)])
    return product_of(dims, size)


def _stacked(found):
    """(index, weight) of the points' taps (N, taps, P).

    A tap outside of the image gets the index -1 and, after the product, the weight 0, so that no
    pixel has a part in the gradient of its weight.
    """
    index = stack([at.where(inside, -1) for at, _, inside in found], 1)
    return index, stack([_product(w).where(inside, 0) for _, w, inside in found], 1)


def _product(factors):
    found = factors[0]
    for factor in factors[1:]:
        found = found * factor
    return found


def _of_tensors(x, grid, mode, padding, align):
    """The values at the points, as a composition of operations."""
    size = tuple(x.shape[2:])
    points = _points(grid, len(size))
    index, weight = _stacked(_taps(points, size, mode, padding, align))
    found = weighted_gather(x.reshape(*x.shape[:2], prod(size)), weight, index)
    if marks_lost(len(size), mode, padding):
        lost = points.isfinite().all(-1).logical_not()
        found = found.masked_fill(lost.unsqueeze(1), float("nan"))
    return found.reshape(*x.shape[:2], *grid.shape[1:-1])


def _image_slope_of_tensors(g, grid, size, mode, padding, align):
    """The gradient of the image."""
    index, weight = _stacked(_taps(_points(grid, len(size)), size, mode, padding, align))
    values = g.reshape(*g.shape[:2], index.shape[2])
    return weighted_scatter(values, weight, index, size=prod(size)).reshape(*g.shape[:2], *size)


def _grid_slope_of_tensors(g, x, grid, mode, padding, align):
    """The gradient of the grid."""
    size = tuple(x.shape[2:])
    found = _taps(_points(grid, len(size)), size, mode, padding, align, slope=True)
    index = stack([at.where(inside, -1) for at, _, inside in found], 1)
    values = g.reshape(*g.shape[:2], index.shape[2])
    dots = gathered_dot(values, x.reshape(*x.shape[:2], prod(size)), index)
    parts = []
    for d in reversed(range(len(size))):
        total = dots.new_zeros(dots.shape[::2])
        for k, (_, weights, inside) in enumerate(found):
            if (slope := weights[d].slope) is not None:
                others = [w.value for i, w in enumerate(weights) if i != d]
                total = total + (dots[:, k] * _product([slope, *others])).where(inside, 0)
        parts.append(total)
    return stack(parts, -1).reshape(grid.shape)


def _on_arrays(function, *values):
    """``function`` of tensors, computed on arrays."""
    was = modes.set_grad(False)
    try:
        found = function(*[from_array(v) if type(v) is ndarray else v for v in values])
    finally:
        modes.set_grad(was)
    return found._array


# Arrays -----------------------------------------------------------------------------------


def _taps_of_arrays(xp, points, size, mode, padding, align):
    """(index, weight) of all taps (N, taps, P), for an array ``points`` (N, P, dims).

    The formulas of ``grid_taps.py`` take five times as long for a few points, because they work on
    one dim after the other.
    """
    known = _numbers(size, points.dtype)
    # The last coordinate belongs to the first dim.
    x = points.transpose(2, 0, 1)[::-1].copy()
    x += known.one
    if align:
        x *= known.half
        x *= known.last
    else:
        x *= known.sizes
        x -= known.one
        x *= known.half
    if padding == "border":
        # fmin and fmax give the number beside a nan, which is the pixel of ``grid_taps``.
        if len(size) == 3:
            np.maximum(np.fmin(x, known.last, out=x), known.zero, out=x)
        else:
            np.minimum(np.fmax(x, known.zero, out=x), known.last, out=x)
    if mode == "nearest":
        place, weight = np.rint(x)[:, :, None], np.ones_like(x)[:, :, None]
    else:
        both = len(size), len(points), 2, points.shape[1]
        place, weight = xp.empty(both, x.dtype), xp.empty(both, x.dtype)
        first, second = place[:, :, 0], weight[:, :, 1]
        np.floor(x, first)
        np.add(first, known.one, place[:, :, 1])
        np.subtract(x, first, second)
        np.subtract(known.one, second, weight[:, :, 0])
    outside = place >= known.zero
    outside &= place < known.sizes[..., None]
    np.logical_not(outside, outside)
    np.copyto(weight, known.zero, where=outside)
    # The index of a tap that lies outside along one dim is negative, whatever its other dims add.
    np.copyto(place, known.outside, where=outside)
    place = place.astype(np.int64)
    at, share = place[0], weight[0]
    for d in range(1, len(size)):
        shape = at.shape[0], at.shape[1] * place.shape[2], at.shape[2]
        at = (at[:, :, None] * known.steps[d] + place[d][:, None]).reshape(shape)
        share = (share[:, :, None] * weight[d][:, None]).reshape(shape)
    return np.maximum(at, known.nowhere, out=at), share


class _Numbers:
    """Numbers for images of one size, as arrays: NumPy takes twice as long for Python's numbers."""

    def __init__(self, size, dtype):
        self.zero, self.one, self.half = [np.array(v, dtype) for v in (0, 1, 0.5)]
        self.sizes = np.array(size, dtype).reshape(-1, 1, 1)
        self.last = self.sizes - self.one
        self.outside = np.array(-2 * prod(size), dtype)
        self.steps = [np.array(n) for n in size]
        self.nowhere = np.array(-1)


_numbers = lru_cache(64)(_Numbers)


def _shape(x, grid, **_):
    return (*x.shape[:2], *grid.shape[1:-1])


def _grid_sampler(xp, x, grid, *, mode, padding, align):
    """x (N, C, *size) at the points of a grid (N, *places, dims)."""
    size, options = x.shape[2:], (mode, padding, align)
    points = _points(grid, len(size))
    found = native.grid("sampled", size, options, x, points)
    if found is not None:
        return found.reshape(_shape(x, grid))
    if mode == "bicubic" or padding == "reflection":
        return _on_arrays(lambda x, grid: _of_tensors(x, grid, *options), x, grid)
    index, weight = _taps_of_arrays(xp, points, size, *options)
    found = weighted_gather.op.forward(xp, x.reshape(*x.shape[:2], prod(size)), weight, index)
    if marks_lost(len(size), mode, padding) and not (known := np.isfinite(points)).all():
        np.copyto(found, np.nan, where=~known.all(-1)[:, None])
    return found.reshape(_shape(x, grid))


def _image_slope(g, grid, x_shape, mode, padding, align):
    size, options = tuple(x_shape[2:]), (mode, padding, align)
    if type(g) is not ndarray:
        return _image_slope_of_tensors(g, grid, size, *options)
    values, points = g.reshape(*g.shape[:2], prod(g.shape[2:])), _points(grid, len(size))
    found = native.grid("tapped", size, options, values, points)
    if found is None:
        back = lambda g, grid: _image_slope_of_tensors(g, grid, size, *options)
        return _on_arrays(back, g, grid)
    weight, index = found
    return weighted_scatter.op.forward(
        np, np.ascontiguousarray(values), weight, index, size=prod(size)
    ).reshape(x_shape)


def _grid_slope(g, x, grid, mode, padding, align):
    options = mode, padding, align
    if mode == "nearest":
        return zeros(grid)
    if type(g) is not ndarray:
        return _grid_slope_of_tensors(g, x, grid, *options)
    points = _points(grid, x.ndim - 2)
    found = native.grid(
        "slanted", x.shape[2:], options, x, points, g.reshape(*g.shape[:2], points.shape[1])
    )
    if found is not None:
        return found.reshape(grid.shape)
    back = lambda g, x, grid: _grid_slope_of_tensors(g, x, grid, *options)
    return _on_arrays(back, g, x, grid)


def _op(n):
    op = kernel(
        _grid_sampler, public=False, method=False, name=f"grid_sampler_{n}d", shape=_shape,
        grad_name=f"GridSampler{n}DBackward0",
    )  # fmt: skip
    op.lower(_of_tensors)
    op.grad(x=_image_slope, grid=_grid_slope)
    return op


grid_sampler = {n: _op(n) for n in (2, 3)}
