"""What the planner must know about the machine that kernels are compiled for.

The code for a machine is a folder of its own, such as ``cpu/``. The folder has an object with the
members of ``Machine``. The planner gets this object from ``machine()`` and does not import the
folder.
"""

from typing import NamedTuple, Protocol

from rushlight import late

__all__ = ["FREE", "Machine", "Price", "machine"]


class Price(NamedTuple):
    """The cost of an elementwise operation on one element.

    Attributes:
        instructions: The number of instructions, in all branches together.
        divisions: The number of instructions that divide or take a square root.
        flops: The number of floating-point operations. A fused multiply-add counts as two.
    """

    instructions: int
    divisions: int
    flops: int


FREE = Price(0, 0, 0)


class Machine(Protocol):
    """The properties of a machine that the planner uses.

    Attributes:
        halves: True if the machine has instructions that convert between float16 and float32.
        scales: True if one instruction multiplies a vector by powers of two.
    """

    @property
    def halves(self) -> bool: ...

    @property
    def scales(self) -> bool: ...

    def price(self, op, ins, params) -> Price | None:
        """The Price of an elementwise operation; None if no kernel can compute it."""


def machine() -> Machine:
    """The machine that kernels are compiled for."""
    return late.machine()
