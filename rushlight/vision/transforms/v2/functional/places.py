"""What geometric transforms do to boxes and points.

Boxes are plain tensors here. A function whose canvas changes returns the new size, too.
"""

import rushlight as torch
from rushlight.vision.transforms.functional.size import resized_size, sides, two_sizes
from rushlight.vision.transforms.functional.warp import (
    affine_arguments,
    affine_matrix,
    eight_numbers,
    expanded,
    identity_grid,
)
from rushlight.vision.transforms.v2.functional.boxes import (
    CXCYWHR,
    XYWH,
    XYWHR,
    XYXY,
    XYXYXYXY,
    as_format,
    clamped,
    converted,
    corners,
    is_rotated,
)
from rushlight.vision.transforms.v2.functional.rotated import rectangles

__all__ = [
    "affine_boxes", "affine_points", "center_crop_boxes", "center_crop_points", "crop_boxes",
    "crop_points", "elastic_boxes", "elastic_points", "flip_boxes", "flip_points", "pad_boxes",
    "pad_points", "perspective_boxes", "perspective_points", "resize_boxes", "resize_points",
    "resized_crop_boxes", "resized_crop_points", "rotate_boxes", "rotate_points",
]  # fmt: skip


def _degrees(boxes):
    return boxes[:, 4].mul(torch.pi).div(180)


def flip_boxes(boxes, format, canvas_size, dim):
    """Exchange left and right (``dim`` 0) or top and bottom (1)."""
    format, size = as_format(format), canvas_size[1 - dim]
    x = boxes.clone().reshape(-1, boxes.shape[-1])
    if format is XYXY:
        x[:, [dim, dim + 2]] = size - x[:, [dim + 2, dim]]
    elif format is XYXYXYXY:
        x[:, dim::2] = size - x[:, dim::2]
        x = x[:, [2, 3, 0, 1, 6, 7, 4, 5]]
    elif format is XYWH:
        x[:, dim] = size - (x[:, dim] + x[:, dim + 2])
    else:
        if format is XYWHR:  # the corner of the mirror image is the other end of the upper side
            angle = _degrees(x)
            x[:, 0] += x[:, 2] * angle.cos()
            x[:, 1] -= x[:, 2] * angle.sin()
        x[:, dim] = size - x[:, dim]
        if is_rotated(format):
            x[:, 4] = 180 * dim - x[:, 4]
    return x.reshape(boxes.shape)


def flip_points(keypoints, canvas_size, dim):
    """Exchange left and right (``dim`` 0) or top and bottom (1)."""
    found = keypoints.clone()
    found[..., dim] = canvas_size[1 - dim] - 1 - found[..., dim]
    return found


def _ratios(old, new):
    return new[1] / old[1], new[0] / old[0]


def resize_boxes(
    bounding_boxes, canvas_size, size, max_size=None, format=XYXY, clamping_mode="soft"
):
    """Scale boxes to the image's new size."""
    format, new = as_format(format), resized_size(canvas_size[0], canvas_size[1], size, max_size)
    if new == tuple(canvas_size):
        return bounding_boxes, canvas_size
    ratios = torch.tensor(_ratios(canvas_size, new)).repeat(4)
    if not is_rotated(format):
        return (bounding_boxes * ratios[:4]).to(bounding_boxes.dtype), new
    points = converted(bounding_boxes, format, XYXYXYXY).reshape(-1, 8)
    cut = clamped(rectangles(points * ratios), XYXYXYXY, new, clamping_mode)
    found = converted(cut, XYXYXYXY, format).to(bounding_boxes.dtype)
    return found.reshape(bounding_boxes.shape), new


def resize_points(keypoints, size, canvas_size, max_size=None):
    """Scale points to the image's new size."""
    new = resized_size(canvas_size[0], canvas_size[1], size, max_size)
    if new == tuple(canvas_size):
        return keypoints, canvas_size
    ratios = torch.tensor(_ratios(canvas_size, new))
    return (keypoints * ratios).to(keypoints.dtype), new


def _moved(boxes, format, x, y):
    """Boxes after a translation."""
    count = {XYXYXYXY: 4, XYXY: 2}.get(format, 1)
    step = [x, y] * count + [0] * (boxes.shape[-1] - 2 * count)
    return boxes + torch.tensor(step, dtype=boxes.dtype)


def pad_boxes(
    bounding_boxes, format, canvas_size, padding, padding_mode="constant", clamping_mode="soft"
):
    """Move boxes as the image's pixels, and enlarge the canvas."""
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with bounding boxes")
    left, top, right, bottom = sides(padding)
    format = as_format(format)
    size = canvas_size[0] + top + bottom, canvas_size[1] + left + right
    return clamped(_moved(bounding_boxes, format, left, top), format, size, clamping_mode), size


def pad_points(keypoints, canvas_size, padding, padding_mode="constant"):
    """Move points as the image's pixels, and enlarge the canvas."""
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with KeyPoints")
    left, top, right, bottom = sides(padding)
    size = canvas_size[0] + top + bottom, canvas_size[1] + left + right
    return keypoints + torch.tensor([left, top], dtype=keypoints.dtype), size


def crop_boxes(bounding_boxes, format, top, left, height, width, clamping_mode="soft"):
    """Move boxes as the image's pixels, and cut them at the new borders."""
    format, size = as_format(format), (height, width)
    boxes = _moved(bounding_boxes, format, -left, -top)
    boxes = rectangles(boxes) if format is XYXYXYXY else boxes
    return clamped(boxes, format, size, clamping_mode), size


def crop_points(keypoints, top, left, height, width):
    """Move points as the image's pixels."""
    return keypoints - torch.tensor([left, top], dtype=keypoints.dtype), (height, width)


def _centre(canvas_size, output_size):
    """(top, left, height, width) of the middle."""
    height, width = two_sizes(output_size, "center_crop")
    top, left = round((canvas_size[0] - height) / 2.0), round((canvas_size[1] - width) / 2.0)
    return top, left, height, width


def center_crop_boxes(bounding_boxes, format, canvas_size, output_size, clamping_mode="soft"):
    """``crop_boxes`` to the middle."""
    top, left, height, width = _centre(canvas_size, output_size)
    return crop_boxes(bounding_boxes, format, top, left, height, width, clamping_mode)


def center_crop_points(keypoints, canvas_size, output_size):
    """``crop_points`` to the middle."""
    return crop_points(keypoints, *_centre(canvas_size, output_size))


def resized_crop_boxes(
    bounding_boxes, format, top, left, height, width, size, clamping_mode="soft"
):
    """``crop_boxes``, then ``resize_boxes``."""
    boxes, canvas = crop_boxes(bounding_boxes, format, top, left, height, width, clamping_mode)
    return resize_boxes(boxes, canvas, size, None, format, clamping_mode)


def resized_crop_points(keypoints, top, left, height, width, size):
    """``crop_points``, then ``resize_points``."""
    points, canvas = crop_points(keypoints, top, left, height, width)
    return resize_points(points, size, canvas)


def _mapped(boxes, format, canvas_size, mode, change, size=None):
    """Boxes around the corners after ``change``, a function of points (N, 2)."""
    format = as_format(format)
    through = XYXYXYXY if is_rotated(format) else XYXY
    x = boxes if boxes.is_floating_point() else boxes.float()
    points = change(corners(converted(x, format, through), through).reshape(-1, 2))
    if through is XYXY:
        low, high = torch.aminmax(points.reshape(-1, 4, 2), dim=1)
        found = torch.cat([low, high], 1)
    else:
        found = rectangles(points.reshape(-1, 8))
    found = clamped(found, through, canvas_size, mode)
    return converted(found, through, format).reshape(boxes.shape).to(boxes.dtype)


def _affine(canvas_size, angle, translate, scale, shear, center, dtype, expand=False):
    """The change of points (N, 2), and the new canvas size."""
    angle, translate, shear = affine_arguments("affine", angle, translate, scale, shear, center)
    height, width = canvas_size
    center = [width * 0.5, height * 0.5] if center is None else center
    matrix = affine_matrix(center, angle, translate, scale, shear)
    forward = torch.tensor(matrix, dtype=dtype).reshape(2, 3).T

    def change(points):
        return torch.cat([points, torch.ones(len(points), 1, dtype=dtype)], -1) @ forward

    if not expand:
        return change, canvas_size
    frame = torch.tensor([[0, 0], [0, height], [width, height], [width, 0]], dtype=dtype)
    start = change(frame).amin(0, keepdim=True)
    inverse = affine_matrix(center, angle, translate, scale, shear, inverse=True)
    return lambda points: change(points) - start, expanded(inverse, height, width)


def affine_boxes(
    bounding_boxes, format, canvas_size, angle, translate, scale, shear, center=None,
    clamping_mode="soft",
):  # fmt: skip
    """Boxes around the moved corners."""
    if not bounding_boxes.numel():
        return bounding_boxes
    dtype = bounding_boxes.dtype if bounding_boxes.is_floating_point() else torch.float32
    change, size = _affine(canvas_size, angle, translate, scale, shear, center, dtype)
    return _mapped(bounding_boxes, format, size, clamping_mode, change)


def rotate_boxes(
    bounding_boxes, format, canvas_size, angle, expand=False, center=None, clamping_mode="soft"
):
    """Boxes around the turned corners, and the canvas's size."""
    if not bounding_boxes.numel():
        return bounding_boxes, canvas_size
    dtype = bounding_boxes.dtype if bounding_boxes.is_floating_point() else torch.float32
    still = [0.0, 0.0], 1.0, [0.0, 0.0]
    change, size = _affine(canvas_size, -angle, *still, center, dtype, expand)
    return _mapped(bounding_boxes, format, size, clamping_mode, change), size


def _mapped_points(keypoints, change):
    x = keypoints if keypoints.is_floating_point() else keypoints.float()
    return change(x.reshape(-1, 2)).reshape(keypoints.shape).to(keypoints.dtype)


def affine_points(keypoints, canvas_size, angle, translate, scale, shear, center=None):
    """The moved points, and the canvas's size."""
    dtype = keypoints.dtype if keypoints.is_floating_point() else torch.float32
    change, size = _affine(canvas_size, angle, translate, scale, shear, center, dtype)
    return _mapped_points(keypoints, change), size


def rotate_points(keypoints, canvas_size, angle, expand=False, center=None):
    """The turned points, and the canvas's size."""
    if not keypoints.numel():
        return keypoints, canvas_size
    dtype = keypoints.dtype if keypoints.is_floating_point() else torch.float32
    still = [0.0, 0.0], 1.0, [0.0, 0.0]
    change, size = _affine(canvas_size, -angle, *still, center, dtype, expand)
    return _mapped_points(keypoints, change), size


def _forward(startpoints, endpoints, coefficients, dtype):
    """The change of points (N, 2) by the perspective whose inverse the coefficients describe."""
    a, b, c, d, e, f, g, h = eight_numbers(startpoints, endpoints, coefficients)
    scale = a * e - b * d
    if scale == 0:
        raise RuntimeError(
            f"perspective: coefficients {[a, b, c, d, e, f, g, h]} cannot be inverted"
        )
    above = torch.tensor([
        [(e - f * h) / scale, (-b + c * h) / scale, (b * f - c * e) / scale],
        [(-d + f * g) / scale, (a - c * g) / scale, (c * d - a * f) / scale],
    ], dtype=dtype)  # fmt: skip
    below = torch.tensor([[(d * h - e * g) / scale, (b * g - a * h) / scale, 1.0]], dtype=dtype)

    def change(points):
        points = torch.cat([points, torch.ones(len(points), 1, dtype=dtype)], -1)
        return (points @ above.T) / (points @ below.T)

    return change


def perspective_boxes(
    bounding_boxes, format, canvas_size, startpoints, endpoints, coefficients=None,
    clamping_mode="soft",
):  # fmt: skip
    """Boxes around the moved corners."""
    if not bounding_boxes.numel():
        return bounding_boxes
    dtype = bounding_boxes.dtype if bounding_boxes.is_floating_point() else torch.float32
    change = _forward(startpoints, endpoints, coefficients, dtype)
    return _mapped(bounding_boxes, format, canvas_size, clamping_mode, change)


def perspective_points(keypoints, canvas_size, startpoints, endpoints, coefficients=None):
    """The moved points."""
    if not keypoints.numel():
        return keypoints
    dtype = keypoints.dtype if keypoints.is_floating_point() else torch.float32
    return _mapped_points(keypoints, _forward(startpoints, endpoints, coefficients, dtype))


def _displaced(points, canvas_size, displacement, dtype):
    """Points (N, 2) after a displacement, of which the one at the point's pixel counts."""
    height, width = canvas_size
    if not isinstance(displacement, torch.Tensor):
        raise TypeError(f"displacement must be a tensor, got {type(displacement)}")
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"displacement must be {(1, height, width, 2)}, got {tuple(displacement.shape)}"
        )
    back = identity_grid(height, width, dtype) - displacement.to(dtype)
    pixels = points.long()
    x, y = pixels[:, 0].clamp(0, width - 1), pixels[:, 1].clamp(0, height - 1)
    return (back[0, y, x] + 1) * (0.5 * torch.tensor([width, height], dtype=dtype)) - 0.5


def elastic_boxes(bounding_boxes, format, canvas_size, displacement, clamping_mode="soft"):
    """Boxes around the displaced corners; of rotated boxes the centre is displaced."""
    if not bounding_boxes.numel():
        return bounding_boxes
    format, dtype = as_format(format), bounding_boxes.dtype
    wide = dtype if dtype.is_floating_point else torch.float32
    through = CXCYWHR if is_rotated(format) else XYXY
    boxes = converted(bounding_boxes, format, through).reshape(-1, 5 if through is CXCYWHR else 4)
    points = boxes[:, :2] if through is CXCYWHR else corners(boxes, XYXY).reshape(-1, 2)
    points = points.ceil() if dtype.is_floating_point else points
    points = _displaced(points, canvas_size, displacement, wide)
    if through is CXCYWHR:
        found = torch.cat([points, boxes[:, 2:]], 1)
    else:
        found = torch.cat(torch.aminmax(points.reshape(-1, 4, 2), dim=1), 1)
    found = clamped(found.to(dtype), through, canvas_size, clamping_mode)
    return converted(found, through, format).reshape(bounding_boxes.shape)


def elastic_points(keypoints, canvas_size, displacement):
    """The displaced points."""
    if not keypoints.numel():
        return keypoints
    dtype = keypoints.dtype if keypoints.is_floating_point() else torch.float32
    found = _displaced(keypoints.reshape(-1, 2), canvas_size, displacement, dtype)
    return found.to(keypoints.dtype).reshape(keypoints.shape)
