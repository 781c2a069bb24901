"""Layers that models share."""

import warnings

import rushlight as torch
from rushlight import nn

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "ConvNormActivation",
    "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
]  # fmt: skip


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics, scale and shift are fixed.

    Shape: x: (N, num_features, H, W) → the same.

    Args:
        num_features: Number of channels.
        eps: Number added to the variance, so that it is not 0. Default: 1e-5.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import FrozenBatchNorm2d
    >>> FrozenBatchNorm2d(3)(torch.ones(1, 3, 2, 2)).shape
    torch.Size([1, 3, 2, 2])
    """

    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # The state may come from an ordinary BatchNorm2d, which also counts its batches.
        state_dict.pop(prefix + "num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    def __repr__(self):
        return f"FrozenBatchNorm2d({self.weight.shape[0]}, eps={self.eps})"


class ConvNormActivation(nn.Sequential):
    """A convolution, then the layers that ``norm_layer`` and ``activation_layer`` make.

    If ``norm_layer`` or ``activation_layer`` is None, its layer is left out. The default padding
    keeps the size at stride 1. By default, the convolution has a bias if there is no normalisation.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1,
        norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU, dilation=1, inplace=True, bias=None,
        conv_layer=nn.Conv2d,
    ):  # fmt: skip
        if type(self) is ConvNormActivation:
            warnings.warn(
                "ConvNormActivation: use Conv2dNormActivation or Conv3dNormActivation",
                stacklevel=2,
            )
        if padding is None:
            padding = _same_padding(kernel_size, dilation)
        layers = [
            conv_layer(
                in_channels, out_channels, kernel_size, stride, padding, dilation=dilation,
                groups=groups, bias=norm_layer is None if bias is None else bias,
            )
        ]  # fmt: skip
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**_inplace(inplace)))
        super().__init__(*layers)
        self.out_channels = out_channels


def _same_padding(kernel_size, dilation):
    """The padding that keeps the size at stride 1.

    The padding is a number, or a number for each dim if an argument has several numbers.
    """
    if isinstance(kernel_size, int) and isinstance(dilation, int):
        return (kernel_size - 1) // 2 * dilation
    dims = len(dilation if isinstance(kernel_size, int) else kernel_size)
    kernel = [kernel_size] * dims if isinstance(kernel_size, int) else kernel_size
    dilation = [dilation] * dims if isinstance(dilation, int) else dilation
    return tuple([(k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True)])


def _inplace(inplace):
    return {} if inplace is None else {"inplace": inplace}


class Conv2dNormActivation(ConvNormActivation):
    """A 2-d convolution, a normalization and an activation.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H', W').

    Args:
        in_channels: Number of channels of x.
        out_channels: Number of channels of the result.
        kernel_size: Elements of a window: an int, or one for each dim. Default: 3.
        stride: Elements from window to window: an int, or one for each dim. Default: 1.
        padding: Elements added at both ends of each dim: int or ints. Default: as many as keep the
            size at stride 1.
        groups: Number of groups of channels that are convolved apart. Default: 1.
        norm_layer: Function of a number of channels that makes a normalization layer; None leaves
            it out. Default: ``BatchNorm2d``.
        activation_layer: Class of the activation; None leaves it out. Default: ``ReLU``.
        dilation: Elements from one tap of a window to the next: int or ints. Default: 1.
        inplace: Let the activation write into its input. Default: True.
        bias: Let the convolution add a learned bias. Default: only without a normalization.

    >>> from rushlight.vision.ops import Conv2dNormActivation
    >>> Conv2dNormActivation(3, 8, activation_layer=None)[0].padding
    (1, 1)
    """

    def __init__(
        self, in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1,
        norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU, dilation=1, inplace=True, bias=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer,
            activation_layer, dilation, inplace, bias, nn.Conv2d,
        )  # fmt: skip


class Conv3dNormActivation(ConvNormActivation):
    """A 3-d convolution, a normalization and an activation.

    Shape: x: (N, in_channels, D, H, W) → (N, out_channels, D', H', W').

    Args:
        in_channels: Number of channels of x.
        out_channels: Number of channels of the result.
        kernel_size: Elements of a window: an int, or one for each dim. Default: 3.
        stride: Elements from window to window: an int, or one for each dim. Default: 1.
        padding: Elements added at both ends of each dim: int or ints. Default: as many as keep the
            size at stride 1.
        groups: Number of groups of channels that are convolved apart. Default: 1.
        norm_layer: Function of a number of channels that makes a normalization layer; None leaves
            it out. Default: ``BatchNorm3d``.
        activation_layer: Class of the activation; None leaves it out. Default: ``ReLU``.
        dilation: Elements from one tap of a window to the next: int or ints. Default: 1.
        inplace: Let the activation write into its input. Default: True.
        bias: Let the convolution add a learned bias. Default: only without a normalization.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import Conv3dNormActivation
    >>> Conv3dNormActivation(3, 8)(torch.ones(1, 3, 4, 4, 4)).shape
    torch.Size([1, 8, 4, 4, 4])
    """

    def __init__(
        self, in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1,
        norm_layer=nn.BatchNorm3d, activation_layer=nn.ReLU, dilation=1, inplace=True, bias=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer,
            activation_layer, dilation, inplace, bias, nn.Conv3d,
        )  # fmt: skip


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor, which two layers compute from the channels' averages.

    Shape: x: (N, input_channels, H, W) → the same.

    Args:
        input_channels: Number of channels of x.
        squeeze_channels: Number of channels between the two layers.
        activation: Class of the activation between the two layers. Default: ``ReLU``.
        scale_activation: Class of the activation that makes the factors. Default: ``Sigmoid``.

    Source: Hu et al. 2017, https://arxiv.org/abs/1709.01507, figures 2 and 3

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import SqueezeExcitation
    >>> SqueezeExcitation(8, 2)(torch.ones(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(
        self, input_channels, squeeze_channels, activation=nn.ReLU, scale_activation=nn.Sigmoid
    ):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input):
        scale = self.activation(self.fc1(self.avgpool(input)))
        return self.scale_activation(self.fc2(scale)) * input


class MLP(nn.Sequential):
    """Linear layers of ``hidden_channels``, with normalisation, activation and dropout between.

    Shape: x: (..., in_channels) → (..., hidden_channels[-1]).

    Args:
        in_channels: Number of channels of x.
        hidden_channels: List of the numbers of channels of the layers' results.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: None, no normalization.
        activation_layer: Class of the activations. Default: ``ReLU``.
        inplace: Let activations and dropout write into their inputs. Default: None, as these layers
            do by default.
        bias: Let the linear layers add a learned bias. Default: True.
        dropout: Probability of dropout after each layer. Default: 0.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import MLP
    >>> MLP(4, [8, 2])(torch.ones(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, in_channels, hidden_channels, norm_layer=None, activation_layer=nn.ReLU,
        inplace=None, bias=True, dropout=0.0,
    ):  # fmt: skip
        layers: list[nn.Module] = []
        for channels in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, channels, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(channels))
            layers.append(activation_layer(**_inplace(inplace)))
            layers.append(nn.Dropout(dropout, **_inplace(inplace)))
            in_channels = channels
        layers.append(nn.Linear(in_channels, hidden_channels[-1], bias=bias))
        layers.append(nn.Dropout(dropout, **_inplace(inplace)))
        super().__init__(*layers)


class Permute(nn.Module):
    """``torch.permute`` as a module.

    Shape: x: any → its dims in the order ``dims``.

    Args:
        dims: The numbers of the dims, in their new order.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import Permute
    >>> Permute([0, 2, 1])(torch.ones(1, 2, 3)).shape
    torch.Size([1, 3, 2])
    """

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.permute(self.dims)
