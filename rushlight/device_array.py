"""Arrays in the memory of a device with a driver, and copies between devices.

The buffers come from the pool of the current queue (``backend/queues.py``). A buffer goes back when
the last array that looks at it dies. Commands that use it may still be waiting then. A queue runs
commands in order, so whoever gets the buffer next uses it after them.
"""

import importlib
import itertools
import threading
import weakref
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, DRIVEN, META, device
from rushlight.errors import NoDeviceError
from rushlight.meta import MetaArray, NoData, on_meta
from rushlight.remote import Memory, RemoteArray, place_of

__all__ = [
    "DeviceArray", "DeviceMemory", "Look", "copies_later", "current", "driver_of", "drivers",
    "is_dense", "look_at", "make_current", "placed", "recording_of", "reserved", "sent", "to_host",
]  # fmt: skip

_new = object.__new__
_addresses = itertools.count(1)
_places: dict = {}  # (type, number) → the ``torch.device``
_current = threading.local()  # an attribute for each type: the number of the current device

_MODULES = {
    "cuda": "rushlight.backend.cuda", "xpu": "rushlight.backend.opencl",
    "opencl": "rushlight.backend.opencl",
}  # fmt: skip
_finders: dict = {}  # type → the function that finds the devices
_LACKING = {
    "cuda": "Torch not compiled with CUDA enabled: no driver of NVIDIA's (libcuda) with a device "
    "was found, or llvmlite is missing; use device='cpu'",
    "xpu": "Torch not compiled with XPU enabled: no GPU of Intel's with an OpenCL driver was "
    "found, or llvmlite is missing; use device='cpu'",
    "opencl": "device opencl: there is no such device; no OpenCL driver that takes SPIR-V was "
    "found (`pip install intel-opencl-rt intel-cmplr-lib-rt` brings one that runs on the CPU), or "
    "llvmlite is missing",
}


def drivers(kind):
    """The devices of a type of ``device.DRIVEN``, as a tuple of ``backend.device.Device``."""
    find = _finders.get(kind)
    if find is None:
        module = importlib.import_module(_MODULES[kind])
        find = _finders[kind] = module.intel_gpus if kind == "xpu" else module.devices
    return find()


def current(kind):
    """The number of the current device of a type in this thread."""
    return getattr(_current, kind, 0)


def make_current(kind, number):
    """Set the number of the current device of a type in this thread; returns the last one."""
    before = current(kind)
    setattr(_current, kind, number)
    return before


def _find(d):
    """The device that ``d`` names, always the same object."""
    kind = d.type
    if _places.get((kind, d.index)) is d:
        return d
    number = current(kind) if d.index is None else d.index
    found = drivers(kind)
    if not found:
        raise NoDeviceError(_LACKING[kind])
    if number >= len(found):
        raise RuntimeError(
            f"device {kind}:{number}: invalid device ordinal: there is no such device; the last "
            f"one is {kind}:{len(found) - 1}"
        )
    return _places.setdefault((kind, number), device(kind, number))


def driver_of(d):
    """The ``backend.device.Device`` of a device from ``device_of``."""
    return drivers(d.type)[d.index]


def recording_of(x):
    """The ``Recording`` of this thread on the device of the tensor ``x``, or None."""
    array = x._array
    return array.memory.driver.recorded() if type(array) is DeviceArray else None


class DeviceMemory(Memory):
    """A buffer on a device.

    Args:
        d: The device.
        nbytes: The number of bytes.
        driver: Its driver, if the caller knows it.
        constant: While work is recorded, the memory is filled at once, and stays for all replays.

    Raises:
        OutOfMemoryError: the device has not so much memory.
    """

    __slots__ = ("_pool", "_size", "_used", "address", "buffer", "device", "driver")

    def __init__(self, d, nbytes, constant=False, driver=None, count=mode.count_meta):
        self.buffer = None
        self.device = d
        self.driver = driver = driver_of(d) if driver is None else driver
        self._used: tuple = ()  # other queues whose commands use the memory
        count()
        self.nbytes = nbytes  # set from now on, it tells ``__del__`` that the memory is counted
        self.buffer, self._size, self._pool = driver.allocate(nbytes, constant)
        #: A number that no other memory has, as the address of its first byte.
        self.address = next(_addresses) << 44

    def __del__(self, forget=mode.forget_meta):
        try:
            nbytes = self.nbytes
        except AttributeError:  # an error or an interrupt came first
            return
        forget()
        if self.buffer is not None:
            self.driver.free(self.buffer, self._size, self._pool, nbytes, self._used)

    def use(self, queue):
        """Keep the memory, when it is freed, until the commands of ``queue`` so far have run."""
        if queue.pool is not self._pool and queue not in self._used:
            self._used = (*self._used, queue)

    def grow(self, nbytes):
        """Have at least ``nbytes`` bytes from now on; those that were there stay."""
        if nbytes <= self.nbytes:
            return
        before = self.buffer, self._size, self._pool, self.nbytes, self._used
        self.buffer, self._size, self._pool = self.driver.allocate(nbytes)
        self._used = ()
        self.driver.copy(before[0], 0, self.buffer, 0, self.nbytes)
        self.driver.free(*before)
        self.nbytes = nbytes

    def bytes(self):
        """The bytes as a NumPy array; waits for the commands that write them."""
        found = np.empty(self.nbytes, np.uint8)
        self.driver.read(self.buffer, 0, found.ctypes.data, self.nbytes)
        return found

    def fill(self, array, constant=False):
        """Copy the bytes of a contiguous NumPy array here.

        While work is recorded, each replay does it again, unless the memory is ``constant``.
        """
        driver = self.driver
        driver.write(self.buffer, 0, array.ctypes.data, array.nbytes)
        if driver.recording is not None and (recording := driver.recorded()) is not None:
            recording.keep(self)
            if not constant:
                array = array.copy(order="K")
                recording.do(lambda: self.fill(array))

    def copy(self, order="K"):
        """Other memory with the same bytes."""
        found = DeviceMemory(self.device, self.nbytes)
        self.driver.copy(self.buffer, 0, found.buffer, 0, self.nbytes)
        return found


class Look:
    """The shape, strides and dtype of arrays on devices; equal ones are one object.

    So a call that repeats is found by the identities of its operands' looks.
    """

    __slots__ = ("__weakref__", "dtype", "shape", "strides")

    def __init__(self, shape, strides, dtype):
        self.shape, self.strides, self.dtype = shape, strides, dtype


_looks: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def look_at(shape, strides, dtype):
    """The ``Look`` of such arrays."""
    key = shape, strides, dtype
    found = _looks.get(key)
    return _looks.setdefault(key, Look(*key)) if found is None else found


class DeviceArray(RemoteArray):
    """The array of a tensor on a device: a view of a ``DeviceMemory``."""

    __slots__ = ("_look",)
    _look: Any  # its ``Look``, or None if nobody asked so far

    def __init__(self, shape, dtype, strides, memory, start):
        super().__init__(shape, dtype, strides, memory, start)
        self._look = None

    @classmethod
    def of(cls, look, memory, start):
        """An array with a known ``Look``."""
        self = _new(cls)
        self.shape, self.strides, self.dtype = look.shape, look.strides, look.dtype
        self.memory, self.start, self._look = memory, start, look
        return self

    @property
    def look(self):
        """Its ``Look``."""
        if self._look is None:
            self._look = look_at(self.shape, tuple(self.strides), self.dtype)
        return self._look

    #: Fast paths for NumPy's arrays look at this first, and leave devices to the full path.
    flags = None
    device = property(lambda self: self.memory.device)

    @property
    def __array_interface__(self):
        """Only the address: it tells which arrays share memory."""
        return {"data": (self.address, False)}

    def like(self):
        """A NumPy array of zeros that lies in other memory as this array in its own."""
        memory = np.zeros(max(self.memory.nbytes, self.itemsize), np.uint8)
        return ndarray(self.shape, self.dtype, memory, self.start, self.strides)

    def copy(self, order="K"):
        """An array of its own memory with the same elements and strides."""
        found = DeviceArray(self.shape, self.dtype, self.strides, None, 0)
        found.memory = memory = DeviceMemory(self.device, found.reach)
        steps = zip(self.shape, self.strides, strict=True)
        found.start = sum([(1 - n) * s for n, s in steps if s < 0])
        if self.size:
            first = self.start - found.start
            self.memory.driver.copy(self.memory.buffer, first, memory.buffer, 0, memory.nbytes)
        return found

    def item(self):
        """The element as a Python number."""
        self.refuse_recorded("item")
        return to_host(self).item()

    def refuse_recorded(self, name):
        """Raise AcceleratorError if this thread records what the device does."""
        self.memory.driver.refuse_recorded(name)

    def __repr__(self):
        return f"{self.device}:{self.dtype.name}{list(self.shape)}"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoData(f"{name}: the tensor is on the device {self.device}; copy it with cpu() first")

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy "
            "the tensor to host memory first."
        )

    def __array_function__(self, function, types, args, kwargs):
        raise NoData(f"{function.__name__}: NumPy cannot reach the device {self.device}")

    def __bool__(self):
        return bool(to_host(self))


# Copies -----------------------------------------------------------------------------------


def reserved(shape, dtype, strides, d):
    """An uninitialised array on the device ``d``, which is not the CPU. ``strides``: in bytes."""
    if d is META:
        return MetaArray(shape, dtype, strides)
    found = DeviceArray(shape, dtype, strides, None, 0)
    found.memory = DeviceMemory(d, found.reach)
    return found


def placed(array, d):
    """The array of any device with its elements on the device ``d``; itself if it is there."""
    if isinstance(array, RemoteArray):
        if array.device is d:
            return array
        if d.type in DRIVEN and array.device.type in DRIVEN and array.size:
            here, there = array.memory.driver, driver_of(d)
            if here.sends_to(there) and is_dense(array):
                found = DeviceArray(array.shape, array.dtype, array.strides, None, 0)
                found.memory = DeviceMemory(d, array.nbytes)
                here.send(array.memory.buffer, array.start, there, found.memory.buffer, 0,
                          array.nbytes)  # fmt: skip
                return found
        return placed(to_host(array), d)
    if d is CPU:
        return array
    if d is META:
        return on_meta(array)
    if not is_dense(array):
        array = array.copy(order="K")
    constant = not array.ndim  # a number that stands for an argument of a kernel
    memory = DeviceMemory(d, array.nbytes, constant)
    if array.size:
        memory.fill(array, constant)
    return DeviceArray(array.shape, array.dtype, array.strides, memory, 0)


def sent(array, d):
    """``placed(array, d)`` for a copy that a program asks for.

    Raises:
        RuntimeError: the copy is recorded, and the host's memory of it is not pinned.
    """
    here = place_of(array)
    driven = d if here is CPU else here
    if CPU not in (here, d) or driven.type not in DRIVEN or not array.size:
        return placed(array, d)
    there = driver_of(driven)
    if there.recording is None or (recording := there.recorded()) is None:
        return placed(array, d)
    if here is not CPU:
        recording.refuse_unpinned()
    if not there.is_pinned(array.ctypes.data):
        recording.refuse_unpinned()
    dense = lambda: array if is_dense(array) else array.copy(order="K")
    found = reserved(array.shape, array.dtype, dense().strides, d)
    recording.do(lambda: found.memory.fill(dense()))
    return found


def copies_later(target, source):
    """Whether a copy to the host's array ``target`` is recorded: each replay will make it.

    Raises:
        RuntimeError: the copy is recorded, and the host's memory of it is not pinned.
    """
    if type(source) is not DeviceArray or type(target) is not ndarray or not target.size:
        return False
    driver = source.memory.driver
    if driver.recording is None or (recording := driver.recorded()) is None:
        return False
    if not driver.is_pinned(target.ctypes.data):
        recording.refuse_unpinned()
    recording.do(lambda: np.copyto(target, to_host(source), casting="unsafe"))
    return True


def is_dense(array):
    """Whether the elements of an array fill a piece of memory, from its first element on."""
    step = array.itemsize
    for stride, n in sorted(zip(array.strides, array.shape, strict=True)):
        if n != 1 and stride != step:
            return prod(array.shape) == 0
        step *= n
    return True


def to_host(array):
    """A NumPy array with the elements and strides of ``array``, of memory of its own.

    Raises:
        NotImplementedError: the array is on the device ``meta``.
    """
    if type(array) is ndarray:
        return array
    memory = array.memory.bytes() if array.size else np.empty(array.itemsize, np.uint8)
    start = array.start if array.size else 0
    return ndarray(array.shape, array.dtype, memory, start, array.strides)


late.find_device, late.to_host = _find, to_host
