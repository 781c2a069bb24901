"""What this machine can do at most: multiplications in registers, and copies of memory.

Both rates are measured once in a process, with as many threads as programs have. A kernel can't be
faster than its arithmetic at the first rate, or than its memory traffic at the second rate.
"""

import atexit
import ctypes
import time
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.frame import entry, kernel
from rushlight.compiler.codegen.loop import address, carried, loop
from rushlight.compiler.codegen.memory import load as read
from rushlight.compiler.codegen.memory import store
from rushlight.compiler.codegen.value import FLOAT, Value, intrinsic
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads
from rushlight.threads import get_num_threads

__all__ = ["Limits", "call_kernel", "idle_kernel", "limits"]

_SUMS = 16  # independent sums of vectors: more than the arithmetic units have pipeline stages
_ROUNDS = 1 << 13
_SIZES = [1 << n for n in range(14, 27, 2)]  # bytes of a copy's source: 16 KiB to 64 MiB
_PARTS = 16  # the number of chunks of a copy by all threads


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
        """The bytes per second of a copy that moves about ``moved`` bytes."""
        return next((rate for size, rate in self.copies if size >= moved), self.copies[-1][1])

    def least(self, flops, moved, itemsize=4):
        """The seconds that so many operations and bytes take at least."""
        return max(flops / self.flops * itemsize / 4, moved / self.bandwidth(moved))


@cache
def limits():
    """The :class:`Limits` of this machine.

    Raises:
        ImportError: llvmlite is missing.
    """
    threads.reserve(_SUMS * 64)
    return Limits(_arithmetic(), tuple([(2 * size, _copy(size)) for size in _SIZES]))


def call_kernel(address, args, chunks, times=1):
    """A function that runs all chunks of a kernel on all threads.

    If ``chunks`` is 0, it runs the kernel's first chunk on this thread, ``times`` times without
    Python in between.
    """
    if not chunks:
        prototype = ctypes.PYFUNCTYPE(None, *[ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p])
        repeat = prototype(_library().address("repeat"))
        return lambda: repeat(args, times, address)
    parallel = threads.PARALLEL(threads.parallel())
    return lambda: parallel(address, args, chunks, None)


def idle_kernel(chunks):
    """A function that calls an empty kernel in the way of ``call_kernel``."""
    return call_kernel(_library().address("nothing"), None, chunks)


def best(run, seconds=0.02):
    """The least seconds of a call of ``run``, which is repeated for ``seconds``.

    It is repeated because other processes may hold the cores for a while.
    """
    found: list = []
    end = time.perf_counter_ns() + seconds * 1e9
    while len(found) < 5 or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        run()
        found.append(time.perf_counter_ns() - start)
    return min(found) * 1e-9


def _arithmetic():
    chunks = 4 * get_num_threads()
    seed = np.full(_SUMS * host().lanes(FLOAT), 0.5, np.float32)
    args = (ctypes.c_void_p * 1)(seed.ctypes.data)
    seconds = best(call_kernel(_library().address("multiply"), args, chunks), 0.06)
    return 2 * host().lanes(FLOAT) * _SUMS * _ROUNDS * chunks / seconds


def _copy(size):
    """The bytes per second of a copy by one thread or by all threads, whichever is faster."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    kernel = _library().address("copy")
    times = max(1, _SIZES[3] // size)
    whole = (ctypes.c_void_p * 3)(source.ctypes.data, target.ctypes.data, size)
    part = (ctypes.c_void_p * 3)(source.ctypes.data, target.ctypes.data, size // _PARTS)
    alone = best(call_kernel(kernel, whole, 0, times)) / times
    return 2 * size / min(alone, best(call_kernel(kernel, part, _PARTS)))


@cache
def _library():
    module = ir.Module("limits")
    kernel(module, "nothing")[0].ret_void()
    _write_repeat(module)
    _write_multiply(module)
    _write_copy(module)
    return load(host().object_code(module))


atexit.register(_library.cache_clear)  # while there is still a linker to free it


def _write_multiply(module):
    """Write a kernel of sums of products in registers; it stores them in its thread's workspace.

    Each sum starts from a value in memory. Otherwise LLVM would see that all sums are equal.
    """
    b, args, _, scratch = kernel(module, "multiply")
    lanes, seed = host().lanes(FLOAT), entry(b, args, 0)
    starts = [read(b, address(b, seed, i * lanes, 4), FLOAT, lanes) for i in range(_SUMS)]
    x = starts[0]
    fma = lambda _, sums: [s.call("llvm.fma", x, x) for s in sums]
    for i, s in enumerate(carried(b, 0, _ROUNDS, starts, fma)):
        store(b, s, address(b, scratch, i * lanes, 4), FLOAT)
    b.ret_void()


def _write_repeat(module):
    """``void repeat(args, times, kernel)``: run the kernel's first chunk ``times`` times."""
    b, args, times, address = kernel(module, "repeat")
    signature = module.globals["repeat"].function_type
    called = b.inttoptr(b.ptrtoint(address, ir.IntType(64)), signature.as_pointer())
    with loop(b, 0, times):
        b.call(called, [args, ir.IntType(64)(0), ir.Constant(ir.PointerType(), None)])
    b.ret_void()


def _write_copy(module):
    """Write a kernel that copies one chunk by the system's memcpy."""
    b, args, chunk, _ = kernel(module, "copy")
    size = b.ptrtoint(entry(b, args, 2), ir.IntType(64))
    at = chunk * Value(b, size, chunk.dtype)
    pointers = [address(b, entry(b, args, k), at) for k in (1, 0)]
    name, no = "llvm.memcpy.p0.p0.i64", ir.IntType(1)(0)
    intrinsic(b, name, ir.VoidType(), [*pointers, size, no])
    b.ret_void()
