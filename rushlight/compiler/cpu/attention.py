"""Attention and its gradients: their description, and the choice of their kernels.

The kernels never store the whole matrix of attention weights. They compute the scores of one block
of queries after the other, and each block overwrites the scores of the block before.
"""

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

import numpy as np

from rushlight.compiler.codegen.emission import Launch, Plan
from rushlight.compiler.cpu import attention_backward, attention_forward, costs
from rushlight.compiler.cpu.attention_block import AttentionTiling
from rushlight.compiler.plan.pieces import share

__all__ = ["Attention", "describe", "emit", "plan"]


@dataclass(frozen=True)
class Attention:
    """softmax(query @ keyᵀ · scale + mask) @ value, or its three gradients.

    Attributes:
        gradient: True for the three gradients, False for the result.
        batch: The batch dims, which all operands share.
        queries, keys: The numbers of queries and of keys (PyTorch's L and S).
        features, outputs: The length of a query or key (E), and of a value (Ev).
        mask: The dtype of the mask: bool, ``dtype``, or None if there is no mask.
        strides: The element strides of each operand: the result's gradient (only if ``gradient``),
            query, key, value, mask or table (if there is one). Dims along which one of the last two
            is broadcast have stride 0.
        block: None, or the numbers of queries and keys in a block of the table: a bool for each
            block, False if the function ``changed`` hides all of it.
        changed: None, or the ``ScalarKernel`` that changes the scores; its arguments follow the
            operands.
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
    block: tuple | None = None
    changed: Any = None

    @property
    def hides(self):
        """Whether all keys may be hidden from a query."""
        return self.mask is not None or self.changed is not None

    @property
    def arguments(self):
        """The number of addresses that come before those of temporaries."""
        return len(self.strides) + (0 if self.changed is None else len(self.changed.args))

    @property
    def shape(self):
        """The shape of the result.

        The gradients are one vector: the query's gradient, then the key's, then the value's.
        """
        if not self.gradient:
            return (*self.batch, self.queries, self.outputs)
        one = (self.queries + self.keys) * self.features + self.keys * self.outputs
        return (prod(self.batch) * one,)

    @property
    def products(self):
        """The number of multiplications in the matrix products."""
        pairs = prod(self.batch) * self.queries * self.keys // (1 + self.causal)
        if self.gradient:
            return pairs * (3 * self.features + 2 * self.outputs)
        return pairs * (self.features + self.outputs)

    @property
    def flops(self):
        """The number of floating-point operations in the matrix products; softmax is left out."""
        return 2 * self.products


def describe(form, ins, _out_shape, params):
    """Return the description of an equation with this form, these inputs and parameters."""
    gradient = form == "grad"
    ins = [x for x in ins if x is not None]
    query, key, value, *more = ins[1:] if gradient else ins
    strides = [tuple([s // x.dtype.itemsize for s in x.strides]) for x in ins]
    if more:
        steps = [0 if n == 1 else s for n, s in zip(more[0].shape, strides[-1], strict=True)]
        strides[-1] = (*[0] * (query.ndim - len(steps)), *steps)
    block = params.get("block")
    return Attention(
        gradient, query.dtype, tuple(query.shape[:-2]), query.shape[-2], key.shape[-2],
        query.shape[-1], value.shape[-1], float(params["scale"]),
        params.get("causal", False),
        more[0].dtype if more and block is None else None, tuple(strides), block,
    )  # fmt: skip


def plan(description, target, name="attention"):
    """The kernels that compute ``description``; their names start with ``name``."""
    d = description
    cut = _cut(d, target)
    units = prod(d.batch) * (cut.parts if d.gradient else ceil(d.queries / cut.width))
    together = share(units, d.products, costs.ATTENTION_CHUNK, units)
    scratch = sum(_emitter(d).sizes(d, cut)) * d.dtype.itemsize
    kernels, temporaries = [Launch(name, ceil(units / together), scratch)], []
    if cut.parts > 1:
        added = prod(d.batch) * attention_backward.pieces(d)
        kernels = [replace(kernels[0], name=f"{name}_parts"), Launch(name, added, 0)]
        temporaries = [units * sum(attention_backward.sums(d, cut)) * d.dtype.itemsize]
    return Plan(d, target, tuple(kernels), tuple(temporaries), (cut, units, together))


def _cut(d, target):
    lanes = target.lanes(d.dtype)
    most = len(costs.SLOWNESS) if target.registers >= 32 else 3
    vectors = min(range(most, 0, -1), key=lambda n: _pairs(d, n * lanes) * costs.SLOWNESS[n - 1])
    parts = 1
    if d.gradient:
        parts = min(costs.UNITS // prod(d.batch), d.queries // (costs.BLOCKS * vectors * lanes))
    block = min(d.keys, costs.KEYS)
    return AttentionTiling(
        d.dtype, lanes, target.registers, vectors, block, max(1, parts), target.fma
    )


def _pairs(d, width):
    """The number of scores that blocks of ``width`` queries compute.

    Hidden scores and the idle lanes of the last block count, too.
    """
    ends = range(width, d.queries + width, width)
    return width * sum([min(end, d.keys) if d.causal else d.keys for end in ends])


def emit(module, plan, sink):
    """Add the plan's kernels to ``module``.

    The kernels' ``args`` are the addresses of the operands, of the temporaries, and of the memories
    that the sink uses. The kernels pass each vector of results once to ``sink(b, args, indices,
    value, mask)``. Its lanes run along the result's last dim; ``indices`` (i64) are those of its
    first lane.
    """
    _emitter(plan.description).emit(module, plan, sink)


def _emitter(d):
    return attention_backward if d.gradient else attention_forward
