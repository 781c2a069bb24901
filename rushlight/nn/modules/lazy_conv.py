"""Convolutions that take their number of input channels from the first input."""

from typing import Any

from rushlight.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from rushlight.nn.modules.lazy import LazyModuleMixin
from rushlight.nn.uninitialized import UninitializedParameter

__all__ = [
    "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]  # fmt: skip


class _LazyConvXdMixin(LazyModuleMixin):
    weight: Any
    bias: Any

    def _wait(self, out_channels, bias, device, dtype):
        """Make the weight and bias uninitialized until the first input."""
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input, *args, **kwargs):
        """Take ``in_channels`` from ``input``."""
        self.in_channels = self._channels(input)
        if not self.has_uninitialized_params():
            return
        if self.in_channels % self.groups:
            raise ValueError(
                f"{type(self).__name__}: in_channels={self.in_channels} must be divisible by "
                f"groups={self.groups}"
            )
        outer, inner = self.out_channels, self.in_channels
        if self.transposed:
            outer, inner = inner, outer
        self.weight.materialize((outer, inner // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()

    def _channels(self, input):
        n = len(self.kernel_size)
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"{type(self).__name__}: expected {n + 1}D (unbatched) or {n + 2}D (batched) "
                f"input, but got input of size {tuple(input.shape)}"
            )
        return input.shape[-n - 1]


class _LazyConv(_LazyConvXdMixin):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._wait(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvXdMixin):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
        bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation,
            padding_mode,
        )  # fmt: skip
        self._wait(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """``Conv1d`` that takes ``in_channels`` from its first input.

    Shape: as for ``Conv1d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConv1d(33, 3)(torch.ones(2, 16, 5)).shape
    torch.Size([2, 33, 3])
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """``Conv2d`` that takes ``in_channels`` from its first input.

    Shape: as for ``Conv2d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConv2d(33, 3)(torch.ones(2, 16, 5, 5)).shape
    torch.Size([2, 33, 3, 3])
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """``Conv3d`` that takes ``in_channels`` from its first input.

    Shape: as for ``Conv3d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConv3d(33, 3)(torch.ones(2, 16, 5, 5, 5)).shape
    torch.Size([2, 33, 3, 3, 3])
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """``ConvTranspose1d`` that takes ``in_channels`` from its first input.

    Shape: as for ``ConvTranspose1d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConvTranspose1d(33, 3)(torch.ones(2, 16, 5)).shape
    torch.Size([2, 33, 7])
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """``ConvTranspose2d`` that takes ``in_channels`` from its first input.

    Shape: as for ``ConvTranspose2d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConvTranspose2d(33, 3)(torch.ones(2, 16, 5, 5)).shape
    torch.Size([2, 33, 7, 7])
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """``ConvTranspose3d`` that takes ``in_channels`` from its first input.

    Shape: as for ``ConvTranspose3d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyConvTranspose3d(33, 3)(torch.ones(2, 16, 5, 5, 5)).shape
    torch.Size([2, 33, 7, 7, 7])
    """

    cls_to_become = ConvTranspose3d
