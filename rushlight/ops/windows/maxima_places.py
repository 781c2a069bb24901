"""Elements at the flat positions of windows' maxima, and gradients that are added there.

A position is a flat index into the last ``n`` dims. Shapes: x (…, *size), at and out (…, *places).
"""

from math import prod

import numpy as np

from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.kinds import kernel
from rushlight.ops.create.filled import zeros
from rushlight.ops.windows.uneven_maxima import in_all, picked_by_loop

__all__ = ["flat", "pick", "pick_op", "picked", "spread"]


def flat(x, n):
    """``x`` with its last ``n`` dims flattened into one."""
    lead = tuple(x.shape[: len(x.shape) - n])
    return x.reshape((*lead, prod(x.shape[len(lead) :])))


def picked(xp, x, at, *, n):
    """The elements of x at the flat positions ``at``."""
    if type(x) is not np.ndarray and (found := picked_by_loop(x, at, n)) is not None:
        return found  # a call that will be replayed
    return x.reshape(-1).take(in_all(at, n, prod(x.shape[x.ndim - n :])))


def _picked_by_gather(x, at, n):
    return flat(x, n).gather(-1, flat(at, n).long()).reshape(at.shape)


def _spread_shape(g, at, *, size, windows=None):
    return (*g.shape[: len(g.shape) - len(size)], *size)


@kernel(public=False, method=False, name="pool_spread", widen=False, least=1 << 10,
        primitive="pooling at_grad", shape=_spread_shape)  # fmt: skip
def spread(xp, g, at, *, size, windows=None):
    """Zeros of ``size`` to which ``g`` is added at the flat positions ``at``.

    If ``windows`` are given, each position lies in its own window of them.
    """
    n = len(size)
    lead = g.shape[: g.ndim - n]
    out = np.zeros(prod(lead) * prod(size), g.dtype)
    places = in_all(at, n, prod(size)).reshape(-1)
    if windows is not None and windows.apart:
        out[places] = g.reshape(-1)
    else:
        np.add.at(out, places, g.reshape(-1))
    return out.reshape(*lead, *size)


def _spread_by_scatter(g, at, size):
    n = len(size)
    lead = tuple(g.shape[: len(g.shape) - n])
    out = zeros((*lead, prod(size)), dtype=g.dtype)
    return out.scatter_add(-1, flat(at, n).long(), flat(g, n)).reshape((*lead, *size))


spread.lower(_spread_by_scatter)


def pick_op(name, title, **options):
    """Define an operation that picks the elements of x at positions."""
    op = kernel(
        picked, public=False, method=False, name=name, widen=False, grad_name=f"{title}Backward0",
        flat=True, **options,
    )  # fmt: skip
    op.lower(lambda x, at, n: _picked_by_gather(x, at, n))
    op.grad(x=lambda g, at, x_shape, n: spread(g, at, size=tuple(x_shape[-n:])))
    op.watch(x="x")
    return op.op


pick = pick_op("pool_pick", "PoolPick")
spread.grad(g=lambda h, at, size: apply(pick, (h, at), {"n": len(size)}))
