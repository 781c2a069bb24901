"""AlexNet."""

from rushlight import nn
from rushlight.vision.models.blocks import FeatureClassifier
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]

AlexNet_Weights = weights_enum("AlexNet_Weights", __name__)


class AlexNet(FeatureClassifier):
    """Five convolutions and three linear layers.

    Shape: x: (N, 3, H, W), H and W from 63 → (N, num_classes).

    Args:
        dropout: Probability of dropout before the first two linear layers. Default: 0.5.

    Source: Krizhevsky 2014, https://arxiv.org/abs/1404.5997

    >>> import rushlight as torch
    >>> from rushlight.vision.models import alexnet
    >>> alexnet(num_classes=10)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 10])
    """

    def __init__(self, num_classes=1000, dropout=0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )


@builder(AlexNet_Weights)
def alexnet(**options):
    """Build an ``AlexNet``.

    >>> from rushlight.vision.models import alexnet
    >>> alexnet.weights.DEFAULT.meta["num_params"]
    61100840
    """
    return AlexNet(**options)
