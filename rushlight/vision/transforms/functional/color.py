"""Functions for colours: brightness, contrast, hue, and other changes of pixel values."""

import numpy as np

import rushlight as torch
from rushlight.vision.images import channels_of, from_array, is_pil, is_tensor, pillow
from rushlight.vision.transforms.functional.convert import convert_image_dtype, largest

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "autocontrast", "blend", "checked", "equalize", "equalized", "invert", "luma", "posterize",
    "rgb_to_grayscale", "solarize", "to_grayscale", "turned",
]  # fmt: skip


def checked(img, name, dims=2, dtype=None):
    """Whether the image is a tensor; if so, check that it has 1 or 3 channels.

    Raises:
        TypeError: the tensor has another shape, or its dtype is not ``dtype``.
    """
    if not is_tensor(img, name):
        return False
    if img.ndim < dims or channels_of(img) not in (1, 3):
        shape = tuple(img.shape)
        raise TypeError(
            f"{name}: expected a tensor of 1 or 3 channels, (..., C, H, W), got {shape}"
        )
    if dtype is not None and img.dtype is not dtype:
        raise TypeError(f"{name}: expected {dtype}, got {img.dtype}")
    return True


def _not_negative(name, parameter, value):
    if value < 0:
        raise ValueError(f"{name}: {parameter} must not be negative, got {value}")


def blend(img, other, ratio):
    """ratio · img + (1 - ratio) · other, within the range of ``img``'s type."""
    mixed = float(ratio) * img + (1.0 - float(ratio)) * other
    return mixed.clamp(0, largest(img.dtype)).to(img.dtype)


def rgb_to_grayscale(img, num_output_channels=1):
    """Compute the luma: 0.2989 red + 0.587 green + 0.114 blue.

    Args:
        img: Pillow image, or tensor ``(..., 3, H, W)`` or ``(..., 1, H, W)``.

    Returns:
        Pillow image, or tensor ``(..., num_output_channels, H, W)``; three channels are equal.

    Raises:
        TypeError: the image does not have 1 or 3 channels.
        ValueError: ``num_output_channels`` is not 1 or 3.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import rgb_to_grayscale
    >>> rgb_to_grayscale(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1))
    tensor([[[0.2989]]])
    """
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: 1 or 3 channels come out, not {num_output_channels}")
    if not checked(img, "rgb_to_grayscale", 3):
        grey = img.convert("L")
        if num_output_channels == 1:
            return grey
        return from_array(np.repeat(np.asarray(grey)[:, :, None], 3, 2), "RGB")
    grey = luma(img) if img.shape[-3] == 3 else img.clone()
    return grey.expand(img.shape) if num_output_channels == 3 else grey


def luma(img):
    red, green, blue = img.unbind(-3)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)


def to_grayscale(img, num_output_channels=1):
    """Make a Pillow image of any mode grey, as ``rgb_to_grayscale`` does.

    Args:
        img: Pillow image.

    Raises:
        TypeError: ``img`` is not a Pillow image.

    >>> from PIL import Image
    >>> from rushlight.vision.transforms.functional import to_grayscale
    >>> to_grayscale(Image.new("RGB", (2, 1))).mode
    'L'
    """
    if not is_pil(img):
        raise TypeError(f"to_grayscale: expected a Pillow image, got {type(img)}")
    return rgb_to_grayscale(img, num_output_channels)


def adjust_brightness(img, brightness_factor):
    """Multiply the image by a factor.

    Args:
        brightness_factor: 0 gives black, 1 the image itself; not negative.

    Raises:
        ValueError: the factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_brightness
    >>> adjust_brightness(torch.tensor([[[50, 200]]], dtype=torch.uint8), 1.5)
    tensor([[[ 75, 255]]], dtype=torch.uint8)
    """
    if not is_tensor(img, "adjust_brightness"):
        return pillow("ImageEnhance").Brightness(img).enhance(brightness_factor)
    _not_negative("adjust_brightness", "brightness_factor", brightness_factor)
    checked(img, "adjust_brightness")
    return blend(img, torch.zeros_like(img), brightness_factor)


def adjust_contrast(img, contrast_factor):
    """Change the contrast.

    Args:
        contrast_factor: 0 gives an even grey, 1 the image itself, larger factors more contrast; not
            negative.

    Raises:
        ValueError: the factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_contrast
    >>> adjust_contrast(torch.tensor([[[0.25, 0.75]]]), 0.0)
    tensor([[[0.5000, 0.5000]]])
    """
    if not is_tensor(img, "adjust_contrast"):
        return pillow("ImageEnhance").Contrast(img).enhance(contrast_factor)
    _not_negative("adjust_contrast", "contrast_factor", contrast_factor)
    checked(img, "adjust_contrast")
    grey = luma(img) if channels_of(img) == 3 else img
    grey = grey if grey.is_floating_point() else grey.float()
    return blend(img, grey.mean((-3, -2, -1), keepdim=True), contrast_factor)


def adjust_saturation(img, saturation_factor):
    """Change the saturation.

    Args:
        saturation_factor: 0 gives a grey image, 1 the image itself, larger factors more colour; not
            negative.

    Raises:
        ValueError: the factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_saturation
    >>> adjust_saturation(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 1.0).flatten()
    tensor([1., 0., 0.])
    """
    if not is_tensor(img, "adjust_saturation"):
        return pillow("ImageEnhance").Color(img).enhance(saturation_factor)
    _not_negative("adjust_saturation", "saturation_factor", saturation_factor)
    checked(img, "adjust_saturation")
    return img if channels_of(img) == 1 else blend(img, luma(img), saturation_factor)


def adjust_hue(img, hue_factor):
    """Move every hue around the colour circle.

    Args:
        hue_factor: The share of a whole turn, from -0.5 to 0.5.

    Raises:
        ValueError: the factor is not from -0.5 to 0.5.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_hue
    >>> adjust_hue(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 0.5).flatten()
    tensor([0., 1., 1.])
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: hue_factor must be from -0.5 to 0.5, got {hue_factor}")
    if checked(img, "adjust_hue"):
        if channels_of(img) == 1:
            return img
        return convert_image_dtype(turned(convert_image_dtype(img), hue_factor), img.dtype)
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    step = np.int32(hue_factor * 255).astype(np.uint8)  # wraps around modulo 256
    hue = from_array(np.asarray(hue) + step, "L")
    return pillow().merge("HSV", (hue, saturation, value)).convert(img.mode)


def turned(img, hue_factor):
    """The hue of float colours (..., 3, H, W) moved by a share of a turn."""
    hue, saturation, value = _hsv(img)
    return _rgb((hue + hue_factor) % 1.0, saturation, value)


def _hsv(img):
    """Hue, saturation and value, each from 0 to 1."""
    red, green, blue = img.unbind(-3)
    high, low = img.amax(-3), img.amin(-3)
    grey = high == low
    spread = high - low
    one = torch.ones_like(high)
    saturation = spread / torch.where(grey, one, high)
    scale = torch.where(grey, one, spread)
    r, g, b = (high - red) / scale, (high - green) / scale, (high - blue) / scale
    is_red = high == red
    is_green = (high == green) & ~is_red
    hue = torch.where(is_red, b - g, torch.where(is_green, 2.0 + r - b, 4.0 + g - r))
    return torch.fmod(hue / 6.0 + 1.0, 1.0), saturation, high


def _rgb(hue, saturation, value):
    """Colours (..., 3, H, W) from hue, saturation and value."""
    sector = torch.floor(hue * 6.0)
    part = hue * 6.0 - sector
    sector = sector.to(torch.int64) % 6
    p = (value * (1.0 - saturation)).clamp(0.0, 1.0)
    q = (value * (1.0 - saturation * part)).clamp(0.0, 1.0)
    t = (value * (1.0 - saturation * (1.0 - part))).clamp(0.0, 1.0)
    channels = [(value, q, p, p, t, value), (t, value, value, q, p, p), (p, p, t, value, value, q)]
    picked = [
        torch.stack(choices, -3).gather(-3, sector.unsqueeze(-3)) for choices in channels
    ]  # fmt: skip
    return torch.cat(picked, -3)


def adjust_gamma(img, gamma, gain=1):
    """Compute gain · img^gamma, for values scaled to 0 to 1.

    Args:
        gamma: The exponent, not negative. Above 1 it makes shadows darker.
        gain: The factor. Default: 1.

    Raises:
        ValueError: ``gamma`` is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_gamma
    >>> adjust_gamma(torch.tensor([[[0.5]]]), 2.0)
    tensor([[[0.2500]]])
    """
    _not_negative("adjust_gamma", "gamma", gamma)
    if checked(img, "adjust_gamma"):
        x = img if img.is_floating_point() else convert_image_dtype(img)
        return convert_image_dtype((gain * x.pow(gamma)).clamp(0, 1), img.dtype)
    table = [int((256 - 1e-3) * gain * (value / 255.0) ** gamma) for value in range(256)]
    return img.convert("RGB").point(table * 3).convert(img.mode)


def invert(img):
    """Invert the image: subtract it from white.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import invert
    >>> invert(torch.tensor([[[0, 55]]], dtype=torch.uint8))
    tensor([[[255, 200]]], dtype=torch.uint8)
    """
    if not checked(img, "invert", 3):
        return pillow("ImageOps").invert(img)
    return largest(img.dtype) - img


def posterize(img, bits):
    """Keep only the highest bits of each value; the other bits become 0.

    Args:
        img: Pillow image, or uint8 tensor ``(..., C, H, W)``.
        bits: Number of bits to keep, from 0 to 8.

    Raises:
        ValueError: ``bits`` is not from 0 to 8.
        TypeError: a tensor is not of uint8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import posterize
    >>> posterize(torch.tensor([[[100, 200]]], dtype=torch.uint8), 1)
    tensor([[[  0, 128]]], dtype=torch.uint8)
    """
    if not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits must be from 0 to 8, got {bits}")
    if not checked(img, "posterize", 3, torch.uint8):
        return pillow("ImageOps").posterize(img, bits)
    return img & (256 - 2 ** (8 - bits))


def solarize(img, threshold):
    """Invert all values that are at least a threshold.

    Args:
        threshold: The least value to invert.

    Raises:
        TypeError: the threshold exceeds the white of a tensor.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import solarize
    >>> solarize(torch.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.2500, 0.2500]]])
    """
    if not checked(img, "solarize", 3):
        return pillow("ImageOps").solarize(img, threshold)
    if threshold > largest(img.dtype):
        raise TypeError(f"solarize: threshold {threshold} is beyond white in {img.dtype}")
    return torch.where(img >= threshold, invert(img), img)


def autocontrast(img):
    """Stretch each channel so that its values reach from black to white.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import autocontrast
    >>> autocontrast(torch.tensor([[[0.25, 0.75]]]))
    tensor([[[0., 1.]]])
    """
    if not checked(img, "autocontrast", 3):
        return pillow("ImageOps").autocontrast(img)
    white = largest(img.dtype)
    x = img if img.is_floating_point() else img.float()
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    flat = low == high
    scale = torch.where(flat, torch.ones_like(low), white / torch.where(flat, 1.0, high - low))
    low = torch.where(flat, torch.zeros_like(low), low)
    return ((img - low) * scale).clamp(0, white).to(img.dtype)


def equalize(img):
    """Change the values of each channel so that all values are about equally frequent.

    Args:
        img: Pillow image, or uint8 tensor ``(..., C, H, W)``.

    Raises:
        TypeError: a tensor is not of uint8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import equalize
    >>> equalize(torch.tensor([[[10, 20]]], dtype=torch.uint8)).dtype
    torch.uint8
    """
    if not checked(img, "equalize", 3, torch.uint8):
        return pillow("ImageOps").equalize(img)
    return equalized(img)


def equalized(img):
    """The equalised channels of a uint8 tensor (..., H, W)."""
    flat = img.detach().numpy().reshape(-1, *img.shape[-2:])
    found = np.stack([_equalized_channel(channel) for channel in flat])
    return torch.from_numpy(found).reshape(img.shape)


def _equalized_channel(channel):
    counts = np.bincount(channel.ravel(), minlength=256)
    step = counts[counts > 0][:-1].sum() // 255
    if step == 0:
        return channel
    before = np.cumsum(counts) - counts
    return np.clip((before + step // 2) // step, 0, 255).astype(np.uint8)[channel]
