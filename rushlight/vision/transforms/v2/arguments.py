"""Arguments that transforms of samples share."""

from collections.abc import Sequence

__all__ = ["check_padding", "numbers_of"]


def numbers_of(value, name):
    """Two floats from a number, or from a sequence of one or two.

    Raises:
        TypeError: ``value`` is neither a number nor a sequence.
        ValueError: The sequence has another length, or holds something else.
    """
    if isinstance(value, (int, float)):
        return [float(value)] * 2
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a number or a sequence of numbers. Got {type(value)}")
    if len(value) not in (1, 2) or not all(isinstance(part, (int, float)) for part in value):
        raise ValueError(f"{name} should be a sequence of one or two numbers. Got {value}")
    return [float(value[0]), float(value[-1])]


def check_padding(padding, padding_mode):
    """Check the arguments of a padding.

    Raises:
        ValueError: ``padding`` is not one, two or four ints, or the mode is not known.
    """
    several = isinstance(padding, (tuple, list)) and len(padding) in (1, 2, 4)
    if not isinstance(padding, int) and not (several and all(isinstance(p, int) for p in padding)):
        raise ValueError(f"Padding must be an int or 1, 2 or 4 ints, got {padding}.")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
