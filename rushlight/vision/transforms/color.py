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
    """``functional.hflip`` with probability ``p``.

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
    """``functional.vflip`` with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The flipped image."""
        return F.vflip(img)


class Grayscale(nn.Module):
    """``functional.rgb_to_grayscale``.

    Shape: (..., 3, H, W) → (..., num_output_channels, H, W).
    """

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(_AtTimes):
    """Makes the image grey with probability ``p``; the number of channels stays."""

    def __init__(self, p=0.1):
        super().__init__(p)

    def change(self, img):
        """The grey image."""
        return F.rgb_to_grayscale(img, F.get_dimensions(img)[0])


class RandomInvert(_AtTimes):
    """``functional.invert`` with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The inverted image."""
        return F.invert(img)


class RandomPosterize(_AtTimes):
    """``functional.posterize`` with probability ``p``."""

    def __init__(self, bits, p=0.5):
        super().__init__(p)
        self.bits = bits

    def change(self, img):
        """The image with fewer bits."""
        return F.posterize(img, self.bits)

    def __repr__(self):
        return f"{type(self).__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(_AtTimes):
    """``functional.solarize`` with probability ``p``."""

    def __init__(self, threshold, p=0.5):
        super().__init__(p)
        self.threshold = threshold

    def change(self, img):
        """The solarised image."""
        return F.solarize(img, self.threshold)

    def __repr__(self):
        return f"{type(self).__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(_AtTimes):
    """``functional.adjust_sharpness`` with probability ``p``."""

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img):
        """The sharper or smoother image."""
        return F.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self):
        return f"{type(self).__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomAutocontrast(_AtTimes):
    """``functional.autocontrast`` with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The stretched image."""
        return F.autocontrast(img)


class RandomEqualize(_AtTimes):
    """``functional.equalize`` with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__(p)

    def change(self, img):
        """The equalised image."""
        return F.equalize(img)


class ColorJitter(nn.Module):
    """Brightness, contrast, saturation and hue, changed at random in a random order.

    A number x stands for the range from max(0, 1 - x) to 1 + x; for the hue, from -x to x.

    Shape: (..., 1 or 3, H, W) → the same.
    Raises:
        TypeError: a range is neither a number nor two numbers.
        ValueError: a range exceeds the allowed values, or its number is negative.
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
    """``functional.gaussian_blur`` with a ``sigma`` drawn from a range.

    Shape: (..., C, H, W) → the same.
    Raises:
        ValueError: a size is not odd and positive, or the range of ``sigma`` makes no sense.
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
