"""Transforms of colours."""

import rushlight as torch
from rushlight.vision import transforms as _first
from rushlight.vision.transforms.draws import between, happens
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.samples import query_chw
from rushlight.vision.transforms.v2.transform import RandomApplyTransform, Transform

__all__ = [
    "RGB", "ColorJitter", "Grayscale", "RandomAdjustSharpness", "RandomAutocontrast",
    "RandomChannelPermutation", "RandomEqualize", "RandomGrayscale", "RandomInvert",
    "RandomPhotometricDistort", "RandomPosterize", "RandomSolarize",
]  # fmt: skip


class Grayscale(Transform):
    """Makes images grey.

    Args:
        num_output_channels: 1, or 3, which are equal. Default: 1.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.Grayscale()(torch.zeros(3, 8, 8)).shape
    torch.Size([1, 8, 8])
    """

    _v1_transform_cls = _first.Grayscale

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def transform(self, inpt, params):
        return self._call_kernel(F.rgb_to_grayscale, inpt, self.num_output_channels)


class RandomGrayscale(RandomApplyTransform):
    """Makes images grey with probability ``p``; the number of channels stays.

    Args:
        p: Probability that the image is changed, from 0 to 1. Default: 0.1.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomGrayscale(p=1.0)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    _v1_transform_cls = _first.RandomGrayscale

    def __init__(self, p=0.1):
        super().__init__(p=p)

    def make_params(self, flat_inputs):
        return {"num_output_channels": query_chw(flat_inputs)[0]}

    def transform(self, inpt, params):
        return self._call_kernel(F.rgb_to_grayscale, inpt, **params)


class RGB(Transform):
    """Gives grey images three equal channels.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RGB()(torch.zeros(1, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    def transform(self, inpt, params):
        return self._call_kernel(F.grayscale_to_rgb, inpt)


#: The functions of ``ColorJitter``, in the order of its parameters, with their parameters.
_ADJUST = (
    (F.adjust_brightness, "brightness_factor"), (F.adjust_contrast, "contrast_factor"),
    (F.adjust_saturation, "saturation_factor"), (F.adjust_hue, "hue_factor"),
)  # fmt: skip


class ColorJitter(Transform):
    """Changes brightness, contrast, saturation and hue at random, in a random order.

    Args:
        brightness, contrast, saturation: The range of the factor: two numbers, or a number x for
            max(0, 1 - x) to 1 + x. Default: None, no change.
        hue: The range of the change, as shares of a whole turn: two numbers within -0.5 to 0.5, or
            a number x for -x to x. Default: None, no change.

    Raises:
        TypeError: A range is neither a number nor two numbers.
        ValueError: A range exceeds the allowed values, or its number is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.ColorJitter(brightness=(2.0, 2.0))(torch.full((3, 1, 1), 0.25)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """

    _v1_transform_cls = _first.ColorJitter

    def __init__(self, brightness=None, contrast=None, saturation=None, hue=None):
        super().__init__()
        checked = _first.ColorJitter(brightness or 0, contrast or 0, saturation or 0, hue or 0)
        self.brightness = checked.brightness
        self.contrast = checked.contrast
        self.saturation = checked.saturation
        self.hue = checked.hue

    def make_params(self, flat_inputs):
        ranges = self.brightness, self.contrast, self.saturation, self.hue
        order, *factors = _first.ColorJitter.get_params(*ranges)
        named = dict(zip((name for _, name in _ADJUST), factors, strict=True))
        return {"fn_idx": order, **named}

    def transform(self, inpt, params):
        for i in params["fn_idx"].tolist():
            function, name = _ADJUST[i]
            if params[name] is not None:
                inpt = self._call_kernel(function, inpt, params[name])
        return inpt


class RandomChannelPermutation(Transform):
    """Puts the channels in a random order.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomChannelPermutation()(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    def make_params(self, flat_inputs):
        return {"permutation": torch.randperm(query_chw(flat_inputs)[0])}

    def transform(self, inpt, params):
        return self._call_kernel(F.permute_channels, inpt, params["permutation"])


class RandomPhotometricDistort(Transform):
    """Changes brightness, contrast, saturation, hue and the channels' order, each at times.

    Args:
        brightness, contrast, saturation: The range of the factor. Default: (0.875, 1.125),
            (0.5, 1.5) and (0.5, 1.5).
        hue: The range of the change, as shares of a whole turn. Default: (-0.05, 0.05).
        p: Probability of each of the changes. Default: 0.5.

    Source: Liu et al. 2015, https://arxiv.org/abs/1512.02325

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomPhotometricDistort()(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    def __init__(
        self, brightness=(0.875, 1.125), contrast=(0.5, 1.5), saturation=(0.5, 1.5),
        hue=(-0.05, 0.05), p=0.5,
    ):  # fmt: skip
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.hue = hue
        self.saturation = saturation
        self.p = p

    def make_params(self, flat_inputs):
        channels = query_chw(flat_inputs)[0]
        ranges = self.brightness, self.contrast, self.saturation, self.hue
        params = {
            name: between(*limits) if happens(self.p) else None
            for (_, name), limits in zip(_ADJUST, ranges, strict=True)
        }
        before = happens(0.5)
        order = torch.randperm(channels) if happens(self.p) else None
        return {**params, "contrast_before": before, "channel_permutation": order}

    def transform(self, inpt, params):
        order = (0, 1, 2, 3) if params["contrast_before"] else (0, 2, 3, 1)
        for function, name in (_ADJUST[i] for i in order):
            if params[name] is not None:
                inpt = self._call_kernel(function, inpt, params[name])
        if params["channel_permutation"] is not None:
            inpt = self._call_kernel(F.permute_channels, inpt, params["channel_permutation"])
        return inpt


class RandomEqualize(RandomApplyTransform):
    """Makes all values about equally frequent, with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomEqualize(p=1.0)(torch.tensor([[[10, 20]]], dtype=torch.uint8)).dtype
    torch.uint8
    """

    _v1_transform_cls = _first.RandomEqualize

    def transform(self, inpt, params):
        return self._call_kernel(F.equalize, inpt)


class RandomInvert(RandomApplyTransform):
    """Inverts images with probability ``p``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomInvert(p=1.0)(torch.tensor([[[0.25]]]))
    tensor([[[0.7500]]])
    """

    _v1_transform_cls = _first.RandomInvert

    def transform(self, inpt, params):
        return self._call_kernel(F.invert, inpt)


class RandomPosterize(RandomApplyTransform):
    """Keeps only the highest bits of each value, with probability ``p``.

    Args:
        bits: Number of bits to keep, from 0 to 8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomPosterize(1, p=1.0)(torch.tensor([[[100, 200]]], dtype=torch.uint8))
    tensor([[[  0, 128]]], dtype=torch.uint8)
    """

    _v1_transform_cls = _first.RandomPosterize

    def __init__(self, bits, p=0.5):
        super().__init__(p=p)
        self.bits = bits

    def transform(self, inpt, params):
        return self._call_kernel(F.posterize, inpt, bits=self.bits)


class RandomSolarize(RandomApplyTransform):
    """Inverts the values that are at least ``threshold``, with probability ``p``.

    Args:
        threshold: The least value to invert.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomSolarize(0.5, p=1.0)(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0.2500, 0.2500]]])
    """

    _v1_transform_cls = _first.RandomSolarize

    def __init__(self, threshold, p=0.5):
        super().__init__(p=p)
        self.threshold = threshold

    def transform(self, inpt, params):
        return self._call_kernel(F.solarize, inpt, threshold=self.threshold)


class RandomAutocontrast(RandomApplyTransform):
    """Stretches the contrast with probability ``p``, as ``functional.autocontrast`` does.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomAutocontrast(p=1.0)(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0., 1.]]])
    """

    _v1_transform_cls = _first.RandomAutocontrast

    def transform(self, inpt, params):
        return self._call_kernel(F.autocontrast, inpt)


class RandomAdjustSharpness(RandomApplyTransform):
    """Changes the sharpness with probability ``p``, as ``functional.adjust_sharpness`` does.

    Args:
        sharpness_factor: 0 smooths, 1 changes nothing, and larger factors sharpen.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomAdjustSharpness(2.0, p=1.0)(torch.ones(3, 4, 4)).shape
    torch.Size([3, 4, 4])
    """

    _v1_transform_cls = _first.RandomAdjustSharpness

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p=p)
        self.sharpness_factor = sharpness_factor

    def transform(self, inpt, params):
        return self._call_kernel(F.adjust_sharpness, inpt, self.sharpness_factor)
