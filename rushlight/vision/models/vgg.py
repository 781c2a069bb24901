"""VGG: convolutions of 3×3, one after another."""

from functools import partial

from rushlight import nn
from rushlight.vision.models.blocks import FeatureClassifier, init_weights
from rushlight.vision.models.registry import builder, require
from rushlight.vision.models.weights import weights_enum

__all__ = [
    "VGG", "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights",
    "VGG16_BN_Weights", "VGG16_Weights", "VGG19_BN_Weights", "VGG19_Weights", "vgg11", "vgg11_bn",
    "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip

VGG11_Weights = weights_enum("VGG11_Weights", __name__)
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights", __name__)
VGG13_Weights = weights_enum("VGG13_Weights", __name__)
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights", __name__)
VGG16_Weights = weights_enum("VGG16_Weights", __name__)
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights", __name__)
VGG19_Weights = weights_enum("VGG19_Weights", __name__)
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights", __name__)

#: number of layers with weights → numbers of convolutions of 64, 128, 256, 512 and 512 channels
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(FeatureClassifier):
    """A module of convolutions, then three linear layers.

    Shape: x: (N, 3, H, W), H and W from 32 → (N, num_classes).

    Args:
        features: The module of convolutions, whose result is ``(N, 512, h, w)``.
        init_weights: Draw the weights anew. Default: True.
        dropout: Probability of dropout before the last two linear layers. Default: 0.5.

    Source: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556

    >>> import rushlight as torch
    >>> from rushlight.vision.models import VGG
    >>> VGG(torch.nn.Conv2d(3, 512, 1), num_classes=10)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 10])
    """

    def __init__(self, features, num_classes=1000, init_weights=True, dropout=0.5):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            _init_weights(self, linear=partial(nn.init.normal_, std=0.01))


_init_weights = init_weights  # another name, because VGG has an argument ``init_weights``


def make_layers(cfg, batch_norm=False):
    """Make a convolution of 3×3 for each number of channels, and a max pooling for each ``"M"``.

    Args:
        cfg: A list of numbers of channels and ``"M"``.
        batch_norm: Follow each convolution by a batch normalisation. Default: False.

    >>> len(make_layers([8, "M", 16]))
    5
    """
    layers: list[nn.Module] = []
    channels = 3
    for entry in cfg:
        if entry == "M":
            layers.append(nn.MaxPool2d(2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, entry, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(entry))
        layers.append(nn.ReLU(inplace=True))
        channels = entry
    return nn.Sequential(*layers)


def _vgg(depth, batch_norm=False, **options):
    cfg: list = []
    for wider, count in zip((64, 128, 256, 512, 512), DEPTHS[depth], strict=True):
        cfg += [*[wider] * count, "M"]
    return VGG(make_layers(cfg, batch_norm), **options)


def _trained(weights, options):
    require(options, "init_weights", False)


@builder(VGG11_Weights, _trained)
def vgg11(**options):
    """Build a ``VGG`` of 11 layers.

    >>> from rushlight.vision.models import vgg11
    >>> vgg11.weights.DEFAULT.meta["num_params"]
    132863336
    """
    return _vgg(11, **options)


@builder(VGG11_BN_Weights, _trained)
def vgg11_bn(**options):
    """Build a ``VGG`` of 11 layers, with batch normalisation.

    >>> from rushlight.vision.models import vgg11_bn
    >>> vgg11_bn.weights.DEFAULT.meta["num_params"]
    132868840
    """
    return _vgg(11, batch_norm=True, **options)


@builder(VGG13_Weights, _trained)
def vgg13(**options):
    """Build a ``VGG`` of 13 layers.

    >>> from rushlight.vision.models import vgg13
    >>> vgg13.weights.DEFAULT.meta["num_params"]
    133047848
    """
    return _vgg(13, **options)


@builder(VGG13_BN_Weights, _trained)
def vgg13_bn(**options):
    """Build a ``VGG`` of 13 layers, with batch normalisation.

    >>> from rushlight.vision.models import vgg13_bn
    >>> vgg13_bn.weights.DEFAULT.meta["num_params"]
    133053736
    """
    return _vgg(13, batch_norm=True, **options)


@builder(VGG16_Weights, _trained)
def vgg16(**options):
    """Build a ``VGG`` of 16 layers.

    >>> from rushlight.vision.models import vgg16
    >>> vgg16.weights.DEFAULT.meta["num_params"]
    138357544
    """
    return _vgg(16, **options)


@builder(VGG16_BN_Weights, _trained)
def vgg16_bn(**options):
    """Build a ``VGG`` of 16 layers, with batch normalisation.

    >>> from rushlight.vision.models import vgg16_bn
    >>> vgg16_bn.weights.DEFAULT.meta["num_params"]
    138365992
    """
    return _vgg(16, batch_norm=True, **options)


@builder(VGG19_Weights, _trained)
def vgg19(**options):
    """Build a ``VGG`` of 19 layers.

    >>> from rushlight.vision.models import vgg19
    >>> vgg19.weights.DEFAULT.meta["num_params"]
    143667240
    """
    return _vgg(19, **options)


@builder(VGG19_BN_Weights, _trained)
def vgg19_bn(**options):
    """Build a ``VGG`` of 19 layers, with batch normalisation.

    >>> from rushlight.vision.models import vgg19_bn
    >>> vgg19_bn.weights.DEFAULT.meta["num_params"]
    143678248
    """
    return _vgg(19, batch_norm=True, **options)
