"""Boxes: their formats, how much they overlap, and which of them to keep.

By default a box has the format "xyxy": two corners (x1, y1, x2, y2). The format "xywh" has a corner
and the size. The format "cxcywh" has the centre and the size.
"""

import math

import numpy as np

import rushlight as torch
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.vision.ops import rotated

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image",
    "complete_box_iou", "distance_box_iou", "generalized_box_iou", "masks_to_boxes", "nms",
    "remove_small_boxes",
]  # fmt: skip

FORMATS = ("xyxy", "xywh", "cxcywh")
ROTATED = ("xywhr", "cxcywhr", "xyxyxyxy")


def box_convert(boxes, in_fmt, out_fmt):
    """Convert boxes from one format to another.

    Args:
        boxes: Tensor ``(..., 4)``; rotated boxes have 5 or 8 numbers.
        in_fmt: Format of ``boxes``: ``"xyxy"`` (two corners), ``"xywh"`` (a corner, width and
            height) or ``"cxcywh"`` (the centre, width and height). Rotated boxes are ``"xywhr"``
            and ``"cxcywhr"``, with an angle in degrees, or ``"xyxyxyxy"``.
        out_fmt: Format of the result.

    Returns:
        Tensor of boxes.

    Raises:
        ValueError: a format is not known.
        NotImplementedError: only one of the formats is for rotated boxes.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import box_convert
    >>> box_convert(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), "xyxy", "cxcywh")
    tensor([[2.5000, 5.0000, 3.0000, 6.0000]])
    """
    for fmt in (in_fmt, out_fmt):
        if fmt not in FORMATS + ROTATED:
            known = FORMATS + ROTATED
            raise ValueError(f"box_convert: a format must be one of {known}, got {fmt!r}")
    if in_fmt == out_fmt:
        return boxes.clone()
    if (in_fmt in ROTATED) != (out_fmt in ROTATED):
        raise NotImplementedError(f"box_convert: {in_fmt} cannot be converted to {out_fmt}")
    if in_fmt in ROTATED:
        return rotated.converted(boxes, in_fmt, out_fmt)
    x, y, w, h = boxes.unbind(-1)
    if in_fmt == "xywh":
        x, y, w, h = x, y, x + w, y + h
    elif in_fmt == "cxcywh":
        x, y, w, h = x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h
    if out_fmt == "xywh":
        x, y, w, h = x, y, w - x, h - y
    elif out_fmt == "cxcywh":
        x, y, w, h = (x + w) / 2, (y + h) / 2, w - x, h - y
    return torch.stack([x, y, w, h], -1)


def _wide(x):
    """Convert boxes to a dtype that can hold products of coordinates."""
    if x.is_floating_point():
        return x if x.dtype in (torch.float32, torch.float64) else x.float()
    return x if x.dtype in (torch.int32, torch.int64) else x.int()


def box_area(boxes, fmt="xyxy"):
    """Compute the area of each box.

    Args:
        boxes: Tensor ``(..., 4)``.
        fmt: Format of the boxes: ``"xyxy"`` (default), ``"xywh"`` or ``"cxcywh"``.

    Returns:
        Tensor ``(...)``.

    Raises:
        ValueError: The format is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import box_area
    >>> box_area(torch.tensor([[0.0, 0.0, 2.0, 3.0]]))
    tensor([6.])
    """
    if fmt not in FORMATS:
        raise ValueError(f"box_area: fmt must be one of {FORMATS}, got {fmt!r}")
    boxes = _wide(boxes)
    if fmt != "xyxy":
        return boxes[..., 2] * boxes[..., 3]
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(boxes1, boxes2):
    """The areas of intersection and union of each pair."""
    low = torch.max(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = torch.min(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    intersection = _wide(high - low).clamp(min=0).prod(-1)
    areas = box_area(boxes1)[..., None] + box_area(boxes2)[..., None, :]
    return intersection, areas - intersection


def _hull(boxes1, boxes2):
    """The sides (..., 2) of the smallest box around each pair."""
    low = torch.min(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = torch.max(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    return _wide(high - low).clamp(min=0)


def box_iou(boxes1, boxes2, fmt="xyxy"):
    """Compute the intersection over union of each pair of boxes.

    Args:
        fmt: Format of the boxes: ``"xyxy"`` (default), ``"xywh"`` or ``"cxcywh"``.

    Returns:
        Tensor ``(..., N, M)``.

    Raises:
        ValueError: the format is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import box_iou
    >>> box_iou(torch.tensor([[0, 0, 2, 2]]), torch.tensor([[1, 0, 3, 2], [5, 5, 6, 6]]))
    tensor([[0.3333, 0.0000]])
    """
    if fmt not in FORMATS:
        raise ValueError(f"box_iou: fmt must be one of {FORMATS}, got {fmt!r}")
    boxes1, boxes2 = box_convert(boxes1, fmt, "xyxy"), box_convert(boxes2, fmt, "xyxy")
    intersection, union = _overlap(boxes1, boxes2)
    return intersection / union


def generalized_box_iou(boxes1, boxes2):
    """Compute ``box_iou`` of each pair, less an empty share of the smallest box around both.

    The empty share is the part of that box which neither of the two boxes covers.

    Returns:
        Tensor ``(..., N, M)``.

    Source: Rezatofighi et al. 2019, https://arxiv.org/abs/1902.09630

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import generalized_box_iou
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> generalized_box_iou(box, box)
    tensor([[1.]])
    """
    intersection, union = _overlap(boxes1, boxes2)
    area = _hull(boxes1, boxes2).prod(-1)
    return intersection / union - (area - union) / area


def distance_box_iou(boxes1, boxes2, eps=1e-7):
    """Compute ``box_iou`` of each pair, less a ratio of two squared lengths.

    The ratio is the squared distance between the centres, divided by the squared diagonal of the
    smallest box around both.

    Returns:
        Tensor ``(..., N, M)``.

    Source: Zheng et al. 2019, https://arxiv.org/abs/1911.08287

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import distance_box_iou
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> distance_box_iou(box, box)
    tensor([[1.]])
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    diagonal = (_hull(boxes1, boxes2) ** 2).sum(-1) + eps
    centres1 = (boxes1[..., :2] + boxes1[..., 2:]) / 2
    centres2 = (boxes2[..., :2] + boxes2[..., 2:]) / 2
    distance = (centres1[..., None, :] - centres2[..., None, :, :]) ** 2
    return box_iou(boxes1, boxes2) - distance.sum(-1) / diagonal


def complete_box_iou(boxes1, boxes2, eps=1e-7):
    """Compute ``distance_box_iou`` less a measure of how the aspect ratios differ.

    Returns:
        Tensor ``(..., N, M)``.

    Source: Zheng et al. 2020, https://arxiv.org/abs/2005.03572

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import complete_box_iou
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> complete_box_iou(box, box)
    tensor([[1.]])
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    size1, size2 = boxes1[..., 2:] - boxes1[..., :2], boxes2[..., 2:] - boxes2[..., :2]
    angle1 = torch.atan(size1[..., 0] / size1[..., 1])[..., None]
    angle2 = torch.atan(size2[..., 0] / size2[..., 1])[..., None, :]
    unlike = 4 / math.pi**2 * (angle1 - angle2) ** 2
    with torch.no_grad():
        weight = unlike / (1 - box_iou(boxes1, boxes2) + unlike + eps)
    return distance_box_iou(boxes1, boxes2, eps) - weight * unlike


def nms(boxes, scores, iou_threshold):
    """Find the boxes that remain after non-maximum suppression.

    A box is dropped if it overlaps a remaining box of higher score by more than ``iou_threshold``.

    Returns:
        Tensor ``(K,)``, int64: the indices of the boxes that remain, best score first.

    Raises:
        RuntimeError: ``boxes`` or ``scores`` has another shape, or their dtypes differ.
        NotImplementedError: The boxes are neither float32 nor float64.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import nms
    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [3.0, 3.0, 4.0, 4.0]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    if boxes.ndim != 2 or boxes.shape[-1] != 4 or scores.shape != boxes.shape[:1]:
        raise RuntimeError(
            f"nms: boxes {tuple(boxes.shape)} must be (N, 4) and scores {tuple(scores.shape)} (N,)"
        )
    if boxes.dtype is not scores.dtype:
        raise DtypeError(
            f"nms: dets should have the same type as scores, but boxes are {boxes.dtype} and "
            f"scores {scores.dtype}"
        )
    if boxes.dtype not in (torch.float32, torch.float64):
        raise UnsupportedDtypeError(f"nms: not implemented for {boxes.dtype}; use .float()")
    order = scores.detach().sort(stable=True, descending=True)[1]
    sides = np.ascontiguousarray(boxes.detach()[order].numpy().T)  # (4, N)
    areas = (sides[2] - sides[0]) * (sides[3] - sides[1])
    results = [(areas.shape, np.dtype(bool))]
    given = sides, areas, len(areas), float(iou_threshold)
    looped = None if len(areas) < _FEW else native.looped(_drop, given, results)
    if looped is not None:
        return order[torch.from_numpy(np.flatnonzero(~looped[0]))]
    kept, rest = [], np.arange(len(areas))
    while rest.size:
        block, rest = rest[:_BLOCK], rest[_BLOCK:]
        alive = _undropped(_overlap_more(sides, areas, block, block, iou_threshold))
        kept.append(block[alive])
        dropped = _overlap_more(sides, areas, block[alive], rest, iou_threshold)
        rest = rest[~dropped.any(0)]
    return order[torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *kept]))]


def _drop(sides, areas, n, threshold, dropped):
    """Which boxes, best first, overlap a remaining earlier one by more than the threshold."""
    for i in range(n):
        dropped[i] = False
    for i in range(n):
        if not dropped[i]:
            left = sides[i]
            top = sides[n + i]
            right = sides[2 * n + i]
            bottom = sides[3 * n + i]
            area = areas[i]
            for j in range(i + 1, n):
                wide = max(min(right, sides[2 * n + j]) - max(left, sides[j]), 0)
                high = max(min(bottom, sides[3 * n + j]) - max(top, sides[n + j]), 0)
                both = wide * high
                dropped[j] = dropped[j] | (both / (area + areas[j] - both) > threshold)


_FEW = large_from(16)  # so few boxes are not worth a loop that has to be compiled
_BLOCK = 128  # boxes of which all pairs are compared at once


def _undropped(over):
    """Which boxes remain, if ``over`` (N, N) says which pairs overlap; the best come first.

    A box falls if a remaining earlier box overlaps it. The rule is applied to all boxes at once
    until nothing changes; each round settles at least one more box.
    """
    earlier = np.triu(over, 1)
    alive = np.ones(len(over), bool)
    while True:
        found = ~earlier[alive].any(0)
        if (found == alive).all():
            return alive
        alive = found


def _overlap_more(sides, areas, first, second, threshold):
    """Whether each pair of boxes of two index arrays (N,) and (M,) overlaps by more: (N, M).

    The results of most steps overwrite the operands, so that few arrays are in use.
    """
    own, other = sides[:, first, None], sides[:, None, second]
    wide, high = (
        np.minimum(own[i + 2], other[i + 2]) - np.maximum(own[i], other[i]) for i in (0, 1)
    )
    both = np.multiply(np.maximum(wide, 0, out=wide), np.maximum(high, 0, out=high), out=wide)
    union = np.subtract(np.add(areas[first, None], areas[second], out=high), both, out=high)
    return both > threshold * union


def batched_nms(boxes, scores, idxs, iou_threshold):
    """Apply ``nms`` to the boxes of each category by themselves.

    Args:
        idxs: Tensor ``(N,)`` of ints: the category of each box.

    Returns:
        Tensor ``(K,)``, int64: the indices of the boxes that remain, best score first.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import batched_nms
    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]])
    >>> batched_nms(boxes, torch.tensor([0.5, 0.9]), torch.tensor([0, 1]), 0.5)
    tensor([1, 0])
    """
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64)
    if boxes.numel() > 4000:  # a large offset would cost digits of the coordinates
        kept = torch.zeros_like(scores, dtype=torch.bool)
        for category in torch.unique(idxs):
            own = torch.where(idxs == category)[0]
            kept[own[nms(boxes[own], scores[own], iou_threshold)]] = True
        found = torch.where(kept)[0]
        return found[scores[found].sort(descending=True)[1]]
    apart = idxs.to(boxes.dtype) * (boxes.max() + 1)  # moves the categories apart, without overlap
    return nms(boxes + apart[:, None], scores, iou_threshold)


def remove_small_boxes(boxes, min_size):
    """Find the boxes whose sides are both large enough.

    Args:
        min_size: The least length of a side.

    Returns:
        Tensor ``(K,)``, int64: the indices of these boxes.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import remove_small_boxes
    >>> remove_small_boxes(torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.5, 2.0]]), 1.0)
    tensor([0])
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    return torch.where((sides >= min_size).all(-1))[0]


def clip_boxes_to_image(boxes, size):
    """Cut boxes at the borders of an image.

    Args:
        boxes: Tensor ``(..., 4)`` of boxes (x1, y1, x2, y2).
        size: The image's (height, width), in pixels.

    Returns:
        Tensor of ``boxes``' shape.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import clip_boxes_to_image
    >>> clip_boxes_to_image(torch.tensor([[-1.0, 0.0, 9.0, 3.0]]), (4, 8))
    tensor([[0., 0., 8., 3.]])
    """
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x, y], boxes.dim()).reshape(boxes.shape)


def masks_to_boxes(masks):
    """Find the smallest box around each mask.

    Args:
        masks: Tensor ``(N, H, W)``; elements other than 0 belong to the mask.

    Returns:
        Tensor ``(N, 4)``, float32: boxes (x1, y1, x2, y2), of zeros for an empty mask.

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import masks_to_boxes
    >>> masks_to_boxes(torch.tensor([[[0, 1, 0], [0, 1, 1]]]))
    tensor([[1., 0., 2., 1.]])
    """
    boxes = torch.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask != 0)
        if len(rows):
            found = columns.min(), rows.min(), columns.max(), rows.max()
            box.copy_(torch.stack(found))
    return boxes
