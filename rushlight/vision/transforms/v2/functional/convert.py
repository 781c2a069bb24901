"""What images are, conversions, noise and blur, and parts that are erased."""

import io

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.images import is_pil, pillow
from rushlight.vision.io import decode_jpeg, encode_jpeg
from rushlight.vision.transforms import functional as first
from rushlight.vision.transforms.functional.convert import largest
from rushlight.vision.transforms.v2.functional.registry import dispatched

__all__ = [
    "convert_image_dtype", "erase", "gaussian_blur", "gaussian_noise", "get_dimensions",
    "get_num_channels", "get_num_frames", "get_size", "jpeg", "normalize", "scaled", "to_dtype",
    "to_image", "uniform_temporal_subsample",
]  # fmt: skip


@dispatched(image=first.get_dimensions, pil=first.get_dimensions)
def get_dimensions(inpt):
    """Return the number of channels and the size of an image or video.

    Returns:
        List [channels, height, width].

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.get_dimensions(torch.zeros(3, 4, 8))
    [3, 4, 8]
    """


@dispatched(image=first.get_image_num_channels, pil=first.get_image_num_channels)
def get_num_channels(inpt):
    """Return the number of channels of an image or video.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.get_num_channels(torch.zeros(3, 4, 8))
    3
    """


def _size(image):
    return first.get_image_size(image)[::-1]


def _canvas(bounding_boxes, canvas_size):
    return list(canvas_size)


@dispatched(image=_size, pil=_size, mask=_size, boxes=_canvas, keypoints=_canvas)
def get_size(inpt):
    """Return the size of an image, a video or a mask, or of the canvas of boxes or points.

    Returns:
        List [height, width].

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.get_size(torch.zeros(3, 4, 8))
    [4, 8]
    """


def _frames(video):
    return video.shape[-4]


@dispatched(image=None, video=_frames, plain=_frames)
def get_num_frames(inpt):
    """Return the number of frames of a video (..., T, C, H, W).

    Returns:
        An int.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.get_num_frames(torch.zeros(5, 3, 4, 8))
    5
    """


def _subsample(video, num_samples):
    places = torch.linspace(0, video.shape[-4] - 1, num_samples).long()
    return video.index_select(-4, places)


@dispatched(image=None, video=_subsample, plain=_subsample)
def uniform_temporal_subsample(inpt, num_samples):
    """Take ``num_samples`` frames at equal distances from a video.

    Args:
        inpt: ``tv_tensors.Video``, or a plain tensor ``(..., T, C, H, W)``.
        num_samples: Number of frames of the result.

    Returns:
        Video of the same kind as ``inpt``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.uniform_temporal_subsample(torch.arange(9).reshape(9, 1, 1, 1), 3).flatten()
    tensor([0, 4, 8])
    """


def scaled(image, dtype):
    """``image`` in another element type, so that white stays white."""
    if dtype.is_floating_point and not image.is_floating_point():
        # Not a division: the product is torchvision's here, and may differ in the last digit.
        return image.to(dtype) * (1.0 / largest(image.dtype))
    return first.convert_image_dtype(image, dtype)


def _to_dtype_image(image, dtype=torch.float32, scale=False):
    return scaled(image, dtype) if scale else image.to(dtype)


def _to_dtype_only(inpt, dtype=torch.float32, scale=False):
    return inpt.to(dtype)


@dispatched(
    image=_to_dtype_image, mask=_to_dtype_only, boxes=_to_dtype_only, keypoints=_to_dtype_only
)
def to_dtype(inpt, dtype=torch.float32, scale=False):
    """Convert to another element type.

    Args:
        dtype: The new element type. Default: ``torch.float32``.
        scale: Scale images and videos so that white stays white. Default: False.

    Raises:
        RuntimeError: The image's floating-point type is too imprecise for integers of ``dtype``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.to_dtype(torch.tensor([[0, 51, 255]], dtype=torch.uint8), torch.float32, scale=True)
    tensor([[0.0000, 0.2000, 1.0000]])
    """


def convert_image_dtype(image, dtype=torch.float32):
    """Convert an image to another element type, scaled so that white stays white.

    Args:
        image: Tensor of any shape ``(*)``.
        dtype: The new element type. Default: ``torch.float32``.

    Returns:
        Tensor of ``image``'s shape.

    Raises:
        RuntimeError: The image's floating-point type is too imprecise for integers of ``dtype``.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.convert_image_dtype(torch.tensor([[0, 51, 255]], dtype=torch.uint8))
    tensor([[0.0000, 0.2000, 1.0000]])
    """
    return scaled(image, dtype)


def _normalize_image(image, mean, std, inplace=False):
    return first.normalize(image, mean, std, inplace)


@dispatched(image=_normalize_image)
def normalize(inpt, mean, std, inplace=False):
    """Subtract a mean from each channel, and divide it by a standard deviation.

    Args:
        mean: Sequence of the channels' means.
        std: Sequence of the channels' standard deviations, none of them 0.
        inplace: Write into ``inpt`` itself. Default: False.

    Raises:
        TypeError: ``inpt`` is not a floating-point tensor.
        ValueError: ``inpt`` has fewer than three dims, or a ``std`` is 0.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.normalize(torch.ones(2, 1, 1), [0.5, 0.0], [0.5, 2.0]).flatten()
    tensor([1.0000, 0.5000])
    """


def _blur_image(image, kernel_size, sigma=None):
    if isinstance(image, Tensor) and not image.numel():
        return image
    return first.gaussian_blur(image, kernel_size, sigma)


@dispatched(image=_blur_image, pil=_blur_image)
def gaussian_blur(inpt, kernel_size, sigma=None):
    """Blur the image.

    Args:
        kernel_size: Size of the kernel in pixels, odd: an int, or (width, height).
        sigma: Deviation in pixels: a number, or two for x and y. Default: 0.15 · ``kernel_size`` +
            0.35.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: A size is not odd and positive, or a ``sigma`` is not positive.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.gaussian_blur(torch.eye(3)[None], 3, 0.5)[0, 1]
    tensor([0.2515, 0.6420, 0.2515])
    """


def _noise_image(image, mean=0.0, sigma=0.1, clip=True):
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if image.is_floating_point():
        out = image + (mean + torch.randn_like(image) * sigma)
        return out.clamp(0, 1) if clip else out
    if image.dtype is not torch.uint8:
        raise ValueError(f"Input tensor is expected to be uint8 or float, got {image.dtype}")
    noise = mean * 255 + torch.randn_like(image, dtype=torch.float32) * (sigma * 255)
    out = image + noise.to(torch.int16)
    return (out.clamp(0, 255) if clip else out).to(torch.uint8)


def _noise_pil(image, mean=0.0, sigma=0.1, clip=True):
    raise ValueError("Gaussian Noise is not implemented for PIL images.")


@dispatched(image=_noise_image, pil=_noise_pil)
def gaussian_noise(inpt, mean=0.0, sigma=0.1, clip=True):
    """Add normal noise to each value.

    Args:
        mean: Mean of the noise, as a share of white. Default: 0.
        sigma: Standard deviation of the noise, as a share of white. Default: 0.1.
        clip: Cut the result off at black and white. Default: True.

    Raises:
        ValueError: ``sigma`` is negative, or the image is neither floating point nor of uint8.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.gaussian_noise(torch.ones(3, 2, 2), sigma=0.0).mean()
    tensor(1.)
    """


def _erase_pil(image, i, j, h, w, v, inplace=False):
    erased = first.erase(first.pil_to_tensor(image), i, j, h, w, v, inplace)
    return first.to_pil_image(erased, image.mode)


@dispatched(image=first.erase, pil=_erase_pil)
def erase(inpt, i, j, h, w, v, inplace=False):
    """Overwrite a part of an image.

    Args:
        i, j: The first row and the first column of the part.
        h, w: Number of rows and of columns of the part.
        v: The new values: any shape that broadcasts to ``(..., C, h, w)``.
        inplace: Write into ``inpt`` itself. Default: False.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.erase(torch.tensor([[[1, 2, 3]]]), 0, 1, 1, 2, torch.tensor(0))
    tensor([[[1, 0, 0]]])
    """


def _jpeg_image(image, quality):
    batch = image.reshape(-1, *image.shape[-3:])
    if not len(batch):
        return image.clone()
    found = [decode_jpeg(encode_jpeg(one, quality)) for one in batch]
    return torch.stack(found).reshape(image.shape)


def _jpeg_pil(image, quality):
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return pillow().open(file).copy()


@dispatched(image=_jpeg_image, pil=_jpeg_pil)
def jpeg(inpt, quality):
    """Write the image as a JPEG file, and read it again: some of it is lost.

    Args:
        quality: From 1 to 100.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.jpeg(torch.full((3, 8, 8), 100, dtype=torch.uint8), 50).float().mean()
    tensor(100.)
    """


def to_image(inpt):
    """Make a ``tv_tensors.Image``.

    Args:
        inpt: Pillow image, array ``(H, W)`` or ``(H, W, C)``, or tensor ``(..., C, H, W)``.

    Returns:
        Image with the same element type.

    Raises:
        TypeError: ``inpt`` is none of them.

    >>> import numpy as np
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.to_image(np.zeros((4, 8, 3), np.uint8)).shape
    torch.Size([3, 4, 8])
    """
    if isinstance(inpt, np.ndarray):
        inpt = torch.from_numpy(np.atleast_3d(inpt)).permute(2, 0, 1).contiguous()
    elif not isinstance(inpt, Tensor) and not is_pil(inpt):
        raise TypeError(
            f"Input can either be a pure Tensor, a numpy array, or a PIL image, got {type(inpt)}"
        )
    return tv_tensors.Image(inpt)
