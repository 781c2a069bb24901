"""What the planner must know about the machine that kernels are compiled for.

The code for a machine is a folder of its own, such as ``cpu/``. The folder has an object with the
members of ``Machine``. The planner gets this object from ``machine()`` and does not import the
folder.
"""

import threading
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from rushlight import late

__all__ = [
    "FREE", "LoopCosts", "Machine", "Price", "Work", "machine", "other_machine", "planning_for",
]  # fmt: skip


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


class LoopCosts(NamedTuple):
    """The measured figures by which loops are scheduled. Times are in nanoseconds.

    Attributes:
        line: Bytes of a cache line.
        part: Bytes of the smallest part of a line that is stored past the caches.
        streamed: Bytes of a memory so large that its stores would evict all other data.
        prefetched: Bytes of the longest row that is prefetched: longer rows evict their own lines.
        kept: Bytes of the longest row of which the first-level cache keeps several.
        tile: Rows of a tile: the elements of a cache line.
        short: A row of at most this many elements hardly fills a vector.
        long: An operation with at least this many instructions is heavy; ``exp`` is one.
        cheap: The time of one cheap operation on a vector.
        division: The time of a division of a vector.
        heavy: The time of a heavy operation on a vector.
        near: The time to move a byte if the kernel moves at most ``cache`` bytes.
        far: The time to move a byte if it moves more.
        cache: Bytes that the caches hold.
        piece: The time that a piece of work should take at least.
        pieces: The largest number of pieces of a kernel.
    """

    line: int
    part: int
    streamed: int
    prefetched: int
    kept: int
    tile: int
    short: int
    long: int
    cheap: float
    division: float
    heavy: float
    near: float
    far: float
    cache: int
    piece: float
    pieces: int


class Work(Protocol):
    """The code for one group of equations, before it is written.

    Attributes:
        stem: The beginning of the kernels' names.
        key: Equal keys mean equal code.
        operands: (owner of the memory, byte offset) of the arguments before those of the kernel.
        nanoseconds: The estimated time.
        simple: True if loops step their addresses themselves, so that LLVM need not.
    """

    stem: str
    key: str
    operands: list
    nanoseconds: float
    simple: bool

    def plan(self, name) -> Any:
        """The kernels in order and the temporaries between them: a ``codegen.emission.Plan``."""

    def emit(self, module, name) -> None:
        """Write the kernels of ``plan(name)`` into a module."""


class Machine(Protocol):
    """What the stages of the compiler ask of a machine.

    Attributes:
        calls: True if the machine can call the NumPy forward of an operation without a kernel. If
            not, operations are lowered by ``Op.lower_on_devices``, too.
        spreads: True if so many work-items run at the same time that work gains by being spread
            over them, even if it becomes more. Rules of lowering ask for it by ``late.spreads``.
        halves: True if the machine has instructions that convert between float16 and float32.
        wide: True if integers may have 128 bits, with which large angles are reduced. The functions
            of angles are the machine's own where they may not.
        scales: True if one instruction multiplies a vector by powers of two.
        vector_bytes: Bytes of a vector register.
        registers: The number of vector registers.
        costs: The figures by which loops are scheduled.
    """

    @property
    def calls(self) -> bool: ...

    @property
    def spreads(self) -> bool: ...

    @property
    def halves(self) -> bool: ...

    @property
    def wide(self) -> bool: ...

    @property
    def scales(self) -> bool: ...

    @property
    def vector_bytes(self) -> int: ...

    @property
    def registers(self) -> int: ...

    @property
    def costs(self) -> LoopCosts: ...

    def price(self, op, ins, params) -> Price | None:
        """The Price of an elementwise operation; None if no kernel can compute it."""

    def serves(self, equation) -> bool:
        """Whether there is a kernel for a contraction: a product, convolution, pooling, attention.

        A contraction without one is lowered to other operations, or computed by NumPy.
        """

    def work(self, group, kernel, schedule) -> Work:
        """The code for the group of equations ``group``.

        ``kernel`` has the group's stores and the memory that they use; ``schedule`` is the whole
        program's, which knows where each value lies.
        """

    def module(self, program) -> Any:
        """The LLVM module of an ``Assembly``: its kernels, and the functions that launch them."""

    def code(self, module) -> bytes:
        """The machine code of a module, or of its text."""

    def assembly(self, module) -> str:
        """The machine code of a module, or of its text, for readers."""

    def load(self, code) -> Any:
        """Load machine code; the result's ``address(name)`` is that of a function."""


_local = threading.local()


def machine() -> Machine:
    """The machine that kernels are compiled for: the processor, or that of ``planning_for``."""
    return other_machine() or late.machine()


def other_machine() -> Any:
    """The machine of ``planning_for``; None for the processor, which may have no llvmlite."""
    return getattr(_local, "machine", None)


def _spreads():
    other = other_machine()
    return other is not None and other.spreads


late.spreads = _spreads


@contextmanager
def planning_for(other):
    """Compile for the machine ``other`` in the ``with`` block, in this thread."""
    before = getattr(_local, "machine", None)
    _local.machine = other
    try:
        yield
    finally:
        _local.machine = before
