"""NVIDIA's GPUs by the interface of their driver (``libcuda``): devices, memory, kernels.

Only the driver is needed, and no CUDA toolkit: kernels come as PTX, of which the driver makes
machine code and keeps it on disk. Commands go to the thread's current stream of the device.
"""

import ctypes
import os
import sys
import threading
import weakref
from ctypes import byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

import numpy as np

from rushlight import locks
from rushlight.backend.device import Device, DeviceError
from rushlight.backend.native import llvm_works
from rushlight.backend.queues import Queue
from rushlight.backend.starting import ARGUMENTS, Kernel
from rushlight.errors import OutOfMemoryError

__all__ = ["CudaDevice", "devices", "driver_version", "open_library"]

_OUT_OF_MEMORY, _NOT_READY = 2, 600  # CUDA_ERROR_*
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the default stream does not wait for the stream
#: CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, MAX_THREADS_PER_MULTIPROCESSOR, COMPUTE_CAPABILITY_*
_UNITS, _THREADS, _MAJOR, _MINOR = 16, 39, 75, 76
_ERROR_LOG, _ERROR_LOG_SIZE = 5, 6  # CU_JIT_ERROR_LOG_BUFFER, *_SIZE_BYTES
_LOG = 8192  # bytes of what the driver says of a program
#: The architectures that every LLVM of llvmlite >= 0.46 knows. A device runs PTX for older ones.
_ARCHITECTURES = (50, 52, 60, 61, 70, 72, 75, 80, 86, 87, 89, 90)
_OLDEST = 50

_P = c_void_p
_FUNCTIONS = [
    ("cuInit", [c_uint]),
    ("cuDriverGetVersion", [_P]),
    ("cuGetErrorName", [c_int, _P]),
    ("cuGetErrorString", [c_int, _P]),
    ("cuDeviceGetCount", [_P]),
    ("cuDeviceGet", [_P, c_int]),
    ("cuDeviceGetName", [c_char_p, c_int, c_int]),
    ("cuDeviceGetAttribute", [_P, c_int, c_int]),
    ("cuDeviceTotalMem_v2", [_P, c_int]),
    ("cuDevicePrimaryCtxRetain", [_P, c_int]),
    ("cuCtxSetCurrent", [_P]),
    ("cuCtxSynchronize", []),
    ("cuMemGetInfo_v2", [_P, _P]),
    ("cuMemAlloc_v2", [_P, c_size_t]),
    ("cuMemFree_v2", [c_uint64]),
    ("cuMemHostAlloc", [_P, c_size_t, c_uint]),
    ("cuMemFreeHost", [_P]),
    ("cuMemcpyHtoDAsync_v2", [c_uint64, _P, c_size_t, _P]),
    ("cuMemcpyDtoHAsync_v2", [_P, c_uint64, c_size_t, _P]),
    ("cuMemcpyDtoDAsync_v2", [c_uint64, c_uint64, c_size_t, _P]),
    ("cuMemcpyPeerAsync", [c_uint64, _P, c_uint64, _P, c_size_t, _P]),
    ("cuDeviceCanAccessPeer", [_P, c_int, c_int]),
    ("cuCtxEnablePeerAccess", [_P, c_uint]),
    ("cuStreamCreateWithPriority", [_P, c_uint, c_int]),
    ("cuStreamSynchronize", [_P]),
    ("cuStreamQuery", [_P]),
    ("cuStreamWaitEvent", [_P, _P, c_uint]),
    ("cuModuleLoadDataEx", [_P, _P, c_uint, _P, _P]),
    ("cuModuleGetFunction", [_P, _P, c_char_p]),
    ("cuModuleUnload", [_P]),
    ("cuLaunchKernel", [_P, *[c_uint] * 7, _P, _P, _P]),
    ("cuEventCreate", [_P, c_uint]),
    ("cuEventRecord", [_P, _P]),
    ("cuEventQuery", [_P]),
    ("cuEventSynchronize", [_P]),
    ("cuEventElapsedTime", [_P, _P, _P]),
    ("cuEventDestroy_v2", [_P]),
]  # fmt: skip


#: Functions of graphs, without which launches are single ones.
_GRAPHS = [
    ("cuGraphCreate", [_P, c_uint]),
    ("cuGraphAddKernelNode", [_P, _P, _P, c_size_t, _P]),
    ("cuGraphInstantiateWithFlags", [_P, _P, c_uint64]),
    ("cuGraphLaunch", [_P, _P]),
    ("cuGraphExecDestroy", [_P]),
    ("cuGraphDestroy", [_P]),
]

#: Functions of tensor maps, without which no kernel needs one.
_MAPS = [
    ("cuTensorMapEncodeTiled", [_P, c_int, c_uint, c_uint64, *[_P] * 4, *[c_int] * 4]),
    ("cuFuncSetAttribute", [_P, c_int, c_int]),
]
_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_SWIZZLE, _PROMOTION = 3, 2  # CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B
_MAP_BYTES, _MAP_ALIGNMENT = 128, 64


# The library ------------------------------------------------------------------------------


def open_library():
    """The driver's library; OSError if there is none."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


@cache
def _library():
    """The library with its functions' types; None if there is none, or no device that works."""
    try:
        lib = open_library()
        has_graphs = all(hasattr(lib, name) for name, _ in _GRAPHS)
        for name, args in [*_FUNCTIONS, *(_GRAPHS if has_graphs else ())]:
            function = getattr(lib, name)
            function.restype, function.argtypes = c_int, args
        lib.has_graphs = has_graphs
        lib.has_maps = all(hasattr(lib, name) for name, _ in _MAPS)
        for name, args in _MAPS if lib.has_maps else ():
            function = getattr(lib, name)
            function.restype, function.argtypes = c_int, args
    except (OSError, AttributeError):  # none, or too old
        return None
    return lib if lib.cuInit(0) == 0 else None


def _check(lib, code, doing):
    if code == 0:
        return
    name, text = c_char_p(), c_char_p()
    lib.cuGetErrorName(code, byref(name))
    lib.cuGetErrorString(code, byref(text))
    said = (text.value or name.value or b"unknown error").decode()
    kind = OutOfMemoryError if code == _OUT_OF_MEMORY else DeviceError
    raise kind(f"CUDA error: {said} (while {doing}; code {code})")


def driver_version():
    """The version of CUDA that the driver has, such as 12040; 0 without a driver."""
    lib, found = _library(), c_int()
    if lib is not None:
        lib.cuDriverGetVersion(byref(found))
    return found.value


# Devices ----------------------------------------------------------------------------------


@cache
def devices():
    """The devices that can run kernels, as a tuple of ``CudaDevice``; kernels need llvmlite."""
    lib, count = _library() if llvm_works() else None, c_int()
    if lib is None:
        return ()
    _check(lib, lib.cuDeviceGetCount(byref(count)), "counting devices")
    found = [CudaDevice(lib, i) for i in range(count.value)]
    return tuple([d for d in found if d.capability >= (_OLDEST // 10, 0)])


_local = threading.local()  # ``device``: the one whose context is current in the thread


class CudaDevice(Device):
    """A GPU.

    Attributes:
        number: The driver's number of the device.
        capability: The pair of numbers that tells what its kernels may use.
    """

    kind, language, doubles = "GPU", "PTX", True
    parameters = 4096  # of every CUDA device

    def __init__(self, lib, number):
        super().__init__()
        self.lib, self.number, self.chains = lib, number, lib.has_graphs
        handle, memory = c_int(), c_size_t()
        self._do("cuDeviceGet", byref(handle), number, doing="opening the device")
        self._handle = handle.value
        name = ctypes.create_string_buffer(256)
        self._do("cuDeviceGetName", name, 256, self._handle, doing="naming the device")
        self.name = name.value.decode(errors="replace")
        self._do("cuDeviceTotalMem_v2", byref(memory), self._handle, doing="measuring memory")
        self.memory, self.units = memory.value, self._attribute(_UNITS)
        self.threads = self._attribute(_THREADS)
        major, minor = self.capability = self._attribute(_MAJOR), self._attribute(_MINOR)
        own = 10 * major + minor
        wanted = os.environ.get("RUSHLIGHT_WGMMA") == "1"  # no board has run such kernels so far
        self.maps = wanted and own == 90 and lib.has_maps
        letter = "a" if self.maps else ""  # kernels may use what only this architecture has
        self.architecture = (
            f"sm_{max([a for a in _ARCHITECTURES if a <= own] or [_OLDEST])}{letter}"
        )
        self.version = self.architecture
        self._met: set[int] = set()  # numbers of devices that were copied to
        self._pinned: dict[int, int] = {}  # first byte → end of pinned memory
        self._context: Any = None
        self._lost = ""  # why the device cannot be used any more
        locks.around_fork(in_child=self._forked)

    def _do(self, name, *args, doing):
        """Call a function of the driver; DeviceError or OutOfMemoryError if it fails."""
        _check(self.lib, getattr(self.lib, name)(*args), doing)

    def _attribute(self, what):
        found = c_int()
        self._do("cuDeviceGetAttribute", byref(found), what, self._handle,
                 doing="asking the device")  # fmt: skip
        return found.value

    def is_open(self):
        return self._context is not None

    def open(self):
        """Make the device's context the thread's own; other functions need that.

        Raises:
            DeviceError: the process was forked after the device was used.
        """
        if getattr(_local, "device", None) is self and self._context is not None:
            return
        if self._lost:
            raise DeviceError(self._lost)
        with self._lock:
            if self._context is None:
                context = c_void_p()
                self._do("cuDevicePrimaryCtxRetain", byref(context), self._handle,
                         doing="opening the device")  # fmt: skip
                self._context = context
        self._do("cuCtxSetCurrent", self._context, doing="entering the device")
        _local.device = self

    def _forked(self):
        """The context of a parent process is of no use in a child."""
        if self._context is not None:
            self._context, _local.device = None, None
            for pool in self._pools:
                pool.free.clear()
            self._waiting.clear()
            self.dropped.clear()
            self._lost = (
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
                "you must use the 'spawn' start method"
            )

    # Memory: a buffer is its address --------------------------------------------------------

    def new_buffer(self, nbytes):
        found = c_uint64()
        self._do("cuMemAlloc_v2", byref(found), nbytes, doing=f"allocating {nbytes} bytes")
        return found.value

    def release(self, buffer):
        self.open()
        self.lib.cuMemFree_v2(buffer)

    def copy_in(self, buffer, offset, address, nbytes):
        self.open()
        stream = self.local.queue.handle
        self._do("cuMemcpyHtoDAsync_v2", buffer + offset, address, nbytes, stream,
                 doing="copying to the device")  # fmt: skip
        if self._pinned and self.is_pinned(address):  # other memory was read before the call ended
            self.drain(self.local.queue)

    def copy_out(self, buffer, offset, address, nbytes):
        self.open()
        stream = self.local.queue.handle
        self._do("cuMemcpyDtoHAsync_v2", address, buffer + offset, nbytes, stream,
                 doing="copying from the device")  # fmt: skip
        self.drain(self.local.queue)

    def copy_within(self, source, start, target, to, nbytes):
        self.open()
        stream = self.local.queue.handle
        self._do("cuMemcpyDtoDAsync_v2", target + to, source + start, nbytes, stream,
                 doing="copying on the device")  # fmt: skip

    def synchronize(self):
        if self.is_open():
            self.open()
            self._do("cuCtxSynchronize", doing="waiting for the device")

    # Other devices ----------------------------------------------------------------------------

    def reaches(self, other):
        found = c_int()
        self._do("cuDeviceCanAccessPeer", byref(found), self._handle, other._handle,
                 doing="asking the device")  # fmt: skip
        return bool(found.value)

    def sends_to(self, other):
        return isinstance(other, CudaDevice)

    def send(self, source, start, other, target, to, nbytes):
        for recording in (self.recorded(), other.recorded()):
            if recording is not None:
                recording.do(lambda: self.send(source, start, other, target, to, nbytes))
                return
        _follow(self, other)
        self.open()
        self._meet(other)
        stream = self.local.queue.handle
        self._do("cuMemcpyPeerAsync", target + to, other._context, source + start, self._context,
                 nbytes, stream, doing="copying to another device")  # fmt: skip
        _follow(other, self)

    def _meet(self, other):
        """Let copies to another device take the direct way, if there is one."""
        if other.number not in self._met:
            self._met.add(other.number)
            if self.reaches(other):
                self.lib.cuCtxEnablePeerAccess(other._context, 0)  # without it copies are slower

    # Streams: a queue's handle --------------------------------------------------------------

    def new_queue(self, number, priority):
        self.open()
        found = c_void_p()
        self._do("cuStreamCreateWithPriority", byref(found), _NON_BLOCKING, priority,
                 doing="making a stream")  # fmt: skip
        queue = Queue(found, number, priority)
        self._pools.append(queue.pool)
        return queue

    def drain(self, queue):
        self.open()
        self._do("cuStreamSynchronize", queue.handle, doing="waiting for a stream")

    def is_drained(self, queue):
        self.open()
        return self._is_done(self.lib.cuStreamQuery(queue.handle), "asking for a stream")

    def follow(self, queue, event):
        self.open()
        self._do("cuStreamWaitEvent", queue.handle, event, 0, doing="waiting for an event")

    def _is_done(self, code, doing):
        if code != _NOT_READY:
            _check(self.lib, code, doing)
        return code == 0

    def pinned(self, nbytes):
        """An array of ``nbytes`` bytes of the host that the system never moves to a disk."""
        self.open()
        found = c_void_p()
        self._do("cuMemHostAlloc", byref(found), nbytes, 1, doing="pinning memory")
        start = found.value or 0
        memory = (ctypes.c_uint8 * nbytes).from_address(start)
        self._pinned[start] = start + nbytes
        weakref.finalize(memory, self._unpin, start).atexit = False
        return np.frombuffer(memory, np.uint8)

    def _unpin(self, start):
        del self._pinned[start]
        self.open()
        self.lib.cuMemFreeHost(start)

    def is_pinned(self, address):
        """Whether an address of the host lies in memory of ``pinned``."""
        return any(start <= address < end for start, end in list(self._pinned.items()))

    def memory_info(self):
        """(bytes that are free, bytes of memory)."""
        self.open()
        free, total = c_size_t(), c_size_t()
        self._do("cuMemGetInfo_v2", byref(free), byref(total), doing="measuring memory")
        return free.value, total.value

    def tell_profilers(self, name):
        """Call ``cuProfilerStart`` or ``cuProfilerStop``."""
        self.open()
        self._do(name, doing="telling the profilers")

    def no_memory(self, nbytes, error):
        gib = lambda n: f"{n / 2**30:.2f} GiB"
        free, total = self.memory_info()
        allowed = f"{gib(self.fraction * total)} allowed; " if self.fraction < 1 else ""
        return (
            f"CUDA out of memory. Tried to allocate {_size(nbytes)}. GPU {self.number} has a total "
            f"capacity of {gib(total)} of which {gib(free)} is free. {allowed}Of the allocated "
            f"memory {_size(self.allocated)} is allocated by rushlight, and "
            f"{_size(self.reserved - self.allocated)} is reserved by rushlight but unallocated."
        )

    # Kernels ----------------------------------------------------------------------------------

    def ready(self):
        if self._context is None or getattr(_local, "device", None) is not self:
            self.open()
        stream = self.local.queue.handle
        return stream.value if stream is not None else 0

    def load(self, code, name):
        self.open()
        log, module, function = ctypes.create_string_buffer(_LOG), c_void_p(), c_void_p()
        options = (c_int * 2)(_ERROR_LOG, _ERROR_LOG_SIZE)
        values = (c_void_p * 2)(ctypes.addressof(log), _LOG)
        failed = self.lib.cuModuleLoadDataEx(byref(module), code, 2, options, values)
        said = log.value.decode(errors="replace").strip()
        _check(self.lib, failed, f"making a kernel: {said}")
        self._do("cuModuleGetFunction", byref(function), module, name.encode(),
                 doing="making a kernel")  # fmt: skip
        return function, module

    def release_dropped(self):
        if self.dropped and self.is_open():
            self.synchronize()  # a kernel that still runs needs its code
        super().release_dropped()

    def unload(self, kernel, program):
        if self.is_open():
            self.lib.cuModuleUnload(program)

    def kernel(self, code, groups, size, numbers, maps=(), shared=0):
        if shared:
            self.open()
            self._do("cuFuncSetAttribute", code.value, _SHARED, shared, doing="making a kernel")
        return _Kernel(self, code, groups, size, numbers, maps, shared)

    def encode(self, described, address, target):
        """Write the driver's form of a ``TensorMap`` of memory at ``address`` to ``target``."""
        sizes, count = list(described.sizes), len(described.sizes)
        skipped = address % 16  # a tensor map begins at a multiple of 16 bytes
        sizes[0] += skipped // described.itemsize
        self._do(
            "cuTensorMapEncodeTiled", target, described.kind, count, address - skipped,
            (c_uint64 * count)(*sizes), (c_uint64 * (count - 1))(*described.strides),
            (c_uint * count)(*described.box), (c_uint * count)(*[1] * count),
            0, _SWIZZLE, _PROMOTION, 0, doing="describing an operand",
        )  # fmt: skip

    def sequence(self, launches):
        return _Graph(self, launches)

    # Moments ------------------------------------------------------------------------------------

    def moment(self):
        """A new event, which ``record`` puts behind the commands so far."""
        self.open()
        found = c_void_p()
        self._do("cuEventCreate", byref(found), 0, doing="making an event")
        return found

    def record(self, event, queue=None):
        """Note the moment when all commands so far in a queue, or in the current one, have run."""
        self.open()
        queue = self.local.queue if queue is None else queue
        self._do("cuEventRecord", event, queue.handle, doing="recording an event")

    def reached(self, event):
        """Whether the moment of an event has come."""
        self.open()
        return self._is_done(self.lib.cuEventQuery(event), "asking for an event")

    def wait_for(self, event):
        """Wait until the moment of an event has come."""
        self.open()
        self._do("cuEventSynchronize", event, doing="waiting for an event")

    def between(self, first, last):
        """The milliseconds between the moments of two events."""
        self.open()
        found = c_float()
        self._do("cuEventElapsedTime", byref(found), first, last, doing="timing")
        return found.value

    def forget(self, event):
        """Give an event back."""
        if self.is_open():
            self.open()
            self.lib.cuEventDestroy_v2(event)


#: Puts a kernel into a stream; see ``Kernel.header`` for the record.
_START = """
define i32 @start(ptr %n) {
  %function.at = getelementptr i64, ptr %n, i64 1
  %groups.at = getelementptr i64, ptr %n, i64 2
  %size.at = getelementptr i64, ptr %n, i64 3
  %shared.at = getelementptr i64, ptr %n, i64 4
  %params.at = getelementptr i64, ptr %n, i64 5
  %stream.at = getelementptr i64, ptr %n, i64 7
  %launch = load ptr, ptr %n
  %function = load ptr, ptr %function.at
  %groups = load i32, ptr %groups.at
  %size = load i32, ptr %size.at
  %shared = load i32, ptr %shared.at
  %params = load ptr, ptr %params.at
  %stream = load ptr, ptr %stream.at
  %code = call i32 %launch(ptr %function, i32 %groups, i32 1, i32 1, i32 %size, i32 1, i32 1,
                           i32 %shared, ptr %stream, ptr %params, ptr null)
  ret i32 %code
}
"""


class _Kernel(Kernel):
    """A kernel of CUDA."""

    def __init__(self, device, code, groups, size, numbers, maps, shared):
        super().__init__(device, code, groups, numbers, _START)
        self.size, self.maps, self.shared = size, maps, shared
        self.handle = code.value

    def header(self, record, count):
        launch = ctypes.cast(self.device.lib.cuLaunchKernel, c_void_p).value
        first = ctypes.addressof(record) + 8 * ARGUMENTS
        self._params = (c_void_p * count)(*range(first, first + 8 * count, 8))
        params = ctypes.addressof(self._params)
        return [launch, self.handle.value, self.groups, self.size, self.shared, params]

    def numbers(self, args):
        """The values of the arguments: of each the address and the offset, then the numbers."""
        values = [n for pair in args for n in pair]
        return (c_uint64 * (len(values) + len(self._last)))(*values, *self._last)

    def _params_of(self, numbers):
        """The addresses of the arguments: the numbers, then tensor maps; the maps' memory."""
        if not self.maps:
            return _places(numbers), None
        room = (c_uint64 * ((len(self.maps) * _MAP_BYTES + _MAP_ALIGNMENT) // 8))()
        first = -(-ctypes.addressof(room) // _MAP_ALIGNMENT) * _MAP_ALIGNMENT
        places = [first + _MAP_BYTES * k for k in range(len(self.maps))]
        for described, place in zip(self.maps, places, strict=True):
            at = 2 * described.operand
            self.device.encode(described, numbers[at] + numbers[at + 1], place)
        found = (c_void_p * (len(numbers) + len(places)))(*_places(numbers), *places)
        return found, room

    def node(self, numbers):
        """The kernel in a graph; ``numbers`` must live until the node is added."""
        params, room = self._params_of(numbers)
        node = _Node(self.handle, (self.groups, 1, 1), (self.size, 1, 1), self.shared)
        node.params = ctypes.addressof(params)
        node.kept = numbers, params, room
        return node

    def start(self, queue, numbers):
        if self.maps:  # the driver describes memory anew for each start
            own = (c_uint64 * (len(numbers) + len(self._last)))(*numbers, *self._last)
            params, _room = self._params_of(own)
            code = self.device.lib.cuLaunchKernel(
                self.handle, self.groups, 1, 1, self.size, 1, 1, self.shared, queue, params, None
            )
            self.failed(code)
            self.device.launches += 1
        else:
            super().start(queue, numbers)

    def failed(self, code):
        _check(self.device.lib, code, "starting a kernel")


def _follow(device, other):
    """Let the current queue of a device wait for the work so far in that of another one."""
    event = other.moment()
    other.record(event)
    device.follow(device.local.queue, event)
    other.forget(event)


def _places(numbers):
    """The addresses of the elements of an array."""
    first, count = ctypes.addressof(numbers), len(numbers)
    return (c_void_p * count)(*range(first, first + 8 * count, 8))


class _Node(ctypes.Structure):
    """The driver's CUDA_KERNEL_NODE_PARAMS."""

    _fields_ = [
        ("function", _P), ("grid", c_uint * 3), ("block", c_uint * 3), ("shared", c_uint),
        ("params", _P), ("extra", _P),
    ]  # fmt: skip


def _destroyed(device, started):
    if device.is_open():
        device.open()
        device.lib.cuGraphExecDestroy(started)


class _Graph:
    """Many launches that the driver starts as one, each after the one before."""

    def __init__(self, device, launches):
        self.device, self.count = device, len(launches)
        self._codes = [kernel.code for kernel, _ in launches]  # the graph needs them
        device.open()
        graph, last = c_void_p(), None
        device._do("cuGraphCreate", byref(graph), 0, doing="making a graph")
        for kernel, args in launches:
            numbers = kernel.numbers(args)
            node, made = kernel.node(numbers), c_void_p()
            device._do(
                "cuGraphAddKernelNode", byref(made), graph, None if last is None else byref(last),
                0 if last is None else 1, byref(node), doing="adding to a graph",
            )  # fmt: skip
            last = made
        self._started = c_void_p()
        device._do("cuGraphInstantiateWithFlags", byref(self._started), graph, 0,
                   doing="preparing a graph")  # fmt: skip
        device.lib.cuGraphDestroy(graph)
        weakref.finalize(self, _destroyed, device, self._started).atexit = False

    def launch(self):
        """Start all kernels, in order."""
        self.device.open()
        stream = self.device.local.queue.handle
        self.device._do("cuGraphLaunch", self._started, stream, doing="starting a graph")
        self.device.launches += self.count


def _size(nbytes):
    """A number of bytes as PyTorch's error messages have it."""
    for unit, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if nbytes >= 1 << unit:
            return f"{nbytes / (1 << unit):.2f} {name}"
    return f"{nbytes} bytes"
