"""What an emitter promises: the kernels that it will write, and the memory between them."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Launch", "Plan"]


@dataclass(frozen=True)
class Launch:
    """One function of a plan, to be run for all its chunks before the next one starts."""

    name: str
    chunks: int
    scratch: int  # bytes


@dataclass(frozen=True)
class Plan:
    """The kernels of a description, in order, and the bytes of the temporaries between them."""

    description: Any
    target: Any
    kernels: tuple[Launch, ...]
    temporaries: tuple[int, ...]
    choice: Any = None  # the emitter's own: tiles, blocks, strips
