"""What detectors share: images and targets in, losses or detections out."""

from collections import OrderedDict

import rushlight as torch
from rushlight import nn

__all__ = ["Detector", "GeneralizedRCNN"]


class Detector(nn.Module):
    """The base class: prepares images and targets, and computes the feature maps.

    In training the result is a dict of losses, else a list of a dict for each image. A subclass has
    the parts ``transform`` and ``backbone``, and defines ``detect``.
    """

    def detect(self, images, features, targets):
        """(detections, losses) from an ``ImageList``, a dict of feature maps and the targets."""
        raise NotImplementedError(f"{type(self).__name__} defines no detect")

    def forward(self, images, targets=None):
        if self.training:
            self._check(targets)
        sizes = [tuple(image.shape[-2:]) for image in images]
        images, targets = self.transform(images, targets)
        for i, target in enumerate(targets or ()):
            boxes = target["boxes"]
            flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
            if flat.any():
                raise AssertionError(
                    "All bounding boxes should have positive height and width. Found invalid box "
                    f"{boxes[flat][0].tolist()} for target at index {i}."
                )
        features = self.backbone(images.tensors)
        if isinstance(features, torch.Tensor):
            features = OrderedDict([("0", features)])
        detections, losses = self.detect(images, features, targets)
        if self.training:
            return losses
        return self.transform.postprocess(detections, images.image_sizes, sizes)

    @staticmethod
    def _check(targets):
        if targets is None:
            raise AssertionError("targets should not be none when in training mode")
        for target in targets:
            boxes = target["boxes"]
            if not isinstance(boxes, torch.Tensor):
                raise AssertionError(
                    f"Expected target boxes to be of type Tensor, got {type(boxes)}."
                )
            if boxes.ndim != 2 or boxes.shape[-1] != 4:
                raise AssertionError(
                    "Expected target boxes to be a tensor of shape [N, 4], got "
                    f"{tuple(boxes.shape)}."
                )


class GeneralizedRCNN(Detector):
    """A detector of two stages: proposals of boxes, then heads on these regions."""

    def __init__(self, backbone, rpn, roi_heads, transform):
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def detect(self, images, features, targets):
        """(detections, losses)."""
        proposals, losses = self.rpn(images, features, targets)
        heads = self.roi_heads(features, proposals, images.image_sizes, targets)
        return heads[0], {**heads[1], **losses}
