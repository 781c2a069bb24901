"""Filters, which compute each pixel from the pixels around it."""

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.vision.images import is_tensor, pillow
from rushlight.vision.transforms.functional.color import blend
from rushlight.vision.transforms.functional.convert import pil_to_tensor, to_pil_image
from rushlight.vision.transforms.functional.size import float_batch

__all__ = ["adjust_sharpness", "gaussian_blur"]


def _two(value, name, kinds):
    if isinstance(value, kinds):
        return [value, value]
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"gaussian_blur: {name} must be a number or a sequence, got {type(value)}")
    value = list(value) * 2 if len(value) == 1 and name == "sigma" else list(value)
    if len(value) != 2:
        raise ValueError(f"gaussian_blur: {name} must have two numbers, got {value}")
    return value


def gaussian_blur(img, kernel_size, sigma=None):
    """Blur the image.

    Args:
        kernel_size: Size of the kernel in pixels, odd: an int, or (width, height).
        sigma: Deviation in pixels: a number, or two for x and y. Default: 0.15 · ``kernel_size`` +
            0.35.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: a size is not odd and positive, or a ``sigma`` is not positive.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import gaussian_blur
    >>> gaussian_blur(torch.eye(3)[None], 3, 0.5)[0, 1]
    tensor([0.2515, 0.6420, 0.2515])
    """
    sizes = _two(kernel_size, "kernel_size", int)
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"gaussian_blur: kernel_size must be odd and positive, got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    sigmas = _two(sigma, "sigma", (int, float))
    if any(s <= 0 for s in sigmas):
        raise ValueError(f"gaussian_blur: sigma must be positive, got {sigmas}")
    if not is_tensor(img, "gaussian_blur"):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, sigmas), img.mode)
    dtype = img.dtype if img.is_floating_point() else torch.float32
    x, y = (_gaussian(size, s, dtype) for size, s in zip(sizes, sigmas, strict=True))
    batch, undo = float_batch(img, (dtype,))
    margins = [sizes[0] // 2] * 2 + [sizes[1] // 2] * 2
    return undo(_filtered(F.pad(batch, margins, mode="reflect"), y[:, None] * x))


def _gaussian(size, sigma, dtype):
    places = torch.linspace(-(size - 1) * 0.5, (size - 1) * 0.5, size, dtype=dtype)
    weights = torch.exp(-0.5 * (places / sigma).pow(2))
    return weights / weights.sum()


def _filtered(batch, kernel):
    """Each channel of (N, C, H, W), filtered by the same kernel, without padding."""
    channels = batch.shape[1]
    kernel = kernel.expand(channels, 1, *kernel.shape)
    return F.conv2d(batch, kernel, groups=channels)


def adjust_sharpness(img, sharpness_factor):
    """Change the sharpness.

    The pixels at the border stay unchanged.

    Args:
        sharpness_factor: 0 smooths, 1 returns the image itself, and larger factors sharpen; not
            negative.

    Raises:
        ValueError: the factor is negative.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.functional import adjust_sharpness
    >>> adjust_sharpness(torch.ones(1, 4, 4), 2.0).shape
    torch.Size([1, 4, 4])
    """
    if not is_tensor(img, "adjust_sharpness"):
        return pillow("ImageEnhance").Sharpness(img).enhance(sharpness_factor)
    if sharpness_factor < 0:
        raise ValueError(
            f"adjust_sharpness: sharpness_factor must not be negative, got {sharpness_factor}"
        )
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    dtype = img.dtype if img.is_floating_point() else torch.float32
    kernel = torch.ones((3, 3), dtype=dtype)
    kernel[1, 1] = 5.0
    batch, undo = float_batch(img, (dtype,))
    smooth = img.clone()
    smooth[..., 1:-1, 1:-1] = undo(_filtered(batch, kernel / kernel.sum()))
    return blend(img, smooth, sharpness_factor)
