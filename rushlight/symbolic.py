"""Symbolic numbers: PyTorch's classes for sizes that a recording leaves open.

Rushlight records with plain numbers, so there are no objects of these classes. Libraries ask
whether a size is one, and convert numbers by functions that also know symbolic ones.
"""

import math
from typing import Any

from rushlight.tensor import Tensor

__all__ = [
    "SymBool", "SymFloat", "SymInt", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min",
    "sym_not", "sym_sqrt", "sym_sum",
]  # fmt: skip


class _Symbolic:
    def __init__(self, *args, **kwargs):
        raise NotImplementedError(
            f"torch.{type(self).__name__}: rushlight records with plain numbers"
        )


class SymInt(_Symbolic):
    """The class of open whole numbers. It has no objects.

    >>> import rushlight as torch
    >>> isinstance(torch.ones(2).shape[0], torch.SymInt)
    False
    """


class SymFloat(_Symbolic):
    """The class of open real numbers. It has no objects.

    >>> import rushlight as torch
    >>> isinstance(0.5, torch.SymFloat)
    False
    """


class SymBool(_Symbolic):
    """The class of open truth values. It has no objects.

    >>> import rushlight as torch
    >>> isinstance(True, torch.SymBool)
    False
    """


def sym_int(a):
    """Return ``a`` as an int, rounded towards zero.

    Args:
        a: A number.

    >>> import rushlight as torch
    >>> torch.sym_int(-2.5)
    -2
    """
    return int(a)


def sym_float(a):
    """Return ``a`` as a float.

    Args:
        a: A number.

    >>> import rushlight as torch
    >>> torch.sym_float(2)
    2.0
    """
    return float(a)


def sym_not(a):
    """Return the opposite of a truth value.

    Args:
        a: True or False.

    >>> import rushlight as torch
    >>> torch.sym_not(True)
    False
    """
    return not a


def sym_max(a, b):
    """Return the larger number; a float if one of the two is a float.

    Args:
        a, b: Numbers.

    >>> import rushlight as torch
    >>> torch.sym_max(3, 2.0)
    3.0
    """
    return _like_both(max(a, b), a, b)


def sym_min(a, b):
    """Return the smaller number; a float if one of the two is a float.

    Args:
        a, b: Numbers.

    >>> import rushlight as torch
    >>> torch.sym_min(3, 2)
    2
    """
    return _like_both(min(a, b), a, b)


def sym_sqrt(a):
    """Return the square root of a number.

    Args:
        a: A number that is not negative.

    >>> import rushlight as torch
    >>> torch.sym_sqrt(9)
    3.0
    """
    return math.sqrt(a)


def sym_sum(args):
    """Return the sum of numbers.

    Args:
        args: A list of numbers.

    >>> import rushlight as torch
    >>> torch.sym_sum([1, 2])
    3
    """
    return sum(args)


def sym_ite(b, t, f):
    """Return ``t`` if ``b`` is True, else ``f``.

    Args:
        b: True or False.
        t, f: Values of one type.

    >>> import rushlight as torch
    >>> torch.sym_ite(True, 1, 2)
    1
    """
    return t if b else f


def _like_both(found, a, b) -> Any:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return found
    return float(found) if isinstance(a, float) or isinstance(b, float) else found
