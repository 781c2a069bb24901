"""What entries compare with the arguments of a call."""

import sys
from types import EllipsisType, NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.compiler.replay.memory import held, words
from rushlight.compiler.replay.records import ALL_LIKE, EQUAL, LIKE, STREAM
from rushlight.compiler.replay.tape import Refused
from rushlight.dtype import dtype as Dtype
from rushlight.random import Generator, default_generator
from rushlight.tensor import Size, Tensor

__all__ = ["Look", "is_parameter", "look_at"]

_DIGIT = 1 << 30  # an int below it has one digit
_PARTS = (int, slice, NoneType, EllipsisType)
_SINGLE = (bool, str, NoneType, EllipsisType, Dtype, np.dtype)  # compared by their addresses


class Look(NamedTuple):
    """How an argument of an entry, or an array that the entry makes, must lie; see ``records.py``.

    Attributes:
        turned: What a tensor's slot ``turned`` has.
        has_node: Whether the tensor has a history.
        cls: Tensor or Parameter, which some functions treat in different ways, or ndarray.
    """

    kind: int
    value: Any = None
    dtype: Any = None
    shape: tuple = ()
    strides: tuple = ()
    turned: Any = None
    has_node: bool = False
    cls: Any = Tensor

    def words(self):
        """The words of a look in machine code."""
        shape, strides = [words(*sizes, 0)[1] for sizes in (self.shape, self.strides)]
        about = held(self.dtype), len(self.shape), shape, strides
        value = held(self.value)
        if self.kind == LIKE:
            moves = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
            value = sum(moves) + self.dtype.itemsize
        return self.kind, value, *about, id(self.turned), self.has_node, id(self.cls)


def is_parameter(kind):
    """Whether a class is ``nn.Parameter``. ``nn`` is not imported for this: that takes 40 ms."""
    module = sys.modules.get("rushlight.nn.parameter")  # another thread may be importing it
    return kind is getattr(module, "Parameter", None)


def look_at(x):
    """(key, looks) of an argument. Raises Refused if entries cannot compare it."""
    kind = type(x)
    if kind is ndarray:
        look = Look(LIKE, None, x.dtype, x.shape, x.strides, cls=ndarray)
        return look, [look]
    if kind is Tensor or is_parameter(kind):
        a = x._array
        if type(a) is not ndarray:
            raise Refused
        has_node = x.node is not None and mode.records()
        look = Look(LIKE, None, a.dtype, a.shape, a.strides, x.turned, has_node, kind)
        return look, [look]
    if kind in (tuple, list) and any(isinstance(item, Tensor | ndarray) for item in x):
        inner = [look_at(item) for item in x]
        looks = [look for _, looks in inner for look in looks]
        if len(looks) > len(x):
            raise Refused  # a list in the list
        keys = [key for key, _ in inner]
        return (kind, *keys), [Look(ALL_LIKE, kind, shape=(0,) * len(x)), *looks]
    if kind is Generator and x is not default_generator:
        return kind, [Look(STREAM)]
    return (kind, _plain(x)), [Look(EQUAL, list(x) if kind is list else x)]


def _plain(x):
    """A value that ``comparing.equals`` compares, in a form that can be hashed."""
    kind = type(x)
    if kind is float:
        return x.hex()
    if isinstance(x, tuple) and hasattr(kind, "_fields"):  # compared by its address
        return id(x), *map(_plain, x)
    if kind in (tuple, list, Size) and all(type(i) in _PARTS for i in x):
        return tuple([_plain(i) for i in x])
    if kind is slice:
        return kind, *map(_plain, (x.start, x.stop, x.step))
    if isinstance(x, _SINGLE) or (kind is int and abs(x) < _DIGIT):
        return kind, x
    raise Refused
