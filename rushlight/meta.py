"""The device ``meta``: tensors with shape, dtype and strides, but without elements.

The array of such a tensor is a ``MetaArray``. Operations on it compute nothing: the inference that
serves traces (``ops/core/inference.py``) gives the result's shape, dtype and strides.

While a meta tensor exists, or while new tensors are made on the device, ``mode.intercept`` counts
it, so all operations take the full path, where ``dispatch.apply`` looks at the operands' devices.
"""

import mmap
from contextlib import contextmanager
from math import prod
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, META, device, require
from rushlight.shaped import Shaped
from rushlight.storage import UntypedStorage, address

__all__ = [
    "Memory", "MetaArray", "MetaStorage", "NoData", "at", "default_device", "device_of",
    "holds_meta", "is_meta", "matching", "on_meta", "refuse", "refuse_reading",
    "set_default_device",
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
    if x.array.size == 1:
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


class Memory:
    """The memory that meta tensors share as views of each other: only its size in bytes."""

    __slots__ = ("nbytes",)

    def __init__(self, nbytes):
        self.nbytes = nbytes
        mode.add_intercept(1, 1)

    def __del__(self, forget=mode.add_intercept):
        forget(-1, -1)

    def copy(self):
        """Other memory of the same size."""
        return Memory(self.nbytes)

    def stand_in(self):
        """An array of so many zero bytes. It takes no memory as long as nobody writes to it."""
        if self.nbytes < _LARGE or not hasattr(mmap, "PROT_READ"):
            return np.zeros(self.nbytes or 16, np.uint8)  # an empty array needs an element, too
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        pages = mmap.mmap(-1, self.nbytes, flags=kind, prot=mmap.PROT_READ)
        return np.frombuffer(pages, np.uint8)  # the array is the storage of its views


class MetaArray(Shaped):
    """The array of a meta tensor.

    Args:
        memory: The memory of which the array is a view. Default: memory of its own.
        start: The byte of ``memory`` at which the first element begins. Default: 0.
    """

    __slots__ = ("memory", "start")
    may_be_huge = True
    # NumPy's functions refuse such operands. Otherwise NumPy would put them into arrays of objects.
    __array_ufunc__ = None

    def __init__(self, shape, dtype, strides=None, memory=None, start=0):
        super().__init__(shape, dtype, strides)
        if memory is None:
            steps = zip(self.shape, self.strides, strict=True)
            reach = sum([(n - 1) * abs(s) for n, s in steps]) + self.itemsize
            memory = Memory(0 if 0 in self.shape else reach)
        self.memory, self.start = memory, start

    @classmethod
    def view(cls, of, base, found):
        """The view of ``of`` that lies in it as ``found`` lies in the stand-in ``base``."""
        start = of.start + (address(found) - address(base) if found.size else 0)
        return cls(found.shape, found.dtype, found.strides, of.memory, start)

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


class MetaStorage(UntypedStorage):
    """The storage of meta tensors: a number of bytes, none of which can be read or written."""

    __slots__ = ()
    _owner: Any
    device = META
    bytes = property(lambda self: refuse())

    def __init__(self, memory):
        self._owner = memory

    def nbytes(self):
        """Return the size that the memory would have, in bytes."""
        return self._owner.nbytes

    size = __len__ = nbytes

    def data_ptr(self):
        """Return 0, because there is no memory."""
        return 0

    def resizable(self):
        """Return True: tensors on the device ``meta`` may grow."""
        return True

    def clone(self):
        """Return a storage of the same size."""
        return MetaStorage(self._owner.copy())

    def cpu(self):
        """Raise NotImplementedError, because there are no bytes to copy."""
        refuse()

    def __eq__(self, other):
        if not isinstance(other, UntypedStorage):
            return NotImplemented
        return other._owner is self._owner

    __hash__ = None  # two objects may stand for one memory

    def __repr__(self):
        return f"...\n[torch.storage.UntypedStorage(device=meta) of size {self.nbytes()}]"


def is_meta(x):
    """Whether the tensor ``x`` is on the device ``meta``."""
    return device_of(x) is META


def device_of(x):
    """The device of the tensor ``x``."""
    try:
        return META if type(x.array) is MetaArray else CPU
    except AttributeError:  # a sparse tensor, whose values know
        return x.device


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


def holds_meta(value):
    """Whether a tensor, or a tuple, list or dict of values, has a tensor on the device ``meta``."""
    if isinstance(value, (tuple, list)):
        return any(map(holds_meta, value))
    if isinstance(value, dict):
        return any(map(holds_meta, value.values()))
    return type(getattr(value, "array", None)) is MetaArray


# Where new tensors are made ---------------------------------------------------------------


def default_device():
    """The device on which this thread makes new tensors."""
    return mode.state.place or CPU


def _set_place(d):
    """Make new tensors on ``d``; returns the previous ``mode.state.place``, None for the CPU."""
    place = None if require(d) is CPU else META
    if place is not None:
        mode.refuse_in_trace('tensors are made on the device "meta", which a program cannot do')
    return mode.exchange("place", place)


@contextmanager
def at(d):
    """Make new tensors on the device ``d`` in the ``with`` block."""
    was = _set_place(d)
    try:
        yield
    finally:
        mode.exchange("place", was)


def set_default_device(d):
    """Make new tensors on ``d`` (None, str, int, device) from now on, in this thread."""
    _set_place(d)


def _enter(d: device):
    mode.state.entered = (_set_place(d), mode.state.entered)


def _leave():
    was, mode.state.entered = mode.state.entered
    mode.exchange("place", was)


late.enter_device, late.leave_device = _enter, _leave
