"""Transforms of colours, flips, and other transforms that are applied with a probability."""

import numbers
from collections.abc import Sequence

import rushlight as torch
from rushlight import nn
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.draws import between, happens
from rushlight.vision.transforms.functional.size import two_sizes

__all__ = [
    "ColorJitter", "GaussianBlur", "Grayscale", "RandomAdjustSharpness", "RandomAutocontrast",
    "RandomEqualize", "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert",
    "RandomPosterize", "RandomSolarize", "RandomVerticalFlip",
]  # fmt: skip


class _AtTimes(nn.Module):
    """Applies the subclass's method ``change`` to an image with probability ``p``."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, img):
        return self.change(img) if happens(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_AtTimes):
    """Flips left and right with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomHorizontalFlip
    >>> RandomHorizontalFlip(p=1.0)(torch.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The flipped image."""
        return F.hflip(img)


class RandomVerticalFlip(_AtTimes):
    """Flips top and bottom with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomVerticalFlip
    >>> RandomVerticalFlip(p=1.0)(torch.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The flipped image."""
        return F.vflip(img)


class Grayscale(nn.Module):
    """Makes the image grey, as ``functional.rgb_to_grayscale`` does.

    Shape: (..., 3, H, W) → (..., num_output_channels, H, W).

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import Grayscale
    >>> Grayscale()(torch.zeros(3, 8, 8)).shape
    torch.Size([1, 8, 8])
    """

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(_AtTimes):
    """Makes the image grey with probability ``p``; the number of channels stays.

    Args:
        p: Probability that the image is changed, from 0 to 1. Default: 0.1.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomGrayscale
    >>> RandomGrayscale(p=1.0)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    def __init__(self, p=0.1):
        super().__init__(p)

    def change(self, img):
        """The grey image."""
        return F.rgb_to_grayscale(img, F.get_dimensions(img)[0])


class RandomInvert(_AtTimes):
    """Inverts the image with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomInvert
    >>> RandomInvert(p=1.0)(torch.tensor([[[0.25]]]))
    tensor([[[0.7500]]])
    """

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The inverted image."""
        return F.invert(img)


class RandomPosterize(_AtTimes):
    """Keeps only the highest bits of each value, with probability ``p``.

    Args:
        bits: Number of bits to keep, from 0 to 8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomPosterize
    >>> RandomPosterize(1, p=1.0)(torch.tensor([[[100, 200]]], dtype=torch.uint8))
    tensor([[[  0, 128]]], dtype=torch.uint8)
    """

    def __init__(self, bits, p=0.5):
        super().__init__(p)
        self.bits = bits

    def change(self, img):
        """The image with fewer bits."""
        return F.posterize(img, self.bits)

    def __repr__(self):
        return f"{type(self).__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(_AtTimes):
    """Inverts the values that are at least ``threshold``, with probability ``p``.

    Args:
        threshold: The least value to invert.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomSolarize
    >>> RandomSolarize(0.5, p=1.0)(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0.2500, 0.2500]]])
    """

    def __init__(self, threshold, p=0.5):
        super().__init__(p)
        self.threshold = threshold

    def change(self, img):
        """The solarised image."""
        return F.solarize(img, self.threshold)

    def __repr__(self):
        return f"{type(self).__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(_AtTimes):
    """Changes the sharpness with probability ``p``, as ``functional.adjust_sharpness`` does.

    Args:
        sharpness_factor: 0 smooths, 1 changes nothing, and larger factors sharpen.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomAdjustSharpness
    >>> RandomAdjustSharpness(2.0, p=1.0)(torch.ones(3, 4, 4)).shape
    torch.Size([3, 4, 4])
    """

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img):
        """The sharper or smoother image."""
        return F.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self):
        return f"{type(self).__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomAutocontrast(_AtTimes):
    """Stretches the contrast with probability ``p``, as ``functional.autocontrast`` does.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomAutocontrast
    >>> RandomAutocontrast(p=1.0)(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0., 1.]]])
    """

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The stretched image."""
        return F.autocontrast(img)


class RandomEqualize(_AtTimes):
    """Makes all values about equally frequent, with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomEqualize
    >>> RandomEqualize(p=1.0)(torch.tensor([[[10, 20]]], dtype=torch.uint8)).dtype
    torch.uint8
    """

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The equalised image."""
        return F.equalize(img)


class ColorJitter(nn.Module):
    """Changes brightness, contrast, saturation and hue at random, in a random order.

    Shape: (..., 1 or 3, H, W) → the same.

    Args:
        brightness, contrast, saturation: The range of the factor: two numbers, or a number x for
            max(0, 1 - x) to 1 + x. Default: 0, no change.
        hue: The range of the change, as shares of a whole turn: two numbers within -0.5 to 0.5, or
            a number x for -x to x. Default: 0, no change.

    Raises:
        TypeError: a range is neither a number nor two numbers.
        ValueError: a range exceeds the allowed values, or its number is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import ColorJitter
    >>> ColorJitter(brightness=(2.0, 2.0))(torch.full((3, 1, 1), 0.25)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """

    ADJUST = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        super().__init__()
        self.brightness = self._range(brightness, "brightness")
        self.contrast = self._range(contrast, "contrast")
        self.saturation = self._range(saturation, "saturation")
        self.hue = self._range(hue, "hue", 0, (-0.5, 0.5))

    def _range(self, value, name, center=1, bound=(0, float("inf"))):
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"ColorJitter: {name} must not be negative, got {value}")
            low = center - float(value)
            value = [max(low, 0.0) if center else low, center + float(value)]
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            value = [float(value[0]), float(value[1])]
        else:
            raise TypeError(f"ColorJitter: {name} must be a number or two, got {value!r}")
        if not bound[0] <= value[0] <= value[1] <= bound[1]:
            raise ValueError(f"ColorJitter: {name} must be within {bound}, got {value}")
        return None if value[0] == value[1] == center else tuple(value)

    @staticmethod
    def get_params(brightness, contrast, saturation, hue):
        """Draw (the order, then the four factors); a factor is None if its property stays."""
        order = torch.randperm(4)
        factors = [
            None if limits is None else between(*limits)
            for limits in (brightness, contrast, saturation, hue)
        ]
        return order, *factors

    def forward(self, img):
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = self.ADJUST[i](img, factors[i])
        return img

    def __repr__(self):
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class GaussianBlur(nn.Module):
    """Blurs the image, as ``functional.gaussian_blur`` does, with a random deviation.

    Shape: (..., C, H, W) → the same.

    Args:
        kernel_size: Size of the kernel in pixels, odd: an int, or (width, height).
        sigma: Deviation in pixels: a number, or the range (least, largest). Default: (0.1, 2).

    Raises:
        ValueError: a size is not odd and positive, or the range of ``sigma`` makes no sense.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import GaussianBlur
    >>> GaussianBlur(3)(torch.ones(1, 4, 4)).shape
    torch.Size([1, 4, 4])
    """

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = two_sizes(kernel_size, "GaussianBlur")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"GaussianBlur: kernel_size must be odd, got {self.kernel_size}")
        if isinstance(sigma, numbers.Number):
            sigma = (sigma, sigma)
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError(f"GaussianBlur: sigma must be a number or two, got {sigma!r}")
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"GaussianBlur: sigma must be positive, (min, max), got {sigma}")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min, sigma_max):
        """The drawn ``sigma``."""
        return between(sigma_min, sigma_max)

    def forward(self, img):
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])

    def __repr__(self):
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"
