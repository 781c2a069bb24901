"""Changes of colours: of images and videos."""

import numpy as np

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.vision.images import channels_of
from rushlight.vision.transforms import functional as first
from rushlight.vision.transforms.functional.color import checked, equalized, turned
from rushlight.vision.transforms.functional.convert import largest
from rushlight.vision.transforms.functional.size import float_batch
from rushlight.vision.transforms.v2.functional.convert import scaled
from rushlight.vision.transforms.v2.functional.registry import dispatched

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "autocontrast", "equalize", "grayscale_to_rgb", "invert",
    "permute_channels", "posterize", "rgb_to_grayscale", "solarize",
]  # fmt: skip


def _plus(x, y, factor):
    """x + factor · y, rounded once.

    PyTorch's ``add`` with ``alpha`` rounds so, which decides about bytes that are cut off after it.
    """
    return (x.double() + y.double() * float(np.float32(factor))).to(x.dtype)


def _mix(image, other, ratio):
    """ratio · image + (1 - ratio) · other, within the range of ``image``'s type."""
    white, rest = largest(image.dtype), 1.0 - float(ratio)
    if image.is_floating_point():
        return (image * float(ratio) + other * rest).clamp(0, white)
    return _plus(image * float(ratio), other, rest).clamp(0, white).to(image.dtype)


def _luma(image, cut=True):
    """The luma (..., 1, H, W). Of integers it is cut off; it keeps their type only if ``cut``."""
    red, green, blue = image.unbind(-3)
    if image.is_floating_point():
        return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)
    found = _plus(_plus(0.2989 * red, green, 0.587), blue, 0.114).unsqueeze(-3)
    return found.to(image.dtype) if cut else found.floor()


def _grayscale_image(image, num_output_channels=1):
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels must be 1 or 3, got {num_output_channels}.")
    grey = _luma(image) if image.shape[-3] != 1 else image
    shape = list(image.shape)
    shape[-3] = num_output_channels
    return grey.expand(shape) if num_output_channels == 3 else grey.clone()


@dispatched(image=_grayscale_image, pil=first.rgb_to_grayscale, video=None)
def rgb_to_grayscale(inpt, num_output_channels=1):
    """Compute the luma: 0.2989 red + 0.587 green + 0.114 blue.

    Args:
        num_output_channels: 1, or 3, which are equal. Default: 1.

    Raises:
        ValueError: ``num_output_channels`` is not 1 or 3.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.rgb_to_grayscale(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1))
    tensor([[[0.2989]]])
    """


def _rgb_image(image):
    return image if image.shape[-3] >= 3 else _grayscale_image(image, 3)


@dispatched(image=_rgb_image, pil=lambda image: image.convert("RGB"), video=None)
def grayscale_to_rgb(inpt):
    """Give an image of one channel three equal ones.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.grayscale_to_rgb(torch.zeros(1, 4, 4)).shape
    torch.Size([3, 4, 4])
    """


@dispatched(image=first.adjust_brightness, pil=first.adjust_brightness)
def adjust_brightness(inpt, brightness_factor):
    """Multiply the image by a factor.

    Args:
        brightness_factor: 0 gives black, 1 the image itself; not negative.

    Raises:
        TypeError: The image does not have 1 or 3 channels.
        ValueError: The factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_brightness(torch.tensor([[[50, 200]]], dtype=torch.uint8), 1.5)
    tensor([[[ 75, 255]]], dtype=torch.uint8)
    """


def _saturation_image(image, saturation_factor):
    if saturation_factor < 0:
        raise ValueError(f"saturation_factor ({saturation_factor}) is not non-negative.")
    checked(image, "adjust_saturation")
    if channels_of(image) == 1:
        return image
    return _mix(image, _luma(image, cut=False), saturation_factor)


@dispatched(image=_saturation_image, pil=first.adjust_saturation)
def adjust_saturation(inpt, saturation_factor):
    """Change the saturation.

    Args:
        saturation_factor: 0 gives a grey image, 1 the image itself, larger factors more colour; not
            negative.

    Raises:
        TypeError: The image does not have 1 or 3 channels.
        ValueError: The factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_saturation(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 1.0).flatten()
    tensor([1., 0., 0.])
    """


def _contrast_image(image, contrast_factor):
    if contrast_factor < 0:
        raise ValueError(f"contrast_factor ({contrast_factor}) is not non-negative.")
    checked(image, "adjust_contrast")
    grey = image if image.shape[-3] == 1 else _luma(image, cut=False)
    grey = grey if grey.is_floating_point() else grey.float()
    return _mix(image, grey.mean((-3, -2, -1), keepdim=True), contrast_factor)


@dispatched(image=_contrast_image, pil=first.adjust_contrast)
def adjust_contrast(inpt, contrast_factor):
    """Change the contrast.

    Args:
        contrast_factor: 0 gives an even grey, 1 the image itself, larger factors more contrast; not
            negative.

    Raises:
        TypeError: The image does not have 1 or 3 channels.
        ValueError: The factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_contrast(torch.tensor([[[0.25, 0.75]]]), 0.0)
    tensor([[[0.5000, 0.5000]]])
    """


def _sharpness_image(image, sharpness_factor):
    checked(image, "adjust_sharpness")
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    if not image.numel() or min(image.shape[-2:]) <= 2:
        return image
    dtype = image.dtype if image.is_floating_point() else torch.float32
    batch, _ = float_batch(image, (dtype,))
    kernel = torch.full((3, 3), 1.0 / 13.0, dtype=dtype)
    kernel[1, 1] = 5.0 / 13.0
    smooth = F.conv2d(batch, kernel.expand(image.shape[-3], 1, 3, 3), groups=image.shape[-3])
    smooth = smooth if image.is_floating_point() else smooth.round()
    inner = batch[..., 1:-1, 1:-1]
    mixed = batch.clone()
    # Written so, equal pixels stay as they are. A sum of two shares may fall below them.
    if image.is_floating_point():
        mixed[..., 1:-1, 1:-1] = inner + (smooth - inner) * (1.0 - sharpness_factor)
    else:
        mixed[..., 1:-1, 1:-1] = _plus(inner, smooth - inner, 1.0 - sharpness_factor)
    return mixed.clamp(0, largest(image.dtype)).to(image.dtype).reshape(image.shape)


@dispatched(image=_sharpness_image, pil=first.adjust_sharpness)
def adjust_sharpness(inpt, sharpness_factor):
    """Change the sharpness.

    The pixels at the border stay unchanged.

    Args:
        sharpness_factor: 0 smooths, 1 changes nothing, and larger factors sharpen; not negative.

    Raises:
        TypeError: The image does not have 1 or 3 channels.
        ValueError: The factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_sharpness(torch.ones(1, 4, 4), 2.0).shape
    torch.Size([1, 4, 4])
    """


def _hue_image(image, hue_factor):
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    checked(image, "adjust_hue")
    if channels_of(image) == 1 or not image.numel():
        return image
    return scaled(turned(scaled(image, torch.float32), hue_factor), image.dtype)


@dispatched(image=_hue_image, pil=first.adjust_hue)
def adjust_hue(inpt, hue_factor):
    """Move every hue around the colour circle.

    Args:
        hue_factor: The share of a whole turn, from -0.5 to 0.5.

    Raises:
        TypeError: The image does not have 1 or 3 channels.
        ValueError: The factor is not from -0.5 to 0.5.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_hue(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 0.5).flatten()
    tensor([0., 1., 1.])
    """


def _gamma_image(image, gamma, gain=1.0):
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    x = image if image.is_floating_point() else scaled(image, torch.float32)
    x = x.pow(gamma)
    x = (x * gain).clamp(0, 1) if gain != 1.0 else x
    return scaled(x, image.dtype)


@dispatched(image=_gamma_image, pil=first.adjust_gamma)
def adjust_gamma(inpt, gamma, gain=1):
    """Compute gain · img^gamma, for values scaled to 0 to 1.

    Args:
        gamma: The exponent, not negative. Above 1 it makes shadows darker.
        gain: The factor. Default: 1.

    Raises:
        ValueError: ``gamma`` is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.adjust_gamma(torch.tensor([[[0.5]]]), 2.0)
    tensor([[[0.2500]]])
    """


def _posterize_image(image, bits):
    if not isinstance(bits, int) or not 0 <= bits <= 8:
        raise TypeError(f"bits must be a positive integer in the range [0, 8], got {bits} instead.")
    if image.is_floating_point():
        levels = 1 << bits
        return image.mul(levels).floor().clamp(0, levels - 1).mul(1.0 / levels)
    white = largest(image.dtype)
    below = white.bit_length() - bits
    return image if below <= 0 else image & (white >> below << below)


@dispatched(image=_posterize_image, pil=first.posterize)
def posterize(inpt, bits):
    """Keep only the highest bits of each value; the other bits become 0.

    Args:
        bits: Number of bits to keep, from 0 to 8.

    Raises:
        TypeError: ``bits`` is not an int from 0 to 8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.posterize(torch.tensor([[[100, 200]]], dtype=torch.uint8), 1)
    tensor([[[  0, 128]]], dtype=torch.uint8)
    """


def _invert_image(image):
    return largest(image.dtype) - image


@dispatched(image=_invert_image, pil=first.invert)
def invert(inpt):
    """Invert the image: subtract it from white.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.invert(torch.tensor([[[0, 55]]], dtype=torch.uint8))
    tensor([[[255, 200]]], dtype=torch.uint8)
    """


def _solarize_image(image, threshold):
    if threshold > largest(image.dtype):
        raise TypeError(f"solarize: threshold {threshold} is beyond white in {image.dtype}")
    return torch.where(image >= threshold, _invert_image(image), image)


@dispatched(image=_solarize_image, pil=first.solarize)
def solarize(inpt, threshold):
    """Invert all values that are at least a threshold.

    Args:
        threshold: The least value to invert.

    Raises:
        TypeError: The threshold exceeds the white of a tensor.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.solarize(torch.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.2500, 0.2500]]])
    """


def _autocontrast_image(image):
    checked(image, "autocontrast")
    if not image.numel():
        return image
    white = largest(image.dtype)
    x = image if image.is_floating_point() else image.float()
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    flat = low == high
    # The division by the rounded quotient is torchvision's: bytes are cut off after it.
    scale = torch.where(flat, 1.0, (high - low) * (1.0 / white))
    low = torch.where(flat, 0.0, low)
    return ((x - low) / scale).clamp(0, white).to(image.dtype)


@dispatched(image=_autocontrast_image, pil=first.autocontrast)
def autocontrast(inpt):
    """Stretch each channel so that its values reach from black to white.

    Raises:
        TypeError: The image does not have 1 or 3 channels.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.autocontrast(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0., 1.]]])
    """


def _equalize_image(image):
    if not image.numel():
        return image
    return scaled(equalized(scaled(image, torch.uint8)), image.dtype)


@dispatched(image=_equalize_image, pil=first.equalize)
def equalize(inpt):
    """Change the values of each channel so that all values are about equally frequent.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.equalize(torch.tensor([[[10, 20]]], dtype=torch.uint8)).dtype
    torch.uint8
    """


def _permute_image(image, permutation):
    if len(permutation) != channels_of(image):
        raise ValueError(
            "Length of permutation does not match number of channels: "
            f"{len(permutation)} != {channels_of(image)}"
        )
    return image.index_select(-3, torch.as_tensor(permutation)) if image.numel() else image


def _permute_pil(image, permutation):
    return first.to_pil_image(_permute_image(first.pil_to_tensor(image), permutation))


@dispatched(image=_permute_image, pil=_permute_pil)
def permute_channels(inpt, permutation):
    """Put the channels in another order.

    Args:
        permutation: The channels' numbers in the new order.

    Raises:
        ValueError: There are more or fewer numbers than channels.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.permute_channels(torch.arange(3).reshape(3, 1, 1), [2, 0, 1]).flatten()
    tensor([2, 0, 1])
    """
