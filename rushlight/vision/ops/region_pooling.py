"""Pooling of regions of interest whose borders are rounded to pixels: maxima, and averages."""

import numpy as np

import rushlight as torch
from rushlight.backend import native
from rushlight.vision.ops.region_arrays import arrays_of, divided, of_own_channels, two

__all__ = ["ps_roi_pool", "roi_pool"]


def _rounded(x):
    """Integers, halves away from 0."""
    return (np.sign(x) * np.floor(np.abs(x) + x.dtype.type(0.5))).astype(np.int64)


def _edges(start, length, bins, size):
    """The first element of each bin, and the first one after it: (K, bins) each."""
    width = (length.astype(np.float32) / np.float32(bins))[:, None]
    steps = np.arange(bins, dtype=np.float32)
    first = np.floor(steps * width).astype(np.int64) + start[:, None]
    last = np.ceil((steps + 1) * width).astype(np.int64) + start[:, None]
    return first.clip(0, size), last.clip(0, size)


def roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """Find the maximum of each bin of each region, whose borders are rounded to pixels.

    Args:
        input: Tensor ``(N, C, H, W)``.

    Returns:
        Tensor ``(K, C, *output_size)``; 0 for empty bins. As in torchvision, nan and -inf do not
        count: a bin of such numbers alone has the lowest float32 number, without a gradient.

    Raises:
        AssertionError: The boxes have another shape.
        RuntimeError: The boxes have another dtype than ``input``.

    Source: Girshick 2015, https://arxiv.org/abs/1504.08083

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import roi_pool
    >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_pool(image, [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2).flatten()
    tensor([ 5.,  7., 13., 15.])
    """
    numbers, array = arrays_of(input, boxes, "roi_pool")
    bins, (_, channels, height, width) = two(output_size), input.shape
    if not len(numbers) or not input.numel():
        return input.new_zeros((len(numbers), channels, *bins))
    corners = _rounded(array * array.dtype.type(spatial_scale))
    length = np.maximum(corners[:, 2:] - corners[:, :2] + 1, 1)
    top, bottom = _edges(corners[:, 1], length[:, 1], bins[0], height)
    left, right = _edges(corners[:, 0], length[:, 0], bins[1], width)
    empty = ((bottom <= top)[:, :, None] | (right <= left)[:, None])[:, None]
    sizes = len(numbers), channels, height, width, *bins
    values = input.detach().numpy()
    given = values, _LOWEST, numbers, top, bottom, left, right, *sizes
    results = [((len(numbers), channels, *bins), np.dtype(np.int64))]
    least = native.LEAST_LOOP
    looped = native.looped(_largest, given, results) if empty.size * channels >= least else None
    if looped is not None:
        at = looped[0]
    else:
        pixels = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        pixels = np.where(pixels > _LOWEST, pixels, -np.inf)  # nan compares False
        best, place, which = _row_maxima(pixels, numbers, top, bottom)
        place = _maxima(best, place, which, left, right)
        image = numbers[:, None] * channels + np.arange(channels)
        at = image[:, :, None, None] * (height * width) + place.transpose(0, 3, 1, 2)
        at = np.where(empty, 0, at)
    found, counts = input.take(torch.from_numpy(at)), values.take(at) > _LOWEST
    if not counts.all():
        found = found.masked_fill(torch.from_numpy(~counts), _LOWEST)
    return found.masked_fill(torch.from_numpy(empty), 0)


#: A bin's maximum begins with this number.
_LOWEST = -float(np.finfo(np.float32).max)


def _largest(
    x, lowest, numbers, top, bottom, left, right, k, channels, height, width, rows, columns, at
):  # fmt: skip
    """The place in x (N, C, H, W) of the maximum of each bin: (K, C, PH, PW); 0 for empty bins."""
    for a in range(k):
        for c in range(channels):
            image = (numbers[a] * channels + c) * height * width
            for i in range(rows):
                for j in range(columns):
                    place = image + top[a * rows + i] * width + left[a * columns + j]
                    if (
                        bottom[a * rows + i] <= top[a * rows + i]
                        or right[a * columns + j] <= left[a * columns + j]
                    ):
                        place = 0
                    best = lowest
                    for y in range(top[a * rows + i], bottom[a * rows + i]):
                        for z in range(left[a * columns + j], right[a * columns + j]):
                            if x[image + y * width + z] > best:
                                place = image + y * width + z
                                best = x[place]
                    at[((a * channels + c) * rows + i) * columns + j] = place


def _row_maxima(pixels, numbers, top, bottom):
    """The maximum of each column over rows of an image, and its place: (U, W, C) each.

    ``pixels`` are (N, H, W, C). Also returns (K, PH): which of the U sets of rows each bin has.
    Bins of the same rows are computed once.
    """
    height, width = pixels.shape[1:3]
    keys = (np.repeat(numbers, top.shape[1]), top.ravel(), bottom.ravel())
    shape = len(pixels), height + 1, height + 1
    found, which = np.unique(np.ravel_multi_index(keys, shape), return_inverse=True)
    number, first, last = np.unravel_index(found, shape)
    best = pixels[number, np.minimum(first, height - 1)]
    row = np.zeros(best.shape, np.int64) + first[:, None, None]
    for step in range(1, (last - first).max()):
        own = np.flatnonzero(first + step < last)
        found, at = pixels[number[own], first[own] + step], first[own] + step
        better = found > best[own]
        best[own] = np.where(better, found, best[own])
        row[own] = np.where(better, at[:, None, None], row[own])
    return best, row * width + np.arange(width)[:, None], which.reshape(top.shape)


def _maxima(best, place, which, left, right):
    """The place in the image of the maximum of each bin, (K, PH, PW, C).

    The other arguments are the results of ``_row_maxima``. Of equal maxima the first counts, row by
    row, as in torchvision.
    """
    which = which[:, :, None]
    column = lambda step: np.minimum(left + step, right - 1).clip(0, best.shape[1] - 1)[:, None]
    top, at = best[which, column(0)], place[which, column(0)]
    for step in range(1, (right - left).max()):
        found, where = best[which, column(step)], place[which, column(step)]
        better = (found > top) | ((found == top) & (where < at))
        np.copyto(top, found, where=better)
        np.copyto(at, where, where=better)
    return at


def ps_roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """Average each bin of each region, in which each bin has channels of its own.

    Args:
        input: Tensor ``(N, C·PH·PW, H, W)`` for an ``output_size`` of (PH, PW).

    Returns:
        Tensor ``(K, C, PH, PW)``; 0 for empty bins.

    Raises:
        AssertionError: The boxes have another shape.
        RuntimeError: The number of channels is no multiple of PH·PW, or the dtypes differ.

    Source: Dai et al. 2016, https://arxiv.org/abs/1605.06409

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import ps_roi_pool
    >>> ps_roi_pool(torch.ones(1, 8, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2).mean()
    tensor(1.)
    """
    numbers, array = arrays_of(input, boxes, "ps_roi_pool")
    bins, (height, width) = two(output_size), input.shape[-2:]
    channels = divided(input, bins, "ps_roi_pool")
    if not len(numbers):
        return input.new_zeros((0, channels, *bins))
    corners = _rounded(array * array.dtype.type(spatial_scale))
    length = np.maximum(corners[:, 2:] - corners[:, :2], 1)
    shares = []
    for start, count, size, axis in (
        (corners[:, 1], bins[0], height, 1), (corners[:, 0], bins[1], width, 0),
    ):  # fmt: skip
        first, last = _edges(start, length[:, axis], count, size - 1)
        at = np.arange(size)
        inside = (at >= first[..., None]) & (at < last[..., None])
        each = inside / np.maximum(inside.sum(-1, keepdims=True), 1)
        shares.append(each.astype(array.dtype))
    return of_own_channels(input, numbers, *shares)
