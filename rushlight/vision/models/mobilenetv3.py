"""MobileNetV3: MobileNetV2's blocks with squeeze and excitation; a search found the layout."""

from functools import partial

from rushlight import nn
from rushlight.vision.models.blocks import FeatureClassifier, init_weights, make_divisible
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "MobileNetV3", "MobileNet_V3_Large_Weights", "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large", "mobilenet_v3_small",
]  # fmt: skip

MobileNet_V3_Large_Weights = weights_enum("MobileNet_V3_Large_Weights", __name__)
MobileNet_V3_Small_Weights = weights_enum("MobileNet_V3_Small_Weights", __name__)


class InvertedResidualConfig:
    """The settings of one block; ``activation`` is "RE" (ReLU) or "HS" (Hardswish)."""

    def __init__(
        self, input_channels, kernel, expanded_channels, out_channels, use_se, activation, stride,
        dilation, width_mult,
    ):  # fmt: skip
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels, width_mult):
        """``channels`` times ``width_mult``, rounded to a multiple of 8."""
        return make_divisible(channels * width_mult)


class InvertedResidual(nn.Module):
    """Expands the channels, convolves and weights each channel by itself, and reduces them again.

    Shape: x: (N, C, H, W) → (N, O, H / stride, W / stride), as ``cnf`` says.
    Raises:
        ValueError: the stride is not 1 or 2.
    """

    def __init__(self, cnf, norm_layer, se_layer=None):
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        self._is_cn = cnf.stride > 1  # detectors look at the blocks that make maps smaller
        se_layer = se_layer or partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        inner = cnf.expanded_channels
        layers: list[nn.Module] = []
        if inner != cnf.input_channels:
            layers.append(block(cnf.input_channels, inner, kernel_size=1))
        layers.append(
            block(
                inner, inner, kernel_size=cnf.kernel, stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation, groups=inner,
            )
        )  # fmt: skip
        if cnf.use_se:
            layers.append(se_layer(inner, make_divisible(inner // 4)))
        layers.append(block(inner, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, x):
        return self.block(x) + x if self.use_res_connect else self.block(x)


class MobileNetV3(FeatureClassifier):
    """The blocks that ``inverted_residual_setting`` lists, then two linear layers.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        inverted_residual_setting: List of an ``InvertedResidualConfig`` for each block.
        last_channel: Number of channels between the two linear layers.
        block: Class of the blocks. Default: ``InvertedResidual``.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.
        dropout: Probability of dropout before the last layer. Default: 0.2.

    Raises:
        ValueError: ``inverted_residual_setting`` is empty.
        TypeError: ``inverted_residual_setting`` is not a list of ``InvertedResidualConfig``.

    Source: Howard et al. 2019, https://arxiv.org/abs/1905.02244

    >>> import rushlight as torch
    >>> from rushlight.vision.models import mobilenet_v3_small
    >>> mobilenet_v3_small(num_classes=10).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, inverted_residual_setting, last_channel, num_classes=1000, block=None,
        norm_layer=None, dropout=0.2,
    ):  # fmt: skip
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("MobileNetV3: inverted_residual_setting is empty")
        if not all(isinstance(cnf, InvertedResidualConfig) for cnf in setting):
            raise TypeError("MobileNetV3: inverted_residual_setting needs InvertedResidualConfigs")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        inner = setting[-1].out_channels
        self.features = nn.Sequential(
            conv(3, setting[0].input_channels, kernel_size=3, stride=2),
            *[block(cnf, norm_layer) for cnf in setting],
            conv(inner, 6 * inner, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * inner, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        init_weights(self, linear=partial(nn.init.normal_, std=0.01))


# One row a block: input channels, kernel, channels inside, output channels, whether the block has
# squeeze and excitation, activation, stride.
LARGE = [
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1), (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2), (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
]  # fmt: skip
SMALL = [
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1), (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2), (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
]  # fmt: skip
TAIL = 3  # how many last blocks ``reduced_tail`` makes narrower and ``dilated`` dilates


def _mobilenet_v3(rows, last_channel, width_mult=1.0, reduced_tail=False, dilated=False, **options):
    narrower = 2 if reduced_tail else 1
    setting = []
    for i, (channels, kernel, inner, out, use_se, activation, stride) in enumerate(rows):
        tail = i - (len(rows) - TAIL)
        if tail >= 0:
            out //= narrower
        if tail > 0:  # the first of the tail takes what comes before it
            channels, inner = channels // narrower, inner // narrower
        dilation = 2 if dilated and tail >= 0 else 1
        setting.append(
            InvertedResidualConfig(
                channels, kernel, inner, out, use_se, activation, stride, dilation, width_mult
            )
        )
    last_channel = InvertedResidualConfig.adjust_channels(last_channel // narrower, width_mult)
    return MobileNetV3(setting, last_channel, **options)


@builder(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(**options):
    """Build the larger ``MobileNetV3``.

    Args:
        options: Options of ``MobileNetV3``, by keyword, and ``width_mult`` (factor of all
            channels), ``reduced_tail`` (halve the channels of the last blocks) and ``dilated``
            (dilate the last blocks).

    >>> from rushlight.vision.models import mobilenet_v3_large
    >>> mobilenet_v3_large.weights.DEFAULT.meta["num_params"]
    5483032
    """
    return _mobilenet_v3(LARGE, 1280, **options)


@builder(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(**options):
    """Build the smaller ``MobileNetV3``.

    Args:
        options: Options of ``MobileNetV3``, by keyword, and ``width_mult`` (factor of all
            channels), ``reduced_tail`` (halve the channels of the last blocks) and ``dilated``
            (dilate the last blocks).

    >>> from rushlight.vision.models import mobilenet_v3_small
    >>> mobilenet_v3_small.weights.DEFAULT.meta["num_params"]
    2542856
    """
    return _mobilenet_v3(SMALL, 1024, **options)
