"""``fused``: neighbouring loops of NumPy, joined into one loop of our own that gives the same bits.

NumPy passes over memory once for each operation, and its loops for ``where``, ``sign`` or a maximum
with a number take several times as long as their memory needs. Only operations whose results IEEE
754 or integer arithmetic determine are joined. Others, such as ``exp``, stay NumPy's.
"""

from math import prod
from typing import Any

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen import memory
from rushlight.compiler.codegen.namespace import Namespace
from rushlight.compiler.codegen.scope import I64, POINTER, i64, in_vectors
from rushlight.compiler.codegen.value import Value, constant, select, splat
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.target import host
from rushlight.compiler.replay.tape import ABSOLUTE, Loop
from rushlight.compiler.run import cache

__all__ = ["fused"]

#: A call of fewer elements spends its time elsewhere; shorter rows have no whole vectors.
LEAST_ELEMENTS, LEAST_ROW = 1 << 10, 32
SHORT = 14  # rows of fewer elements take NumPy longer than elements with gaps between them
_MOST_TOGETHER = 16  # loops

_kernels: dict = {}  # what a kernel computes → its Library


def fused(loops, spans):
    """``loops``, of which neighbours are joined as far as possible.

    ``spans`` are the memories of a ``Tape``: (first address, address behind the last, base, …).
    """

    def memory_of(place):
        base, at = place
        if base != ABSOLUTE:
            return base, 0
        return next(((s[0], 1) for s in spans if s[0] <= at < s[1]), None)

    found, groups = [], _groups([_along_turns(loop) for loop in loops], memory_of)
    for i, group in enumerate(groups):
        if not group.joins():
            found += group.loops
            continue
        read_later = {
            memory_of(p) for g in groups[i + 1 :] for loop in g.loops for p in loop.places
        }
        found.append(group.joined(read_later))
    return found


def _along_turns(loop):
    """``loop``, or one that visits as its rows what lies at one place of many short rows."""
    n, (turns, steps) = loop.counts[0], loop.turns
    if loop.work is None or n >= SHORT or turns < 4 * n or not _is_exact(*loop.work):
        return loop
    turned = n, loop.strides
    return Loop(loop.function, [turns], steps, loop.places, loop.rows, turned, loop.work)


def _groups(loops, memory_of):
    """The loops in groups that could be joined."""
    found: list = []
    for loop in loops:
        operands = _operands(loop, memory_of)
        if operands is None or not found or not found[-1].fits(loop, operands):
            found.append(_Group(loop, operands))
        else:
            found[-1].add(loop, operands)
    return found


def _operands(loop, memory_of):
    """The operands of a loop, each as (memory, place, stride, dtype, offsets of the rows, turn).

    None if the loop cannot be a part of a joined one.
    """
    if loop.work is None or loop.counts[0] < LEAST_ROW:
        return None
    name, dtypes = loop.work
    sizes = [d.itemsize for d in dtypes]
    if not _is_exact(name, dtypes) or prod(loop.extent()) < LEAST_ELEMENTS:
        return None
    if any(s not in (0, n) for s, n in zip(loop.strides, sizes, strict=True)):
        return None
    found = [(memory_of(x[0]), *x) for x in loop.operands()]
    return None if not loop.strides[-1] or None in [o[0] for o in found] else found


class _Group:
    """Neighbouring loops over the same rows.

    Attributes:
        loops: The loops.
        operands: The operands of each loop; None if the group is one loop that nothing can join.
    """

    def __init__(self, loop, operands):
        self.loops: list = [loop]
        self.operands: Any = None if operands is None else [operands]

    def fits(self, loop, operands):
        """Whether ``loop`` may join.

        All loops of the group must access memory that one of them writes at the same place, with
        the same stride, dtype and rows. Then the order of the rows changes no value.
        """
        if self.operands is None or len(self.loops) == _MOST_TOGETHER:
            return False
        if loop.extent() != self.loops[0].extent():
            return False
        every = [*self.operands, operands]
        written = {o[-1][0]: o[-1] for o in every}
        return all(written.get(x[0], x) == x for o in every for x in o)

    def add(self, loop, operands):
        self.loops.append(loop)
        self.operands.append(operands)

    def joins(self):
        """Whether a loop of our own is faster."""
        if self.operands is None:
            return False
        return len(self.loops) > 1 or self.loops[0].work[0] not in _FAST

    def joined(self, read_later):
        """The joined loop. It writes what is a result, or is in ``read_later``."""
        inputs: list = []
        values: dict = {}  # operand → the number of its value: inputs first, then the works'
        works: list = []
        for operands in self.operands:
            for x in operands[:-1]:
                if x not in values:
                    values[x] = "x", len(inputs)
                    inputs.append(x)
            name = self.loops[len(works)].work[0]
            works.append((name, [values[x] for x in operands[:-1]], operands[-1][3].str))
            values[operands[-1]] = "w", len(works) - 1
        written = dict.fromkeys([o[-1] for o in self.operands])
        outputs = [x for x in written if x[1][0] != ABSOLUTE or x[0] in read_later]
        every = [*inputs, *outputs]
        what = (
            [(x[3].str, bool(x[2])) for x in inputs], works,
            [(x[3].str, values[x][1]) for x in outputs],
        )  # fmt: skip
        rows = [*zip(*[x[4] for x in every], strict=True)]
        places, strides = [x[1] for x in every], [x[2] for x in every]
        first = self.loops[0]
        turns = first.turns[0], [x[5] for x in every]
        return Loop((_kernel(what), 0), first.counts, strides, places, rows, turns)


# Machine code ---------------------------------------------------------------------------------


def _kernel(what):
    """The address of the loop that computes ``what``: (inputs, works, outputs), see ``_text``."""
    key = repr(what)
    if key not in _kernels:
        _kernels[key] = load(cache.object_code(f"joined {key}", lambda: _text(*what)))
    return _kernels[key].address("joined")


def _text(inputs, works, outputs):
    """The module with a loop that has the parameters of NumPy's loops.

    Args:
        inputs: (dtype, whether it has a stride) of each input. The others are numbers.
        works: (name, operands, dtype of the result). An operand is ("x", number of an input) or
            ("w", number of a work).
        outputs: (dtype, number of the work) of each output.
    """
    module = ir.Module("joined")
    function = ir.Function(module, ir.FunctionType(I64, [I64] * 4), "joined")
    begin = ir.IRBuilder(function.append_basic_block())
    word = lambda address, i: begin.load(
        begin.gep(begin.inttoptr(address, POINTER), [i64(i)], source_etype=I64), typ=I64
    )
    places = [
        begin.inttoptr(word(function.args[0], i), POINTER)
        for i in range(len(inputs) + len(outputs))
    ]
    numbers = {
        i: memory.load(begin, places[i], np.dtype(d)).v
        for i, (d, moves) in enumerate(inputs) if not moves
    }  # fmt: skip

    def compute(b, i, lanes):
        at = lambda place, d: b.gep(place, [i], source_etype=memory.memory_type(np.dtype(d)))
        values = {
            ("x", k): Value(b, numbers[k], np.dtype(d))
            if k in numbers
            else memory.load(b, at(places[k], d), np.dtype(d), lanes)
            for k, (d, _) in enumerate(inputs)
        }
        for k, (name, operands, d) in enumerate(works):
            work = _WORKS[name][1] or getattr(Namespace, name)
            found = work(Namespace(b), *[values[o] for o in operands])
            values["w", k] = splat(found.astype(d), lanes)
        for place, (d, k) in zip(places[len(inputs) :], outputs, strict=True):
            memory.store(b, values["w", k], at(place, d), np.dtype(d))

    widest = max(np.dtype(d).itemsize for d in (*[d for d, _ in inputs], *[w[2] for w in works]))
    lanes = 2 * host().vector_bytes // widest
    count = word(function.args[1], 0)
    in_vectors(begin, count, lanes, compute)
    begin.ret(i64(0))
    return str(module)


def _left(xp, x, y):
    return select(_fits(x, y), x << y, x ^ x)


def _right(xp, x, y):
    if x.dtype.kind == "u":
        return select(_fits(x, y), x >> y, x ^ x)
    return x >> select(_fits(x, y), y, constant(x.b, 8 * x.dtype.itemsize - 1, x.dtype))


def _fits(x, y):
    """Whether ``y`` is less than the number of bits of an element of ``x``."""
    return (y >= 0) & (y < 8 * x.dtype.itemsize)


#: The kinds of dtypes of the operands, and the work on Values; None: Namespace's of that name.
_WORKS: dict = {
    "add": ("biuf", lambda xp, x, y: x + y),
    "subtract": ("iuf", lambda xp, x, y: x - y),
    "multiply": ("biuf", lambda xp, x, y: x * y),
    "divide": ("f", lambda xp, x, y: x / y),
    "negative": ("if", lambda xp, x: -x),
    "absolute": ("iuf", lambda xp, x: abs(x)),
    "square": ("iuf", lambda xp, x: x * x),
    "reciprocal": ("f", lambda xp, x: 1 / x),
    "sqrt": ("f", None),
    "sign": ("if", None),
    "maximum": ("iuf", None),
    "minimum": ("iuf", None),
    "clip": ("iuf", lambda xp, x, low, high: xp.minimum(xp.maximum(x, low), high)),
    "floor": ("f", None),
    "ceil": ("f", None),
    "trunc": ("f", None),
    "rint": ("f", None),
    "copysign": ("f", None),
    "signbit": ("f", None),
    "isnan": ("f", lambda xp, x: x != x),
    "isinf": ("f", None),
    "isfinite": ("f", None),
    "greater": ("iuf", lambda xp, x, y: x > y),
    "greater_equal": ("iuf", lambda xp, x, y: x >= y),
    "less": ("iuf", lambda xp, x, y: x < y),
    "less_equal": ("iuf", lambda xp, x, y: x <= y),
    "equal": ("biuf", lambda xp, x, y: x == y),
    "not_equal": ("biuf", lambda xp, x, y: x != y),
    "logical_and": ("b", lambda xp, x, y: x & y),
    "logical_or": ("b", lambda xp, x, y: x | y),
    "logical_xor": ("b", lambda xp, x, y: x ^ y),
    "logical_not": ("b", lambda xp, x: ~x),
    "bitwise_and": ("biu", lambda xp, x, y: x & y),
    "bitwise_or": ("biu", lambda xp, x, y: x | y),
    "bitwise_xor": ("biu", lambda xp, x, y: x ^ y),
    "invert": ("biu", lambda xp, x: ~x),
    "left_shift": ("iu", _left),
    "right_shift": ("iu", _right),
    "positive": ("iuf", lambda xp, x: x),
    "conjugate": ("iuf", lambda xp, x: x),
    "cast": ("bif", lambda xp, x: x),
    "copying": ("biuf", lambda xp, x: x),
    "choosing": ("biuf", lambda xp, c, x, y: select(c, x, y)),
}

#: NumPy's own loops are as fast.
_FAST = {
    "add", "subtract", "multiply", "divide", "negative", "absolute", "square", "sqrt",
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and",
    "logical_or", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isnan",
}  # fmt: skip


def _is_exact(name, dtypes):
    return name in _WORKS and all(d.kind in _WORKS[name][0] or d.kind == "b" for d in dtypes)
