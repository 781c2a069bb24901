"""Formats of rotated boxes: a corner or the centre with sizes and an angle, or four corners."""

import rushlight as torch

__all__ = ["converted", "four_points", "one_corner", "turned"]


def turned(boxes, way):
    """XYWHR from CXCYWHR (``way`` -1), or the other way round (1): half a diagonal is between."""
    half = boxes[..., 2:4] / 2
    angle = boxes[..., 4].mul(torch.pi).div(180.0)
    cos, sin = angle.cos(), angle.sin()
    x = boxes[..., 0] + way * (half[..., 0] * cos + half[..., 1] * sin)
    y = boxes[..., 1] + way * (half[..., 1] * cos - half[..., 0] * sin)
    return torch.stack([x, y, boxes[..., 2], boxes[..., 3], boxes[..., 4]], -1)


def four_points(boxes):
    """XYXYXYXY from XYWHR; the angle turns counter-clockwise."""
    x, y, w, h, degrees = boxes.unbind(-1)
    angle = degrees.mul(torch.pi).div(180.0)
    cos, sin = angle.cos(), angle.sin()
    across, down = (w * cos, -(w * sin)), (h * sin, h * cos)
    points = [
        x, y, x + across[0], y + across[1], x + (across[0] + down[0]), y + (across[1] + down[1]),
        x + down[0], y + down[1],
    ]  # fmt: skip
    return torch.stack(points, -1)


def one_corner(points):
    """XYWHR from XYXYXYXY."""
    if points.dtype not in (torch.float32, torch.float64):
        return one_corner(points.float()).to(points.dtype)
    x1, y1, x2, y2, x3, y3 = points[..., :6].unbind(-1)
    angle = torch.atan2(y1 - y2, x2 - x1) / torch.pi * 180.0
    width = ((x2 - x1) ** 2 + (y2 - y1) ** 2).sqrt()
    height = ((x3 - x2) ** 2 + (y3 - y2) ** 2).sqrt()
    return torch.stack([x1, y1, width, height, angle], -1)


def converted(boxes, old, new):
    """Boxes from "xywhr", "cxcywhr" or "xyxyxyxy" to another of these; integers are rounded."""
    if not boxes.is_floating_point():
        return converted(boxes.float(), old, new).round().to(boxes.dtype)
    if old == "cxcywhr":
        boxes = turned(boxes, -1)
    elif old == "xyxyxyxy":
        boxes = one_corner(boxes)
    if new == "cxcywhr":
        return turned(boxes, 1)
    return four_points(boxes) if new == "xyxyxyxy" else boxes
