"""Functions that change the size of an image (resizing, padding, cropping), and flips."""

import math
import numbers
import warnings
from collections.abc import Sequence

import numpy as np

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.tensor import Tensor
from rushlight.vision.images import channels_of, is_tensor, pillow, size_of
from rushlight.vision.transforms.functional.interpolation import (
    InterpolationMode,
    as_mode,
    pil_mode,
)

__all__ = [
    "center_crop", "crop", "erase", "five_crop", "float_batch", "hflip", "pad", "pil_fill",
    "resize", "resized_crop", "resized_size", "sides", "ten_crop", "two_sizes", "vflip",
]  # fmt: skip


def float_batch(image, dtypes=(torch.float32, torch.float64)):
    """Convert a tensor to (N, C, H, W) in one of ``dtypes``.

    Returns the converted tensor and a function that converts a result back to the original dtype
    and dims.
    """
    dtype, before, dims = image.dtype, image.shape[:-3], image.ndim

    def undo(x):
        if dims != 4:
            x = x.squeeze(0) if dims < 4 else x.reshape(*before, *x.shape[-3:])
        if x.dtype is dtype:
            return x
        return (x if dtype.is_floating_point else x.round()).to(dtype)

    x = image.unsqueeze(0) if dims < 4 else image
    x = x.reshape(math.prod(before), *x.shape[-3:]) if dims > 4 else x
    return (x if dtype in dtypes else x.to(dtypes[0])), undo


def pil_fill(fill, image):
    """Convert ``fill`` for Pillow: a number for each channel, and integers for most modes.

    Raises:
        ValueError: the number of values in ``fill`` is not the number of channels.
    """
    channels = channels_of(image)
    values = list(fill) if isinstance(fill, Sequence) else [fill or 0]
    values = values * channels if len(values) == 1 else values
    if len(values) != channels:
        raise ValueError(f"fill: {fill} has {len(values)} numbers for {channels} channels")
    values = values if image.mode == "F" else [int(v) for v in values]
    return tuple(values) if channels > 1 or isinstance(fill, Sequence) else values[0]


def two_sizes(size, name):
    """(height, width) from a number, or a sequence of one or two.

    Raises:
        ValueError: ``size`` has more than two numbers.
    """
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(f"{name}: expected a size (h, w), got {size}")
    return size


def resized_size(height, width, size, max_size):
    """The new (height, width). If ``size`` has one number, the shorter side gets this length.

    ``size`` None gives the longer side the length ``max_size``.

    Raises:
        ValueError: ``max_size`` does not fit ``size``.
    """
    size = [size] if isinstance(size, int) else size
    if size is not None and len(size) == 2:
        if max_size is not None:
            raise ValueError(f"resize: max_size is for a size of one number, got {size}")
        return tuple(size)
    short, long = sorted((height, width))
    if size is None:
        if not isinstance(max_size, int):
            raise ValueError(f"resize: max_size must be an int if size is None, got {max_size}")
        new_short, new_long = int(max_size * short / long), max_size
    else:
        new_short, new_long = size[0], int(size[0] * long / short)
    if size is not None and max_size is not None:
        if max_size <= size[0]:
            raise ValueError(f"resize: max_size={max_size} must be greater than size={size[0]}")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """Resize the image.

    Args:
        size: Size of the result in pixels: (height, width), or the length of the shorter side.
        max_size: The largest length of the longer side. Default: None, no limit.

    Raises:
        TypeError: ``interpolation`` is not an interpolation mode.
        ValueError: ``size`` has more than two numbers, or ``max_size`` does not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import resize
    >>> resize(torch.zeros(3, 20, 30), 10, max_size=12).shape
    torch.Size([3, 8, 12])
    """
    mode = as_mode(interpolation, "resize")
    size = [size] if isinstance(size, int) else list(size)
    if len(size) not in (1, 2):
        raise ValueError(f"resize: size must have one or two numbers, got {size}")
    height, width = size_of(img, "resize")
    size = resized_size(height, width, size, max_size)
    if size == (height, width):
        return img
    if not is_tensor(img, "resize"):
        if antialias is False:
            warnings.warn("resize: Pillow's images are always antialiased", stacklevel=2)
        return img.resize(size[::-1], pil_mode(mode))
    linear = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    x, undo = float_batch(img)
    x = F.interpolate(
        x, size=size, mode=mode.value, align_corners=False if linear else None,
        antialias=bool(antialias) and linear,
    )  # fmt: skip
    if mode is InterpolationMode.BICUBIC and img.dtype is torch.uint8:
        x = x.clamp(0, 255)
    return undo(x)


def sides(padding):
    """(left, top, right, bottom) from one, two or four numbers.

    Raises:
        TypeError: ``padding`` is neither a number nor a sequence.
        ValueError: The sequence has another length.
    """
    if isinstance(padding, numbers.Number):
        padding = [padding]
    if not isinstance(padding, (tuple, list)):
        raise TypeError(f"pad: padding must be a number or a sequence, got {type(padding)}")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"pad: padding must have 1, 2 or 4 numbers, got {len(padding)}")
    return tuple(padding) * (4 // len(padding))


def pad(img, padding, fill=0, padding_mode="constant"):
    """Pad the image.

    Args:
        padding: Pixels at the sides. One int applies to all sides. Two ints are (left and right,
            top and bottom), and four are (left, top, right, bottom).
        fill: Value of the new pixels in mode ``"constant"``: a number, or one for each channel.
            Default: 0.
        padding_mode: ``"constant"``, ``"edge"``, ``"reflect"`` (a mirror image that does not repeat
            the edge) or ``"symmetric"`` (one that does). Default: ``"constant"``.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: the mode is not known, or the padding does not have one, two or four numbers.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import pad
    >>> pad(torch.tensor([[[1, 2]]]), [1, 0], padding_mode="symmetric")
    tensor([[[1, 1, 2, 2]]])
    """
    amounts = sides(padding)
    if not isinstance(padding_mode, str):
        raise TypeError(f"pad: padding_mode must be a str, got {type(padding_mode)}")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(
            f"pad: padding_mode must be constant, edge, reflect or symmetric, got {padding_mode!r}"
        )
    if is_tensor(img, "pad"):
        return _pad_tensor(img, amounts, fill, padding_mode)
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError(f"pad: fill must be a number or a sequence, got {type(fill)}")
    if padding_mode == "constant":
        out = pillow("ImageOps").expand(img, border=amounts, fill=pil_fill(fill, img))
    else:
        out = _pad_pixels(img, amounts, padding_mode)
    if img.mode == "P":
        out.putpalette(img.getpalette())
    return out


def _pad_pixels(img, amounts, mode):
    left, top, right, bottom = (min(side, 0) for side in amounts)
    img = img.crop((-left, -top, img.width + right, img.height + bottom))
    left, top, right, bottom = (max(side, 0) for side in amounts)
    array = np.asarray(img)
    widths = [(top, bottom), (left, right), (0, 0)][: array.ndim]
    return pillow().fromarray(np.pad(array, widths, mode))


def _pad_tensor(img, amounts, fill, mode):
    left, top, right, bottom = amounts
    if mode == "symmetric":
        return _mirrored(_mirrored(img, -1, left, right), -2, top, bottom)
    if fill is not None and not isinstance(fill, (int, float)):
        raise TypeError(f"pad: fill must be a number for a tensor, got {type(fill)}")
    x, undo = (img, None) if mode == "constant" else float_batch(img)
    ordered = [left, right, top, bottom]
    if undo is None:
        return F.pad(x, ordered, "constant", float(fill or 0))
    return undo(F.pad(x, ordered, "replicate" if mode == "edge" else mode))


def _mirrored(img, dim, before, after):
    """Pad one dim with a mirror image of each end. A negative number cuts elements off instead."""
    size = img.shape[dim]
    places = [*range(before - 1, -1, -1), *range(max(-before, 0), size + min(after, 0))]
    places += [size - 1 - i for i in range(after)]
    return img.index_select(dim, torch.tensor(places, dtype=torch.int64))


def crop(img, top, left, height, width):
    """Cut out a part of the image.

    Where the part reaches beyond the image, the result is black.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import crop
    >>> crop(torch.tensor([[[1, 2], [3, 4]]]), 1, 0, 1, 2)
    tensor([[[3, 4]]])
    """
    bottom, right = top + height, left + width
    if not is_tensor(img, "crop"):
        return img.crop((left, top, right, bottom))
    h, w = img.shape[-2:]
    if left >= 0 and top >= 0 and right <= w and bottom <= h:
        return img[..., top:bottom, left:right]
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    beyond = [
        max(min(right, 0) - left, 0), max(min(bottom, 0) - top, 0),
        max(right - max(w, left), 0), max(bottom - max(h, top), 0),
    ]  # fmt: skip
    return pad(inside, beyond)


def center_crop(img, output_size):
    """Cut out the middle of the image.

    An image smaller than ``output_size`` is padded with black.

    Args:
        output_size: Size of the result in pixels: (height, width), or one int for both.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import center_crop
    >>> center_crop(torch.arange(25).reshape(1, 5, 5), 3)[0, 0]
    tensor([6, 7, 8])
    """
    new_height, new_width = two_sizes(output_size, "center_crop")
    height, width = size_of(img, "center_crop")
    more, wider = max(new_height - height, 0), max(new_width - width, 0)
    if more or wider:
        img = pad(img, [wider // 2, more // 2, (wider + 1) // 2, (more + 1) // 2])
        height, width = size_of(img)
        if (height, width) == (new_height, new_width):
            return img
    top, left = round((height - new_height) / 2.0), round((width - new_width) / 2.0)
    return crop(img, top, left, new_height, new_width)


def resized_crop(
    img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True
):
    """Cut out a part of the image, and resize it.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import resized_crop
    >>> resized_crop(torch.zeros(3, 8, 8), 0, 0, 4, 4, (2, 2)).shape
    torch.Size([3, 2, 2])
    """
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img):
    """Exchange left and right.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import hflip
    >>> hflip(torch.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """
    if is_tensor(img, "hflip"):
        return img.flip(-1)
    return img.transpose(pillow().Transpose.FLIP_LEFT_RIGHT)


def vflip(img):
    """Exchange top and bottom.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import vflip
    >>> vflip(torch.tensor([[[1], [2]]])).flatten()
    tensor([2, 1])
    """
    if is_tensor(img, "vflip"):
        return img.flip(-2)
    return img.transpose(pillow().Transpose.FLIP_TOP_BOTTOM)


def five_crop(img, size):
    """Cut out the four corners and the middle.

    Returns:
        Tuple of five images: top left, top right, bottom left, bottom right, middle.

    Raises:
        ValueError: ``size`` is larger than the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import five_crop
    >>> [part.item() for part in five_crop(torch.arange(9).reshape(1, 3, 3), 1)]
    [0, 2, 6, 8, 4]
    """
    h, w = two_sizes(size, "five_crop")
    height, width = size_of(img, "five_crop")
    if w > width or h > height:
        raise ValueError(f"five_crop: size {(h, w)} is bigger than the image's {(height, width)}")
    corners = [(0, 0), (0, width - w), (height - h, 0), (height - h, width - w)]
    return *[crop(img, *corner, h, w) for corner in corners], center_crop(img, [h, w])


def ten_crop(img, size, vertical_flip=False):
    """Cut out the corners and the middle of the image, and of the image flipped.

    Returns:
        Tuple of ten images: as of ``five_crop``, first of the image, then of the flipped one.

    Raises:
        ValueError: ``size`` is larger than the image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import ten_crop
    >>> len(ten_crop(torch.zeros(3, 8, 8), 2))
    10
    """
    flipped = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(flipped, size)


def erase(img, i, j, h, w, v, inplace=False):
    """Overwrite a part of a tensor.

    Args:
        img: Tensor ``(..., C, H, W)``.
        i, j: The first row and the first column of the part.
        h, w: Number of rows and of columns of the part.
        v: The new values: any shape that broadcasts to ``(..., C, h, w)``.
        inplace: Write into ``img`` itself. Default: False.

    Returns:
        Tensor of ``img``'s shape.

    Raises:
        TypeError: ``img`` is not a tensor.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import erase
    >>> erase(torch.tensor([[[1, 2, 3]]]), 0, 1, 1, 2, torch.tensor(0))
    tensor([[[1, 0, 0]]])
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"erase: img should be Tensor Image. Got {type(img)}")
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img
