"""Data sets, transforms and models for images, under torchvision's names."""

from rushlight.vision import datasets, io, models, ops, transforms, utils

__version__ = "0.28.0+rushlight"
__all__ = [
    "datasets", "get_image_backend", "io", "models", "ops", "set_image_backend", "transforms",
    "utils",
]  # fmt: skip


def get_image_backend():
    """The package that reads images: "PIL"."""
    return "PIL"


def set_image_backend(backend):
    """Choose the package that reads images: there is one.

    Raises:
        ValueError: it is not "PIL".
    """
    if backend != "PIL":
        raise ValueError(f"set_image_backend: rushlight has 'PIL', got {backend!r}")
