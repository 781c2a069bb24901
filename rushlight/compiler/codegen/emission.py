"""What an emitter announces before it writes code: its kernels, and the memory between them."""

from dataclasses import dataclass, replace
from typing import Any

__all__ = ["OPEN", "Launch", "Plan", "opened"]

#: Stands for a count that is known only at run time. It is the count of the slowest index, by which
#: nothing is ever divided.
OPEN = 1 << 30


@dataclass(frozen=True)
class Launch:
    """One function of a plan. All its chunks are run before the next function starts."""

    name: str
    chunks: int
    scratch: int  # bytes


@dataclass(frozen=True)
class Plan:
    """The kernels of a description, in order, and the bytes of each temporary between them."""

    description: Any
    target: Any
    kernels: tuple[Launch, ...]
    temporaries: tuple[int, ...]
    choice: Any = None  # the emitter's own choices: tiles, blocks, strips
    counts: Any = None  # a named tuple: the numbers that depend on the number of images
    sizes: Any = None  # the numbers that code for many shapes reads; see ``cpu/open_sizes.py``


def opened(plan, **choice):
    """``plan`` for the code of any number of images; ``choice`` replaces fields of its choice."""
    if plan.description.counts_at is None:
        return plan
    counts = (OPEN, *plan.choice.counts[1:])
    return replace(plan, choice=replace(plan.choice, counts=counts, **choice))
