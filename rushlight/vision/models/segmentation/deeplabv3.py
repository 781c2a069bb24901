"""DeepLabV3: heads that look at several scales by dilated convolutions."""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.blocks import IntermediateLayerGetter
from rushlight.vision.models.detection.backbone_utils import stages_of
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import (
    ResNet50_Weights,
    ResNet101_Weights,
    resnet50,
    resnet101,
)
from rushlight.vision.models.segmentation.fcn import VOC, FCNHead
from rushlight.vision.models.segmentation.model import (
    Segmentation,
    published,
    resnet_maps,
    trained,
)

__all__ = [
    "DeepLabV3", "DeepLabV3_MobileNet_V3_Large_Weights", "DeepLabV3_ResNet101_Weights",
    "DeepLabV3_ResNet50_Weights", "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101",
    "deeplabv3_resnet50",
]  # fmt: skip

DeepLabV3_ResNet50_Weights = published("DeepLabV3_ResNet50_Weights", __name__)
DeepLabV3_ResNet101_Weights = published("DeepLabV3_ResNet101_Weights", __name__)
DeepLabV3_MobileNet_V3_Large_Weights = published("DeepLabV3_MobileNet_V3_Large_Weights", __name__)


class DeepLabV3(Segmentation):
    """A network whose head joins dilated convolutions and the average of the whole map.

    Shape: x: (N, 3, H, W) → dict of "out" and, with ``aux_classifier``, "aux":
    (N, num_classes, H, W).

    Args:
        backbone: Module that gives a dict of feature maps.
        classifier, aux_classifier: Heads on the maps "out" and "aux".

    Source: Chen et al. 2017, https://arxiv.org/abs/1706.05587

    >>> import rushlight as torch
    >>> from rushlight.vision.models.segmentation import deeplabv3_mobilenet_v3_large
    >>> model = deeplabv3_mobilenet_v3_large(weights_backbone=None, num_classes=4).eval()
    >>> model(torch.zeros(1, 3, 32, 32))["out"].shape
    torch.Size([1, 4, 32, 32])
    """


def _block(in_channels, out_channels, size=1, **options):
    return (
        nn.Conv2d(in_channels, out_channels, size, bias=False, **options),
        nn.BatchNorm2d(out_channels), nn.ReLU(),
    )  # fmt: skip


class ASPPPooling(nn.Sequential):
    """The average of the whole map, at each pixel."""

    def __init__(self, in_channels, out_channels):
        super().__init__(nn.AdaptiveAvgPool2d(1), *_block(in_channels, out_channels))

    def forward(self, x):
        size = x.shape[-2:]
        for module in self:
            x = module(x)
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    """Convolutions of several dilations side by side."""

    def __init__(self, in_channels, atrous_rates, out_channels=256):
        super().__init__()
        parts: list[nn.Module] = [nn.Sequential(*_block(in_channels, out_channels))]
        for rate in atrous_rates:
            block = _block(in_channels, out_channels, 3, padding=rate, dilation=rate)
            parts.append(nn.Sequential(*block))
        parts.append(ASPPPooling(in_channels, out_channels))
        self.convs = nn.ModuleList(parts)
        joined = len(self.convs) * out_channels
        self.project = nn.Sequential(*_block(joined, out_channels), nn.Dropout(0.5))

    def forward(self, x):
        return self.project(torch.cat([conv(x) for conv in self.convs], dim=1))


class DeepLabHead(nn.Sequential):
    """``ASPP`` and two convolutions."""

    def __init__(self, in_channels, num_classes, atrous_rates=(12, 24, 36)):
        super().__init__(
            ASPP(in_channels, atrous_rates), *_block(256, 256, 3, padding=1),
            nn.Conv2d(256, num_classes, 1),
        )  # fmt: skip


def _on_resnet(build, num_classes, weights_backbone, aux_loss):
    body = resnet_maps(build, weights_backbone, aux_loss)
    aux = FCNHead(1024, num_classes) if aux_loss else None
    return DeepLabV3(body, DeepLabHead(2048, num_classes), aux)


@builder(DeepLabV3_ResNet50_Weights, trained, VOC)
def deeplabv3_resnet50(
    num_classes=21, aux_loss=None, weights_backbone=ResNet50_Weights.IMAGENET1K_V1
):
    """Build a ``DeepLabV3`` on ResNet-50.

    >>> from rushlight.vision.models.segmentation import deeplabv3_resnet50
    >>> len(deeplabv3_resnet50.weights.DEFAULT.meta["categories"])
    21
    """
    return _on_resnet(resnet50, num_classes, weights_backbone, aux_loss)


@builder(DeepLabV3_ResNet101_Weights, trained, VOC)
def deeplabv3_resnet101(
    num_classes=21, aux_loss=None, weights_backbone=ResNet101_Weights.IMAGENET1K_V1
):
    """Build a ``DeepLabV3`` on ResNet-101.

    >>> from rushlight.vision.models.segmentation import deeplabv3_resnet101
    >>> len(deeplabv3_resnet101.weights.DEFAULT.meta["categories"])
    21
    """
    return _on_resnet(resnet101, num_classes, weights_backbone, aux_loss)


@builder(DeepLabV3_MobileNet_V3_Large_Weights, trained, VOC)
def deeplabv3_mobilenet_v3_large(
    num_classes=21, aux_loss=None, weights_backbone=MobileNet_V3_Large_Weights.IMAGENET1K_V1
):
    """Build a ``DeepLabV3`` on MobileNetV3.

    >>> from rushlight.vision.models.segmentation import deeplabv3_mobilenet_v3_large
    >>> len(deeplabv3_mobilenet_v3_large.weights.DEFAULT.meta["categories"])
    21
    """
    features = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    stages = stages_of(features)
    last, earlier = stages[-1], stages[-4]
    layers = {str(last): "out", **({str(earlier): "aux"} if aux_loss else {})}
    body = IntermediateLayerGetter(features, return_layers=layers)
    aux = FCNHead(features[earlier].out_channels, num_classes) if aux_loss else None
    return DeepLabV3(body, DeepLabHead(features[last].out_channels, num_classes), aux)
