"""What the drivers of devices have in common: memory that is used again, counts, the host's copies.

Each device has one queue that runs commands in order. So memory can be used again as soon as the
last command that uses it is in the queue. Nothing here knows tensors.
"""

import ctypes
import time
from typing import Any

from rushlight import locks
from rushlight.errors import OutOfMemoryError

__all__ = ["Device", "DeviceError"]

#: Freed memory is kept by its size, rounded up to so many bytes, or to an eighth of a power of two.
_STEP = 512


class DeviceError(RuntimeError):
    """A function of the driver failed."""


class Device:
    """A device with its queue, its kernels and the memory that is free to use again.

    Attributes:
        name: The device's name, from its driver.
        kind: ``"CPU"``, ``"GPU"`` or ``"accelerator"``.
        language: What kernels come in: ``"SPIR-V"`` or ``"PTX"``.
        architecture: The kind of the device's machine code, where the language asks for it.
        version: The version of the driver's language, for people.
        capability: A pair of numbers that tells what NVIDIA's devices can do; (0, 0) for others.
        doubles: Whether the device computes with float64.
        units: The number of its compute units.
        threads: The most work-items that a unit has at once.
        most: The most work-items of a group.
        memory: Bytes of its memory.
        allocated, reserved: Bytes of memory in use; bytes in use or kept for use.
        most_allocated, most_reserved: The largest numbers of these so far.
        chains: Whether ``sequence`` is faster than single launches.
        launches, built: The number of kernels that were started, and that were made.
        moved: Bytes that were copied between host and device.
    """

    name: str
    kind: str
    language: str
    architecture = version = ""
    capability = (0, 0)
    chains = False
    doubles: bool
    units: int
    threads, most = 2048, 1024
    memory: int

    def __init__(self):
        self.allocated = self.reserved = self.most_allocated = self.most_reserved = 0
        self.launches = self.built = self.moved = 0
        self._free: dict[int, list] = {}  # bytes → buffers that are free
        self._lock = locks.new_lock()

    # What a driver does -----------------------------------------------------------------------

    def is_open(self):
        """Whether the device was used."""
        raise NotImplementedError

    def open(self):
        """Prepare the device, which is done when it is first used."""
        raise NotImplementedError

    def new_buffer(self, nbytes) -> Any:
        """New memory; OutOfMemoryError if there is not so much."""
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

    def synchronize(self):
        """Wait until all commands in the queue have run."""
        raise NotImplementedError

    def build(self, code, name) -> Any:
        """The kernel ``name`` of a program in the device's language."""
        raise NotImplementedError

    def kernel(self, handle, groups, size, limit) -> Any:
        """A kernel ready to start: it has ``launch(args)`` with (buffer, offset) of each argument.

        Args:
            handle: From ``build``.
            groups: The number of work-groups.
            size: The number of work-items in a group.
            limit: The kernel's last argument: the number of items that have work.
        """
        raise NotImplementedError

    def sequence(self, launches) -> Any:
        """Many launches that are started as one: it has ``launch()``.

        Args:
            launches: Pairs of a kernel and its arguments, in order.
        """
        return _Sequence(launches)

    # Moments. Without events of its own, a device is waited for ------------------------------

    def moment(self) -> Any:
        """A new event, which ``record`` puts behind the commands so far."""
        return [0.0]

    def record(self, event):
        """Note the moment when all commands so far have run."""
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

    # Memory -----------------------------------------------------------------------------------

    def allocate(self, nbytes):
        """(buffer, its bytes): memory of at least ``nbytes`` bytes.

        Raises:
            OutOfMemoryError: the device has not so much memory.
        """
        size = _rounded(nbytes)
        try:
            buffer = self._free[size].pop()
        except (KeyError, IndexError):
            buffer = self._made(size, nbytes)
            self.reserved += size
            self.most_reserved = max(self.most_reserved, self.reserved)
        self.allocated += size
        if self.allocated > self.most_allocated:
            self.most_allocated = self.allocated
        return buffer, size

    def _made(self, size, nbytes):
        self.open()
        try:
            return self.new_buffer(size)
        except OutOfMemoryError:
            self.empty_cache()
        try:
            return self.new_buffer(size)
        except OutOfMemoryError as error:
            raise OutOfMemoryError(self.no_memory(nbytes, error)) from None

    def free(self, buffer, size):
        """Keep a buffer for use again. Commands in the queue may still use it."""
        self.allocated -= size
        self._free.setdefault(size, []).append(buffer)

    def empty_cache(self):
        """Give the memory that is kept back to the system."""
        if not self.is_open():
            return
        self.synchronize()
        for size, buffers in list(self._free.items()):
            while buffers:
                self.release(buffers.pop())
                self.reserved -= size

    def write(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes of the host from ``address`` on to the device."""
        if nbytes:
            self.moved += nbytes
            self.copy_in(buffer, offset, address, nbytes)

    def read(self, buffer, offset, address, nbytes):
        """Copy ``nbytes`` bytes from the device to the host's memory from ``address`` on."""
        if nbytes:
            self.moved += nbytes
            self.copy_out(buffer, offset, address, nbytes)

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


def _rounded(nbytes):
    """The size of the buffer that serves ``nbytes`` bytes: few sizes, so that buffers fit again."""
    step = max(_STEP, (1 << max(nbytes - 1, 1).bit_length()) >> 3)
    return max(_STEP, -(-nbytes // step) * step)
