"""Arrays whose elements are not NumPy's: of the device ``meta``, and in a device's memory.

The array of such a tensor is a ``RemoteArray``. Operations on it are done by
``ops/core/remote_calls.py`` instead of NumPy.

While such an array exists, or while new tensors are made on another device than the CPU,
``mode.intercept`` counts it. So Python's operations take the full path, where ``dispatch.apply``
looks at the operands' devices. Replays (``compiler/replay``) look at the operands anyway, so calls
on the CPU that repeat take no longer.
"""

import weakref
from typing import Any

from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, device, require
from rushlight.shaped import Shaped
from rushlight.storage import UntypedStorage, address

__all__ = [
    "Crossing", "Memory", "RemoteArray", "RemoteStorage", "at", "crossings", "default_device",
    "device_of", "holds_remote", "is_remote", "place_of", "set_default_device",
]  # fmt: skip


class Memory:
    """The memory that arrays share as views of each other: here only its size in bytes.

    Subclasses have the ``device``, an ``address`` (a number that no other memory has) and
    ``bytes()``, a NumPy array of the bytes.
    """

    __slots__ = ("nbytes",)
    device: Any
    address: int
    bytes: Any

    def __init__(self, nbytes):
        self.nbytes = nbytes
        mode.count_meta()

    def __del__(self, forget=mode.forget_meta):
        forget()


class Crossing(Memory):
    """Kept by the node of a copy between devices, so that backward knows that there is one."""

    __slots__ = ("__weakref__",)

    def __init__(self):
        super().__init__(0)
        crossings.add(self)


#: The crossings in living graphs. Gradients that pass through them must be tensors.
crossings: weakref.WeakSet = weakref.WeakSet()


class RemoteStorage(UntypedStorage):
    """The storage of tensors that are not on the CPU. Its bytes can be copied, but not written."""

    __slots__ = ()
    _owner: Any
    device = property(lambda self: self._owner.device)
    bytes = property(lambda self: self._owner.bytes())

    def __init__(self, memory):
        self._owner = memory

    def nbytes(self):
        """Return the size of the memory in bytes."""
        return self._owner.nbytes

    size = __len__ = nbytes

    def data_ptr(self):
        """Return a number that stands for the memory; 0 on the device ``meta``, which has none."""
        return self._owner.address

    def resizable(self):
        """Return True: such tensors may grow."""
        return True

    def resize_(self, nbytes):
        """Let the memory grow to ``nbytes`` bytes; smaller memory stays as it is."""
        self._owner.grow(nbytes)
        return self

    def clone(self):
        """Return a storage with the same bytes on the same device."""
        return RemoteStorage(self._owner.copy())

    def cpu(self):
        """Return a storage on the CPU with the same bytes.

        Raises:
            NotImplementedError: the device is ``meta``, which has no bytes.
        """
        return UntypedStorage(self.bytes)

    def __eq__(self, other):
        if not isinstance(other, UntypedStorage):
            return NotImplemented
        return other._owner is self._owner

    __hash__ = None  # two objects may stand for one memory

    def __repr__(self):
        size = f"(device={self.device}) of size {self.nbytes()}"
        return f"...\n[torch.storage.UntypedStorage{size}]"


class RemoteArray(Shaped):
    """An array whose elements NumPy cannot reach.

    Args:
        memory: The memory of which the array is a view.
        start: The byte of ``memory`` at which the first element begins.
    """

    __slots__ = ("memory", "start")
    device: device
    # NumPy's functions refuse such operands. Otherwise NumPy would put them into arrays of objects.
    __array_ufunc__ = None

    def __init__(self, shape, dtype, strides, memory, start):
        super().__init__(shape, dtype, strides)
        self.memory, self.start = memory, start

    @property
    def address(self):
        """A number that stands for the first element's address."""
        return self.memory.address + self.start

    @property
    def reach(self):
        """Bytes from the first element on that a memory of its own must have."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return sum([(n - 1) * abs(s) for n, s in steps]) + self.itemsize

    @classmethod
    def view(cls, of, base, found):
        """The view of ``of`` that lies in it as ``found`` lies in the stand-in ``base``."""
        start = of.start + (address(found) - address(base) if found.size else 0)
        return cls(found.shape, found.dtype, found.strides, of.memory, start)


def is_remote(x):
    """Whether the elements of the tensor ``x`` are where NumPy cannot reach them."""
    return device_of(x) is not CPU or isinstance(getattr(x, "_array", None), RemoteArray)


def place_of(array):
    """The device of an array: NumPy's, one in a device's memory, or one without elements."""
    return array.device if isinstance(array, Shaped) else CPU


def device_of(x):
    """The device of the tensor ``x``."""
    try:
        a = x._array
    except AttributeError:  # a sparse tensor, whose values know
        return x.device
    return CPU if type(a) is ndarray else place_of(a)


def holds_remote(value, d=None):
    """Whether a tensor, or a tuple, list or dict of values, has a tensor that is not on the CPU.

    ``d``: the device that counts. Default: any.
    """
    if isinstance(value, (tuple, list, dict)):
        items = value.values() if isinstance(value, dict) else value
        return any(holds_remote(item, d) for item in items)
    array = getattr(value, "_array", None)
    return isinstance(array, RemoteArray) and (d is None or array.device is d)


# Where new tensors are made ---------------------------------------------------------------


def default_device():
    """The device on which this thread makes new tensors."""
    return mode.state.place or CPU


def _set_place(d):
    """Make new tensors on ``d``; returns the previous ``mode.state.place``, None for the CPU."""
    d = require(d)
    place: Any = None if d is CPU else d
    if place is not None and mode.intercept and (recording := mode.recorder()):
        recording.enter(d)
    return mode.exchange("place", place)


class at:
    """Make new tensors on the device ``d`` in the ``with`` block."""

    __slots__ = ("_d", "_was")

    def __init__(self, d):
        self._d = d

    def __enter__(self):
        self._was = _set_place(self._d)

    def __exit__(self, *error):
        mode.exchange("place", self._was)


def set_default_device(d):
    """Make new tensors on ``d`` (None, str, int, device) from now on, in this thread."""
    _set_place(d)


def _enter(d: device):
    mode.state.entered = (_set_place(d), mode.state.entered)


def _leave():
    was, mode.state.entered = mode.state.entered
    mode.exchange("place", was)


late.enter_device, late.leave_device = _enter, _leave
