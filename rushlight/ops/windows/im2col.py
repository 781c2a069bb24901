"""Convolution of arrays as matrix products (im2col): each column has the elements of one window.

Images are processed in blocks whose columns fit the cache. A block's layout is (batch, channels,
*size, lanes). Large images form the batch, with one lane each. Small images form the lanes, with
batch 1, so that contiguous runs of memory stay long. BLAS computes the products.

Shapes: x (N, C, *size), weight (O, C / groups, *kernel), out and g (N, O, *places).
"""

from functools import lru_cache
from math import prod
from operator import le, mul

import numpy as np

from rushlight.backend import native
from rushlight.ops.windows.window import offsets, span
from rushlight.storage import strided
from rushlight.strides import made_like

__all__ = [
    "convolve", "correlate_weight", "depthwise", "is_one_block", "meets_all", "products", "spread",
    "spread_depthwise",
]  # fmt: skip

BLOCK = 1 << 20  # bytes of columns that are packed at a time

# Layout -----------------------------------------------------------------------------------


def _blocks(images, bytes_each):
    """Slices of the images, each with as many images as fit into one block."""
    step = max(1, min(images, BLOCK // max(bytes_each, 1)))
    return [slice(i, min(i + step, images)) for i in range(0, images, step)]


def _is_small(images, places, rows=0, taps=2):
    """True if images become lanes. The more rows the columns have, the more this layout saves.

    A single image lies in memory in the same way in both layouts. Images need no packing if a
    window has one element (``taps``), so that only the smallest are worth another layout.
    """
    return images > 1 and prod(places) < (16 if taps == 1 else 128 if rows >= 64 else 32)


class _Scratch:
    """Memory that is reused from block to block."""

    def __init__(self, like):
        self.like, self.memory, self.padded = like, like, ()
        self.size = 0

    def zeros(self, shape):
        """An array of zeros, or the previous call's array unchanged if it has the same shape."""
        if shape != self.padded:
            self.padded, self.size = shape, 0
            self.array(shape)[...] = 0
        return self.memory.reshape(shape)

    def array(self, shape):
        """An array with undefined contents, valid until the next call."""
        size = prod(shape)
        if self.size < size:
            self.memory = made_like(self.like, (size,))
            self.size = size
        return self.memory[:size].reshape(shape)


def _laid_out(x, small):
    """The images ``x`` as (batch, channels, *size, lanes)."""
    if not small:
        return x[..., None]
    turned = x.transpose(*range(1, x.ndim), 0)
    return (turned if turned.flags.c_contiguous else turned.copy())[None]


def _images(x, small):
    """The images of a layout (batch, channels, *size, lanes): the inverse of ``_laid_out``."""
    return x[0].transpose(-1, *range(x.ndim - 2)) if small else x[..., 0]


def _matrices(x, groups):
    """A layout as (batch, groups, channels / groups, places · lanes)."""
    return x.reshape(len(x), groups, x.shape[1] // groups, prod(x.shape[2:]))


def _columns(x, kernel, stride, dilation, places, groups, scratch):
    """The columns of a layout: (batch, groups, channels / groups · kernel, places · lanes)."""
    n = len(kernel)
    if prod(kernel) == 1 == max(stride):
        return _matrices(x, groups)
    step = x.strides[2 : 2 + n]
    view = strided(
        x,
        (*x.shape[:2], *kernel, *places, x.shape[-1]),
        (
            *x.strides[:2],
            *[d * s for d, s in zip(dilation, step, strict=True)],
            *[d * s for d, s in zip(stride, step, strict=True)],
            x.strides[-1],
        ),
    )
    packed = scratch.array(view.shape)
    np.copyto(packed, view)
    rows = x.shape[1] * prod(kernel) // groups
    return packed.reshape(len(x), groups, rows, prod(places) * x.shape[-1])


# Products ---------------------------------------------------------------------------------


def is_one_block(x, kernel, places, rows):
    """Whether all images ``x`` form one block, with a lane each, and lie in memory as they are.

    ``rows`` is the number of elements of a window.
    """
    count = len(x) * x.shape[1] * prod(kernel) * prod(places)
    return 0 < count * x.itemsize <= BLOCK and not _is_small(len(x), places, rows)


def _windows(x, kernel, stride, dilation, places):
    """The view (N, C, *kernel, *places) of the padded images ``x``."""
    step = x.strides[2:]
    strides = (*x.strides[:2], *map(mul, step, dilation), *map(mul, step, stride))
    return strided(x, (*x.shape[:2], *kernel, *places), strides)


def products(x, weight, places, stride, dilation, groups):
    """The convolution of the padded images ``x``, which are one block, with weight."""
    kernel = weight.shape[2:]
    images, channels = x.shape[:2]
    shape = (images, groups, channels * prod(kernel) // groups, prod(places))
    if shape[2] * groups != channels or max(stride) > 1:
        x = _windows(x, kernel, stride, dilation, places)
    matrices = weight.reshape(groups, len(weight) // groups, shape[2])
    out = made_like(x, (images, len(weight), *places))
    into = out.reshape(images, groups, len(weight) // groups, shape[3])
    np.matmul(matrices, x.reshape(shape), out=into)
    return out


def convolve(x, weight, out, stride, dilation, groups, bias):
    """Write the convolution of the padded ``x`` with weight, plus bias, into ``out``."""
    kernel, places = weight.shape[2:], out.shape[2:]
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    small = _is_small(len(x), places, matrices.shape[2], prod(kernel))
    scratch = _Scratch(x)
    for block in _blocks(len(x), x.shape[1] * prod(kernel) * prod(places) * x.itemsize):
        part = _laid_out(x[block], small)
        columns = _columns(part, kernel, stride, dilation, places, groups, scratch)
        if small:
            found = native.product(matrices[0], columns[0, 0]) if groups == 1 else None
            found = np.matmul(matrices, columns) if found is None else found
            out[block] = _images(found.reshape(1, len(weight), *places, -1), small)
        else:
            np.matmul(matrices, columns, out=_matrices(out[block], groups))
        if bias is not None:  # added here because the block is still in the cache
            out[block] += bias


def correlate_weight(g, x, kernel, stride, dilation, groups):
    """The weight's gradient: for each weight, the sum of ``g`` times the elements of x it met.

    ``x`` is padded.
    """
    places = g.shape[2:]
    rows = x.shape[1] * prod(kernel) // groups
    found = made_like(x, (g.shape[1], x.shape[1] // groups, *kernel))
    sums, fresh = found.reshape(groups, -1, rows), True
    small = _is_small(len(x), places, rows, prod(kernel))
    scratch = _Scratch(x)
    for block in _blocks(len(x), groups * rows * prod(places) * x.itemsize):
        part = _laid_out(x[block], small)
        columns = _columns(part, kernel, stride, dilation, places, groups, scratch)
        slope = _matrices(_laid_out(g[block], small), groups)
        for one, met in zip(slope, columns, strict=True):
            product = np.matmul(one, met.mT, out=sums if fresh else None)
            if not fresh:
                sums += product
            fresh = False
    return found


def meets_all(weight, size, g):
    """Whether each element of the padded images is a window of its own; then ``spread`` writes all.

    ``size`` is the size of the images.
    """
    return prod(weight.shape[2:]) == 1 and tuple(size) == g.shape[2:]


def spread(found, g, weight, stride, dilation, groups):
    """Add the gradient of x to the padded ``found``: ``g`` times weight, at each window's place."""
    kernel, places = weight.shape[2:], g.shape[2:]
    if prod(kernel) == 1:  # a window is one element, and no element is in two windows
        matrices = weight.reshape(groups, -1, weight.shape[1]).mT
        slopes = _matrices(g[..., None], groups)
        if meets_all(weight, found.shape[2:], g):
            np.matmul(matrices, slopes, out=_matrices(found[..., None], groups))
        else:
            ((_, met),) = offsets(kernel, stride, dilation, g.shape[2:])
            shares = np.matmul(matrices, slopes).reshape(len(g), -1, *g.shape[2:])
            found[(slice(None), slice(None), *met)] = shares
        return
    apart = all(map(le, span(kernel, dilation), stride))
    if apart and is_one_block(found, kernel, places, 0):
        matrices = weight.reshape(groups, len(weight) // groups, -1).mT
        shares = np.matmul(matrices, g.reshape(len(g), groups, -1, prod(places)))
        windows = _windows(found, kernel, stride, dilation, places)
        np.add(windows, shares.reshape(windows.shape), out=windows)
        return
    matrices = weight.reshape(groups, len(weight) // groups, -1).mT
    small = _is_small(len(g), g.shape[2:])
    # To look at a weight that is larger than the images takes longer than it saves.
    flat = weight.size <= g.size and _is_flat(weight, stride)
    lengthened, scratch = _Scratch(g), _Scratch(g)
    for block in _blocks(len(g), found.shape[1] * prod(kernel) * prod(g.shape[2:]) * g.itemsize):
        slope = _laid_out(g[block], small)
        into = _laid_out(found[block], small)
        if flat:
            slope = _lengthened(slope, found.shape[2:], lengthened)
        shape = (len(into), groups, matrices.shape[1], prod(slope.shape[2:]))
        shares = np.matmul(matrices, _matrices(slope, groups), out=scratch.array(shape))
        shares = shares.reshape(len(into), groups, weight.shape[1], prod(kernel), *slope.shape[2:])
        (_add_runs if flat else _add)(into, shares, kernel, stride, dilation, g.shape[2:])
        if small:
            found[block] = _images(into, small)


def _add(into, shares, kernel, stride, dilation, places):
    """Add the share of each kernel element to the image elements that it meets."""
    into = into.reshape(len(into), *shares.shape[1:3], *into.shape[2:])
    for tap, (_, met) in enumerate(offsets(kernel, stride, dilation, places)):
        part = into[(slice(None), slice(None), slice(None), *met)]
        np.add(part, shares[:, :, :, tap], out=part)


def _is_flat(weight, stride):
    """Whether zeros may be appended to rows: an infinite weight or nan times 0 would be nan."""
    return set(stride) == {1} and bool(np.isfinite(weight).all())


# Stride 1: if the rows of g are as long as the image's, a kernel element meets one contiguous run


def _lengthened(g, size, scratch):
    """``g`` with zeros appended, so that its rows and planes are as long as an image's of ``size``.

    The first dim of the size is not lengthened.
    """
    wide = scratch.zeros((*g.shape[:3], *size[1:], g.shape[-1]))
    wide[(slice(None), slice(None), *[slice(n) for n in g.shape[2:-1]])] = g
    return wide


@lru_cache(256)
def _runs(kernel, dilation, size, places, lanes):
    """(the length of a run, the start of each kernel element's run in a flat image)."""
    steps = [prod(size[i + 1 :]) * lanes for i in range(len(size))]
    length = sum((n - 1) * s for n, s in zip(places, steps, strict=True)) + lanes
    starts = [
        sum(k * d * s for k, d, s in zip(at, dilation, steps, strict=True))
        for at in np.ndindex(*kernel)
    ]
    return length, starts


def _add_runs(into, shares, kernel, stride, dilation, places):
    lanes, size = into.shape[-1], into.shape[2:-1]
    length, starts = _runs(kernel, dilation, size, places, lanes)
    into = into.reshape(len(into), *shares.shape[1:3], prod(size) * lanes)
    shares = shares.reshape(*shares.shape[:4], -1)
    for tap, start in enumerate(starts):
        part = into[..., start : start + length]
        np.add(part, shares[:, :, :, tap, :length], out=part)


# Depthwise: a sum over the kernel elements instead of a matrix product ----------------------


def _taps(weight):
    """The kernels as (elements of a kernel, channels, 1)."""
    return weight.reshape(len(weight), -1).T[:, :, None]


def depthwise(x, weight, out, stride, dilation):
    """``convolve`` if each channel of ``x`` has its own kernel."""
    places = out.shape[2:]
    if set(stride) == {1}:
        length, starts = _runs(weight.shape[2:], dilation, x.shape[2:], places, 1)
        steps = [x.itemsize * prod(x.shape[i + 1 :]) for i in range(2, x.ndim)]
        for block in _blocks(len(x), x[0].nbytes):
            part = x[block].reshape(*x[block].shape[:2], -1)
            total = np.zeros((*part.shape[:2], length), x.dtype)
            term = np.empty_like(total)
            for w, start in zip(_taps(weight), starts, strict=True):
                total += np.multiply(part[..., start : start + length], w, out=term)
            out[block] = strided(total, (*total.shape[:2], *places), (*total.strides[:2], *steps))
        return
    out[...] = 0
    for block in _blocks(len(x), out[0].nbytes):
        for at, met in offsets(weight.shape[2:], stride, dilation, places):
            w = weight[(slice(None), 0, *at)].reshape(-1, *[1] * len(met))
            out[block] += x[(block, slice(None), *met)] * w


def spread_depthwise(found, g, weight, stride, dilation):
    """``spread`` if each channel has its own kernel."""
    if _is_flat(weight, stride):
        length, starts = _runs(weight.shape[2:], dilation, found.shape[2:], g.shape[2:], 1)
        scratch = _Scratch(g)
        for block in _blocks(len(g), found[0].nbytes):
            slope = _lengthened(g[block][..., None], found.shape[2:], scratch)
            slope = slope.reshape(*slope.shape[:2], -1)[..., :length]
            into = found[block].reshape(*slope.shape[:2], -1)
            term = np.empty_like(slope)
            for w, start in zip(_taps(weight), starts, strict=True):
                into[..., start : start + length] += np.multiply(slope, w, out=term)
        return
    for block in _blocks(len(g), found[0].nbytes):
        for at, met in offsets(weight.shape[2:], stride, dilation, g.shape[2:]):
            w = weight[(slice(None), 0, *at)].reshape(-1, *[1] * len(met))
            found[(block, slice(None), *met)] += g[block] * w
