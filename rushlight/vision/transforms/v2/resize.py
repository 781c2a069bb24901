"""Transforms that resize to a random size."""

import rushlight as torch
from rushlight.vision.transforms.draws import below, within
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.samples import query_size
from rushlight.vision.transforms.v2.transform import Transform

__all__ = ["RandomResize", "RandomShortestSize", "ScaleJitter"]


class _RandomSize(Transform):
    """Resizes to a size that ``make_params`` draws."""

    def transform(self, inpt, params):
        return self._call_kernel(
            F.resize, inpt, params["size"], interpolation=self.interpolation,
            antialias=self.antialias,
        )  # fmt: skip


class ScaleJitter(_RandomSize):
    """Resizes to a random multiple of the largest size that fits ``target_size``.

    Args:
        target_size: The size, in pixels.
        scale_range: Range of the multiple. Default: (0.1, 2).

    Source: Ghiasi et al. 2020, https://arxiv.org/abs/2012.07177

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ScaleJitter((4, 4), scale_range=(1, 1))(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 4, 4])
    """

    def __init__(
        self, target_size, scale_range=(0.1, 2.0), interpolation="bilinear", antialias=True
    ):
        super().__init__()
        self.target_size = target_size
        self.scale_range = scale_range
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        scale = self.scale_range[0] + torch.rand(1) * (self.scale_range[1] - self.scale_range[0])
        ratio = min(self.target_size[1] / height, self.target_size[0] / width) * scale
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomShortestSize(_RandomSize):
    """Resizes so that the shorter side gets a length that is drawn from a list.

    Args:
        min_size: The lengths, in pixels: an int or a sequence.
        max_size: The largest length of the longer side. Default: None, no limit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomShortestSize([4])(torch.zeros(3, 8, 16)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(self, min_size, max_size=None, interpolation="bilinear", antialias=True):
        super().__init__()
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        ratio = self.min_size[below(len(self.min_size))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomResize(_RandomSize):
    """Resizes so that the shorter side gets a random length.

    Args:
        min_size, max_size: Range of the length, in pixels, without ``max_size`` itself.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomResize(4, 5)(torch.zeros(3, 8, 16)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(self, min_size, max_size, interpolation="bilinear", antialias=True):
        super().__init__()
        self.min_size = min_size
        self.max_size = max_size
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs):
        return {"size": [within(self.min_size, self.max_size)]}
