"""Fixed-size features of regions of interest (RoI): aligned, pooled and position-sensitive.

The places that a region takes from the image, and their weights, are found in NumPy, because they
have no gradient. ``weighted_gather`` takes them, so that the gradient goes to the image.
"""

from typing import Any

import numpy as np

import rushlight as torch
from rushlight import nn
from rushlight.ops.windows.grid_sample import weighted_gather
from rushlight.vision.ops.region_arrays import arrays_of, divided, of_own_channels, rois_of, two
from rushlight.vision.ops.region_pooling import ps_roi_pool, roi_pool

__all__ = [
    "PSRoIAlign", "PSRoIPool", "RoIAlign", "RoIPool", "ps_roi_align", "ps_roi_pool", "roi_align",
    "roi_pool", "rois_of",
]  # fmt: skip


def _shares(start, length, bins, samples, size):
    """The weight of each place of one axis in the average of each bin: (K, bins, size).

    ``samples`` (K,) is the number of samples of each bin; without samples all weights are 0.
    """
    number = np.arange(max(int(samples.max()), 1))
    count = np.maximum(samples, 1)[:, None, None].astype(start.dtype)
    width = (length / bins)[:, None, None]
    steps = np.arange(bins, dtype=start.dtype)[None, :, None]
    inside = number.astype(start.dtype) + start.dtype.type(0.5)
    at = start[:, None, None] + steps * width + inside * (width / count)
    share = np.where((at < -1) | (at > size) | (number >= samples[:, None, None]), 0, 1 / count)
    at = at.clip(0, size - 1)
    low = at.astype(np.int64)
    part = at - low
    row = np.arange(len(start) * bins).reshape(len(start), bins, 1) * size
    places = np.concatenate([row + low, row + np.minimum(low + 1, size - 1)], 2)
    weights = np.concatenate([share * (1 - part), share * part], 2)
    found = np.bincount(places.ravel(), weights.ravel(), len(start) * bins * size)
    return found.astype(start.dtype).reshape(len(start), bins, size)


_DENSE = 16  # a product of matrices takes this many more terms in the time of gathered ones


def _few_pixels(input, bins, samples):
    """Whether products with whole images are faster than the gathering of the samples.

    A product spreads inf and nan over all regions of an image, so that images must have none.
    """
    height, width = input.shape[-2:]
    taps = 4 * samples.clip(0).prod(1).mean()
    if height * width > _DENSE * bins[1] * taps:
        return False
    return bool(np.isfinite(input.detach().numpy()).all())


def _multiplied(input, numbers, start, length, bins, samples):
    """The averages (K, C, PH, PW) of all bins, by products with the weights of rows and columns."""
    channels, *sizes = input.shape[1:]
    rows, columns = [
        _shares(start[:, i], length[:, i], bins[i], samples[:, i], sizes[i]) for i in (0, 1)
    ]
    found, order = [], []
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        image = input[int(number)].transpose(0, 1).reshape(sizes[0], channels * sizes[1])
        mixed = torch.from_numpy(rows[own].reshape(-1, sizes[0])) @ image
        mixed = mixed.reshape(len(own), bins[0] * channels, sizes[1])
        averaged = mixed @ torch.from_numpy(columns[own]).mT
        found.append(averaged.reshape(len(own), bins[0], channels, bins[1]).transpose(1, 2))
        order.append(own)
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(found)[torch.from_numpy(back)]


def _samples(length, bins, ratio):
    """The number of samples of each bin along both axes: (K, 2)."""
    if ratio > 0:
        return np.full(length.shape, ratio)
    return np.ceil(length / np.array(bins, length.dtype)).astype(np.int64)


def _axis(start, length, bins, samples, size):
    """Where the samples of one axis lie: places and weights (K, bins, 2 · samples).

    Each of the ``bins`` of each region has ``samples`` points, and each point lies between two
    pixels. The place -1 stands for points that are more than one pixel outside.
    """
    width = (length / bins)[:, None, None]
    steps = np.arange(bins, dtype=start.dtype)[None, :, None]
    inside = np.arange(samples, dtype=start.dtype) + start.dtype.type(0.5)
    at = start[:, None, None] + steps * width + inside * (width / samples)
    outside = (at < -1) | (at > size)
    at = np.maximum(at, 0)
    low = np.minimum(at.astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    share = np.where(low >= size - 1, 0, at - low).astype(start.dtype)
    places = np.concatenate([low, high], 2)
    weights = np.concatenate([1 - share, share], 2)
    return np.where(np.concatenate([outside, outside], 2), -1, places), weights


def _crossed(rows, columns, width):
    """Places and weights (K, PH, PW, taps) in the flattened image, from those of both axes."""
    (y, y_weight), (x, x_weight) = rows, columns
    y, x = y[:, :, None, :, None], x[:, None, :, None, :]
    places = np.where((y < 0) | (x < 0), -1, y * width + x)
    weights = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    return places.reshape(*places.shape[:3], -1), weights.reshape(*weights.shape[:3], -1)


def _sampled(input, numbers, start, length, bins, ratio, gather):
    """Average the samples of each bin. ``gather`` takes (image, places, weights) to (K, …).

    Regions of one image and one number of samples are computed together. Regions without an area
    have no samples, and give 0.
    """
    height, width = input.shape[-2:]
    samples = _samples(length, bins, ratio)
    keys = np.concatenate([numbers[:, None], samples], 1)
    found, order = [], []
    for key in np.unique(keys, axis=0):
        chosen = np.flatnonzero((keys == key).all(1))
        number, grid = int(key[0]), key[1:]
        count = grid[0] * grid[1] if min(grid) > 0 else np.inf
        rows, columns = [
            _axis(start[chosen, i], length[chosen, i], bins[i], max(int(grid[i]), 1), size)
            for i, size in enumerate((height, width))
        ]
        places, weights = _crossed(rows, columns, width)
        weights = (weights / weights.dtype.type(count)).astype(weights.dtype)
        found.append(gather(input[number], places, weights))
        order.append(chosen)
    back = np.argsort(np.concatenate(order), kind="stable")
    return torch.cat(found)[torch.from_numpy(back)]


def roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Average bilinear samples in each bin of each region.

    Args:
        input: Tensor ``(N, C, H, W)``.
        aligned: Move the boxes by half a pixel, so that a pixel's centre is its place. Default:
            False.

    Returns:
        Tensor ``(K, C, *output_size)``.

    Raises:
        AssertionError: The boxes have another shape.
        RuntimeError: The boxes have another dtype than ``input``.

    Source: He et al. 2017, https://arxiv.org/abs/1703.06870

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import roi_align
    >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(image, [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 1, aligned=True)
    tensor([[[[5.]]]])
    """
    numbers, array = arrays_of(input, boxes, "roi_align")
    bins, channels = two(output_size), input.shape[1]
    if not len(numbers):
        return input.new_zeros((0, channels, *bins))
    scaled = array * array.dtype.type(spatial_scale) - array.dtype.type(0.5 * aligned)
    start, end = scaled[:, 1::-1], scaled[:, :1:-1]  # (y, x)
    length = end - start if aligned else np.maximum(end - start, 1)
    samples = _samples(length, bins, sampling_ratio)
    if _few_pixels(input, bins, samples):
        return _multiplied(input, numbers, start, length, bins, samples)

    def gather(image, places, weights):
        k, taps = len(places), places.shape[-1]
        at, share = (torch.from_numpy(a.reshape(1, -1, taps)).mT for a in (places, weights))
        out = weighted_gather(image.reshape(1, channels, -1), share.contiguous(), at.contiguous())
        return out.reshape(channels, k, *bins).transpose(0, 1)

    return _sampled(input, numbers, start, length, bins, sampling_ratio, gather)


def ps_roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1):
    """``roi_align`` in which each bin has channels of its own.

    Args:
        input: Tensor ``(N, C·PH·PW, H, W)`` for an ``output_size`` of (PH, PW).

    Returns:
        Tensor ``(K, C, PH, PW)``.

    Raises:
        AssertionError: The boxes have another shape.
        RuntimeError: The number of channels is no multiple of PH·PW, or the dtypes differ.

    Source: Li et al. 2017, https://arxiv.org/abs/1711.07264

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import ps_roi_align
    >>> ps_roi_align(torch.zeros(1, 8, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2).shape
    torch.Size([1, 2, 2, 2])
    """
    numbers, array = arrays_of(input, boxes, "ps_roi_align")
    bins = two(output_size)
    channels = divided(input, bins, "ps_roi_align")
    if not len(numbers):
        return input.new_zeros((0, channels, *bins))
    scaled = array * array.dtype.type(spatial_scale) - array.dtype.type(0.5)
    start, end = scaled[:, 1::-1], scaled[:, :1:-1]
    length, sizes = end - start, input.shape[-2:]
    if np.isfinite(input.detach().numpy()).all():
        samples = _samples(length, bins, sampling_ratio)
        rows, columns = [
            _shares(start[:, i], length[:, i], bins[i], samples[:, i], sizes[i]) for i in (0, 1)
        ]
        found = of_own_channels(input, numbers, rows, columns)
    else:
        found = _gathered(input, numbers, start, length, bins, sampling_ratio)
    if sampling_ratio > 0:
        return found
    # As in torchvision, a region that ends before it begins has 0; the average of nothing is nan.
    counts = np.ceil(length / np.array(bins, length.dtype))
    for which, value in (((counts < 0).any(1), 0.0), ((counts == 0).any(1), float("nan"))):
        found = found.masked_fill(torch.from_numpy(which)[:, None, None, None], value)
    return found


def _gathered(input, numbers, start, length, bins, ratio):
    """``ps_roi_align`` without products: these would spread inf and nan over whole images."""
    channels = input.shape[1] // (bins[0] * bins[1])

    def gather(image, places, weights):
        k, taps, each = len(places), places.shape[-1], bins[0] * bins[1]
        image = image.reshape(channels, each, -1).transpose(0, 1)
        at, share = (
            torch.from_numpy(np.ascontiguousarray(a.reshape(k, each, taps).transpose(1, 2, 0)))
            for a in (places, weights)
        )
        return weighted_gather(image, share, at).reshape(*bins, channels, k).permute(3, 2, 0, 1)

    return _sampled(input, numbers, start, length, bins, ratio, gather)


class _Regions(nn.Module):
    """A layer of one of the functions above; ``function`` gets the attributes named ``OWN``."""

    OWN: tuple[str, ...] = ()
    function: Any = None

    def forward(self, input, rois):
        return type(self).function(input, rois, *(getattr(self, name) for name in self.OWN))

    def __repr__(self):
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in self.OWN)
        return f"{type(self).__name__}({shown})"


class RoIAlign(_Regions):
    """Averages bilinear samples in each bin of each region, as ``roi_align`` does.

    Shape: input: (N, C, H, W), rois: (K, 5) or a list of (L, 4) → (K, C, *output_size).

    Args:
        aligned: Move the boxes by half a pixel, so that a pixel's centre is its place. Default:
            False.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import RoIAlign
    >>> layer = RoIAlign(2, spatial_scale=1.0, sampling_ratio=2)
    >>> layer(torch.zeros(1, 3, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])]).shape
    torch.Size([1, 3, 2, 2])
    """

    OWN = ("output_size", "spatial_scale", "sampling_ratio", "aligned")
    function = staticmethod(roi_align)

    def __init__(self, output_size, spatial_scale, sampling_ratio, aligned=False):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned


class PSRoIAlign(_Regions):
    """``RoIAlign`` in which each bin has channels of its own, as ``ps_roi_align`` does.

    Shape: input: (N, C·PH·PW, H, W), rois: (K, 5) or a list of (L, 4) → (K, C, PH, PW).

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import PSRoIAlign
    >>> layer = PSRoIAlign(2, spatial_scale=1.0, sampling_ratio=2)
    >>> layer(torch.zeros(1, 8, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])]).shape
    torch.Size([1, 2, 2, 2])
    """

    OWN = ("output_size", "spatial_scale", "sampling_ratio")
    function = staticmethod(ps_roi_align)

    def __init__(self, output_size, spatial_scale, sampling_ratio):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio


class RoIPool(_Regions):
    """Finds the maximum of each bin of each region, as ``roi_pool`` does.

    Shape: input: (N, C, H, W), rois: (K, 5) or a list of (L, 4) → (K, C, *output_size).

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import RoIPool
    >>> layer = RoIPool(2, spatial_scale=1.0)
    >>> layer(torch.zeros(1, 3, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])]).shape
    torch.Size([1, 3, 2, 2])
    """

    OWN = ("output_size", "spatial_scale")
    function = staticmethod(roi_pool)

    def __init__(self, output_size, spatial_scale):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale


class PSRoIPool(RoIPool):
    """Averages each bin of each region, each of its own channels, as ``ps_roi_pool`` does.

    Shape: input: (N, C·PH·PW, H, W), rois: (K, 5) or a list of (L, 4) → (K, C, PH, PW).

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import PSRoIPool
    >>> layer = PSRoIPool(2, spatial_scale=1.0)
    >>> layer(torch.zeros(1, 8, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])]).shape
    torch.Size([1, 2, 2, 2])
    """

    function = staticmethod(ps_roi_pool)
