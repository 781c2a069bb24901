"""ConvNeXt: convolutions in the design of a transformer."""

from functools import partial

import rushlight as torch
from rushlight import nn
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation, Permute
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "ConvNeXt", "ConvNeXt_Base_Weights", "ConvNeXt_Large_Weights", "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights", "convnext_base", "convnext_large", "convnext_small",
    "convnext_tiny",
]  # fmt: skip

ConvNeXt_Tiny_Weights = weights_enum("ConvNeXt_Tiny_Weights", __name__)
ConvNeXt_Small_Weights = weights_enum("ConvNeXt_Small_Weights", __name__)
ConvNeXt_Base_Weights = weights_enum("ConvNeXt_Base_Weights", __name__)
ConvNeXt_Large_Weights = weights_enum("ConvNeXt_Large_Weights", __name__)


class LayerNorm2d(nn.LayerNorm):
    """``nn.LayerNorm`` over the channels of images.

    Shape: x: (N, C, H, W) → the same.
    """

    def forward(self, input):
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A depthwise convolution of 7×7 and two linear layers; the input is added to the result.

    Shape: x: (N, dim, H, W) → the same.
    """

    def __init__(self, dim, layer_scale, stochastic_depth_prob, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torch.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input):
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


class CNBlockConfig:
    """A stage of ``num_layers`` blocks.

    Unless ``out_channels`` is None, a layer follows the blocks. It halves the size and makes
    ``out_channels`` channels.
    """

    def __init__(self, input_channels, out_channels, num_layers):
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self):
        return (
            f"{type(self).__name__}(input_channels={self.input_channels}, "
            f"out_channels={self.out_channels}, num_layers={self.num_layers})"
        )


class ConvNeXt(nn.Module):
    """The stages that ``block_setting`` lists, and a linear layer.

    Shape: x: (N, 3, H, W), H and W from 32 → (N, num_classes).

    Args:
        block_setting: List of a ``CNBlockConfig`` for each stage.
        stochastic_depth_prob: Probability that the last block is dropped in training; it grows from
            0 for the first. Default: 0.
        layer_scale: First value of the factors of the blocks' channels. Default: 1e-6.
        block: Class of the blocks. Default: ``CNBlock``.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``LayerNorm2d``.

    Raises:
        ValueError: ``block_setting`` is empty.
        TypeError: ``block_setting`` is not a list of ``CNBlockConfig``.

    Source: Liu et al. 2022, https://arxiv.org/abs/2201.03545

    >>> import rushlight as torch
    >>> from rushlight.vision.models.convnext import CNBlockConfig, ConvNeXt
    >>> stages = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)]
    >>> ConvNeXt(stages, num_classes=10)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, block_setting, stochastic_depth_prob=0.0, layer_scale=1e-6, num_classes=1000,
        block=None, norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        if not block_setting:
            raise ValueError("ConvNeXt: block_setting is empty")
        if not all(isinstance(cnf, CNBlockConfig) for cnf in block_setting):
            raise TypeError("ConvNeXt: block_setting needs CNBlockConfigs")
        block = block or CNBlock
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        layers: list[nn.Module] = [
            Conv2dNormActivation(
                3, block_setting[0].input_channels, 4, 4, padding=0, norm_layer=norm_layer,
                activation_layer=None, bias=True,
            )
        ]  # fmt: skip
        total = sum(cnf.num_layers for cnf in block_setting)
        count = 0
        for cnf in block_setting:
            stage = []
            for _ in range(cnf.num_layers):
                drop = stochastic_depth_prob * count / (total - 1.0)
                stage.append(block(cnf.input_channels, layer_scale, drop))
                count += 1
            layers.append(nn.Sequential(*stage))
            if cnf.out_channels is not None:
                smaller = nn.Conv2d(cnf.input_channels, cnf.out_channels, 2, stride=2)
                layers.append(nn.Sequential(norm_layer(cnf.input_channels), smaller))
        last = block_setting[-1].out_channels or block_setting[-1].input_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            norm_layer(last), nn.Flatten(1), nn.Linear(last, num_classes)
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(width, deep, drop, options):
    """A model of ``width`` channels at first, and ``deep`` blocks in its third stage."""
    setting = [
        CNBlockConfig(width, 2 * width, 3),
        CNBlockConfig(2 * width, 4 * width, 3),
        CNBlockConfig(4 * width, 8 * width, deep),
        CNBlockConfig(8 * width, None, 3),
    ]
    return ConvNeXt(setting, **{"stochastic_depth_prob": drop, **options})


@builder(ConvNeXt_Tiny_Weights)
def convnext_tiny(**options):
    """Build a ``ConvNeXt`` of 18 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import convnext_tiny
    >>> convnext_tiny.weights.DEFAULT.meta["num_params"]
    28589128
    """
    return _convnext(96, 9, 0.1, options)


@builder(ConvNeXt_Small_Weights)
def convnext_small(**options):
    """Build a ``ConvNeXt`` of 36 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import convnext_small
    >>> convnext_small.weights.DEFAULT.meta["num_params"]
    50223688
    """
    return _convnext(96, 27, 0.4, options)


@builder(ConvNeXt_Base_Weights)
def convnext_base(**options):
    """Build a ``ConvNeXt`` of 36 blocks, 128 to 1024 channels.

    >>> from rushlight.vision.models import convnext_base
    >>> convnext_base.weights.DEFAULT.meta["num_params"]
    88591464
    """
    return _convnext(128, 27, 0.5, options)


@builder(ConvNeXt_Large_Weights)
def convnext_large(**options):
    """Build a ``ConvNeXt`` of 36 blocks, 192 to 1536 channels.

    >>> from rushlight.vision.models import convnext_large
    >>> convnext_large.weights.DEFAULT.meta["num_params"]
    197767336
    """
    return _convnext(192, 27, 0.5, options)
