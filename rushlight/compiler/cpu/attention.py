"""Attention and its gradients without the matrix of weights: what they are, and their kernels.

A block of queries at a time meets the keys; scores are gone before the next block's are computed.
"""

from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from rushlight.backend.sizes import large_from
from rushlight.compiler.codegen.emission import Launch, Plan
from rushlight.compiler.cpu import attention_backward, attention_forward
from rushlight.compiler.cpu.attention_block import AttentionTiling

__all__ = ["Attention", "describe", "emit", "plan"]

_CHUNK = large_from(1 << 18)  # multiplications that are worth handing to a thread
_UNITS = 16  # of the gradients, where a few heads are cut up
_BLOCKS = 4  # of queries in a part of a head, at least
_KEYS = 128  # keys of a block, at most
_SLOWNESS = 1.35, 1.06, 1.05, 1.0  # of a score in blocks of 1, 2, … vectors of queries, measured


@dataclass(frozen=True)
class Attention:
    """softmax(query @ keyᵀ · scale + mask) @ value, or its three gradients.

    Attributes:
        gradient: Whether it is the gradients that are wanted.
        batch: The dims that all operands share.
        queries, keys: L and S.
        features, outputs: Of a query or key, and of a value.
        mask: The dtype of the mask: bool, ``dtype``, or None.
        strides: Element strides of (gradient,) query, key, value (, mask), broadcast.
    """

    gradient: bool
    dtype: np.dtype
    batch: tuple
    queries: int
    keys: int
    features: int
    outputs: int
    scale: float
    causal: bool
    mask: np.dtype | None
    strides: tuple

    @property
    def shape(self):
        """The shape of the result; the gradients are one vector, of query, key, value in turn."""
        if not self.gradient:
            return (*self.batch, self.queries, self.outputs)
        one = (self.queries + self.keys) * self.features + self.keys * self.outputs
        return (prod(self.batch) * one,)

    @property
    def products(self):
        """How many multiplications it takes."""
        pairs = prod(self.batch) * self.queries * self.keys // (1 + self.causal)
        if self.gradient:
            return pairs * (3 * self.features + 2 * self.outputs)
        return pairs * (self.features + self.outputs)

    @property
    def flops(self):
        """The floating-point operations that it takes, but those of softmax."""
        return 2 * self.products


def describe(form, ins, _out_shape, params):
    """The description of an equation: its operation's form, inputs, result's shape, params."""
    gradient = form == "grad"
    ins = [x for x in ins if x is not None]
    query, key, value, *mask = ins[1:] if gradient else ins
    strides = [tuple([s // x.dtype.itemsize for s in x.strides]) for x in ins]
    if mask:
        steps = [0 if n == 1 else s for n, s in zip(mask[0].shape, strides[-1], strict=True)]
        strides[-1] = (*[0] * (query.ndim - len(steps)), *steps)
    return Attention(
        gradient, query.dtype, tuple(query.shape[:-2]), query.shape[-2], key.shape[-2],
        query.shape[-1], value.shape[-1], float(params["scale"]), params["causal"],
        mask[0].dtype if mask else None, tuple(strides),
    )  # fmt: skip


def plan(description, target, name="attention"):
    """The kernels that compute ``description``, named after ``name``."""
    d = description
    cut = _cut(d, target)
    units = prod(d.batch) * (cut.parts if d.gradient else ceil(d.queries / cut.width))
    share = max(1, min(units, _CHUNK * units // max(1, d.products)))
    scratch = sum(_emitter(d).sizes(d, cut)) * d.dtype.itemsize
    kernels, temporaries = [Launch(name, ceil(units / share), scratch)], []
    if cut.parts > 1:
        added = prod(d.batch) * attention_backward.pieces(d)
        kernels = [replace(kernels[0], name=f"{name}_parts"), Launch(name, added, 0)]
        temporaries = [units * sum(attention_backward.sums(d, cut)) * d.dtype.itemsize]
    return Plan(d, target, tuple(kernels), tuple(temporaries), (cut, units, share))


def _cut(d, target):
    lanes = target.lanes(d.dtype)
    most = len(_SLOWNESS) if target.registers >= 32 else 3
    vectors = min(range(most, 0, -1), key=lambda n: _pairs(d, n * lanes) * _SLOWNESS[n - 1])
    parts = 1
    if d.gradient:
        parts = min(_UNITS // prod(d.batch), d.queries // (_BLOCKS * vectors * lanes))
    block = min(d.keys, _KEYS)
    return AttentionTiling(
        d.dtype, lanes, target.registers, vectors, block, max(1, parts), target.fma
    )


def _pairs(d, width):
    """The scores that blocks of ``width`` queries compute: hidden ones and idle lanes included."""
    ends = range(width, d.queries + width, width)
    return width * sum([min(end, d.keys) if d.causal else d.keys for end in ends])


def emit(module, plan, sink):
    """Add the plan's kernels to ``module``.

    Their args are the operands, the temporaries, then what the sink uses. ``sink(b, args, indices,
    value, mask)`` gets each vector of results once, its lanes along the result's last dim; the
    indices (i64) are of its first lane.
    """
    _emitter(plan.description).emit(module, plan, sink)


def _emitter(d):
    return attention_backward if d.gradient else attention_forward
