"""The LLVM module of replays: ``enter``, and loops that NumPy does not have as ufuncs.

The loops have the parameters of NumPy's loops: the addresses of the operands, a place with the
number of elements, the strides, and data of their own.
"""

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.scope import I64, POINTER, Loop, i64
from rushlight.compiler.codegen.word_function import NUMBERS, Words
from rushlight.compiler.codegen.words import (
    Comes,
    Puts,
    call,
    load,
    load8,
    load32,
    store,
    store8,
    store32,
)
from rushlight.compiler.replay.enter import enter
from rushlight.compiler.replay.objects import A_DATA, FLOAT_VALUE, G_MEMORY, G_NORMAL
from rushlight.compiler.replay.records import (
    FLOAT,
    NONE,
    TABLE,
    Py_DecRef,
    Py_IncRef,
    PyType_GenericAlloc,
)
from rushlight.compiler.replay.tape import CASTS, ORDERED

__all__ = ["text"]


def text():
    """The text of the module."""
    module = Words(ir.Module("replay"), TABLE)
    module.export("enter", enter)
    for size, (read, write) in _SIZES.items():
        for name, template in _LOOPS.items():
            module.export(f"{name}{size}", template, {"read": read, "write": write, "SIZE": size})
    for dtype in ORDERED:
        for name, (template, sign) in _SEARCHES.items():
            module.export(f"{name}_{dtype}", template, {"comes": Comes(dtype, sign)})
        for side in (0, 1):
            values = {"comes": Comes(dtype, "<"), "RIGHT": side}
            module.export(f"placing_{_SIDES[side]}_{dtype}", _place, values)
    for name, dtypes in _PUTS.items():
        for dtype in dtypes:
            puts = {"puts": Puts(dtype, name == "adding"), "SIZE": int(dtype[1])}
            module.export(f"{name}_{dtype}", _put, puts)
    for name, python in _STREAMS.items():
        module.export(name, python)
    for old, others in CASTS.items():
        for new in others:
            _cast(module.module, old, new)
    return str(module.module)


ONE = int(np.float64(1).view(np.int64))  # the bits of the number 1
_SIZES = {1: (load8, store8), 4: (load32, store32), 8: (load, store)}
read, write, SIZE = load, store, 8  # each loop has its own; see ``text``
comes, puts, RIGHT = Comes("f4", "<"), Puts("f4", False), 0


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


def _put(operands, counts, strides, data):
    """Write or add rows as ``_take`` reads them: those of operand 0, to where operand 1 says."""
    x, i, count, width = load(operands), load(operands + 8), load(counts), load(data)
    while count > 0:
        out = load(operands + 16) + load(i) * width * SIZE
        end = x + width * SIZE
        while x < end:
            puts(out, x)
            x += SIZE
            out += SIZE
        i += 8
        count -= 1
    return 0


def _take_along(operands, counts, strides, data):
    """The elements at the places that operand 1 has."""
    i, out, count = load(operands + 8), load(operands + 16), load(counts)
    while count > 0:
        write(out, read(load(operands) + load(i) * load(strides)))
        i += load(strides + 8)
        out += load(strides + 16)
        count -= 1
    return 0


def _rank(operands, counts, strides, data):
    """The places of the elements in order, nan last. Equal elements keep their order."""
    x, out, i = load(operands), load(operands + 8), 0
    step, gap = load(strides), load(strides + 8)
    while i < load(counts):
        at = out + i * gap
        while at > out and comes(x + i * step, x + load(at - gap) * step):
            store(at, load(at - gap))
            at -= gap
        store(at, i)
        i += 1
    return 0


def _find(operands, counts, strides, data):
    """The place of the first nan, or else of the first of the elements that come last."""
    x, found, i = load(operands), 0, 1
    step = load(strides)
    while i < load(counts):
        if comes(x + found * step, x + i * step):
            found = i
        i += 1
    store(load(operands + 8), found)
    return 0


def _place(operands, counts, strides, data):
    """``searchsorted`` in a row of as many elements as the word at ``data`` says.

    In a row that is not sorted, the place depends on how the search goes on from the last one.
    Here it goes as NumPy's.
    """
    key, out, i = load(operands + 8), load(operands + 16), load(counts)
    low, high, last = 0, load(data), key
    while i > 0:
        behind = (0 if comes(key, last) else 1) if RIGHT else (1 if comes(last, key) else 0)
        if behind:
            high = load(data)
        else:
            low = 0
            high = high + 1 if high < load(data) else high
        while low < high:
            middle = low + ((high - low) >> 1)
            x = load(operands) + middle * load(strides)
            behind = (0 if comes(key, x) else 1) if RIGHT else (1 if comes(x, key) else 0)
            if behind:
                low = middle + 1
            else:
                high = middle
        store(out, low)
        last = key
        key += load(strides + 8)
        out += load(strides + 16)
        i -= 1
    return 0


def _draw(operands, counts, strides, data):
    """The next words of the generator, by the function of its engine at the address ``data``."""
    generator, out, i = load(operands), load(operands + 8), load(counts)
    engine = load(load(generator + G_MEMORY) + A_DATA)
    while i > 0:
        store(out, call(data, engine) & 0xFFFFFFFF)
        out += 8
        i -= 1
    return 0


def _open(operands, counts, strides, data):
    """Write down the generator as ``run/scalar_kernels.py`` reads a stream and its engine."""
    generator, state = load(operands), load(operands + 8)
    normal = load(generator + G_NORMAL)
    store(state, 0 if normal == NONE else load(normal + FLOAT_VALUE))
    store(state + 8, 0 if normal == NONE else ONE)
    store(state + 16, load(load(generator + G_MEMORY) + A_DATA))
    return 0


def _close(operands, counts, strides, data):
    """Give the generator the normal that now waits in its stream, or None."""
    put_normal(load(operands), load(operands + 8))
    return 0


def put_normal(generator, state):
    """Give the generator the normal that ``state`` says."""
    normal = NONE
    if load(state + 8):
        normal = PyType_GenericAlloc(FLOAT, 0)
        store(normal + FLOAT_VALUE, load(state))
    else:
        Py_IncRef(normal)
    last = load(generator + G_NORMAL)
    store(generator + G_NORMAL, normal)
    Py_DecRef(last)
    return 0


def _mark(operands, counts, strides, data):
    """Write down where the generator stands: its waiting normal, and the memory of its engine."""
    generator, state = load(operands), load(operands + 8)
    _open(operands, counts, strides, data)
    copy_words(state + 24, load(load(generator + G_MEMORY) + A_DATA))
    return 0


def _undo(operands, counts, strides, data):
    """Let the generator go back to where ``_mark`` found it."""
    generator, state = load(operands), load(operands + 8)
    copy_words(load(load(generator + G_MEMORY) + A_DATA), state + 24)
    put_normal(generator, state)
    return 0


def copy_words(out, x):
    """Copy the memory of an engine: 625 words of 32 bits."""
    i = 0
    while i < 2500:
        store32(out + i, load32(x + i))
        i += 4
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
    kinds = (old[0], new[0]) if (old, new) not in _CONVERSIONS else (old, new)
    convert = _CONVERSIONS.get(kinds) or ("fpext" if old < new else "fptrunc")
    value = b.load(x, typ=NUMBERS[old])
    found = getattr(b, convert)(value, NUMBERS[new])
    if convert == "fptosi":  # numbers that no integer has become the least one, as on x86
        width = NUMBERS[new].width
        value = b.fpext(value, ir.DoubleType()) if old == "f4" else value
        # -2⁶³ - 1 is no number of float64, and rounds to -2⁶³.
        low, high = -(2.0 ** (width - 1)) - 1, 2.0 ** (width - 1)
        above = b.fcmp_ordered(">" if width < 64 else ">=", value, ir.Constant(value.type, low))
        fits = b.and_(above, b.fcmp_ordered("<", value, ir.Constant(value.type, high)))
        found = b.select(fits, found, ir.Constant(found.type, -1 << (width - 1)))
    b.store(found, out)
    turns.close()
    begin.ret(i64(0))


_CONVERSIONS = {
    ("b", "i"): "zext", ("b", "f"): "uitofp", ("i", "f"): "sitofp", ("f", "i"): "fptosi",
    ("i", "i"): "sext", ("u", "f"): "uitofp", ("i8", "i4"): "trunc", ("u8", "i4"): "trunc",
    ("u8", "i8"): "bitcast", ("b1", "u1"): "bitcast", ("u1", "i4"): "zext", ("u1", "i8"): "zext",
}  # fmt: skip


_LOOPS = {
    "copying": _copy, "choosing": _select, "moving": _move, "running": _run, "taking": _take,
    "along": _take_along,
}  # fmt: skip
_STREAMS: dict = {"drawing": _draw, "opening": _open, "closing": _close,
                  "marking": _mark, "undoing": _undo}  # fmt: skip
_SEARCHES: dict = {"ranking": (_rank, "<"), "greatest": (_find, "<"), "lowest": (_find, ">")}
_SIDES = "left", "right"
#: What is written may have any dtype of the size.
_PUTS = {"putting": ("b1", "i4", "i8"), "adding": ORDERED}
