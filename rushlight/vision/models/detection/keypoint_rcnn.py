"""Keypoint R-CNN: Faster R-CNN, with key points of each object, such as the joints of persons."""

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection.faster_rcnn import (
    FasterRCNN,
    default_pool,
    resnet50_pyramid,
)
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import MultiScaleRoIAlign

__all__ = ["KeypointRCNN", "KeypointRCNN_ResNet50_FPN_Weights", "keypointrcnn_resnet50_fpn"]

KeypointRCNN_ResNet50_FPN_Weights = published("KeypointRCNN_ResNet50_FPN_Weights", __name__)


class KeypointRCNN(FasterRCNN):
    """A ``FasterRCNN`` that gives key points of each object, too.

    Shape: as ``FasterRCNN``; targets and detections have "keypoints" (N, K, 3): x, y and whether
    the point is visible.

    Args:
        backbone: Module that gives a feature map, or a dict of them, with the attribute
            ``out_channels``.
        num_classes: Number of classes, with the background as class 0.
        min_size: Lengths of the shorter side to which images are resized. Default: 640 to 800.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: Parts in place of the usual ones.
        num_keypoints: Number of key points of an object. Default: 17.
        kwargs: Options of ``FasterRCNN``.

    Raises:
        ValueError: Both of ``num_keypoints`` and ``keypoint_predictor`` are given.
        TypeError: ``keypoint_roi_pool`` is no ``MultiScaleRoIAlign``.

    Source: He et al. 2017, https://arxiv.org/abs/1703.06870

    >>> from rushlight.vision.models.detection import FasterRCNN, KeypointRCNN
    >>> issubclass(KeypointRCNN, FasterRCNN)
    True
    """

    def __init__(
        self, backbone, num_classes=None, min_size=None, *args, keypoint_roi_pool=None,
        keypoint_head=None, keypoint_predictor=None, num_keypoints=None, **kwargs,
    ):  # fmt: skip
        if not isinstance(keypoint_roi_pool, (MultiScaleRoIAlign, type(None))):
            raise TypeError(
                "keypoint_roi_pool should be of type MultiScaleRoIAlign or None instead of "
                f"{type(keypoint_roi_pool)}"
            )
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        pool = keypoint_roi_pool or default_pool(14)
        head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (512,) * 8)
        predictor = keypoint_predictor or KeypointRCNNPredictor(512, num_keypoints or 17)
        sizes = min_size or (640, 672, 704, 736, 768, 800)
        super().__init__(backbone, num_classes, sizes, *args, **kwargs)
        self.roi_heads.keypoint_roi_pool = pool
        self.roi_heads.keypoint_head = head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """Convolutions on regions."""

    def __init__(self, in_channels, layers):
        blocks: list = []
        for wide in layers:
            blocks += [nn.Conv2d(in_channels, wide, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = wide
        super().__init__(*blocks)
        for layer in self.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.constant_(layer.bias, 0)


class KeypointRCNNPredictor(nn.Module):
    """A heat map for each key point, at four times the regions' size."""

    def __init__(self, in_channels, num_keypoints):
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, 2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        nn.init.constant_(self.kps_score_lowres.bias, 0)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x):
        return F.interpolate(
            self.kps_score_lowres(x), scale_factor=float(self.up_scale), mode="bilinear",
            align_corners=False, recompute_scale_factor=False,
        )  # fmt: skip


@builder(KeypointRCNN_ResNet50_FPN_Weights, trained, "COCO_V1")
def keypointrcnn_resnet50_fpn(
    num_classes=2, num_keypoints=17, weights_backbone=ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``KeypointRCNN`` on ResNet-50 with a feature pyramid.

    >>> from rushlight.vision.models.detection import keypointrcnn_resnet50_fpn
    >>> keypointrcnn_resnet50_fpn.weights.DEFAULT.meta["categories"]
    ['no person', 'person']
    """
    body = resnet50_pyramid(weights_backbone, trainable_backbone_layers, is_trained)
    return KeypointRCNN(body, num_classes, num_keypoints=num_keypoints, **options)
