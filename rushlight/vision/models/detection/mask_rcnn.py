"""Mask R-CNN: Faster R-CNN, with a mask of each object."""

from collections import OrderedDict

from rushlight import nn
from rushlight.vision.models.detection.faster_rcnn import (
    FasterRCNN,
    default_pool,
    resnet50_pyramid,
    second_version,
)
from rushlight.vision.models.detection.weights import published, trained
from rushlight.vision.models.registry import builder
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign

__all__ = [
    "MaskRCNN", "MaskRCNN_ResNet50_FPN_V2_Weights", "MaskRCNN_ResNet50_FPN_Weights",
    "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2",
]  # fmt: skip

MaskRCNN_ResNet50_FPN_Weights = published("MaskRCNN_ResNet50_FPN_Weights", __name__)
MaskRCNN_ResNet50_FPN_V2_Weights = published("MaskRCNN_ResNet50_FPN_V2_Weights", __name__)


class MaskRCNN(FasterRCNN):
    """A ``FasterRCNN`` that gives a mask of each object, too.

    Shape: as ``FasterRCNN``; targets and detections have "masks", (N, H, W) and (N, 1, H, W).

    Args:
        backbone: Module that gives a feature map, or a dict of them, with the attribute
            ``out_channels``.
        num_classes: Number of classes, with the background as class 0.
        mask_roi_pool, mask_head, mask_predictor: Parts in place of the usual ones.
        kwargs: Options of ``FasterRCNN``.

    Raises:
        ValueError: Both of ``num_classes`` and ``mask_predictor`` are given.
        TypeError: ``mask_roi_pool`` is no ``MultiScaleRoIAlign``.

    Source: He et al. 2017, https://arxiv.org/abs/1703.06870

    >>> from rushlight.vision.models.detection import FasterRCNN, MaskRCNN
    >>> issubclass(MaskRCNN, FasterRCNN)
    True
    """

    def __init__(
        self, backbone, num_classes=None, *args, mask_roi_pool=None, mask_head=None,
        mask_predictor=None, **kwargs,
    ):  # fmt: skip
        if not isinstance(mask_roi_pool, (MultiScaleRoIAlign, type(None))):
            raise TypeError(
                "mask_roi_pool should be of type MultiScaleRoIAlign or None instead of "
                f"{type(mask_roi_pool)}"
            )
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        pool = mask_roi_pool or default_pool(14)
        head = mask_head or MaskRCNNHeads(backbone.out_channels, (256,) * 4, 1)
        predictor = mask_predictor or MaskRCNNPredictor(256, 256, num_classes)
        super().__init__(backbone, num_classes, *args, **kwargs)
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = predictor


class MaskRCNNHeads(nn.Sequential):
    """Convolutions on regions."""

    _version = 2

    def __init__(self, in_channels, layers, dilation, norm_layer=None):
        blocks = []
        for wide in layers:
            blocks.append(
                Conv2dNormActivation(
                    in_channels, wide, kernel_size=3, padding=dilation, dilation=dilation,
                    norm_layer=norm_layer,
                )
            )  # fmt: skip
            in_channels = wide
        super().__init__(*blocks)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2:  # the names were others then
            for i in range(len(self)):
                for kind in ("weight", "bias"):
                    old = f"{prefix}mask_fcn{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class MaskRCNNPredictor(nn.Sequential):
    """A logit of each pixel for each class, at twice the regions' size."""

    def __init__(self, in_channels, dim_reduced, num_classes):
        super().__init__(
            OrderedDict([
                ("conv5_mask", nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0)),
                ("relu", nn.ReLU(inplace=True)),
                ("mask_fcn_logits", nn.Conv2d(dim_reduced, num_classes, 1, 1, 0)),
            ])
        )  # fmt: skip
        for name, parameter in self.named_parameters():
            if "weight" in name:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


@builder(MaskRCNN_ResNet50_FPN_Weights, trained, "COCO_V1")
def maskrcnn_resnet50_fpn(
    num_classes=91, weights_backbone=ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers=None, is_trained=False, **options,
):  # fmt: skip
    """Build a ``MaskRCNN`` on ResNet-50 with a feature pyramid.

    >>> from rushlight.vision.models.detection import maskrcnn_resnet50_fpn
    >>> len(maskrcnn_resnet50_fpn.weights.DEFAULT.meta["categories"])
    91
    """
    body = resnet50_pyramid(weights_backbone, trainable_backbone_layers, is_trained)
    return MaskRCNN(body, num_classes, **options)


@builder(MaskRCNN_ResNet50_FPN_V2_Weights, trained, "COCO_V1")
def maskrcnn_resnet50_fpn_v2(
    num_classes=91, weights_backbone=None, trainable_backbone_layers=None, is_trained=False,
    **options,
):  # fmt: skip
    """Build a ``MaskRCNN`` on ResNet-50 with deeper heads.

    Source: Li et al. 2021, https://arxiv.org/abs/2111.11429

    >>> from rushlight.vision.models.detection import maskrcnn_resnet50_fpn_v2
    >>> len(maskrcnn_resnet50_fpn_v2.weights.DEFAULT.meta["categories"])
    91
    """
    body = resnet50_pyramid(
        weights_backbone, trainable_backbone_layers, is_trained, frozen=False, norm=nn.BatchNorm2d
    )
    parts = second_version(body)
    head = MaskRCNNHeads(body.out_channels, [256] * 4, 1, norm_layer=nn.BatchNorm2d)
    return MaskRCNN(body, num_classes, mask_head=head, **parts, **options)
