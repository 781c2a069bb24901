"""The kernel of ``randperm``: Durstenfeld's shuffle, whose steps follow one after the other."""

from functools import cache

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.run import cache as code_cache

__all__ = ["run"]

_I32 = ir.IntType(32)


def run(order, words):
    """Swap each element i of ``order`` with element i + w mod (n - i), in place.

    ``order`` is an int64 array of n elements, and the words w a uint32 array of n - 1 or more.
    """
    table = np.array([len(order), address(order), address(words)], np.int64)
    _kernel()(address(table))


@cache
def _kernel():
    return load(code_cache.object_code("shuffle 1", _module)).function("kernel")


def _module():
    module = ir.Module("shuffle")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "kernel")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    n, order, words = [
        b.load(b.gep(function.args[0], [i64(k)], source_etype=I64), typ=typ)
        for k, typ in enumerate((I64, POINTER, POINTER))
    ]
    loop = Loop(b, i64(0), b.sub(n, i64(1)))
    b, i = loop.b, loop.i
    word = b.load(b.gep(words, [i], source_etype=_I32), typ=_I32)
    jump = b.zext(b.urem(word, b.trunc(b.sub(n, i), _I32)), I64)
    here, there = [b.gep(order, [k], source_etype=I64) for k in (i, b.add(i, jump))]
    values = [b.load(place, typ=I64) for place in (here, there)]
    b.store(values[1], here)
    b.store(values[0], there)
    loop.close()
    loop.outer.ret_void()
    return str(module)
