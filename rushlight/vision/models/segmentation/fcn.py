"""Fully convolutional networks, which give each pixel a class."""

from rushlight import nn
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import (
    ResNet50_Weights,
    ResNet101_Weights,
    resnet50,
    resnet101,
)
from rushlight.vision.models.segmentation.model import (
    Segmentation,
    published,
    resnet_maps,
    trained,
)

__all__ = [
    "FCN", "FCN_ResNet101_Weights", "FCN_ResNet50_Weights", "fcn_resnet101", "fcn_resnet50",
]  # fmt: skip

FCN_ResNet50_Weights = published("FCN_ResNet50_Weights", __name__)
FCN_ResNet101_Weights = published("FCN_ResNet101_Weights", __name__)
VOC = "COCO_WITH_VOC_LABELS_V1"


class FCN(Segmentation):
    """A network whose heads are two convolutions.

    Shape: x: (N, 3, H, W) → dict of "out" and, with ``aux_classifier``, "aux":
    (N, num_classes, H, W).

    Args:
        backbone: Module that gives a dict of feature maps.
        classifier, aux_classifier: Heads on the maps "out" and "aux".

    Source: Long et al. 2014, https://arxiv.org/abs/1411.4038

    >>> import rushlight as torch
    >>> from rushlight.vision.models.segmentation import fcn_resnet50
    >>> model = fcn_resnet50(weights_backbone=None, num_classes=4).eval()
    >>> model(torch.zeros(1, 3, 32, 32))["out"].shape
    torch.Size([1, 4, 32, 32])
    """


class FCNHead(nn.Sequential):
    """Two convolutions."""

    def __init__(self, in_channels, channels):
        inner = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner),
            nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(inner, channels, 1),
        )  # fmt: skip


def _fcn(build, num_classes, weights_backbone, aux_loss):
    body = resnet_maps(build, weights_backbone, aux_loss)
    aux = FCNHead(1024, num_classes) if aux_loss else None
    return FCN(body, FCNHead(2048, num_classes), aux)


@builder(FCN_ResNet50_Weights, trained, VOC)
def fcn_resnet50(num_classes=21, aux_loss=None, weights_backbone=ResNet50_Weights.IMAGENET1K_V1):
    """Build an ``FCN`` on ResNet-50.

    >>> from rushlight.vision.models.segmentation import fcn_resnet50
    >>> len(fcn_resnet50.weights.DEFAULT.meta["categories"])
    21
    """
    return _fcn(resnet50, num_classes, weights_backbone, aux_loss)


@builder(FCN_ResNet101_Weights, trained, VOC)
def fcn_resnet101(num_classes=21, aux_loss=None, weights_backbone=ResNet101_Weights.IMAGENET1K_V1):
    """Build an ``FCN`` on ResNet-101.

    >>> from rushlight.vision.models.segmentation import fcn_resnet101
    >>> len(fcn_resnet101.weights.DEFAULT.meta["categories"])
    21
    """
    return _fcn(resnet101, num_classes, weights_backbone, aux_loss)
