"""Runs a plan of window kernels as programs do, and more strictly."""

import ctypes
import mmap
import os

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.frame import storing
from rushlight.compiler.cpu import loader
from rushlight.compiler.cpu.target import host

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


def aligned(size):
    """Bytes that are all ones: nan, where something unwritten is read."""
    memory = np.full(size + 128, 0xFF, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def guarded(x):
    """A copy of ``x`` at the end of memory whose next page may not be read."""
    if os.name != "posix":
        return x.copy()
    page = mmap.PAGESIZE
    steps = zip(x.shape, x.strides, strict=True)
    span = sum((n - 1) * s for n, s in steps) + x.itemsize if x.size else 0
    size = -(-max(span, 1) // page) * page
    memory = mmap.mmap(-1, size + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None).mprotect
    assert protect(ctypes.c_void_p(start + size), ctypes.c_size_t(page), 0) == 0
    copy = np.ndarray(x.shape, x.dtype, memory, size - span, x.strides)
    copy[...] = x
    return copy


def computed(emitter, description, arrays, dtype, orders=2, sink=None, target=None):
    """The result for several orders of the chunks, which must not matter."""
    target = target or host()
    steps = emitter.plan(description, target)
    shape = description.shape
    memory = np.full(int(np.prod(shape)) + 64, 7, dtype)
    out = memory[: memory.size - 64].reshape(shape)
    strides = tuple(s // out.itemsize for s in out.strides)
    module = ir.Module()
    place = len(arrays) + len(steps.temporaries)
    emitter.emit(module, steps, (sink or storing)(place, dtype, strides))
    library = loader.load(target.object_code(module))
    results = []
    for seed in range(orders):
        buffers = [*arrays, *[aligned(n) for n in steps.temporaries], out]
        args = (ctypes.c_void_p * len(buffers))(*[v.ctypes.data for v in buffers])
        out[...] = 5
        for kernel in steps.kernels:
            run = KERNEL(library.address(kernel.name))
            scratch = aligned(kernel.scratch)
            order = np.random.default_rng(seed).permutation(kernel.chunks)
            for chunk in order if seed else range(kernel.chunks):
                run(args, int(chunk), scratch.ctypes.data)
        results.append(out.copy())
    assert all(r.tobytes() == results[0].tobytes() for r in results)
    assert (memory[memory.size - 64 :] == 7).all()
    return results[0]
