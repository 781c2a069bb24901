"""ResNets of videos: convolutions in 3-d, or only at first, or of space and time apart."""

from rushlight import nn
from rushlight.vision.models.blocks import init_weights
from rushlight.vision.models.registry import builder
from rushlight.vision.models.video.weights import published

__all__ = [
    "MC3_18_Weights", "R2Plus1D_18_Weights", "R3D_18_Weights", "VideoResNet", "mc3_18",
    "r2plus1d_18", "r3d_18",
]  # fmt: skip

R3D_18_Weights = published("R3D_18_Weights", __name__)
MC3_18_Weights = published("MC3_18_Weights", __name__)
R2Plus1D_18_Weights = published("R2Plus1D_18_Weights", __name__)


class Conv3DSimple(nn.Conv3d):
    """A convolution of 3×3×3. Shape: x: (N, C, T, H, W) → (N, O, T / s, H / s, W / s)."""

    def __init__(self, in_planes, out_planes, midplanes=None, stride=1, padding=1):
        super().__init__(in_planes, out_planes, 3, stride, padding, bias=False)

    @staticmethod
    def get_downsample_stride(stride):
        """The stride of the convolution that makes a block's input fit."""
        return stride, stride, stride


class Conv2Plus1D(nn.Sequential):
    """A convolution of space, then one of time.

    Shape: x: (N, C, T, H, W) → (N, O, T / s, H / s, W / s).
    """

    get_downsample_stride = staticmethod(Conv3DSimple.get_downsample_stride)

    def __init__(self, in_planes, out_planes, midplanes, stride=1, padding=1):
        space, time = (1, stride, stride), (stride, 1, 1)
        super().__init__(
            nn.Conv3d(in_planes, midplanes, (1, 3, 3), space, (0, padding, padding), bias=False),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, (3, 1, 1), time, (padding, 0, 0), bias=False),
        )


class Conv3DNoTemporal(nn.Conv3d):
    """A convolution of each frame. Shape: x: (N, C, T, H, W) → (N, O, T, H / s, W / s)."""

    def __init__(self, in_planes, out_planes, midplanes=None, stride=1, padding=1):
        around = (0, padding, padding)
        super().__init__(in_planes, out_planes, (1, 3, 3), (1, stride, stride), around, bias=False)

    @staticmethod
    def get_downsample_stride(stride):
        """The stride of the convolution that makes a block's input fit."""
        return 1, stride, stride


class _Block(nn.Module):
    """Convolutions, to whose result the input is added. A subclass makes ``conv1``, ``conv2``, …"""

    expansion = 1

    def __init__(self, downsample, stride, *convolutions):
        super().__init__()
        for i, (conv, channels) in enumerate(convolutions, 1):
            last = [] if i == len(convolutions) else [nn.ReLU(inplace=True)]
            self.add_module(f"conv{i}", nn.Sequential(conv, nn.BatchNorm3d(channels), *last))
        self.relu = nn.ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def forward(self, x):
        out = x
        for name, layer in self.named_children():
            if name.startswith("conv"):
                out = layer(out)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def _between(inputs, outputs):
    """The channels between two convolutions with as many weights as one of 3×3×3."""
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


class BasicBlock(_Block):
    """Two convolutions. Shape: x: (N, inplanes, T, H, W) → (N, planes, T', H', W')."""

    def __init__(self, inplanes, planes, conv_builder, stride=1, downsample=None):
        middle = _between(inplanes, planes)
        super().__init__(
            downsample,
            stride,
            (conv_builder(inplanes, planes, middle, stride), planes),
            (conv_builder(planes, planes, middle), planes),
        )


class Bottleneck(_Block):
    """A convolution between two of 1×1×1.

    Shape: x: (N, inplanes, T, H, W) → (N, 4 · planes, T', H', W').
    """

    expansion = 4

    def __init__(self, inplanes, planes, conv_builder, stride=1, downsample=None):
        middle, outer = _between(inplanes, planes), planes * self.expansion
        super().__init__(
            downsample,
            stride,
            (nn.Conv3d(inplanes, planes, 1, bias=False), planes),
            (conv_builder(planes, planes, middle, stride), planes),
            (nn.Conv3d(planes, outer, 1, bias=False), outer),
        )


class BasicStem(nn.Sequential):
    """A convolution of 3×7×7. Shape: x: (N, 3, T, H, W) → (N, 64, T, H / 2, W / 2)."""

    def __init__(self):
        super().__init__(
            nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class R2Plus1dStem(nn.Sequential):
    """A convolution of 7×7 in space, then one of time.

    Shape: x: (N, 3, T, H, W) → (N, 64, T, H / 2, W / 2).
    """

    def __init__(self):
        super().__init__(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """A residual network of videos, in four stages.

    Shape: x: (N, 3, T, H, W) → (N, num_classes).

    Args:
        block: Class of the blocks: ``BasicBlock`` or ``Bottleneck``.
        conv_makers: List of the class of convolutions of each stage.
        layers: List of the number of blocks of each stage.
        stem: Function that makes the first layers.
        num_classes: Number of classes. Default: 400.
        zero_init_residual: Let each ``Bottleneck`` begin as its input. Default: False.

    Source: Tran et al. 2017, https://arxiv.org/abs/1711.11248

    >>> import rushlight as torch
    >>> from rushlight.vision.models.video import r3d_18
    >>> r3d_18(num_classes=10).eval()(torch.zeros(1, 3, 2, 16, 16)).shape
    torch.Size([1, 10])
    """

    def __init__(self, block, conv_makers, layers, stem, num_classes=400, zero_init_residual=False):
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        for i, (maker, count) in enumerate(zip(conv_makers, layers, strict=True)):
            stage = self._stage(block, maker, 64 * 2**i, count, stride=2 if i else 1)
            self.add_module(f"layer{i + 1}", stage)
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(self.inplanes, num_classes)
        init_weights(self, linear=lambda weight: nn.init.normal_(weight, std=0.01))
        for module in self.modules() if zero_init_residual else ():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.conv3[1].weight)

    def _stage(self, block, maker, planes, count, stride):
        outer, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != outer:
            steps = maker.get_downsample_stride(stride)
            downsample = nn.Sequential(
                nn.Conv3d(self.inplanes, outer, 1, steps, bias=False), nn.BatchNorm3d(outer)
            )
        blocks = [block(self.inplanes, planes, maker, stride, downsample)]
        self.inplanes = outer
        blocks += [block(outer, planes, maker) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


def _resnet(conv_makers, options, stem=BasicStem):
    return VideoResNet(BasicBlock, conv_makers, [2, 2, 2, 2], stem, **options)


@builder(R3D_18_Weights, pretrained="KINETICS400_V1")
def r3d_18(**options):
    """Build a ``VideoResNet`` of 18 layers, whose convolutions are all 3-d.

    >>> from rushlight.vision.models.video import r3d_18
    >>> r3d_18.weights.DEFAULT.meta["num_params"]
    33371472
    """
    return _resnet([Conv3DSimple] * 4, options)


@builder(MC3_18_Weights, pretrained="KINETICS400_V1")
def mc3_18(**options):
    """Build a ``VideoResNet`` of 18 layers: after the first stage it convolves each frame.

    >>> from rushlight.vision.models.video import mc3_18
    >>> mc3_18.weights.DEFAULT.meta["num_params"]
    11695440
    """
    return _resnet([Conv3DSimple, *[Conv3DNoTemporal] * 3], options)


@builder(R2Plus1D_18_Weights, pretrained="KINETICS400_V1")
def r2plus1d_18(**options):
    """Build a ``VideoResNet`` of 18 layers that convolves space and time one after the other.

    >>> from rushlight.vision.models.video import r2plus1d_18
    >>> r2plus1d_18.weights.DEFAULT.meta["num_params"]
    31505325
    """
    return _resnet([Conv2Plus1D] * 4, options, R2Plus1dStem)
