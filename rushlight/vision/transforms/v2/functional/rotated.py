"""Rotated boxes: rectangles around parallelograms, and boxes cut at the borders of the image."""

import rushlight as torch
from rushlight.vision.tv_tensors import BoundingBoxFormat

__all__ = ["clamped_rotated", "rectangles"]


def rectangles(points):
    """The rotated rectangles (N, 8) that stand for parallelograms (N, 8).

    A rectangle keeps the centre and the direction of the longer side.
    """
    if points.dtype not in (torch.float32, torch.float64):
        return rectangles(points.float()).to(points.dtype)
    x1, y1, x2, y2, x3, y3, x4, y4 = points.unbind(-1)
    cx, cy = (x1 + x3) / 2, (y1 + y3) / 2
    first = ((x2 - x1) ** 2 + (y2 - y1) ** 2).sqrt()
    second = ((x4 - x1) ** 2 + (y4 - y1) ** 2).sqrt()
    first_angle, second_angle = torch.atan2(y1 - y2, x2 - x1), torch.atan2(y1 - y4, x4 - x1)
    between = first_angle - second_angle
    sign = torch.where(between > torch.pi / 2, -1, 1)
    cos, sin = between.cos(), between.sin()
    width = torch.where(first < second, first * sin, first + second * cos * sign)
    height = torch.where(first > second, second * sin, second + first * cos * sign)
    angle = torch.where(second > first, second_angle + torch.pi / 2, first_angle)
    cos, sin = angle.cos(), angle.sin()
    across, up = (width / 2 * cos, width / 2 * sin), (height / 2 * sin, height / 2 * cos)
    places = []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        places += [cx + right * across[0] + down * up[0], cy + down * up[1] - right * across[1]]
    return torch.stack(places, -1).reshape(points.shape)


def clamped_rotated(boxes, format, canvas_size, clamping_mode, converted):
    """Rotated boxes, cut at each of the four borders in turn.

    The canvas is turned by 90 degrees between the cuts, so that each cut is at the left border.
    ``converted`` converts formats.
    """
    points = converted(boxes, format, BoundingBoxFormat.XYXYXYXY).reshape(-1, 8)
    original = points
    for _ in range(4):
        order = _from_leftmost(points)
        points, original = points.gather(1, order), original.gather(1, order)
        points = _cut_left(points, original, canvas_size, clamping_mode)
        # The same order once more. Which corner a box starts with is torchvision's so.
        points, original = points.gather(1, order), original.gather(1, order)
        points, original = (_quarter_turn(p, canvas_size[1]) for p in (points, original))
        canvas_size = canvas_size[::-1]
    return converted(points, BoundingBoxFormat.XYXYXYXY, format).reshape(boxes.shape)


def _quarter_turn(points, width):
    x, y = points[:, 0::2], points[:, 1::2]
    return torch.stack([y, width - x], -1).flatten(1)


def _from_leftmost(points):
    """The order (N, 8) of coordinates that starts with each box's leftmost corner."""
    x, y = points[:, 0::2], points[:, 1::2]
    far_x, far_y = x.abs().amax(1, keepdim=True), y.abs().amax(1, keepdim=True)
    first = (y / far_y + x / far_x * 100).min(1)[1]
    return (2 * first[:, None] + torch.arange(8)) % 8


def _lines(points):
    """Slopes and intercepts (N, 4) of the lines through neighbouring corners."""
    x, y = points[:, 0::2], points[:, 1::2]
    slope = (y.roll(-1, 1) - y) / (x.roll(-1, 1) - x)
    return slope, y - slope * x


def _crossings(slope, intercept):
    """The points (N, 8) at which each line meets the line before it."""
    x = (intercept - intercept.roll(1, 1)).neg() / (slope - slope.roll(1, 1))
    return torch.stack([x, slope * x + intercept], -1).flatten(1)


def _moved_lines(points, original, canvas_size, mode):
    """The intercepts of the lines after the sides were moved into the canvas."""
    height, width = canvas_size
    slope, intercept = _lines(points)
    a1, a2, a3, a4 = slope.unbind(-1)
    b1, b2, b3, b4 = intercept.unbind(-1)
    m1, m2, m3, m4 = _lines(original)[1].unbind(-1)
    b1, b4 = b2.clamp(b1, b3).clamp(0, height), b3.clamp(b2, b4).clamp(0, height)
    if mode == "hard":
        b1 = b4 = (b1 + b4) / 2
        ends = b1 * a2 / a1, b3 * a2 / a3, (a1 - a2) * width + b1, (a3 - a2) * width + b3
        b2 = torch.stack(ends).amax(0).clamp(max=b2)
        ends = (
            height * (1 - a3 / a4) + b4 * a3 / a4, height * (1 - a3 / a2) + b2 * a3 / a2,
            (a2 - a3) * width + b2, (a4 - a3) * width + b4,
        )  # fmt: skip
        b3 = torch.stack(ends).amin(0).clamp(min=b3)
    b1, b3 = b1.clamp(m1, m3), b3.clamp(m1, m3)
    if mode == "hard":
        b1 = b4 = b1.clamp(m2, m4)
    return torch.stack([b1, b2.clamp(m2, m4), b3, b4.clamp(m2, m4)], -1)


def _cut_left(points, original, canvas_size, mode):
    """Cut boxes, which start with their leftmost corner, at the left border."""
    slope = _lines(points)[0]
    crossings = _crossings(slope, _moved_lines(points, original, canvas_size, mode))
    x1, y1, x2, y2, _, y3, _, y4 = points.unbind(-1)
    upright = points.clone()
    upright[:, [0, 6]] = upright[:, [0, 6]].clamp(min=0)
    straight = y1.isclose(y2) | y3.isclose(y4)
    gone = (points[:, 0::2] <= 0).all(1) | y1.isclose(y4) | y2.isclose(y3)
    gone = gone | (straight & x1.isclose(x2))
    outside = (x1 < 0) & ~crossings.isnan().any(-1)
    points = torch.where(outside[:, None], crossings, points)
    points = torch.where(straight[:, None], upright, points)
    return torch.where(gone[:, None], torch.zeros_like(points), points)
