"""Transforms that turn, deform and flip."""

import rushlight as torch
from rushlight.vision import transforms as _first
from rushlight.vision.transforms.arguments import angles, two_of
from rushlight.vision.transforms.draws import between
from rushlight.vision.transforms.functional.warp import eight_numbers
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.arguments import numbers_of
from rushlight.vision.transforms.v2.samples import query_size
from rushlight.vision.transforms.v2.transform import (
    RandomApplyTransform,
    Transform,
    fill_of,
    fills,
)

__all__ = [
    "ElasticTransform", "RandomAffine", "RandomHorizontalFlip", "RandomPerspective",
    "RandomRotation", "RandomVerticalFlip",
]  # fmt: skip


class RandomHorizontalFlip(RandomApplyTransform):
    """Flips left and right with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomHorizontalFlip(p=1.0)(torch.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """

    _v1_transform_cls = _first.RandomHorizontalFlip

    def transform(self, inpt, params):
        return self._call_kernel(F.horizontal_flip, inpt)


class RandomVerticalFlip(RandomApplyTransform):
    """Flips top and bottom with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomVerticalFlip(p=1.0)(torch.tensor([[[1], [2]]])).flatten()
    tensor([2, 1])
    """

    _v1_transform_cls = _first.RandomVerticalFlip

    def transform(self, inpt, params):
        return self._call_kernel(F.vertical_flip, inpt)


class RandomRotation(Transform):
    """Rotates by a random angle, as ``functional.rotate`` does.

    Args:
        degrees: The range of the angle, in degrees: two numbers, or a number x for -x to x.
        expand: Make the result large enough to hold the whole rotated image. Default: False.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: ``degrees`` is one negative number.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomRotation((90, 90))(torch.tensor([[[1, 2], [3, 4]]]))
    tensor([[[2, 4],
             [1, 3]]])
    """

    _v1_transform_cls = _first.RandomRotation

    def __init__(self, degrees, interpolation="nearest", expand=False, center=None, fill=0):
        super().__init__()
        self.degrees = angles(degrees, "RandomRotation: degrees")
        self.interpolation = interpolation
        self.expand = expand
        self.fill = fill
        self._fill = fills(fill)
        if center is not None:
            two_of(center, "RandomRotation: center")
        self.center = center

    def make_params(self, flat_inputs):
        return {"angle": between(*self.degrees)}

    def transform(self, inpt, params):
        return self._call_kernel(
            F.rotate, inpt, **params, interpolation=self.interpolation, expand=self.expand,
            center=self.center, fill=fill_of(self._fill, inpt),
        )  # fmt: skip


class RandomAffine(Transform):
    """Moves, rotates, scales and shears at random, as ``functional.affine`` does.

    Args:
        degrees: The range of the angle, in degrees: two numbers, or a number x for -x to x.
        translate: The largest translations, as shares of the width and the height. Default: None,
            no translation.
        scale: Pair: the least and the largest scale. Default: None, no scaling.
        shear: The range of the angle for x, in degrees, or 4 numbers for x and y; a number x means
            -x to x. Default: None, no shear.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: A range does not fit.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomAffine((90, 90))(torch.tensor([[[1, 2], [3, 4]]]))
    tensor([[[3, 1],
             [4, 2]]])
    """

    _v1_transform_cls = _first.RandomAffine

    def __init__(
        self, degrees, translate=None, scale=None, shear=None, interpolation="nearest", fill=0,
        center=None,
    ):  # fmt: skip
        super().__init__()
        checked = _first.RandomAffine(degrees, translate, scale, shear, center=center)
        self.degrees = checked.degrees
        self.translate = translate
        self.scale = scale
        self.shear = checked.shear
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)
        self.center = center

    def make_params(self, flat_inputs):
        size = query_size(flat_inputs)[::-1]
        drawn = _first.RandomAffine.get_params(
            self.degrees, self.translate, self.scale, self.shear, size
        )
        return dict(zip(("angle", "translate", "scale", "shear"), drawn, strict=True))

    def transform(self, inpt, params):
        return self._call_kernel(
            F.affine, inpt, **params, interpolation=self.interpolation,
            fill=fill_of(self._fill, inpt), center=self.center,
        )  # fmt: skip


class RandomPerspective(RandomApplyTransform):
    """Changes the perspective with probability ``p``: each corner moves inwards at random.

    Args:
        distortion_scale: The largest movement, as a share of half the image. Default: 0.5.

    Raises:
        ValueError: ``distortion_scale`` is not from 0 to 1.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomPerspective(p=1.0)(torch.ones(1, 8, 8)).shape
    torch.Size([1, 8, 8])
    """

    _v1_transform_cls = _first.RandomPerspective

    def __init__(self, distortion_scale=0.5, p=0.5, interpolation="bilinear", fill=0):
        super().__init__(p=p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError("Argument distortion_scale value should be between 0 and 1")
        self.distortion_scale = distortion_scale
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        start, end = _first.RandomPerspective.get_params(width, height, self.distortion_scale)
        return {"coefficients": eight_numbers(start, end)}

    def transform(self, inpt, params):
        return self._call_kernel(
            F.perspective, inpt, startpoints=None, endpoints=None, fill=fill_of(self._fill, inpt),
            interpolation=self.interpolation, **params,
        )  # fmt: skip


class ElasticTransform(Transform):
    """Deforms by displacements of smooth noise.

    Args:
        alpha: Strength of the displacements: a number, or two for x and y. Default: 50.
        sigma: Smoothness of the displacements in pixels: a number, or two for x and y. Default: 5.

    Raises:
        TypeError: ``alpha`` or ``sigma`` is neither a number nor a sequence.
        ValueError: The sequence does not have one or two numbers.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ElasticTransform(sigma=1.0)(torch.ones(1, 16, 16)).shape
    torch.Size([1, 16, 16])
    """

    _v1_transform_cls = _first.ElasticTransform

    def __init__(self, alpha=50.0, sigma=5.0, interpolation="bilinear", fill=0):
        super().__init__()
        self.alpha = numbers_of(alpha, "alpha")
        self.sigma = numbers_of(sigma, "sigma")
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def make_params(self, flat_inputs):
        size = list(query_size(flat_inputs))
        drawn = _first.ElasticTransform.get_params(self.alpha, self.sigma, size)
        return {"displacement": torch.as_tensor(drawn)}

    def transform(self, inpt, params):
        fill = fill_of(self._fill, inpt)
        return self._call_kernel(
            F.elastic, inpt, **params, fill=fill, interpolation=self.interpolation
        )
