"""Deformable convolution: a convolution whose kernel's elements are moved by offsets."""

import math

import rushlight as torch
from rushlight import nn
from rushlight.nn import init
from rushlight.ops.windows.grid_sample import weighted_gather

__all__ = ["DeformConv2d", "deform_conv2d"]


def _two(x):
    return (x, x) if isinstance(x, int) else tuple(x)


def _sampled(x, y_at, x_at, mask):
    """Bilinear samples (N, C, P) of x (N, C, H, W) at places (N, P), times ``mask``."""
    height, width = x.shape[-2:]
    outside = (y_at <= -1) | (y_at >= height) | (x_at <= -1) | (x_at >= width)
    low_y, low_x = y_at.detach().floor(), x_at.detach().floor()
    places, weights = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = low_y + dy, low_x + dx
            out = (row < 0) | (row > height - 1) | (column < 0) | (column > width - 1) | outside
            # 1 - |distance|, written without abs so that the gradient at 0 is the same on each side
            share_y = y_at - low_y if dy else 1 - (y_at - low_y)
            share_x = x_at - low_x if dx else 1 - (x_at - low_x)
            places.append((row * width + column).long().masked_fill(out, -1))
            share = share_y * share_x if mask is None else share_y * share_x * mask
            weights.append(share.masked_fill(out, 0))  # so that no gradient comes from outside
    return weighted_gather(x.flatten(2), torch.stack(weights, 1), torch.stack(places, 1))


def deform_conv2d(
    input, offset, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), mask=None
):
    """Convolve an image with a kernel whose elements are moved by offsets.

    Args:
        input: Tensor ``(N, C, H, W)``.
        offset: Tensor ``(N, 2·G·KH·KW, H', W')``: y and x of each element's movement, for each of G
            groups of channels.
        weight: Tensor ``(O, C // groups, KH, KW)``.
        bias: Tensor ``(O,)``. Default: None.
        stride, padding, dilation: As of ``conv2d``.
        mask: Tensor ``(N, G·KH·KW, H', W')``: factors of the elements. Default: None, 1.

    Returns:
        Tensor ``(N, O, H', W')``.

    Raises:
        RuntimeError: The shapes do not fit.

    Source: Zhu et al. 2018, https://arxiv.org/abs/1811.11168

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import deform_conv2d
    >>> x, offset = torch.ones(1, 1, 3, 3), torch.zeros(1, 8, 2, 2)
    >>> deform_conv2d(x, offset, torch.ones(1, 1, 2, 2)).flatten()
    tensor([4., 4., 4., 4.])
    """
    (n, channels, height, width), (_, each, kh, kw) = input.shape, weight.shape
    (sy, sx), (py, px), (dy, dx) = _two(stride), _two(padding), _two(dilation)
    groups = offset.shape[1] // (2 * kh * kw)
    if groups == 0 or offset.shape[1] % (2 * kh * kw):
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple "
            f"of 2 * weight.size[2] * weight.size[3] = {2 * kh * kw}, got {offset.shape[1]}"
        )
    rows = (height + 2 * py - dy * (kh - 1) - 1) // sy + 1
    columns = (width + 2 * px - dx * (kw - 1) - 1) // sx + 1
    if tuple(offset.shape) != (n, 2 * groups * kh * kw, rows, columns) or channels % groups:
        raise RuntimeError(
            f"deform_conv2d: offset {tuple(offset.shape)} does not fit input {tuple(input.shape)}: "
            f"it must be {(n, 2 * groups * kh * kw, rows, columns)}"
        )
    like = {"dtype": input.dtype, "device": input.device}
    y = (torch.arange(kh, **like) * dy - py)[:, None, None, None]
    y = y + torch.arange(rows, **like)[None, None, :, None] * sy
    x = (torch.arange(kw, **like) * dx - px)[None, :, None, None]
    x = x + torch.arange(columns, **like)[None, None, None, :] * sx
    moved = offset.reshape(n * groups, kh, kw, 2, rows, columns)
    y_at = (moved[:, :, :, 0] + y).reshape(n * groups, -1)
    x_at = (moved[:, :, :, 1] + x).reshape(n * groups, -1)
    factor = None if mask is None else mask.reshape(n * groups, -1)
    parts = _sampled(input.reshape(n * groups, -1, height, width), y_at, x_at, factor)
    split = channels // each
    parts = parts.reshape(n, split, each * kh * kw, rows * columns)
    kernel = weight.reshape(split, -1, each * kh * kw)
    out = (kernel @ parts).reshape(n, -1, rows, columns)
    return out if bias is None else out + bias.reshape(1, -1, 1, 1)


class DeformConv2d(nn.Module):
    """Convolves an image with a kernel whose elements are moved, as ``deform_conv2d`` does.

    Shape: input: (N, in_channels, H, W), offset: (N, 2·G·KH·KW, H', W'), mask: (N, G·KH·KW, H', W')
    → (N, out_channels, H', W').

    Args:
        in_channels, out_channels: Number of channels.
        kernel_size, stride, padding, dilation, groups: As of ``Conv2d``.
        bias: Add a learned vector. Default: True.

    Raises:
        ValueError: The channels are no multiples of ``groups``.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import DeformConv2d
    >>> DeformConv2d(3, 4, 2)(torch.ones(1, 3, 3, 3), torch.zeros(1, 8, 2, 2)).shape
    torch.Size([1, 4, 2, 2])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True,
    ):  # fmt: skip
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels ({in_channels}) and out_channels ({out_channels}) must be divisible "
                f"by groups ({groups})"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _two(kernel_size)
        self.stride = _two(stride)
        self.padding = _two(padding)
        self.dilation = _two(dilation)
        self.groups = groups
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the weights anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = math.sqrt(self.out_channels / self.weight.numel())
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input, offset, mask=None):
        options = self.stride, self.padding, self.dilation, mask
        return deform_conv2d(input, offset, self.weight, self.bias, *options)

    def __repr__(self):
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        shown += f", stride={self.stride}"
        shown += f", padding={self.padding}" if self.padding != (0, 0) else ""
        shown += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        shown += f", groups={self.groups}" if self.groups != 1 else ""
        shown += ", bias=False" if self.bias is None else ""
        return f"{type(self).__name__}({shown})"
