"""What this machine can do at most: multiplications in registers, and copies of memory.

Both are measured once a process, with as many threads as programs have: a kernel can be no faster
than its arithmetic at the first rate, nor than its memory traffic at the second.
"""

import atexit
import ctypes
import time
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.compiler import threads
from rushlight.compiler.code import load
from rushlight.compiler.emit.frame import entry, kernel
from rushlight.compiler.emit.loop import address, carried
from rushlight.compiler.emit.memory import load as read
from rushlight.compiler.emit.memory import store
from rushlight.compiler.emit.target import host
from rushlight.compiler.emit.value import FLOAT, Value, intrinsic
from rushlight.threads import get_num_threads

__all__ = ["Limits", "call_kernel", "limits", "overhead"]

_SUMS = 16  # of vectors, each waiting for itself only: more than the units have stages
_ROUNDS = 1 << 13
_SIZES = [1 << n for n in range(14, 27, 2)]  # bytes of a copy's source: 16 KiB to 64 MiB
_PARTS = 16  # chunks of a copy by all threads


@dataclass(frozen=True)
class Limits:
    """Measured rates of this machine.

    Attributes:
        flops: float32 additions and multiplications per second.
        copies: (bytes moved, bytes per second) of copies, from small to large.
    """

    flops: float
    copies: tuple

    def bandwidth(self, moved):
        """Bytes per second of a copy that moves about as many bytes."""
        return next((rate for size, rate in self.copies if size >= moved), self.copies[-1][1])

    def least(self, flops, moved, itemsize=4):
        """The seconds that so much work takes at least."""
        return max(flops / self.flops * itemsize / 4, moved / self.bandwidth(moved))


@cache
def limits():
    """The :class:`Limits` of this machine.

    Raises:
        ImportError: llvmlite is missing.
    """
    threads.reserve(_SUMS * 64)
    return Limits(_arithmetic(), tuple([(2 * size, _copy(size)) for size in _SIZES]))


def call_kernel(address, args, chunks):
    """A function that runs a kernel once: all its chunks on all threads, or alone where 0."""
    if not chunks:
        alone = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(address)
        return lambda: alone(args, 0, None)
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    parallel = prototype(threads.parallel())
    return lambda: parallel(address, args, chunks)


def overhead(chunks):
    """Seconds that a call of ``call_kernel`` takes for a kernel that does nothing."""
    run = call_kernel(_library().address("nothing"), None, min(chunks, 1))
    return best(run, 200)


def best(run, tries):
    """The least seconds of a call."""
    found = []
    for _ in range(tries):
        start = time.perf_counter_ns()
        run()
        found.append(time.perf_counter_ns() - start)
    return min(found) * 1e-9


def _arithmetic():
    chunks = 4 * get_num_threads()
    seed = np.full(_SUMS * host().lanes(FLOAT), 0.5, np.float32)
    args = (ctypes.c_void_p * 1)(seed.ctypes.data)
    seconds = best(call_kernel(_library().address("multiply"), args, chunks), 20)
    return 2 * host().lanes(FLOAT) * _SUMS * _ROUNDS * chunks / seconds


def _copy(size):
    """Bytes per second of the faster of one thread and all."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    found = []
    for chunks in {1, _PARTS}:
        args = (ctypes.c_void_p * 3)(source.ctypes.data, target.ctypes.data, size // chunks)
        run = call_kernel(_library().address("copy"), args, chunks if chunks > 1 else 0)
        found.append(best(run, 10) - overhead(chunks - 1))
    return 2 * size / max(min(found), 1e-9)


@cache
def _library():
    module = ir.Module("limits")
    kernel(module, "nothing")[0].ret_void()
    _write_multiply(module)
    _write_copy(module)
    return load(host().object_code(module))


atexit.register(_library.cache_clear)  # while there is still a linker to free it


def _write_multiply(module):
    """Sums of products that stay in registers; the result goes to the thread's workspace.

    Each starts from memory of its own, or LLVM would see that all are one.
    """
    b, args, _, scratch = kernel(module, "multiply")
    lanes, seed = host().lanes(FLOAT), entry(b, args, 0)
    starts = [read(b, address(b, seed, i * lanes, 4), FLOAT, lanes) for i in range(_SUMS)]
    x = starts[0]
    fma = lambda _, sums: [s.call("llvm.fma", x, x) for s in sums]
    for i, s in enumerate(carried(b, 0, _ROUNDS, starts, fma)):
        store(b, s, address(b, scratch, i * lanes, 4), FLOAT)
    b.ret_void()


def _write_copy(module):
    """Chunk after chunk by the system's own memcpy."""
    b, args, chunk, _ = kernel(module, "copy")
    size = b.ptrtoint(entry(b, args, 2), ir.IntType(64))
    at = chunk * Value(b, size, chunk.dtype)
    pointers = [address(b, entry(b, args, k), at) for k in (1, 0)]
    name, no = "llvm.memcpy.p0.p0.i64", ir.IntType(1)(0)
    intrinsic(b, name, ir.VoidType(), [*pointers, size, no])
    b.ret_void()
