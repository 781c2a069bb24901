"""What detectors of one stage share: a head looks at all anchors of all maps at once."""

from functools import partial

import rushlight as torch
from rushlight.vision import ops
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.faster_rcnn import resnet50_pyramid
from rushlight.vision.models.detection.generalized_rcnn import Detector
from rushlight.vision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = ["OneStage", "check_parts", "deep_pyramid"]


def check_parts(backbone, anchor_generator):
    """Raise if the backbone tells no channels, or the generator is none."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output "
            "channels (assumed to be the same for all the levels)"
        )
    if not isinstance(anchor_generator, (AnchorGenerator, type(None))):
        raise TypeError(
            "anchor_generator should be of type AnchorGenerator or None instead of "
            f"{type(anchor_generator)}"
        )


def deep_pyramid(weights_backbone, trainable, is_trained, channels=256, frozen=True):
    """A pyramid on the last stages of ResNet-50, with two further maps of ``channels`` at first."""
    return resnet50_pyramid(
        weights_backbone, trainable, is_trained, frozen, returned_layers=[2, 3, 4],
        extra_blocks=partial(LastLevelP6P7, channels, 256),
    )  # fmt: skip


class OneStage(Detector):
    """The base class: a subclass has the parts ``head`` and ``anchor_generator``.

    It defines ``compute_loss``, and the limits of scores, overlaps and numbers of detections.
    """

    def detect(self, images, features, targets):
        """(detections, losses)."""
        maps = list(features.values())
        outputs = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        places = [x.shape[2] * x.shape[3] for x in maps]
        each = outputs["cls_logits"].shape[1] // sum(places)
        levels = [place * each for place in places]
        if self.training:
            return [], self._losses(targets, outputs, anchors, levels)
        return [
            self._best(
                {name: output[i].split(levels) for name, output in outputs.items()},
                own.split(levels), shape,
            )
            for i, (own, shape) in enumerate(zip(anchors, images.image_sizes, strict=True))
        ], {}  # fmt: skip

    def _losses(self, targets, outputs, anchors, levels):
        """The losses; ``levels`` has the number of anchors of each map."""
        return self.compute_loss(targets, outputs, anchors)

    def _scores(self, outputs, level):
        """The scores of one map's anchors."""
        return torch.sigmoid(outputs["cls_logits"][level])

    def _decoded(self, codes, anchors):
        return self.box_coder.decode_single(codes, anchors)

    def _best(self, outputs, anchors, shape):
        """The detections of one image."""
        found: tuple[list, list, list] = ([], [], [])
        for level, own in enumerate(anchors):
            scores = self._scores(outputs, level)
            classes, scores = scores.shape[-1], scores.flatten()
            places = torch.where(scores > self.score_thresh)[0]
            best, order = scores[places].topk(min(self.topk_candidates, len(places)))
            places = places[order]
            rows = torch.div(places, classes, rounding_mode="floor")
            boxes = self._decoded(outputs["bbox_regression"][level][rows], own[rows])
            parts = ops.clip_boxes_to_image(boxes, shape), best, places % classes
            for together, part in zip(found, parts, strict=True):
                together.append(part)
        boxes, scores, labels = (torch.cat(parts) for parts in found)
        kept = ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}
