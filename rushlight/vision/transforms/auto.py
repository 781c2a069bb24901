"""Augmentations whose operations are drawn from a list: AutoAugment and its successors."""

import functools
import math
from enum import Enum
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.arguments import fill_for
from rushlight.vision.transforms.draws import below, within
from rushlight.vision.transforms.functional import InterpolationMode
from rushlight.vision.transforms.policies import POLICIES

__all__ = [
    "AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide",
    "operations", "shares_of", "space_of",
]  # fmt: skip


def _degrees(magnitude):
    return math.degrees(math.atan(magnitude))


def operations(F):
    """Name of an operation → function (image, magnitude, interpolation, fill) → changed image.

    ``F`` is the module of functions: that of ``transforms`` or of ``transforms.v2``.
    """

    def affine(img, interpolation, fill, translate=(0, 0), shear=(0.0, 0.0), center=None):
        return F.affine(img, 0.0, translate, 1.0, shear, interpolation, fill, center)

    return {
        "Identity": lambda img, m, mode, fill: img,
        "ShearX": lambda img, m, mode, fill: affine(
            img, mode, fill, shear=(_degrees(m), 0.0), center=[0, 0]
        ),
        "ShearY": lambda img, m, mode, fill: affine(
            img, mode, fill, shear=(0.0, _degrees(m)), center=[0, 0]
        ),
        "TranslateX": lambda img, m, mode, fill: affine(img, mode, fill, translate=(int(m), 0)),
        "TranslateY": lambda img, m, mode, fill: affine(img, mode, fill, translate=(0, int(m))),
        "Rotate": lambda img, m, mode, fill: F.rotate(img, m, mode, fill=fill),
        "Brightness": lambda img, m, mode, fill: F.adjust_brightness(img, 1.0 + m),
        "Color": lambda img, m, mode, fill: F.adjust_saturation(img, 1.0 + m),
        "Contrast": lambda img, m, mode, fill: F.adjust_contrast(img, 1.0 + m),
        "Sharpness": lambda img, m, mode, fill: F.adjust_sharpness(img, 1.0 + m),
        "Posterize": lambda img, m, mode, fill: F.posterize(img, int(m)),
        "Solarize": lambda img, m, mode, fill: F.solarize(img, m),
        "AutoContrast": lambda img, m, mode, fill: F.autocontrast(img),
        "Equalize": lambda img, m, mode, fill: F.equalize(img),
        "Invert": lambda img, m, mode, fill: F.invert(img),
    }


OPERATIONS = operations(F)
COLOURS = ("Brightness", "Color", "Contrast", "Sharpness")
PLAIN = ("AutoContrast", "Equalize", "Invert")  # these have no magnitude


@functools.lru_cache(maxsize=64)  # images of a data set often have one size
def space_of(names, bins, colour, shear, x, y, degrees, posterize, white=255.0):
    """Return name → (magnitudes, whether a sign is drawn too) for each operation in ``names``.

    There are ``bins`` magnitudes for each operation, or None if the operation has no magnitude. The
    arguments from ``colour`` to ``degrees`` are the largest magnitudes. ``white`` is the largest
    threshold of Solarize.
    """
    largest = {
        "ShearX": shear, "ShearY": shear, "TranslateX": x, "TranslateY": y, "Rotate": degrees,
        **dict.fromkeys(COLOURS, colour),
    }  # fmt: skip
    first, steps = posterize
    space: dict = {}
    for name in names:
        if name in largest:
            space[name] = torch.linspace(0.0, largest[name], bins).tolist(), True
        elif name == "Posterize":
            bits = (torch.arange(bins) / ((bins - 1) / steps)).round().int()
            space[name] = (first - bits).tolist(), False
        elif name == "Solarize":
            space[name] = torch.linspace(white, 0.0, bins).tolist(), False
        else:
            space[name] = None, False
    return space


class _Drawn(nn.Module):
    """The base class: draws an operation from a ``space`` (see ``space_of``) and applies it."""

    def __init__(self, interpolation, fill):
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill

    def change(self, img, name, magnitude, fill):
        """The image after one operation."""
        return OPERATIONS[name](img, magnitude, self.interpolation, fill)

    def draw(self, space, index):
        """Draw (name, magnitude) of an operation. ``index`` draws the magnitude's index."""
        name = list(space)[below(len(space))]
        magnitudes, signed = space[name]
        magnitude = 0.0 if magnitudes is None else float(magnitudes[index(magnitudes)])
        return name, -magnitude if signed and below(2) else magnitude

    def _shown(self, *names):
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"{type(self).__name__}({shown})"


class AutoAugmentPolicy(Enum):
    """The data sets for which policies were found.

    >>> from rushlight.vision.transforms import AutoAugmentPolicy
    >>> AutoAugmentPolicy.CIFAR10.value
    'cifar10'
    """

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


class AutoAugment(_Drawn):
    """Applies one of the policy's pairs of operations; each operation has its probability.

    Shape: a Pillow image, or a tensor of uint8, (..., 1 or 3, H, W) → the same.

    Args:
        policy: An ``AutoAugmentPolicy``. Default: the one for ImageNet.
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Raises:
        ValueError: the policy is not known.

    Source: Cubuk et al. 2018, https://arxiv.org/abs/1805.09501

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import AutoAugment
    >>> AutoAugment()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    SPACE = (
        "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", *COLOURS, "Posterize",
        "Solarize", *PLAIN,
    )  # fmt: skip

    def __init__(
        self, policy=AutoAugmentPolicy.IMAGENET, interpolation=InterpolationMode.NEAREST,
        fill=None,
    ):  # fmt: skip
        super().__init__(interpolation, fill)
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(f"AutoAugment: policy must be an AutoAugmentPolicy, got {policy!r}")
        self.policy = policy
        self.policies = POLICIES[policy.value]

    @staticmethod
    def get_params(transform_num):
        """Draw (index of the pair, two numbers from 0 to 1, two signs)."""
        policy = below(transform_num)
        chances = torch.rand((2,))
        return policy, chances, torch.randint(2, (2,))

    def forward(self, img):
        fill = fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        which, chances, signs = self.get_params(len(self.policies))
        space = space_of(
            self.SPACE, 10, 0.9, 0.3, 150.0 / 331.0 * width, 150.0 / 331.0 * height, 30.0, (8, 4)
        )
        for i, (name, p, index) in enumerate(self.policies[which]):
            if chances[i] <= p:
                magnitudes, signed = space[name]
                magnitude = 0.0 if index is None else float(magnitudes[index])
                if signed and signs[i] == 0:
                    magnitude = -magnitude
                img = self.change(img, name, magnitude, fill)
        return img

    def __repr__(self):
        return self._shown("policy", "fill")


class RandAugment(_Drawn):
    """Applies ``num_ops`` random operations, all of the same magnitude.

    Shape: a Pillow image, or a tensor of uint8, (..., 1 or 3, H, W) → the same.

    Args:
        num_ops: Number of operations. Default: 2.
        magnitude: Strength of the operations, from 0 to ``num_magnitude_bins - 1``. Default: 9.
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Source: Cubuk et al. 2019, https://arxiv.org/abs/1909.13719

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import RandAugment
    >>> RandAugment()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    SPACE = ("Identity", *AutoAugment.SPACE[:-1])

    def __init__(
        self, num_ops=2, magnitude=9, num_magnitude_bins=31,
        interpolation=InterpolationMode.NEAREST, fill=None,
    ):  # fmt: skip
        super().__init__(interpolation, fill)
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img):
        fill = fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        space = space_of(
            self.SPACE, self.num_magnitude_bins, 0.9, 0.3, 150.0 / 331.0 * width,
            150.0 / 331.0 * height, 30.0, (8, 4),
        )  # fmt: skip
        for _ in range(self.num_ops):
            name, magnitude = self.draw(space, lambda _: self.magnitude)
            img = self.change(img, name, magnitude, fill)
        return img

    def __repr__(self):
        return self._shown("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")


class TrivialAugmentWide(_Drawn):
    """Applies one random operation of random magnitude.

    Shape: a Pillow image, or a tensor of uint8, (..., 1 or 3, H, W) → the same.

    Args:
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Source: Müller and Hutter 2021, https://arxiv.org/abs/2103.10158

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import TrivialAugmentWide
    >>> TrivialAugmentWide()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    SPACE = RandAugment.SPACE

    def __init__(self, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None):
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img):
        bins = self.num_magnitude_bins
        space = space_of(self.SPACE, bins, 0.99, 0.99, 32.0, 32.0, 135.0, (8, 6))
        name, magnitude = self.draw(space, lambda magnitudes: below(len(magnitudes)))
        return self.change(img, name, magnitude, fill_for(img, self.fill))

    def __repr__(self):
        return self._shown("num_magnitude_bins", "interpolation", "fill")


def shares_of(alpha, count, batch):
    """Draw (batch, count) shares, which add up to 1, from a Dirichlet distribution."""
    distributions: Any = torch.distributions
    return distributions.Dirichlet(torch.tensor([alpha] * count).expand(batch, -1)).sample()


def mixed_with_changed(batch, options, change):
    """Images mixed with those that chains of ``change`` make, as the options of ``AugMix`` say."""
    each = [len(batch)] + [1] * (batch.ndim - 1)
    kept = shares_of(options.alpha, 2, len(batch))
    shares = shares_of(options.alpha, options.mixture_width, len(batch)) * kept[:, 1:]
    mixed = kept[:, 0].reshape(each) * batch
    for i in range(options.mixture_width):
        changed, depth = batch, options.chain_depth
        for _ in range(depth if depth > 0 else within(1, 4)):
            changed = change(changed)
        mixed = mixed + shares[:, i].reshape(each) * changed
    return mixed


class AugMix(_Drawn):
    """Mixes the image with changed images, each of which a chain of operations makes.

    Shape: a Pillow image, or a tensor of uint8, (..., 1 or 3, H, W) → the same.

    Args:
        severity: Largest strength of the operations, from 1 to 10. Default: 3.
        mixture_width: Number of changed images. Default: 3.
        chain_depth: Number of operations in a chain; 0 and less: a random number from 1 to 3.
            Default: -1.
        alpha: Parameter of the distributions of the images' shares; the larger, the more equal are
            the shares. Default: 1.
        all_ops: Change brightness, colour, contrast and sharpness, too. Default: True.
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Raises:
        ValueError: ``severity`` is not from 1 to 10.

    Source: Hendrycks et al. 2019, https://arxiv.org/abs/1912.02781

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import AugMix
    >>> AugMix()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    SPACE = (*AutoAugment.SPACE[:5], "Posterize", "Solarize", "AutoContrast", "Equalize")
    BINS = 10

    def __init__(
        self, severity=3, mixture_width=3, chain_depth=-1, alpha=1.0, all_ops=True,
        interpolation=InterpolationMode.BILINEAR, fill=None,
    ):  # fmt: skip
        super().__init__(interpolation, fill)
        if not 1 <= severity <= self.BINS:
            raise ValueError(f"AugMix: severity must be from 1 to {self.BINS}, got {severity}")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def _index(self, magnitudes):
        return below(self.severity)

    def forward(self, orig_img):
        img = orig_img if isinstance(orig_img, Tensor) else F.pil_to_tensor(orig_img)
        fill = fill_for(orig_img, self.fill)
        height, width = img.shape[-2:]
        names = self.SPACE + (COLOURS if self.all_ops else ())
        space = space_of(names, self.BINS, 0.9, 0.3, width / 3.0, height / 3.0, 30.0, (4, 4))
        batch = img.reshape([1] * max(4 - img.ndim, 0) + list(img.shape))

        def change(x):
            name, magnitude = self.draw(space, self._index)
            return self.change(x, name, magnitude, fill)

        mixed = mixed_with_changed(batch, self, change)
        mixed = mixed.reshape(img.shape).to(img.dtype)
        return mixed if isinstance(orig_img, Tensor) else F.to_pil_image(mixed)

    def __repr__(self):
        return self._shown(
            "severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill"
        )
