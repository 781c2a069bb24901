"""FCOS: boxes of objects, found from the places inside of them."""

import math
from functools import partial

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision import ops
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.coding import BoxLinearCoder
from rushlight.vision.models.detection.one_stage import OneStage, check_parts, deep_pyramid
from rushlight.vision.models.detection.rpn import flat
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import ResNet50_Weights

__all__ = ["FCOS", "FCOS_ResNet50_FPN_Weights", "fcos_resnet50_fpn"]

FCOS_ResNet50_FPN_Weights = published("FCOS_ResNet50_FPN_Weights", __name__)


def _draw(layer, bias=0.0):
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.constant_(layer.bias, bias)


class _Head(nn.Module):
    """Convolutions with group norms, which a subclass applies last ones to."""

    def __init__(self, in_channels, num_convs, norm_layer):
        super().__init__()
        norm_layer = norm_layer or partial(nn.GroupNorm, 32)
        layers: list[nn.Module] = []
        for _ in range(num_convs):
            conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)
            layers += [conv, norm_layer(in_channels), nn.ReLU()]
        self.conv = nn.Sequential(*layers)

    def _draw_convolutions(self):
        for layer in self.conv.children():
            if isinstance(layer, nn.Conv2d):
                _draw(layer)


class FCOSClassificationHead(_Head):
    """A logit of each class for each place."""

    def __init__(
        self, in_channels, num_anchors, num_classes, num_convs=4, prior_probability=0.01,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__(in_channels, num_convs, norm_layer)
        self.num_classes, self.num_anchors = num_classes, num_anchors
        self._draw_convolutions()
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, 3, padding=1)
        _draw(self.cls_logits, -math.log((1 - prior_probability) / prior_probability))

    def forward(self, x):
        outputs = [self.cls_logits(self.conv(each)) for each in x]
        return torch.cat([flat(output, self.num_classes) for output in outputs], 1)


class FCOSRegressionHead(_Head):
    """The distances to the sides of a box for each place, and how near its centre the place is."""

    def __init__(self, in_channels, num_anchors, num_convs=4, norm_layer=None):
        super().__init__(in_channels, num_convs, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, 3, padding=1)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors, 3, padding=1)
        for layer in (self.bbox_reg, self.bbox_ctrness):
            _draw(layer)
        self._draw_convolutions()

    def forward(self, x):
        features = [self.conv(each) for each in x]
        sides = [flat(F.relu(self.bbox_reg(each)), 4) for each in features]
        centred = [flat(self.bbox_ctrness(each), 1) for each in features]
        return torch.cat(sides, 1), torch.cat(centred, 1)


class FCOSHead(nn.Module):
    """Heads for the classes and the boxes."""

    def __init__(self, in_channels, num_anchors, num_classes, num_convs=4):
        super().__init__()
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(
            in_channels, num_anchors, num_classes, num_convs
        )
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        """The losses of the classes, the boxes, and the nearness to the centre."""
        logits, anchors = head_outputs["cls_logits"], torch.stack(anchors)
        labels, boxes = [], []
        for target, matched in zip(targets, matched_idxs, strict=True):
            found = matched.clamp(min=0)
            empty = not len(target["labels"])
            own = matched.new_zeros(len(matched)) if empty else target["labels"][found]
            labels.append(torch.where(matched < 0, -1, own))
            boxes.append(anchors.new_zeros(len(matched), 4) if empty else target["boxes"][found])
        wanted, boxes = torch.stack(labels), torch.stack(boxes)
        inside = wanted >= 0
        classes = torch.zeros_like(logits)
        classes[inside, wanted[inside]] = 1.0
        predicted = self.box_coder.decode(head_outputs["bbox_regression"], anchors)
        sides = self.box_coder.encode(anchors, boxes)[inside]
        losses = {
            "classification": ops.sigmoid_focal_loss(logits, classes, reduction="sum"),
            "bbox_regression": ops.generalized_box_iou_loss(
                predicted[inside], boxes[inside], reduction="sum"
            ),
            "bbox_ctrness": F.binary_cross_entropy_with_logits(
                head_outputs["bbox_ctrness"].squeeze(2)[inside], _centredness(sides),
                reduction="sum",
            ),
        }  # fmt: skip
        count = max(1, int(inside.sum()))
        return {name: loss / count for name, loss in losses.items()}

    def forward(self, x):
        sides, centred = self.regression_head(x)
        logits = self.classification_head(x)
        return {"cls_logits": logits, "bbox_regression": sides, "bbox_ctrness": centred}


def _centredness(sides):
    """1 at the centre of a box, less towards its sides, from the distances (N, 4) to these."""
    found = sides.new_ones(len(sides))
    for axis in ([0, 2], [1, 3]):
        if len(sides):
            found = found * (sides[:, axis].amin(1) / sides[:, axis].amax(1))
    return found.sqrt()


class FCOS(OneStage):
    """Finds objects' boxes and classes, in one stage, from the places inside of the boxes.

    Shape: a list of (3, H, W) → in training, with a list of dicts of "boxes" (N, 4) and "labels"
    (N,): a dict of losses; else a list of dicts of "boxes", "labels" and "scores".

    Args:
        backbone: Module that gives a dict of feature maps, with the attribute ``out_channels``.
        num_classes: Number of classes.
        min_size: Length of the shorter side to which images are resized. Default: 800.
        max_size: The largest length of the longer side. Default: 1333.
        image_mean, image_std: Mean and deviation of the channels. Default: ImageNet's.
        anchor_generator, head: Parts in place of the usual ones.
        center_sampling_radius: How far from the centre of a box a place may be, in steps of its
            map, to find the box in training. Default: 1.5.
        score_thresh: The least score of a detection. Default: 0.2.
        nms_thresh: The largest overlap of two detections. Default: 0.6.
        detections_per_img: The largest number of detections. Default: 100.
        topk_candidates: How many boxes of a map are looked at. Default: 1000.
        kwargs: Options of the transform.

    Raises:
        ValueError: ``backbone`` has no ``out_channels``, or there is more than one anchor a place.
        TypeError: ``anchor_generator`` is no ``AnchorGenerator``.

    Source: Tian et al. 2019, https://arxiv.org/abs/1904.01355

    >>> from rushlight.vision.models.detection import FCOS
    >>> FCOS.__name__
    'FCOS'
    """

    def __init__(
        self, backbone, num_classes, min_size=800, max_size=1333, image_mean=None, image_std=None,
        anchor_generator=None, head=None, center_sampling_radius=1.5, score_thresh=0.2,
        nms_thresh=0.6, detections_per_img=100, topk_candidates=1000, **kwargs,
    ):  # fmt: skip
        super().__init__()
        check_parts(backbone, anchor_generator)
        self.backbone = backbone
        sides = ((8,), (16,), (32,), (64,), (128,))  # the steps of the five maps
        self.anchor_generator = anchor_generator or AnchorGenerator(sides, ((1.0,),) * 5)
        count = self.anchor_generator.num_anchors_per_location()[0]
        if count != 1:
            raise ValueError(f"FCOS: there must be one anchor a place, not {count}")
        self.head = head or FCOSHead(backbone.out_channels, count, num_classes)
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.center_sampling_radius = center_sampling_radius
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def compute_loss(self, targets, head_outputs, anchors, num_anchors_per_level):
        """The losses of the head."""
        matched = [
            self._matched(target["boxes"], own, num_anchors_per_level)
            for own, target in zip(anchors, targets, strict=True)
        ]
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    _losses = compute_loss

    def _matched(self, boxes, anchors, levels):
        """For each place the smallest box that it lies in and that fits its map, or -1."""
        if not len(boxes):
            return torch.full((len(anchors),), -1, dtype=torch.int64)
        place = (anchors[:, :2] + anchors[:, 2:]) / 2
        step = (anchors[:, 2] - anchors[:, 0])[:, None]
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (place[:, None] - centre).abs().amax(2) < self.center_sampling_radius * step
        inner = torch.cat([place[:, None] - boxes[:, :2], boxes[:, 2:] - place[:, None]], 2)
        farthest = inner.amax(2)
        least, most = step * 4, step * 8
        least[: levels[0]] = 0.0
        most[len(most) - levels[-1] :] = math.inf
        fits = near & (inner.amin(2) > 0) & (farthest > least) & (farthest < most)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        value, best = (fits.to(torch.float32) * (1e8 - area)).max(1)
        return torch.where(value < 1e-5, -1, best)

    def _scores(self, outputs, level):
        likely = outputs["cls_logits"][level].sigmoid() * outputs["bbox_ctrness"][level].sigmoid()
        return likely.sqrt()

    def _decoded(self, codes, anchors):
        return self.box_coder.decode(codes, anchors)


@builder(FCOS_ResNet50_FPN_Weights, trained, "COCO_V1")
def fcos_resnet50_fpn(
    num_classes=91, weights_backbone=ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build an ``FCOS`` on ResNet-50 with a feature pyramid.

    >>> from rushlight.vision.models.detection import fcos_resnet50_fpn
    >>> len(fcos_resnet50_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    body = deep_pyramid(weights_backbone, trainable_backbone_layers, is_trained)
    return FCOS(body, num_classes, **options)
