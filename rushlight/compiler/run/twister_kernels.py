"""Kernels of the engine MT19937: they make random words, or float32 numbers of these words.

They work on the memory of NumPy's engine, as its own functions do, so either may draw next.

Source: Matsumoto and Nishimura, Mersenne Twister, ACM TOMACS 8 (1998).
"""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.memory import load, store
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64, in_vectors, table_function
from rushlight.compiler.codegen.value import Value, select, splat
from rushlight.compiler.cpu.loader import load as loaded
from rushlight.compiler.cpu.target import host
from rushlight.compiler.run import cache as code_cache

__all__ = ["run"]

_WORDS, _AHEAD = 624, 397  # the words of the state, and how far ahead the recurrence reads
_U32, _I64, _F32, _F64 = map(np.dtype, (np.uint32, np.int64, np.float32, np.float64))


def run(state, out, low, high):
    """Fill the contiguous array ``out``, which has elements, with the engine's next numbers.

    Args:
        state: The address of the engine's memory: 624 words, and the place of the next one.
        out: uint32 for words. float32 for numbers of [low, high), one of each word.
    """
    bounds = np.array([np.float32(high) - np.float32(low), low, high], np.float64)
    table = np.array([state, address(out), out.size, *bounds.view(np.int64)], np.int64)
    _kernel(out.dtype)(address(table))


@cache
def _kernel(dtype):
    code = code_cache.object_code(f"twister 1 {dtype}", lambda: _module(dtype))
    return loaded(code).function("kernel")


def _module(dtype):
    module = ir.Module("twister")
    b, (state, out, count, *bounds) = table_function(module, 6)
    lanes = host().lanes(dtype)
    state, out = b.inttoptr(state, POINTER), b.inttoptr(out, POINTER)
    bounds = [Value(b, x, _I64).bits(_F64).astype(_F32) for x in bounds]
    place = b.gep(state, [i64(_WORDS)], source_etype=ir.IntType(32))
    first = b.zext(b.load(place, typ=ir.IntType(32)), I64)
    last = b.add(first, count)
    # Block 0 is the rest of the words in memory. Each further block is made when it is begun.
    blocks = Loop(b, i64(0), b.add(b.sdiv(b.sub(last, i64(1)), i64(_WORDS)), i64(1)))
    b = blocks.b
    begin = b.mul(blocks.i, i64(_WORDS))
    with b.if_then(b.icmp_signed(">", blocks.i, i64(0))):
        _twist(b, state, lanes)
    least = lambda x, y: b.select(b.icmp_signed("<", x, y), x, y)
    most = lambda x, y: b.select(b.icmp_signed(">", x, y), x, y)
    start, stop = most(first, begin), least(last, b.add(begin, i64(_WORDS)))
    source = _word(b, state, b.sub(start, begin))
    target = _word(b, out, b.sub(start, first))

    def made(b, i, lanes):
        words = _tempered(load(b, _word(b, source, i), _U32, lanes))
        store(b, words if dtype == _U32 else _float(words, bounds), _word(b, target, i), dtype)

    in_vectors(b, b.sub(stop, start), lanes, made)
    b.store(b.trunc(b.sub(stop, begin), ir.IntType(32)), place)
    blocks.close()
    blocks.outer.ret_void()
    return str(module)


def _word(b, base, i):
    return b.gep(base, [i], source_etype=ir.IntType(32))


def _twist(b, state, lanes):
    """Replace all words of the state by the following ones."""

    def replaced(b, place, lanes, following, ahead):
        x, y, z = (load(b, _word(b, state, p), _U32, lanes) for p in (place, following, ahead))
        mixed = (x & 0x80000000) | (y & 0x7FFFFFFF)
        new = z ^ (mixed >> 1) ^ ((0 - (mixed & 1)) & 0x9908B0DF)
        store(b, new, _word(b, state, place), _U32)

    def from_place(first, ahead):
        def work(b, i, lanes):
            at = b.add(i, i64(first))
            replaced(b, at, lanes, b.add(at, i64(1)), b.add(at, i64(ahead)))

        return work

    behind = _AHEAD - _WORDS
    in_vectors(b, i64(-behind), lanes, from_place(0, _AHEAD))
    in_vectors(b, i64(_AHEAD - 1), lanes, from_place(-behind, behind))
    replaced(b, i64(_WORDS - 1), 1, i64(0), i64(_AHEAD - 1))


def _tempered(x):
    x = x ^ (x >> 11)
    x = x ^ ((x << 7) & 0x9D2C5680)
    x = x ^ ((x << 15) & 0xEFC60000)
    return x ^ (x >> 18)


def _float(words, bounds):
    """Numbers of [low, high) as ``draw.continuous`` defines them."""
    b, lanes = words.b, words.lanes
    width, low, high = [splat(Value(b, x.v, _F32), lanes) for x in bounds]
    unit = (words & 0xFFFFFF).bits(np.dtype(np.int32)).astype(_F32) * np.float32(2.0**-24)
    x = unit.call("llvm.fma", width, low)
    return select(x == high, low, x)
