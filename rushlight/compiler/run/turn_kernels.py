"""Copies of turned matrices, in squares of as many rows and columns as a vector has lanes.

NumPy copies a turned matrix element by element, so that each line of the cache is read or written
many times. A square is read by whole vectors, turned in registers, and written by whole vectors.
"""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import KERNEL, POINTER, Loop, i64, table_words
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.microkernel import transposed
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache
from rushlight.compiler.run import threads

__all__ = ["run"]

_I8 = ir.IntType(8)
_PIECE = 1 << 16  # a chunk copies about this many elements


def run(x, out):
    """Copy the array ``x`` of 3 dims to ``out``, which has the same shape and dtype.

    The dtype is one of unsigned integers of 4 or 8 bytes. The elements of ``x`` lie side by side
    along dim 1, in either direction, and those of ``out`` along dim 2.
    """
    if x.strides[1] < 0:  # both begin at the other end
        x, out = x[:, ::-1], out[:, ::-1]
    matrices, rows, columns = x.shape
    lanes = _lanes(x.dtype)
    piece = lanes * max(1, _PIECE // (columns * lanes))
    pieces = -(-rows // piece)
    strides = x.strides[0], x.strides[2], *out.strides[:2]
    words = [rows, columns, piece, pieces, *strides, *map(address, (x, out))]
    table = np.array(words, np.int64)
    library, parallel = _kernel(x.dtype)
    if parallel(library.address("kernel"), address(table), matrices * pieces, None):
        threads.raise_error()


def _lanes(dtype):
    return host().vector_bytes // dtype.itemsize


@cache
def _kernel(dtype):
    """The library of the kernel, and the function that runs its chunks."""
    library = loaded(code_cache.object_code(f"turn 1 {dtype}", lambda: _module(dtype)))
    return library, threads.PARALLEL(threads.parallel())


def _module(dtype):
    module = ir.Module("turn")
    function = ir.Function(module, KERNEL, "kernel")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    args, chunk, _ = function.args
    rows, columns, piece, pieces, *strides, source, target = table_words(b, args, 10)
    of_matrix, of_column, to_matrix, to_row = strides
    matrix, part = b.sdiv(chunk, pieces), b.srem(chunk, pieces)
    size, lanes = i64(dtype.itemsize), _lanes(dtype)
    place = lambda b, base, offset: b.gep(base, [offset], source_etype=_I8)
    source = place(b, b.inttoptr(source, POINTER), b.mul(matrix, of_matrix))
    target = place(b, b.inttoptr(target, POINTER), b.mul(matrix, to_matrix))
    begin = b.mul(part, piece)
    end = b.add(begin, piece)
    end = b.select(b.icmp_signed("<", end, rows), end, rows)
    whole = lambda first, last: b.sub(last, b.srem(b.sub(last, first), i64(lanes)))
    rows_end, columns_end = whole(begin, end), whole(i64(0), columns)

    def at(b, i, j):
        """The addresses of the element (i, j), there and here."""
        return (
            place(b, source, b.add(b.mul(i, size), b.mul(j, of_column))),
            place(b, target, b.add(b.mul(i, to_row), b.mul(j, size))),
        )

    def square(b, i, j):
        there, here = at(b, i, j)
        read = []
        for _ in range(lanes):
            read.append(load(b, there, dtype, lanes))
            there = place(b, there, of_column)
        for x in transposed(b, read):
            store(b, x, here, dtype)
            here = place(b, here, to_row)

    def element(b, i, j):
        there, here = at(b, i, j)
        store(b, load(b, there, dtype), here, dtype)

    def over(b, rows, columns, step, work):
        outer = Loop(b, rows[0], rows[1], step)
        inner = Loop(outer.b, columns[0], columns[1], step)
        work(inner.b, outer.i, inner.i)
        inner.close()
        outer.close()

    over(b, (begin, rows_end), (i64(0), columns_end), lanes, square)
    over(b, (rows_end, end), (i64(0), columns_end), 1, element)
    over(b, (begin, end), (columns_end, columns), 1, element)
    b.ret_void()
    return str(module)
