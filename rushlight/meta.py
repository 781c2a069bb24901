"""The device ``meta``: tensors with shape, dtype and strides, but without elements.

The array of such a tensor is a ``MetaArray``. Operations on it compute nothing: the inference that
serves traces (``ops/core/inference.py``) gives the result's shape, dtype and strides.
"""

import mmap
from math import prod
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from rushlight.device import META
from rushlight.errors import ShapeError
from rushlight.remote import Memory, RemoteArray, device_of

__all__ = [
    "MetaArray", "MetaMemory", "NoData", "is_meta", "matching", "on_meta", "refuse",
    "refuse_reading",
]  # fmt: skip

#: From so many bytes on, stand-ins look at pages that the system never fills.
_LARGE = 1 << 20


class NoData(NotImplementedError, AttributeError):
    """Raised where code asks for the elements of a meta tensor."""


def refuse_reading(x, name):
    """Raise PyTorch's error for the method ``name`` of ``x``, which reads elements.

    Returns if the method can do without elements, or if ``x`` has not the one element that the
    method wants: it has its own error for this.
    """
    if name in ("repr", "format", "reduce_ex", "deepcopy"):  # these need no elements
        return
    if name not in ("item", "bool", "int", "float", "complex", "index"):
        refuse(name)
    if x._array.size == 1:
        refuse("item")


def refuse(name="") -> NoReturn:
    """Raise PyTorch's error for the method ``name`` of a tensor, which reads elements."""
    if name in ("item", "bool"):
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")
    if name in ("numpy", "array"):
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
            "to host memory first."
        )
    if name == "dlpack":
        raise BufferError("Cannot pack tensors on meta")
    raise NoData("Cannot copy out of meta tensor; no data!")


class MetaMemory(Memory):
    """The memory of meta tensors, which only has a size."""

    __slots__ = ()
    device = META
    address = 0

    def copy(self, order="K"):
        """Other memory of the same size."""
        return MetaMemory(self.nbytes)

    def grow(self, nbytes):
        """Have at least ``nbytes`` bytes from now on."""
        self.nbytes = max(self.nbytes, nbytes)

    def bytes(self):
        """Raise NotImplementedError: there are none."""
        refuse()

    def stand_in(self):
        """An array of so many zero bytes. It takes no memory as long as nobody writes to it."""
        if self.nbytes < _LARGE or not hasattr(mmap, "PROT_READ"):
            return np.zeros(self.nbytes or 16, np.uint8)  # an empty array needs an element, too
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        pages = mmap.mmap(-1, self.nbytes, flags=kind, prot=mmap.PROT_READ)
        return np.frombuffer(pages, np.uint8)  # the array is the storage of its views


class MetaArray(RemoteArray):
    """The array of a meta tensor.

    Args:
        memory: The memory of which the array is a view. Default: memory of its own.
        start: The byte of ``memory`` at which the first element begins. Default: 0.
    """

    __slots__ = ()
    may_be_huge = True
    device = META

    def __init__(self, shape, dtype, strides=None, memory=None, start=0):
        super().__init__(shape, dtype, strides, memory, start)
        if memory is None:
            if self.nbytes >= 2**63:
                raise ShapeError(
                    f"Storage size calculation overflowed with sizes={list(self.shape)}"
                )
            self.memory = MetaMemory(self.reach)

    def like(self):
        """An array of zeros that lies in a stand-in for the memory as this array in the memory."""
        buffer = self.memory.stand_in()
        return ndarray(self.shape, self.dtype, buffer, self.start, self.strides)

    def copy(self):
        return MetaArray(self.shape, self.dtype)

    def __repr__(self):
        return f"meta:{self.dtype.name}{list(self.shape)}"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        refuse()

    def __array__(self, dtype=None, copy=None):
        refuse("array")

    def __array_function__(self, function, types, args, kwargs):
        refuse()

    def __bool__(self):
        refuse("bool")

    @staticmethod
    def refuse_shape(name):
        raise NotImplementedError(
            f"aten::{name}: attempted to run this operator with Meta tensors, but there was no "
            "fake impl or Meta kernel registered: the shape of its result depends on the elements, "
            'which a tensor on the device "meta" does not have'
        )


def is_meta(x):
    """Whether the tensor ``x`` is on the device ``meta``."""
    return device_of(x) is META


def on_meta(x):
    """A meta array that lies as the array ``x``, or as a number's 0-dim array."""
    if type(x) is MetaArray:
        return x
    strides = x.strides
    dense = sorted(zip(strides, x.shape, strict=True))
    step = x.itemsize
    for stride, n in dense:
        if n != 1 and stride != step and prod(x.shape):
            return MetaArray(x.shape, x.dtype)  # a copy has no gaps
        step *= n
    return MetaArray(x.shape, x.dtype, strides if x.size else None)


def matching(op, arrays):
    """The operands ``arrays`` of ``op`` as meta arrays; an error if PyTorch refuses their devices.

    0-dim tensors on the CPU count as numbers. PyTorch's operations on each element, and joins of
    tensors, refuse other tensors on the CPU; its other operations take no notice of the device.
    """
    found: list[Any] = []
    for a in arrays:
        if type(a) is ndarray:
            if a.ndim and (op.kind == "elementwise" or op.variadic):
                first = next(a for a in arrays if hasattr(a, "dtype"))
                wanted, other = ("cpu", "meta") if type(first) is ndarray else ("meta", "cpu")
                raise RuntimeError(
                    f"{op.name}: Tensor on device {other} is not on the expected device {wanted}!"
                )
            a = on_meta(a)
        found.append(a)
    return found
