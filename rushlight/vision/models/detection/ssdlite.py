"""SSDlite: an SSD on MobileNet, with depthwise convolutions in its head."""

from collections import OrderedDict
from functools import partial
from itertools import pairwise

from rushlight import nn
from rushlight.vision.models.detection.anchor_utils import DefaultBoxGenerator
from rushlight.vision.models.detection.backbone_utils import (
    freeze,
    stages_of,
    trainable_layers_of,
)
from rushlight.vision.models.detection.coding import retrieve_out_channels
from rushlight.vision.models.detection.ssd import SSD, SSDScoringHead
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.registry import builder
from rushlight.vision.ops.misc import Conv2dNormActivation

__all__ = ["SSDLite320_MobileNet_V3_Large_Weights", "ssdlite320_mobilenet_v3_large"]

SSDLite320_MobileNet_V3_Large_Weights = published("SSDLite320_MobileNet_V3_Large_Weights", __name__)

_conv = partial(Conv2dNormActivation, activation_layer=nn.ReLU6)


def _draw(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.03)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _head(in_channels, out_channels, norm_layer):
    """A depthwise convolution and one of 1×1 for each map."""
    layers = nn.ModuleList([
        nn.Sequential(_conv(a, a, 3, groups=a, norm_layer=norm_layer), nn.Conv2d(a, b, 1))
        for a, b in zip(in_channels, out_channels, strict=True)
    ])  # fmt: skip
    _draw(layers)
    return layers


class SSDLiteClassificationHead(SSDScoringHead):
    """A logit of each class for each anchor."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer):
        outputs = [num_classes * count for count in num_anchors]
        super().__init__(_head(in_channels, outputs, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """A code of a box for each anchor."""

    def __init__(self, in_channels, num_anchors, norm_layer):
        super().__init__(_head(in_channels, [4 * n for n in num_anchors], norm_layer), 4)


class SSDLiteHead(nn.Module):
    """Heads for the classes and the boxes."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer):
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer
        )
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x):
        return {
            "bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)
        }  # fmt: skip


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """Six maps: two from inside of MobileNet, four from further layers.

    Shape: x: (N, 3, H, W) → dict of "0" to "5", the maps.
    """

    def __init__(self, backbone, c4_pos, norm_layer, width_mult=1.0, min_depth=16):
        super().__init__()
        middle = backbone[c4_pos]
        if middle.use_res_connect:
            raise AssertionError("backbone[c4_pos].use_res_connect should be False")
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], middle.block[0]),  # the expanded channels
            nn.Sequential(middle.block[1:], *backbone[c4_pos + 1 :]),
        )
        widths = [backbone[-1].out_channels]
        widths += [max(min_depth, int(n * width_mult)) for n in (512, 256, 256, 128)]
        self.out_channels = [middle.block[0].out_channels, *widths]
        self.extra = nn.ModuleList([_halved(a, b, norm_layer) for a, b in pairwise(widths)])
        _draw(self.extra)

    def forward(self, x):
        maps = OrderedDict()
        for i, block in enumerate([*self.features, *self.extra]):
            x = maps[str(i)] = block(x)
        return maps


def _halved(inputs, outputs, norm_layer):
    """Layers that halve the size."""
    inner = outputs // 2
    return nn.Sequential(
        _conv(inputs, inner, 1, norm_layer=norm_layer),
        _conv(inner, inner, 3, stride=2, groups=inner, norm_layer=norm_layer),
        _conv(inner, outputs, 1, norm_layer=norm_layer),
    )


@builder(SSDLite320_MobileNet_V3_Large_Weights, trained, "COCO_V1")
def ssdlite320_mobilenet_v3_large(
    num_classes=91, weights_backbone=MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, norm_layer=None, is_trained=False, **options,
):  # fmt: skip
    """Build an ``SSD`` on MobileNet V3 Large, for images of 320×320.

    Without trained weights of the backbone, its last stage has half of the channels.

    Source: Howard et al. 2019, https://arxiv.org/abs/1905.02244

    >>> from rushlight.vision.models.detection import ssdlite320_mobilenet_v3_large
    >>> len(ssdlite320_mobilenet_v3_large.weights.DEFAULT.meta["categories"])
    91
    """
    drawn = weights_backbone is None
    layers = trainable_layers_of(is_trained or not drawn, trainable_backbone_layers, 6, 6)
    norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    mobilenet = mobilenet_v3_large(
        weights=weights_backbone, norm_layer=norm_layer, reduced_tail=drawn
    )
    if drawn:
        _draw(mobilenet)
    features = mobilenet.features
    stages = stages_of(features)
    freeze(features, stages, layers)
    body, size = SSDLiteFeatureExtractorMobileNet(features, stages[-2], norm_layer), (320, 320)
    boxes = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    head = SSDLiteHead(
        retrieve_out_channels(body, size), boxes.num_anchors_per_location(), num_classes, norm_layer
    )
    usual = {
        "score_thresh": 0.001, "nms_thresh": 0.55, "detections_per_img": 300,
        "topk_candidates": 300, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    return SSD(body, boxes, size, num_classes, head=head, **{**usual, **options})
