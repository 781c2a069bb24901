"""What the drivers of devices have in common: memory that is used again, counts, the host's copies.

Commands go to the thread's current queue (``queues.py``), or into a ``Recording``. Nothing here
knows tensors.
"""

import ctypes
import gc
import time
import weakref
from functools import lru_cache
from threading import get_ident
from typing import Any

from rushlight import locks
from rushlight.backend.queues import Current, Queue
from rushlight.backend.recording import Recording
from rushlight.backend.tallies import Tallies
from rushlight.errors import AcceleratorError, OutOfMemoryError

__all__ = ["Code", "Device", "DeviceError"]

#: Freed memory is kept by its size, rounded up to so many bytes, or to an eighth of a power of two.
_STEP = 512
#: A device has so many queues of one priority besides the first one.
_QUEUES = 32


class DeviceError(AcceleratorError):
    """A function of the driver failed."""


class Code:
    """The code of a kernel on a device. The device releases it when nothing refers to it any more.

    Attributes:
        value: The driver's handle of the kernel.
    """

    def __init__(self, device, value, program=None):
        self.value = value
        # The thread that drops the last reference may be anywhere, so a later ``build`` releases.
        weakref.finalize(self, device.dropped.append, (value, program)).atexit = False


class Device:
    """A device with its queue, its kernels and the memory that is free to use again.

    Attributes:
        name: The device's name, from its driver.
        kind: ``"CPU"``, ``"GPU"`` or ``"accelerator"``.
        language: What kernels come in: ``"SPIR-V"`` or ``"PTX"``.
        architecture: The kind of the device's machine code, where the language asks for it.
        version: The version of the driver's language, for people.
        driver: The name and the version of the driver, for people.
        capability: A pair of numbers that tells what NVIDIA's devices can do; (0, 0) for others.
        doubles: Whether the device computes with float64.
        branches: Whether its driver compiles barriers rightly in branches that depend on values.
        open_tiles: Whether its driver compiles products whose sizes are arguments.
        units: The number of its compute units.
        threads: The most work-items that a unit has at once.
        most: The most work-items of a group.
        parameters: The most bytes of a kernel's arguments.
        memory: Bytes of its memory.
        tallies: Counts of its memory.
        fraction: The share of its memory that may be used.
        chains: Whether ``sequence`` is faster than single launches.
        launches, built: The number of kernels that were started, and that were made.
        dropped: Handles of kernels' code that nothing refers to, each as (kernel, program).
        moved: Bytes that were copied between host and device.
        default: The queue that the device has from the start.
        preparing: A lock for the first start of a kernel.
        local: Its ``queue`` is the current one of the thread.
        recording: The ``Recording`` of a thread that records, or None.
        capturing: The queue for graphs that name none, once there was one.
    """

    name: str
    kind: str
    language: str
    architecture = version = driver = ""
    capability = (0, 0)
    chains = False
    doubles: bool
    branches = open_tiles = True
    units: int
    threads, most = 2048, 1024
    parameters = 1024
    memory: int

    def __init__(self):
        self.tallies, self.fraction = Tallies(), 1.0
        self._segments: dict[int, Any] = {}  # buffer → (bytes, pool) of all memory
        self.launches = self.built = self.moved = 0
        self.dropped: list = []
        self.default = Queue()
        self.local = Current(self.default)
        self.recording: Recording | None = None
        self.capturing: Queue | None = None
        self._pools = [self.default.pool]
        self._queues: dict[int, list] = {}  # priority → queues that are given out in turn
        self._waiting: list = []  # (moments to wait for, buffer, its bytes, pool) of freed memory
        self._lock, self.preparing = locks.new_lock(), locks.new_lock()

    # What a driver does -----------------------------------------------------------------------

    def is_open(self):
        """Whether the device was used."""
        raise NotImplementedError

    def open(self):
        """Prepare the device, which is done when it is first used."""
        raise NotImplementedError

    def new_buffer(self, nbytes) -> int:
        """New memory, by its address or handle; OutOfMemoryError if there is not so much."""
        raise NotImplementedError

    def release(self, buffer):
        """Give memory back to the system."""
        raise NotImplementedError

    def copy_in(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes of the host, from ``address`` on, to ``offset`` in the buffer."""
        raise NotImplementedError

    def copy_out(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes of the buffer to the host, once the commands before have run."""
        raise NotImplementedError

    def copy_within(self, source, start, target, to, nbytes):
        """Copy ``nbytes`` bytes from ``start`` in one buffer to ``to`` in another one."""
        raise NotImplementedError

    def is_pinned(self, address):
        """Whether an address of the host lies in memory that the system never moves."""
        return False

    def synchronize(self):
        """Wait until all commands in all queues have run."""
        raise NotImplementedError

    def build(self, code, name) -> Code:
        """The ``Code`` of the kernel ``name`` of a program in the device's language."""
        self.release_dropped()
        found = Code(self, *self.load(code, name))
        self.built += 1
        return found

    def load(self, code, name) -> tuple:
        """(handle of the kernel, handle of the program) of the kernel ``name`` of a program."""
        raise NotImplementedError

    def unload(self, kernel, program):
        """Release a kernel's code, which was started for the last time."""
        raise NotImplementedError

    def release_dropped(self):
        """Release the code of kernels that nothing refers to any more."""
        while self.dropped:
            self.unload(*self.dropped.pop())

    def kernel(self, code, groups, size, numbers) -> Any:
        """A ``starting.Kernel``, ready to start.

        Args:
            code: From ``build``.
            groups: The number of work-groups.
            size: The number of work-items in a group.
            numbers: The kernel's last arguments: the number of items that have work, then sizes.

        CUDA's takes also ``maps``, the kernel's tensor maps, and ``shared``, the bytes of shared
        memory that a group asks for.
        """
        raise NotImplementedError

    def sequence(self, launches) -> Any:
        """Many launches that are started as one: it has ``launch()``.

        Args:
            launches: Pairs of a kernel and its arguments, in order.
        """
        return _Sequence(launches)

    def ready(self) -> int:
        """The handle of the thread's current queue, to which kernels may now be given."""
        raise NotImplementedError

    # Moments. Without events of its own, a device is waited for ------------------------------

    def moment(self) -> Any:
        """A new event, which ``record`` puts behind the commands so far."""
        return [0.0]

    def record(self, event, queue=None):
        """Note the moment when all commands so far in a queue, or in the current one, have run."""
        self.synchronize()
        event[0] = time.perf_counter()

    def reached(self, event):
        """Whether the moment of an event has come."""
        return True

    def wait_for(self, event):
        """Wait until the moment of an event has come."""

    def between(self, first, last):
        """The milliseconds between the moments of two events."""
        return 1000 * (last[0] - first[0])

    def forget(self, event):
        """Give an event back."""

    def memory_info(self):
        """(bytes that are free, bytes of memory), as far as this process knows."""
        return self.memory - self.reserved, self.memory

    def no_memory(self, nbytes, error) -> str:
        """What to say where memory is lacking for ``nbytes`` bytes."""
        return (
            f"{self.name} is out of memory: tried to allocate {nbytes} bytes, while "
            f"{self.allocated} bytes are in use ({error})"
        )

    # Queues. Without queues of its own, all queues of a device are one ------------------------

    def new_queue(self, number, priority) -> Queue:
        """A queue besides the first one."""
        return Queue(None, number, priority, self.default.pool)

    def take_queue(self, priority) -> Queue:
        """A queue besides the first one; those of one priority are given out in turn."""
        with self._lock:
            queues = self._queues.setdefault(priority, [])
            number = 1 + sum(map(len, self._queues.values()))
        if len(queues) < _QUEUES:
            queue = self.new_queue(number, priority)
        else:
            queue = queues.pop(0)
        queues.append(queue)
        return queue

    def drain(self, queue):
        """Wait until all commands in a queue have run."""
        self.synchronize()

    def is_drained(self, queue):
        """Whether all commands in a queue have run."""
        self.synchronize()
        return True

    def follow(self, queue, event):
        """Let the later commands of a queue wait for the moment of an event."""

    # Recording ----------------------------------------------------------------------------------

    def recorded(self):
        """The ``Recording`` of this thread, or None."""
        found = self.recording
        return found if found is not None and found.thread == get_ident() else None

    def refuse_recorded(self, name):
        """Raise AcceleratorError if this thread records: ``name`` waits for the device."""
        if self.recording is not None and (recording := self.recorded()) is not None:
            recording.refuse(name)

    # Memory -----------------------------------------------------------------------------------

    def allocate(self, nbytes, constant=False):
        """(buffer, its bytes, its pool): memory of at least ``nbytes`` bytes.

        Args:
            constant: The memory is written now, even if work is recorded. So it must not be memory
                that recorded kernels write to.

        Raises:
            OutOfMemoryError: the device has not so much memory.
        """
        size = _size(nbytes)
        pool = self.local.queue.pool
        recording = self.recorded() if self.recording is not None and not constant else None
        if recording is not None:
            pool = recording.pool
        if self._waiting:
            self._collect()
        try:
            buffer = pool.free[size].pop()
        except IndexError:
            buffer = self._made(size, nbytes)
            self._segments[buffer] = size, pool
            self.tallies.reserve(size)
            self.tallies.events["num_device_alloc"] += 1
        if nbytes:
            self.tallies.take(nbytes)
        return buffer, size, pool

    @property
    def allocated(self):
        """Bytes of memory that tensors use, as PyTorch's allocator counts them."""
        return self.tallies.count("allocated_bytes")

    @property
    def reserved(self):
        """Bytes of memory that is in use or kept for use."""
        return self.tallies.count("reserved_bytes")

    def _made(self, size, nbytes):
        self.open()
        try:
            return self._new_within(size)
        except OutOfMemoryError:
            self.tallies.events["num_alloc_retries"] += 1
            gc.collect()  # a program and the optimizer that it steps refer to each other
            self.empty_cache()
        try:
            return self._new_within(size)
        except OutOfMemoryError as error:
            self.tallies.events["num_ooms"] += 1
            raise OutOfMemoryError(self.no_memory(nbytes, error)) from None

    def _new_within(self, size):
        if self.fraction < 1 and self.reserved + size > self.fraction * self.memory:
            raise OutOfMemoryError(f"{self.fraction} of its memory are allowed")
        return self.new_buffer(size)

    def free(self, buffer, size, pool, nbytes, used=()):
        """Keep a buffer for use again. Commands in the pool's queue may still use it.

        Args:
            buffer, size, pool: From ``allocate``.
            nbytes: The bytes that it was asked for.
            used: Other queues whose commands so far may still use it.
        """
        if nbytes:
            self.tallies.give(nbytes)
        if not used:
            pool.put(buffer, size)
            return
        moments = []
        for queue in used:
            moments.append(self.moment())
            self.record(moments[-1], queue)
        self._waiting.append((moments, buffer, size, pool))

    def _collect(self, wait=False):
        """Put freed memory back into its pool that other queues have done with."""
        waiting, self._waiting = self._waiting, []
        for moments, buffer, size, pool in waiting:
            if wait or all(map(self.reached, moments)):
                for moment in moments:
                    self.forget(moment)
                pool.put(buffer, size)
            else:
                self._waiting.append((moments, buffer, size, pool))

    def empty_cache(self):
        """Give the memory that is kept back to the system, but for that of graphs."""
        if not self.is_open():
            return
        self.synchronize()
        self._collect(wait=True)
        for pool in self._pools:
            if not pool.graphs:
                self._empty(pool)

    def _empty(self, pool):
        for size, buffers in list(pool.free.items()):
            while buffers:
                buffer = buffers.pop()
                del self._segments[buffer]
                self.release(buffer)
                self.tallies.reserve(size, -1)
                self.tallies.events["num_device_free"] += 1

    def segments(self):
        """(address, bytes, whether it is in use, its pool) of all memory."""
        pools = {id(pool): pool for _, pool in self._segments.values()}
        free = {
            buffer
            for pool in (*pools.values(), self.default.pool)
            for buffers in pool.free.values() for buffer in buffers
        }  # fmt: skip
        return [(at, size, at not in free, pool) for at, (size, pool) in self._segments.items()]

    def leave_pool(self, pool):
        """Note that a graph needs its pool no more; the last one gives the memory back."""
        pool.graphs -= 1
        if pool.graphs or not self.is_open():
            return
        self.synchronize()  # an earlier replay may still use the memory
        self._empty(pool)
        pool.free = self.default.pool.free  # where tensors that are left leave their memory later

    def write(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes of the host from ``address`` on to the device."""
        if nbytes:
            self.moved += nbytes
            self.copy_in(buffer, offset, address, nbytes)

    def read(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes from the device to the host's memory from ``address`` on."""
        if nbytes:
            self.refuse_recorded("a copy to the host")
            self.moved += nbytes
            self.copy_out(buffer, offset, address, nbytes)

    def copy(self, source, start, target, to, nbytes):
        """Copy ``nbytes`` bytes from a buffer of the device to another one."""
        if not nbytes:
            return
        if self.recording is not None and (recording := self.recorded()) is not None:
            recording.do(lambda: self.copy_within(source, start, target, to, nbytes))
        else:
            self.copy_within(source, start, target, to, nbytes)

    def reaches(self, other):
        """Whether kernels of the device could read the memory of another one."""
        return False

    def sends_to(self, other):
        """Whether ``send`` can copy to the device ``other`` without the host."""
        return False

    def send(self, source, start, other, target, to, nbytes):
        """Copy ``nbytes`` bytes from a buffer to a buffer of the device ``other``.

        The copy waits for the current queues of both devices, and their later work for it.
        """
        raise NotImplementedError

    def read_into(self, target, buffer, offset):
        """Fill the bytearray ``target`` from the device's memory."""
        place = (ctypes.c_char * len(target)).from_buffer(target)
        self.read(buffer, offset, ctypes.addressof(place), len(target))


class _Sequence:
    def __init__(self, launches):
        self._launches = launches

    def launch(self):
        """Start all kernels, in order."""
        for kernel, args in self._launches:
            kernel.launch(args)


@lru_cache(1 << 12)
def _size(nbytes):
    """The size of the buffer that serves ``nbytes`` bytes; few sizes, so that buffers fit again."""
    step = max(_STEP, (1 << max(nbytes - 1, 1).bit_length()) >> 3)
    return max(_STEP, -(-nbytes // step) * step)
