"""Products of matrices against NumPy's BLAS and against the arithmetic's limit.

``python -m benchmarks.contraction [--threads 1] [--rounds 40] [shape …]``
"""

import argparse
import ctypes
import os
import time
from functools import partial
from math import prod

import numpy as np
from llvmlite import ir
from threadpoolctl import threadpool_limits

import rushlight
from rushlight.compiler.codegen.loop import lift, loop
from rushlight.compiler.cpu import loader
from rushlight.compiler.cpu.contraction import Contraction, Matrix, Storing, emit, plan
from rushlight.compiler.cpu.microkernel import Tile, tile_function
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads

F4 = np.dtype(np.float32)
KERNEL, ADDRESS, COUNT = ctypes.CFUNCTYPE, ctypes.c_void_p, ctypes.c_int64

#: name → (m, n, k, letters of the transposed operands "A" and "B", batch dims)
SHAPES = {
    "256": (256, 256, 256, "", ()),
    "1024": (1024, 1024, 1024, "", ()),
    "1024 A.T": (1024, 1024, 1024, "A", ()),
    "1024 B.T": (1024, 1024, 1024, "B", ()),
    "784-128, batch 64: x W.T": (64, 128, 784, "B", ()),
    "784-128, batch 64: g W": (64, 784, 128, "", ()),
    "784-128, batch 64: g.T x": (128, 784, 64, "A", ()),
    "128-10, batch 64: x W.T": (64, 10, 128, "B", ()),
    "128-10, batch 64: g W": (64, 128, 10, "", ()),
    "128-10, batch 64: g.T x": (10, 128, 64, "A", ()),
    "784-1024, batch 128: x W.T": (128, 1024, 784, "B", ()),
    "784-1024, batch 128: g.T x": (1024, 784, 128, "A", ()),
    "1024-1024, batch 128: x W.T": (128, 1024, 1024, "B", ()),
    "1024-1024, batch 128: g W": (128, 1024, 1024, "", ()),
    "1024-1024, batch 128: g.T x": (1024, 1024, 128, "A", ()),
    "1024-10, batch 128: x W.T": (128, 10, 1024, "B", ()),
    "1024-10, batch 128: g W": (128, 1024, 10, "", ()),
    "1024-10, batch 128: g.T x": (10, 1024, 128, "A", ()),
    "GPT 128-384: x W.T": (768, 384, 128, "B", ()),
    "GPT 128-384: g W": (768, 128, 384, "", ()),
    "GPT 128-384: g.T x": (384, 128, 768, "A", ()),
    "GPT 128-512: x W.T": (768, 512, 128, "B", ()),
    "GPT 512-128: x W.T": (768, 128, 512, "B", ()),
    "GPT 512-128: g W": (768, 512, 128, "", ()),
    "GPT 128-512: g.T x": (512, 128, 768, "A", ()),
    "GPT 128-65: x W.T": (768, 65, 128, "B", ()),
    "GPT 128-65: g W": (768, 128, 65, "", ()),
    "GPT 128-65: g.T x": (65, 128, 768, "A", ()),
    "attention: q k.T": (64, 64, 32, "B", (48,)),
    "attention: p v": (64, 32, 64, "", (48,)),
    "attention: p.T g": (64, 32, 64, "A", (48,)),
    "LSTM 32-256, batch 16: x W.T": (16, 256, 32, "B", ()),
    "LSTM 64-256, batch 16: g W": (16, 64, 256, "", ()),
    "one row: x W.T": (1, 1024, 1024, "B", ()),
    "one row: x W": (1, 1024, 1024, "", ()),
    "one column: A x": (1024, 1, 1024, "", ()),
    "one column: A.T x": (1024, 1, 1024, "A", ()),
    "4-8, batch 1": (1, 8, 4, "B", ()),
    "4-64, batch 32": (32, 64, 4, "B", ()),
    "64-2, batch 32": (32, 2, 64, "B", ()),
    "long sum: g.T x": (10, 128, 65536, "A", ()),
}


def aligned(size):
    """``size`` bytes of zeroed memory whose start is aligned to a cache line (64 bytes)."""
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


def matrix(x):
    """Describe an array's memory layout to the compiler."""
    *batch, row, column = (s // x.itemsize for s in x.strides)
    return Matrix(x.dtype, tuple(batch), row, column)


class Compiled:
    """One product as a compiled program runs it: one native call runs all kernels."""

    def __init__(self, x, y):
        batch, m, n, k = x.shape[:-2], x.shape[-2], y.shape[-1], x.shape[-1]
        out = np.empty((*batch, m, n), F4)
        steps = plan(Contraction(F4, batch, m, n, k, matrix(x), matrix(y)), host())
        buffers = [x, y, *[aligned(size) for size in steps.temporaries], out]
        module = ir.Module()
        sink = Storing(len(buffers) - 1, F4, tuple(s // 4 for s in out.strides))
        emit(module, steps, sink)
        _write_all(module, steps.kernels)
        self.library = loader.load(host().object_code(module))
        self.buffers = buffers
        args = (ADDRESS * len(buffers))(*[v.ctypes.data for v in buffers])
        threads.reserve(max(kernel.scratch for kernel in steps.kernels))
        run = KERNEL(None, ADDRESS, ADDRESS)(self.library.address("all"))
        self.run = partial(run, args, threads.parallel())


def _write_all(module, kernels):
    pointer, integer, nothing = ir.PointerType(), ir.IntType(64), ir.VoidType()
    function = ir.Function(module, ir.FunctionType(nothing, [pointer, pointer]), "all")
    b = ir.IRBuilder(function.append_basic_block())
    args, parallel = function.args
    kind = ir.FunctionType(integer, [pointer, pointer, integer, pointer])
    parallel.type = kind.as_pointer()
    for kernel in kernels:
        chunks = integer(kernel.chunks)
        b.call(parallel, [module.globals[kernel.name], args, chunks, pointer(None)])
    b.ret_void()


def innermost():
    """Return (a call, its number of operations) that measures the peak of the arithmetic.

    The call runs only the innermost loop, over one tile in registers, with operands in the nearest
    cache.
    """
    target, depth, times = host(), 128, 200
    tile = Tile(6, 4, target.lanes(F4), F4, target.fma)
    if target.registers < 32:
        tile = Tile(4, 3, target.lanes(F4), F4, target.fma)
    width = tile.columns * tile.lanes
    module, pointer = ir.Module(), ir.PointerType()
    inner = tile_function(module, tile, 0, (depth + 16, 1), width, width, False)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * 3), "all")
    b = ir.IRBuilder(function.append_basic_block())
    with loop(b, 0, times):
        b.call(inner, [*function.args, lift(b, depth).v, ir.IntType(1)(0)])
    b.ret_void()
    library = loader.load(host().object_code(module))
    memory = [aligned(4 * n) for n in (tile.rows * (depth + 16), depth * width, tile.rows * width)]
    run = KERNEL(None, *[ADDRESS] * 3)(library.address("all"))
    places = [v.ctypes.data for v in memory]
    return lambda: (run(*places), memory, library), 2 * times * depth * tile.rows * width


def measured(calls, rounds, least=1e-3):
    """Return the shortest time of each call, in seconds.

    The calls take turns, so that a drift of the machine's speed affects all of them. Each turn
    begins with untimed calls for 20 times ``least`` seconds, until the threads of the turn before
    have gone to sleep.
    """
    best = [float("inf")] * len(calls)
    repeats = [1] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            until = time.perf_counter() + 20 * least
            while time.perf_counter() < until:
                call()
            began = time.perf_counter()
            for _ in range(repeats[i]):
                call()
            took = (time.perf_counter() - began) / repeats[i]
            best[i] = min(best[i], took)
            repeats[i] = max(1, int(least / best[i]))
    return best


def operands(shape):
    m, n, k, transposed, batch = shape
    draw = np.random.default_rng(0).standard_normal
    x = draw((*batch, k, m) if "A" in transposed else (*batch, m, k), F4)
    y = draw((*batch, n, k) if "B" in transposed else (*batch, k, n), F4)
    x = x.swapaxes(-1, -2) if "A" in transposed else x
    return x, y.swapaxes(-1, -2) if "B" in transposed else y


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", help="parts of the names of shapes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    if any(name in os.environ for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")):
        print("OPENBLAS_CORETYPE or OPENBLAS_L2_SIZE is set: NumPy is not at its best")
    rushlight.set_num_threads(options.threads)
    loop_alone, operations = innermost()
    head = f"{'µs':>10}{'GFLOP/s':>9}{'of peak':>9}{'NumPy µs':>11}{'ratio':>7}"
    print(f"{options.threads} threads; peak: the innermost loop alone, {options.threads} times")
    print(f"{'':30}{'m n k':>17}{head}")
    with threadpool_limits(options.threads):
        for name, shape in SHAPES.items():
            if options.shapes and not any(part in name for part in options.shapes):
                continue
            x, y = operands(shape)
            out = np.empty((*x.shape[:-1], y.shape[-1]), F4)
            ours = Compiled(x, y)
            calls = [ours.run, partial(np.matmul, x, y, out=out), loop_alone]
            took, numpy, alone = measured(calls, options.rounds)
            work = 2 * prod(x.shape) * y.shape[-1]
            share = work / took / (operations / alone * options.threads)
            size = "×".join(map(str, shape[:3]))
            print(
                f"{name:30}{size:>17}{took * 1e6:10.2f}{work / took / 1e9:9.0f}{share:9.0%}"
                f"{numpy * 1e6:11.2f}{took / numpy:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
