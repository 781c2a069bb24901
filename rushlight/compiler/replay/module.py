"""The LLVM module of replays: ``enter``, and loops that NumPy does not have as ufuncs.

The loops have the parameters of NumPy's loops: the addresses of the operands, a place with the
number of elements, the strides, and data of their own.
"""

from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64
from rushlight.compiler.codegen.word_function import Words
from rushlight.compiler.codegen.words import (
    load,
    load8,
    load32,
    store,
    store8,
    store32,
)
from rushlight.compiler.replay.enter import enter
from rushlight.compiler.replay.records import TABLE
from rushlight.compiler.replay.tape import CASTS

__all__ = ["text"]


def text():
    """The text of the module."""
    module = Words(ir.Module("replay"), TABLE)
    module.export("enter", enter)
    for size, (read, write) in _SIZES.items():
        for name, template in _LOOPS.items():
            module.export(f"{name}{size}", template, {"read": read, "write": write, "SIZE": size})
    for old, others in CASTS.items():
        for new in others:
            _cast(module.module, old, new)
    return str(module.module)


_SIZES = {1: (load8, store8), 4: (load32, store32), 8: (load, store)}
read, write, SIZE = load, store, 8  # each loop has its own; see ``text``


def _copy(operands, counts, strides, data):
    x, out, i = load(operands), load(operands + 8), load(counts)
    while i > 0:
        write(out, read(x))
        x += load(strides)
        out += load(strides + 8)
        i -= 1
    return 0


def _select(operands, counts, strides, data):
    c, x, y = load(operands), load(operands + 8), load(operands + 16)
    out, i = load(operands + 24), load(counts)
    while i > 0:
        write(out, read(x if load8(c) else y))
        c += load(strides)
        x += load(strides + 8)
        y += load(strides + 16)
        out += load(strides + 24)
        i -= 1
    return 0


def _move(operands, counts, strides, data):
    """Each pair of words in ``data`` has the offsets of an element in the operand and result."""
    x, out, i = load(operands), load(operands + 8), load(counts)
    while i > 0:
        write(out + load(data + 8), read(x + load(data)))
        data += 16
        i -= 1
    return 0


def _run(operands, counts, strides, data):
    """Evenly spaced elements: five words of ``data`` say where, how many, and how far apart."""
    runs = load(counts)
    while runs > 0:
        x, out, i = (
            load(operands) + load(data),
            load(operands + 8) + load(data + 8),
            load(data + 16),
        )
        while i > 0:
            write(out, read(x))
            x += load(data + 24)
            out += load(data + 32)
            i -= 1
        data += 40
        runs -= 1
    return 0


def _take(operands, counts, strides, data):
    """Rows of as many elements as the word at ``data`` says; operand 1 has their numbers."""
    i, out, count, width = load(operands + 8), load(operands + 16), load(counts), load(data)
    while count > 0:
        x = load(operands) + load(i) * width * SIZE
        end = x + width * SIZE
        while x < end:
            write(out, read(x))
            x += SIZE
            out += SIZE
        i += 8
        count -= 1
    return 0


def _cast(module, old, new):
    """Write the loop that converts elements of the dtype ``old`` to ``new``."""
    loop = ir.Function(module, ir.FunctionType(I64, [I64] * 4), f"cast_{old}_{new}")
    begin = ir.IRBuilder(loop.append_basic_block())

    def word(address, i):
        place = begin.gep(begin.inttoptr(address, POINTER), [i64(i)], source_etype=I64)
        return begin.load(place, typ=I64)

    operands, counts, strides, _ = loop.args
    begins, steps = [[word(address, i) for i in range(2)] for address in (operands, strides)]
    turns = Loop(begin, i64(0), word(counts, 0))
    b = turns.b
    x, out = [
        b.inttoptr(b.add(first, b.mul(turns.i, step)), POINTER)
        for first, step in zip(begins, steps, strict=True)
    ]
    convert = _CONVERSIONS.get((old[0], new[0])) or ("fpext" if old < new else "fptrunc")
    b.store(getattr(b, convert)(b.load(x, typ=_TYPES[old]), _TYPES[new]), out)
    turns.close()
    begin.ret(i64(0))


_TYPES = {
    "b1": ir.IntType(8),
    "i4": ir.IntType(32),
    "i8": I64,
    "f4": ir.FloatType(),
    "f8": ir.DoubleType(),
}
_CONVERSIONS = {
    ("b", "i"): "zext", ("b", "f"): "uitofp", ("i", "f"): "sitofp",
}  # fmt: skip


_LOOPS = {
    "copying": _copy, "choosing": _select, "moving": _move, "running": _run, "taking": _take,
}  # fmt: skip
