"""What an emitter announces before it writes code: its kernels, and the memory between them."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Launch", "Plan"]


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
