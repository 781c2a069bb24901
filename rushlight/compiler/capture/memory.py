"""The memory that tensors of a trace look at, as NumPy arrays look at memory in eager mode.

A trace computes with values that never change. A tensor's array in a trace stands for memory, so
that ``detach()``, ``.data`` and every view of a tensor see what is written through another: a
``Memory`` holds the value that is in it now, and a ``Place`` says where an array looks into it.
"""

from typing import Any

import numpy as np

from rushlight.backend import numpy as xp
from rushlight.storage import address, offset, reach, span
from rushlight.strides import is_dense

__all__ = ["Memory", "Place", "along", "in_memory_order", "lies_alike", "overlaps"]


class Memory:
    """Memory and what is in it.

    Attributes:
        look: The abstract array over all of it.
        value: The abstract value that is in it now.
        version: How often it was written.
        key: The key of memory from outside; None of memory that the trace made.
        array: The array over memory from outside.
    """

    __slots__ = ("array", "key", "look", "value", "version")

    def __init__(self, look, value, key=None, array=None):
        self.look, self.value, self.key, self.array = look, value, key, array
        self.version = 0

    def write(self, value):
        """Put another value in."""
        self.value = value
        self.version += 1

    @property
    def geometry(self):
        """An array that lies as this memory does."""
        return self.look.like() if self.array is None else self.array

    def within(self, size, stride, start, **_):
        """``start`` of a view of the storage, counted from the first element of this memory.

        None where the view reaches beyond the memory, or the memory has gaps.

        Raises:
            RuntimeError: the view reaches beyond the storage.
        """
        whole = self.geometry
        reach(whole, size, stride, start, "as_strided")
        start -= offset(whole)
        look = self.look
        beyond = start < 0 or start + span(size, stride) > look.size
        return None if beyond or not is_dense(look.shape, look.strides, look.itemsize) else start

    def from_storage(self, path):
        """``path`` for a tensor that looks at this memory, wherever in its storage that is."""
        first = offset(self.geometry)
        return [
            (op, args, {**params, "start": params["start"] + first} if op.of_storage else params)
            for op, args, params in path
        ]


class Place:
    """Where an array looks: along the view operations of ``path`` into ``memory``.

    Attributes:
        look: The abstract array.
        value: What is there in the ``version`` of the memory.
    """

    __slots__ = ("look", "memory", "path", "value", "version")

    def __init__(self, memory, path, look, value=None, version=-1):
        self.memory, self.path, self.look = memory, path, look
        self.value: Any = value
        self.version = version

    def start(self):
        """Elements from the start of the storage to the first of the array."""
        whole = self.memory.geometry
        found = along(whole, self.path)
        between = address(found) - address(whole)
        return (offset(whole) * whole.itemsize + between) // found.itemsize


def along(array, path):
    """``array`` seen by way of view operations."""
    for op, args, params in path:
        array = op.forward(xp, array, *args, **params)
    return array


def in_memory_order(look):
    """The dims of an abstract array from the farthest apart to the nearest."""
    return sorted(range(look.ndim), key=lambda d: -look.strides[d])


def lies_alike(x, y):
    """Whether the dims of two abstract arrays lie in memory in one order, those of size 1, too."""
    order = lambda v: np.argsort([-s for s in v.strides], kind="stable").tolist()
    return x.strides == y.strides or (1 not in x.shape and order(x) == order(y))


def overlaps(look):
    """Whether elements of an abstract array may share memory, other than by strides of 0.

    Those of ``expand`` may be written with one value only, so that all get the same.
    """
    reached = look.itemsize
    for s, n in sorted(zip(look.strides, look.shape, strict=True)):
        if n > 1 and s:
            if s < reached and look.size:
                return True
            reached += (n - 1) * s
    return False
