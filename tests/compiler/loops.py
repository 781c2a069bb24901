"""Loops over arrays around a few Values: how what is emitted for an element is tested."""

import ctypes

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.memory import load as read
from rushlight.compiler.codegen.memory import memory_type, prefix_mask, store
from rushlight.compiler.codegen.value import splat
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host

__all__ = ["Loops", "loop"]

POINTER, LONG = ir.PointerType(), ir.IntType(64)


class Loops:
    """Several loops compiled together."""

    def __init__(self):
        self.module = ir.Module()
        self.outs = []

    def add(self, ins, out, body, lanes):
        """``out[i] = body(b, *ins[i])`` for the dtypes ``ins`` and ``out``; returns its number."""
        function = ir.Function(
            self.module,
            ir.FunctionType(ir.VoidType(), [POINTER, LONG]),
            f"loop{len(self.outs)}",
        )
        b = ir.IRBuilder(function.append_basic_block())
        arguments, n = function.args
        places = [b.gep(arguments, [LONG(i)], source_etype=POINTER) for i in range(len(ins) + 1)]
        bases = [b.load(p, typ=POINTER) for p in places]
        entry, head = b.block, b.append_basic_block()
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(LONG)
        i.add_incoming(LONG(0), entry)
        mask = prefix_mask(b, b.sub(n, i), lanes)
        at = lambda base, dtype: b.gep(base, [i], source_etype=memory_type(np.dtype(dtype)))
        values = [
            read(b, at(base, d), d, lanes, mask) for base, d in zip(bases[:-1], ins, strict=True)
        ]
        store(b, splat(body(b, *values), lanes), at(bases[-1], out), out, mask)
        after, done = b.add(i, LONG(lanes)), b.append_basic_block()
        i.add_incoming(after, b.block)
        b.cbranch(b.icmp_signed("<", after, n), head, done)
        b.position_at_end(done)
        b.ret_void()
        self.outs.append(out)
        return len(self.outs) - 1

    def compile(self):
        """The loops as functions of arrays."""
        library = load(host().object_code(self.module))
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        return [
            _function(library, prototype(library.address(f"loop{k}")), out)
            for k, out in enumerate(self.outs)
        ]


def _function(library, native, dtype):
    def call(*arrays):
        out = np.empty(len(arrays[0]), dtype)
        arrays = [np.ascontiguousarray(a) for a in arrays]
        pointers = (ctypes.c_void_p * (len(arrays) + 1))(*[a.ctypes.data for a in (*arrays, out)])
        native(ctypes.addressof(pointers), len(out))
        return out

    call.library = library  # keeps the code
    return call


def loop(ins, out, body, lanes=8):
    """One loop, compiled."""
    loops = Loops()
    loops.add(ins, out, body, lanes)
    return loops.compile()[0]
