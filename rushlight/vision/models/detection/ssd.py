"""SSD: boxes of objects, found in one stage from default boxes on six maps."""

import math
from collections import OrderedDict

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision import ops
from rushlight.vision.models.detection.anchor_utils import DefaultBoxGenerator
from rushlight.vision.models.detection.backbone_utils import freeze, trainable_layers_of
from rushlight.vision.models.detection.coding import BoxCoder, SSDMatcher, retrieve_out_channels
from rushlight.vision.models.detection.generalized_rcnn import Detector
from rushlight.vision.models.detection.rpn import flat
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.registry import builder
from rushlight.vision.models.vgg import VGG16_Weights, vgg16

__all__ = ["SSD300_VGG16_Weights", "ssd300_vgg16"]

SSD300_VGG16_Weights = published("SSD300_VGG16_Weights", __name__)


def _draw(module):
    """Draw all convolutions by Glorot's method."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SSDScoringHead(nn.Module):
    """A layer for each map, which gives ``num_columns`` numbers for each anchor."""

    def __init__(self, module_list, num_columns):
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x):
        pairs = zip(self.module_list, x, strict=True)
        return torch.cat([flat(layer(each), self.num_columns) for layer, each in pairs], 1)


class SSDClassificationHead(SSDScoringHead):
    """A logit of each class for each anchor."""

    def __init__(self, in_channels, num_anchors, num_classes):
        layers = _convolutions(in_channels, [num_classes * count for count in num_anchors])
        super().__init__(layers, num_classes)


class SSDRegressionHead(SSDScoringHead):
    """A code of a box for each anchor."""

    def __init__(self, in_channels, num_anchors):
        super().__init__(_convolutions(in_channels, [4 * count for count in num_anchors]), 4)


def _convolutions(in_channels, out_channels):
    pairs = zip(in_channels, out_channels, strict=True)
    layers = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in pairs])
    _draw(layers)
    return layers


class SSDHead(nn.Module):
    """Heads for the classes and the boxes."""

    def __init__(self, in_channels, num_anchors, num_classes):
        super().__init__()
        self.classification_head = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x):
        return {
            "bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)
        }  # fmt: skip


class SSD(Detector):
    """Finds objects' boxes and classes, in one stage, from default boxes of fixed places.

    Shape: a list of (3, H, W) → in training, with a list of dicts of "boxes" (N, 4) and "labels"
    (N,): a dict of losses; else a list of dicts of "boxes", "labels" and "scores".

    Args:
        backbone: Module that gives a dict of feature maps.
        anchor_generator: ``DefaultBoxGenerator`` for as many maps.
        size: Width and height to which images are resized.
        num_classes: Number of classes, with the background as class 0.
        image_mean, image_std: Mean and deviation of the channels. Default: ImageNet's.
        head: Module in place of the usual head.
        score_thresh: The least score of a detection. Default: 0.01.
        nms_thresh: The largest overlap of two detections. Default: 0.45.
        detections_per_img: The largest number of detections. Default: 200.
        iou_thresh: Overlap from which a default box is an object in training. Default: 0.5.
        topk_candidates: How many boxes of a class are looked at. Default: 400.
        positive_fraction: The share of objects among the boxes that count in training.
            Default: 0.25.
        kwargs: Options of the transform.

    Raises:
        ValueError: ``anchor_generator`` has another number of maps than the backbone.

    Source: Liu et al. 2015, https://arxiv.org/abs/1512.02325

    >>> from rushlight.vision.models.detection.ssd import SSD
    >>> SSD.__name__
    'SSD'
    """

    def __init__(
        self, backbone, anchor_generator, size, num_classes, image_mean=None, image_std=None,
        head=None, score_thresh=0.01, nms_thresh=0.45, detections_per_img=200, iou_thresh=0.5,
        topk_candidates=400, positive_fraction=0.25, **kwargs,
    ):  # fmt: skip
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        if head is None:
            channels = retrieve_out_channels(backbone, size)
            counts = anchor_generator.num_anchors_per_location()
            if len(channels) != len(counts):
                raise ValueError(
                    f"SSD: the backbone has {len(channels)} maps, anchor_generator {len(counts)}"
                )
            head = SSDHead(channels, counts, num_classes)
        self.head = head
        self.proposal_matcher = SSDMatcher(iou_thresh)
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        self.transform = GeneralizedRCNNTransform(
            min(size), max(size), mean, std, size_divisible=1, fixed_size=size, **kwargs
        )
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def detect(self, images, features, targets):
        """(detections, losses)."""
        maps = list(features.values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        if self.training:
            matched = [
                self.proposal_matcher(ops.box_iou(target["boxes"], own))
                if target["boxes"].numel()
                else torch.full((len(own),), -1, dtype=torch.int64)
                for own, target in zip(anchors, targets, strict=True)
            ]
            return [], self.compute_loss(targets, outputs, anchors, matched)
        rows = zip(
            outputs["bbox_regression"], outputs["cls_logits"].softmax(-1), anchors,
            images.image_sizes, strict=True,
        )  # fmt: skip
        return [self._best(*row) for row in rows], {}

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        """The losses of the boxes and the classes; only the worst of the background counts."""
        codes, logits = head_outputs["bbox_regression"], head_outputs["cls_logits"]
        of_boxes, wanted = [], []
        for target, own, matched, code in zip(targets, anchors, matched_idxs, codes, strict=True):
            found = torch.where(matched >= 0)[0]
            which = matched[found]
            goal = self.box_coder.encode_single(target["boxes"][which], own[found])
            of_boxes.append(F.smooth_l1_loss(code[found], goal, reduction="sum"))
            labels = torch.zeros(len(matched), dtype=target["labels"].dtype)
            labels[found] = target["labels"][which]
            wanted.append(labels)
        wanted = torch.stack(wanted)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        loss = loss.view(wanted.shape)
        objects = wanted > 0
        most = self.neg_to_pos_ratio * objects.sum(1, keepdim=True)
        order = loss.detach().masked_fill(objects, -math.inf).sort(1, descending=True)[1]
        background = order.sort(1)[1] < most
        count = max(1, int((torch.stack(matched_idxs) >= 0).sum()))
        return {
            "bbox_regression": torch.stack(of_boxes).sum() / count,
            "classification": (loss[objects].sum() + loss[background].sum()) / count,
        }

    def _best(self, codes, scores, anchors, shape):
        """The detections of one image: the best boxes of each class but the background."""
        boxes = ops.clip_boxes_to_image(self.box_coder.decode_single(codes, anchors), shape)
        found: tuple[list, list, list] = ([], [], [])
        for label in range(1, scores.shape[-1]):
            places = torch.where(scores[:, label] > self.score_thresh)[0]
            count = min(self.topk_candidates, len(places))
            best, order = scores[places, label].topk(count)
            parts = boxes[places[order]], best, torch.full_like(order, label)
            for together, part in zip(found, parts, strict=True):
                together.append(part)
        boxes, scores, labels = (torch.cat(parts) for parts in found)
        kept = ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}


class SSDFeatureExtractorVGG(nn.Module):
    """Six maps from the convolutions of ``VGG`` and further ones; ``highres`` adds a seventh.

    Shape: x: (N, 3, H, W) → dict of "0" to "5", the maps.
    """

    def __init__(self, backbone, highres):
        super().__init__()
        pools = [i for i, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[pools[2]].ceil_mode = True  # the paper rounds up
        self.scale_weight = nn.Parameter(torch.ones(512) * 20)
        self.features = nn.Sequential(*backbone[: pools[3]])
        rows = [(1024, 256, 512, 3, 2), (512, 128, 256, 3, 2), (256, 128, 256, 3, 1),
                (256, 128, 256, 3, 1)]  # fmt: skip
        extra = nn.ModuleList([_narrowed(*row) for row in rows])
        if highres:
            extra.append(_narrowed(256, 128, 256, 4, 1))
        _draw(extra)
        classifier = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(inplace=True),
        )
        _draw(classifier)
        extra.insert(0, nn.Sequential(*backbone[pools[3] : -1], classifier))
        self.extra = extra

    @property
    def out_channels(self):
        """The channels of each map."""
        return [512, 1024, *[block[2].out_channels for block in self.extra[1:]]]

    def forward(self, x):
        x = self.features(x)
        maps = [self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), each) for i, each in enumerate(maps))


def _narrowed(inputs, middle, outputs, kernel, stride):
    padding = 1 if stride == 2 else 0
    return nn.Sequential(
        nn.Conv2d(inputs, middle, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, outputs, kernel, stride=stride, padding=padding),
        nn.ReLU(inplace=True),
    )


def _vgg_maps(backbone, trainable):
    """The maps of ``VGG``, of which the last ``trainable`` stages are trained."""
    features = backbone.features
    pools = [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    freeze(features, [0, *pools[:-1]], trainable)
    return SSDFeatureExtractorVGG(features, highres=False)


@builder(SSD300_VGG16_Weights, trained, "COCO_V1")
def ssd300_vgg16(
    num_classes=91, weights_backbone=VGG16_Weights.IMAGENET1K_FEATURES,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build an ``SSD`` on VGG-16, for images of 300×300.

    >>> from rushlight.vision.models.detection import ssd300_vgg16
    >>> len(ssd300_vgg16.weights.DEFAULT.meta["categories"])
    91
    """
    is_trained = is_trained or weights_backbone is not None
    layers = trainable_layers_of(is_trained, trainable_backbone_layers, 5, 4)
    body = _vgg_maps(vgg16(weights=weights_backbone), layers)
    boxes = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], steps=[8, 16, 32, 64, 100, 300],
    )  # fmt: skip
    usual = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255] * 3}
    return SSD(body, boxes, (300, 300), num_classes, **{**usual, **options})
