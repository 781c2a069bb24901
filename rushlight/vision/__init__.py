"""Data sets, transforms and models for images, under torchvision's names."""

from rushlight.vision import datasets, io, models, ops, transforms, utils

__version__ = "0.28.0+rushlight"
__all__ = [
    "datasets", "get_image_backend", "io", "models", "ops", "set_image_backend", "transforms",
    "utils",
]  # fmt: skip


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
