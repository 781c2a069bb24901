"""The kernel of ``flip``: it copies rows whose elements lie in reversed order in memory."""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import POINTER, Loop, i64, in_vectors, table_function
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache

__all__ = ["run"]

_I8 = ir.IntType(8)


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
