"""What the stages of the compiler ask of the machine that kernels are made for.

A machine is a folder of its own, such as ``cpu/``, with an object that has the members of
``Machine``. Nothing above the folder imports it.
"""

from typing import NamedTuple, Protocol

from rushlight import late

__all__ = ["FREE", "Machine", "Price", "machine"]


class Price(NamedTuple):
    """What an operation on one element takes.

    Attributes:
        instructions: How many there are, in all branches.
        divisions: Those of them that divide or take a root.
        flops: Floating-point operations: a fused multiply-add is two.
    """

    instructions: int
    divisions: int
    flops: int


FREE = Price(0, 0, 0)


class Machine(Protocol):
    """A kind of machine.

    Attributes:
        halves: True if instructions convert between float16 and float32.
        scales: True if one instruction multiplies a vector by powers of two.
    """

    @property
    def halves(self) -> bool: ...

    @property
    def scales(self) -> bool: ...

    def price(self, op, ins, params) -> Price | None:
        """The Price of an elementwise operation on these inputs; None if it has no code."""


def machine() -> Machine:
    """The machine that kernels are made for."""
    return late.machine()
