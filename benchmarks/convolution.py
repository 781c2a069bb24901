"""Convolution kernels against the arithmetic's limit and against PyTorch's.

``python -m benchmarks.convolution [--threads 2] [--rounds 30] [shape …]``
"""

import argparse
import ctypes
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import prod

import numpy as np
from llvmlite import ir

import rushlight
from benchmarks.contraction import measured
from rushlight.compiler.codegen.frame import storing
from rushlight.compiler.cpu import convolution, loader
from rushlight.compiler.cpu.convolution_tiles import shifted_product
from rushlight.compiler.cpu.microkernel import Tile
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import threads
from rushlight.ops.windows.window import output_size

#: name → (N, C, O, input size, kernel size, further parameters of the convolution)
SHAPES = {
    "MNIST 1→32, 28²": (64, 1, 32, (28, 28), (3, 3), {}),
    "MNIST 32→64, 26²": (64, 32, 64, (26, 26), (3, 3), {}),
    "64→64, 56²": (16, 64, 64, (56, 56), (3, 3), {"padding": 1}),
    "64→128, 56², stride 2": (16, 64, 128, (56, 56), (3, 3), {"padding": 1, "stride": 2}),
    "256→256, 14²": (16, 256, 256, (14, 14), (3, 3), {"padding": 1}),
    "512→512, 7²": (16, 512, 512, (7, 7), (3, 3), {"padding": 1}),
    "3→64, 224², 7×7, stride 2": (4, 3, 64, (224, 224), (7, 7), {"padding": 3, "stride": 2}),
    "64→256, 28², 1×1": (16, 64, 256, (28, 28), (1, 1), {}),
    "512→2048, 7², 1×1, one image": (1, 512, 2048, (7, 7), (1, 1), {}),
    "512→512, 7², one image": (1, 512, 512, (7, 7), (3, 3), {"padding": 1}),
    "depthwise 64, 56²": (16, 64, 64, (56, 56), (3, 3), {"padding": 1, "groups": 64}),
    "64→64, 512, 5": (16, 64, 64, (512,), (5,), {"padding": 2}),
}
OPS = ("convolution", "convolution_input_grad", "convolution_weight_grad")


def _aligned(size):
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


class Compiled:
    """One operation as a compiled program runs it."""

    def __init__(self, description, arrays):
        steps = convolution.plan(description, host())
        out = np.empty(description.shape, description.dtype)
        buffers = [*arrays, *[_aligned(n) for n in steps.temporaries], out]
        module = ir.Module()
        strides = tuple(s // out.itemsize for s in out.strides)
        convolution.emit(module, steps, storing(len(buffers) - 1, out.dtype, strides))
        self.library = loader.load(host().object_code(module))
        self.args = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
        self.keep = buffers
        self.steps = [(self.library.address(k.name), k.chunks) for k in steps.kernels]
        threads.reserve(max(k.scratch for k in steps.kernels))

    def __call__(self):
        run = threads.PARALLEL(threads.parallel())
        for address, chunks in self.steps:
            run(address, self.args, chunks, None)


def _numbers(op, shape):
    """Return (inputs, params, shape of the result, number of operations) of an operation."""
    n, c, o, size, kernel, rest = shape
    rest = {"stride": 1, "padding": 0, "dilation": 1, **rest}
    params = {k: rest[k] if k == "groups" else (rest[k],) * len(size) for k in rest}
    params.setdefault("groups", 1)
    params["kernel_size"] = kernel
    places = output_size(size, kernel, *[params[k] for k in ("stride", "padding", "dilation")])
    shapes = {"x": (n, c, *size), "w": (o, c // params["groups"], *kernel), "g": (n, o, *places)}
    names = dict(zip(OPS, ("xwg", "gwx", "gxw"), strict=True))[op]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shapes[k], np.float32) for k in names[:2]]
    work = 2 * prod(shapes["g"]) * prod(shapes["w"][1:])
    return arrays, params, shapes[names[2]], work


def _pytorch(op, arrays, params, shape):
    """Return a call of the same operation in PyTorch, or None if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(rushlight.get_num_threads())
    a, b = map(torch.from_numpy, arrays)
    windows = [params[k] for k in ("stride", "padding", "dilation")]
    rest = (*windows, False, [0] * len(windows[0]), params["groups"])
    if op == "convolution":
        return lambda: torch.ops.aten.convolution(a, b, None, *rest)
    other = torch.zeros(shape)
    x, w, mask = (other, b, [1, 0, 0]) if op == OPS[1] else (b, other, [0, 1, 0])
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(a, x, w, [0], *rest, list(map(bool, mask)))


def peak(cores=1, rounds=300):
    """Measure operations a second of the innermost loop alone, on ``cores`` cores at once."""
    target, dtype = host(), np.dtype(np.float32)
    rows = min(8, (target.registers - 4) // 3)
    tile, module = Tile(rows, 3, target.lanes(dtype), dtype, target.fma), ir.Module()
    function = shifted_product(module, tile)
    function.linkage = "external"
    library = loader.load(target.object_code(module))
    kinds = [*[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3]
    kind = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_void_p, ctypes.c_int64, ctypes.c_bool)
    run = kind(library.address(function.name))
    channels, taps = 500, 9

    def best(_):
        memory = [_aligned(4 * n) for n in (channels * taps * rows, 4096, rows * 4 * tile.lanes)]
        memory.append(np.arange(taps) * tile.lanes)
        weights, x, sums, offsets = (m.ctypes.data for m in memory)
        least = np.inf
        for _ in range(rounds):
            began = time.perf_counter()
            run(weights, x, sums, channels, 0, 3 * tile.lanes, offsets, taps, True)
            least = min(least, time.perf_counter() - began)
        return 2 * channels * taps * rows * 3 * tile.lanes / least

    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(best, range(cores)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", help="parts of the names of shapes")
    parser.add_argument("--threads", type=int, default=rushlight.get_num_threads())
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    rushlight.set_num_threads(options.threads)
    limit = peak(min(options.threads, os.cpu_count() or 1))
    print(f"{options.threads} threads, {limit / 1e9:.0f} GFLOP/s at most")
    print(f"{'':31}{'':13}{'ms':>9}{'GFLOP/s':>9}{'of peak':>9}{'PyTorch ms':>12}{'ratio':>7}")
    for name, shape in SHAPES.items():
        if options.shapes and not any(part in name for part in options.shapes):
            continue
        for op in OPS:
            _report(name, op, shape, limit, options.rounds)


def _report(name, op, shape, limit, rounds):
    arrays, params, result, work = _numbers(op, shape)
    description = convolution.describe(op[12:] or "result", arrays, result, params)
    ours = Compiled(replace(description, flat=True), arrays)  # the result is contiguous
    theirs = _pytorch(op, arrays, params, result)
    calls = [run for run in (ours, theirs) if run is not None]
    best = measured(calls, rounds)
    line = f"{name:31}{op[12:] or 'forward':13}{best[0] * 1e3:9.3f}{work / best[0] / 1e9:9.0f}"
    line += f"{work / best[0] / limit:9.0%}"
    if theirs is not None:
        line += f"{best[1] * 1e3:12.3f}{best[0] / best[1]:7.2f}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
