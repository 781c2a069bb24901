"""Inputs that share memory, so that a write to one would change another.

A program treats each input as a value of its own. So it serves only calls in which no written input
shares memory with another input. Other calls run eagerly.
"""

import numpy as np

from rushlight import storage
from rushlight.device import CPU
from rushlight.errors import TraceError
from rushlight.remote import RemoteArray

__all__ = ["all_apart", "apart", "demand_apart", "owners", "refuse_made", "refuse_shared", "shares"]

_WORK = 10_000  # the limit on NumPy's search for a common element (max_work)


def root(array):
    """The object that owns the memory of an array: NumPy's, or one on a device."""
    return array.memory if isinstance(array, RemoteArray) else storage.root(array)


def _span(array):
    """(first address, one past the last) of an array."""
    if not isinstance(array, RemoteArray):
        return np.lib.array_utils.byte_bounds(array)
    return array.address, array.address + array.reach


def shares(x, y):
    """Whether two arrays have an element in common; True also if the answer takes too long."""
    if isinstance(x, RemoteArray) or isinstance(y, RemoteArray):
        if root(x) is not root(y):
            return False
        whole = np.empty(x.memory.nbytes, np.uint8)  # stands for the memory; nobody reads it
        x, y = [np.ndarray(a.shape, a.dtype, whole, a.start, a.strides) for a in (x, y)]
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
    whole = root(array)
    return not any(shares(array, arrays[i]) for i in positions if root(arrays[i]) is whole)


def owners(arrays):
    """The ids of the objects that own the memory of ``arrays``."""
    return frozenset([id(root(a)) for a in arrays])


def all_apart(arrays, written):
    """Whether no array at the positions ``written`` has an element in common with another one."""
    groups: dict = {}  # id of the root → positions
    for i, a in enumerate(arrays):
        groups.setdefault(id(root(a)), []).append(i)
    alike = [groups[id(root(arrays[i]))] for i in written]
    return all(
        apart(arrays[i], arrays, [j for j in group if j != i])
        for i, group in zip(written, alike, strict=True) if len(group) > 1
    )  # fmt: skip


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
        if c.value.id in written and overlaps_itself(c.tensor._array):
            raise TraceError(
                f"a tensor of shape {list(c.value.shape)} is written inside torch.compile, and "
                "several of its elements lie at one place in memory"
            )
    spans = [(*_span(c.tensor._array), c) for c in captured]
    reaching: list = []  # (end, input) of earlier inputs that reach beyond the present start
    for low, high, c in sorted(spans, key=lambda span: span[:2]):
        reaching = [(end, other) for end, other in reaching if end > low]
        for _, other in reaching:
            one = c.value.id in written or other.value.id in written
            if one and shares(c.tensor._array, other.tensor._array):
                error = TraceError(
                    f"tensors of shape {list(other.value.shape)} and {list(c.value.shape)} share "
                    "memory, and one of them is written inside torch.compile"
                )
                error.pair = other.tensor, c.tensor  # type: ignore[attr-defined]
                raise error
        reaching.append((high, c))


def refuse_made(recorder):
    """Raise TraceError if the call writes to memory of another library that it made itself.

    The program would write to the same memory in each call, and eager mode makes new memory.
    """
    if recorder.observer is None:
        return
    origins = recorder.observer.origins
    for key in recorder.written:
        t = recorder.captured[key].tensor
        memory = storage.foreign_memory(t._array)
        if memory is None or origins.is_outer(t):
            continue
        while memory is not None and id(memory) not in origins.outer:
            base = getattr(memory, "base", None)
            memory = getattr(memory, "obj", None) if base is None else base  # of a memoryview
        if memory is None:
            raise TraceError(
                "the function writes to memory of another library that it made itself, under a "
                f"tensor of shape {list(t.shape)}: make the tensor by torch.tensor"
            )


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
    source.names.update(shares=shares, apart=apart, root=root)
    far = {name for name, c in fresh.items() if c.value.device is not CPU}

    def whole(name):
        alone = f"{name} if {name}.base is None else "
        return f"id({'' if name in far else alone}root({name}))"

    if held:
        for name in fresh:
            alone = f"{whole(name)} not in held.owners"
            source.demand(f"({alone} or apart({name}, held.arrays, {held}))")
    for w in written:
        alone = f"{whole(w)} not in held.memory"
        source.demand(f"({alone} or apart({w}, held.arrays, range({count})))")
        for name in fresh:
            if name != w and (name not in written or name > w):
                alone = f"{w}.base is None and {name}.base is None and {w} is not {name}"
                if far:
                    alone = f"root({w}) is not root({name})"
                source.demand(f"({alone} or not shares({w}, {name}))")
