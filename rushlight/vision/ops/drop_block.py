"""DropBlock: dropout of whole squares of a feature map."""

import math

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d"]


def _dropped(input, p, block_size, inplace, eps, training, dims):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != dims + 2:
        raise ValueError(f"input should be {dims + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sizes = input.shape[2:]
    block = min(block_size, *sizes)
    if block % 2 == 0:
        raise ValueError(f"block size should be odd. Got {block} which is even.")
    room = [size - block + 1 for size in sizes]
    chance = p * math.prod(sizes) / (block**dims * math.prod(room))
    centres = torch.empty((*input.shape[:2], *room), dtype=input.dtype, device=input.device)
    centres.bernoulli_(chance)
    pool = F.max_pool2d if dims == 2 else F.max_pool3d
    padded = F.pad(centres, [block // 2] * (2 * dims), value=0)
    kept = 1 - pool(padded, kernel_size=block, stride=1, padding=block // 2)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(input, p, block_size, inplace=False, eps=1e-06, training=True):
    """Set squares of a feature map to 0, and scale the rest up.

    Args:
        input: Tensor ``(N, C, H, W)``.
        p: Share of the elements that is dropped, about.
        block_size: Side of the squares, odd.
        inplace: Write into ``input`` itself. Default: False.
        eps: Number added to a denominator, so that it is not 0. Default: 1e-6.
        training: Drop anything at all. Default: True.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        ValueError: ``p``, the dims or the block's size is not allowed.

    Source: Ghiasi et al. 2018, https://arxiv.org/abs/1810.12890

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import drop_block2d
    >>> drop_block2d(torch.ones(1, 1, 8, 8), 0.2, 3).shape
    torch.Size([1, 1, 8, 8])
    """
    return _dropped(input, p, block_size, inplace, eps, training, 2)


def drop_block3d(input, p, block_size, inplace=False, eps=1e-06, training=True):
    """Set cubes of a feature map to 0, and scale the rest up.

    Args:
        input: Tensor ``(N, C, D, H, W)``.
        p: Share of the elements that is dropped, about.
        block_size: Side of the cubes, odd.
        inplace: Write into ``input`` itself. Default: False.
        eps: Number added to a denominator, so that it is not 0. Default: 1e-6.
        training: Drop anything at all. Default: True.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        ValueError: ``p``, the dims or the block's size is not allowed.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import drop_block3d
    >>> drop_block3d(torch.ones(1, 1, 8, 8, 8), 0.2, 3).shape
    torch.Size([1, 1, 8, 8, 8])
    """
    return _dropped(input, p, block_size, inplace, eps, training, 3)


class DropBlock2d(nn.Module):
    """Sets squares of a feature map to 0 in training, as ``drop_block2d`` does.

    Shape: (N, C, H, W) → the same.

    Args:
        p: Share of the elements that is dropped, about.
        block_size: Side of the squares, odd.
        inplace: Write into the input itself. Default: False.
        eps: Number added to a denominator, so that it is not 0. Default: 1e-6.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import DropBlock2d
    >>> DropBlock2d(0.2, 3)(torch.ones(1, 1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    """

    _dims = 2

    def __init__(self, p, block_size, inplace=False, eps=1e-06):
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input):
        options = self.p, self.block_size, self.inplace, self.eps, self.training
        return _dropped(input, *options, self._dims)

    def __repr__(self):
        shown = f"p={self.p}, block_size={self.block_size}, inplace={self.inplace}"
        return f"{type(self).__name__}({shown})"


class DropBlock3d(DropBlock2d):
    """Sets cubes of a feature map to 0 in training, as ``drop_block3d`` does.

    Shape: (N, C, D, H, W) → the same.

    Args:
        p: Share of the elements that is dropped, about.
        block_size: Side of the cubes, odd.
        inplace: Write into the input itself. Default: False.
        eps: Number added to a denominator, so that it is not 0. Default: 1e-6.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import DropBlock3d
    >>> DropBlock3d(0.2, 3)(torch.ones(1, 1, 8, 8, 8)).shape
    torch.Size([1, 1, 8, 8, 8])
    """

    _dims = 3
