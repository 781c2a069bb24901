"""Inputs that share memory, where a write to one would be a write to another.

A program computes with values, one an input. So it holds only for calls in which every input that
it writes lies apart from all others; where two share memory, the call runs eagerly.
"""

import numpy as np

from rushlight.errors import TraceError

__all__ = ["apart", "demand_apart", "refuse_shared", "shares"]

_WORK = 10_000  # NumPy's measure of how far to look for a common element


def shares(x, y):
    """Whether two arrays have an element in common, or it takes too long to tell."""
    try:
        return np.shares_memory(x, y, max_work=_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(array):
    """Whether elements of ``array`` may lie at one place in memory, as after ``expand``."""
    span = array.itemsize
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)):
        if n > 1 and stride < span:
            return array.size > 0
        span += stride * (n - 1)
    return False


def apart(array, arrays, positions):
    """Whether ``array`` has no element in common with the arrays at some positions."""
    owner = array if array.base is None else array.base
    near = [a for a in [arrays[i] for i in positions] if a.base is owner or a is owner]
    return not any(shares(array, a) for a in near)


def refuse_shared(captured, written):
    """Raise TraceError where one of ``captured`` with an id in ``written`` shares memory.

    The error's ``pair`` are the two tensors.
    """
    if not written:
        return
    for c in captured:
        if c.value.id in written and overlaps_itself(c.tensor.array):
            raise TraceError(
                f"a tensor of shape {list(c.value.shape)} is written inside torch.compile, and "
                "several of its elements lie at one place in memory"
            )
    spans = [(*np.lib.array_utils.byte_bounds(c.tensor.array), c) for c in captured]
    reaching: list = []  # those whose memory goes on, as far as is known
    for low, high, c in sorted(spans, key=lambda span: span[:2]):
        reaching = [(end, other) for end, other in reaching if end > low]
        for _, other in reaching:
            one = c.value.id in written or other.value.id in written
            if one and shares(c.tensor.array, other.tensor.array):
                error = TraceError(
                    f"tensors of shape {list(other.value.shape)} and {list(c.value.shape)} share "
                    "memory, and one of them is written inside torch.compile"
                )
                error.pair = other.tensor, c.tensor  # type: ignore[attr-defined]
                raise error
        reaching.append((high, c))


def demand_apart(source, fresh, written, held):
    """Have a call's function give up where an input that is written shares memory.

    Args:
        fresh: Names of the arrays that are new in each call; ``written``: those that are written.
        held: Positions in ``held.arrays`` of the inputs that stay and are written.
    """
    if held:
        source.names["apart"] = apart
        for name in fresh:
            alone = f"{name}.base is None or id({name}.base) not in held.owners"
            source.demand(f"({alone} or apart({name}, held.arrays, {held}))")
    source.names["shares"] = shares
    for w in written:
        for name in fresh:
            if name != w and (name not in written or name > w):
                alone = f"{w}.base is None and {name}.base is None"
                source.demand(f"({alone} or not shares({w}, {name}))")
