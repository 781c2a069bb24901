"""The kernels of ``flip``.

One copies rows whose elements lie in reversed order in memory. The other copies short rows, as many
of them together as fill vectors: it permutes the vectors' elements.
"""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import POINTER, Loop, i64, in_vectors, table_function
from rushlight.compiler.codegen.value import Value
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache

__all__ = ["run", "run_short"]

_I8, _I32 = ir.IntType(8), ir.IntType(32)
_ROWS = 16  # so many short rows are permuted together


def run(rows, out):
    """Copy ``rows``, an array of 3 dims that runs backwards along the last, to the array ``out``.

    The dtype is one of unsigned integers. ``out`` has the same shape and is contiguous.
    """
    words = [*rows.shape, *rows.strides[:2], *map(address, (rows, out))]
    table = np.array(words, np.int64)
    _kernel(rows.dtype)(address(table))


@cache
def _kernel(dtype):
    code = code_cache.object_code(f"flip 1 {dtype}", lambda: _module(dtype))
    return loaded(code).function("kernel")


def _module(dtype):
    module = ir.Module("flip")
    b, (m, k, n, of_m, of_k, source, target) = table_function(module, 7)
    source, target = b.inttoptr(source, POINTER), b.inttoptr(target, POINTER)
    size, lanes = i64(dtype.itemsize), host().vector_bytes // dtype.itemsize
    outer = Loop(b, i64(0), m)
    middle = Loop(outer.b, i64(0), k)
    b, row = middle.b, middle.b.add(middle.b.mul(outer.i, k), middle.i)
    first = b.add(b.mul(outer.i, of_m), b.mul(middle.i, of_k))
    place = lambda b, base, *offsets: b.gep(base, list(offsets), source_etype=_I8)
    to = place(b, target, b.mul(b.mul(row, n), size))
    at = place(b, source, first)

    def copied(b, i, lanes):
        start = b.mul(i, size)
        value = load(b, place(b, at, b.neg(start)), dtype, lanes, None, -1)
        store(b, value, place(b, to, start), dtype)

    in_vectors(b, n, lanes, copied)
    middle.close()
    outer.close()
    outer.outer.ret_void()
    return str(module)


def run_short(x, out, within):
    """Copy ``x``, contiguous matrices with short rows, to ``out`` in another order.

    With ``within``, the order of the elements in each row is reversed, else that of each matrix's
    rows. The dtype is one of unsigned integers.
    """
    matrices, rows, width = x.shape
    table = np.array([matrices, rows, *map(address, (x, out))], np.int64)
    _short_kernel(x.dtype, width, within)(address(table))


@cache
def _short_kernel(dtype, width, within):
    key = f"short flip 1 {dtype} {width} {within}"
    code = code_cache.object_code(key, lambda: _short_module(dtype, width, within))
    return loaded(code).function("kernel")


def _short_module(dtype, width, within):
    module = ir.Module("short flip")
    b, (matrices, rows, source, target) = table_function(module, 4)
    source, target = b.inttoptr(source, POINTER), b.inttoptr(target, POINTER)
    bytes_each = i64(width * dtype.itemsize)
    outer = Loop(b, i64(0), matrices)
    first = outer.b.mul(outer.i, rows)
    place = lambda b, base, row: b.gep(base, [b.mul(row, bytes_each)], source_etype=_I8)

    def copied(b, i, count):
        j = i if within else b.sub(rows, b.add(i, i64(count)))
        value = load(b, place(b, source, b.add(first, j)), dtype, count * width)
        places = np.arange(count * width).reshape(count, width)
        order = (places[:, ::-1] if within else places[::-1]).reshape(-1)
        if len(order) > 1:
            mask = ir.Constant(ir.VectorType(_I32, len(order)), [*map(int, order)])
            value = Value(b, b.shuffle_vector(value.v, value.v, mask), dtype)
        store(b, value, place(b, target, b.add(first, i)), dtype)

    in_vectors(outer.b, rows, _ROWS, copied)
    outer.close()
    outer.outer.ret_void()
    return str(module)
