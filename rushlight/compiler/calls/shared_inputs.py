"""Inputs that share memory, so that a write to one would change another.

A program treats each input as a value of its own. So it serves only calls in which no written input
shares memory with another input. Other calls run eagerly.
"""

import numpy as np

from rushlight.errors import TraceError

__all__ = ["apart", "demand_apart", "refuse_shared", "shares"]

_WORK = 10_000  # the limit on NumPy's search for a common element (max_work)


def shares(x, y):
    """Whether two arrays have an element in common; True also if the answer takes too long."""
    try:
        return np.shares_memory(x, y, max_work=_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(array):
    """Whether two elements of ``array`` may share memory, as after ``expand``."""
    span = array.itemsize
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)):
        if n > 1 and stride < span:
            return array.size > 0
        span += stride * (n - 1)
    return False


def apart(array, arrays, positions):
    """Whether ``array`` has no element in common with the ``arrays`` at ``positions``."""
    owner = array if array.base is None else array.base
    near = [a for a in [arrays[i] for i in positions] if a.base is owner or a is owner]
    return not any(shares(array, a) for a in near)


def refuse_shared(captured, written):
    """Raise TraceError if a written tensor shares memory with another one, or with itself.

    Args:
        captured: The ``Captured`` inputs.
        written: The ids of the abstract values of written inputs.

    If two tensors share memory, the error's attribute ``pair`` holds them.
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
    reaching: list = []  # (end, input) of earlier inputs that reach beyond the present start
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


def demand_apart(source, fresh, written, held, count):
    """Add guards on the inputs that are new in each call.

    None of them may share memory with a written input that stays. A written new input may share
    memory with no other input.

    Args:
        source: The call's function.
        fresh: Names of the arrays that are new in each call.
        written: Names among ``fresh`` of the arrays that are written.
        held: Positions in ``held.arrays`` of the inputs that stay and are written.
        count: The number of tensors among the inputs that stay.
    """
    if held:
        source.names["apart"] = apart
        for name in fresh:
            alone = f"{name}.base is None or id({name}.base) not in held.owners"
            source.demand(f"({alone} or apart({name}, held.arrays, {held}))")
    source.names.update(shares=shares, apart=apart)
    for w in written:
        owner = f"id({w} if {w}.base is None else {w}.base)"
        source.demand(f"({owner} not in held.memory or apart({w}, held.arrays, range({count})))")
        for name in fresh:
            if name != w and (name not in written or name > w):
                alone = f"{w}.base is None and {name}.base is None"
                source.demand(f"({alone} or not shares({w}, {name}))")
