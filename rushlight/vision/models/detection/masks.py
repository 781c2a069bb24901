"""Masks and key points of regions: their losses, and their places in the image."""

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.vision.ops import roi_align

__all__ = [
    "heatmaps_to_keypoints", "keypointrcnn_inference", "keypointrcnn_loss", "keypoints_to_heatmap",
    "maskrcnn_inference", "maskrcnn_loss", "paste_masks_in_image", "project_masks_on_boxes",
]  # fmt: skip


def maskrcnn_inference(x, labels):
    """The masks (N, 1, H, W) of the predicted classes, for each image."""
    counts = [len(label) for label in labels]
    chosen = x.sigmoid()[torch.arange(len(x)), torch.cat(labels)][:, None]
    return chosen.split(counts, dim=0)


def project_masks_on_boxes(gt_masks, boxes, matched_idxs, M):
    """The parts of the matched masks in boxes, as (N, M, M)."""
    rois = torch.cat([matched_idxs.to(boxes)[:, None], boxes], 1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(mask_logits, proposals, gt_masks, gt_labels, mask_matched_idxs):
    """Binary cross entropy of the masks of the right classes."""
    size = mask_logits.shape[-1]
    pairs = zip(gt_labels, mask_matched_idxs, strict=True)
    labels = torch.cat([label[matched] for label, matched in pairs])
    triples = zip(gt_masks, proposals, mask_matched_idxs, strict=True)
    targets = torch.cat([project_masks_on_boxes(*triple, size) for triple in triples])
    if not targets.numel():
        return mask_logits.sum() * 0
    chosen = mask_logits[torch.arange(len(labels)), labels]
    return F.binary_cross_entropy_with_logits(chosen, targets)


def paste_masks_in_image(masks, boxes, img_shape, padding=1):
    """Masks (N, 1, H, W) of boxes, resized and put at their places in images of ``img_shape``."""
    size = masks.shape[-1]
    scale = float(size + 2 * padding) / size
    masks = F.pad(masks, (padding,) * 4)
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    centre = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    corners = torch.cat([centre - half, centre + half], 1).to(torch.int64)
    height, width = img_shape
    found = masks.new_zeros((len(masks), 1, height, width))
    for place, mask, (left, top, right, bottom) in zip(found, masks, corners.tolist(), strict=True):
        resized = F.interpolate(
            mask[None], (max(bottom - top + 1, 1), max(right - left + 1, 1)), mode="bilinear",
            align_corners=False,
        )[0, 0]  # fmt: skip
        x0, x1, y0, y1 = max(left, 0), min(right + 1, width), max(top, 0), min(bottom + 1, height)
        place[0, y0:y1, x0:x1] = resized[y0 - top : y1 - top, x0 - left : x1 - left]
    return found


def keypoints_to_heatmap(keypoints, rois, heatmap_size):
    """The places of key points (N, K, 3) in heat maps of boxes, and which of them are inside."""
    scale = heatmap_size / (rois[:, 2:] - rois[:, :2])
    points = keypoints[..., :2]
    at = ((points - rois[:, None, :2]) * scale[:, None]).floor().long()
    at = torch.where(points == rois[:, None, 2:], heatmap_size - 1, at)
    inside = ((at >= 0) & (at < heatmap_size)).all(-1)
    valid = (inside & (keypoints[..., 2] > 0)).long()
    return (at[..., 1] * heatmap_size + at[..., 0]) * valid, valid


def keypointrcnn_loss(keypoint_logits, proposals, gt_keypoints, keypoint_matched_idxs):
    """Cross entropy of the heat maps: where each visible key point is."""
    count, kinds, height, width = keypoint_logits.shape
    if height != width:
        raise ValueError(f"keypoint_logits must be square, got {(height, width)}")
    pairs = [
        keypoints_to_heatmap(points[matched], boxes, height)
        for boxes, points, matched in zip(
            proposals, gt_keypoints, keypoint_matched_idxs, strict=True
        )
    ]
    targets = torch.cat([heatmap.reshape(-1) for heatmap, _ in pairs])
    valid = torch.where(torch.cat([valid.reshape(-1) for _, valid in pairs]) != 0)[0]
    if not targets.numel() or not len(valid):
        return keypoint_logits.sum() * 0
    logits = keypoint_logits.reshape(count * kinds, height * width)
    return F.cross_entropy(logits[valid], targets[valid])


def heatmaps_to_keypoints(maps, rois):
    """The highest points of heat maps (N, K, H, W) in boxes: (N, K, 3), and their scores."""
    count, kinds = maps.shape[:2]
    points = torch.zeros((count, kinds, 3), dtype=torch.float32)
    scores = torch.zeros((count, kinds), dtype=torch.float32)
    sizes = (rois[:, 2:] - rois[:, :2]).clamp(min=1)
    for i in range(count):
        width, height = (int(size) for size in sizes[i].ceil())
        size = height, width
        resized = F.interpolate(maps[i][:, None], size, mode="bicubic", align_corners=False)[:, 0]
        place = resized.reshape(kinds, -1).argmax(1)
        x, y = place % width, place // width
        points[i, :, 0] = (x.float() + 0.5) * (sizes[i, 0] / width) + rois[i, 0]
        points[i, :, 1] = (y.float() + 0.5) * (sizes[i, 1] / height) + rois[i, 1]
        points[i, :, 2] = 1
        scores[i] = resized[torch.arange(kinds), y, x]
    return points, scores


def keypointrcnn_inference(x, boxes):
    """The key points and their scores for each image."""
    parts = x.split([len(box) for box in boxes], dim=0)
    found = [heatmaps_to_keypoints(part, box) for part, box in zip(parts, boxes, strict=True)]
    return [points for points, _ in found], [scores for _, scores in found]
