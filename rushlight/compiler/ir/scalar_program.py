"""A recorded function of numbers, which a kernel computes for each of its elements."""

from dataclasses import dataclass

__all__ = ["ScalarProgram"]


@dataclass(frozen=True, eq=False, repr=False)
class ScalarProgram:
    """Equations on 0-dim values.

    Attributes:
        inputs: The abstract values of the function's arguments, all 0-dim.
        captured: The abstract values of the tensors that it reads besides: contiguous, any shape.
        equations: What it computes, as it was recorded.
        outputs: Its results, all 0-dim.
        bounds: For each of ``inputs`` the smallest and largest number that it can be, or None.
    """

    inputs: tuple
    captured: tuple
    equations: list
    outputs: tuple
    bounds: tuple

    def __repr__(self):
        return f"<{len(self.equations)} equations>"
