"""The memory that tensors of a trace look at, as NumPy arrays look at memory in eager mode.

The values of a trace never change, but tensors can be written. So the array of a traced tensor
stands for a piece of memory: a ``Memory`` holds its present value, and a ``Place`` says which part
of the memory an array looks at. Thus a write through one tensor is seen by its views, by
``detach()`` and by ``.data``.
"""

from typing import Any

import numpy as np

from rushlight.backend import numpy as xp
from rushlight.shaped import Shaped
from rushlight.storage import address, offset, reach, span
from rushlight.strides import is_dense

__all__ = ["Memory", "Place", "along", "in_memory_order", "lies_alike", "overlaps"]


class Memory:
    """A piece of memory and its present value.

    Attributes:
        look: The abstract array over the whole memory.
        value: The abstract value that is in the memory now.
        version: The number of writes so far.
        key: ``key_of(array)`` of memory from outside; None for memory that the trace made.
        array: The NumPy array over memory from outside, or None.
    """

    __slots__ = ("_array", "key", "look", "value", "version")

    def __init__(self, look, value, key=None, array=None):
        self.look, self.value, self.key, self._array = look, value, key, array
        self.version = 0

    def write(self, value):
        """Replace the value in the memory."""
        self.value = value
        self.version += 1

    @property
    def geometry(self):
        """A NumPy array with the shape, dtype and strides of this memory."""
        if self._array is None:
            return self.look.like()
        return self._array.like() if isinstance(self._array, Shaped) else self._array

    def within(self, size, stride, start, **_):
        """``start`` of a view of the storage, counted from the first element of this memory.

        None if the view reaches beyond this memory, or if this memory has gaps.

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
        """``path`` with the ``start`` of views of the storage counted from the storage's start."""
        first = offset(self.geometry)
        return [
            (op, args, {**params, "start": params["start"] + first} if op.of_storage else params)
            for op, args, params in path
        ]


class Place:
    """The part of ``memory`` that an array looks at: the view operations of ``path`` lead there.

    Attributes:
        look: The abstract array.
        value: The value of this part when the memory had the version ``version``.
    """

    __slots__ = ("look", "memory", "path", "value", "version")

    def __init__(self, memory, path, look, value=None, version=-1):
        self.memory, self.path, self.look = memory, path, look
        self.value: Any = value
        self.version = version

    def start(self):
        """The number of elements from the start of the storage to the array's first element."""
        whole = self.memory.geometry
        found = along(whole, self.memory.from_storage(self.path))
        between = address(found) - address(whole)
        return (offset(whole) * whole.itemsize + between) // found.itemsize


def along(array, path):
    """The view of ``array`` that the view operations of ``path`` lead to."""
    for op, args, params in path:
        array = op.forward(xp, array, *args, **params)
    return array


def in_memory_order(look):
    """The dims of an abstract array, from the largest stride to the smallest."""
    return sorted(range(look.ndim), key=lambda d: -look.strides[d])


def lies_alike(x, y):
    """Whether the dims of two abstract arrays, even dims of size 1, have one order in memory."""
    order = lambda v: np.argsort([-s for s in v.strides], kind="stable").tolist()
    return x.strides == y.strides or (1 not in x.shape and order(x) == order(y))


def overlaps(look):
    """Whether elements of an abstract array may share memory, other than by strides of 0.

    Strides of 0 come from ``expand``. They do not count, because a write through them may give the
    shared element one value only.
    """
    reached = look.itemsize
    for s, n in sorted(zip(look.strides, look.shape, strict=True)):
        if n > 1 and s:
            if s < reached and look.size:
                return True
            reached += (n - 1) * s
    return False
