"""ResNet, ResNeXt and wide ResNets: blocks whose result is added to their input."""

from functools import partial

from rushlight import nn
from rushlight.vision.models.blocks import init_weights
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "ResNeXt101_32X8D_Weights", "ResNeXt101_64X4D_Weights", "ResNeXt50_32X4D_Weights", "ResNet",
    "ResNet101_Weights", "ResNet152_Weights", "ResNet18_Weights", "ResNet34_Weights",
    "ResNet50_Weights", "Wide_ResNet101_2_Weights", "Wide_ResNet50_2_Weights", "resnet101",
    "resnet152", "resnet18", "resnet34", "resnet50", "resnext101_32x8d", "resnext101_64x4d",
    "resnext50_32x4d", "wide_resnet101_2", "wide_resnet50_2",
]  # fmt: skip

ResNet18_Weights = weights_enum("ResNet18_Weights", __name__)
ResNet34_Weights = weights_enum("ResNet34_Weights", __name__)
ResNet50_Weights = weights_enum("ResNet50_Weights", __name__)
ResNet101_Weights = weights_enum("ResNet101_Weights", __name__)
ResNet152_Weights = weights_enum("ResNet152_Weights", __name__)
ResNeXt50_32X4D_Weights = weights_enum("ResNeXt50_32X4D_Weights", __name__)
ResNeXt101_32X8D_Weights = weights_enum("ResNeXt101_32X8D_Weights", __name__)
ResNeXt101_64X4D_Weights = weights_enum("ResNeXt101_64X4D_Weights", __name__)
Wide_ResNet50_2_Weights = weights_enum("Wide_ResNet50_2_Weights", __name__)
Wide_ResNet101_2_Weights = weights_enum("Wide_ResNet101_2_Weights", __name__)


def conv3x3(in_planes, out_planes, stride=1, groups=1, dilation=1):
    """A convolution of 3×3 that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, 3, stride, padding=dilation, dilation=dilation, groups=groups,
        bias=False,
    )  # fmt: skip


def conv1x1(in_planes, out_planes, stride=1):
    """A convolution of 1×1."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions of 3×3.

    Shape: x: (N, inplanes, H, W) → (N, planes, H / stride, W / stride).
    Raises:
        ValueError: ``groups`` or ``base_width`` is not the default.
        NotImplementedError: ``dilation`` is not 1.
    """

    expansion = 1

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError(
                f"BasicBlock: groups must be 1 and base_width 64, got {groups} and {base_width}"
            )
        if dilation > 1:
            raise NotImplementedError(f"BasicBlock: dilation must be 1, got {dilation}")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(out + identity)


class Bottleneck(nn.Module):
    """Convolutions of 1×1 to fewer channels, of 3×3, and of 1×1 to four times ``planes``.

    The convolution of 3×3 has the stride (ResNet "V1.5").

    Shape: x: (N, inplanes, H, W) → (N, 4·planes, H / stride, W / stride).
    """

    expansion = 4

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * base_width / 64) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(out + identity)


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, and a linear layer.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        block: Class of the blocks: ``BasicBlock`` or ``Bottleneck``.
        layers: The numbers of blocks of the four stages.
        zero_init_residual: Begin with blocks that are the identity. Default: False.
        groups: Number of groups of channels that are convolved apart. Default: 1.
        width_per_group: Width inside a ``Bottleneck``: 64 (default) is the paper's, 128 is twice
            as wide.
        replace_stride_with_dilation: A bool for each of the last three stages. If it is True, the
            stage keeps the size of its input and dilates its convolutions instead. Default: all
            False.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.

    Raises:
        ValueError: ``replace_stride_with_dilation`` does not have three entries.

    Source: He et al. 2015, https://arxiv.org/abs/1512.03385

    >>> import rushlight as torch
    >>> from rushlight.vision.models import resnet18
    >>> resnet18(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self, block, layers, num_classes=1000, zero_init_residual=False, groups=1,
        width_per_group=64, replace_stride_with_dilation=None, norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        dilated = replace_stride_with_dilation or [False, False, False]
        if len(dilated) != 3:
            raise ValueError(f"ResNet: replace_stride_with_dilation needs 3 entries, got {dilated}")
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilated[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilated[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilated[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        init_weights(self)
        if zero_init_residual:  # each block begins as the identity
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.zeros_(last.weight)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, outplanes, stride), self._norm_layer(outplanes)
            )
        make = partial(
            block, groups=self.groups, base_width=self.base_width, norm_layer=self._norm_layer
        )
        layers = [make(self.inplanes, planes, stride, downsample, dilation=before)]
        layers += [make(outplanes, planes, dilation=self.dilation) for _ in range(blocks - 1)]
        self.inplanes = outplanes
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


@builder(ResNet18_Weights)
def resnet18(**options):
    """Build a ``ResNet`` of 18 layers.

    >>> from rushlight.vision.models import resnet18
    >>> resnet18.weights.DEFAULT.meta["num_params"]
    11689512
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


@builder(ResNet34_Weights)
def resnet34(**options):
    """Build a ``ResNet`` of 34 layers.

    >>> from rushlight.vision.models import resnet34
    >>> resnet34.weights.DEFAULT.meta["num_params"]
    21797672
    """
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


@builder(ResNet50_Weights)
def resnet50(**options):
    """Build a ``ResNet`` of 50 layers.

    >>> from rushlight.vision.models import resnet50
    >>> resnet50.weights.DEFAULT.meta["num_params"]
    25557032
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


@builder(ResNet101_Weights)
def resnet101(**options):
    """Build a ``ResNet`` of 101 layers.

    >>> from rushlight.vision.models import resnet101
    >>> resnet101.weights.DEFAULT.meta["num_params"]
    44549160
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


@builder(ResNet152_Weights)
def resnet152(**options):
    """Build a ``ResNet`` of 152 layers.

    >>> from rushlight.vision.models import resnet152
    >>> resnet152.weights.DEFAULT.meta["num_params"]
    60192808
    """
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)


@builder(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(**options):
    """Build a ResNeXt of 50 layers, with 32 groups of 4 channels.

    Source: Xie et al. 2016, https://arxiv.org/abs/1611.05431

    >>> from rushlight.vision.models import resnext50_32x4d
    >>> resnext50_32x4d.weights.DEFAULT.meta["num_params"]
    25028904
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4, **options)


@builder(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(**options):
    """Build a ResNeXt of 101 layers, with 32 groups of 8 channels.

    Source: Xie et al. 2016, https://arxiv.org/abs/1611.05431

    >>> from rushlight.vision.models import resnext101_32x8d
    >>> resnext101_32x8d.weights.DEFAULT.meta["num_params"]
    88791336
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8, **options)


@builder(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(**options):
    """Build a ResNeXt of 101 layers, with 64 groups of 4 channels.

    Source: Xie et al. 2016, https://arxiv.org/abs/1611.05431

    >>> from rushlight.vision.models import resnext101_64x4d
    >>> resnext101_64x4d.weights.DEFAULT.meta["num_params"]
    83455272
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4, **options)


@builder(Wide_ResNet50_2_Weights)
def wide_resnet50_2(**options):
    """Build a ``ResNet`` of 50 layers that is twice as wide inside its blocks.

    Source: Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146

    >>> from rushlight.vision.models import wide_resnet50_2
    >>> wide_resnet50_2.weights.DEFAULT.meta["num_params"]
    68883240
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=128, **options)


@builder(Wide_ResNet101_2_Weights)
def wide_resnet101_2(**options):
    """Build a ``ResNet`` of 101 layers that is twice as wide inside its blocks.

    Source: Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146

    >>> from rushlight.vision.models import wide_resnet101_2
    >>> wide_resnet101_2.weights.DEFAULT.meta["num_params"]
    126886696
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], width_per_group=128, **options)
