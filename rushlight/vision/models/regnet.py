"""RegNet: stages whose widths follow a line, from a study of what makes networks good."""

import math
from collections import OrderedDict
from functools import partial
from itertools import groupby

from rushlight import nn
from rushlight.vision.models.blocks import make_divisible
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "RegNet",
    "RegNet_X_16GF_Weights",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "RegNet_Y_8GF_Weights",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
]  # fmt: skip

RegNet_X_400MF_Weights = weights_enum("RegNet_X_400MF_Weights", __name__)
RegNet_X_800MF_Weights = weights_enum("RegNet_X_800MF_Weights", __name__)
RegNet_X_1_6GF_Weights = weights_enum("RegNet_X_1_6GF_Weights", __name__)
RegNet_X_3_2GF_Weights = weights_enum("RegNet_X_3_2GF_Weights", __name__)
RegNet_X_8GF_Weights = weights_enum("RegNet_X_8GF_Weights", __name__)
RegNet_X_16GF_Weights = weights_enum("RegNet_X_16GF_Weights", __name__)
RegNet_X_32GF_Weights = weights_enum("RegNet_X_32GF_Weights", __name__)
RegNet_Y_400MF_Weights = weights_enum("RegNet_Y_400MF_Weights", __name__)
RegNet_Y_800MF_Weights = weights_enum("RegNet_Y_800MF_Weights", __name__)
RegNet_Y_1_6GF_Weights = weights_enum("RegNet_Y_1_6GF_Weights", __name__)
RegNet_Y_3_2GF_Weights = weights_enum("RegNet_Y_3_2GF_Weights", __name__)
RegNet_Y_8GF_Weights = weights_enum("RegNet_Y_8GF_Weights", __name__)
RegNet_Y_16GF_Weights = weights_enum("RegNet_Y_16GF_Weights", __name__)
RegNet_Y_32GF_Weights = weights_enum("RegNet_Y_32GF_Weights", __name__)
RegNet_Y_128GF_Weights = weights_enum("RegNet_Y_128GF_Weights", __name__)


class SimpleStemIN(Conv2dNormActivation):
    """A convolution of 3×3 that halves the size.

    Shape: x: (N, width_in, H, W) → (N, width_out, H / 2, W / 2).
    """

    def __init__(self, width_in, width_out, norm_layer, activation_layer):
        super().__init__(
            width_in, width_out, kernel_size=3, stride=2, norm_layer=norm_layer,
            activation_layer=activation_layer,
        )  # fmt: skip


class BottleneckTransform(nn.Sequential):
    """Convolutions of 1×1, 3×3 in groups, and 1×1; channels are weighted if ``se_ratio`` is given.

    Shape: x: (N, width_in, H, W) → (N, width_out, H / stride, W / stride).
    """

    def __init__(
        self, width_in, width_out, stride, norm_layer, activation_layer, group_width,
        bottleneck_multiplier, se_ratio,
    ):  # fmt: skip
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        inner = round(width_out * bottleneck_multiplier)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = conv(width_in, inner, kernel_size=1, activation_layer=activation_layer)
        layers["b"] = conv(
            inner, inner, stride=stride, groups=inner // group_width,
            activation_layer=activation_layer,
        )  # fmt: skip
        if se_ratio:
            squeeze = round(se_ratio * width_in)
            layers["se"] = SqueezeExcitation(inner, squeeze, activation=activation_layer)
        layers["c"] = conv(inner, width_out, kernel_size=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """A ``BottleneckTransform``, to whose result the input is added.

    Where the shapes differ, a convolution of 1×1 makes the input fit.

    Shape: x: (N, width_in, H, W) → (N, width_out, H / stride, W / stride).
    """

    def __init__(
        self, width_in, width_out, stride, norm_layer, activation_layer, group_width=1,
        bottleneck_multiplier=1.0, se_ratio=None,
    ):  # fmt: skip
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in, width_out, kernel_size=1, stride=stride, norm_layer=norm_layer,
                activation_layer=None,
            )  # fmt: skip
        self.f = BottleneckTransform(
            width_in, width_out, stride, norm_layer, activation_layer, group_width,
            bottleneck_multiplier, se_ratio,
        )  # fmt: skip
        self.activation = activation_layer(inplace=True)

    def forward(self, x):
        shortcut = x if self.proj is None else self.proj(x)
        return self.activation(shortcut + self.f(x))


class AnyStage(nn.Sequential):
    """``depth`` blocks, of which the first has the stride.

    Shape: x: (N, width_in, H, W) → (N, width_out, H / stride, W / stride).
    """

    def __init__(
        self, width_in, width_out, stride, depth, block_constructor, norm_layer, activation_layer,
        group_width, bottleneck_multiplier, se_ratio=None, stage_index=0,
    ):  # fmt: skip
        super().__init__()
        for i in range(depth):
            block = block_constructor(
                width_out if i else width_in, width_out, 1 if i else stride, norm_layer,
                activation_layer, group_width, bottleneck_multiplier, se_ratio,
            )  # fmt: skip
            self.add_module(f"block{stage_index}-{i}", block)


class BlockParams:
    """What the stages are made of: a list of each number, with an entry for each stage."""

    def __init__(
        self, depths, widths, group_widths, bottleneck_multipliers, strides, se_ratio=None
    ):
        self.depths, self.widths, self.group_widths = depths, widths, group_widths
        self.bottleneck_multipliers, self.strides = bottleneck_multipliers, strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls, depth, w_0, w_a, w_m, group_width, bottleneck_multiplier=1.0, se_ratio=None, **options
    ):
        """Return the stages of ``depth`` blocks whose widths follow a line.

        The line begins at ``w_0`` and rises by ``w_a`` from block to block. Each width is rounded
        to ``w_0`` times a power of ``w_m``, and then to a multiple of 8.

        Raises:
            ValueError: A number cannot be used: ``w_0`` is no multiple of 8, say.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8:
            raise ValueError(f"RegNet: no stages have w_a={w_a}, w_0={w_0}, w_m={w_m}")
        powers = [round(math.log((w_0 + w_a * i) / w_0) / math.log(w_m)) for i in range(depth)]
        of_blocks = [round(w_0 * w_m**power / 8) * 8 for power in powers]
        stages = [(width, len([*same])) for width, same in groupby(of_blocks)]
        widths, groups = [], []
        for width, _ in stages:
            inner = int(width * bottleneck_multiplier)
            groups.append(min(group_width, inner))
            widths.append(int(make_divisible(inner, groups[-1]) / bottleneck_multiplier))
        count = len(stages)
        depths = [depth for _, depth in stages]
        return cls(depths, widths, groups, [bottleneck_multiplier] * count, [2] * count, se_ratio)

    def stages(self):
        """The arguments of each stage: width, stride, depth, width of a group, multiplier."""
        return zip(
            self.widths, self.strides, self.depths, self.group_widths, self.bottleneck_multipliers,
            strict=True,
        )  # fmt: skip


class RegNet(nn.Module):
    """The stages that ``block_params`` lists, and a linear layer.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        block_params: ``BlockParams`` of the stages.
        stem_width: Number of channels of the first convolution. Default: 32.
        stem_type: Class of the first layers. Default: ``SimpleStemIN``.
        block_type: Class of the blocks. Default: ``ResBottleneckBlock``.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.
        activation: Class of the activations. Default: ``ReLU``.

    Source: Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678

    >>> import rushlight as torch
    >>> from rushlight.vision.models.regnet import BlockParams, RegNet
    >>> stages = BlockParams.from_init_params(4, 8, 8.0, 2.0, 8)
    >>> RegNet(stages, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, block_params, num_classes=1000, stem_width=32, stem_type=None, block_type=None,
        norm_layer=None, activation=None,
    ):  # fmt: skip
        super().__init__()
        norm_layer, activation = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm_layer, activation)
        stages, width_in = OrderedDict(), stem_width
        for i, (width, stride, depth, group, multiplier) in enumerate(block_params.stages(), 1):
            stages[f"block{i}"] = AnyStage(
                width_in, width, stride, depth, block_type or ResBottleneckBlock, norm_layer,
                activation, group, multiplier, block_params.se_ratio, stage_index=i,
            )  # fmt: skip
            width_in = width
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width_in, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as if all channels were one group
                fan_out = math.prod(module.kernel_size) * module.out_channels
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.avgpool(self.trunk_output(self.stem(x)))
        return self.fc(x.flatten(1))


def _regnet(row, options, se_ratio=None):
    """A model from its depth, w_0, w_a, w_m and width of a group."""
    names = ("depth", "w_0", "w_a", "w_m", "group_width")
    given = dict(zip(names, row, strict=True))
    return RegNet(BlockParams.from_init_params(**given, se_ratio=se_ratio), **options)


@builder(RegNet_X_400MF_Weights)
def regnet_x_400mf(**options):
    """Build a ``RegNet`` of about 400 MFLOPs.

    >>> from rushlight.vision.models import regnet_x_400mf
    >>> regnet_x_400mf.weights.DEFAULT.meta["num_params"]
    5495976
    """
    return _regnet((22, 24, 24.48, 2.54, 16), options)


@builder(RegNet_X_800MF_Weights)
def regnet_x_800mf(**options):
    """Build a ``RegNet`` of about 800 MFLOPs.

    >>> from rushlight.vision.models import regnet_x_800mf
    >>> regnet_x_800mf.weights.DEFAULT.meta["num_params"]
    7259656
    """
    return _regnet((16, 56, 35.73, 2.28, 16), options)


@builder(RegNet_X_1_6GF_Weights)
def regnet_x_1_6gf(**options):
    """Build a ``RegNet`` of about 1.6 GFLOPs.

    >>> from rushlight.vision.models import regnet_x_1_6gf
    >>> regnet_x_1_6gf.weights.DEFAULT.meta["num_params"]
    9190136
    """
    return _regnet((18, 80, 34.01, 2.25, 24), options)


@builder(RegNet_X_3_2GF_Weights)
def regnet_x_3_2gf(**options):
    """Build a ``RegNet`` of about 3.2 GFLOPs.

    >>> from rushlight.vision.models import regnet_x_3_2gf
    >>> regnet_x_3_2gf.weights.DEFAULT.meta["num_params"]
    15296552
    """
    return _regnet((25, 88, 26.31, 2.25, 48), options)


@builder(RegNet_X_8GF_Weights)
def regnet_x_8gf(**options):
    """Build a ``RegNet`` of about 8 GFLOPs.

    >>> from rushlight.vision.models import regnet_x_8gf
    >>> regnet_x_8gf.weights.DEFAULT.meta["num_params"]
    39572648
    """
    return _regnet((23, 80, 49.56, 2.88, 120), options)


@builder(RegNet_X_16GF_Weights)
def regnet_x_16gf(**options):
    """Build a ``RegNet`` of about 16 GFLOPs.

    >>> from rushlight.vision.models import regnet_x_16gf
    >>> regnet_x_16gf.weights.DEFAULT.meta["num_params"]
    54278536
    """
    return _regnet((22, 216, 55.59, 2.1, 128), options)


@builder(RegNet_X_32GF_Weights)
def regnet_x_32gf(**options):
    """Build a ``RegNet`` of about 32 GFLOPs.

    >>> from rushlight.vision.models import regnet_x_32gf
    >>> regnet_x_32gf.weights.DEFAULT.meta["num_params"]
    107811560
    """
    return _regnet((23, 320, 69.86, 2.0, 168), options)


@builder(RegNet_Y_400MF_Weights)
def regnet_y_400mf(**options):
    """Build a ``RegNet`` with weighted channels of about 400 MFLOPs.

    >>> from rushlight.vision.models import regnet_y_400mf
    >>> regnet_y_400mf.weights.DEFAULT.meta["num_params"]
    4344144
    """
    return _regnet((16, 48, 27.89, 2.09, 8), options, 0.25)


@builder(RegNet_Y_800MF_Weights)
def regnet_y_800mf(**options):
    """Build a ``RegNet`` with weighted channels of about 800 MFLOPs.

    >>> from rushlight.vision.models import regnet_y_800mf
    >>> regnet_y_800mf.weights.DEFAULT.meta["num_params"]
    6432512
    """
    return _regnet((14, 56, 38.84, 2.4, 16), options, 0.25)


@builder(RegNet_Y_1_6GF_Weights)
def regnet_y_1_6gf(**options):
    """Build a ``RegNet`` with weighted channels of about 1.6 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_1_6gf
    >>> regnet_y_1_6gf.weights.DEFAULT.meta["num_params"]
    11202430
    """
    return _regnet((27, 48, 20.71, 2.65, 24), options, 0.25)


@builder(RegNet_Y_3_2GF_Weights)
def regnet_y_3_2gf(**options):
    """Build a ``RegNet`` with weighted channels of about 3.2 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_3_2gf
    >>> regnet_y_3_2gf.weights.DEFAULT.meta["num_params"]
    19436338
    """
    return _regnet((21, 80, 42.63, 2.66, 24), options, 0.25)


@builder(RegNet_Y_8GF_Weights)
def regnet_y_8gf(**options):
    """Build a ``RegNet`` with weighted channels of about 8 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_8gf
    >>> regnet_y_8gf.weights.DEFAULT.meta["num_params"]
    39381472
    """
    return _regnet((17, 192, 76.82, 2.19, 56), options, 0.25)


@builder(RegNet_Y_16GF_Weights)
def regnet_y_16gf(**options):
    """Build a ``RegNet`` with weighted channels of about 16 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_16gf
    >>> regnet_y_16gf.weights.DEFAULT.meta["num_params"]
    83590140
    """
    return _regnet((18, 200, 106.23, 2.48, 112), options, 0.25)


@builder(RegNet_Y_32GF_Weights)
def regnet_y_32gf(**options):
    """Build a ``RegNet`` with weighted channels of about 32 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_32gf
    >>> regnet_y_32gf.weights.DEFAULT.meta["num_params"]
    145046770
    """
    return _regnet((20, 232, 115.89, 2.53, 232), options, 0.25)


@builder(RegNet_Y_128GF_Weights, pretrained=None)
def regnet_y_128gf(**options):
    """Build a ``RegNet`` with weighted channels of about 128 GFLOPs.

    >>> from rushlight.vision.models import regnet_y_128gf
    >>> regnet_y_128gf.weights.DEFAULT.meta["num_params"]
    644812894
    """
    return _regnet((27, 456, 160.83, 2.52, 264), options, 0.25)
