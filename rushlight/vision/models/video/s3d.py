"""S3D: GoogLeNet's modules for videos, whose convolutions are split into space and time."""

from functools import partial

import rushlight as torch
from rushlight import nn
from rushlight.vision.models.registry import builder
from rushlight.vision.models.video.weights import published
from rushlight.vision.ops.misc import Conv3dNormActivation

__all__ = ["S3D", "S3D_Weights", "s3d"]

S3D_Weights = published("S3D_Weights", __name__)


class TemporalSeparableConv(nn.Sequential):
    """A convolution of space, then one of time, each with normalisation and ReLU.

    Shape: x: (N, in_planes, T, H, W) → (N, out_planes, T / stride, H / stride, W / stride).
    """

    def __init__(self, in_planes, out_planes, kernel_size, stride, padding, norm_layer):
        k, s, p = kernel_size, stride, padding
        super().__init__(
            Conv3dNormActivation(
                in_planes, out_planes, (1, k, k), (1, s, s), (0, p, p), bias=False,
                norm_layer=norm_layer,
            ),
            Conv3dNormActivation(
                out_planes, out_planes, (k, 1, 1), (s, 1, 1), (p, 0, 0), bias=False,
                norm_layer=norm_layer,
            ),
        )  # fmt: skip


class SepInceptionBlock3D(nn.Module):
    """Four branches: 1×1×1, two separable convolutions of 3×3×3, and pooling.

    Shape: x: (N, in_planes, T, H, W) → (N, b0_out + b1_out + b2_out + b3_out, T, H, W).
    """

    def __init__(self, in_planes, b0_out, b1_mid, b1_out, b2_mid, b2_out, b3_out, norm_layer):
        super().__init__()
        point = partial(Conv3dNormActivation, kernel_size=1, stride=1, norm_layer=norm_layer)
        separable = partial(
            TemporalSeparableConv, kernel_size=3, stride=1, padding=1, norm_layer=norm_layer
        )
        self.branch0 = point(in_planes, b0_out)
        self.branch1 = nn.Sequential(point(in_planes, b1_mid), separable(b1_mid, b1_out))
        self.branch2 = nn.Sequential(point(in_planes, b2_mid), separable(b2_mid, b2_out))
        self.branch3 = nn.Sequential(nn.MaxPool3d((3, 3, 3), 1, 1), point(in_planes, b3_out))

    def forward(self, x):
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], 1)


# The rows' numbers are the blocks' arguments; a row between them is a pooling layer's.
_STAGES = [
    (192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64), (3, 2, 1),
    (480, 192, 96, 208, 16, 48, 64), (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64), (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128), (2, 2, 0), (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
]  # fmt: skip


class S3D(nn.Module):
    """Nine ``SepInceptionBlock3D``, and a convolution that classifies.

    Shape: x: (N, 3, T, H, W), T from 14, H and W from 224 → (N, num_classes).

    Args:
        num_classes: Number of classes. Default: 400.
        dropout: Probability of dropout before the last layer. Default: 0.2.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm3d``.

    Source: Xie et al. 2017, https://arxiv.org/abs/1712.04851

    >>> from rushlight.vision.models.video import s3d
    >>> len(s3d(num_classes=10).features)
    16
    """

    def __init__(self, num_classes=400, dropout=0.2, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)
        separable = partial(TemporalSeparableConv, norm_layer=norm_layer)
        block = partial(SepInceptionBlock3D, norm_layer=norm_layer)

        def pool():
            return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

        first = [
            separable(3, 64, 7, 2, 3), pool(),
            Conv3dNormActivation(64, 64, kernel_size=1, stride=1, norm_layer=norm_layer),
            separable(64, 192, 3, 1, 1), pool(),
        ]  # fmt: skip
        rest = [
            block(*row) if len(row) > 3
            else nn.MaxPool3d(*[(n, n, n) for n in row])
            for row in _STAGES
        ]  # fmt: skip
        self.features = nn.Sequential(*first, *rest)
        self.avgpool = nn.AvgPool3d((2, 7, 7), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv3d(1024, num_classes, 1))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x))).mean((2, 3, 4))


@builder(S3D_Weights, pretrained="KINETICS400_V1")
def s3d(**options):
    """Build an ``S3D``.

    >>> from rushlight.vision.models.video import s3d
    >>> s3d.weights.DEFAULT.meta["num_params"]
    8320048
    """
    return S3D(**options)
