"""Interpolation modes: the ways to compute values between pixels."""

from enum import Enum

__all__ = ["InterpolationMode", "as_mode", "pil_mode"]


class InterpolationMode(Enum):
    """The ways to compute values between pixels.

    The modes "box", "hamming" and "lanczos" work for Pillow images only.

    >>> from rushlight.vision.transforms import InterpolationMode
    >>> InterpolationMode.BILINEAR.value
    'bilinear'
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW = {  # Pillow's numbers; Pillow has one number for both kinds of nearest
    InterpolationMode.NEAREST: 0, InterpolationMode.LANCZOS: 1, InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3, InterpolationMode.BOX: 4, InterpolationMode.HAMMING: 5,
    InterpolationMode.NEAREST_EXACT: 0,
}  # fmt: skip


def as_mode(interpolation, name):
    """Return the mode ``interpolation``, which is a mode or Pillow's number for a mode.

    Raises:
        TypeError: ``interpolation`` is neither.
    """
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    for mode, number in _PILLOW.items():
        if type(interpolation) is not bool and interpolation == number:
            return mode
    raise TypeError(
        f"{name}: interpolation must be an InterpolationMode or a number of Pillow's, "
        f"got {interpolation!r}"
    )


def pil_mode(mode):
    """Pillow's number for a mode."""
    return _PILLOW[mode]
