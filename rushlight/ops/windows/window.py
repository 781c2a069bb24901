"""Windows that slide over an image: their geometry, and the image elements under them."""

import itertools
from functools import lru_cache, reduce
from math import prod
from operator import mul
from typing import NamedTuple

import numpy as np

from rushlight.ops.core.definition import OPS
from rushlight.storage import strided
from rushlight.strides import made_like

__all__ = [
    "LONG", "TOGETHER", "Windows", "elements_along", "even_means", "folded", "inside", "meets",
    "of_elements", "offsets", "output_size", "padded", "per_dim", "span", "windows",
]  # fmt: skip

#: Windows of up to so many elements are read by one compiled loop, larger ones dim by dim.
TOGETHER = 16
#: Longer windows are not read element by element, which would take long to compile.
LONG = 32
_LONG_ROW = 8  # from so many elements on, NumPy sums a row in pairs


class Windows(NamedTuple):
    """The geometry of sliding windows. Each field has one number for each spatial dim.

    ``places`` is the number of windows along each dim.
    """

    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    places: tuple

    def reach(self, size):
        """The smallest padded size that holds every window and the whole image of ``size``."""
        return _reach(self, size)

    @property
    def apart(self):
        """Whether no element lies in two windows: they neither overlap nor interleave."""
        covered = span(self.kernel_size, self.dilation)
        return all(s >= c for s, c in zip(self.stride, covered, strict=True))


@lru_cache(4096)
def _reach(w, size):
    ends = [
        (o - 1) * step + s
        for o, step, s in zip(w.places, w.stride, span(w.kernel_size, w.dilation), strict=True)
    ]
    padded_size = [n + p for n, p in zip(size, w.padding, strict=True)]
    return tuple(map(max, ends, padded_size))


def per_dim(value, ndim, name, what):
    """A tuple of ``ndim`` ints from ``value``: an int, or a sequence of one or ``ndim`` ints."""
    try:
        if isinstance(value, (tuple, list)):
            found = tuple([n.__index__() for n in value])
        else:
            found = (value.__index__(),)
    except AttributeError:
        raise TypeError(
            f"{name}(): argument '{what}' must be an int or a tuple of {ndim} ints, not {value!r}"
        ) from None
    if len(found) == 1:
        return found * ndim
    if len(found) != ndim:
        raise RuntimeError(
            f"{name}: expected {what} to be a single integer value or a list of {ndim} values to "
            f"match the {ndim} dims, but got {what}={list(found)}"
        )
    return found


def span(kernel, dilation):
    """The length that a window covers in each dim, from its first element to its last."""
    return tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)])


def output_size(size, kernel, stride, padding, dilation):
    """The number of whole windows that fit into each dim."""
    return tuple([
        (n + 2 * p - s) // step + 1
        for n, s, step, p in zip(size, span(kernel, dilation), stride, padding, strict=True)
    ])  # fmt: skip


def padded(x, padding, value=0):
    """``x`` with ``padding`` elements of ``value`` on both sides of its last dims."""
    if not any(padding):
        return x
    lead = x.shape[: x.ndim - len(padding)]
    size = x.shape[x.ndim - len(padding) :]
    shape = (*lead, *[n + 2 * p for n, p in zip(size, padding, strict=True)])
    out = made_like(x, shape, value)
    inside(out, padding, size)[...] = x
    return out


def inside(x, padding, size):
    """The view of the padded ``x`` without its padding: the inner part of ``size``."""
    return x[(..., *[slice(p, p + n) for p, n in zip(padding, size, strict=True)])]


def windows(x, w):
    """A copy (…, *places, elements) of the windows ``w`` of the padded array ``x``."""
    lead, steps = x.shape[: -len(w.places)], x.strides[-len(w.places) :]
    strides = (*x.strides[: len(lead)], *map(mul, steps, w.stride), *map(mul, steps, w.dilation))
    view = strided(x, (*lead, *w.places, *w.kernel_size), strides)
    return view.reshape(*lead, *w.places, prod(w.kernel_size))


@lru_cache(1024)
def elements_along(w):
    """For each dim, the indices of an image's parts that have one element of each window."""
    found = []
    for d in range(len(w.places)):
        reach, step = w.stride[d] * (w.places[d] - 1) + 1, w.stride[d]
        rest = [slice(None)] * (len(w.places) - 1 - d)
        starts = [k * w.dilation[d] for k in range(w.kernel_size[d])]
        found.append([(..., slice(start, start + reach, step), *rest) for start in starts])
    return found


@lru_cache(1024)
def meets(size, w):
    """Whether each window has an element of an image of ``size``: bools of shape (*places).

    With a dilation beyond the size, all elements of a window may lie in the padding.
    """
    found = np.ones((), bool)
    for n, k, step, p, d, o in zip(
        size, w.kernel_size, w.stride, w.padding, w.dilation, w.places, strict=True
    ):
        at = np.arange(o)[:, None] * step - p + np.arange(k) * d
        found = np.logical_and.outer(found, ((at >= 0) & (at < n)).any(1))
    return found


def folded(x, w, value, combine, together):
    """The elements of each window combined: a tensor (…, *places).

    ``combine`` gets a new element and what was combined before; ``together`` gets a tensor and
    combines its last dim. ``value`` stands for elements outside ``x``; it must not change what it
    is combined with.
    """
    steps = [w] if prod(w.kernel_size) <= TOGETHER else _by_dims(x.shape, w)
    for step in steps:
        if max(step.kernel_size) > LONG:
            x = together(_windows_along(x, step, value))
            continue
        parts = list(of_elements(x, step, value))
        if not parts:  # all elements of all windows lie in the padding
            parts = [x.new_full((*x.shape[: -len(step.places)], *step.places), value)]
        x = reduce(lambda found, part: combine(part, found), parts)
    return x


def _by_dims(shape, w):
    """Windows along one dim each, the last first, which together are the windows ``w``."""
    size, n = list(shape[-len(w.places) :]), len(w.places)
    for d in reversed(range(n)):
        along = [[1] * n, [1] * n, [0] * n, [1] * n, size]
        for all_dims, own in zip(along, w, strict=True):
            all_dims[d] = own[d]
        yield Windows(*map(tuple, along))


def _windows_along(x, w, value):
    """The windows ``w``, which are along one dim, as the last dim of a view of the padded ``x``."""
    d = max(range(len(w.places)), key=lambda d: w.kernel_size[d])
    reach = span(w.kernel_size, w.dilation)[d]
    dim = x.ndim - len(w.places) + d
    after = (w.places[d] - 1) * w.stride[d] + reach - w.padding[d] - x.shape[dim]
    pad = (*(0, 0) * (x.ndim - 1 - dim), w.padding[d], after)
    if any(pad):
        x = OPS["constant_pad_nd"].call(x, pad=pad, value=value)
    return x.unfold(dim, reach, w.stride[d])[..., :: w.dilation[d]]


def of_elements(x, w, value):
    """For each element of a window, yield the elements of ``x`` that lie under it in all windows.

    They are a tensor (…, *places), with ``value`` in windows that have no such element. An element
    that lies outside ``x`` in all windows is left out.
    """
    for at in itertools.product(*map(range, w.kernel_size)):
        index, pad = [], []
        for k, n, d, step, p, o in zip(
            at, x.shape[-len(at) :], w.dilation, w.stride, w.padding, w.places, strict=True
        ):
            start = k * d - p
            first = max(0, -(start // step))
            end = min(o, (n - 1 - start) // step + 1)
            index.append(slice(start + first * step, start + (end - 1) * step + 1, step))
            pad += [o - end, first]
            if end <= first:
                break
        else:
            found = x[(..., *index)]
            if any(pad):
                found = OPS["constant_pad_nd"].call(found, pad=tuple(reversed(pad)), value=value)
            yield found


def even_means(x, d, count, k):
    """The means along dim ``d`` of ``count`` windows of ``k`` elements, side by side."""
    if k == 1:
        return x
    if k < _LONG_ROW and d == x.ndim - 1:  # NumPy is slow on short rows
        total = x[..., ::k] + x[..., 1::k]
        for i in range(2, k):
            total += x[..., i::k]
    else:
        total = np.add.reduce(x.reshape(*x.shape[:d], count, k, *x.shape[d + 1 :]), axis=d + 1)
    return np.true_divide(total, k, out=total)


def offsets(kernel, stride, dilation, out):
    """For each kernel element, yield its position and the slices of the image it meets.

    The slices select the image elements that the kernel element meets in all ``out`` windows.
    """
    for at in itertools.product(*map(range, kernel)):
        yield at, tuple([
            slice(k * d, k * d + step * (n - 1) + 1, step)
            for k, d, step, n in zip(at, dilation, stride, out, strict=True)
        ])  # fmt: skip
