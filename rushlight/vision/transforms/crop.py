"""Transforms that change the size."""

import math
import numbers
from collections.abc import Sequence

import numpy as np

import rushlight as torch
from rushlight import nn
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.arguments import ordered
from rushlight.vision.transforms.draws import below, between, happens
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.functional.interpolation import as_mode
from rushlight.vision.transforms.functional.size import two_sizes

__all__ = [
    "CenterCrop", "FiveCrop", "Pad", "RandomCrop", "RandomErasing", "RandomResizedCrop", "Resize",
    "TenCrop",
]  # fmt: skip

TRIES = 10  # how often a rectangle of random shape is drawn until one fits into the image


def _sides(area, scale, ratio):
    """Draw the sides a and b of a rectangle.

    The rectangle's share of ``area`` is drawn from ``scale``, and a/b from ``ratio``.
    """
    low, high = np.log(np.array(ratio, np.float32)).tolist()
    wanted = area * between(*scale)
    aspect = float(np.exp(np.float32(between(low, high))))
    return round(math.sqrt(wanted * aspect)), round(math.sqrt(wanted / aspect))


class Resize(nn.Module):
    """Resizes the image, as ``functional.resize`` does.

    Shape: (..., C, H, W) → (..., C, *size).

    Args:
        size: Size of the result in pixels: (height, width), or the length of the shorter side.
        max_size: The largest length of the longer side. Default: None, no limit.

    Raises:
        TypeError: ``size`` is neither a number nor a sequence.
        ValueError: ``size`` has more than two numbers.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import Resize
    >>> Resize(8)(torch.zeros(3, 16, 32)).shape
    torch.Size([3, 8, 16])
    """

    def __init__(
        self, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True
    ):
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Resize: size must be an int or a sequence, got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError(f"Resize: size must have one or two numbers, got {size}")
        self.size = size
        self.max_size = max_size
        self.interpolation = as_mode(interpolation, "Resize")
        self.antialias = antialias

    def forward(self, img):
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self):
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop(nn.Module):
    """Cuts out the middle of the image, as ``functional.center_crop`` does.

    Shape: (..., C, H, W) → (..., C, *size).

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import CenterCrop
    >>> CenterCrop(2)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 2, 2])
    """

    def __init__(self, size):
        super().__init__()
        self.size = two_sizes(size, "CenterCrop")

    def forward(self, img):
        return F.center_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class Pad(nn.Module):
    """Pads the image, as ``functional.pad`` does.

    Shape: (..., C, H, W) → (..., C, H', W').

    Args:
        padding: Pixels at the sides: an int, or ints as for ``functional.pad``.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: the mode is not known, or the padding does not have one, two or four numbers.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import Pad
    >>> Pad(1)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 10, 10])
    """

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        for name, value in (("padding", padding), ("fill", fill)):
            if not isinstance(value, (numbers.Number, tuple, list)):
                raise TypeError(f"Pad: {name} must be a number or a sequence, got {type(value)}")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(
                "Pad: padding_mode must be constant, edge, reflect or symmetric, "
                f"got {padding_mode!r}"
            )
        if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
            raise ValueError(f"Pad: padding must have 1, 2 or 4 numbers, got {len(padding)}")
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img):
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self):
        return (
            f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, "
            f"padding_mode={self.padding_mode})"
        )


class RandomCrop(nn.Module):
    """Cuts a part of ``size`` out of the image, at a random place.

    Shape: (..., C, H, W) → (..., C, *size).

    Args:
        padding: Pixels to add at the sides first: an int, or ints as for ``functional.pad``.
            Default: None.
        pad_if_needed: Pad an image that is smaller than ``size``. Default: False.

    Raises:
        ValueError: when called, the image is smaller than ``size``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomCrop
    >>> RandomCrop(32, padding=4)(torch.zeros(3, 32, 32)).shape
    torch.Size([3, 32, 32])
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = tuple(two_sizes(size, "RandomCrop"))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img, output_size):
        """Draw (top, left, height, width) of a crop of ``output_size``."""
        _, height, width = F.get_dimensions(img)
        h, w = output_size
        if height < h or width < w:
            raise ValueError(
                f"RandomCrop: size {(h, w)} is larger than the image's {(height, width)}"
            )
        if (height, width) == (h, w):
            return 0, 0, height, width
        top = below(height - h + 1)
        return top, below(width - w + 1), h, w

    def forward(self, img):
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(nn.Module):
    """Cuts out a part of random area and aspect ratio, and resizes it to ``size``.

    Shape: (..., C, H, W) → (..., C, *size).

    Args:
        scale: Pair: the least and the largest area of the part, as shares of the image.
            Default: (0.08, 1).
        ratio: Pair: the least and the largest width divided by height. Default: (3/4, 4/3).

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomResizedCrop
    >>> RandomResizedCrop(8)(torch.zeros(3, 16, 16)).shape
    torch.Size([3, 8, 8])
    """

    def __init__(
        self, size, scale=(0.08, 1.0), ratio=(3.0 / 4.0, 4.0 / 3.0),
        interpolation=InterpolationMode.BILINEAR, antialias=True,
    ):  # fmt: skip
        super().__init__()
        self.size = two_sizes(size, "RandomResizedCrop")
        ordered(scale, ratio, "RandomResizedCrop")
        self.interpolation = as_mode(interpolation, "RandomResizedCrop")
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(img, scale, ratio):
        """Draw (top, left, height, width) of the part; the middle, if ten draws did not fit."""
        _, height, width = F.get_dimensions(img)
        for _ in range(TRIES):
            w, h = _sides(height * width, scale, ratio)
            if 0 < w <= width and 0 < h <= height:
                top = below(height - h + 1)
                return top, below(width - w + 1), h, w
        w, h = width, height
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img):
        top, left, height, width = self.get_params(img, self.scale, self.ratio)
        part = F.crop(img, top, left, height, width)
        return F.resize(part, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self):
        scale = tuple([round(s, 4) for s in self.scale])
        ratio = tuple([round(r, 4) for r in self.ratio])
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class FiveCrop(nn.Module):
    """Cuts out the corners and the middle, as ``functional.five_crop`` does.

    Shape: (..., C, H, W) → five of (..., C, *size).

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import FiveCrop
    >>> [part.shape for part in FiveCrop(2)(torch.zeros(3, 8, 8))][4]
    torch.Size([3, 2, 2])
    """

    def __init__(self, size):
        super().__init__()
        self.size = two_sizes(size, "FiveCrop")

    def forward(self, img):
        return F.five_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(nn.Module):
    """Cuts out five parts of the image and of the flipped image, as ``functional.ten_crop`` does.

    Shape: (..., C, H, W) → ten of (..., C, *size).

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import TenCrop
    >>> len(TenCrop(2)(torch.zeros(3, 8, 8)))
    10
    """

    def __init__(self, size, vertical_flip=False):
        super().__init__()
        self.size = two_sizes(size, "TenCrop")
        self.vertical_flip = vertical_flip

    def forward(self, img):
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class RandomErasing(nn.Module):
    """Overwrites a random part of a tensor, with probability ``p``.

    Shape: (..., C, H, W) → the same.

    Args:
        scale: Pair: the least and the largest area of the part, as shares of the image.
            Default: (0.02, 0.33).
        ratio: Pair: the least and the largest height divided by width. Default: (0.3, 3.3).
        value: A number, one for each channel, or ``"random"`` for noise. Default: 0.
        inplace: Write into the image itself. Default: False.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: a range or ``value`` does not fit.

    Source: Zhong et al. 2017, https://arxiv.org/abs/1708.04896

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomErasing
    >>> (RandomErasing(p=1.0, value=1)(torch.zeros(3, 8, 8)) == 1).any()
    tensor(True)
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError(
                f"RandomErasing: value must be a number, a sequence or 'random', got {type(value)}"
            )
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value as a str must be 'random', got {value!r}")
        ordered(scale, ratio, "RandomErasing")
        if scale[0] < 0 or scale[1] > 1 or not 0 <= p <= 1:
            raise ValueError(f"RandomErasing: scale and p must be from 0 to 1, got {scale} and {p}")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(img, scale, ratio, value=None):
        """Draw (top, left, height, width, value); if ten draws do not fit, the whole image."""
        channels, height, width = img.shape[-3:]
        for _ in range(TRIES):
            h, w = _sides(height * width, scale, ratio)
            if h >= height or w >= width:
                continue
            if value is None:
                v = torch.empty([channels, h, w], dtype=torch.float32).normal_()
            else:
                v = torch.tensor(value)[:, None, None]
            top = below(height - h + 1)
            return top, below(width - w + 1), h, w, v
        return 0, 0, height, width, img

    def forward(self, img):
        if not happens(self.p):
            return img
        value = None
        if self.value != "random":
            given = self.value if isinstance(self.value, (tuple, list)) else [self.value]
            value = [float(v) for v in given]  # type: ignore[arg-type]
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                f"RandomErasing: value has {len(value)} numbers for {img.shape[-3]} channels"
            )
        top, left, h, w, v = self.get_params(img, self.scale, self.ratio, value)
        return F.erase(img, top, left, h, w, v, self.inplace)

    def __repr__(self):
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
