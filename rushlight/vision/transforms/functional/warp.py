"""Rotations, affine maps, perspective and elastic deformations."""

import math
import numbers

import numpy as np

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.tensor import Tensor
from rushlight.vision.images import channels_of, is_pil, is_tensor, pillow, size_of
from rushlight.vision.transforms.functional.convert import pil_to_tensor, to_pil_image
from rushlight.vision.transforms.functional.interpolation import (
    InterpolationMode,
    as_mode,
    pil_mode,
)
from rushlight.vision.transforms.functional.size import float_batch, pil_fill

__all__ = [
    "affine", "affine_arguments", "affine_matrix", "eight_numbers", "elastic_transform",
    "expanded", "identity_grid", "perspective", "projected", "rotate",
]  # fmt: skip


def affine_matrix(center, angle, translate, scale, shear, inverse=False):
    """Return the six numbers of an affine map, or of its inverse.

    The map moves the centre to the origin, shears in y and x, rotates, scales, moves the centre
    back, and translates. The inverse takes each point of the result to the point of the image that
    appears there.
    """
    rotation, shear_x, shear_y = (math.radians(degrees) for degrees in (angle, *shear))
    a = math.cos(rotation - shear_y) / math.cos(shear_y)
    b = -a * math.tan(shear_x) - math.sin(rotation)
    c = math.sin(rotation - shear_y) / math.cos(shear_y)
    d = -c * math.tan(shear_x) + math.cos(rotation)
    (cx, cy), (tx, ty) = center, translate
    if not inverse:
        a, b, c, d = a * scale, b * scale, c * scale, d * scale
        return [a, b, cx + tx - a * cx - b * cy, c, d, cy + ty - c * cx - d * cy]
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale  # the determinant is 1
    x, y = -cx - tx, -cy - ty
    return [a, b, a * x + b * y + cx, c, d, c * x + d * y + cy]


def _from_centre(center, img):
    """The coordinates of ``center`` relative to the middle of the image; None is the middle."""
    if center is None:
        return 0.0, 0.0
    height, width = size_of(img)
    return center[0] - width * 0.5, center[1] - height * 0.5


def rotate(
    img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=None
):
    """Rotate the image counter-clockwise.

    Args:
        angle: The angle, in degrees.
        expand: Make the result large enough to hold the whole rotated image. Default: False.

    Returns:
        Image of the same kind as ``img``, of its size unless ``expand`` is True.

    Raises:
        TypeError: an argument has a wrong type.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import rotate
    >>> rotate(torch.tensor([[[1, 2], [3, 4]]]), 90)
    tensor([[[2, 4],
             [1, 3]]])
    """
    mode = as_mode(interpolation, "rotate")
    if not isinstance(angle, (int, float)):
        raise TypeError(f"rotate: angle must be a number, got {type(angle)}")
    _check_sequence("rotate", "center", center)
    if not is_tensor(img, "rotate"):
        return img.rotate(angle, pil_mode(mode), expand, center, fillcolor=pil_fill(fill, img))
    matrix = affine_matrix(
        _from_centre(center, img), -angle, (0.0, 0.0), 1.0, (0.0, 0.0), inverse=True
    )
    height, width = img.shape[-2:]
    size = expanded(matrix, height, width) if expand else (height, width)
    return _sample("rotate", img, _affine_grid(matrix, img, size), mode, fill)


def _check_sequence(name, parameter, value):
    if value is not None and not isinstance(value, (list, tuple)):
        raise TypeError(f"{name}: {parameter} must be a sequence, got {type(value)}")


def expanded(matrix, height, width):
    """The (height, width) of the smallest image that holds all transformed corners.

    Coordinates are cut to multiples of 1e-4 first, so that rounding errors add no pixels.
    """
    corners = np.array([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    size = np.array([width, height], np.float32)
    points = (corners * [width, height, 1.0]).astype(np.float32)
    points = points @ np.array(matrix, np.float32).reshape(2, 3).T + size / 2
    tiny = np.float32(1e-4)
    high = np.ceil(np.trunc(points.max(0) / tiny) * tiny)
    low = np.floor(np.trunc(points.min(0) / tiny) * tiny)
    new_width, new_height = (high - low).tolist()
    return int(new_height), int(new_width)


def affine_arguments(name, angle, translate, scale, shear, center):
    """Check the arguments of an affine map; return (angle, translate, shear as two numbers).

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument has a wrong number of numbers, or ``scale`` is not positive.
    """
    if not isinstance(angle, (int, float)):
        raise TypeError(f"{name}: angle must be a number, got {type(angle)}")
    if not isinstance(translate, (list, tuple)):
        raise TypeError(f"{name}: translate must be a sequence, got {type(translate)}")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError(f"{name}: shear must be a number or a sequence, got {type(shear)}")
    _check_sequence(name, "center", center)
    if isinstance(shear, numbers.Number):
        shear = [shear, 0.0]
    shear = list(shear) * 2 if len(shear) == 1 else shear
    if len(translate) != 2 or len(shear) != 2:
        raise ValueError(
            f"{name}: translate and shear need two numbers, got {translate} and {shear}"
        )
    if scale <= 0:
        raise ValueError(f"{name}: scale must be positive, got {scale}")
    return angle, translate, shear


def affine(
    img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None,
    center=None,
):  # fmt: skip
    """Shear the image, rotate it clockwise, scale it, and move it.

    Args:
        angle: The angle, in degrees.
        translate: Pair: the movement to the right and down, in pixels.
        scale: The scale, above 0.
        shear: The angle of the shear in degrees: a number for x, or two for x and y.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: ``translate`` or ``shear`` has a wrong number of numbers, or ``scale`` is not
            positive.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import affine
    >>> affine(torch.tensor([[[1, 2], [3, 4]]]), 0, (1, 0), 1.0, 0)
    tensor([[[0, 1],
             [0, 3]]])
    """
    mode = as_mode(interpolation, "affine")
    angle, translate, shear = affine_arguments("affine", angle, translate, scale, shear, center)
    if is_tensor(img, "affine"):
        matrix = affine_matrix(
            _from_centre(center, img), angle, translate, scale, shear, inverse=True
        )
        return _sample("affine", img, _affine_grid(matrix, img, img.shape[-2:]), mode, fill)
    center = [img.width * 0.5, img.height * 0.5] if center is None else center
    matrix = affine_matrix(center, angle, translate, scale, shear, inverse=True)
    kind = pillow().Transform.AFFINE
    return img.transform(img.size, kind, matrix, pil_mode(mode), fillcolor=pil_fill(fill, img))


def eight_numbers(startpoints, endpoints, coefficients=None):
    """Return the eight numbers of the perspective that takes each end point to its start point.

    The numbers a, …, h map a point (x, y) to (ax + by + c, dx + ey + f) / (gx + hy + 1). They may
    be given as ``coefficients`` in place of the points.

    Raises:
        ValueError: There are not eight coefficients or four points, or both are given, or neither.
    """
    if coefficients is not None:
        if startpoints is not None and endpoints is not None:
            raise ValueError("perspective: give the points or the coefficients, not both")
        if len(coefficients) != 8:
            raise ValueError(f"perspective: eight coefficients are needed, got {coefficients}")
        return coefficients
    if startpoints is None or endpoints is None:
        raise ValueError("perspective: startpoints and endpoints, or coefficients, are needed")
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"perspective: four corners are needed, got {len(startpoints)} startpoints and "
            f"{len(endpoints)} endpoints"
        )
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    wanted = np.array(startpoints, np.float64).reshape(8)
    found = np.linalg.lstsq(np.array(rows, np.float64), wanted, rcond=None)[0]
    return found.astype(np.float32).tolist()


def perspective(img, startpoints, endpoints, interpolation=InterpolationMode.BILINEAR, fill=None):
    """Change the perspective of the image so that four points move to four others.

    Args:
        startpoints: The points (x, y) in pixels: top left, top right, bottom right, bottom left.
        endpoints: The points to which they move.

    Raises:
        ValueError: there are not four start points and four end points.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import perspective
    >>> corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    >>> perspective(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), corners, corners).shape
    torch.Size([1, 2, 2])
    """
    return projected(img, eight_numbers(startpoints, endpoints), interpolation, fill)


def projected(img, coefficients, interpolation, fill):
    """The image in the perspective of eight numbers (``eight_numbers``)."""
    mode = as_mode(interpolation, "perspective")
    if not is_tensor(img, "perspective"):
        kind = pillow().Transform.PERSPECTIVE
        fill = pil_fill(fill, img)
        return img.transform(img.size, kind, coefficients, pil_mode(mode), fillcolor=fill)
    return _sample("perspective", img, _perspective_grid(coefficients, img), mode, fill)


def elastic_transform(img, displacement, interpolation=InterpolationMode.BILINEAR, fill=None):
    """Deform the image: each pixel of the result is read at a displaced place of the image.

    Args:
        displacement: Tensor ``(1, H, W, 2)``: the distances (x, y) to these places, in units of
            half the image's size.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: ``displacement`` has another shape.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import elastic_transform
    >>> elastic_transform(torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2, 2))
    tensor([[[1., 2.]]])
    """
    mode = as_mode(interpolation, "elastic_transform")
    if not isinstance(displacement, Tensor):
        raise TypeError(
            f"elastic_transform: displacement must be a tensor, got {type(displacement)}"
        )
    x = img if is_tensor(img, "elastic_transform") else pil_to_tensor(img)
    height, width = x.shape[-2:]
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"elastic_transform: displacement must be {(1, height, width, 2)}, "
            f"got {tuple(displacement.shape)}"
        )
    places = identity_grid(height, width, torch.float32)
    out = _sample("elastic_transform", x, places + displacement, mode, fill)
    return to_pil_image(out, img.mode) if is_pil(img) else out


def identity_grid(height, width, dtype):
    """(1, H, W, 2): x and y of each pixel, from -1 to 1 at the image's borders."""
    x = torch.linspace((1 - width) / width, (width - 1) / width, width, dtype=dtype)
    y = torch.linspace((1 - height) / height, (height - 1) / height, height, dtype=dtype)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)[None]


def _pixels(img, size, middle):
    """Return (1, H·W, 3): x, y and 1 for each pixel's centre.

    The coordinates count from the image's middle if ``middle`` is True, else from its corner.
    """
    height, width = size
    dtype = img.dtype if img.is_floating_point() else torch.float32
    start = (0.5 - width * 0.5, 0.5 - height * 0.5) if middle else (0.5, 0.5)
    x = torch.linspace(start[0], start[0] + width - 1, width).to(dtype)
    y = torch.linspace(start[1], start[1] + height - 1, height).to(dtype)
    x, y = x.expand(height, width), y[:, None].expand(height, width)
    return torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, height * width, 3)


def _affine_grid(matrix, img, size):
    height, width = img.shape[-2:]
    points = _pixels(img, size, middle=True)
    theta = torch.tensor(matrix, dtype=points.dtype).reshape(1, 2, 3)
    half = torch.tensor([0.5 * width, 0.5 * height], dtype=points.dtype)
    return (points @ (theta.transpose(1, 2) / half)).reshape(1, *size, 2)


def _perspective_grid(coefficients, img):
    height, width = img.shape[-2:]
    points = _pixels(img, (height, width), middle=False)
    a, b, c, d, e, f, g, h = coefficients
    above = torch.tensor([[a, d], [b, e], [c, f]], dtype=points.dtype)
    below = torch.tensor([[g, g], [h, h], [1.0, 1.0]], dtype=points.dtype)
    half = torch.tensor([0.5 * width, 0.5 * height], dtype=points.dtype)
    return ((points @ (above / half)) / (points @ below) - 1.0).reshape(1, height, width, 2)


def _sample(name, img, grid, mode, fill):
    """The pixels at the places of ``grid`` (1, H, W, 2); ``fill`` for places outside the image."""
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"{name}: a tensor's interpolation cannot be {mode.value!r}")
    values = fill if isinstance(fill, (tuple, list)) else [0.0 if fill is None else float(fill)]
    if len(values) not in (1, channels_of(img)):
        raise ValueError(
            f"{name}: fill {fill} has {len(values)} numbers for {channels_of(img)} channels"
        )
    x, undo = float_batch(img, (grid.dtype,))
    grid = grid.expand(len(x), *grid.shape[1:])
    options = {"mode": mode.value, "padding_mode": "zeros", "align_corners": False}
    out = F.grid_sample(x, grid, **options)
    if fill is None:
        return undo(out)
    inside = F.grid_sample(torch.ones_like(x[:, :1]), grid, **options)
    colour = torch.tensor(values, dtype=x.dtype).reshape(1, -1, 1, 1)
    if mode is InterpolationMode.NEAREST:
        return undo(torch.where(inside < 0.5, colour, out))
    return undo(out * inside + (1.0 - inside) * colour)
