"""Losses of boxes, each with the box that it should be."""

import math

import rushlight as torch

__all__ = ["complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss"]


def _float(x):
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _overlap(boxes1, boxes2):
    """The areas of intersection and union of each box with its partner."""
    low = torch.max(boxes1[..., :2], boxes2[..., :2])
    high = torch.min(boxes1[..., 2:], boxes2[..., 2:])
    both = torch.where((high > low).all(-1), (high - low).prod(-1), 0.0)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (boxes1, boxes2)]
    return both, areas[0] + areas[1] - both


def _hull(boxes1, boxes2):
    """The sides (..., 2) of the smallest box around each pair."""
    low = torch.min(boxes1[..., :2], boxes2[..., :2])
    return torch.max(boxes1[..., 2:], boxes2[..., 2:]) - low


def _reduced(loss, reduction):
    if reduction == "mean":
        return loss.mean() if loss.numel() else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return loss


def generalized_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-07):
    """Compute 1 - ``generalized_box_iou`` of each box with its partner.

    Args:
        boxes1, boxes2: Tensors ``(..., 4)`` of boxes (x1, y1, x2, y2).
        reduction: Give each loss (``"none"``, default), their ``"mean"`` or their ``"sum"``.

    Returns:
        Tensor ``(...)``, or ``()`` for ``"mean"`` and ``"sum"``.

    Raises:
        ValueError: The reduction is not known.

    Source: Rezatofighi et al. 2019, https://arxiv.org/abs/1902.09630

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import generalized_box_iou_loss
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> generalized_box_iou_loss(box, box + 2)
    tensor([1.5000])
    """
    boxes1, boxes2 = _float(boxes1), _float(boxes2)
    both, union = _overlap(boxes1, boxes2)
    area = _hull(boxes1, boxes2).prod(-1)
    return _reduced(1 - both / (union + eps) + (area - union) / (area + eps), reduction)


def _distance(boxes1, boxes2, eps):
    """The losses of ``distance_box_iou_loss``, and the intersection over union."""
    both, union = _overlap(boxes1, boxes2)
    iou = both / (union + eps)
    diagonal = (_hull(boxes1, boxes2) ** 2).sum(-1) + eps
    centres = [(boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2)]
    return 1 - iou + ((centres[0] - centres[1]) ** 2).sum(-1) / diagonal, iou


def distance_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-07):
    """Compute 1 - ``distance_box_iou`` of each box with its partner.

    Args:
        boxes1, boxes2: Tensors ``(..., 4)`` of boxes (x1, y1, x2, y2).
        reduction: Give each loss (``"none"``, default), their ``"mean"`` or their ``"sum"``.

    Returns:
        Tensor ``(...)``, or ``()`` for ``"mean"`` and ``"sum"``.

    Raises:
        ValueError: The reduction is not known.

    Source: Zheng et al. 2019, https://arxiv.org/abs/1911.08287

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import distance_box_iou_loss
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> distance_box_iou_loss(box, box + 2)
    tensor([1.2500])
    """
    return _reduced(_distance(_float(boxes1), _float(boxes2), eps)[0], reduction)


def complete_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-07):
    """Compute 1 - ``complete_box_iou`` of each box with its partner.

    Args:
        boxes1, boxes2: Tensors ``(..., 4)`` of boxes (x1, y1, x2, y2).
        reduction: Give each loss (``"none"``, default), their ``"mean"`` or their ``"sum"``.

    Returns:
        Tensor ``(...)``, or ``()`` for ``"mean"`` and ``"sum"``.

    Raises:
        ValueError: The reduction is not known.

    Source: Zheng et al. 2019, https://arxiv.org/abs/1911.08287

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import complete_box_iou_loss
    >>> box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> complete_box_iou_loss(box, box + 2)
    tensor([1.2500])
    """
    boxes1, boxes2 = _float(boxes1), _float(boxes2)
    loss, iou = _distance(boxes1, boxes2, 1e-7)
    sizes = [boxes[..., 2:] - boxes[..., :2] for boxes in (boxes1, boxes2)]
    angles = [torch.atan(size[..., 0] / size[..., 1]) for size in sizes]
    unlike = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    with torch.no_grad():
        weight = unlike / (1 - iou + unlike + eps)
    return _reduced(loss + weight * unlike, reduction)
