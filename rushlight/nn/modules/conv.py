"""Convolution layers."""

from collections.abc import Iterable

import rushlight
from rushlight.nn import functional as F
from rushlight.nn.modules.linear import reset_fan_in
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
]  # fmt: skip

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def _per_dim(value, n):
    """A tuple of ``n`` numbers: ``value`` repeated, or the items of an iterable ``value``."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


def _pad_of(padding, kernel_size, dilation):
    """The padding for ``F.pad``: a pair of numbers for each dim, the last dim first."""
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
    elif padding == "valid":
        pairs = [(0, 0)] * len(kernel_size)
    else:
        pairs = [(p, p) for p in padding]
    return [n for pair in reversed(pairs) for n in pair]


class _ConvNd(Module):
    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "output_padding", "in_channels",
        "out_channels", "kernel_size",
    ]  # fmt: skip

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed,
        output_padding, groups, bias, padding_mode, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self._check(in_channels, out_channels, groups, stride, padding, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = _pad_of(padding, kernel_size, dilation)
        outer, inner = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (outer, inner // groups, *kernel_size)
        self.weight = Parameter(rushlight.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rushlight.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self, in_channels, out_channels, groups, stride, padding, padding_mode):
        layer = type(self).__name__
        if groups <= 0:
            raise ValueError(f"{layer}: groups must be positive, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{layer}: {name}={channels} is not divisible by groups={groups}")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"{layer}: padding must be a number, 'same' or 'valid', got {padding!r}"
                )
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError(f"{layer}: padding='same' needs stride 1, got {stride}")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(
                f"{layer}: padding_mode must be one of {_PADDING_MODES}, got {padding_mode!r}"
            )

    def reset_parameters(self):
        """Draw the weights and biases again, uniformly from ±1/√fan_in."""
        reset_fan_in(self.weight, self.bias)

    def forward(self, input):
        return self._conv_forward(input, self.weight, self.bias)

    def extra_repr(self):
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (default,) * len(value):
                parts.append(f"{name}={value}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


class Conv1d(_ConvNd):
    """Convolution (cross-correlation) over one dim.

    With ``padding="same"``, which needs stride 1, the result has the input's size. ``"valid"`` is
    padding 0.

    Shape: x: (N, C, L) or (C, L) → (N, O, L'), L' = ⌊(L + 2·padding − dilation·(k − 1) − 1) /
    stride⌋ + 1; weight: (O, C/groups, k).

    Raises:
        ValueError: Channels are not divisible by groups, or the padding or its mode is not valid.

    >>> import rushlight as torch
    >>> torch.nn.Conv1d(16, 33, 3, stride=2)(torch.ones(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, _per_dim(kernel_size, 1), _per_dim(stride, 1),
            padding if isinstance(padding, str) else _per_dim(padding, 1), _per_dim(dilation, 1),
            False, (0,), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input, weight, bias):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return F.conv1d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_ConvNd):
    """Convolution (cross-correlation) over two dims.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, O, H', W'), each as in ``Conv1d``; weight:
    (O, C/groups, *kernel_size).

    Raises:
        ValueError: Channels are not divisible by groups, or the padding or its mode is not valid.

    >>> import rushlight as torch
    >>> conv = torch.nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2))
    >>> conv(torch.ones(2, 16, 50, 100)).shape
    torch.Size([2, 33, 28, 100])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, _per_dim(kernel_size, 2), _per_dim(stride, 2),
            padding if isinstance(padding, str) else _per_dim(padding, 2), _per_dim(dilation, 2),
            False, (0, 0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input, weight, bias):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_ConvNd):
    """Convolution (cross-correlation) over three dims.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, O, D', H', W'), each as in ``Conv1d``; weight:
    (O, C/groups, *kernel_size).

    Raises:
        ValueError: Channels are not divisible by groups, or the padding or its mode is not valid.

    >>> import rushlight as torch
    >>> torch.nn.Conv3d(4, 8, 3, stride=2)(torch.ones(2, 4, 5, 7, 9)).shape
    torch.Size([2, 8, 2, 3, 4])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, _per_dim(kernel_size, 3), _per_dim(stride, 3),
            padding if isinstance(padding, str) else _per_dim(padding, 3), _per_dim(dilation, 3),
            False, (0, 0, 0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input, weight, bias):
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return F.conv3d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


# Transposed -------------------------------------------------------------------------------


class _ConvTransposeNd(_ConvNd):
    def __init__(
        self, n, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups,
        bias, dilation, padding_mode, device, dtype,
    ):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(
                f'{type(self).__name__}: padding_mode must be "zeros", got {padding_mode!r}'
            )
        super().__init__(
            in_channels, out_channels, _per_dim(kernel_size, n), _per_dim(stride, n),
            _per_dim(padding, n), _per_dim(dilation, n), True, _per_dim(output_padding, n), groups,
            bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _options(self, input, output_size):
        """The convolution's arguments after the bias; ``output_size`` sets output_padding."""
        padding = self.output_padding
        if output_size is not None:
            padding = self._output_padding(input, list(output_size))
        return self.stride, self.padding, padding, self.groups, self.dilation

    def _output_padding(self, input, output_size):
        n, layer = len(self.kernel_size), type(self).__name__
        lead = input.dim() - n
        if len(output_size) == lead + n:
            output_size = output_size[lead:]
        if len(output_size) != n:
            raise ValueError(
                f"{layer}: output_size must have {n} or {lead + n} numbers, got {output_size}"
            )
        least = [
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(
                input.shape[lead:], self.stride, self.padding, self.dilation, self.kernel_size,
                strict=True,
            )
        ]  # fmt: skip
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
        limits = zip(output_size, least, most, strict=True)
        if any(size < low or size > high for size, low, high in limits):
            raise ValueError(
                f"{layer}: output_size {output_size} is out of reach: an input of size "
                f"{list(input.shape[lead:])} gives from {least} to {most}"
            )
        return tuple([size - low for size, low in zip(output_size, least, strict=True)])


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution over one dim: the gradient of a convolution by its input.

    ``forward`` takes an optional ``output_size``, from which output_padding is computed.

    Shape: x: (N, C, L) or (C, L) → (N, O, L'), L' = (L − 1)·stride − 2·padding +
    dilation·(k − 1) + output_padding + 1; weight: (C, O/groups, *kernel_size).

    Raises:
        ValueError: Channels are not divisible by groups, or ``output_size`` is out of reach.

    >>> import rushlight as torch
    >>> torch.nn.ConvTranspose1d(16, 33, 3, stride=2)(torch.ones(20, 16, 50)).shape
    torch.Size([20, 33, 101])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
        groups=1, bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            1, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups,
            bias, dilation, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        options = self._options(input, output_size)
        return F.conv_transpose1d(input, self.weight, self.bias, *options)


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution over two dims: the gradient of a convolution by its input.

    ``forward`` takes an optional ``output_size``, from which output_padding is computed.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, O, H', W'), each as in ``ConvTranspose1d``;
    weight: (C, O/groups, *kernel_size).

    Raises:
        ValueError: Channels are not divisible by groups, or ``output_size`` is out of reach.

    >>> import rushlight as torch
    >>> torch.nn.ConvTranspose2d(4, 2, 3, 2, 1)(torch.ones(1, 4, 6, 6), output_size=(12, 12)).shape
    torch.Size([1, 2, 12, 12])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
        groups=1, bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            2, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups,
            bias, dilation, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        options = self._options(input, output_size)
        return F.conv_transpose2d(input, self.weight, self.bias, *options)


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution over three dims: the gradient of a convolution by its input.

    ``forward`` takes an optional ``output_size``, from which output_padding is computed.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, O, D', H', W'), each as in ``ConvTranspose1d``;
    weight: (C, O/groups, *kernel_size).

    Raises:
        ValueError: Channels are not divisible by groups, or ``output_size`` is out of reach.

    >>> import rushlight as torch
    >>> torch.nn.ConvTranspose3d(4, 2, 2, stride=2)(torch.ones(1, 4, 2, 3, 4)).shape
    torch.Size([1, 2, 4, 6, 8])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
        groups=1, bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            3, in_channels, out_channels, kernel_size, stride, padding, output_padding, groups,
            bias, dilation, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        options = self._options(input, output_size)
        return F.conv_transpose3d(input, self.weight, self.bias, *options)
