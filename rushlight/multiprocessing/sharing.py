"""Shared memory for tensors, and the pickling of tensors that are sent between processes.

A tensor is sent by value: the receiver gets a copy. A tensor that ``share_memory_`` moved is sent
by a handle of its memory, so that the receiver works on the same memory. The sender must live
until the handle has arrived. The memory is an unnamed file, which the system frees when no process
uses it any more. An argument of a new process that is not forked is moved so, too, if nothing else
uses its memory.
"""

import mmap
import os
import secrets
import sys
import tempfile
from multiprocessing import context, reduction
from typing import Any

import numpy as np

from rushlight.dtype import OF
from rushlight.nn.parameter import Parameter
from rushlight.storage import flat, owner
from rushlight.tensor import Tensor, from_array

__all__ = ["block_of", "reduce", "share"]


class Block(mmap.mmap):
    """Memory that other processes can map too.

    Attributes:
        handle: The descriptor of the memory's file; on Windows the memory's name.
    """

    handle: Any

    def __new__(cls, size, handle):
        if isinstance(handle, str):
            block = super().__new__(cls, -1, size, tagname=handle)  # type: ignore[call-arg]
        else:
            block = super().__new__(cls, handle, size)
        block.handle = handle
        return block

    @classmethod
    def of_size(cls, size):
        """Return new memory of ``size`` bytes, at least 1 byte."""
        size = max(size, 1)
        if os.name == "nt":
            return cls(size, f"rushlight-{os.getpid()}-{secrets.token_hex(8)}")
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("rushlight-tensor")
        else:
            descriptor, path = tempfile.mkstemp(prefix="rushlight-")
            os.unlink(path)
        os.truncate(descriptor, size)
        return cls(size, descriptor)

    def __del__(self):
        if not isinstance(self.handle, str):
            os.close(self.handle)

    def __reduce__(self):
        handle = self.handle
        if not isinstance(handle, str):
            handle = reduction.DupFd(handle)
        return _attach, (len(self), handle)


def _attach(size, handle):
    return Block(size, handle if isinstance(handle, str) else handle.detach())


def block_of(array):
    """Return the Block that holds the memory of ``array``, or None."""
    base: Any = owner(array).base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, Block) else None


def share(t):
    """Move a tensor's storage to memory that processes share, in place."""
    array = t._array
    if block_of(array) is None:
        memory = flat(array)
        start = array.ctypes.data - memory.ctypes.data if memory.size else 0
        block = Block.of_size(memory.size)
        np.frombuffer(block, np.uint8)[: memory.size] = memory
        t._array = _view(block, array.shape, array.dtype, start, array.strides)
        t.view_of = None


def _view(block, shape, dtype, start, strides):
    memory = np.frombuffer(block, np.uint8)
    return np.ndarray(shape, dtype, memory, start, strides)


# How tensors travel -----------------------------------------------------------------------


def _references(t):
    return sys.getrefcount(t._array)


_OF_ONE_TENSOR = _references(from_array(np.empty(1)))


def _is_alone(t):
    """Whether only ``t`` uses its memory: it has no views, and is none."""
    return t._array.base is None and t.view_of is None and _references(t) == _OF_ONE_TENSOR


def reduce(t):
    """Return the function, and its arguments, that make ``t`` again in another process."""
    if t.requires_grad and not t.is_leaf:
        raise RuntimeError(
            f"multiprocessing: a tensor of shape {tuple(t.shape)} was computed with gradients, and "
            "its history cannot leave the process; send x.detach()"
        )
    if context.get_spawning_popen() is not None and _is_alone(t):
        share(t)
    array = t._array
    block = block_of(array)
    attributes = {name: value for name, value in t.__dict__.items() if name != "_shared"}
    if block is None:
        return _rebuild, (type(t), array, t.requires_grad, attributes)
    start = array.ctypes.data - np.frombuffer(block, np.uint8).ctypes.data
    place = block, array.shape, OF[array.dtype], start, array.strides
    return _rebuild_shared, (type(t), place, t.requires_grad, attributes)


def _rebuild(cls, array, requires_grad, attributes):
    t = from_array(array)
    if cls is Parameter:
        t = Parameter(t, requires_grad)
    elif cls is not Tensor:
        t = Tensor._make_subclass(cls, t, requires_grad)
    elif requires_grad:
        t.requires_grad_()
    t.__dict__.update(attributes)
    return t


def _rebuild_shared(cls, place, requires_grad, attributes):
    block, shape, dtype, start, strides = place
    array = _view(block, shape, dtype.numpy, start, strides)
    return _rebuild(cls, array, requires_grad, attributes)


for _kind in (Tensor, Parameter):
    reduction.ForkingPickler.register(_kind, reduce)
