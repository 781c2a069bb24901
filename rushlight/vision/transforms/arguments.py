"""Arguments that transforms share: sizes, angles, ranges, fills."""

import numbers
import warnings
from collections.abc import Sequence

from rushlight.tensor import Tensor
from rushlight.vision.images import channels_of

__all__ = ["angles", "fill_for", "fill_of", "lines", "ordered", "two_of"]


def two_of(value, name, counts=(2,)):
    """Check that ``value`` is a sequence whose length is one of ``counts``.

    Raises:
        TypeError: ``value`` is not a sequence.
        ValueError: ``value`` has another length.
    """
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a sequence, got {type(value)}")
    if len(value) not in counts:
        raise ValueError(f"{name} must have {' or '.join(map(str, counts))} numbers, got {value}")


def angles(value, name, counts=(2,)):
    """Return [low, high] in degrees. A number x stands for [-x, x]; a sequence is kept.

    Raises:
        ValueError: a single number is negative.
    """
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"{name}: a single number must be positive, got {value}")
        value = [-value, value]  # type: ignore[operator]
    else:
        two_of(value, name, counts)
    return [float(degrees) for degrees in value]


def ordered(scale, ratio, name):
    """Check that two ranges are sequences, and warn where one goes from high to low.

    Raises:
        TypeError: ``scale`` or ``ratio`` is not a sequence.
    """
    for value, what in ((scale, "scale"), (ratio, "ratio")):
        if not isinstance(value, Sequence):
            raise TypeError(f"{name}: {what} must be a sequence, got {type(value)}")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn(f"{name}: scale and ratio should be (min, max)", stacklevel=3)


def fill_of(fill, name):
    """Return ``fill``, or 0 if ``fill`` is None.

    Raises:
        TypeError: ``fill`` is neither a number nor a sequence.
    """
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError(f"{name}: fill must be a number or a sequence, got {type(fill)}")
    return fill


def fill_for(img, fill):
    """Return ``fill`` in the form for ``img``: for tensors, a list with a number per channel."""
    if not isinstance(img, Tensor) or fill is None:
        return fill
    if isinstance(fill, (int, float)):
        return [float(fill)] * channels_of(img)
    return [float(value) for value in fill]


def lines(name, entries):
    """The repr of a transform: ``name`` and, in brackets, one indented line for each entry."""
    return f"{name}(" + "".join(f"\n    {entry}" for entry in entries) + "\n)"
