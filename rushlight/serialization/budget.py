"""Limit the cost of reading one file, so that no small file takes all memory or runs for hours.

A few hundred bytes can describe a set of 2⁴⁰ elements, or a gigabyte of deflated zeros. So each
read has a budget of bytes and of steps. The budget grows with the size of the file. An honest file
stays far below its budget, because it describes no more than it holds.
"""

import math
import os

__all__ = ["Budget", "file_name"]

_BYTES = 64 << 20  # bytes of memory that any file may take
_BYTES_FOR_ONE = 16  # more bytes for each byte of the file: deflated weights need 2 to 8
_STEPS = 1_000_000  # steps that any file may take; a step takes up to 0.1 µs
_STEPS_FOR_ONE = 3  # more steps for each byte of a pickle: an honest pickle needs at most 2


def file_name(f):
    """Return the name of the path or binary file ``f`` for error messages."""
    name = os.fspath(f) if isinstance(f, (str, os.PathLike)) else getattr(f, "name", None)
    return str(name) if isinstance(name, (str, bytes)) else "the file"


class Budget:
    """The bytes and steps that reading a file may still take.

    Args:
        file: The name of the file, for error messages.
        size: The size of the file on disk, in bytes.
        name: The name of the function that reads the file, for error messages.
        remedy: The advice that error messages give to a user who trusts the file.

    >>> budget = Budget("x.pt", 1000)
    >>> budget.take_bytes(1000, "the record data/0")
    >>> budget.take_bytes(1 << 40, "the record data/0")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: load: x.pt: with the record data/0 it takes more than 67,124,864 bytes ...
    """

    def __init__(self, file, size, name="load", remedy="load it by torch.load(..., "
                 "weights_only=False), which runs code that the file names"):  # fmt: skip
        self.file, self.size, self.name, self.remedy = file, size, name, remedy
        self.bytes: float = _BYTES + _BYTES_FOR_ONE * size
        self.steps: float = _STEPS

    @classmethod
    def unlimited(cls, file):
        """Return a budget without limits, for a file that the caller trusts."""
        budget = cls(file, 0)
        budget.bytes = budget.steps = math.inf
        return budget

    def take_bytes(self, count, what):
        """Take ``count`` bytes, which are about to be allocated, from the budget.

        ``what`` names the object that needs the bytes.

        Raises:
            RuntimeError: fewer than ``count`` bytes are left.
        """
        self.bytes -= count
        if self.bytes < 0:
            most = _BYTES + _BYTES_FOR_ONE * self.size
            raise self._exceeded(f"with {what} it takes more than {most:,} bytes of memory")

    def take_steps(self, count):
        """Take ``count`` steps, which are about to be done, from the budget.

        Raises:
            RuntimeError: fewer than ``count`` steps are left.
        """
        self.steps -= count
        if self.steps < 0:
            raise self._exceeded("what it describes takes too many steps to build")

    def read_pickle(self, stored, unpacked):
        """Add the steps of a pickle to the budget, and take the steps of unpacking it.

        The pickle has ``unpacked`` bytes; in the file, possibly deflated, it takes ``stored``.
        """
        self.steps += _STEPS_FOR_ONE * stored
        self.take_steps(max(unpacked - stored, 0))

    def _exceeded(self, what):
        return RuntimeError(
            f"{self.name}: {self.file}: {what}, far more than an honest file of {self.size:,} "
            "bytes needs: it is damaged, or means harm. If you trust where it came from, "
            f"{self.remedy}"
        )
