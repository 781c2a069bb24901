"""Augmentations: parts that are erased, images that are mixed, and losses of JPEG."""

import math
import numbers

import rushlight as torch
from rushlight.nn.functional import one_hot
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import transforms as _first
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil
from rushlight.vision.transforms.arguments import ordered, two_of
from rushlight.vision.transforms.draws import within
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.functional import is_pure_tensor
from rushlight.vision.transforms.v2.samples import find_labels, has_any, query_chw, query_size
from rushlight.vision.transforms.v2.size import warn_of_passing
from rushlight.vision.transforms.v2.transform import RandomApplyTransform, Transform

__all__ = ["JPEG", "CutMix", "MixUp", "RandomErasing"]


class RandomErasing(RandomApplyTransform):
    """Overwrites a random rectangle with probability ``p``.

    Args:
        scale: Range of the rectangle's area, as a share of the image's. Default: (0.02, 0.33).
        ratio: Range of the rectangle's height divided by its width. Default: (0.3, 3.3).
        value: The new value: a number, one for each channel, or ``"random"``, normal noise.
            Default: 0.
        inplace: Write into the image itself. Default: False.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: ``scale`` is not from 0 to 1, or ``value`` does not fit.

    Source: Zhong et al. 2017, https://arxiv.org/abs/1708.04896

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomErasing(p=1.0)(torch.ones(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.RandomErasing

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0, inplace=False):
        super().__init__(p=p)
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        ordered(scale, ratio, "RandomErasing")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        self.scale = scale
        self.ratio = ratio
        values = value if isinstance(value, (tuple, list)) else [value]
        self.value = None
        if value != "random":
            self.value = [float(number) for number in values]  # type: ignore[arg-type]
        self.inplace = inplace

    def _call_kernel(self, functional, inpt, *args, **kwargs):
        warn_of_passing(self, inpt)
        return super()._call_kernel(functional, inpt, *args, **kwargs)

    def make_params(self, flat_inputs):
        size = query_chw(flat_inputs)
        if self.value is not None and len(self.value) not in (1, size[0]):
            raise ValueError(f"value should have a single number or {size[0]}, got {self.value}")
        frame = torch.empty(1).expand(size)  # the draws only look at its size
        i, j, h, w, v = self.get_params(frame, self.scale, self.ratio, self.value)
        return {"i": i, "j": j, "h": h, "w": w, "v": None if v is frame else v}

    def transform(self, inpt, params):
        if params["v"] is None:
            return inpt
        return self._call_kernel(F.erase, inpt, **params, inplace=self.inplace)


class _Mix(Transform):
    """Mixes each image of a batch, and its label, with the image before it."""

    def __init__(self, *, alpha=1.0, num_classes=None, labels_getter="default"):
        super().__init__()
        self.alpha = float(alpha)
        parameter = torch.tensor([alpha])
        self._dist = torch.distributions.Beta(parameter, parameter)
        self.num_classes = num_classes
        self._labels_getter = find_labels(labels_getter)

    def forward(self, *inputs):
        whole = inputs if len(inputs) > 1 else inputs[0]
        flat, spec = tree_flatten(whole)
        refused = is_pil, tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints
        if has_any(flat, *refused):
            raise ValueError(
                f"{type(self).__name__}() does not support PIL images, bounding boxes, keypoints "
                "and masks."
            )
        labels = self._checked(self._labels_getter(whole))
        needed = self._needs_transform_list(flat)
        drawn = self.make_params([x for x, needs in zip(flat, needed, strict=True) if needs])
        params = {"labels": labels, "batch_size": len(labels), **drawn}
        changed = [
            self.transform(x, params) if needs or x is labels else x
            for x, needs in zip(flat, needed, strict=True)
        ]
        return tree_unflatten(changed, spec)

    def _checked(self, labels):
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be indices (batch_size,) or probabilities (batch_size, "
                f"num_classes), but got a tensor of shape {tuple(labels.shape)} instead."
            )
        if labels.ndim == 2 and self.num_classes not in (None, labels.shape[-1]):
            raise ValueError(
                f"2D labels of {labels.shape[-1]} classes do not fit num_classes={self.num_classes}"
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")
        return labels

    def mixed(self, image, params):
        """The mixed images."""
        raise NotImplementedError

    def transform(self, inpt, params):
        if inpt is params["labels"]:
            labels = one_hot(inpt, num_classes=self.num_classes) if inpt.ndim == 1 else inpt
            labels = labels if labels.is_floating_point() else labels.float()
            return self._blend(labels, params["lam"])
        is_image = isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))
        if not is_image and not is_pure_tensor(inpt):
            return inpt
        dims = 5 if isinstance(inpt, tv_tensors.Video) else 4
        if inpt.ndim != dims:
            raise ValueError(
                f"Expected a batched input with {dims} dims, got {inpt.ndim} dims instead."
            )
        if inpt.shape[0] != params["batch_size"]:
            raise ValueError(
                "The batch size of the image or video does not match the batch size of the labels: "
                f"{inpt.shape[0]} != {params['batch_size']}."
            )
        found = self.mixed(inpt.as_subclass(Tensor), params)
        return tv_tensors.wrap(found, like=inpt) if is_image else found

    @staticmethod
    def _blend(x, lam):
        return x.roll(1, 0) * (1.0 - lam) + x * lam


class MixUp(_Mix):
    """Blends each image of a batch, and its label, with the image before it.

    Shape: images (N, C, H, W), labels (N,) or (N, num_classes) → labels (N, num_classes).

    Args:
        alpha: Both parameters of the beta distribution of the image's share. Default: 1.
        num_classes: Number of classes, for labels that are indices. Default: None.
        labels_getter: Function that finds the labels in the sample, or ``"default"`` (the second
            part of a tuple, or the key with "label" in it).

    Raises:
        ValueError: The sample has no labels, or has something that cannot be mixed.

    Source: Zhang et al. 2017, https://arxiv.org/abs/1710.09412

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> images, labels = v2.MixUp(num_classes=3)(torch.ones(2, 1, 4, 4), torch.tensor([0, 1]))
    >>> labels.shape
    torch.Size([2, 3])
    """

    def make_params(self, flat_inputs):
        return {"lam": float(self._dist.sample(()))}

    def mixed(self, image, params):
        """The blended images."""
        return self._blend(image, params["lam"])


class CutMix(_Mix):
    """Puts a rectangle of the image before it into each image of a batch, and mixes the labels.

    Shape: images (N, C, H, W), labels (N,) or (N, num_classes) → labels (N, num_classes).

    Args:
        alpha: Both parameters of the beta distribution of the image's share. Default: 1.
        num_classes: Number of classes, for labels that are indices. Default: None.
        labels_getter: Function that finds the labels in the sample, or ``"default"`` (the second
            part of a tuple, or the key with "label" in it).

    Raises:
        ValueError: The sample has no labels, or has something that cannot be mixed.

    Source: Yun et al. 2019, https://arxiv.org/abs/1905.04899

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> images, labels = v2.CutMix(num_classes=3)(torch.ones(2, 1, 4, 4), torch.tensor([0, 1]))
    >>> labels.shape
    torch.Size([2, 3])
    """

    def make_params(self, flat_inputs):
        lam = float(self._dist.sample(()))
        height, width = query_size(flat_inputs)
        x, y = within(0, width), within(0, height)
        half = 0.5 * math.sqrt(1.0 - lam)
        right, down = int(half * width), int(half * height)
        x1, y1 = max(x - right, 0), max(y - down, 0)
        x2, y2 = min(x + right, width), min(y + down, height)
        share = 1.0 - (x2 - x1) * (y2 - y1) / (width * height)
        return {"box": (x1, y1, x2, y2), "lam": float(share)}

    def mixed(self, image, params):
        """The images with a part of others."""
        x1, y1, x2, y2 = params["box"]
        found = image.clone()
        found[..., y1:y2, x1:x2] = image.roll(1, 0)[..., y1:y2, x1:x2]
        return found


class JPEG(Transform):
    """Writes images as JPEG files of random quality, and reads them again.

    Args:
        quality: An int from 1 to 100, or the range (least, largest).

    Raises:
        TypeError: ``quality`` is neither.
        ValueError: It is not from 1 to 100.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.JPEG(50)(torch.full((3, 8, 8), 100, dtype=torch.uint8)).float().mean()
    tensor(100.)
    """

    def __init__(self, quality):
        super().__init__()
        if isinstance(quality, bool):
            raise TypeError("quality can't be bool")
        quality = [quality, quality] if isinstance(quality, int) else quality
        two_of(quality, "JPEG: quality")
        whole = all(isinstance(number, int) for number in quality)
        if not whole or not 1 <= quality[0] <= quality[1] <= 100:
            raise ValueError(f"quality must be an integer from 1 to 100, got quality ={quality!r}")
        self.quality = quality

    def make_params(self, flat_inputs):
        return {"quality": within(self.quality[0], self.quality[1] + 1)}

    def transform(self, inpt, params):
        return self._call_kernel(F.jpeg, inpt, quality=params["quality"])
