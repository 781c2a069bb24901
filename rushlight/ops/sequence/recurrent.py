"""What the recurrent layers share: the order of steps, the states between them, their node.

A layer is one operation over a whole sequence, in one direction. Its first input, ``drive``
(rows, gates), is what the inputs of all steps contribute, computed beforehand by one product. The
rows lie step after step, of step t the first ``sizes[t]`` sequences of the batch: sequences that
end earlier come last, so ``sizes`` never grows. All of this serves arrays and tensors alike.
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray

from rushlight.autograd.tape import Node
from rushlight.ops.shape.join import cat

__all__ = [
    "UNROLLED", "State", "arrivals", "before", "define", "filled", "joined", "memorised", "steps",
]  # fmt: skip

#: The steps up to which the compiler writes a layer out: more would take it too long.
UNROLLED = 128


@lru_cache(64)
def steps(sizes, reverse):
    """(first row, number of rows) of each step, in the order in which the steps run."""
    starts = np.cumsum((0, *sizes)).tolist()
    found = tuple(zip(starts, sizes, strict=False))
    return found[::-1] if reverse else found


def joined(parts):
    """The rows of all ``parts``."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if type(parts[0]) is ndarray else cat(parts)


def arrivals(found, reverse):
    """What the steps found, in the order in which they ran, as rows in order of time."""
    return joined(found[::-1] if reverse else found)


class State:
    """A state of the sequences that are under way, carried from step to step.

    Sequences come in with their rows of ``source`` and leave with what the state then is.

    Attributes:
        now: The state of the first sequences, (n, features).
    """

    __slots__ = ("ended", "now", "source")

    def __init__(self, source, n):
        self.source = source
        self.now = source if n == source.shape[0] else source[:n]
        self.ended: list = []

    def of(self, n):
        """The state of the first ``n`` sequences, which are those under way from here on."""
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
    """What each step found in the state: rows like those of ``found``, one step earlier."""
    order = steps(sizes, reverse)
    state = State(first, order[0][1])
    parts = []
    for start, count in order:
        parts.append(state.of(count))
        state.now = found[start : start + count]
    return arrivals(parts, reverse)


# The operation ----------------------------------------------------------------------------


class _Whole(Node):
    """A node whose one rule gives the gradients of all inputs, from those of all results."""

    __slots__ = ()
    is_plain = False

    def backward(self, g, symbolic):
        self.check(symbolic)
        rule, wanted, _ = self.op.rules[0]
        values = [self.lift(k) if symbolic else self.saved[k] for k in wanted]
        if not symbolic and self.dtype.itemsize == 2:
            g, values = [_wide(v) for v in g], [_wide(v) for v in values]
        found = rule(g, *values)
        return [
            gi if parent is not None else None
            for parent, gi in zip(self.parents, found, strict=True)
        ]


def _wide(value):
    """Half precision in float32, as the forward computed."""
    half = type(value) is ndarray and value.dtype.itemsize == 2
    return value.astype(np.float32) if half else value


def memorised(*arrays, sizes, reverse=False, memo=None):
    """The parameters, with a list in which the forward leaves what the gradient can use.

    In a trace there is nothing to leave.
    """
    memo = [] if type(arrays[0]) is ndarray else None
    return {"sizes": sizes, "reverse": reverse, "memo": memo}


def define(layer, rule):
    """State the gradient of ``layer``: one rule that gives those of all inputs."""
    op = layer.op
    op.node = type(op.node.__name__, (_Whole,), {"__slots__": (), "op": op})
    op.grad(**dict.fromkeys(op.inputs, rule))


def filled(g, out, like):
    """The gradients ``g`` of the results ``out``, with zeros for those that did not come."""
    zeros = np.zeros if type(like) is ndarray else like.new_zeros
    return [
        zeros(tuple(o.shape), dtype=like.dtype) if gi is None else gi
        for gi, o in zip(g, out, strict=True)
    ]
