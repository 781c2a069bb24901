"""Faster R-CNN: boxes of objects, found in two stages."""

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.backbone_utils import (
    classifier_for,
    mobilenet_fpn,
    resnet_fpn,
    trainable_layers_of,
)
from rushlight.vision.models.detection.generalized_rcnn import GeneralizedRCNN
from rushlight.vision.models.detection.roi_heads import RoIHeads
from rushlight.vision.models.detection.rpn import RegionProposalNetwork, RPNHead
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import ResNet50_Weights, resnet50
from rushlight.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign

__all__ = [
    "FasterRCNN", "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights",
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights", "FasterRCNN_ResNet50_FPN_V2_Weights",
    "FasterRCNN_ResNet50_FPN_Weights", "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2",
]  # fmt: skip

FasterRCNN_ResNet50_FPN_Weights = published("FasterRCNN_ResNet50_FPN_Weights", __name__)
FasterRCNN_ResNet50_FPN_V2_Weights = published("FasterRCNN_ResNet50_FPN_V2_Weights", __name__)
FasterRCNN_MobileNet_V3_Large_FPN_Weights = published(
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights", __name__
)
FasterRCNN_MobileNet_V3_Large_320_FPN_Weights = published(
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights", __name__
)


def default_anchors():
    """Anchors of one size for each of five maps."""
    return AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)


def default_pool(output_size):
    """Regions of the four finest maps."""
    return MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=output_size, sampling_ratio=2)


class FasterRCNN(GeneralizedRCNN):
    """Finds objects' boxes and classes, in two stages.

    Shape: a list of (3, H, W) → in training, with a list of dicts of "boxes" (N, 4) and "labels"
    (N,): a dict of losses; else a list of dicts of "boxes", "labels" and "scores".

    Args:
        backbone: Module that gives a feature map, or a dict of them, with the attribute
            ``out_channels``.
        num_classes: Number of classes, with the background as class 0.
        min_size: Length of the shorter side to which images are resized. Default: 800.
        max_size: The largest length of the longer side. Default: 1333.
        image_mean, image_std: Mean and deviation of the channels. Default: ImageNet's.
        rpn_anchor_generator, rpn_head: Parts of the first stage in place of the usual ones.
        rpn_pre_nms_top_n_train, rpn_pre_nms_top_n_test: How many boxes of a map the first stage
            looks at, in training and else. Default: 2000 and 1000.
        rpn_post_nms_top_n_train, rpn_post_nms_top_n_test: How many boxes of an image it proposes.
            Default: 2000 and 1000.
        rpn_nms_thresh: The largest overlap of two proposals. Default: 0.7.
        rpn_fg_iou_thresh, rpn_bg_iou_thresh: Overlap from which an anchor is an object, and below
            which it is background. Default: 0.7 and 0.3.
        rpn_batch_size_per_image, rpn_positive_fraction: Number of anchors in the loss, and the
            largest share of objects. Default: 256 and 0.5.
        rpn_score_thresh: The least score of a proposal. Default: 0.
        box_roi_pool, box_head, box_predictor: Parts of the second stage in place of the usual ones.
        box_score_thresh: The least score of a detection. Default: 0.05.
        box_nms_thresh: The largest overlap of two detections of a class. Default: 0.5.
        box_detections_per_img: The largest number of detections. Default: 100.
        box_fg_iou_thresh, box_bg_iou_thresh: As for the first stage. Default: 0.5 both.
        box_batch_size_per_image, box_positive_fraction: As for the first stage. Default: 512 and
            0.25.
        bbox_reg_weights: Factors of the four numbers of a box's code. Default: (10, 10, 5, 5).
        kwargs: Options of the transform, such as ``fixed_size``.

    Raises:
        ValueError: ``backbone`` has no ``out_channels``, or both or neither of ``num_classes`` and
            ``box_predictor`` are given.
        TypeError: A part has a wrong type.

    Source: Ren et al. 2015, https://arxiv.org/abs/1506.01497

    >>> import rushlight as torch
    >>> from rushlight.vision.models.detection import FasterRCNN
    >>> from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
    >>> from rushlight.vision.ops import MultiScaleRoIAlign
    >>> body = torch.nn.Conv2d(3, 4, 8, 8)
    >>> body.out_channels
    4
    >>> anchors, pool = AnchorGenerator(((32,),), ((1.0,),)), MultiScaleRoIAlign(["0"], 2, 2)
    >>> model = FasterRCNN(body, 3, 64, rpn_anchor_generator=anchors, box_roi_pool=pool).eval()
    >>> sorted(model([torch.zeros(3, 64, 64)])[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self, backbone, num_classes=None, min_size=800, max_size=1333, image_mean=None,
        image_std=None, rpn_anchor_generator=None, rpn_head=None, rpn_pre_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=1000, rpn_post_nms_top_n_train=2000, rpn_post_nms_top_n_test=1000,
        rpn_nms_thresh=0.7, rpn_fg_iou_thresh=0.7, rpn_bg_iou_thresh=0.3,
        rpn_batch_size_per_image=256, rpn_positive_fraction=0.5, rpn_score_thresh=0.0,
        box_roi_pool=None, box_head=None, box_predictor=None, box_score_thresh=0.05,
        box_nms_thresh=0.5, box_detections_per_img=100, box_fg_iou_thresh=0.5,
        box_bg_iou_thresh=0.5, box_batch_size_per_image=512, box_positive_fraction=0.25,
        bbox_reg_weights=None, **kwargs,
    ):  # fmt: skip
        if not hasattr(backbone, "out_channels"):
            raise ValueError(
                "backbone should contain an attribute out_channels specifying the number of output "
                "channels (assumed to be the same for all the levels)"
            )
        if not isinstance(rpn_anchor_generator, (AnchorGenerator, type(None))):
            raise TypeError(
                "rpn_anchor_generator should be of type AnchorGenerator or None instead of "
                f"{type(rpn_anchor_generator)}"
            )
        if not isinstance(box_roi_pool, (MultiScaleRoIAlign, type(None))):
            raise TypeError(
                "box_roi_pool should be of type MultiScaleRoIAlign or None instead of "
                f"{type(box_roi_pool)}"
            )
        if (num_classes is None) == (box_predictor is None):
            raise ValueError("give either num_classes or box_predictor")
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or default_anchors()
        rpn_head = rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0])
        rpn = RegionProposalNetwork(
            anchors, rpn_head, rpn_fg_iou_thresh, rpn_bg_iou_thresh, rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh, score_thresh=rpn_score_thresh,
        )  # fmt: skip
        pool = box_roi_pool or default_pool(7)
        box_head = box_head or TwoMLPHead(channels * pool.output_size[0] ** 2, 1024)
        box_predictor = box_predictor or FastRCNNPredictor(1024, num_classes)
        heads = RoIHeads(
            pool, box_head, box_predictor, box_fg_iou_thresh, box_bg_iou_thresh,
            box_batch_size_per_image, box_positive_fraction, bbox_reg_weights, box_score_thresh,
            box_nms_thresh, box_detections_per_img,
        )  # fmt: skip
        mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
        transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        super().__init__(backbone, rpn, heads, transform)


class TwoMLPHead(nn.Module):
    """Two linear layers on flattened regions."""

    def __init__(self, in_channels, representation_size):
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x):
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """Convolutions, then linear layers, on regions (channels, height, width)."""

    def __init__(self, input_size, conv_layers, fc_layers, norm_layer=None):
        channels, height, width = input_size
        blocks: list = []
        for wide in conv_layers:
            blocks.append(Conv2dNormActivation(channels, wide, norm_layer=norm_layer))
            channels = wide
        blocks.append(nn.Flatten())
        size = channels * height * width
        for wide in fc_layers:
            blocks += [nn.Linear(size, wide), nn.ReLU(inplace=True)]
            size = wide
        super().__init__(*blocks)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class FastRCNNPredictor(nn.Module):
    """Logits of the classes, and a code of a box for each class."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x):
        if x.dim() == 4 and tuple(x.shape[2:]) != (1, 1):
            raise AssertionError(f"x must be (N, C, 1, 1) or (N, C), got {tuple(x.shape)}")
        x = x.flatten(1)
        return self.cls_score(x), self.bbox_pred(x)


def resnet50_pyramid(weights_backbone, trainable, is_trained, frozen=True, **options):
    """A pyramid on ResNet-50."""
    is_trained = is_trained or weights_backbone is not None
    layers = trainable_layers_of(is_trained, trainable, 5, 3)
    body = classifier_for(resnet50, weights_backbone, is_trained, frozen)
    return resnet_fpn(body, layers, **options)


@builder(FasterRCNN_ResNet50_FPN_Weights, trained, "COCO_V1")
def fasterrcnn_resnet50_fpn(
    num_classes=91, weights_backbone=ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``FasterRCNN`` on ResNet-50 with a feature pyramid.

    >>> from rushlight.vision.models.detection import fasterrcnn_resnet50_fpn
    >>> len(fasterrcnn_resnet50_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    body = resnet50_pyramid(weights_backbone, trainable_backbone_layers, is_trained)
    return FasterRCNN(body, num_classes, **options)


def second_version(body):
    """The parts of the second versions: deeper heads, with batch norms."""
    anchors, channels = default_anchors(), body.out_channels
    return {
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead(
            (channels, 7, 7), [256] * 4, [1024], norm_layer=nn.BatchNorm2d
        ),
    }


@builder(FasterRCNN_ResNet50_FPN_V2_Weights, trained, "COCO_V1")
def fasterrcnn_resnet50_fpn_v2(
    num_classes=91, weights_backbone=None, trainable_backbone_layers=None, is_trained=False,
    **options,
):  # fmt: skip
    """Build a ``FasterRCNN`` on ResNet-50 with deeper heads.

    Source: Li et al. 2021, https://arxiv.org/abs/2111.11429

    >>> from rushlight.vision.models.detection import fasterrcnn_resnet50_fpn_v2
    >>> len(fasterrcnn_resnet50_fpn_v2.weights.DEFAULT.meta["categories"])
    91
    """
    body = resnet50_pyramid(
        weights_backbone, trainable_backbone_layers, is_trained, frozen=False, norm=nn.BatchNorm2d
    )
    return FasterRCNN(body, num_classes, **second_version(body), **options)


def _on_mobilenet(num_classes, weights_backbone, trainable, is_trained, options):
    is_trained = is_trained or weights_backbone is not None
    layers = trainable_layers_of(is_trained, trainable, 6, 3)
    body = mobilenet_fpn(classifier_for(mobilenet_v3_large, weights_backbone, is_trained), layers)
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    return FasterRCNN(body, num_classes, rpn_anchor_generator=anchors, **options)


@builder(FasterRCNN_MobileNet_V3_Large_320_FPN_Weights, trained, "COCO_V1")
def fasterrcnn_mobilenet_v3_large_320_fpn(
    num_classes=91, weights_backbone=MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``FasterRCNN`` on MobileNetV3 for small images.

    >>> from rushlight.vision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
    >>> len(fasterrcnn_mobilenet_v3_large_320_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    small = {
        "min_size": 320, "max_size": 640, "rpn_pre_nms_top_n_test": 150,
        "rpn_post_nms_top_n_test": 150, "rpn_score_thresh": 0.05,
    }  # fmt: skip
    return _on_mobilenet(
        num_classes, weights_backbone, trainable_backbone_layers, is_trained, small | options
    )


@builder(FasterRCNN_MobileNet_V3_Large_FPN_Weights, trained, "COCO_V1")
def fasterrcnn_mobilenet_v3_large_fpn(
    num_classes=91, weights_backbone=MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``FasterRCNN`` on MobileNetV3.

    >>> from rushlight.vision.models.detection import fasterrcnn_mobilenet_v3_large_fpn
    >>> len(fasterrcnn_mobilenet_v3_large_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    options = {"rpn_score_thresh": 0.05} | options
    return _on_mobilenet(
        num_classes, weights_backbone, trainable_backbone_layers, is_trained, options
    )
