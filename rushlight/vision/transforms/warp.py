"""Transforms that turn and deform."""

from collections.abc import Sequence

import rushlight as torch
from rushlight import nn
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.arguments import angles, fill_for, fill_of, two_of
from rushlight.vision.transforms.draws import between, happens, within
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.functional.interpolation import as_mode

__all__ = ["ElasticTransform", "RandomAffine", "RandomPerspective", "RandomRotation"]


class RandomRotation(nn.Module):
    """Rotates the image by a random angle, as ``functional.rotate`` does.

    Shape: (..., C, H, W) → the same, or larger with ``expand``.

    Args:
        degrees: The range of the angle, in degrees: two numbers, or a number x for -x to x.
        expand: Make the result large enough to hold the whole rotated image. Default: False.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: ``degrees`` is one negative number.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomRotation
    >>> RandomRotation((90, 90))(torch.tensor([[[1, 2], [3, 4]]]))
    tensor([[[2, 4],
             [1, 3]]])
    """

    def __init__(
        self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=0
    ):
        super().__init__()
        self.interpolation = as_mode(interpolation, "RandomRotation")
        self.degrees = angles(degrees, "RandomRotation: degrees")
        if center is not None:
            two_of(center, "RandomRotation: center")
        self.center = center
        self.expand = expand
        self.fill = fill_of(fill, "RandomRotation")

    @staticmethod
    def get_params(degrees):
        """The drawn angle."""
        return between(*degrees)

    def forward(self, img):
        angle = self.get_params(self.degrees)
        fill = fill_for(img, self.fill)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fill)

    def __repr__(self):
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{type(self).__name__}(degrees={self.degrees}, "
            f"interpolation={self.interpolation.value}, expand={self.expand}{center}, "
            f"fill={self.fill})"
        )


class RandomAffine(nn.Module):
    """Moves, rotates, scales and shears the image at random, as ``functional.affine`` does.

    Shape: (..., C, H, W) → the same.

    Args:
        degrees: The range of the angle, in degrees: two numbers, or a number x for -x to x.
        translate: The largest translations, as shares of the width and the height. Default: None,
            no translation.
        scale: Pair: the least and the largest scale. Default: None, no scaling.
        shear: The range of the angle for x, in degrees, or 4 numbers for x and y; a number x means
            -x to x. Default: None, no shear.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: a range does not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomAffine
    >>> RandomAffine((90, 90))(torch.tensor([[[1, 2], [3, 4]]]))
    tensor([[[3, 1],
             [4, 2]]])
    """

    def __init__(
        self, degrees, translate=None, scale=None, shear=None,
        interpolation=InterpolationMode.NEAREST, fill=0, center=None,
    ):  # fmt: skip
        super().__init__()
        self.interpolation = as_mode(interpolation, "RandomAffine")
        self.degrees = angles(degrees, "RandomAffine: degrees")
        for name, value in (("translate", translate), ("scale", scale), ("center", center)):
            if value is not None:
                two_of(value, f"RandomAffine: {name}")
        if translate is not None and not all(0.0 <= part <= 1.0 for part in translate):
            raise ValueError(f"RandomAffine: translate must be from 0 to 1, got {translate}")
        if scale is not None and not all(factor > 0 for factor in scale):
            raise ValueError(f"RandomAffine: scale must be positive, got {scale}")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else angles(shear, "RandomAffine: shear", (2, 4))
        self.fill = fill_of(fill, "RandomAffine")
        self.center = center

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size):
        """Draw (angle, translations, scale, shear) for an image of ``img_size`` (w, h)."""
        angle = between(*degrees)
        translations = (0, 0)
        if translate is not None:
            limits = [part * size for part, size in zip(translate, img_size, strict=True)]
            x = round(between(-limits[0], limits[0]))
            translations = (x, round(between(-limits[1], limits[1])))
        scale = 1.0 if scale_ranges is None else between(*scale_ranges)
        shear = (0.0, 0.0)
        if shears is not None:
            x = between(*shears[:2])
            shear = (x, between(*shears[2:]) if len(shears) == 4 else 0.0)
        return angle, translations, scale, shear

    def forward(self, img):
        size = F.get_image_size(img)
        found = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        fill = fill_for(img, self.fill)
        angle, translate, scale, shear = found
        return F.affine(img, angle, translate, scale, shear, self.interpolation, fill, self.center)

    def __repr__(self):
        shown = [f"degrees={self.degrees}"]
        shown += [
            f"{name}={getattr(self, name)}" for name in ("translate", "scale", "shear")
            if getattr(self, name) is not None
        ]  # fmt: skip
        if self.interpolation is not InterpolationMode.NEAREST:
            shown.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            shown.append(f"fill={self.fill}")
        if self.center is not None:
            shown.append(f"center={self.center}")
        return f"{type(self).__name__}({', '.join(shown)})"


class RandomPerspective(nn.Module):
    """Changes the perspective with probability ``p``: each corner moves inwards at random.

    Shape: (..., C, H, W) → the same.

    Args:
        distortion_scale: The largest movement, as a share of half the image. Default: 0.5.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandomPerspective
    >>> RandomPerspective(p=1.0)(torch.ones(1, 8, 8)).shape
    torch.Size([1, 8, 8])
    """

    def __init__(
        self, distortion_scale=0.5, p=0.5, interpolation=InterpolationMode.BILINEAR, fill=0
    ):
        super().__init__()
        self.p = p
        self.interpolation = as_mode(interpolation, "RandomPerspective")
        self.distortion_scale = distortion_scale
        self.fill = fill_of(fill, "RandomPerspective")

    @staticmethod
    def get_params(width, height, distortion_scale):
        """Draw (the corners of the image, the places to which they move)."""
        x = int(distortion_scale * (width // 2))
        y = int(distortion_scale * (height // 2))
        start, end = (0, x + 1), (width - x - 1, width)
        top, bottom = (0, y + 1), (height - y - 1, height)
        corners = [(start, top), (end, top), (end, bottom), (start, bottom)]
        endpoints = [[within(*x_limits), within(*y_limits)] for x_limits, y_limits in corners]
        right, below = width - 1, height - 1
        return [[0, 0], [right, 0], [right, below], [0, below]], endpoints

    def forward(self, img):
        if not happens(self.p):
            return img
        width, height = F.get_image_size(img)
        start, end = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, start, end, self.interpolation, fill_for(img, self.fill))

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class ElasticTransform(nn.Module):
    """Deforms the image by displacements of smooth noise.

    Shape: (..., C, H, W) → the same.

    Args:
        alpha: Strength of the displacements: a float, or two for x and y. Default: 50.
        sigma: Smoothness of the displacements in pixels: a float, or two for x and y. Default: 5.

    Raises:
        TypeError: ``alpha`` or ``sigma`` is neither a float nor a sequence of floats.
        ValueError: the sequence does not have two floats.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import ElasticTransform
    >>> ElasticTransform(sigma=1.0)(torch.ones(1, 16, 16)).shape
    torch.Size([1, 16, 16])
    """

    def __init__(self, alpha=50.0, sigma=5.0, interpolation=InterpolationMode.BILINEAR, fill=0):
        super().__init__()
        self.alpha = self._two(alpha, "alpha")
        self.sigma = self._two(sigma, "sigma")
        self.interpolation = as_mode(interpolation, "ElasticTransform")
        fill = fill_of(fill, "ElasticTransform")
        self.fill = [float(value) for value in (fill if isinstance(fill, Sequence) else [fill])]

    def _two(self, value, name):
        value = [value, value] if isinstance(value, float) else value
        if not isinstance(value, Sequence) or not all(isinstance(v, float) for v in value):
            raise TypeError(f"ElasticTransform: {name} must be a float or two, got {value!r}")
        if len(value) != 2:
            raise ValueError(f"ElasticTransform: {name} must have two floats, got {value}")
        return value

    @staticmethod
    def get_params(alpha, sigma, size):
        """The displacement (1, H, W, 2) for an image of ``size`` [H, W]."""
        parts = []
        for strength, smooth, length in zip(alpha, sigma, reversed(size), strict=True):
            noise = torch.rand([1, 1, *size]) * 2 - 1
            if smooth > 0.0:
                kernel = int(8 * smooth + 1) | 1  # odd
                noise = F.gaussian_blur(noise, [kernel, kernel], list(sigma))
            parts.append(noise * strength / length)
        return torch.cat(parts, 1).permute(0, 2, 3, 1)

    def forward(self, tensor):
        _, height, width = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self):
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
