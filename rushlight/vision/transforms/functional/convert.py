"""Conversions between Pillow images, arrays and tensors, and between element types."""

import sys

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision.images import channels_of, from_array, is_pil, is_tensor, size_of

__all__ = [
    "convert_image_dtype", "get_dimensions", "get_image_num_channels", "get_image_size",
    "largest", "normalize", "pil_to_tensor", "to_pil_image", "to_tensor",
]  # fmt: skip

INT16 = "I;16" if sys.byteorder == "little" else "I;16B"


def get_dimensions(img):
    """Return the number of channels and the size of an image.

    Returns:
        List [channels, height, width].

    Raises:
        TypeError: ``img`` is not an image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import get_dimensions
    >>> get_dimensions(torch.zeros(3, 4, 8))
    [3, 4, 8]
    """
    return [channels_of(img), *size_of(img)]


def get_image_size(img):
    """Return the size of an image.

    Returns:
        List [width, height].

    Raises:
        TypeError: ``img`` is not an image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import get_image_size
    >>> get_image_size(torch.zeros(3, 4, 8))
    [8, 4]
    """
    height, width = size_of(img)
    return [width, height]


def get_image_num_channels(img):
    """Return the number of channels of an image.

    Returns:
        An int.

    Raises:
        TypeError: ``img`` is not an image.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import get_image_num_channels
    >>> get_image_num_channels(torch.zeros(3, 4, 8))
    3
    """
    return channels_of(img)


def to_tensor(pic):
    """Convert an image (H, W, C) to a tensor.

    Bytes become floating point from 0 to 1. Other element types keep their values.

    Args:
        pic: Pillow image, or array ``(H, W)`` or ``(H, W, C)``.

    Returns:
        Tensor ``(C, H, W)``.

    Raises:
        TypeError: ``pic`` is neither.
        ValueError: the array has another number of dims.

    >>> import numpy as np
    >>> from rushlight.vision.transforms.functional import to_tensor
    >>> to_tensor(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """
    if is_pil(pic):
        dtype = {"I": np.int32, INT16: np.int16, "F": np.float32}.get(pic.mode, np.uint8)
        array = np.array(pic, dtype, copy=True)
        if pic.mode == "1":
            array *= 255
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"to_tensor: pic should be PIL Image or ndarray. Got {type(pic)}")
    if array.ndim not in (2, 3):
        raise ValueError(f"to_tensor: pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    found = _channels_first(array).contiguous()
    if found.dtype is torch.uint8:
        return found.to(torch.get_default_dtype()).div(255)
    return found


def _channels_first(array):
    if array.ndim == 2:
        array = array[:, :, None]
    return torch.from_numpy(array.transpose(2, 0, 1))


def pil_to_tensor(pic):
    """Convert a Pillow image to a tensor of the same values.

    Args:
        pic: Pillow image.

    Returns:
        Tensor ``(C, H, W)``, uint8 for most modes.

    Raises:
        TypeError: ``pic`` is no Pillow image.

    >>> from PIL import Image
    >>> from rushlight.vision.transforms.functional import pil_to_tensor
    >>> pil_to_tensor(Image.new("L", (2, 1), 255))
    tensor([[[255, 255]]], dtype=torch.uint8)
    """
    if not is_pil(pic):
        raise TypeError(f"pil_to_tensor: pic should be PIL Image. Got {type(pic)}")
    return _channels_first(np.array(pic, copy=True))


def largest(dtype):
    """The value of white: the dtype's largest integer, or 1 for floating point."""
    return 1 if dtype.is_floating_point else torch.iinfo(dtype).max


def convert_image_dtype(image, dtype=torch.float32):
    """Convert an image to another element type, scaled so that white stays white.

    Args:
        image: Tensor of any shape ``(*)``.
        dtype: The new element type. Default: ``torch.float32``.

    Returns:
        Tensor of ``image``'s shape.

    Raises:
        TypeError: ``image`` is not a tensor.
        RuntimeError: the image's floating-point type is too imprecise for integers of ``dtype``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import convert_image_dtype
    >>> convert_image_dtype(torch.tensor([[0, 51, 255]], dtype=torch.uint8))
    tensor([[0.0000, 0.2000, 1.0000]])
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"convert_image_dtype: expected a tensor, got {type(image)}")
    if image.dtype is dtype:
        return image
    white = largest(dtype)
    if image.is_floating_point():
        return image.to(dtype) if dtype.is_floating_point else _to_integers(image, dtype, white)
    if dtype.is_floating_point:
        return image.to(dtype) / largest(image.dtype)
    narrower = (largest(image.dtype) + 1) // (white + 1)
    if narrower > 1:
        return torch.div(image, narrower, rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((white + 1) // (largest(image.dtype) + 1))


def _to_integers(image, dtype, white):
    single = image.dtype is torch.float32 and dtype in (torch.int32, torch.int64)
    if single or (image.dtype is torch.float64 and dtype is torch.int64):
        raise RuntimeError(
            f"convert_image_dtype: the cast from {image.dtype} to {dtype} cannot be performed "
            "safely"
        )
    # The interval from 0 to 1 is cut into white + 1 steps of almost equal width, so that 1.0 still
    # belongs to the last step.
    return image.mul(white + 1 - 1e-3).to(dtype)


#: The modes of Pillow images by their number of channels; the first is the default for bytes.
MODES = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}
SINGLE = {"uint8": "L", "int16": INT16, "int32": "I", "float32": "F"}


def to_pil_image(pic, mode=None):
    """Convert a tensor (C, H, W) or an array (H, W, C) to a Pillow image.

    Args:
        pic: Tensor ``(C, H, W)`` or ``(H, W)``, or array ``(H, W, C)`` or ``(H, W)``. Floating
            point values must be from 0 to 1.
        mode: Pillow's name of the pixels' form, such as ``"RGB"``. Default: by the channels and
            dtype.

    Returns:
        Pillow image.

    Raises:
        TypeError: ``pic`` is neither, or no mode has its element type.
        ValueError: the shape is not that of an image, or does not fit ``mode``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import to_pil_image
    >>> to_pil_image(torch.zeros(3, 4, 8)).size
    (8, 4)
    """
    if isinstance(pic, Tensor):
        array = pic.detach().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"to_pil_image: pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim not in (2, 3):
        raise ValueError(f"to_pil_image: pic should be 2/3 dimensional. Got {array.ndim} dims.")
    if array.ndim == 2:
        array = array[:, :, None]
    channels = array.shape[2]
    if not 1 <= channels <= 4:
        raise ValueError(f"to_pil_image: pic should have 1 to 4 channels. Got {channels}.")
    if np.issubdtype(array.dtype, np.floating) and mode != "F":
        array = (array * 255).astype(np.uint8)
    permitted: tuple
    if channels == 1:
        permitted = (SINGLE.get(array.dtype.name),)
        array = array[:, :, 0]
    else:
        permitted = MODES[channels]
    if mode is not None and mode not in permitted:
        raise ValueError(
            f"to_pil_image: {channels} channel(s) of {array.dtype} have mode {permitted}, "
            f"got {mode!r}"
        )
    if mode is None and (channels == 1 or array.dtype == np.uint8):
        mode = permitted[0]
    if mode is None:
        raise TypeError(f"to_pil_image: input type {array.dtype} is not supported")
    return from_array(array, mode)


def normalize(tensor, mean, std, inplace=False):
    """Subtract a mean from each channel, and divide it by a standard deviation.

    Args:
        tensor: Tensor ``(..., C, H, W)``, floating point.
        mean: Sequence of the channels' means.
        std: Sequence of the channels' standard deviations, none of them 0.
        inplace: Write into ``tensor`` itself. Default: False.

    Returns:
        Tensor of ``tensor``'s shape.

    Raises:
        TypeError: ``tensor`` is not a floating-point tensor.
        ValueError: ``tensor`` has fewer than three dims, or a ``std`` is 0.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import normalize
    >>> normalize(torch.ones(2, 1, 1), [0.5, 0.0], [0.5, 2.0]).flatten()
    tensor([1.0000, 0.5000])
    """
    if not isinstance(tensor, Tensor) or not is_tensor(tensor, "normalize"):
        raise TypeError(f"normalize: img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"normalize: expected floating point, got {tensor.dtype}")
    if tensor.ndim < 3:
        raise ValueError(f"normalize: expected (..., C, H, W), got {tuple(tensor.shape)}")
    mean, std = _per_channel(mean, tensor.dtype), _per_channel(std, tensor.dtype, positive=True)
    return (tensor.sub_(mean) if inplace else tensor - mean).div_(std)


def _per_channel(values, dtype, positive=False):
    """Numbers that broadcast over the pixels of each channel; with ``positive`` none may be 0."""
    if isinstance(values, Tensor):
        found = values.to(dtype)
        array = found.detach().numpy()
    else:
        array = np.asarray(values, dtype.numpy)
        found = torch.from_numpy(array)
    if positive and not array.all():
        raise ValueError(f"normalize: std {values} in {dtype} is zero")
    return found.reshape(-1, 1, 1) if found.ndim == 1 else found
