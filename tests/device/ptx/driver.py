"""A stand-in for NVIDIA's driver (``libcuda``), which runs kernels by the interpreter.

Its functions have C's calling convention, so that all of ``backend/cuda.py`` runs as with a GPU.
The default stream runs work at once. Other streams run it as late as they may: when something waits
for it. So a missing wait gives other results, whichever of two streams should have come first.
"""

import ctypes
import sys
import time
from ctypes import c_char_p, c_int, c_void_p

import numpy as np

from rushlight.backend import cuda
from rushlight.compiler.python import levels
from tests.device.ptx.interpreter import Launch
from tests.device.ptx.memory import Arena, Fault
from tests.device.ptx.parsing import constants_of, kernels_of
from tests.device.ptx.warpgroups import encoded

__all__ = ["StandIn"]

_INVALID, _OUT_OF_MEMORY, _NO_CONTEXT, _BAD_PTX, _ILLEGAL = 1, 2, 201, 218, 700
_NOT_READY = 600
_NAMES = {
    _INVALID: b"invalid argument", _OUT_OF_MEMORY: b"out of memory",
    _NO_CONTEXT: b"invalid device context", _BAD_PTX: b"a PTX JIT compilation failed",
    _ILLEGAL: b"an illegal memory access was encountered", _NOT_READY: b"device not ready",
}  # fmt: skip
_MOST_SHARED = 227 * 1024
_ATTRIBUTES = {16: 4, 39: 2048}  # 4 processors


class StandIn:
    """The library.

    Args:
        count: The number of devices.
        memory: Bytes of memory of each.
        races: Whether to look for races.
        capability: The compute capability.

    Attributes:
        said: What was wrong with a kernel that failed. From then on all calls fail, as with a GPU.
        calls: The names of the functions that were called.
    """

    def __init__(self, count=2, memory=1 << 25, races=True, capability=(8, 0)):
        self.memory, self.races = memory, races
        self.attributes = {**_ATTRIBUTES, 75: capability[0], 76: capability[1]}
        self.arenas = [Arena(memory) for _ in range(count)]
        self.said, self.calls, self.texts = "", [], []
        self._current = None
        self._objects: list = []  # modules, functions and events, by their handles less one
        self._epoch = 1
        self.pinned: dict = {}
        self._asked: dict = {}  # function → bytes of shared memory that launches may ask for
        self._late: dict = {}  # stream → the work that waits in it, as (device, function)
        for name, types in [*cuda._FUNCTIONS, *cuda._GRAPHS, *cuda._MAPS]:
            types = [c_void_p if t is c_char_p else t for t in types]
            do = getattr(self, "_" + name.removesuffix("_v2"))
            setattr(self, name, ctypes.CFUNCTYPE(c_int, *types)(self._safely(name, do)))

    def _safely(self, name, do):
        def run(*args):
            tracer = sys.gettrace()
            sys.settrace(None)
            try:
                return called(*args)
            finally:
                sys.settrace(tracer)

        def called(*args):
            self.calls.append(name)
            if self.said and not name.startswith("cuGetError"):
                return _ILLEGAL
            try:
                return do(*args) or 0
            except Fault as error:
                self.said = str(error)
                return _ILLEGAL
            except Exception as error:
                self.said = repr(error)
                return _INVALID

        # While a call is recorded, Python code is observed. The driver of a GPU is no Python code.
        levels._levels[run.__code__] = levels.NOT
        return run

    def _handle(self, what):
        self._objects.append(what)
        return len(self._objects)

    @property
    def arena(self):
        return self.arenas[self._current]

    # Devices and contexts -------------------------------------------------------------------

    def _cuInit(self, flags):
        return 0

    def _cuDriverGetVersion(self, version):
        _put(version, c_int, 12040)

    def _cuGetErrorName(self, code, text):
        _put(text, c_char_p, _NAMES.get(code, b"unknown"))

    _cuGetErrorString = _cuGetErrorName

    def _cuDeviceGetCount(self, count):
        _put(count, c_int, len(self.arenas))

    def _cuDeviceGet(self, device, number):
        _put(device, c_int, number)

    def _cuDeviceGetName(self, name, size, device):
        ctypes.memmove(name, b"Stand-in GPU\0", 13)

    def _cuDeviceGetAttribute(self, value, what, device):
        _put(value, c_int, self.attributes[what])

    def _cuDeviceTotalMem(self, size, device):
        _put(size, ctypes.c_size_t, self.memory)

    def _cuDevicePrimaryCtxRetain(self, context, device):
        _put(context, c_void_p, device + 1)

    def _cuCtxSetCurrent(self, context):
        self._current = context - 1

    def _cuCtxSynchronize(self):
        for stream in self._late:
            self._finish(stream)
        return _NO_CONTEXT if self._current is None else 0

    def _cuDeviceCanAccessPeer(self, found, device, peer):
        _put(found, c_int, device != peer)

    def _cuCtxEnablePeerAccess(self, context, flags):
        pass

    def _cuMemcpyPeerAsync(self, target, there, source, here, size, stream):
        def copy():
            found = self.arenas[here - 1].view(source, size)
            self.arenas[there - 1].view(target, size)[...] = found

        self._put_into(stream, copy)

    # Streams ----------------------------------------------------------------------------------

    def _cuStreamCreateWithPriority(self, stream, flags, priority):
        assert flags == 1
        handle = self._handle("stream")
        self._late[handle] = []
        _put(stream, c_void_p, handle)

    def _put_into(self, stream, work):
        """Run ``work`` now, in the default stream, or later."""
        if stream is None:
            work()
        else:
            self._late[stream].append((self._current, work))

    def _finish(self, stream, mark=None):
        """Run the work of a stream; with ``mark`` only as far as this piece of work."""
        queue = self._late.get(stream, ())
        if mark is not None and mark not in [work for _, work in queue]:
            return
        while queue:
            before = self._current
            self._current, work = queue.pop(0)
            try:
                work()
            finally:
                self._current = before
            if work is mark:
                return

    def _cuStreamSynchronize(self, stream):
        self._finish(stream)

    def _cuStreamQuery(self, stream):
        if not self._late.get(stream):
            return 0
        self._finish(stream)
        return _NOT_READY

    def _cuStreamWaitEvent(self, stream, event, flags):
        _, there, mark = self._objects[event - 1]
        self._put_into(stream, lambda: self._finish(there, mark) if mark else None)

    # Memory -----------------------------------------------------------------------------------

    def _cuMemGetInfo(self, free, total):
        _put(free, ctypes.c_size_t, self.memory - self.arena.used)
        _put(total, ctypes.c_size_t, self.memory)

    def _cuMemAlloc(self, address, size):
        found = self.arena.allocate(size)
        if found is None:
            return _OUT_OF_MEMORY
        _put(address, ctypes.c_uint64, found)
        return 0

    def _cuMemFree(self, address):
        self._cuCtxSynchronize()
        self.arena.free(address)

    def _cuMemHostAlloc(self, pointer, size, flags):
        memory = (ctypes.c_uint8 * size)()
        self.pinned[ctypes.addressof(memory)] = memory
        _put(pointer, c_void_p, ctypes.addressof(memory))

    def _cuMemFreeHost(self, address):
        del self.pinned[address]

    def _cuMemcpyHtoDAsync(self, target, source, size, stream):
        found = _bytes(source, size)
        pinned = any(a <= source < a + len(m) for a, m in self.pinned.items())
        found = found if pinned else found.copy()  # other memory is read at once

        def copy():
            self.arena.view(target, size)[...] = found

        self._put_into(stream, copy)

    def _cuMemcpyDtoHAsync(self, target, source, size, stream):
        def copy():
            _bytes(target, size)[...] = self.arena.view(source, size)

        self._put_into(stream, copy)

    def _cuMemcpyDtoDAsync(self, target, source, size, stream):
        def copy():
            self.arena.view(target, size)[...] = self.arena.view(source, size).copy()

        self._put_into(stream, copy)

    # Kernels ------------------------------------------------------------------------------------

    def _cuModuleLoadDataEx(self, module, image, count, options, values):
        text = ctypes.string_at(image).decode()
        self.texts.append(text)
        kernels = kernels_of(text)
        if not kernels:
            return _BAD_PTX
        places = {}
        for name, data in constants_of(text).items():
            places[name] = self.arena.allocate(len(data))
            self.arena.view(places[name], len(data))[...] = list(data)
        for kernel in kernels.values():
            kernel.constants = places
        _put(module, c_void_p, self._handle(kernels))
        return 0

    def _cuModuleGetFunction(self, function, module, name):
        kernel = self._objects[module - 1][ctypes.string_at(name).decode()]
        _put(function, c_void_p, self._handle(kernel))

    def _cuModuleUnload(self, module):
        kernels = self._objects[module - 1]
        gone = {id(k) for k in (kernels, *kernels.values())}
        self._objects = [None if id(o) in gone else o for o in self._objects]

    def _cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra):
        kernel = self._objects[function - 1]
        values = self._values(kernel, params)
        if shared > self._asked.get(function, 0):
            return _INVALID
        self._put_into(stream, lambda: self._run(kernel, gx, bx, values, shared))
        return 0

    def _cuFuncSetAttribute(self, function, what, value):
        if what != 8 or value > _MOST_SHARED:
            return _INVALID
        self._asked[function] = value
        return 0

    def _cuTensorMapEncodeTiled(
        self, target, kind, count, address, sizes, strides, box, steps, *ways
    ):
        numbers = lambda p, typ, n: [*ctypes.cast(p, ctypes.POINTER(typ))[:n]]
        sizes = numbers(sizes, ctypes.c_uint64, count)
        strides = numbers(strides, ctypes.c_uint64, count - 1)
        box = numbers(box, ctypes.c_uint, count)
        if target % 64 or address % 16 or any(s % 16 or s >> 40 for s in strides):
            return _INVALID
        if not 1 <= count <= 5 or not all(0 < n <= 256 for n in box) or ways != (0, 3, 2, 0):
            return _INVALID
        if (
            not all(0 < n <= 1 << 32 for n in sizes)
            or numbers(steps, ctypes.c_uint, count) != [1] * count
        ):
            return _INVALID
        found = np.array(encoded(kind, address, sizes, strides, box), np.uint64)
        ctypes.memmove(target, found.ctypes.data, 128)
        return 0

    @staticmethod
    def _values(kernel, params):
        places = ctypes.cast(params, ctypes.POINTER(c_void_p))
        found = [ctypes.string_at(places[k], size) for k, (_, size) in enumerate(kernel.params)]
        return [
            [*np.frombuffer(data, np.uint64)] if len(data) > 8 else int.from_bytes(data, "little")
            for data in found
        ]

    def _run(self, kernel, groups, size, values, shared=0):
        launch = Launch(kernel, groups, size, values, self.arena, self._epoch, self.races, shared)
        launch.run()
        self._epoch = int(launch.epoch.max()) + 1

    # Graphs: a node is (kernel, blocks, threads, values of the arguments) ---------------------

    def _cuGraphCreate(self, graph, flags):
        _put(graph, c_void_p, self._handle([]))

    def _cuGraphAddKernelNode(self, node, graph, before, count, params):
        p = cuda._Node.from_address(params)
        nodes = self._objects[graph - 1]
        last = ctypes.cast(before, ctypes.POINTER(c_void_p))[0] if count else None
        if last != (nodes[-1][-1] if nodes else None):
            return _INVALID  # these graphs are chains
        kernel = self._objects[p.function - 1]
        handle = self._handle("node")
        values = self._values(kernel, p.params)
        nodes.append((kernel, p.grid[0], p.block[0], values, p.shared, handle))
        _put(node, c_void_p, handle)
        return 0

    def _cuGraphInstantiateWithFlags(self, started, graph, flags):
        _put(started, c_void_p, self._handle([*self._objects[graph - 1]]))

    def _cuGraphLaunch(self, started, stream):
        for *node, _ in self._objects[started - 1]:
            self._put_into(stream, lambda node=node: self._run(*node))

    def _cuGraphDestroy(self, graph):
        self._objects[graph - 1] = None

    _cuGraphExecDestroy = _cuGraphDestroy

    # Events -----------------------------------------------------------------------------------

    def _cuEventCreate(self, event, flags):
        _put(event, c_void_p, self._handle([None, None, None]))

    def _cuEventRecord(self, event, stream):
        """An event is [time, its stream, the function that notes the time]."""
        found = self._objects[event - 1]

        def note():
            found[0] = time.perf_counter()

        found[:] = None, stream, note
        self._put_into(stream, note)

    def _cuEventQuery(self, event):
        when, stream, note = self._objects[event - 1]
        if when is not None or note is None:
            return 0
        self._finish(stream, note)
        return _NOT_READY

    def _cuEventSynchronize(self, event):
        _, stream, note = self._objects[event - 1]
        self._finish(stream, note)

    def _cuEventDestroy(self, event):
        pass

    def _cuEventElapsedTime(self, milliseconds, first, last):
        start, end = [self._objects[e - 1][0] for e in (first, last)]
        _put(milliseconds, ctypes.c_float, 1000 * (end - start))


def _put(pointer, typ, value):
    ctypes.cast(pointer, ctypes.POINTER(typ))[0] = value


def _bytes(address, size):
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)
