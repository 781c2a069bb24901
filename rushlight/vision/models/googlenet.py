"""GoogLeNet: convolutions of several sizes side by side."""

import warnings
from collections import namedtuple
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder, require
from rushlight.vision.models.weights import weights_enum

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "googlenet"]

GoogLeNet_Weights = weights_enum("GoogLeNet_Weights", __name__)
GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
GoogLeNetOutputs.__doc__ = """The results of ``GoogLeNet`` in training.

Args:
    logits: Tensor ``(N, num_classes)`` of the last layer.
    aux_logits2: Tensor ``(N, num_classes)`` of the later of the two classifiers inside.
    aux_logits1: Tensor ``(N, num_classes)`` of the earlier one.

>>> from rushlight.vision.models import GoogLeNetOutputs
>>> GoogLeNetOutputs("last", "second", "first").aux_logits1
'first'
"""


class BasicConv2d(nn.Module):
    """Convolution, batch normalisation and ReLU; ``options`` are the convolution's.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H', W').
    """

    def __init__(self, in_channels, out_channels, **options):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches: a 1×1 convolution, 3×3, 3×3 again (called 5×5 in the names), and pooling.

    Shape: x: (N, in_channels, H, W) → (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W).
    """

    def __init__(
        self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj, conv_block=None
    ):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1),
            conv(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1),
            conv(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier in the middle of the network, for training.

    Shape: x: (N, in_channels, H, W) → (N, num_classes).
    """

    def __init__(self, in_channels, num_classes, conv_block=None, dropout=0.7):
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """Nine ``Inception`` modules, with two more classifiers in training.

    Shape: x: (N, 3, H, W), H and W from 15 → (N, num_classes); in training with ``aux_logits``
        a ``GoogLeNetOutputs`` of three.

    Args:
        aux_logits: Have two more classifiers, whose results are given in training. Default: True.
        init_weights: Draw the weights anew from normal distributions. Default: True, with a
            warning.
        blocks: List of the classes of convolutions, of inception modules and of the two
            classifiers. Default: those of this module.
        dropout: Probability of dropout before the last layer. Default: 0.2.
        dropout_aux: Probability of dropout in the two classifiers. Default: 0.7.

    Raises:
        ValueError: ``blocks`` does not have three entries.

    Source: Szegedy et al. 2014, https://arxiv.org/abs/1409.4842

    >>> import rushlight as torch
    >>> from rushlight.vision.models import googlenet
    >>> googlenet(num_classes=10, init_weights=False).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, num_classes=1000, aux_logits=True, transform_input=False, init_weights=None,
        blocks=None, dropout=0.2, dropout_aux=0.7,
    ):  # fmt: skip
        super().__init__()
        blocks = blocks or [BasicConv2d, Inception, InceptionAux]
        if len(blocks) != 3:
            raise ValueError(f"GoogLeNet: blocks needs 3 entries, got {len(blocks)}")
        conv, inception, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1: Any = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2: Any = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        if wants_weights("GoogLeNet", init_weights):
            draw_weights(self, lambda module: 0.01)

    def forward(self, x):
        if self.transform_input:
            x = as_inception_expects(x)
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        middle = self.inception4a(x)
        late = self.inception4d(self.inception4c(self.inception4b(middle)))
        x = self.maxpool4(self.inception4e(late))
        x = self.avgpool(self.inception5b(self.inception5a(x)))
        if not (self.training and self.aux_logits):
            return self.fc(self.dropout(x.flatten(1)))
        first, second = self.aux1(middle), self.aux2(late)
        return GoogLeNetOutputs(self.fc(self.dropout(x.flatten(1))), second, first)


def wants_weights(name, init_weights):
    """Whether to draw the initial weights anew.

    None means True, with a warning, because PyTorch plans to change this default.
    """
    if init_weights is None:
        warnings.warn(
            f"{name}: init_weights=None means True, which will change; pass True or False",
            FutureWarning,
            stacklevel=4,
        )
    return init_weights is None or init_weights


def draw_weights(model, std):
    """Draw all weights from normal distributions of deviation ``std(module)``, cut off at ±2."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(module.weight, std=std(module), a=-2, b=2)


def as_inception_expects(x):
    """Convert images (N, 3, H, W) from the other models' normalisation to values of -1 to 1."""
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1) / 0.5
    mean = (torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1) - 0.5) / 0.5
    return x * std + mean


def _trained(weights, options):
    options.setdefault("transform_input", True)
    require(options, "init_weights", False)
    keep = options.get("aux_logits", False)
    require(options, "aux_logits", True)  # the file holds these classifiers, though untrained
    return None if keep else _drop_aux


def _drop_aux(model):
    model.aux_logits = False
    model.aux1 = model.aux2 = None


@builder(GoogLeNet_Weights, _trained)
def googlenet(**options):
    """Build a ``GoogLeNet``.

    >>> from rushlight.vision.models import googlenet
    >>> googlenet.weights.DEFAULT.meta["num_params"]
    6624904
    """
    return GoogLeNet(**options)
