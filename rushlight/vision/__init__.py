"""Data sets, transforms and models for images, under torchvision's names."""

import importlib

from rushlight import version as _version
from rushlight.vision import datasets, io, models, ops, transforms, utils

__all__ = [
    "datasets", "get_image_backend", "io", "models", "ops", "set_image_backend", "transforms",
    "utils",
]  # fmt: skip
__version__ = _version.vision


def __getattr__(name):
    # A class with __torch_function__ makes all operations slower, so these are loaded when used.
    if name == "tv_tensors":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_image_backend():
    """Return the name of the package that reads images.

    Returns:
        ``"PIL"``.

    >>> from rushlight import vision
    >>> vision.get_image_backend()
    'PIL'
    """
    return "PIL"


def set_image_backend(backend):
    """Choose the package that reads images, of which there is one.

    Args:
        backend: ``"PIL"``.

    Raises:
        ValueError: ``backend`` is not ``"PIL"``.

    >>> from rushlight import vision
    >>> vision.set_image_backend("PIL")
    """
    if backend != "PIL":
        raise ValueError(f"set_image_backend: rushlight has 'PIL', got {backend!r}")
