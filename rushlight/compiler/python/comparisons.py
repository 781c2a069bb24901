"""Comparison of the values that a recorded call found with those of another call."""

import enum
import math
import operator
from types import NoneType

import numpy as np

from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber
from rushlight.device import device
from rushlight.dtype import dtype
from rushlight.tensor import Size

__all__ = ["equal", "is_plain", "same_objects"]

_PLAIN = (
    int, float, str, bool, bytes, complex, NoneType, slice, range, enum.Enum, dtype, device,
    np.dtype, np.generic,
)  # fmt: skip


def is_plain(value):
    """Whether ``value`` is compared by value, not by identity: a number, a text, a tuple of these.

    Other constants, such as dtypes, slices and enum members, count, too.
    """
    if isinstance(value, (tuple, frozenset)):
        return type(value) in (tuple, frozenset, Size) and all(map(is_plain, value))
    return isinstance(value, _PLAIN) and type(value) is not SymbolicNumber


def equal(x, y):
    """Whether two plain values are the same; 1, 1.0 and True are three different values."""
    if type(x) is not type(y):
        return False
    if type(x) is tuple:
        return len(x) == len(y) and all(map(equal, x, y))
    if x == 0 and isinstance(x, (float, np.floating)):
        return y == 0 and math.copysign(1, x) == math.copysign(1, y)
    return bool(x == y) or bool(x != x and y != y)


def same_objects(items, before):
    """Whether ``items`` are, one by one, the same objects as ``before``; 20 ns for each."""
    return len(items) == len(before) and all(map(operator.is_, items, before))
