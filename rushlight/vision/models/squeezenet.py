"""SqueezeNet: few channels before each wide layer."""

import rushlight as torch
from rushlight import nn
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "squeezenet1_0",
    "squeezenet1_1",
]  # fmt: skip

SqueezeNet1_0_Weights = weights_enum("SqueezeNet1_0_Weights", __name__)
SqueezeNet1_1_Weights = weights_enum("SqueezeNet1_1_Weights", __name__)


class Fire(nn.Module):
    """A convolution to few channels, then convolutions of 1×1 and 3×3 side by side.

    Shape: x: (N, inplanes, H, W) → (N, expand1x1_planes + expand3x3_planes, H, W).
    """

    def __init__(self, inplanes, squeeze_planes, expand1x1_planes, expand3x3_planes):
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([narrow, wide], 1)


# A number stands for a ``Fire`` of that many channels, "M" for a pooling.
LAYOUTS = {
    "1_0": ((96, 7), ["M", 128, 128, 256, "M", 256, 384, 384, 512, "M", 512]),
    "1_1": ((64, 3), ["M", 128, 128, "M", 256, 256, "M", 384, 384, 512, 512]),
}


class SqueezeNet(nn.Module):
    """Convolutions that first squeeze the channels, and a last convolution that classifies.

    Shape: x: (N, 3, H, W), H and W from 21 → (N, num_classes).

    Args:
        version: ``"1_0"``, or the smaller ``"1_1"``. Default: ``"1_0"``.
        dropout: Probability of dropout before the last convolution. Default: 0.5.

    Raises:
        ValueError: there is no such version.

    Source: Iandola et al. 2016, https://arxiv.org/abs/1602.07360

    >>> import rushlight as torch
    >>> from rushlight.vision.models import squeezenet1_1
    >>> squeezenet1_1(num_classes=10)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(self, version="1_0", num_classes=1000, dropout=0.5):
        super().__init__()
        self.num_classes = num_classes
        if version not in LAYOUTS:
            raise ValueError(f"SqueezeNet: version must be '1_0' or '1_1', got {version!r}")
        self.features = _features(*LAYOUTS[version])
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.features(x)).flatten(1)


def _features(first, layout):
    channels, kernel = first
    layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel, stride=2), nn.ReLU(inplace=True)]
    for wider in layout:
        if wider == "M":
            layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        else:
            layers.append(Fire(channels, wider // 8, wider // 2, wider // 2))
            channels = wider
    return nn.Sequential(*layers)


@builder(SqueezeNet1_0_Weights)
def squeezenet1_0(**options):
    """Build a ``SqueezeNet`` as in the paper.

    >>> from rushlight.vision.models import squeezenet1_0
    >>> squeezenet1_0.weights.DEFAULT.meta["num_params"]
    1248424
    """
    return SqueezeNet("1_0", **options)


@builder(SqueezeNet1_1_Weights)
def squeezenet1_1(**options):
    """Build a ``SqueezeNet`` at 0.4 of the cost.

    >>> from rushlight.vision.models import squeezenet1_1
    >>> squeezenet1_1.weights.DEFAULT.meta["num_params"]
    1235496
    """
    return SqueezeNet("1_1", **options)
