"""Normalisations that use the statistics of each sample alone, not of the batch."""

from numbers import Integral

import rushlight
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.functional.normalization import across_channels
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


def _shape(normalized_shape):
    if isinstance(normalized_shape, Integral):
        return (normalized_shape,)
    return tuple(normalized_shape)


def _register(module, shape, weight, bias, device, dtype):
    """Register a weight and a bias of ``shape``; each is None if its flag is false."""
    for name, wanted in (("weight", weight), ("bias", bias)):
        value = Parameter(rushlight.empty(shape, device=device, dtype=dtype)) if wanted else None
        module.register_parameter(name, value)


class _Scaled(Module):
    """Base of layers whose scale (``weight``) starts at 1 and whose shift (``bias``) at 0."""

    def reset_parameters(self):
        """Reset the scale to 1 and the shift to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class LayerNorm(_Scaled):
    """y = (x − mean) / √(var + eps) · weight + bias over the last dims.

    Shape: x: (*, *normalized_shape) → the same.

    Source: Ba et al. 2016, https://arxiv.org/abs/1607.06450

    >>> import rushlight as torch
    >>> torch.nn.LayerNorm(2)(torch.tensor([[0.0, 2.0]])).detach().round()
    tensor([[-1.,  1.]])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = affine = elementwise_affine
        _register(self, self.normalized_shape, affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class GroupNorm(_Scaled):
    """y = (x − mean) / √(var + eps) · weight + bias over each of ``num_groups`` channel groups.

    Shape: x: (N, C, *) → the same.

    Args:
        num_channels: Number C of channels.
        affine: Learn a scale, ``weight``, and a shift, ``bias``, of each channel. Default: True.

    Raises:
        ValueError: ``num_channels`` is not divisible by ``num_groups``.

    Source: Wu and He 2018, https://arxiv.org/abs/1803.08494

    >>> import rushlight as torch
    >>> torch.nn.GroupNorm(3, 6)(torch.ones(20, 6, 10, 10)).shape
    torch.Size([20, 6, 10, 10])
    """

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *,
        bias=True,
    ):  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups "
                f"({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        _register(self, num_channels, affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """y = x / √(mean(x²) + eps) · weight over the last dims.

    Shape: x: (*, *normalized_shape) → the same.

    Args:
        eps: Number added to the mean square. Default: the machine epsilon of x's dtype, but of
            float32 for half precision.

    Source: Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467

    >>> import rushlight as torch
    >>> torch.nn.RMSNorm(2)(torch.tensor([[3.0, -3.0]])).detach().round()
    tensor([[ 1., -1.]])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            empty = rushlight.empty(self.normalized_shape, device=device, dtype=dtype)
            self.weight = Parameter(empty)
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Reset the scale to 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class _AcrossChannels(Module):
    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LocalResponseNorm(_AcrossChannels):
    """y = x / (k + alpha · m) ^ beta, where m is the mean of x² over ``size`` channels around x.

    Shape: x: (N, C, …) → the same.

    Args:
        size: Number of channels in each mean, the channel of x among them.
        alpha: Factor of the mean. Default: 1e-4.
        beta: Exponent of the denominator. Default: 0.75.
        k: Number added to the scaled mean. Default: 1.

    Raises:
        ValueError: x has less than three dims.

    Source: Krizhevsky et al. 2012, section 3.3.

    >>> import rushlight as torch
    >>> torch.nn.LocalResponseNorm(2)(torch.ones(32, 5, 24, 24)).shape
    torch.Size([32, 5, 24, 24])
    """

    __constants__ = ["size", "alpha", "beta", "k"]

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)


class CrossMapLRN2d(_AcrossChannels):
    """``LocalResponseNorm`` over as many channels before as after each channel, as in Torch 7.

    Shape: x: (N, C, H, W) → the same.

    Args:
        size: Number of channels in each sum. For an even number, it is one less.
        alpha: Factor of the sum of squares divided by ``size``. Default: 1e-4.
        beta: Exponent of the denominator. Default: 0.75.
        k: Number added to the scaled sum. Default: 1.

    Raises:
        ValueError: x has another number of dims.

    >>> import rushlight as torch
    >>> torch.nn.CrossMapLRN2d(3)(torch.ones(2, 5, 4, 4)).shape
    torch.Size([2, 5, 4, 4])
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1):
        super().__init__(size, alpha, beta, k)

    def forward(self, input):
        if input.dim() != 4:
            raise ValueError(
                f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead: "
                f"{tuple(input.shape)}"
            )
        if not input.is_floating_point():
            raise RuntimeError(f"CrossMapLRN2d: not implemented for {input.dtype}")
        if not input.numel():
            return input.clone()
        reach = (self.size - 1) // 2
        alpha = self.alpha * (2 * reach + 1) / self.size  # an even size reaches size - 1 channels
        return across_channels(input, reach, reach, alpha, self.beta, self.k)
