"""OpenCL by its C interface: devices, memory, kernels. Nothing here knows tensors.

Kernels come as SPIR-V, so a device must take programs in an intermediate language (OpenCL 2.1 and
3.0).
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from rushlight.backend.device import Device, DeviceError
from rushlight.backend.native import llvm_works
from rushlight.backend.starting import Kernel
from rushlight.errors import OutOfMemoryError

__all__ = ["OpenCLDevice", "devices", "intel_gpus"]

_ALL = 0xFFFFFFFF  # CL_DEVICE_TYPE_ALL
_NAME, _TYPE, _VERSION, _EXTENSIONS = 0x102B, 0x1000, 0x102F, 0x1030
_UNITS, _MEMORY, _IL, _MOST, _PARAMETERS = 0x1002, 0x101F, 0x105B, 0x1004, 0x1017
_OF_PLATFORM, _DRIVER_VERSION, _PLATFORM, _PLATFORM_VERSION = 0x1031, 0x102D, 0x0902, 0x0901
_KINDS = {1 << 1: "CPU", 1 << 2: "GPU", 1 << 3: "accelerator"}
_BUILD_LOG = 0x1183
_TRUE, _READ_WRITE = 1, 1
_SUCCESS = 0
_MEMORY_ERRORS = (-4, -5, -6, -61)  # no memory for an object, no resources, on the host, too large
_ERRORS = {
    -1: "device not found", -2: "device not available", -4: "no memory on the device",
    -5: "out of resources", -6: "no memory on the host", -11: "the program does not build",
    -14: "an earlier command failed", -30: "invalid value", -36: "invalid queue",
    -38: "invalid memory", -48: "invalid kernel", -51: "invalid size of an argument",
    -52: "invalid arguments of a kernel", -54: "invalid size of a work-group",
    -61: "the memory is larger than the device allows",
}  # fmt: skip


# The library ------------------------------------------------------------------------------


#: Intel's OpenCL for CPUs, where ``pip install intel-opencl-rt intel-cmplr-lib-rt`` puts it. It
#: does without a loader, which would not find it there.
_OWN = [Path(sys.prefix, "lib", "libintelocl.so"), Path(sys.prefix, "Library/bin/intelocl64.dll")]


def _paths():
    """Where drivers may lie, and the loader, which knows those that the system has."""
    yield from [str(path) for path in _OWN if path.exists()]
    name = {"win32": "OpenCL.dll", "darwin": "OpenCL"}.get(sys.platform, "libOpenCL.so.1")
    from ctypes.util import find_library

    yield find_library("OpenCL") or name


def _libraries():
    """The OpenCL libraries that are there, with their functions' types."""
    for path in _paths():
        try:
            lib = ctypes.CDLL(path)
        except OSError:
            continue
        if _is_complete(lib):
            yield lib


def _is_complete(lib):
    """Whether ``lib`` has all functions, whose types are then declared; older ones lack SPIR-V."""
    for name, result, args in _FUNCTIONS:
        function = getattr(lib, name, None)
        if function is None:
            return False
        function.restype, function.argtypes = result, args
    return True


_P = c_void_p
_FUNCTIONS = [
    ("clGetPlatformIDs", c_int32, [c_uint32, _P, _P]),
    ("clGetPlatformInfo", c_int32, [_P, c_uint32, c_size_t, _P, _P]),
    ("clGetDeviceIDs", c_int32, [_P, c_uint64, c_uint32, _P, _P]),
    ("clGetDeviceInfo", c_int32, [_P, c_uint32, c_size_t, _P, _P]),
    ("clCreateContext", _P, [_P, c_uint32, _P, _P, _P, _P]),
    ("clCreateCommandQueueWithProperties", _P, [_P, _P, _P, _P]),
    ("clCreateProgramWithIL", _P, [_P, c_char_p, c_size_t, _P]),
    ("clBuildProgram", c_int32, [_P, c_uint32, _P, c_char_p, _P, _P]),
    ("clGetProgramBuildInfo", c_int32, [_P, _P, c_uint32, c_size_t, _P, _P]),
    ("clCreateKernel", _P, [_P, c_char_p, _P]),
    ("clReleaseProgram", c_int32, [_P]),
    ("clReleaseKernel", c_int32, [_P]),
    ("clCreateBuffer", _P, [_P, c_uint64, c_size_t, _P, _P]),
    ("clReleaseMemObject", c_int32, [_P]),
    ("clSetKernelArg", c_int32, [_P, c_uint32, c_size_t, _P]),
    ("clEnqueueNDRangeKernel", c_int32, [_P, _P, c_uint32, _P, _P, _P, c_uint32, _P, _P]),
    ("clEnqueueReadBuffer", c_int32, [_P, _P, c_uint32, c_size_t, c_size_t, _P, c_uint32, _P, _P]),
    ("clEnqueueWriteBuffer", c_int32, [_P, _P, c_uint32, c_size_t, c_size_t, _P, c_uint32, _P, _P]),
    ("clEnqueueCopyBuffer", c_int32, [_P, _P, _P, c_size_t, c_size_t, c_size_t, c_uint32, _P, _P]),
    ("clFinish", c_int32, [_P]),
]


def _check(code, doing):
    if code == _SUCCESS:
        return
    kind = OutOfMemoryError if code in _MEMORY_ERRORS else DeviceError
    raise kind(f"OpenCL: {doing}: {_ERRORS.get(code, 'error')} ({code})")


def _made(function, *args, doing):
    """The object that a function of the library makes; its last argument is an error code."""
    code = c_int32()
    found = function(*args, byref(code))
    _check(code.value, doing)
    return c_void_p(found)


def _listed(function, *args):
    """The objects that a function of the library lists, as numbers; none if it fails."""
    count = c_uint32()
    if function(*args, 0, None, byref(count)) != _SUCCESS or not count.value:
        return []
    found = (c_void_p * count.value)()
    if function(*args, count.value, found, None) != _SUCCESS:
        return []
    return list(found)


def _info(function, handle, what):
    """The bytes that a function tells of an object; none if it fails."""
    size = c_size_t()
    if function(handle, what, 0, None, byref(size)) != _SUCCESS:
        return b""
    found = ctypes.create_string_buffer(size.value)
    return found.raw if function(handle, what, size.value, found, None) == _SUCCESS else b""


def _text(function, handle, what):
    return _info(function, handle, what).rstrip(b"\0").decode(errors="replace").strip()


# Devices ----------------------------------------------------------------------------------


@cache
def devices():
    """The devices that can run kernels, as a tuple of ``OpenCLDevice``; kernels need llvmlite.

    GPUs come before processors.
    """
    if not llvm_works():
        return ()
    found: list = []
    known: set = set()  # the drivers of earlier libraries
    for lib in _libraries():
        platforms = {p: _platform(lib, p) for p in _listed(lib.clGetPlatformIDs)}
        for p, name in platforms.items():
            if name not in known:  # the loader may know a driver that was found without it
                found += _of_platform(lib, p)
        known.update(platforms.values())
    return tuple(
        sorted([d for d in found if "SPIR-V" in d.languages], key=lambda d: d.kind == "CPU")
    )


def _of_platform(lib, platform):
    return [OpenCLDevice(lib, d) for d in _listed(lib.clGetDeviceIDs, platform, _ALL)]


def _platform(lib, platform):
    """The name and the version of a driver."""
    asked = lib.clGetPlatformInfo
    return tuple(
        [_text(asked, c_void_p(platform), what) for what in (_PLATFORM, _PLATFORM_VERSION)]
    )


@cache
def intel_gpus():
    """The devices of the type ``xpu``: Intel's GPUs, as a tuple of ``OpenCLDevice``."""
    return tuple([d for d in devices() if d.kind == "GPU" and "Intel" in d.name])


class OpenCLDevice(Device):
    """A device of OpenCL.

    Attributes:
        version: The version of OpenCL.
        languages: The intermediate languages that it takes.
        extensions: The names of its extensions of OpenCL.
    """

    language = "SPIR-V"

    def __init__(self, lib, handle):
        super().__init__()
        self.lib, self.handle = lib, c_void_p(handle)
        self.name = self._text(_NAME)
        self.version = self._text(_VERSION)
        platform = c_void_p(self._number(_OF_PLATFORM))
        name = _text(lib.clGetPlatformInfo, platform, _PLATFORM)
        # PoCL's full SVD was seen to be wrong: work-items read what others had not written yet. Its
        # LLVM (18) was seen to end the process for products whose sizes are arguments.
        self.branches = self.open_tiles = name != "Portable Computing Language"
        self.driver = f"{name} {self._text(_DRIVER_VERSION)}"
        self.languages = self._text(_IL)
        self.extensions = frozenset(self._text(_EXTENSIONS).split())
        self.kind = _KINDS.get(self._number(_TYPE) & 0xE, "device")
        self.units, self.most = self._number(_UNITS), self._number(_MOST)
        self.memory, self.parameters = self._number(_MEMORY), self._number(_PARAMETERS)
        self.doubles = "cl_khr_fp64" in self.extensions
        self._context = self._queue = None

    def _text(self, what):
        return _text(self.lib.clGetDeviceInfo, self.handle, what)

    def _number(self, what):
        return int.from_bytes(_info(self.lib.clGetDeviceInfo, self.handle, what), sys.byteorder)

    def is_open(self):
        return self._queue is not None

    def open(self):
        with self._lock:
            if self._queue is None:
                one = (c_void_p * 1)(self.handle)
                self._context = _made(self.lib.clCreateContext, None, 1, one, None, None,
                                      doing="opening the device")  # fmt: skip
                make = self.lib.clCreateCommandQueueWithProperties
                self._queue = _made(make, self._context, self.handle, None, doing="making a queue")

    @property
    def queue(self):
        if self._queue is None:
            self.open()
        return self._queue

    # Memory -----------------------------------------------------------------------------------

    def new_buffer(self, nbytes):
        found = _made(
            self.lib.clCreateBuffer, self._context, _READ_WRITE, nbytes, None,
            doing=f"allocating {nbytes} bytes",
        )  # fmt: skip
        return found.value or 0

    def release(self, buffer):
        self.lib.clReleaseMemObject(buffer)

    def copy_in(self, buffer, offset, address, nbytes):
        code = self.lib.clEnqueueWriteBuffer(
            self.queue, buffer, _TRUE, offset, nbytes, address, 0, None, None
        )
        _check(code, "copying to the device")

    def copy_out(self, buffer, offset, address, nbytes):
        code = self.lib.clEnqueueReadBuffer(
            self.queue, buffer, _TRUE, offset, nbytes, address, 0, None, None
        )
        _check(code, "copying from the device")

    def copy_within(self, source, start, target, to, nbytes):
        code = self.lib.clEnqueueCopyBuffer(
            self.queue, source, target, start, to, nbytes, 0, None, None
        )
        _check(code, "copying on the device")

    def synchronize(self):
        if self._queue is not None:
            _check(self.lib.clFinish(self._queue), "waiting for the device")

    # Kernels ----------------------------------------------------------------------------------

    def load(self, code, name):
        queue = self.queue
        assert queue is not None
        program = _made(self.lib.clCreateProgramWithIL, self._context, code, len(code),
                        doing="reading a program")  # fmt: skip
        one = (c_void_p * 1)(self.handle)
        failed = self.lib.clBuildProgram(program, 1, one, None, None, None)
        if failed:  # one driver was seen to fail at random, and then to succeed
            failed = self.lib.clBuildProgram(program, 1, one, None, None, None)
        if failed:
            raise DeviceError(f"OpenCL: {name} does not build ({failed}): {self._log(program)}")
        kernel = _made(self.lib.clCreateKernel, program, name.encode(), doing="making a kernel")
        self.lib.clReleaseProgram(program)  # the kernel keeps it
        return kernel, None

    def unload(self, kernel, program):
        self.lib.clReleaseKernel(kernel)  # commands in the queue keep it until they have run

    def ready(self):
        return self.queue.value

    def kernel(self, code, groups, size, numbers):
        return _Kernel(self, code, groups, size, numbers)

    def _log(self, program):
        size = c_size_t()
        self.lib.clGetProgramBuildInfo(program, self.handle, _BUILD_LOG, 0, None, byref(size))
        found = ctypes.create_string_buffer(size.value)
        self.lib.clGetProgramBuildInfo(program, self.handle, _BUILD_LOG, size.value, found, None)
        return found.value.decode(errors="replace").strip()


# Kernels ----------------------------------------------------------------------------------

#: Sets the arguments of a kernel and puts it into a queue; see ``Kernel.header`` for the record.
_START = """
define i32 @start(ptr %n) {
entry:
  %kernel.at = getelementptr i64, ptr %n, i64 2
  %count.at = getelementptr i64, ptr %n, i64 3
  %global.at = getelementptr i64, ptr %n, i64 4
  %local.at = getelementptr i64, ptr %n, i64 5
  %enqueue.at = getelementptr i64, ptr %n, i64 1
  %queue.at = getelementptr i64, ptr %n, i64 7
  %set = load ptr, ptr %n
  %enqueue = load ptr, ptr %enqueue.at
  %queue = load ptr, ptr %queue.at
  %kernel = load ptr, ptr %kernel.at
  %count = load i64, ptr %count.at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %following, %more ]
  %ended = icmp eq i64 %i, %count
  br i1 %ended, label %last, label %more
more:
  %place = add i64 %i, 8
  %argument = getelementptr i64, ptr %n, i64 %place
  %number = trunc i64 %i to i32
  %code = call i32 %set(ptr %kernel, i32 %number, i64 8, ptr %argument)
  %following = add i64 %i, 1
  %good = icmp eq i32 %code, 0
  br i1 %good, label %next, label %failed
failed:
  ret i32 %code
last:
  %result = call i32 %enqueue(ptr %queue, ptr %kernel, i32 1, ptr null, ptr %global.at,
                            ptr %local.at, i32 0, ptr null, ptr null)
  ret i32 %result
}
"""


class _Kernel(Kernel):
    """A kernel of OpenCL. Equal kernels share an object of the driver, which holds arguments."""

    def __init__(self, device, code, groups, size, numbers):
        super().__init__(device, code, groups, numbers, _START)
        self._sizes = groups * size, size

    def header(self, record, count):
        lib = self.device.lib
        functions = lib.clSetKernelArg, lib.clEnqueueNDRangeKernel
        addresses = [ctypes.cast(f, c_void_p).value for f in functions]
        return [*addresses, self.code.value.value, count, *self._sizes]

    def failed(self, code):
        _check(code, "starting a kernel")
