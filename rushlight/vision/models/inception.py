"""Inception v3: factorised convolutions side by side."""

from collections import namedtuple
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.googlenet import (
    BasicConv2d,
    as_inception_expects,
    draw_weights,
    wants_weights,
)
from rushlight.vision.models.registry import builder, require
from rushlight.vision.models.weights import weights_enum

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "inception_v3"]

Inception_V3_Weights = weights_enum("Inception_V3_Weights", __name__)
InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
InceptionOutputs.__doc__ = """The results of ``Inception3`` in training.

Args:
    logits: Tensor ``(N, num_classes)`` of the last layer.
    aux_logits: Tensor ``(N, num_classes)`` of the classifier inside.

>>> from rushlight.vision.models import InceptionOutputs
>>> InceptionOutputs("last", "first").aux_logits
'first'
"""

WIDE = {"kernel_size": (1, 7), "padding": (0, 3)}
HIGH = {"kernel_size": (7, 1), "padding": (3, 0)}


class InceptionA(nn.Module):
    """Branches side by side: 1×1; 5×5; two convolutions of 3×3; pooling.

    Shape: x: (N, in_channels, H, W) → (N, 224 + pool_features, H, W).
    """

    def __init__(self, in_channels, pool_features, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x):
        wide = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.branch1x1(x), wide, double, pooled], 1)


class InceptionB(nn.Module):
    """Branches that halve the size: 3×3; two convolutions of 3×3; pooling.

    Shape: x: (N, in_channels, H, W) → (N, 480 + in_channels, H', W').
    """

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(nn.Module):
    """Branches: 1×1; 7×7, factorised as 1×7 and 7×1; the factorised 7×7 twice; pooling.

    Shape: x: (N, in_channels, H, W) → (N, 768, H, W).
    """

    def __init__(self, in_channels, channels_7x7, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        inner = channels_7x7
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, inner, kernel_size=1)
        self.branch7x7_2 = conv(inner, inner, **WIDE)
        self.branch7x7_3 = conv(inner, 192, **HIGH)
        self.branch7x7dbl_1 = conv(in_channels, inner, kernel_size=1)
        self.branch7x7dbl_2 = conv(inner, inner, **HIGH)
        self.branch7x7dbl_3 = conv(inner, inner, **WIDE)
        self.branch7x7dbl_4 = conv(inner, inner, **HIGH)
        self.branch7x7dbl_5 = conv(inner, 192, **WIDE)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x):
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.branch1x1(x), once, twice, pooled], 1)


class InceptionD(nn.Module):
    """Branches that halve the size: 3×3; a factorised 7×7 and then 3×3; pooling.

    Shape: x: (N, in_channels, H, W) → (N, 512 + in_channels, H', W').
    """

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, **WIDE)
        self.branch7x7x3_3 = conv(192, 192, **HIGH)
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x):
        small = self.branch3x3_2(self.branch3x3_1(x))
        large = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([small, self.branch7x7x3_4(large), F.max_pool2d(x, 3, stride=2)], 1)


class InceptionE(nn.Module):
    """Branches: 1×1; 1×3 beside 3×1; 3×3 and then 1×3 beside 3×1; pooling.

    Shape: x: (N, in_channels, H, W) → (N, 2048, H, W).
    """

    def __init__(self, in_channels, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        wide = {"kernel_size": (1, 3), "padding": (0, 1)}
        high = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, **wide)
        self.branch3x3_2b = conv(384, 384, **high)
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, **wide)
        self.branch3x3dbl_3b = conv(384, 384, **high)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x):
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)),
        ]
        return torch.cat(parts, 1)


class InceptionAux(nn.Module):
    """A classifier in the middle of the network, for training.

    Shape: x: (N, in_channels, H, W), H and W from 17 → (N, num_classes).
    """

    def __init__(self, in_channels, num_classes, conv_block=None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x):
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(nn.Module):
    """Inception v3, with one more classifier in training.

    Shape: x: (N, 3, H, W), H and W from 75, made for 299 → (N, num_classes); in training with
        ``aux_logits`` an ``InceptionOutputs`` of two.

    Args:
        aux_logits: Have one more classifier, whose result is given in training. Default: True.
        inception_blocks: List of the classes of convolutions, of the modules A to E and of the
            classifier. Default: those of this module.
        init_weights: Draw the weights anew from normal distributions. Default: True, with a
            warning.
        dropout: Probability of dropout before the last layer. Default: 0.5.

    Raises:
        ValueError: ``inception_blocks`` does not have seven entries.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567

    >>> import rushlight as torch
    >>> from rushlight.vision.models import inception_v3
    >>> inception_v3(num_classes=10, init_weights=False).eval()(torch.zeros(1, 3, 75, 75)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, num_classes=1000, aux_logits=True, transform_input=False, inception_blocks=None,
        init_weights=None, dropout=0.5,
    ):  # fmt: skip
        super().__init__()
        blocks = inception_blocks or [
            BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux,
        ]  # fmt: skip
        if len(blocks) != 7:
            raise ValueError(f"Inception3: inception_blocks needs 7 entries, got {len(blocks)}")
        conv, block_a, block_b, block_c, block_d, block_e, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = block_a(192, pool_features=32)
        self.Mixed_5c = block_a(256, pool_features=64)
        self.Mixed_5d = block_a(288, pool_features=64)
        self.Mixed_6a = block_b(288)
        self.Mixed_6b = block_c(768, channels_7x7=128)
        self.Mixed_6c = block_c(768, channels_7x7=160)
        self.Mixed_6d = block_c(768, channels_7x7=160)
        self.Mixed_6e = block_c(768, channels_7x7=192)
        self.AuxLogits: Any = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = block_d(768)
        self.Mixed_7b = block_e(1280)
        self.Mixed_7c = block_e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        if wants_weights("Inception3", init_weights):
            last: Any = self.AuxLogits and self.AuxLogits.fc
            draw_weights(self, lambda module: 0.001 if module is last else 0.1)

    def forward(self, x):
        if self.transform_input:
            x = as_inception_expects(x)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(x))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        middle = self.Mixed_6e(self.Mixed_6d(x))
        wants_aux = self.training and self.aux_logits
        aux = self.AuxLogits(middle) if wants_aux else None
        x = self.avgpool(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(middle))))
        x = self.fc(self.dropout(x).flatten(1))
        return InceptionOutputs(x, aux) if wants_aux else x


def _trained(weights, options):
    options.setdefault("transform_input", True)
    require(options, "init_weights", False)
    require(options, "aux_logits", True)


@builder(Inception_V3_Weights, _trained)
def inception_v3(**options):
    """Build an ``Inception3``.

    >>> from rushlight.vision.models import inception_v3
    >>> inception_v3.weights.DEFAULT.meta["num_params"]
    27161264
    """
    return Inception3(**options)
