"""EfficientNet: MobileNet's blocks, scaled in depth, width and size at once; and its version 2."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rushlight import nn
from rushlight.vision.models.blocks import FeatureClassifier, init_weights, make_divisible
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "EfficientNet", "EfficientNet_B0_Weights", "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights", "EfficientNet_B3_Weights", "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights", "EfficientNet_B6_Weights", "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights", "EfficientNet_V2_M_Weights", "EfficientNet_V2_S_Weights",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s",
]  # fmt: skip

EfficientNet_B0_Weights = weights_enum("EfficientNet_B0_Weights", __name__)
EfficientNet_B1_Weights = weights_enum("EfficientNet_B1_Weights", __name__)
EfficientNet_B2_Weights = weights_enum("EfficientNet_B2_Weights", __name__)
EfficientNet_B3_Weights = weights_enum("EfficientNet_B3_Weights", __name__)
EfficientNet_B4_Weights = weights_enum("EfficientNet_B4_Weights", __name__)
EfficientNet_B5_Weights = weights_enum("EfficientNet_B5_Weights", __name__)
EfficientNet_B6_Weights = weights_enum("EfficientNet_B6_Weights", __name__)
EfficientNet_B7_Weights = weights_enum("EfficientNet_B7_Weights", __name__)
EfficientNet_V2_S_Weights = weights_enum("EfficientNet_V2_S_Weights", __name__)
EfficientNet_V2_M_Weights = weights_enum("EfficientNet_V2_M_Weights", __name__)
EfficientNet_V2_L_Weights = weights_enum("EfficientNet_V2_L_Weights", __name__)


@dataclass
class _StageConfig:
    """A stage of ``num_layers`` blocks. The first has the stride and changes the channels."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels, width_mult, min_value=None):
        """``channels`` times ``width_mult``, rounded to a multiple of 8."""
        return make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_StageConfig):
    """A stage of ``MBConv``, scaled in width and depth."""

    def __init__(
        self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers,
        width_mult=1.0, depth_mult=1.0, block=None,
    ):  # fmt: skip
        super().__init__(
            expand_ratio, kernel, stride, self.adjust_channels(input_channels, width_mult),
            self.adjust_channels(out_channels, width_mult),
            self.adjust_depth(num_layers, depth_mult), block or MBConv,
        )  # fmt: skip

    @staticmethod
    def adjust_depth(num_layers, depth_mult):
        """``num_layers`` times ``depth_mult``, rounded up."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_StageConfig):
    """A stage of ``FusedMBConv``."""

    def __init__(
        self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block=None
    ):
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers,
            block or FusedMBConv,
        )  # fmt: skip


class _Residual(nn.Module):
    """A residual block whose layers a subclass makes.

    The input is added to the result if both have the same shape. In training, the result of the
    layers is then dropped at random.
    """

    def __init__(self, cnf, stochastic_depth_prob, layers):
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"{type(self).__name__}: stride must be 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, x):
        out = self.block(x)
        return self.stochastic_depth(out) + x if self.use_res_connect else out


class MBConv(_Residual):
    """Expands the channels, convolves and weights each channel by itself, and reduces them again.

    Shape: x: (N, C, H, W) → (N, O, H / stride, W / stride), as ``cnf`` says.
    Raises:
        ValueError: the stride is not 1 or 2.
    """

    def __init__(self, cnf, stochastic_depth_prob, norm_layer, se_layer=SqueezeExcitation):
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inner = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers = []
        if inner != cnf.input_channels:
            layers.append(block(cnf.input_channels, inner, kernel_size=1))
        layers.append(block(inner, inner, cnf.kernel, cnf.stride, groups=inner))
        squeeze = max(1, cnf.input_channels // 4)
        layers.append(se_layer(inner, squeeze, activation=partial(nn.SiLU, inplace=True)))
        layers.append(block(inner, cnf.out_channels, kernel_size=1, activation_layer=None))
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Residual):
    """Like ``MBConv``, but one convolution replaces the first two, and channels are not weighted.

    Shape: x: (N, C, H, W) → (N, O, H / stride, W / stride), as ``cnf`` says.
    Raises:
        ValueError: the stride is not 1 or 2.
    """

    def __init__(self, cnf, stochastic_depth_prob, norm_layer):
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inner = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        if inner == cnf.input_channels:
            layers = [block(inner, cnf.out_channels, cnf.kernel, cnf.stride)]
        else:
            layers = [
                block(cnf.input_channels, inner, cnf.kernel, cnf.stride),
                block(inner, cnf.out_channels, kernel_size=1, activation_layer=None),
            ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class EfficientNet(FeatureClassifier):
    """The stages that ``inverted_residual_setting`` lists, and a linear layer.

    The probability that a block is dropped grows from 0 to ``stochastic_depth_prob``.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        inverted_residual_setting: List of an ``MBConvConfig`` or ``FusedMBConvConfig`` for each
            stage.
        dropout: Probability of dropout before the linear layer.
        stochastic_depth_prob: Probability that a block is dropped in training; it grows from 0 for
            the first block to nearly this for the last. Default: 0.2.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.
        last_channel: Number of channels before the linear layer. Default: 4 times those of the last
            stage.

    Raises:
        ValueError: ``inverted_residual_setting`` is empty.
        TypeError: ``inverted_residual_setting`` is not a list of stages' configurations.

    Source: Tan and Le 2019, https://arxiv.org/abs/1905.11946, and 2021,
        https://arxiv.org/abs/2104.00298

    >>> import rushlight as torch
    >>> from rushlight.vision.models.efficientnet import EfficientNet, MBConvConfig
    >>> stages = [MBConvConfig(1, 3, 1, 8, 16, 1), MBConvConfig(6, 3, 2, 16, 24, 2)]
    >>> EfficientNet(stages, 0.2, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, inverted_residual_setting, dropout, stochastic_depth_prob=0.2, num_classes=1000,
        norm_layer=None, last_channel=None,
    ):  # fmt: skip
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("EfficientNet: inverted_residual_setting is empty")
        if not all(isinstance(cnf, _StageConfig) for cnf in setting):
            raise TypeError("EfficientNet: inverted_residual_setting needs MBConvConfigs")
        norm_layer = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        stages: list[nn.Module] = [conv(3, setting[0].input_channels, kernel_size=3, stride=2)]
        total = sum(cnf.num_layers for cnf in setting)
        count = 0
        for cnf in setting:
            blocks = []
            cnf = copy.copy(cnf)
            for _ in range(cnf.num_layers):
                blocks.append(cnf.block(cnf, stochastic_depth_prob * count / total, norm_layer))
                cnf.input_channels, cnf.stride = cnf.out_channels, 1
                count += 1
            stages.append(nn.Sequential(*blocks))
        inner = setting[-1].out_channels
        last_channel = last_channel or 4 * inner
        stages.append(conv(inner, last_channel, kernel_size=1))
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(last_channel, num_classes)
        )
        bound = 1 / math.sqrt(num_classes)
        init_weights(self, linear=partial(nn.init.uniform_, a=-bound, b=bound))


# One row a stage: expansion, kernel, stride, input channels, output channels, number of blocks.
B0 = [
    (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
]  # fmt: skip
# The first three stages of version 2 consist of ``FusedMBConv``.
V2_S = [
    (1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4), (4, 3, 2, 64, 128, 6),
    (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15),
]  # fmt: skip
V2_M = [
    (1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5), (4, 3, 2, 80, 160, 7),
    (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5),
]  # fmt: skip
V2_L = [
    (1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7), (4, 3, 2, 96, 192, 10),
    (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7),
]  # fmt: skip
LARGE_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
V2_NORM = partial(nn.BatchNorm2d, eps=0.001)


def _b(width_mult, depth_mult, dropout, options, norm_layer=None):
    setting = [MBConvConfig(*row, width_mult=width_mult, depth_mult=depth_mult) for row in B0]
    options = {"dropout": dropout, "norm_layer": norm_layer, **options}
    return EfficientNet(setting, **options)


def _v2(rows, dropout, options):
    setting = [(FusedMBConvConfig if i < 3 else MBConvConfig)(*row) for i, row in enumerate(rows)]
    options = {"dropout": dropout, "norm_layer": V2_NORM, "last_channel": 1280, **options}
    return EfficientNet(setting, **options)


@builder(EfficientNet_B0_Weights)
def efficientnet_b0(**options):
    """Build an ``EfficientNet`` B0, for images of 224×224.

    >>> from rushlight.vision.models import efficientnet_b0
    >>> efficientnet_b0.weights.DEFAULT.meta["num_params"]
    5288548
    """
    return _b(1.0, 1.0, 0.2, options)


@builder(EfficientNet_B1_Weights)
def efficientnet_b1(**options):
    """Build an ``EfficientNet`` B1, for images of 240×240.

    >>> from rushlight.vision.models import efficientnet_b1
    >>> efficientnet_b1.weights.DEFAULT.meta["num_params"]
    7794184
    """
    return _b(1.0, 1.1, 0.2, options)


@builder(EfficientNet_B2_Weights)
def efficientnet_b2(**options):
    """Build an ``EfficientNet`` B2, for images of 288×288.

    >>> from rushlight.vision.models import efficientnet_b2
    >>> efficientnet_b2.weights.DEFAULT.meta["num_params"]
    9109994
    """
    return _b(1.1, 1.2, 0.3, options)


@builder(EfficientNet_B3_Weights)
def efficientnet_b3(**options):
    """Build an ``EfficientNet`` B3, for images of 300×300.

    >>> from rushlight.vision.models import efficientnet_b3
    >>> efficientnet_b3.weights.DEFAULT.meta["num_params"]
    12233232
    """
    return _b(1.2, 1.4, 0.3, options)


@builder(EfficientNet_B4_Weights)
def efficientnet_b4(**options):
    """Build an ``EfficientNet`` B4, for images of 380×380.

    >>> from rushlight.vision.models import efficientnet_b4
    >>> efficientnet_b4.weights.DEFAULT.meta["num_params"]
    19341616
    """
    return _b(1.4, 1.8, 0.4, options)


@builder(EfficientNet_B5_Weights)
def efficientnet_b5(**options):
    """Build an ``EfficientNet`` B5, for images of 456×456.

    >>> from rushlight.vision.models import efficientnet_b5
    >>> efficientnet_b5.weights.DEFAULT.meta["num_params"]
    30389784
    """
    return _b(1.6, 2.2, 0.4, options, LARGE_NORM)


@builder(EfficientNet_B6_Weights)
def efficientnet_b6(**options):
    """Build an ``EfficientNet`` B6, for images of 528×528.

    >>> from rushlight.vision.models import efficientnet_b6
    >>> efficientnet_b6.weights.DEFAULT.meta["num_params"]
    43040704
    """
    return _b(1.8, 2.6, 0.5, options, LARGE_NORM)


@builder(EfficientNet_B7_Weights)
def efficientnet_b7(**options):
    """Build an ``EfficientNet`` B7, for images of 600×600.

    >>> from rushlight.vision.models import efficientnet_b7
    >>> efficientnet_b7.weights.DEFAULT.meta["num_params"]
    66347960
    """
    return _b(2.0, 3.1, 0.5, options, LARGE_NORM)


@builder(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(**options):
    """Build an ``EfficientNet`` V2-S, for images of 384×384.

    >>> from rushlight.vision.models import efficientnet_v2_s
    >>> efficientnet_v2_s.weights.DEFAULT.meta["num_params"]
    21458488
    """
    return _v2(V2_S, 0.2, options)


@builder(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(**options):
    """Build an ``EfficientNet`` V2-M, for images of 480×480.

    >>> from rushlight.vision.models import efficientnet_v2_m
    >>> efficientnet_v2_m.weights.DEFAULT.meta["num_params"]
    54139356
    """
    return _v2(V2_M, 0.3, options)


@builder(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(**options):
    """Build an ``EfficientNet`` V2-L, for images of 480×480.

    >>> from rushlight.vision.models import efficientnet_v2_l
    >>> efficientnet_v2_l.weights.DEFAULT.meta["num_params"]
    118515272
    """
    return _v2(V2_L, 0.4, options)
