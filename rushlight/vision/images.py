"""Functions for images: an image is a Pillow image or a tensor (..., C, H, W).

Pillow is imported only when a function needs it.
"""

import importlib
import sys

from rushlight.tensor import Tensor

__all__ = ["channels_of", "from_array", "is_pil", "is_tensor", "pillow", "size_of"]


def pillow(module="Image"):
    """Import and return a module of Pillow.

    Raises:
        ImportError: Pillow is not installed.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError("images need Pillow: pip install 'rushlight[vision]'") from error


def is_pil(image):
    """Whether ``image`` is a Pillow image. If Pillow was not imported, the answer is False."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def is_tensor(image, name):
    """Whether an image is a tensor (True) or a Pillow image (False).

    ``name`` is the function that got the image, for the error message.

    Raises:
        TypeError: ``image`` is neither, or is a tensor of fewer than two dims.
    """
    if isinstance(image, Tensor) and image.ndim >= 2:
        return True
    if is_pil(image):
        return False
    found = f"a tensor {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
    raise TypeError(f"{name}: expected a Pillow image or a tensor (..., C, H, W), got {found}")


def size_of(image, name="get_dimensions"):
    """The (height, width) of an image."""
    if is_tensor(image, name):
        return tuple(image.shape[-2:])
    return image.height, image.width


def channels_of(image, name="get_dimensions"):
    """The number of channels of an image."""
    if not is_tensor(image, name):
        return len(image.getbands())
    return 1 if image.ndim == 2 else image.shape[-3]


def from_array(array, mode):
    """The Pillow image of this mode whose pixels an array (H, W) or (H, W, C) holds."""
    size = (array.shape[1], array.shape[0])
    return pillow().frombuffer(mode, size, array.tobytes(), "raw", mode, 0, 1)
