"""Messages from a worker to its loader: pickles, with large arrays in shared memory.

Pickle's protocol 5 hands out the arrays' memory beside the stream. Where the system has files
without a name (Linux), large arrays are copied into one and only its descriptor travels: the
loader maps it without a copy, the worker does not wait until a batch is taken, and the kernel
frees it however the processes end. Elsewhere the bytes go through the pipe.
"""

import contextlib
import io
import mmap
import os
import pickle
from multiprocessing import reduction

from rushlight.tensor import Tensor, from_array

__all__ = ["pack", "receive", "send", "unpack"]

LARGE = 256 * 1024  # bytes; below it the pipe is as fast (measured on Linux)
ALIGNMENT = 64  # bytes; a cache line, so that an array starts as NumPy's own would


def pack(message):
    """Pickle ``message``: the stream, and the memory of its large arrays."""
    stream = io.BytesIO()
    buffers: list[memoryview] = []

    def stays_in_stream(buffer):
        memory = buffer.raw()
        if memory.nbytes < LARGE:
            return True
        buffers.append(memory)
        return False

    # Positional, as ForkingPickler passes them on: protocol, fix_imports, buffer_callback.
    _Pickler(stream, 5, True, stays_in_stream).dump(message)
    return stream.getvalue(), buffers


class _Pickler(reduction.ForkingPickler):
    """Sends of a tensor the elements alone: not the memory that it is a view of."""

    def reducer_override(self, x):
        if type(x) is not Tensor:
            return NotImplemented
        if x.requires_grad and not x.is_leaf:
            raise RuntimeError(
                f"DataLoader: a tensor of shape {tuple(x.shape)} in a worker's batch was computed "
                "with gradients, and its history cannot leave the worker; send x.detach()"
            )
        return _tensor, (x.array, x.requires_grad)


def _tensor(array, requires_grad):
    return from_array(array).requires_grad_(requires_grad)


def unpack(stream, buffers):
    """The message of ``pack``."""
    return pickle.loads(stream, buffers=buffers)


def send(connection, stream, buffers):
    """Send what ``pack`` returned."""
    descriptor = _share(buffers) if buffers else None
    sizes = [memory.nbytes for memory in buffers]
    connection.send((stream, sizes, descriptor is not None))
    if descriptor is None:
        for memory in buffers:
            connection.send_bytes(memory)
    else:
        with _closing(descriptor):
            reduction.send_handle(connection, descriptor, None)


def receive(connection):
    """Receive what ``unpack`` takes."""
    stream, sizes, shared = connection.recv()
    if shared:
        return stream, _map(reduction.recv_handle(connection), sizes)
    buffers = [bytearray(size) for size in sizes]
    for memory in buffers:
        connection.recv_bytes_into(memory)
    return stream, buffers


def _share(buffers):
    """A descriptor of an unnamed file that holds the buffers; None where there can be none."""
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = None
    try:
        descriptor = os.memfd_create("rushlight-batch")
        start = 0
        for memory in buffers:
            written = 0
            while written < memory.nbytes:
                written += os.pwrite(descriptor, memory[written:], start + written)
            start = _aligned(start + memory.nbytes)
    except OSError:  # forbidden in a sandbox, or no memory of this kind: the pipe works
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def _map(descriptor, sizes):
    with _closing(descriptor):
        memory = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size))
    buffers = []
    start = 0
    for size in sizes:
        buffers.append(memory[start : start + size])
        start = _aligned(start + size)
    return buffers


def _aligned(offset):
    return -(-offset // ALIGNMENT) * ALIGNMENT


@contextlib.contextmanager
def _closing(descriptor):
    try:
        yield
    finally:
        os.close(descriptor)
