"""MobileNetV2: wide inside a block, narrow between blocks."""

from functools import partial

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.blocks import init_weights, make_divisible
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights", __name__)

# One row a stage: expansion, channels, number of blocks, and the stride of the first block.
SETTING = [
    [1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2],
    [6, 320, 1, 1],
]  # fmt: skip


class InvertedResidual(nn.Module):
    """Makes ``expand_ratio`` times the channels, convolves each by itself, and reduces them again.

    Shape: x: (N, inp, H, W) → (N, oup, H / stride, W / stride).
    Raises:
        ValueError: ``stride`` is not 1 or 2.
    """

    def __init__(self, inp, oup, stride, expand_ratio, norm_layer=None):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.out_channels = oup
        self._is_cn = stride > 1  # detectors look at the blocks that make maps smaller
        hidden = round(inp * expand_ratio)
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(block(inp, hidden, kernel_size=1))
        layers.append(block(hidden, hidden, stride=stride, groups=hidden))
        layers.append(nn.Conv2d(hidden, oup, 1, bias=False))
        layers.append(norm_layer(oup))
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residual blocks, and a linear layer.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        width_mult: Factor of the numbers of channels. Default: 1.
        inverted_residual_setting: List of [expansion, channels, number of blocks, stride] for each
            stage. Default: as in the paper.
        round_nearest: The numbers of channels are multiples of this. Default: 8.
        block: Class of the blocks. Default: ``InvertedResidual``.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.
        dropout: Probability of dropout before the linear layer. Default: 0.2.

    Raises:
        ValueError: ``inverted_residual_setting`` is not a list of lists of four numbers.

    Source: Sandler et al. 2018, https://arxiv.org/abs/1801.04381

    >>> import rushlight as torch
    >>> from rushlight.vision.models import mobilenet_v2
    >>> mobilenet_v2(width_mult=0.25, num_classes=10).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, num_classes=1000, width_mult=1.0, inverted_residual_setting=None, round_nearest=8,
        block=None, norm_layer=None, dropout=0.2,
    ):  # fmt: skip
        super().__init__()
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or len(setting[0]) != 4:
            raise ValueError(
                f"MobileNetV2: inverted_residual_setting needs lists of 4 numbers, got {setting}"
            )
        block = block or InvertedResidual
        norm_layer = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features = [conv(3, channels, stride=2)]
        for expand_ratio, width, count, stride in setting:
            wider = make_divisible(width * width_mult, round_nearest)
            for i in range(count):
                step = stride if i == 0 else 1
                features.append(block(channels, wider, step, expand_ratio, norm_layer=norm_layer))
                channels = wider
        features.append(conv(channels, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes)
        )
        init_weights(self, linear=partial(nn.init.normal_, std=0.01))

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(x.flatten(1))


@builder(MobileNet_V2_Weights)
def mobilenet_v2(**options):
    """Build a ``MobileNetV2``.

    >>> from rushlight.vision.models import mobilenet_v2
    >>> mobilenet_v2.weights.DEFAULT.meta["num_params"]
    3504872
    """
    return MobileNetV2(**options)
