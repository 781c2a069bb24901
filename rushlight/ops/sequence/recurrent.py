"""Shared parts of the recurrent layers: the order of steps, the states between them, the node.

A layer is one operation over a whole sequence, in one direction. Its first input is ``drive``
(rows, gates): the product of all steps' inputs with the input weights, computed beforehand. The
rows lie step after step, and step t has one row for each of the first ``sizes[t]`` sequences of the
batch. Sequences that end earlier come later in the batch, so ``sizes`` never grows. The functions
take arrays as well as tensors.

Each layer computes its steps twice, because arrays and tensors are fast in different ways. On
arrays, every NumPy call costs a microsecond: one ``tanh`` gives all gates, and results are written
into memory that the gradient reads later. On tensors, the plain formulas are recorded, and the
compiler fuses them; writes in place would only hide from it what depends on what.
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray

from rushlight.autograd.tape import Node
from rushlight.backend import native
from rushlight.ops.core.rules import conj, memo_of
from rushlight.ops.shape.join import cat

__all__ = [
    "UNROLLED", "State", "arrivals", "before", "by_kernel", "define", "filled", "joined",
    "last_rows", "memorised", "steps",
]  # fmt: skip

#: The compiler unrolls layers of up to this many steps. Longer ones would take too long to compile.
UNROLLED = 128


@lru_cache(64)
def steps(sizes, reverse):
    """(first row, number of rows) of each step, in the order in which the steps run."""
    starts = np.cumsum((0, *sizes)).tolist()
    found = tuple(zip(starts, sizes, strict=False))
    return found[::-1] if reverse else found


def joined(parts):
    """The rows of all ``parts``, concatenated."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if type(parts[0]) is ndarray else cat(parts)


def arrivals(found, reverse):
    """Concatenate the steps' results ``found``, given in the order of execution, in time order."""
    return joined(found[::-1] if reverse else found)


class State:
    """The state of the sequences that a step works on, carried from step to step.

    A sequence enters with its row of ``source``, the first states of all sequences. When it ends,
    its state is kept for ``final``.

    Attributes:
        now: The state of the first n sequences, (n, features).
        ended: The last states of the sequences that have ended.
    """

    __slots__ = ("ended", "now", "source")

    def __init__(self, source, n):
        self.source = source
        self.now = source if n == source.shape[0] else source[:n]
        self.ended: list = []

    def of(self, n):
        """The state of the first ``n`` sequences. Other sequences end here, or new ones enter."""
        have = self.now.shape[0]
        if n < have:
            self.ended.append(self.now[n:])
            self.now = self.now[:n]
        elif n > have:
            self.now = joined([self.now, self.source[have:n]])
        return self.now

    def final(self):
        """The last state of every sequence."""
        return joined([self.of(self.now.shape[0]), *self.ended[::-1]])


def before(found, first, sizes, reverse):
    """The state before each step, as rows in time order.

    ``found`` has the states after each step, and ``first`` the states before the first.
    """
    order = steps(sizes, reverse)
    state = State(first, order[0][1])
    parts = []
    for start, count in order:
        parts.append(state.of(count))
        state.now = found[start : start + count]
    return arrivals(parts, reverse)


# Small layers -----------------------------------------------------------------------------


def by_kernel(name, sizes, reverse, **arrays):
    """Take all steps of a small layer by one call of a kernel, and tell whether it did.

    See ``native.recurrent``. A bias of None stands for zeros.
    """
    if "bias" in arrays and arrays["bias"] is None:
        arrays["bias"] = np.zeros(arrays["matrix"].shape[1], arrays["matrix"].dtype)
    return native.recurrent(name, sizes, reverse, arrays)


def room(like, shape):
    """An array of the dtype of ``like``, for results of ``by_kernel``; None for other values."""
    found = np.empty(shape, like.dtype) if type(like) is ndarray or hasattr(like, "noted") else None
    return found if found is None or type(like) is ndarray else like.noted(found)


def last_rows(rows, sizes, reverse):
    """A copy of the rows of the step that runs last, of a layer whose steps have equal sizes."""
    return rows[: sizes[0]].copy() if reverse else rows[len(rows) - sizes[0] :].copy()


# The operation ----------------------------------------------------------------------------


class _Whole(Node):
    """A node with one rule for all inputs: from all results' gradients to all inputs' gradients."""

    __slots__ = ()
    is_plain = False
    spared_by_one_step = ""

    def spares(self, name):
        if name != self.spared_by_one_step or self.parents[self.op.inputs.index("h")] is not None:
            return False
        return len(self.saved[self.op.saves.index("sizes")]) == 1

    def backward(self, g, symbolic, leads=None):
        self.check(symbolic)
        rule, wanted, *_ = self.op.rules[0]
        values = [self.lift(k) if symbolic else self.saved[k] for k in wanted]
        if not symbolic and self.dtype.itemsize == 2:
            g, values = [_wide(v) for v in g], [_wide(v) for v in values]
        if self.dtype.kind == "c":
            # The rule computes with the derivatives themselves, and the gradient is made of their
            # conjugates. It is the conjugate of what the rule makes of the conjugate of ``g``.
            g = [gi if gi is None else conj(gi) for gi in g]
            found = [gi if gi is None else conj(gi) for gi in rule(g, *values)]
        else:
            found = rule(g, *values)
        return [
            gi if parent is not None else None
            for parent, gi in zip(self.parents, found, strict=True)
        ]


def _wide(value):
    """``value`` in float32 if it is an array of half precision: the forward computed in float32."""
    half = type(value) is ndarray and value.dtype.itemsize == 2
    return value.astype(np.float32) if half else value


def memorised(*arrays, sizes, reverse=False, memo=None):
    """The parameters with ``memo`` for values that the forward leaves for the gradient."""
    return {"sizes": sizes, "reverse": reverse, "memo": memo_of(arrays[0])}


def define(layer, rule, spared_by_one_step=""):
    """Define the gradient of ``layer`` by ``rule``, which gives the gradients of all inputs.

    ``spared_by_one_step`` names an input that serves for the gradient of the state before a step
    alone. So it may be written if there is one step, and the first state has no gradient. (oneDNN,
    which PyTorch uses for LSTMs, saves all inputs.)
    """
    op = layer.op
    members = {"__slots__": (), "op": op, "spared_by_one_step": spared_by_one_step}
    op.node = type(op.node.__name__, (_Whole,), members)
    op.grad(**dict.fromkeys(op.inputs, rule))


def filled(g, out, like):
    """The gradients ``g`` of the results ``out``, with zeros in place of None."""
    zeros = np.zeros if type(like) is ndarray else like.new_zeros
    return [
        zeros(tuple(o.shape), dtype=like.dtype) if gi is None else gi
        for gi, o in zip(g, out, strict=True)
    ]
