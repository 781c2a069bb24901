"""ShuffleNetV2: half of the channels stay as they are, then all are shuffled."""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "ShuffleNetV2", "ShuffleNet_V2_X0_5_Weights", "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights", "ShuffleNet_V2_X2_0_Weights", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
]  # fmt: skip

ShuffleNet_V2_X0_5_Weights = weights_enum("ShuffleNet_V2_X0_5_Weights", __name__)
ShuffleNet_V2_X1_0_Weights = weights_enum("ShuffleNet_V2_X1_0_Weights", __name__)
ShuffleNet_V2_X1_5_Weights = weights_enum("ShuffleNet_V2_X1_5_Weights", __name__)
ShuffleNet_V2_X2_0_Weights = weights_enum("ShuffleNet_V2_X2_0_Weights", __name__)


def _dense(inp, oup, kernel_size=1, **options):
    """Convolution, normalisation and ReLU, as a list."""
    conv = nn.Conv2d(inp, oup, kernel_size, bias=False, **options)
    return [conv, nn.BatchNorm2d(oup), nn.ReLU(inplace=True)]


def _each(channels, stride):
    """A depthwise convolution of 3×3 and a normalisation, as a list."""
    conv = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


class InvertedResidual(nn.Module):
    """Two branches. At stride 1, the first branch returns its half of the channels unchanged.

    Shape: x: (N, inp, H, W) → (N, oup, H / stride, W / stride).
    Raises:
        ValueError: ``stride`` is not from 1 to 3, or is 1 with ``inp`` other than ``oup``.
    """

    def __init__(self, inp, oup, stride):
        super().__init__()
        half = oup // 2
        if stride not in (1, 2, 3):
            raise ValueError(f"InvertedResidual: stride must be 1 to 3, got {stride}")
        if stride == 1 and inp != 2 * half:
            raise ValueError(f"InvertedResidual: stride 1 needs inp = oup, got {inp} and {oup}")
        self.stride = stride
        first = [*_each(inp, stride), *_dense(inp, half)] if stride > 1 else []
        self.branch1 = nn.Sequential(*first)
        self.branch2 = nn.Sequential(
            *_dense(inp if stride > 1 else half, half), *_each(half, stride), *_dense(half, half)
        )

    def forward(self, x):
        left, right = x.chunk(2, 1) if self.stride == 1 else (x, x)
        return F.channel_shuffle(torch.cat([self.branch1(left), self.branch2(right)], 1), 2)


class ShuffleNetV2(nn.Module):
    """A first convolution, three stages, a last convolution, and a linear layer.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        stages_repeats: The numbers of blocks of the three stages.
        stages_out_channels: The numbers of channels of the first convolution, the three stages and
            the last convolution.
        inverted_residual: Class of the blocks. Default: ``InvertedResidual``.

    Raises:
        ValueError: the lists do not have three and five entries.

    Source: Ma et al. 2018, https://arxiv.org/abs/1807.11164

    >>> import rushlight as torch
    >>> from rushlight.vision.models import ShuffleNetV2
    >>> model = ShuffleNetV2([1, 1, 1], [8, 8, 16, 16, 32], num_classes=10)
    >>> model(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, stages_repeats, stages_out_channels, num_classes=1000,
        inverted_residual=InvertedResidual,
    ):  # fmt: skip
        super().__init__()
        if len(stages_repeats) != 3 or len(stages_out_channels) != 5:
            raise ValueError(
                "ShuffleNetV2: expected 3 stages_repeats and 5 stages_out_channels, got "
                f"{stages_repeats} and {stages_out_channels}"
            )
        self._stage_out_channels = stages_out_channels
        channels, *stages, last = stages_out_channels
        self.conv1 = nn.Sequential(*_dense(3, channels, 3, stride=2, padding=1))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i, (repeats, wider) in enumerate(zip(stages_repeats, stages, strict=True), 2):
            blocks = [inverted_residual(channels, wider, 2)]
            blocks += [inverted_residual(wider, wider, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
            channels = wider
        self.conv5 = nn.Sequential(*_dense(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x):
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


@builder(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(**options):
    """Build a ``ShuffleNetV2``, half as wide.

    >>> from rushlight.vision.models import shufflenet_v2_x0_5
    >>> shufflenet_v2_x0_5.weights.DEFAULT.meta["num_params"]
    1366792
    """
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **options)


@builder(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(**options):
    """Build a ``ShuffleNetV2``.

    >>> from rushlight.vision.models import shufflenet_v2_x1_0
    >>> shufflenet_v2_x1_0.weights.DEFAULT.meta["num_params"]
    2278604
    """
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **options)


@builder(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(**options):
    """Build a ``ShuffleNetV2``, one and a half times as wide.

    >>> from rushlight.vision.models import shufflenet_v2_x1_5
    >>> shufflenet_v2_x1_5.weights.DEFAULT.meta["num_params"]
    3503624
    """
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **options)


@builder(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(**options):
    """Build a ``ShuffleNetV2``, twice as wide.

    >>> from rushlight.vision.models import shufflenet_v2_x2_0
    >>> shufflenet_v2_x2_0.weights.DEFAULT.meta["num_params"]
    7393996
    """
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **options)
