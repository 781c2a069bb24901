"""RetinaNet: boxes of objects, found in one stage from anchors."""

import math
from functools import partial

import rushlight as torch
from rushlight import nn
from rushlight.vision import ops
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.coding import BoxCoder, Matcher, box_loss
from rushlight.vision.models.detection.one_stage import OneStage, check_parts, deep_pyramid
from rushlight.vision.models.detection.rpn import flat
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import ResNet50_Weights

__all__ = [
    "RetinaNet", "RetinaNet_ResNet50_FPN_V2_Weights", "RetinaNet_ResNet50_FPN_Weights",
    "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2",
]  # fmt: skip

RetinaNet_ResNet50_FPN_Weights = published("RetinaNet_ResNet50_FPN_Weights", __name__)
RetinaNet_ResNet50_FPN_V2_Weights = published("RetinaNet_ResNet50_FPN_V2_Weights", __name__)


def default_anchors():
    """Anchors of three sizes and three shapes for each of five maps."""
    sizes = tuple(
        (side, int(side * 2 ** (1.0 / 3)), int(side * 2 ** (2.0 / 3)))
        for side in (32, 64, 128, 256, 512)
    )
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)


class _Head(nn.Module):
    """Four convolutions, which a subclass applies a last one to."""

    _version = 2

    def __init__(self, in_channels, norm_layer):
        super().__init__()
        self.conv = nn.Sequential(*(
            ops.Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer)
            for _ in range(4)
        ))  # fmt: skip

    def _draw(self):
        for layer in self.conv.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2:  # activations were counted, too, then
            for i in range(4):
                for kind in ("weight", "bias"):
                    old = f"{prefix}conv.{2 * i}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}conv.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class RetinaNetClassificationHead(_Head):
    """A logit of each class for each anchor."""

    def __init__(
        self, in_channels, num_anchors, num_classes, prior_probability=0.01, norm_layer=None
    ):
        super().__init__(in_channels, norm_layer)
        self._draw()
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, 3, padding=1)
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        odds = (1 - prior_probability) / prior_probability
        nn.init.constant_(self.cls_logits.bias, -math.log(odds))
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    def compute_loss(self, targets, head_outputs, matched_idxs):
        """The focal loss of the classes."""
        losses = []
        for target, logits, matched in zip(
            targets, head_outputs["cls_logits"], matched_idxs, strict=True
        ):
            found = matched >= 0
            wanted = torch.zeros_like(logits)
            wanted[found, target["labels"][matched[found]]] = 1.0
            clear = matched != Matcher.BETWEEN_THRESHOLDS
            loss = ops.sigmoid_focal_loss(logits[clear], wanted[clear], reduction="sum")
            losses.append(loss / max(1, int(found.sum())))
        return sum(losses[1:], losses[0]) / len(targets)

    def forward(self, x):
        outputs = [self.cls_logits(self.conv(each)) for each in x]
        return torch.cat([flat(output, self.num_classes) for output in outputs], 1)


class RetinaNetRegressionHead(_Head):
    """A code of a box for each anchor."""

    def __init__(self, in_channels, num_anchors, norm_layer=None):
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, 3, padding=1)
        nn.init.normal_(self.bbox_reg.weight, std=0.01)
        nn.init.zeros_(self.bbox_reg.bias)
        self._draw()
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        """The loss of the boxes."""
        losses = []
        for target, codes, own, matched in zip(
            targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True
        ):
            found = torch.where(matched >= 0)[0]
            boxes = target["boxes"][matched[found]]
            loss = box_loss(self._loss_type, self.box_coder, own[found], boxes, codes[found])
            losses.append(loss / max(1, len(found)))
        return sum(losses[1:], losses[0]) / max(1, len(targets))

    def forward(self, x):
        return torch.cat([flat(self.bbox_reg(self.conv(each)), 4) for each in x], 1)


class RetinaNetHead(nn.Module):
    """Heads for the classes and the boxes."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer=None):
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(
            in_channels, num_anchors, norm_layer=norm_layer
        )

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        """The losses of both heads."""
        return {
            "classification": self.classification_head.compute_loss(
                targets, head_outputs, matched_idxs
            ),
            "bbox_regression": self.regression_head.compute_loss(
                targets, head_outputs, anchors, matched_idxs
            ),
        }

    def forward(self, x):
        return {
            "cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)
        }  # fmt: skip


class RetinaNet(OneStage):
    """Finds objects' boxes and classes, in one stage.

    Shape: a list of (3, H, W) → in training, with a list of dicts of "boxes" (N, 4) and "labels"
    (N,): a dict of losses; else a list of dicts of "boxes", "labels" and "scores".

    Args:
        backbone: Module that gives a dict of feature maps, with the attribute ``out_channels``.
        num_classes: Number of classes.
        min_size: Length of the shorter side to which images are resized. Default: 800.
        max_size: The largest length of the longer side. Default: 1333.
        image_mean, image_std: Mean and deviation of the channels. Default: ImageNet's.
        anchor_generator, head, proposal_matcher: Parts in place of the usual ones.
        score_thresh: The least score of a detection. Default: 0.05.
        nms_thresh: The largest overlap of two detections. Default: 0.5.
        detections_per_img: The largest number of detections. Default: 300.
        fg_iou_thresh, bg_iou_thresh: Overlap from which an anchor is an object, and below which it
            is background. Default: 0.5 and 0.4.
        topk_candidates: How many boxes of a map are looked at. Default: 1000.
        kwargs: Options of the transform.

    Raises:
        ValueError: ``backbone`` has no ``out_channels``.
        TypeError: ``anchor_generator`` is no ``AnchorGenerator``.

    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002

    >>> from rushlight.vision.models.detection import RetinaNet
    >>> RetinaNet.__name__
    'RetinaNet'
    """

    def __init__(
        self, backbone, num_classes, min_size=800, max_size=1333, image_mean=None, image_std=None,
        anchor_generator=None, head=None, proposal_matcher=None, score_thresh=0.05,
        nms_thresh=0.5, detections_per_img=300, fg_iou_thresh=0.5, bg_iou_thresh=0.4,
        topk_candidates=1000, **kwargs,
    ):  # fmt: skip
        super().__init__()
        check_parts(backbone, anchor_generator)
        self.backbone = backbone
        self.anchor_generator = anchor_generator or default_anchors()
        count = self.anchor_generator.num_anchors_per_location()[0]
        self.head = head or RetinaNetHead(backbone.out_channels, count, num_classes)
        self.proposal_matcher = proposal_matcher or Matcher(fg_iou_thresh, bg_iou_thresh, True)
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def compute_loss(self, targets, head_outputs, anchors):
        """The losses of the head."""
        matched = [
            self.proposal_matcher(ops.box_iou(target["boxes"], own))
            if target["boxes"].numel()
            else torch.full((len(own),), -1, dtype=torch.int64)
            for own, target in zip(anchors, targets, strict=True)
        ]
        return self.head.compute_loss(targets, head_outputs, anchors, matched)


@builder(RetinaNet_ResNet50_FPN_Weights, trained, "COCO_V1")
def retinanet_resnet50_fpn(
    num_classes=91, weights_backbone=ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``RetinaNet`` on ResNet-50 with a feature pyramid.

    >>> from rushlight.vision.models.detection import retinanet_resnet50_fpn
    >>> len(retinanet_resnet50_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    body = deep_pyramid(weights_backbone, trainable_backbone_layers, is_trained)
    return RetinaNet(body, num_classes, **options)


@builder(RetinaNet_ResNet50_FPN_V2_Weights, trained, "COCO_V1")
def retinanet_resnet50_fpn_v2(
    num_classes=91, weights_backbone=None, trainable_backbone_layers=None, is_trained=False,
    **options,
):  # fmt: skip
    """Build a ``RetinaNet`` on ResNet-50 with group norms in its heads.

    Source: Zhang et al. 2019, https://arxiv.org/abs/1912.02424

    >>> from rushlight.vision.models.detection import retinanet_resnet50_fpn_v2
    >>> len(retinanet_resnet50_fpn_v2.weights.DEFAULT.meta["categories"])
    91
    """
    body = deep_pyramid(weights_backbone, trainable_backbone_layers, is_trained, 2048, False)
    anchors = default_anchors()
    head = RetinaNetHead(
        body.out_channels, anchors.num_anchors_per_location()[0], num_classes,
        norm_layer=partial(nn.GroupNorm, 32),
    )  # fmt: skip
    head.regression_head._loss_type = "giou"
    return RetinaNet(body, num_classes, anchor_generator=anchors, head=head, **options)
