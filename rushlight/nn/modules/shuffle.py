"""Layers that turn channels into pixels and back, or reorder channels."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = ["ChannelShuffle", "PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Rearranges r² channels into r x r pixels, where r is ``upscale_factor``.

    Shape: x: (…, C · r², H, W) → (…, C, H · r, W · r).

    Args:
        upscale_factor: The factor r by which H and W grow.

    Source: Shi et al. 2016, https://arxiv.org/abs/1609.05158

    >>> import rushlight as torch
    >>> torch.nn.PixelShuffle(3)(torch.ones(1, 9, 4, 4)).shape
    torch.Size([1, 1, 12, 12])
    """

    __constants__ = ["upscale_factor"]

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Undoes ``PixelShuffle``: turns r x r pixels into r² channels.

    Shape: x: (…, C, H · r, W · r) → (…, C · r², H, W).

    Args:
        downscale_factor: The factor r by which H and W shrink.

    >>> import rushlight as torch
    >>> torch.nn.PixelUnshuffle(3)(torch.ones(1, 1, 12, 12)).shape
    torch.Size([1, 9, 4, 4])
    """

    __constants__ = ["downscale_factor"]

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Reorders channels: the first channel of each of ``groups`` groups, then the second, ….

    Shape: x: (N, C, …) → the same.

    Args:
        groups: Number of groups of neighbouring channels; divides C.

    Source: Zhang et al. 2017, https://arxiv.org/abs/1707.01083

    >>> import rushlight as torch
    >>> torch.nn.ChannelShuffle(2)(torch.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    __constants__ = ["groups"]

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"
