"""Kernels of ``ops/windows/grid_sampler.py``, for images and grids of any size.

Arrays: images (N, C, *size), a grid (N, P, dims), values at the points (N, C, P). All are
contiguous.
"""

from functools import cache
from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.namespace import Namespace
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64, in_vectors, table_function
from rushlight.compiler.codegen.value import Value, constant, ir_type, select, splat
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache
from rushlight.compiler.run.tap_kernels import phi, taken
from rushlight.ops.windows.grid_taps import MODES, Slanted, marks_lost, product_of, taps

__all__ = ["run"]

_INT, _INDEX = np.dtype(np.int32), np.dtype(np.int64)


def run(work, size, options, values, points, *more):
    """The result of ``work``, a name of ``_WORKS``; None if NumPy has to compute it.

    Args:
        size: The sizes of the images.
        options: mode, padding and align.
        values: The images or, for "tapped", what the points are given.
    """
    n, channels, dtype, count = len(values), values.shape[1], values.dtype, points.shape[1]
    if dtype.char not in "fd" or any(a.dtype != dtype for a in (points, *more)):
        return None
    if max(prod(size), values.size) >= 1 << 31:
        return None
    given = [np.ascontiguousarray(a) for a in (values, points, *more)]
    if work == "tapped":
        shape = n, MODES[options[0]] ** len(size), count
        found: Any = np.empty(shape, dtype), np.empty(shape, np.int64)
        arrays = given[1], *found
    else:
        found = np.empty((n, channels, count) if work == "sampled" else points.shape, dtype)
        arrays = *given, found
    words = [n, channels, count, prod(size), *size, *map(address, arrays)]
    kernel = _library(work, dtype, len(size), options).function("kernel")
    kernel(address(np.array(words, np.int64)))
    return found


def noted(size, options, values, points):
    """``run("sampled", …)`` in a call that will be replayed; None if NumPy has other bits."""
    if len(size) > 2 or options[0] == "bicubic":
        return None
    given = [a if a.flags.c_contiguous else a.copy() for a in (values, points)]
    found = run("sampled", size, options, *[a.array for a in given])
    if found is None:
        return None
    words = np.array([*values.shape[:2], points.shape[1], prod(size), *size], np.int64)
    library = _library("sampled", values.dtype, len(size), options)
    return values.tape.call(library.address("loop"), words, given, [found])[0]


@cache
def _library(work, dtype, dims, options):
    key = f"grid 2 {work} {dtype} {dims} {options}"
    code = code_cache.object_code(key, lambda: _module(work, dtype, dims, options))
    return loaded(code)


def _module(work, dtype, dims, options):
    module = ir.Module("grid")
    operands = _WORKS[work].__code__.co_argcount - 5
    b, words = table_function(module, 4 + dims + operands)
    grid = _Grid(words, dtype, dims, options)
    arrays = [b.inttoptr(w, POINTER) for w in words[4 + dims :]]
    samples = Loop(b, i64(0), grid.n)

    def vector(b, p, lanes):
        _WORKS[work](grid, b, samples.i, p, lanes, *arrays)

    in_vectors(samples.b, grid.p, host().vector_bytes // dtype.itemsize, vector)
    samples.close()
    b.ret_void()
    _emit_loop(module, b.function, 4 + dims, operands)
    return str(module)


def _emit_loop(module, kernel, numbers, operands):
    """Write ``loop``, which calls the kernel, and has the parameters of NumPy's loops.

    Its data are the numbers that the kernel is given.
    """
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "loop")
    b = ir.IRBuilder(loop.append_basic_block("entry"))
    table = b.alloca(I64, numbers + operands)
    word = lambda base, k: b.gep(base, [i64(k)], source_etype=I64)
    given, data = b.inttoptr(loop.args[0], POINTER), b.inttoptr(loop.args[3], POINTER)
    sources = [word(data, k) for k in range(numbers)] + [word(given, k) for k in range(operands)]
    for k, source in enumerate(sources):
        b.store(b.load(source, typ=I64), word(table, k))
    b.call(kernel, [table])
    b.ret(i64(0))


class _Math:
    """What ``grid_taps.Slanted`` asks of a kernel's numbers."""

    def __init__(self, b, dtype, lanes):
        self.xp = Namespace(b)
        self.number = lambda v: splat(constant(b, v, dtype), lanes)
        self.floor, self.trunc, self.abs = self.xp.floor, self.xp.trunc, self.xp.abs
        self.round = self.xp.rint

    def where(self, condition, x, y):
        x, y = [v if isinstance(v, Value) else self.number(v) for v in (x, y)]
        return select(condition, x, y)

    def index(self, x):
        return x.astype(_INT)


class _Grid:
    """The sizes, and the taps of points."""

    def __init__(self, words, dtype, dims, options):
        self.n, self.c, self.p, self.s = words[:4]
        self.size = words[4 : 4 + dims]
        self.dtype, self.dims, self.options = dtype, dims, options

    def at(self, b, array, *places, dtype=None):
        """The address of an element: (number, size of the next dim), …"""
        found = i64(0)
        for place, n in places:
            found = b.add(b.mul(found, n), place)
        return b.gep(array, [found], source_etype=ir_type(dtype or self.dtype))

    def point(self, b, array, n, c, p):
        return self.at(b, array, (n, self.n), (c, self.c), (p, self.p))

    def coordinates(self, b, grid, n, p, d):
        return self.at(b, grid, (n, self.n), (p, self.p), (i64(self.dims - 1 - d), i64(self.dims)))

    def taps(self, b, grid, n, p, lanes, slope=False):
        """(place, weights, whether it is inside) of the taps, and whether the point lies anywhere.

        Places are int32. Weights are ``Slanted`` numbers, with slopes if ``slope``.
        """
        math = _Math(b, self.dtype, lanes)
        mode, padding, align = self.options
        known, dims, sizes = None, [], []
        for d, n_d in enumerate(self.size):
            pixels = Value(b, n_d, _INDEX)
            size = Slanted(math, splat(pixels.astype(self.dtype), lanes))
            sizes.append(splat(pixels.astype(_INT), lanes))
            at = self.coordinates(b, grid, n, p, d)
            x = load(b, at, self.dtype, lanes, stride=self.dims)
            is_known = math.xp.isfinite(x)
            known = is_known if known is None else known & is_known
            start = Slanted(math, x, math.number(1) if slope else None)
            found = taps(start, size, mode, padding, align, self.dims == 3)
            dims.append([(place.index(), weight, inside) for place, weight, inside in found])
        return product_of(dims, sizes), known


def _product(weights):
    found = weights[0]
    for weight in weights[1:]:
        found = found * weight
    return found


def _sampled(grid, b, n, p, lanes, x, points, out):
    """The values at the points."""
    found, known = grid.taps(b, points, n, p, lanes)
    shares = [(at, _product(weights).value, inside) for at, weights, inside in found]
    zero = splat(constant(b, 0, grid.dtype), lanes)
    channels = Loop(b, i64(0), grid.c)
    b, c = channels.b, channels.i
    image = grid.at(b, x, (n, grid.n), (c, grid.c), (i64(0), grid.s))
    total = None
    for at, weight, inside in shares:
        pixel = taken(b, image, at, inside, grid.dtype)
        share = select(inside, Value(b, pixel.v, grid.dtype) * weight, zero)
        total = share if total is None else total + share
    if marks_lost(grid.dims, *grid.options[:2]):
        total = select(known, total, splat(constant(b, np.nan, grid.dtype), lanes))
    store(b, total, grid.point(b, out, n, c, p), grid.dtype)
    channels.close()


def _tapped(grid, b, n, p, lanes, points, weight, index):
    """The weights and places of the taps (N, K, P); the place is -1 outside."""
    found, _ = grid.taps(b, points, n, p, lanes)
    outside, zero = constant(b, -1, _INDEX), constant(b, 0, grid.dtype)
    for k, (at, weights, inside) in enumerate(found):
        place = (n, grid.n), (i64(k), i64(len(found))), (p, grid.p)
        share = select(inside, _product(weights).value, zero)
        store(b, share, grid.at(b, weight, *place), grid.dtype)
        where = select(inside, at.astype(_INDEX), outside)
        store(b, where, grid.at(b, index, *place, dtype=_INDEX), _INDEX)


def _slanted(grid, b, n, p, lanes, x, points, g, out):
    """The gradient of the points, from ``g``, that of the values."""
    found, _ = grid.taps(b, points, n, p, lanes, slope=True)
    zero = splat(constant(b, 0, grid.dtype), lanes)
    channels = Loop(b, i64(0), grid.c)
    inner, c = channels.b, channels.i
    image = grid.at(inner, x, (n, grid.n), (c, grid.c), (i64(0), grid.s))
    slope = load(inner, grid.point(inner, g, n, c, p), grid.dtype, lanes)
    sums = [phi(channels, zero) for _ in found]
    for (at, _, inside), (total, add) in zip(found, sums, strict=True):
        add(total + taken(inner, image, at, inside, grid.dtype) * slope)
    channels.close()
    for d in range(grid.dims):
        total = zero
        for (_, weights, inside), (dot, _) in zip(found, sums, strict=True):
            if weights[d].slope is None:
                continue
            others = [w.value for k, w in enumerate(weights) if k != d]
            share = Value(b, dot.v, grid.dtype) * weights[d].slope
            for weight in others:
                share = share * weight
            total = total + select(inside, share, zero)
        store(b, total, grid.coordinates(b, out, n, p, d), grid.dtype, stride=grid.dims)


_WORKS: dict[str, Any] = {"sampled": _sampled, "tapped": _tapped, "slanted": _slanted}
