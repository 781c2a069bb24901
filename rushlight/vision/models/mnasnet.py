"""MNASNet: blocks that a search for fast networks has chosen."""

import warnings
from functools import partial

from rushlight import nn
from rushlight.vision.models.blocks import init_weights, make_divisible
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "MNASNet", "MNASNet0_5_Weights", "MNASNet0_75_Weights", "MNASNet1_0_Weights",
    "MNASNet1_3_Weights", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3",
]  # fmt: skip

MNASNet0_5_Weights = weights_enum("MNASNet0_5_Weights", __name__)
MNASNet0_75_Weights = weights_enum("MNASNet0_75_Weights", __name__)
MNASNet1_0_Weights = weights_enum("MNASNet1_0_Weights", __name__)
MNASNet1_3_Weights = weights_enum("MNASNet1_3_Weights", __name__)

# One row a stage: kernel, stride, expansion, output channels, number of blocks.
STAGES = [
    (3, 2, 3, 24, 3), (5, 2, 3, 40, 3), (5, 2, 6, 80, 3), (3, 1, 6, 96, 2), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]  # fmt: skip
_norm = partial(nn.BatchNorm2d, momentum=1 - 0.9997)  # the statistics move slowly


def _layers(inputs, outputs, kernel, stride=1, groups=1, activation=True):
    """A convolution and its normalisation, and a ReLU if ``activation``."""
    conv = nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [conv, _norm(outputs), *([nn.ReLU(inplace=True)] if activation else [])]


class _InvertedResidual(nn.Module):
    """Expands the channels, convolves each by itself, and reduces them again.

    The input is added to the result if both have the same shape.
    """

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        inner = inputs * expansion
        self.apply_residual = inputs == outputs and stride == 1
        self.layers = nn.Sequential(
            *_layers(inputs, inner, 1),
            *_layers(inner, inner, kernel, stride, groups=inner),
            *_layers(inner, outputs, 1, activation=False),
        )

    def forward(self, x):
        out = self.layers(x)
        return out + x if self.apply_residual else out


def _stem(first, second):
    """The layers before the stages: their channels are ``first`` and then ``second``."""
    return [
        *_layers(3, first, 3, stride=2),
        *_layers(first, first, 3, groups=first),
        *_layers(first, second, 1, activation=False),
    ]


class MNASNet(nn.Module):
    """The stages that the search has found, with ``alpha`` times their channels.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        alpha: Factor of the channels.
        dropout: Probability of dropout before the linear layer. Default: 0.2.

    Raises:
        ValueError: ``alpha`` is not positive.

    Source: Tan et al. 2018, https://arxiv.org/abs/1807.11626

    >>> import rushlight as torch
    >>> from rushlight.vision.models import MNASNet
    >>> MNASNet(0.25, num_classes=10).eval()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    _version = 2  # in version 1, alpha did not count for the layers before the stages

    def __init__(self, alpha, num_classes=1000, dropout=0.2):
        super().__init__()
        if alpha <= 0:
            raise ValueError(f"MNASNet: alpha must be positive, got {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        layers = _stem(make_divisible(32 * alpha), make_divisible(16 * alpha))
        inputs = make_divisible(16 * alpha)
        for kernel, stride, expansion, channels, count in STAGES:
            outputs = make_divisible(channels * alpha)
            first = _InvertedResidual(inputs, outputs, kernel, stride, expansion)
            rest = [
                _InvertedResidual(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1)
            ]
            layers.append(nn.Sequential(first, *rest))
            inputs = outputs
        self.layers = nn.Sequential(*layers, *_layers(inputs, 1280, 1))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(1280, num_classes)
        )
        linear = partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="sigmoid")
        init_weights(self, linear=linear)

    def forward(self, x):
        return self.classifier(self.layers(x).mean([2, 3]))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version") == 1 and self.alpha != 1.0:
            second = make_divisible(16 * self.alpha)
            for i, layer in enumerate(_stem(32, 16)):
                self.layers[i] = layer
            block = _InvertedResidual(16, make_divisible(24 * self.alpha), 3, 2, 3)
            if second != 16:
                self.layers[8][0] = block
            self._version = 1
            warnings.warn(
                "MNASNet: the checkpoint is of version 1, so the first layers were made anew in "
                "its shape; they are drawn, and this model will be saved as version 1",
                UserWarning,
                stacklevel=2,
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


@builder(MNASNet0_5_Weights)
def mnasnet0_5(**options):
    """Build an ``MNASNet`` with half of the channels.

    >>> from rushlight.vision.models import mnasnet0_5
    >>> mnasnet0_5.weights.DEFAULT.meta["num_params"]
    2218512
    """
    return MNASNet(0.5, **options)


@builder(MNASNet0_75_Weights)
def mnasnet0_75(**options):
    """Build an ``MNASNet`` with three quarters of the channels.

    >>> from rushlight.vision.models import mnasnet0_75
    >>> mnasnet0_75.weights.DEFAULT.meta["num_params"]
    3170208
    """
    return MNASNet(0.75, **options)


@builder(MNASNet1_0_Weights)
def mnasnet1_0(**options):
    """Build an ``MNASNet``.

    >>> from rushlight.vision.models import mnasnet1_0
    >>> mnasnet1_0.weights.DEFAULT.meta["num_params"]
    4383312
    """
    return MNASNet(1.0, **options)


@builder(MNASNet1_3_Weights)
def mnasnet1_3(**options):
    """Build an ``MNASNet`` with 1.3 times the channels.

    >>> from rushlight.vision.models import mnasnet1_3
    >>> mnasnet1_3.weights.DEFAULT.meta["num_params"]
    6282256
    """
    return MNASNet(1.3, **options)
