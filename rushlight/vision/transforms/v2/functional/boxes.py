"""Formats of boxes, and boxes and points cut at the borders of the image."""

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.ops.rotated import four_points, one_corner, turned
from rushlight.vision.transforms.v2.functional.registry import is_pure_tensor
from rushlight.vision.transforms.v2.functional.rotated import clamped_rotated
from rushlight.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, KeyPoints

__all__ = [
    "as_format", "clamp_bounding_boxes", "clamp_keypoints", "clamped", "converted",
    "convert_bounding_box_format", "corners", "is_rotated", "sanitize_bounding_boxes",
    "sanitize_keypoints", "valid_boxes", "valid_points",
]  # fmt: skip

is_rotated = tv_tensors.is_rotated_bounding_format
XYXY, XYWH, CXCYWH = BoundingBoxFormat.XYXY, BoundingBoxFormat.XYWH, BoundingBoxFormat.CXCYWH
XYWHR, CXCYWHR = BoundingBoxFormat.XYWHR, BoundingBoxFormat.CXCYWHR
XYXYXYXY = BoundingBoxFormat.XYXYXYXY


def as_format(format):
    """The ``BoundingBoxFormat`` of this name, or ``format`` itself."""
    return BoundingBoxFormat[format.upper()] if isinstance(format, str) else format


def _half(sizes):
    return sizes.div(2, rounding_mode=None if sizes.is_floating_point() else "floor")


def _to_corners(boxes, format):
    """Boxes in XYXY. Halves of integers are computed in floating point, then cut off."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if format is XYXY:
        return boxes
    if format is XYWH:
        return torch.cat([first, first + second], -1)
    if not boxes.is_floating_point():
        return _to_corners(boxes.float(), format).to(boxes.dtype)
    start = first - second / 2
    return torch.cat([start, second + start], -1)


def _from_corners(boxes, format):
    first, second = boxes[..., :2], boxes[..., 2:]
    if format is XYXY:
        return boxes
    size = second - first
    return torch.cat([first if format is XYWH else _half(first * 2 + size), size], -1)


def converted(boxes, old, new):
    """Plain boxes in another format.

    Raises:
        ValueError: Only one of the formats is for rotated boxes.
    """
    if old is new:
        return boxes
    if is_rotated(old) != is_rotated(new):
        raise ValueError("Cannot convert between rotated and unrotated bounding boxes.")
    if is_rotated(old):
        if old is CXCYWHR:
            boxes = turned(boxes, -1)
        elif old is XYXYXYXY:
            boxes = one_corner(boxes)
        if new is CXCYWHR:
            return turned(boxes, 1)
        return four_points(boxes) if new is XYXYXYXY else boxes
    if old is XYWH and new is CXCYWH:
        return torch.cat([boxes[..., :2] + _half(boxes[..., 2:]), boxes[..., 2:]], -1)
    return _from_corners(_to_corners(boxes, old), new)


def corners(boxes, format):
    """Four corners (N, 4, 2) of boxes in XYXY or XYXYXYXY."""
    if format is XYXYXYXY:
        return boxes.reshape(-1, 4, 2)
    return boxes.reshape(-1, 4)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def convert_bounding_box_format(inpt, old_format=None, new_format=None, inplace=False):
    """Convert boxes from one format to another.

    Args:
        inpt: ``tv_tensors.BoundingBoxes``, or a plain tensor ``(..., 4)``; rotated boxes have 5 or
            8 numbers.
        old_format: The format of a plain tensor.
        new_format: A ``BoundingBoxFormat``, or its name.
        inplace: Write the result into ``inpt`` if both formats have as many numbers. Default:
            False.

    Returns:
        Boxes of the same kind as ``inpt``.

    Raises:
        TypeError: ``new_format`` is missing, or ``inpt`` is not a tensor of boxes.
        ValueError: ``old_format`` is missing or superfluous, or only one of the formats is for
            rotated boxes.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.convert_bounding_box_format(torch.tensor([[1, 2, 4, 8]]), "xyxy", "xywh")
    tensor([[1, 2, 3, 6]])
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    old_format, new_format = as_format(old_format), as_format(new_format)
    if is_pure_tensor(inpt):
        if old_format is None:
            raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
        found = converted(inpt, old_format, new_format)
        if inplace and found is not inpt and found.shape == inpt.shape:
            return inpt.copy_(found)
        return found
    if not isinstance(inpt, BoundingBoxes):
        raise TypeError(
            "Input can either be a plain tensor or a bounding box tv_tensor, "
            f"but got {type(inpt)} instead."
        )
    if old_format is not None:
        raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
    found = convert_bounding_box_format(inpt.as_subclass(Tensor), inpt.format, new_format, inplace)
    return tv_tensors.wrap(found, like=inpt, format=new_format)


def clamped(boxes, format, canvas_size, clamping_mode):
    """Plain boxes, cut at the borders of the canvas."""
    if clamping_mode is None:
        return boxes.clone()
    if is_rotated(format):
        return clamped_rotated(boxes, format, canvas_size, clamping_mode, converted)
    found = _to_corners(boxes if boxes.is_floating_point() else boxes.float(), format)
    height, width = canvas_size
    x, y = found[..., 0::2].clamp(0, width), found[..., 1::2].clamp(0, height)
    cut = torch.stack([x, y], -1).flatten(-2)
    return _from_corners(cut, format).to(boxes.dtype)


def clamp_bounding_boxes(inpt, format=None, canvas_size=None, clamping_mode="auto"):
    """Cut boxes at the borders of the image.

    Args:
        inpt: ``tv_tensors.BoundingBoxes``, or a plain tensor of boxes.
        format: The format of a plain tensor.
        canvas_size: The image's (height, width), for a plain tensor.
        clamping_mode: ``"soft"`` or ``"hard"``, which differ for rotated boxes, None (not at all),
            or ``"auto"`` (default): that of ``inpt``.

    Returns:
        Boxes of the same kind as ``inpt``.

    Raises:
        TypeError: ``inpt`` is not a tensor of boxes.
        ValueError: An argument is missing or superfluous, or the mode is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.clamp_bounding_boxes(torch.tensor([[-1, 0, 9, 3]]), "XYXY", (4, 8), "soft")
    tensor([[0, 0, 8, 3]])
    """
    if clamping_mode not in (None, "soft", "hard", "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if is_pure_tensor(inpt):
        if format is None or canvas_size is None or clamping_mode == "auto":
            raise ValueError(
                "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be "
                "passed."
            )
        return clamped(inpt, as_format(format), canvas_size, clamping_mode)
    if not isinstance(inpt, BoundingBoxes):
        raise TypeError(
            "Input can either be a plain tensor or a bounding box tv_tensor, "
            f"but got {type(inpt)} instead."
        )
    if format is not None or canvas_size is not None:
        raise ValueError(
            "For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed."
        )
    mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
    found = clamped(inpt.as_subclass(Tensor), inpt.format, inpt.canvas_size, mode)
    return tv_tensors.wrap(found, like=inpt)


def _canvas_of(inpt, kind, canvas_size, error=ValueError):
    """The canvas's size for points: given for a plain tensor, else its own."""
    if is_pure_tensor(inpt):
        if canvas_size is None:
            raise ValueError("For pure tensor inputs, `canvas_size` has to be passed.")
        return canvas_size
    if not isinstance(inpt, kind):
        raise error(f"expected a plain tensor or {kind.__name__}, got {type(inpt)}")
    if canvas_size is not None:
        raise ValueError(f"For {kind.__name__} inputs, `canvas_size` must not be passed.")
    return inpt.canvas_size


def clamp_keypoints(inpt, canvas_size=None):
    """Move points outside the image to its border.

    Args:
        inpt: ``tv_tensors.KeyPoints``, or a plain tensor ``(..., 2)``.
        canvas_size: The image's (height, width), for a plain tensor.

    Returns:
        Points of the same kind as ``inpt``.

    Raises:
        TypeError: ``inpt`` is not a tensor of points.
        ValueError: ``canvas_size`` is missing or superfluous.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.clamp_keypoints(torch.tensor([[-1, 9]]), (4, 8))
    tensor([[0, 3]])
    """
    height, width = _canvas_of(inpt, KeyPoints, canvas_size, TypeError)
    points = inpt.as_subclass(Tensor)
    x, y = points[..., 0].clamp(0, width - 1), points[..., 1].clamp(0, height - 1)
    found = torch.stack([x, y], -1).to(points.dtype)
    return found if is_pure_tensor(inpt) else tv_tensors.wrap(found, like=inpt)


def valid_boxes(boxes, format, canvas_size, min_size=1.0, min_area=1.0):
    """Whether each box (N, ...) lies in the canvas and is large enough."""
    height, width = canvas_size
    rotated = is_rotated(format)
    boxes = converted(boxes, format, XYXYXYXY if rotated else XYXY)
    if rotated:
        # The second pair of differences mixes x and y, as torchvision's does (0.28).
        w = ((boxes[..., 0] - boxes[..., 2]) ** 2 + (boxes[..., 1] - boxes[..., 3]) ** 2).sqrt()
        h = ((boxes[..., 3] - boxes[..., 5]) ** 2 + (boxes[..., 4] - boxes[..., 6]) ** 2).sqrt()
    else:
        w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    valid = (w >= min_size) & (h >= min_size) & (w * h >= min_area) & (boxes >= 0).all(-1)
    return valid & (boxes[..., 0::2] <= width).all(-1) & (boxes[..., 1::2] <= height).all(-1)


def sanitize_bounding_boxes(
    bounding_boxes, format=None, canvas_size=None, min_size=1.0, min_area=1.0
):
    """Drop boxes that are too small or reach beyond the image.

    Args:
        bounding_boxes: ``tv_tensors.BoundingBoxes``, or a plain tensor ``(N, 4)``.
        format: The format of a plain tensor.
        canvas_size: The image's (height, width), for a plain tensor.
        min_size: The least width and height. Default: 1.
        min_area: The least area. Default: 1.

    Returns:
        Tuple (the boxes that remain, a tensor ``(N,)`` of bool: which of them remain).

    Raises:
        ValueError: An argument is missing or superfluous, or ``bounding_boxes`` is no tensor of
            boxes.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> boxes = torch.tensor([[0, 0, 2, 2], [3, 0, 3, 3]])
    >>> F.sanitize_bounding_boxes(boxes, "XYXY", (4, 8))
    (tensor([[0, 0, 2, 2]]), tensor([ True, False]))
    """
    plain = is_pure_tensor(bounding_boxes)
    if not plain and not isinstance(bounding_boxes, BoundingBoxes):
        raise ValueError("bounding_boxes must be a tv_tensors.BoundingBoxes or a pure tensor.")
    if plain == (format is None or canvas_size is None) or (not plain and format is not None):
        raise ValueError(
            "format and canvas_size are for pure tensors, which need both: got "
            f"format={format} and canvas_size={canvas_size}"
        )
    boxes = bounding_boxes.as_subclass(Tensor)
    if not plain:
        format, canvas_size = bounding_boxes.format, bounding_boxes.canvas_size
    valid = valid_boxes(boxes, as_format(format), canvas_size, min_size, min_area)
    found = boxes[valid]
    return (found if plain else tv_tensors.wrap(found, like=bounding_boxes)), valid


def valid_points(points, canvas_size):
    """Whether all points of each element of the first dim lie in the canvas."""
    height, width = canvas_size
    x, y = points[..., 0], points[..., 1]
    valid = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return valid.flatten(1).all(1) if valid.ndim > 1 else valid


def sanitize_keypoints(key_points, canvas_size=None):
    """Drop points outside the image.

    Args:
        key_points: ``tv_tensors.KeyPoints``, or a plain tensor ``(N, ..., 2)``.
        canvas_size: The image's (height, width), for a plain tensor.

    Returns:
        Tuple (the points that remain, a tensor ``(N,)`` of bool: which of them remain).

    Raises:
        ValueError: ``canvas_size`` is missing or superfluous, or ``key_points`` is no tensor of
            points.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.sanitize_keypoints(torch.tensor([[1, 1], [9, 1]]), (4, 8))
    (tensor([[1, 1]]), tensor([ True, False]))
    """
    size = _canvas_of(key_points, KeyPoints, canvas_size)
    points = key_points.as_subclass(Tensor)
    valid = valid_points(points, size)
    found = points[valid]
    return (found if is_pure_tensor(key_points) else tv_tensors.wrap(found, like=key_points)), valid
