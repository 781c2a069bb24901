"""The second stage of detectors: classes, boxes, masks and key points of the proposed regions."""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision import ops
from rushlight.vision.models.detection.coding import (
    BalancedPositiveNegativeSampler,
    BoxCoder,
    Matcher,
)
from rushlight.vision.models.detection.masks import (
    keypointrcnn_inference,
    keypointrcnn_loss,
    maskrcnn_inference,
    maskrcnn_loss,
)

__all__ = ["RoIHeads", "fastrcnn_loss"]

_FLOATS = (torch.float32, torch.float64, torch.float16)


def fastrcnn_loss(class_logits, box_regression, labels, regression_targets):
    """The losses of the classes, and of the boxes of the right classes."""
    labels, wanted = torch.cat(labels), torch.cat(regression_targets)
    positive = torch.where(labels > 0)[0]
    codes = box_regression.reshape(len(class_logits), -1, 4)
    box_loss = F.smooth_l1_loss(
        codes[positive, labels[positive]], wanted[positive], beta=1 / 9, reduction="sum"
    )
    return F.cross_entropy(class_logits, labels), box_loss / labels.numel()


class RoIHeads(nn.Module):
    """Heads on regions of feature maps. The parts for masks and key points may be None."""

    def __init__(
        self, box_roi_pool, box_head, box_predictor, fg_iou_thresh, bg_iou_thresh,
        batch_size_per_image, positive_fraction, bbox_reg_weights, score_thresh, nms_thresh,
        detections_per_img, mask_roi_pool=None, mask_head=None, mask_predictor=None,
        keypoint_roi_pool=None, keypoint_head=None, keypoint_predictor=None,
    ):  # fmt: skip
        super().__init__()
        self.box_similarity = ops.box_iou
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self.box_coder = BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self):
        """Whether there are all parts for masks."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def has_keypoint(self):
        """Whether there are all parts for key points."""
        return None not in (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)

    def assign_targets_to_proposals(self, proposals, gt_boxes, gt_labels):
        """The number of the box that each proposal belongs to, and its label (-1 for unclear)."""
        numbers, labels = [], []
        for own, boxes, classes in zip(proposals, gt_boxes, gt_labels, strict=True):
            if not boxes.numel():
                numbers.append(torch.zeros(len(own), dtype=torch.int64))
                labels.append(torch.zeros(len(own), dtype=torch.int64))
                continue
            matched = self.proposal_matcher(self.box_similarity(boxes, own))
            label = classes[matched.clamp(min=0)].to(torch.int64)
            label[matched == Matcher.BELOW_LOW_THRESHOLD] = 0
            label[matched == Matcher.BETWEEN_THRESHOLDS] = -1
            numbers.append(matched.clamp(min=0))
            labels.append(label)
        return numbers, labels

    def check_targets(self, targets):
        """Raise a ``ValueError`` if the targets lack something."""
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels", "masks") if self.has_mask() else ("boxes", "labels"):
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(self, proposals, targets):
        """Draw proposals, with the true boxes among them; give their boxes, labels and codes."""
        self.check_targets(targets)
        boxes = [target["boxes"].to(proposals[0].dtype) for target in targets]
        proposals = [torch.cat(pair) for pair in zip(proposals, boxes, strict=True)]
        classes = [target["labels"] for target in targets]
        numbers, labels = self.assign_targets_to_proposals(proposals, boxes, classes)
        matched = []
        for i, (positive, negative) in enumerate(zip(*self.fg_bg_sampler(labels), strict=True)):
            chosen = torch.where((positive | negative) != 0)[0]
            proposals[i], labels[i] = proposals[i][chosen], labels[i][chosen]
            numbers[i] = numbers[i][chosen]
            own = boxes[i] if boxes[i].numel() else torch.zeros(1, 4, dtype=boxes[i].dtype)
            matched.append(own[numbers[i]])
        return proposals, numbers, labels, self.box_coder.encode(matched, proposals)

    def postprocess_detections(self, class_logits, box_regression, proposals, image_shapes):
        """The boxes, scores and labels of each image, of which no two overlap much."""
        counts = [len(own) for own in proposals]
        boxes = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        scores = F.softmax(class_logits, -1).split(counts, 0)
        found = [self._best(*one) for one in zip(boxes, scores, image_shapes, strict=True)]
        return tuple(map(list, zip(*found, strict=True)))

    def _best(self, boxes, scores, shape):
        boxes = ops.clip_boxes_to_image(boxes, shape)[:, 1:].reshape(-1, 4)  # 0 is the background
        labels = torch.arange(scores.shape[-1]).expand(scores.shape)[:, 1:].reshape(-1)
        scores = scores[:, 1:].reshape(-1)
        kept = torch.where(scores > self.score_thresh)[0]
        kept = kept[ops.remove_small_boxes(boxes[kept], min_size=1e-2)]
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        kept = ops.batched_nms(boxes, scores, labels, self.nms_thresh)
        kept = kept[: self.detections_per_img]
        return boxes[kept], scores[kept], labels[kept]

    def _check_types(self, targets):
        for target in targets or ():
            if target["boxes"].dtype not in _FLOATS:
                raise TypeError(
                    f"target boxes must of float type, instead got {target['boxes'].dtype}"
                )
            if target["labels"].dtype is not torch.int64:
                raise TypeError(
                    f"target labels must of int64 type, instead got {target['labels'].dtype}"
                )
            if self.has_keypoint() and target["keypoints"].dtype is not torch.float32:
                raise TypeError(
                    f"target keypoints must of float type, instead got {target['keypoints'].dtype}"
                )

    def forward(self, features, proposals, image_shapes, targets=None):
        self._check_types(targets)
        numbers, labels, wanted, losses, result = [], [], [], {}, []
        if self.training:
            samples = self.select_training_samples(proposals, targets)
            proposals, numbers, labels, wanted = samples
        regions = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, codes = self.box_predictor(regions)
        if self.training:
            found = fastrcnn_loss(logits, codes, labels, wanted)
            losses = dict(zip(("loss_classifier", "loss_box_reg"), found, strict=True))
            positive = [torch.where(label > 0)[0] for label in labels]
            proposals = [own[p] for own, p in zip(proposals, positive, strict=True)]
            numbers = [number[p] for number, p in zip(numbers, positive, strict=True)]
        else:
            found = self.postprocess_detections(logits, codes, proposals, image_shapes)
            result = [
                {"boxes": boxes, "labels": label, "scores": score}
                for boxes, score, label in zip(*found, strict=True)
            ]
            proposals = [one["boxes"] for one in result]
        if self.has_mask():
            self._masks(features, proposals, image_shapes, targets, numbers, result, losses)
        if self.has_keypoint():
            self._keypoints(features, proposals, image_shapes, targets, numbers, result, losses)
        return result, losses

    def _masks(self, features, proposals, image_shapes, targets, numbers, result, losses):
        """Add the masks to ``result``, or their loss to ``losses``."""
        regions = self.mask_roi_pool(features, proposals, image_shapes)
        logits = self.mask_predictor(self.mask_head(regions))
        if self.training:
            masks = [target["masks"] for target in targets]
            classes = [target["labels"] for target in targets]
            losses["loss_mask"] = maskrcnn_loss(logits, proposals, masks, classes, numbers)
            return
        found = maskrcnn_inference(logits, [one["labels"] for one in result])
        for one, masks in zip(result, found, strict=True):
            one["masks"] = masks

    def _keypoints(self, features, proposals, image_shapes, targets, numbers, result, losses):
        """Add the key points to ``result``, or their loss to ``losses``."""
        regions = self.keypoint_roi_pool(features, proposals, image_shapes)
        logits = self.keypoint_predictor(self.keypoint_head(regions))
        if self.training:
            points = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(logits, proposals, points, numbers)
            return
        for one, points, scores in zip(
            result, *keypointrcnn_inference(logits, proposals), strict=True
        ):
            one["keypoints"], one["keypoints_scores"] = points, scores
