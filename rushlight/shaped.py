"""Arrays without elements: shape, dtype and strides, from which shape rules find a result's."""

from math import prod
from typing import Any

import numpy as np

from rushlight.device import CPU

__all__ = ["Shaped"]


class Shaped:
    """An array's shape, dtype and strides, without its elements.

    A trace computes with such arrays, and so does the device ``meta``. The subclass says what
    happens to code that asks for elements.
    """

    __slots__ = ("dtype", "shape", "strides")
    is_abstract = True
    #: Where the elements would be.
    device: Any = CPU
    #: Whether there may be more elements than fit into memory.
    may_be_huge = False
    shape: tuple
    dtype: np.dtype
    strides: tuple

    def __init__(self, shape, dtype, strides=None):
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.strides = self._contiguous() if strides is None else strides

    def _contiguous(self):
        strides, step = [], self.dtype.itemsize
        for n in reversed(self.shape):
            strides.append(step)
            step *= max(n, 1)
        return tuple(reversed(strides))

    in_order = property(lambda self: self.strides == self._contiguous())
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: prod(self.shape))
    itemsize = property(lambda self: self.dtype.itemsize)
    nbytes = property(lambda self: self.size * self.dtype.itemsize)
    base = property(lambda self: None)

    @property
    def is_contiguous(self):
        """Whether the elements lie in C order without gaps; strides of dims of size 1 are free."""
        steps = zip(self.shape, self.strides, self._contiguous(), strict=True)
        return 0 in self.shape or all(n == 1 or have == want for n, have, want in steps)

    def like(self):
        """A NumPy array of zeros with this shape, dtype and strides."""
        if self.strides == self._contiguous():
            return np.zeros(self.shape, self.dtype)
        ends = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True) if n]
        size = sum(map(abs, ends)) + self.itemsize if self.size else 0
        first = -sum([end for end in ends if end < 0]) if self.size else 0
        return np.ndarray(self.shape, self.dtype, np.zeros(size, np.uint8), first, self.strides)

    @classmethod
    def view(cls, of, base, found):
        """The array for ``found``, which is a view of ``base``, the stand-in for ``of``."""
        return cls(found.shape, found.dtype, found.strides)

    def __len__(self):
        return self.shape[0]

    @staticmethod
    def refuse_shape(name):
        """Raise the error for the operation ``name``, whose result's shape depends on values."""
        raise NotImplementedError(name)
