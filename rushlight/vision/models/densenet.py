"""DenseNet: the input of each layer is the results of all earlier layers of its block."""

import re

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.blocks import init_weights
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "DenseNet", "DenseNet121_Weights", "DenseNet161_Weights", "DenseNet169_Weights",
    "DenseNet201_Weights", "densenet121", "densenet161", "densenet169", "densenet201",
]  # fmt: skip

DenseNet121_Weights = weights_enum("DenseNet121_Weights", __name__)
DenseNet161_Weights = weights_enum("DenseNet161_Weights", __name__)
DenseNet169_Weights = weights_enum("DenseNet169_Weights", __name__)
DenseNet201_Weights = weights_enum("DenseNet201_Weights", __name__)


class _DenseLayer(nn.Module):
    def __init__(self, channels, growth_rate, bn_size, drop_rate):
        super().__init__()
        inner = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inner, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = False  # torchvision reads it if it loads a saved model

    def forward(self, x):
        x = self.conv1(self.relu1(self.norm1(x)))
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # Published weights use old names, such as norm.1 for norm1.
        old = re.compile(re.escape(prefix) + r"(norm|conv)\.([12])\.")
        for key in list(state_dict):
            state_dict[old.sub(rf"{prefix}\1\2.", key)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


class _DenseBlock(nn.ModuleDict):
    _version = 2

    def __init__(self, layers, channels, growth_rate, **options):
        super().__init__()
        for i in range(layers):
            layer = _DenseLayer(channels + i * growth_rate, growth_rate, **options)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x):
        for layer in self.values():
            x = torch.cat([x, layer(x)], 1)
        return x


class _Transition(nn.Sequential):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2, stride=2)


class DenseNet(nn.Module):
    """Dense blocks, in which each layer reads the results of all layers before it.

    Shape: x: (N, 3, H, W), H and W from 29 → (N, num_classes).

    Args:
        growth_rate: Number of channels that each layer adds. Default: 32.
        block_config: The number of layers of each block. Default: (6, 12, 24, 16).
        num_init_features: Number of channels of the first convolution. Default: 64.
        bn_size: Channels inside a layer, as a multiple of ``growth_rate``. Default: 4.
        drop_rate: Probability of dropout after each layer. Default: 0.
        memory_efficient: Accepted without effect.

    Source: Huang et al. 2016, https://arxiv.org/abs/1608.06993

    >>> import rushlight as torch
    >>> from rushlight.vision.models import DenseNet
    >>> DenseNet(8, (2, 2), 16, num_classes=10)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64, bn_size=4,
        drop_rate=0, num_classes=1000, memory_efficient=False,
    ):  # fmt: skip
        super().__init__()
        channels = num_init_features
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, channels, 7, 2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(channels))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        for i, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, channels, growth_rate, bn_size=bn_size, drop_rate=drop_rate)
            self.features.add_module(f"denseblock{i}", block)
            channels += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        init_weights(self, mode="fan_in")
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x):
        x = F.relu(self.features(x))
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


@builder(DenseNet121_Weights)
def densenet121(**options):
    """Build a ``DenseNet`` of 121 layers.

    >>> from rushlight.vision.models import densenet121
    >>> densenet121.weights.DEFAULT.meta["num_params"]
    7978856
    """
    return DenseNet(32, (6, 12, 24, 16), 64, **options)


@builder(DenseNet161_Weights)
def densenet161(**options):
    """Build a ``DenseNet`` of 161 layers.

    >>> from rushlight.vision.models import densenet161
    >>> densenet161.weights.DEFAULT.meta["num_params"]
    28681000
    """
    return DenseNet(48, (6, 12, 36, 24), 96, **options)


@builder(DenseNet169_Weights)
def densenet169(**options):
    """Build a ``DenseNet`` of 169 layers.

    >>> from rushlight.vision.models import densenet169
    >>> densenet169.weights.DEFAULT.meta["num_params"]
    14149480
    """
    return DenseNet(32, (6, 12, 32, 32), 64, **options)


@builder(DenseNet201_Weights)
def densenet201(**options):
    """Build a ``DenseNet`` of 201 layers.

    >>> from rushlight.vision.models import densenet201
    >>> densenet201.weights.DEFAULT.meta["num_params"]
    20013928
    """
    return DenseNet(32, (6, 12, 48, 32), 64, **options)
