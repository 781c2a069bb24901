"""The region proposal network, which finds boxes that may hold an object.

Source: Ren et al. 2015, https://arxiv.org/abs/1506.01497
"""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision import ops
from rushlight.vision.models.detection.coding import (
    BalancedPositiveNegativeSampler,
    BoxCoder,
    Matcher,
)

__all__ = ["RPNHead", "RegionProposalNetwork", "flat"]


class RPNHead(nn.Module):
    """Convolutions that give, for each anchor, a logit of an object and a code of its box."""

    _version = 2

    def __init__(self, in_channels, num_anchors, conv_depth=1):
        super().__init__()
        self.conv = nn.Sequential(*(
            ops.Conv2dNormActivation(in_channels, in_channels, kernel_size=3, norm_layer=None)
            for _ in range(conv_depth)
        ))  # fmt: skip
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2:  # there was one bare convolution then
            for kind in ("weight", "bias"):
                if f"{prefix}conv.{kind}" in state_dict:
                    value = state_dict.pop(f"{prefix}conv.{kind}")
                    state_dict[f"{prefix}conv.0.0.{kind}"] = value
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x):
        features = [self.conv(each) for each in x]
        return [self.cls_logits(t) for t in features], [self.bbox_pred(t) for t in features]


def flat(layer, size):
    """Outputs (N, A · size, H, W) of one map as (N, H · W · A, size)."""
    n, _, height, width = layer.shape
    return layer.reshape(n, -1, size, height, width).permute(0, 3, 4, 1, 2).reshape(n, -1, size)


class RegionProposalNetwork(nn.Module):
    """Finds boxes that may hold an object, and, in training, the losses of the head."""

    def __init__(
        self, anchor_generator, head, fg_iou_thresh, bg_iou_thresh, batch_size_per_image,
        positive_fraction, pre_nms_top_n, post_nms_top_n, nms_thresh, score_thresh=0.0,
    ):  # fmt: skip
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self.box_similarity = ops.box_iou
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, True)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def pre_nms_top_n(self):
        """How many boxes of a map are looked at."""
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self):
        """How many boxes of an image are proposed."""
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(self, anchors, targets):
        """Labels of the anchors (1, 0, or -1 for unclear), and the box that each belongs to."""
        labels, matched = [], []
        for own, target in zip(anchors, targets, strict=True):
            boxes = target["boxes"]
            if not boxes.numel():
                labels.append(torch.zeros(len(own)))
                matched.append(torch.zeros(own.shape))
                continue
            found = self.proposal_matcher(self.box_similarity(boxes, own))
            label = (found >= 0).to(torch.float32)
            label[found == Matcher.BETWEEN_THRESHOLDS] = -1.0
            labels.append(label)
            matched.append(boxes[found.clamp(min=0)])
        return labels, matched

    def filter_proposals(self, proposals, objectness, image_shapes, num_anchors_per_level):
        """The best boxes of each image, of which no two overlap much, and their scores."""
        count = len(proposals)
        objectness = objectness.detach().reshape(count, -1)
        best, levels, start = [], [], 0
        for level, part in enumerate(objectness.split(num_anchors_per_level, 1)):
            found = part.topk(min(self.pre_nms_top_n(), part.shape[1]), dim=1)[1]
            best.append(found + start)
            levels.append(torch.full((found.shape[1],), level, dtype=torch.int64))
            start += part.shape[1]
        chosen, level = torch.cat(best, 1), torch.cat(levels)
        rows = torch.arange(count)[:, None]
        scores, proposals = objectness[rows, chosen].sigmoid(), proposals[rows, chosen]
        pairs = [
            self._filtered(*one, level) for one in zip(proposals, scores, image_shapes, strict=True)
        ]
        return [boxes for boxes, _ in pairs], [score for _, score in pairs]

    def _filtered(self, boxes, scores, shape, level):
        boxes = ops.clip_boxes_to_image(boxes, shape)
        kept = ops.remove_small_boxes(boxes, self.min_size)
        kept = kept[scores[kept] >= self.score_thresh]
        boxes, scores, level = boxes[kept], scores[kept], level[kept]
        kept = ops.batched_nms(boxes, scores, level, self.nms_thresh)[: self.post_nms_top_n()]
        return boxes[kept], scores[kept]

    def compute_loss(self, objectness, pred_bbox_deltas, labels, regression_targets):
        """The losses of a sample of the anchors: of the logits, and of the boxes."""
        kinds = (torch.where(torch.cat(kind))[0] for kind in self.fg_bg_sampler(labels))
        positive, negative = kinds
        both = torch.cat([positive, negative])
        labels, wanted = torch.cat(labels), torch.cat(regression_targets)
        box_loss = F.smooth_l1_loss(
            pred_bbox_deltas[positive], wanted[positive], beta=1 / 9, reduction="sum"
        )
        logits = objectness.flatten()[both]
        loss = F.binary_cross_entropy_with_logits(logits, labels[both])
        return loss, box_loss / both.numel()

    def forward(self, images, features, targets=None):
        logits, codes = self.head(list(features.values()))
        anchors = self.anchor_generator(images, list(features.values()))
        per_level = [x[0].numel() for x in logits]
        logits = torch.cat([flat(x, 1) for x in logits], 1).flatten(0, -2)
        codes = torch.cat([flat(x, 4) for x in codes], 1).reshape(-1, 4)
        proposals = self.box_coder.decode(codes.detach(), anchors).reshape(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, logits, images.image_sizes, per_level)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        losses = self.compute_loss(logits, codes, labels, wanted)
        return boxes, dict(zip(("loss_objectness", "loss_rpn_box_reg"), losses, strict=True))
