"""Transforms as functions of images, videos, masks, boxes and points.

The class of the first argument (``tv_tensors``, a Pillow image or a plain tensor) chooses the
computation. Functions that end in ``_image``, ``_video``, ``_mask``, ``_bounding_boxes`` and
``_keypoints`` are these computations for plain tensors.
"""

import warnings

from rushlight.docstrings import document
from rushlight.vision.transforms import functional as _first
from rushlight.vision.transforms.functional import InterpolationMode, pil_to_tensor, to_pil_image
from rushlight.vision.transforms.v2.functional.boxes import (
    clamp_bounding_boxes,
    clamp_keypoints,
    convert_bounding_box_format,
    sanitize_bounding_boxes,
    sanitize_keypoints,
)
from rushlight.vision.transforms.v2.functional.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    grayscale_to_rgb,
    invert,
    permute_channels,
    posterize,
    rgb_to_grayscale,
    solarize,
)
from rushlight.vision.transforms.v2.functional.convert import (
    convert_image_dtype,
    erase,
    gaussian_blur,
    gaussian_noise,
    get_dimensions,
    get_num_channels,
    get_num_frames,
    get_size,
    jpeg,
    normalize,
    to_dtype,
    to_image,
    uniform_temporal_subsample,
)
from rushlight.vision.transforms.v2.functional.geometry import (
    affine,
    center_crop,
    crop,
    elastic,
    five_crop,
    horizontal_flip,
    pad,
    perspective,
    resize,
    resized_crop,
    rotate,
    ten_crop,
    vertical_flip,
)
from rushlight.vision.transforms.v2.functional.registry import (
    is_pure_tensor,
    public_kernels,
    register_kernel,
)

elastic_transform, hflip, to_grayscale, vflip = (
    elastic, horizontal_flip, rgb_to_grayscale, vertical_flip
)  # fmt: skip
get_image_num_channels = get_num_channels


def get_image_size(inpt):
    """Deprecated: use ``get_size``, which gives [height, width]. This gives [width, height]."""
    warnings.warn("get_image_size(...) is deprecated: use get_size(...)", stacklevel=2)
    return _first.get_image_size(inpt)


def to_tensor(inpt):
    """Deprecated: use ``to_image``, then ``to_dtype(…, scale=True)``."""
    warnings.warn(
        "to_tensor(...) is deprecated: use to_image(...), then to_dtype(..., scale=True)",
        stacklevel=2,
    )
    return _first.to_tensor(inpt)


__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue",
    "adjust_saturation", "adjust_sharpness", "affine", "autocontrast", "center_crop",
    "clamp_bounding_boxes", "clamp_keypoints", "convert_bounding_box_format",
    "convert_image_dtype", "crop", "elastic", "elastic_transform", "equalize", "erase",
    "five_crop", "gaussian_blur", "gaussian_noise", "get_dimensions", "get_image_num_channels",
    "get_image_size", "get_num_channels", "get_num_frames", "get_size", "grayscale_to_rgb",
    "hflip", "horizontal_flip", "invert", "is_pure_tensor", "jpeg", "normalize", "pad",
    "permute_channels", "perspective", "pil_to_tensor", "posterize", "register_kernel", "resize",
    "resized_crop", "rgb_to_grayscale", "rotate", "sanitize_bounding_boxes", "sanitize_keypoints",
    "solarize", "ten_crop", "to_dtype", "to_grayscale", "to_image", "to_pil_image", "to_tensor",
    "uniform_temporal_subsample", "vertical_flip", "vflip",
]  # fmt: skip

_kernels = public_kernels(globals()[_name] for _name in __all__)
globals().update(_kernels)
__all__ += list(_kernels)

for _name in __all__:
    document(globals()[_name], "image input function")
