"""Convolutions that are computed as products of matrices: the weight times an image's windows.

The windows form a matrix with a row for each channel and tap (element of the kernel), and a column
for each place of the result. If the kernel has one tap, this matrix is the image itself.
Otherwise its elements are read from the image when the product packs them. That takes longer than
the strips of ``shifted_sum``, but the weight need not be packed, which takes most of the time if
the weight is large and the places are few.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from rushlight.compiler.codegen.emission import Plan
from rushlight.compiler.codegen.frame import digits, entry, offset
from rushlight.compiler.codegen.loop import address, lift
from rushlight.compiler.codegen.memory import gather, iota
from rushlight.compiler.codegen.value import BOOL, INT, Value, constant, splat
from rushlight.compiler.cpu import contraction, costs
from rushlight.compiler.cpu.contraction import Contraction, Matrix

__all__ = ["emit", "fits", "plan", "resized"]

_I32 = np.dtype(np.int32)


def fits(d, target):
    """Whether the convolution ``d`` is computed here."""
    places = prod(d.places)
    if d.form == "weight_grad" or not d.flat or d.groups > 1 or len(d.strides) > 2:
        return False
    if _of_points(d):
        enough = places == 1 or places >= target.lanes(d.compute)
        return enough and _merged(d.size, d.strides[0][2:])
    few = d.batch == 1 and places <= costs.FEW_PLACES
    large = prod((d.outputs, d.channels, *d.kernel)) >= costs.LARGE_WEIGHT
    taps = _merged((d.channels, *d.kernel), d.strides[1][1:])
    return d.form == "result" and few and large and taps and d.dtype.kind == "f"


def _of_points(d):
    """Whether a place of the result depends only on the image's elements at that place."""
    return {*d.kernel, *d.stride} == {1} and not any(d.padding) and d.size == d.places


def _merged(sizes, strides):
    """Whether dims of these sizes and strides can be passed through with one stride."""
    dims = [(n, s) for n, s in zip(sizes, strides, strict=True) if n > 1]
    return all(outer == inner * n for (_, outer), (n, inner) in pairwise(dims))


def plan(d, target, name):
    """As ``convolution.plan``."""
    return _planned(d, target, contraction.plan(_product(d), target, name))


def resized(plan, images):
    """As ``convolution.resized``."""
    d = replace(plan.description, batch=images)
    return _planned(d, plan.target, contraction.resized(plan.choice, images))


def _planned(d, target, steps):
    return Plan(d, target, steps.kernels, steps.temporaries, steps, steps.counts)


def emit(module, plan, sink):
    """As ``convolution.emit``."""
    outer = len(plan.description.size) - 1

    def of_places(b, args, batch, channel, place, value, mask):
        # The places are numbered through, so the indices of all dims but the last are 0.
        zeros = [lift(b, 0).v] * outer
        sink(b, args, [*batch, channel, *zeros, place], value, mask)

    contraction.emit(module, plan.choice, of_places)


def _product(d):
    """The convolution ``d`` as a ``Contraction``."""
    image, weight = d.strides
    taps, places = prod(d.kernel), prod(d.places)
    if d.form == "result":
        rows, depth = d.outputs, d.channels * taps
        a = Matrix(d.dtype, (0,), weight[0], _step((d.channels, *d.kernel), weight[1:]))
    else:
        rows, depth = d.channels, d.outputs
        a = Matrix(d.dtype, (0,), weight[1], weight[0])
    if _of_points(d):
        b = Matrix(d.dtype, (image[0],), image[1], _step(d.places, image[2:]))
    else:
        b = Matrix(d.dtype, (0,), fetch=_Windows(d))
    return Contraction(
        d.compute, (d.batch,), rows, places, depth, a, b, args=(1, 0, 2), counts_at=d.counts_at
    )


def _step(sizes, strides):
    """The stride of merged dims."""
    return next((s for n, s in zip(sizes[::-1], strides[::-1], strict=True) if n > 1), 1)


@dataclass(frozen=True)
class _Windows:
    """Reads the matrix of an image's windows."""

    d: Any

    def __call__(self, b, args, batch, row, column, lanes, mask):
        d = self.d
        channel, *tap = digits(Value(b, row, INT), (d.channels, *d.kernel))
        first = splat(Value(b, column, INT).astype(_I32), lanes)
        places = digits(first + iota(b, lanes, _I32) if lanes > 1 else first, d.places)
        image = d.strides[0]
        start = offset([Value(b, batch[0], INT), channel], image[:2])
        exists = constant(b, True, BOOL) if mask is None else mask
        offsets = constant(b, 0, INT)
        dims = zip(places, tap, d.size, d.stride, d.padding, d.dilation, image[2:], strict=True)
        for place, k, size, stride, padding, dilation, step in dims:
            at = place * stride + lift(b, lift(b, k) * dilation - padding).astype(_I32)
            exists = exists & (at >= 0) & (at < size)
            offsets = offsets + at.astype(INT) * step
        base = address(b, entry(b, args, 0), start, d.dtype.itemsize)
        return gather(b, base, splat(offsets, lanes), d.dtype, splat(exists, lanes))
