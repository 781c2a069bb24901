"""Boxes as numbers relative to other boxes, which boxes belong together, and samples of them."""

import math

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.vision.ops import (
    FrozenBatchNorm2d,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)

__all__ = [
    "BalancedPositiveNegativeSampler", "BoxCoder", "BoxLinearCoder", "Matcher", "SSDMatcher",
    "box_loss", "overwrite_eps", "retrieve_out_channels",
]  # fmt: skip


class BalancedPositiveNegativeSampler:
    """Draws a batch of positive (1 and more) and negative (0) boxes of each image."""

    def __init__(self, batch_size_per_image, positive_fraction):
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs):
        chosen: tuple[list, list] = ([], [])
        for matched in matched_idxs:
            kinds = torch.where(matched >= 1)[0], torch.where(matched == 0)[0]
            positive = int(self.batch_size_per_image * self.positive_fraction)
            positive = min(len(kinds[0]), positive)
            counts = positive, min(len(kinds[1]), self.batch_size_per_image - positive)
            for found, places, count in zip(chosen, kinds, counts, strict=True):
                mask = torch.zeros_like(matched, dtype=torch.uint8)
                mask[places[torch.randperm(len(places))[:count]]] = 1
                found.append(mask)
        return chosen


def _centres(boxes):
    """The centres and sizes (N, 2) of boxes (N, 4)."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + 0.5 * size, size


_LARGEST = math.log(1000.0 / 16)  # of a box's size, relative to its proposal


class BoxCoder:
    """Boxes as movements of the centre and logarithms of the size, relative to other boxes.

    Source: Girshick et al. 2013, https://arxiv.org/abs/1311.2524, appendix C
    """

    def __init__(self, weights, bbox_xform_clip=_LARGEST):
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes, proposals):
        """The codes of lists of boxes, relative to lists of proposals."""
        counts = [len(boxes) for boxes in reference_boxes]
        codes = self.encode_single(torch.cat(reference_boxes), torch.cat(proposals))
        return codes.split(counts, 0)

    def encode_single(self, reference_boxes, proposals):
        """The codes (N, 4) of boxes relative to proposals."""
        weights = torch.as_tensor(self.weights, dtype=reference_boxes.dtype)
        (centre, size), (wanted, wanted_size) = _centres(proposals), _centres(reference_boxes)
        moved = weights[:2] * (wanted - centre) / size
        return torch.cat([moved, weights[2:] * torch.log(wanted_size / size)], 1)

    def decode(self, rel_codes, boxes):
        """The boxes (N, classes, 4) of codes relative to a list of boxes."""
        together = torch.cat(boxes)
        if len(together):
            rel_codes = rel_codes.reshape(len(together), -1)
        found = self.decode_single(rel_codes, together)
        return found.reshape(len(together), -1, 4) if len(together) else found

    def decode_single(self, rel_codes, boxes):
        """The boxes (N, 4 · classes) of codes relative to boxes (N, 4)."""
        centre, size = _centres(boxes.to(rel_codes.dtype))
        codes = rel_codes.unflatten(1, (-1, 4))
        moves = [codes[..., i] / self.weights[i] for i in range(4)]
        found = []
        for axis in (0, 1):
            length = size[:, axis, None]
            middle = moves[axis] * length + centre[:, axis, None]
            half = 0.5 * (torch.exp(moves[2 + axis].clamp(max=self.bbox_xform_clip)) * length)
            found.append((middle - half, middle + half))
        (left, right), (top, bottom) = found
        return torch.stack([left, top, right, bottom], 2).flatten(1)


class BoxLinearCoder:
    """Boxes as the distances of their sides from another box's centre.

    Source: Tian et al. 2019, https://arxiv.org/abs/1904.01355
    """

    def __init__(self, normalize_by_size=True):
        self.normalize_by_size = normalize_by_size

    def _frame(self, boxes):
        centre = 0.5 * (boxes[..., :2] + boxes[..., 2:])
        size = boxes[..., 2:] - boxes[..., :2]
        return torch.cat([centre, centre], -1), torch.cat([size, size], -1)

    def encode(self, reference_boxes, proposals):
        """The codes (..., 4) of proposals relative to reference boxes."""
        centre, size = self._frame(reference_boxes)
        sign = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=centre.dtype)
        found = (centre - proposals) * sign
        return found / size if self.normalize_by_size else found

    def decode(self, rel_codes, boxes):
        """The boxes (..., 4) of codes relative to boxes."""
        centre, size = self._frame(boxes.to(rel_codes.dtype))
        codes = rel_codes * size if self.normalize_by_size else rel_codes
        sign = torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=centre.dtype)
        return centre + codes * sign


class Matcher:
    """Finds for each proposal the box that it overlaps most: its number, or -1, or -2 (unclear)."""

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(self, high_threshold, low_threshold, allow_low_quality_matches=False):
        if low_threshold > high_threshold:
            raise AssertionError("low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix):
        if not match_quality_matrix.numel():
            kind = "proposal" if len(match_quality_matrix) else "ground-truth"
            raise ValueError(f"No {kind} boxes available for one of the images during training")
        quality, best = match_quality_matrix.max(0)
        matches = best.clone()
        matches[quality < self.low_threshold] = self.BELOW_LOW_THRESHOLD
        between = (quality >= self.low_threshold) & (quality < self.high_threshold)
        matches[between] = self.BETWEEN_THRESHOLDS
        if self.allow_low_quality_matches:  # no box stays without its best proposal
            highest = match_quality_matrix.max(1)[0]
            rescued = torch.where(match_quality_matrix == highest[:, None])[1]
            matches[rescued] = best[rescued]
        return matches


class SSDMatcher(Matcher):
    """A ``Matcher`` that gives each box its best proposal, whatever else that one overlaps."""

    def __init__(self, threshold):
        super().__init__(threshold, threshold)

    def __call__(self, match_quality_matrix):
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(1)[1]
        matches[best] = torch.arange(len(best))
        return matches


def overwrite_eps(model, eps):
    """Set ``eps`` of all frozen batch norms."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def retrieve_out_channels(model, size):
    """The channels of each map of a backbone, found by a run on an image of (width, height)."""
    told = getattr(model, "out_channels", None)
    if isinstance(told, (list, tuple)):
        return told
    training = model.training
    with torch.no_grad():
        found = model.eval()(torch.zeros(1, 3, size[1], size[0]))
    model.train(training)
    maps = [found] if isinstance(found, torch.Tensor) else found.values()
    return [each.shape[1] for each in maps]


_IOU_LOSSES = {
    "ciou": complete_box_iou_loss, "diou": distance_box_iou_loss, "giou": generalized_box_iou_loss,
}  # fmt: skip


def box_loss(kind, coder, anchors, wanted, codes):
    """The loss of codes relative to anchors: "l1", "smooth_l1", "ciou", "diou" or "giou"."""
    if kind == "l1":
        return F.l1_loss(codes, coder.encode_single(wanted, anchors), reduction="sum")
    if kind == "smooth_l1":
        return F.smooth_l1_loss(codes, coder.encode_single(wanted, anchors), reduction="sum")
    return _IOU_LOSSES[kind](coder.decode_single(codes, anchors), wanted, reduction="sum")
