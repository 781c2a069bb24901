"""Augmentations whose operations are drawn from a list, for one image or video of a sample."""

from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import transforms as _first
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.auto import (
    COLOURS,
    AutoAugmentPolicy,
    mixed_with_changed,
    operations,
    space_of,
)
from rushlight.vision.transforms.draws import below, between
from rushlight.vision.transforms.functional.convert import largest
from rushlight.vision.transforms.policies import POLICIES
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.functional import is_pure_tensor
from rushlight.vision.transforms.v2.samples import check_type
from rushlight.vision.transforms.v2.transform import Transform, fill_of, fills

__all__ = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]

OPERATIONS = operations(F)
_IMAGES = (tv_tensors.Image, is_pil, is_pure_tensor, tv_tensors.Video)
_REFUSED = (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)


def _minus():
    """True in half of the draws."""
    return between(0.0, 1.0) <= 0.5


class _Drawn(Transform):
    """Draws operations of a ``space`` (see ``space_of``) and applies them to the one image."""

    def __init__(self, *, interpolation="nearest", fill=None):
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill
        self._fill = fills(fill)

    def forward(self, *inputs):
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        places = []
        for i, (x, needs) in enumerate(zip(flat, self._needs_transform_list(flat), strict=True)):
            if needs and check_type(x, _IMAGES):
                places.append(i)
            elif isinstance(x, _REFUSED):
                raise TypeError(
                    f"Inputs of type {type(x).__name__} are not supported by "
                    f"{type(self).__name__}()"
                )
        if not places:
            raise TypeError("Found no image in the sample.")
        if len(places) > 1:
            raise TypeError(
                "Auto augment transformations are only properly defined for a single image or "
                f"video, but found {len(places)}."
            )
        flat[places[0]] = self.augmented(flat[places[0]])
        return tree_unflatten(flat, spec)

    def augmented(self, image):
        """The image after all operations."""
        raise NotImplementedError

    def change(self, image, name, magnitude):
        """The image after one operation."""
        if name == "Solarize":  # its magnitude is a share of white
            magnitude *= largest(image.dtype) if isinstance(image, Tensor) else 255.0
        fill = fill_of(self._fill, image)
        return OPERATIONS[name](image, magnitude, self.interpolation, fill)

    def drawn(self, image, space, index):
        """The image after one drawn operation; ``index`` draws its magnitude's place."""
        name = list(space)[below(len(space))]
        return self.change(image, name, self.strength(space[name], index))

    @staticmethod
    def strength(entry, index):
        """The magnitude of an entry of a ``space``; its sign is drawn if it has one."""
        magnitudes, signed = entry
        if magnitudes is None:
            return 0.0
        found = magnitudes[index()]
        return -found if signed and _minus() else found


class AutoAugment(_Drawn):
    """Applies one of the policy's pairs of operations; each operation has its probability.

    Args:
        policy: An ``AutoAugmentPolicy``. Default: the one for ImageNet.
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Raises:
        ValueError: The policy is not known.

    Source: Cubuk et al. 2018, https://arxiv.org/abs/1805.09501

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.AutoAugment()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.AutoAugment

    def __init__(self, policy=AutoAugmentPolicy.IMAGENET, interpolation="nearest", fill=None):
        super().__init__(interpolation=interpolation, fill=fill)
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy = policy
        self._policies = POLICIES[policy.value]

    def augmented(self, image):
        height, width = F.get_size(image)
        x, y = 150.0 / 331.0 * width, 150.0 / 331.0 * height
        names = _first.AutoAugment.SPACE
        space = space_of(names, 10, 0.9, 0.3, x, y, 30.0, (8, 4), white=1.0)
        for name, p, place in self._policies[below(len(self._policies))]:
            if between(0.0, 1.0) <= p:
                found = self.strength(space[name], lambda place=place: place)
                image = self.change(image, name, found)
        return image


class RandAugment(_Drawn):
    """Applies ``num_ops`` random operations, all of the same magnitude.

    Args:
        num_ops: Number of operations. Default: 2.
        magnitude: Strength of the operations, from 0 to ``num_magnitude_bins - 1``. Default: 9.
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Raises:
        ValueError: ``num_ops`` is negative.

    Source: Cubuk et al. 2019, https://arxiv.org/abs/1909.13719

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandAugment()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.RandAugment

    def __init__(
        self, num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation="nearest", fill=None
    ):
        super().__init__(interpolation=interpolation, fill=fill)
        if not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(f"num_ops should be a non-negative integer, but got {num_ops}.")
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def augmented(self, image):
        height, width = F.get_size(image)
        x, y = 150.0 / 331.0 * width, 150.0 / 331.0 * height
        names, bins = _first.RandAugment.SPACE, self.num_magnitude_bins
        space = space_of(names, bins, 0.9, 0.3, x, y, 30.0, (8, 4), white=1.0)
        for _ in range(self.num_ops):
            image = self.drawn(image, space, lambda: self.magnitude)
        return image


class TrivialAugmentWide(_Drawn):
    """Applies one random operation of random magnitude.

    Args:
        fill: Value outside the image: a number, or one for each channel. Default: None, 0.

    Source: Müller and Hutter 2021, https://arxiv.org/abs/2103.10158

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.TrivialAugmentWide()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.TrivialAugmentWide

    def __init__(self, num_magnitude_bins=31, interpolation="nearest", fill=None):
        super().__init__(interpolation=interpolation, fill=fill)
        self.num_magnitude_bins = num_magnitude_bins

    def augmented(self, image):
        names, bins = _first.TrivialAugmentWide.SPACE, self.num_magnitude_bins
        space = space_of(names, bins, 0.99, 0.99, 32.0, 32.0, 135.0, (8, 6), white=1.0)
        return self.drawn(image, space, lambda: below(bins))


class AugMix(_Drawn):
    """Mixes the image with changed images, each of which a chain of operations makes.

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
    >>> from rushlight.vision.transforms import v2
    >>> v2.AugMix()(torch.zeros(3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.AugMix

    def __init__(
        self, severity=3, mixture_width=3, chain_depth=-1, alpha=1.0, all_ops=True,
        interpolation="bilinear", fill=None,
    ):  # fmt: skip
        super().__init__(interpolation=interpolation, fill=fill)
        if not 1 <= severity <= _first.AugMix.BINS:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def augmented(self, image):
        height, width = F.get_size(image)
        names = _first.AugMix.SPACE + (COLOURS if self.all_ops else ())
        x, y = width / 3.0, height / 3.0
        space = space_of(names, _first.AugMix.BINS, 0.9, 0.3, x, y, 30.0, (4, 4), white=1.0)
        plain = F.pil_to_tensor(image) if is_pil(image) else image.as_subclass(Tensor)
        dims = 5 if isinstance(image, tv_tensors.Video) else 4
        batch = plain.reshape([1] * max(dims - plain.ndim, 0) + list(plain.shape))
        mixed = mixed_with_changed(
            batch, self, lambda x: self.drawn(x, space, lambda: below(self.severity))
        )
        mixed = mixed.reshape(plain.shape).to(plain.dtype)
        if is_pil(image):
            return F.to_pil_image(mixed)
        return mixed if is_pure_tensor(image) else tv_tensors.wrap(mixed, like=image)
