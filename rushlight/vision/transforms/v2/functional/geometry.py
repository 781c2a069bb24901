"""Geometric transforms of images, videos, masks, boxes and points."""

import warnings

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.tensor import Tensor
from rushlight.vision.images import is_pil
from rushlight.vision.transforms import functional as first
from rushlight.vision.transforms.functional.interpolation import InterpolationMode, as_mode
from rushlight.vision.transforms.functional.size import float_batch, resized_size, sides
from rushlight.vision.transforms.functional.warp import eight_numbers, projected
from rushlight.vision.transforms.v2.functional import places
from rushlight.vision.transforms.v2.functional.registry import as_mask, dispatched

__all__ = [
    "affine", "as_interpolation", "center_crop", "crop", "elastic", "five_crop",
    "horizontal_flip", "pad", "perspective", "resize", "resized_crop", "rotate", "ten_crop",
    "vertical_flip",
]  # fmt: skip

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR
_MODES = {mode.value: mode for mode in InterpolationMode}


def as_interpolation(interpolation):
    """The mode for a mode, its name, or Pillow's number for it.

    Raises:
        ValueError: ``interpolation`` is none of them.
    """
    if isinstance(interpolation, str):
        if interpolation not in _MODES:
            raise ValueError(
                f"Invalid interpolation mode: {interpolation!r}. Supported: {list(_MODES)}"
            )
        return _MODES[interpolation]
    try:
        return as_mode(interpolation, "interpolation")
    except TypeError as error:
        raise ValueError(str(error)) from None


def _flip_kernels(dim):
    def boxes(bounding_boxes, format, canvas_size):
        return places.flip_boxes(bounding_boxes, format, canvas_size, dim)

    def keypoints(keypoints, canvas_size):
        return places.flip_points(keypoints, canvas_size, dim)

    def pixels(image):
        return image.flip(-1 - dim)

    def mask(mask):
        return mask.flip(-1 - dim)

    return {"image": pixels, "mask": mask, "boxes": boxes, "keypoints": keypoints}


@dispatched(pil=first.hflip, **_flip_kernels(0))
def horizontal_flip(inpt):
    """Exchange left and right.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.horizontal_flip(torch.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """


@dispatched(pil=first.vflip, **_flip_kernels(1))
def vertical_flip(inpt):
    """Exchange top and bottom.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.vertical_flip(torch.tensor([[[1], [2]]])).flatten()
    tensor([2, 1])
    """


def _resize_image(image, size, interpolation=BILINEAR, max_size=None, antialias=True):
    mode = as_interpolation(interpolation)
    height, width = image.shape[-2:]
    new = resized_size(height, width, size, max_size)
    if mode is InterpolationMode.LANCZOS and not antialias:
        raise ValueError("InterpolationMode.LANCZOS requires antialias=True")
    if new == (height, width):
        return image
    if not image.numel():
        return image.reshape(*image.shape[:-2], *new)
    smooth = mode in (BILINEAR, InterpolationMode.BICUBIC, InterpolationMode.LANCZOS)
    x, undo = float_batch(image, (torch.float32, torch.float64, torch.uint8))
    options = {"align_corners": False, "antialias": bool(antialias)} if smooth else {}
    return undo(F.interpolate(x, size=new, mode=mode.value, **options))


def _resize_mask(mask, size, interpolation=NEAREST, max_size=None):
    mode = as_interpolation(interpolation)
    mode = mode if mode is InterpolationMode.NEAREST_EXACT else NEAREST
    return _resized_mask(mask, size, mode, max_size)


_resized_mask = as_mask(_resize_image, antialias=False)


def _resize_pil(img, size, interpolation=BILINEAR, max_size=None, antialias=True):
    if antialias is False:
        warnings.warn("resize: Pillow's images are always antialiased", stacklevel=4)
    size = resized_size(img.height, img.width, size, max_size)
    return first.resize(img, size, as_interpolation(interpolation))


@dispatched(
    image=_resize_image, pil=_resize_pil, mask=_resize_mask, boxes=places.resize_boxes,
    keypoints=places.resize_points,
)  # fmt: skip
def resize(inpt, size, interpolation=BILINEAR, max_size=None, antialias=True):
    """Resize the image.

    Masks are resized with the mode ``"nearest"``.

    Args:
        size: Size of the result in pixels: (height, width), or the length of the shorter side, or
            None, with ``max_size`` as the length of the longer side.
        max_size: The largest length of the longer side. Default: None, no limit.

    Raises:
        ValueError: The mode is not known, or ``size`` and ``max_size`` do not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.resize(torch.zeros(3, 20, 30), None, max_size=12).shape
    torch.Size([3, 8, 12])
    """


def _affine_image(
    image, angle, translate, scale, shear, interpolation=NEAREST, fill=None, center=None
):
    mode = as_interpolation(interpolation)
    return first.affine(image, angle, translate, scale, shear, mode, fill, center)


@dispatched(
    image=_affine_image, pil=_affine_image, mask=as_mask(_affine_image, interpolation=NEAREST),
    boxes=places.affine_boxes, keypoints=places.affine_points,
)  # fmt: skip
def affine(inpt, angle, translate, scale, shear, interpolation=NEAREST, fill=None, center=None):
    """Shear the image, rotate it clockwise, scale it, and move it.

    Args:
        angle: The angle, in degrees.
        translate: Pair: the movement to the right and down, in pixels.
        scale: The scale, above 0.
        shear: The angle of the shear in degrees: a number for x, or two for x and y.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument has a wrong number of numbers, or ``scale`` is not positive.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.affine(torch.tensor([[[1, 2], [3, 4]]]), 0, (1, 0), 1.0, 0)
    tensor([[[0, 1],
             [0, 3]]])
    """


def _rotate_image(image, angle, interpolation=NEAREST, expand=False, center=None, fill=None):
    mode = as_interpolation(interpolation)
    if is_pil(image):
        return first.rotate(image, angle, mode, expand, center, fill)
    angle = angle % 360
    turns, square = angle // 90, expand or image.shape[-1] == image.shape[-2]
    if center is None and angle % 90 == 0 and (square or turns % 2 == 0):
        return torch.rot90(image, int(turns), (-2, -1)) if turns else image.clone()
    return first.rotate(image, angle, mode, expand, center, fill)


@dispatched(
    image=_rotate_image, pil=_rotate_image, mask=as_mask(_rotate_image, interpolation=NEAREST),
    boxes=places.rotate_boxes, keypoints=places.rotate_points,
)  # fmt: skip
def rotate(inpt, angle, interpolation=NEAREST, expand=False, center=None, fill=None):
    """Rotate the image counter-clockwise.

    Args:
        angle: The angle, in degrees.
        expand: Make the result large enough to hold the whole rotated image. Default: False.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The mode is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.rotate(torch.tensor([[[1, 2], [3, 4]]]), 90)
    tensor([[[2, 4],
             [1, 3]]])
    """


def _pad_image(image, padding, fill=None, padding_mode="constant"):
    fill = fill[0] if isinstance(fill, (tuple, list)) and len(fill) == 1 else fill
    if not isinstance(fill, (tuple, list)):
        return first.pad(image, padding, 0 if fill is None else fill, padding_mode)
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported if fill is not scalar")
    left, top, right, bottom = sides(padding)
    inside = F.pad(torch.ones(image.shape[-2:], dtype=torch.bool), [left, right, top, bottom])
    colour = torch.tensor(fill).to(image.dtype).reshape(-1, 1, 1).expand(image.shape[-3], 1, 1)
    return torch.where(inside, first.pad(image, padding), colour)


def _pad_mask(mask, padding, fill=None, padding_mode="constant"):
    if isinstance(fill, (tuple, list)):
        raise ValueError("Non-scalar fill value is not supported")
    return _padded_mask(mask, padding, fill, padding_mode)


_padded_mask = as_mask(_pad_image)


@dispatched(
    image=_pad_image, pil=first.pad, mask=_pad_mask, boxes=places.pad_boxes,
    keypoints=places.pad_points,
)  # fmt: skip
def pad(inpt, padding, fill=None, padding_mode="constant"):
    """Pad the image.

    Args:
        padding: Pixels at the sides. One int applies to all sides. Two ints are (left and right,
            top and bottom), and four are (left, top, right, bottom).
        fill: Value of the new pixels in mode ``"constant"``: a number, or one for each channel.
            Default: None, 0.
        padding_mode: ``"constant"``, ``"edge"``, ``"reflect"`` (a mirror image that does not repeat
            the edge) or ``"symmetric"`` (one that does). Default: ``"constant"``.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The mode is not known or not for this input, or the padding does not have one,
            two or four numbers.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.pad(torch.tensor([[[1, 2]]]), [1, 0], fill=7)
    tensor([[[7, 1, 2, 7]]])
    """


@dispatched(
    image=first.crop, pil=first.crop, mask=as_mask(first.crop), boxes=places.crop_boxes,
    keypoints=places.crop_points,
)  # fmt: skip
def crop(inpt, top, left, height, width):
    """Cut out a part of the image.

    Where the part reaches beyond the image, the result is black.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.crop(torch.tensor([[[1, 2], [3, 4]]]), 1, 0, 1, 2)
    tensor([[[3, 4]]])
    """


def _perspective_image(
    image, startpoints, endpoints, interpolation=BILINEAR, fill=None, coefficients=None
):
    numbers = eight_numbers(startpoints, endpoints, coefficients)
    return projected(image, numbers, as_interpolation(interpolation), fill)


@dispatched(
    image=_perspective_image, pil=_perspective_image,
    mask=as_mask(_perspective_image, interpolation=NEAREST), boxes=places.perspective_boxes,
    keypoints=places.perspective_points,
)  # fmt: skip
def perspective(inpt, startpoints, endpoints, interpolation=BILINEAR, fill=None, coefficients=None):
    """Change the perspective of the image so that four points move to four others.

    Args:
        startpoints: The points (x, y) in pixels: top left, top right, bottom right, bottom left.
        endpoints: The points to which they move.
        coefficients: The eight numbers of the inverse map, in place of the points.

    Raises:
        ValueError: There are not four points or eight coefficients, or the mode is not known.
        RuntimeError: Boxes or points: the coefficients cannot be inverted.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> corners = [[0, 0], [1, 0], [1, 1], [0, 1]]
    >>> F.perspective(torch.ones(1, 2, 2), corners, corners).shape
    torch.Size([1, 2, 2])
    """


def _elastic_image(image, displacement, interpolation=BILINEAR, fill=None):
    mode = as_interpolation(interpolation)
    if isinstance(image, Tensor) and image.dtype is torch.float16:
        return first.elastic_transform(image.float(), displacement, mode, fill).half()
    return first.elastic_transform(image, displacement, mode, fill)


@dispatched(
    image=_elastic_image, pil=_elastic_image, mask=as_mask(_elastic_image, interpolation=NEAREST),
    boxes=places.elastic_boxes, keypoints=places.elastic_points,
)  # fmt: skip
def elastic(inpt, displacement, interpolation=BILINEAR, fill=None):
    """Deform the image: each pixel of the result is read at a displaced place of the image.

    Args:
        displacement: Tensor ``(1, H, W, 2)``: the distances (x, y) to these places, in units of
            half the image's size.

    Raises:
        TypeError: ``displacement`` is not a tensor.
        ValueError: ``displacement`` has another shape, or the mode is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.elastic(torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2, 2))
    tensor([[[1., 2.]]])
    """


@dispatched(
    image=first.center_crop, pil=first.center_crop, mask=as_mask(first.center_crop),
    boxes=places.center_crop_boxes, keypoints=places.center_crop_points,
)  # fmt: skip
def center_crop(inpt, output_size):
    """Cut out the middle of the image.

    An image smaller than ``output_size`` is padded with black.

    Args:
        output_size: Size of the result in pixels: (height, width), or one int for both.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.center_crop(torch.arange(25).reshape(1, 5, 5), 3)[0, 0]
    tensor([6, 7, 8])
    """


def _resized_crop_image(
    image, top, left, height, width, size, interpolation=BILINEAR, antialias=True
):
    part = first.crop(image, top, left, height, width)
    kernel = _resize_pil if is_pil(image) else _resize_image
    return kernel(part, size, interpolation, None, antialias)


def _resized_crop_mask(mask, top, left, height, width, size):
    return _resize_mask(_cropped_mask(mask, top, left, height, width), size)


_cropped_mask = as_mask(first.crop)


@dispatched(
    image=_resized_crop_image, pil=_resized_crop_image, mask=_resized_crop_mask,
    boxes=places.resized_crop_boxes, keypoints=places.resized_crop_points,
)  # fmt: skip
def resized_crop(inpt, top, left, height, width, size, interpolation=BILINEAR, antialias=True):
    """Cut out a part of the image, and resize it.

    Raises:
        ValueError: The mode is not known.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.resized_crop(torch.zeros(3, 8, 8), 0, 0, 4, 4, (2, 2)).shape
    torch.Size([3, 2, 2])
    """


@dispatched(image=first.five_crop, pil=first.five_crop)
def five_crop(inpt, size):
    """Cut out the four corners and the middle.

    Returns:
        Tuple of five images: top left, top right, bottom left, bottom right, middle.

    Raises:
        ValueError: ``size`` is larger than the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> [part.item() for part in F.five_crop(torch.arange(9).reshape(1, 3, 3), 1)]
    [0, 2, 6, 8, 4]
    """


@dispatched(image=first.ten_crop, pil=first.ten_crop)
def ten_crop(inpt, size, vertical_flip=False):
    """Cut out the corners and the middle of the image, and of the image flipped.

    Returns:
        Tuple of ten images: as of ``five_crop``, first of the image, then of the flipped one.

    Raises:
        ValueError: ``size`` is larger than the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> len(F.ten_crop(torch.zeros(3, 8, 8), 2))
    10
    """
