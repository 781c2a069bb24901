"""Functions that draw random numbers as machine code: one call computes all numbers of an array.

The machine code takes its words from NumPy's engine by the engine's own function in C, so the
engine stands afterwards where the same draws in Python would leave it. Logarithms and sines are
those of the C library, which Python's ``math`` and PyTorch call, too: all bits are the same.
"""

import ctypes
import os
from hashlib import sha256

import numpy as np
from llvmlite import ir

from rushlight.backend.address import address
from rushlight.compiler.codegen.scalar_function import Translation
from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64
from rushlight.compiler.codegen.table_loop import DATA, OPERAND, write_loop
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.run import cache

__all__ = ["Sampler"]

_DOUBLE = ir.DoubleType()
#: After this many numbers, a few hundredths of a second, Python may run the handlers of signals.
_PIECE = 1 << 18


class Sampler:
    """A compiled function of a stream and of ``columns`` floats.

    Args:
        function: The function, in Python (``codegen/scalar_function.py``).
        stream: The class of the stream. Its slots are floats.
        engine: A bit generator of NumPy; other engines of its class will do, too.

    Raises:
        Exception: ``function`` cannot be translated, or the C library is not found.
    """

    def __init__(self, function, stream, engine, columns):
        text, names = _module(function, stream, columns)
        code = cache.object_code(sha256(text.encode()).hexdigest(), lambda: text)
        library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
        places = {_symbol(n): _address(getattr(library, n)) for n in names}
        places[_symbol("word")] = _address(engine.ctypes.next_uint32)
        self.library = load(code, places)
        self.run = self.library.function("kernel")

    def __call__(self, state, engine, columns):
        """The float64 result for each row of the contiguous float64 ``columns``.

        ``state`` has the values of the stream's slots, which change, and a last element that is
        free.
        """
        state[-1:].view(np.int64)[0] = engine.ctypes.state_address
        out = np.empty(len(columns[0]))
        for start in range(0, len(out), _PIECE):
            part = [x[start : start + _PIECE] for x in (out, *columns)]
            table = np.array([len(part[0]), *map(address, (state, *part))], np.int64)
            self.run(address(table))
        return out

    def loop(self, count):
        """(address, data) of a loop over the rows, with the parameters of NumPy's loops.

        Its operands are the state, the columns and the result, which have ``count`` rows.
        """
        return self.library.address("loop"), np.array([count], np.int64)


def _address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def _symbol(name):
    """The name of a C function in a module; LLVM takes what it knows about functions from names."""
    return f"rushlight_{name}"


def _module(function, stream_class, columns):
    """The module with ``void kernel(table)``, and the names of the C functions that it calls."""
    module = ir.Module("sampler")
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "kernel")
    b = ir.IRBuilder(kernel.append_basic_block("entry"))
    entry = lambda k, typ: b.load(b.gep(kernel.args[0], [i64(k)], source_etype=I64), typ=typ)
    count = entry(0, I64)
    state, out, *places = [entry(k, POINTER) for k in range(1, 3 + columns)]
    names: set = set()

    def call(b, name, args):
        names.add(name)
        typ = ir.FunctionType(_DOUBLE, [_DOUBLE] * len(args))
        found = module.globals.get(_symbol(name)) or ir.Function(module, typ, _symbol(name))
        return b.call(found, args)

    word = ir.Function(module, ir.FunctionType(ir.IntType(32), [POINTER]), _symbol("word"))

    def uniform(b, stream):
        """A uniform number of the next two words, as ``draw.words.doubles`` makes it."""
        last = b.gep(stream, [i64(len(stream_class.__slots__))], source_etype=I64)
        engine = b.load(last, typ=POINTER)
        high, low = [b.zext(b.call(word, [engine]), I64) for _ in range(2)]
        bits = b.and_(b.or_(b.shl(high, i64(32)), low), i64((1 << 53) - 1))
        return b.fmul(b.sitofp(bits, _DOUBLE), _DOUBLE(2.0**-53))

    translation = Translation(module, call, stream_class, {"uniform": uniform})
    loop = Loop(b, i64(0), count)
    at = lambda place: loop.b.gep(place, [loop.i], source_etype=_DOUBLE)
    row = [loop.b.load(at(p), typ=_DOUBLE) for p in places]
    loop.b.store(translation.write(loop.b, function, [state, *row]), at(out))
    loop.close()
    b.ret_void()
    operands = 0, 1 + columns, *range(1, 1 + columns)
    write_loop(module, "kernel", [(DATA, 0), *[(OPERAND, k) for k in operands]])
    return str(module), names
