"""LR-ASPP: a light head for networks that segment."""

from collections import OrderedDict

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.blocks import IntermediateLayerGetter
from rushlight.vision.models.detection.backbone_utils import stages_of
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.registry import builder
from rushlight.vision.models.segmentation.fcn import VOC
from rushlight.vision.models.segmentation.model import published

__all__ = ["LRASPP", "LRASPP_MobileNet_V3_Large_Weights", "lraspp_mobilenet_v3_large"]

LRASPP_MobileNet_V3_Large_Weights = published("LRASPP_MobileNet_V3_Large_Weights", __name__)


class LRASPP(nn.Module):
    """A network with a light head on a fine and a coarse map.

    Shape: x: (N, 3, H, W) → dict of "out": (N, num_classes, H, W).

    Args:
        backbone: Module that gives a dict of the maps "low" and "high".
        low_channels, high_channels: Their numbers of channels.
        num_classes: Number of classes.
        inter_channels: Number of channels inside the head. Default: 128.

    Source: Howard et al. 2019, https://arxiv.org/abs/1905.02244

    >>> import rushlight as torch
    >>> from rushlight.vision.models.segmentation import lraspp_mobilenet_v3_large
    >>> model = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=4).eval()
    >>> model(torch.zeros(1, 3, 32, 32))["out"].shape
    torch.Size([1, 4, 32, 32])
    """

    def __init__(self, backbone, low_channels, high_channels, num_classes, inter_channels=128):
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input):
        out = self.classifier(self.backbone(input))
        size = input.shape[-2:]
        out = F.interpolate(out, size=size, mode="bilinear", align_corners=False)
        return OrderedDict(out=out)


class LRASPPHead(nn.Module):
    """The coarse map, weighted by its average, added to the fine one."""

    def __init__(self, low_channels, high_channels, num_classes, inter_channels):
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.Sigmoid(),
        )  # fmt: skip
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input):
        low, high = input["low"], input["high"]
        x = self.cbr(high) * self.scale(high)
        x = F.interpolate(x, size=low.shape[-2:], mode="bilinear", align_corners=False)
        return self.low_classifier(low) + self.high_classifier(x)


def _trained(member, options):
    options["weights_backbone"] = None


@builder(LRASPP_MobileNet_V3_Large_Weights, _trained, VOC)
def lraspp_mobilenet_v3_large(
    num_classes=21, weights_backbone=MobileNet_V3_Large_Weights.IMAGENET1K_V1, aux_loss=False
):
    """Build an ``LRASPP`` on MobileNetV3.

    >>> from rushlight.vision.models.segmentation import lraspp_mobilenet_v3_large
    >>> len(lraspp_mobilenet_v3_large.weights.DEFAULT.meta["categories"])
    21
    """
    if aux_loss:
        raise NotImplementedError("This model does not use auxiliary loss")
    features = mobilenet_v3_large(weights=weights_backbone, dilated=True).features
    stages = stages_of(features)
    low, high = stages[-4], stages[-1]
    layers = {str(low): "low", str(high): "high"}
    body = IntermediateLayerGetter(features, return_layers=layers)
    return LRASPP(body, features[low].out_channels, features[high].out_channels, num_classes)
