"""Send messages from a worker to its loader: pickles, with large arrays in shared memory.

Pickle's protocol 5 gives the arrays' memory separately from the stream. On systems with unnamed
files (Linux), large arrays are copied into such a file and only its descriptor is sent. So the
loader maps the file without a copy, the worker does not wait until the loader takes the batch, and
the kernel frees the file however the processes end. On other systems the bytes go through the pipe.
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
ALIGNMENT = 64  # bytes of a cache line: arrays begin at multiples of it, as NumPy's own arrays do


def pack(message):
    """Pickle ``message``; return the stream and the list of its large arrays' memory."""
    stream = io.BytesIO()
    buffers: list[memoryview] = []

    def stays_in_stream(buffer):
        memory = buffer.raw()
        if memory.nbytes < LARGE:
            return True
        buffers.append(memory)
        return False

    # ForkingPickler takes these arguments by position: protocol, fix_imports, buffer_callback.
    _Pickler(stream, 5, True, stays_in_stream).dump(message)
    return stream.getvalue(), buffers


class _Pickler(reduction.ForkingPickler):
    """Sends only the elements of a tensor, not all of the memory that the tensor is a view of."""

    def reducer_override(self, x):
        if type(x) is not Tensor:
            return NotImplemented
        if x.requires_grad and not x.is_leaf:
            raise RuntimeError(
                f"DataLoader: a tensor of shape {tuple(x.shape)} in a worker's batch was computed "
                "with gradients, and its history cannot leave the worker; send x.detach()"
            )
        return _tensor, (x._array, x.requires_grad)


def _tensor(array, requires_grad):
    return from_array(array).requires_grad_(requires_grad)


def unpack(stream, buffers):
    """Return the message that ``pack`` pickled."""
    return pickle.loads(stream, buffers=buffers)


def send(connection, stream, buffers):
    """Send a stream and buffers that ``pack`` returned."""
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
    """Receive a stream and buffers for ``unpack``."""
    stream, sizes, shared = connection.recv()
    if shared:
        return stream, _map(reduction.recv_handle(connection), sizes)
    buffers = [bytearray(size) for size in sizes]
    for memory in buffers:
        connection.recv_bytes_into(memory)
    return stream, buffers


def _share(buffers):
    """Copy the buffers into an unnamed file; return its descriptor, or None if that fails."""
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
    except OSError:  # a sandbox forbids the file, or memory is short: the pipe still works
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
