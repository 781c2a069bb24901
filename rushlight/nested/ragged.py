"""The lengths of a jagged dim: offsets, the symbolic size, and the rows of a padded form."""

import itertools
import weakref
from typing import Any

import numpy as np

from rushlight.tensor import Tensor, from_array

__all__ = ["NestedInt", "Ragged"]

_numbers = itertools.count(1)
#: id of a tensor of offsets → (a reference to it, its symbolic size).
_sizes: dict[int, tuple] = {}


class NestedInt:
    """The size of a ragged dim, such as ``j1``: equal for tensors of the same offsets.

    It has no value. It is at least as large as 0, 1 and 2, as in PyTorch; other comparisons of
    order raise.
    """

    __slots__ = ("coefficient", "number")
    symbolic = True  # a Size keeps it as it is

    def __init__(self, number, coefficient=1):
        self.number, self.coefficient = number, coefficient

    def __repr__(self):
        times = "" if self.coefficient == 1 else f"{self.coefficient}*"
        return f"{times}j{self.number}"

    def __eq__(self, other):
        if not isinstance(other, NestedInt):
            return False
        return self.number == other.number and self.coefficient == other.coefficient

    def __hash__(self):
        return hash((self.number, self.coefficient))

    def __mul__(self, other):
        if not isinstance(other, (int, np.integer)):
            return NotImplemented
        return NestedInt(self.number, self.coefficient * int(other))

    __rmul__ = __mul__

    def __ge__(self, other):
        if isinstance(other, NestedInt) and other.number == self.number:
            return self.coefficient >= other.coefficient
        if isinstance(other, int) and other <= 2:
            return True
        raise ValueError("ge: relation is indeterminate")

    def __lt__(self, other):
        return not self >= other

    def __le__(self, other):
        if isinstance(other, NestedInt) and other.number == self.number:
            return self.coefficient <= other.coefficient
        if isinstance(other, int) and other < 2:
            return False
        raise ValueError("ge: relation is indeterminate")

    def __gt__(self, other):
        return not self <= other

    def _refuse(self, *_):
        raise RuntimeError(
            f"the size {self} of a ragged dim is not one number; offsets().diff() has the lengths"
        )

    __int__ = __index__ = __float__ = _refuse


def _size_of(tensor):
    """The symbolic size that belongs to a tensor of offsets or lengths."""
    key = id(tensor)
    found = _sizes.get(key)
    if found is None:
        reference = weakref.ref(tensor, lambda _: _sizes.pop(key, None))
        found = _sizes[key] = (reference, NestedInt(next(_numbers)))
    return found[1]


class Ragged:
    """How one dim of the values is cut into sequences. Tensors of the same lengths share it."""

    # offsets  where each sequence begins, and at the end where the last one ends: (B + 1,)
    # lengths  None if each sequence ends where the next one begins, else the lengths (B,)
    # size     the symbolic size of the dim
    # longest, shortest   the numbers that the caller gave, or None
    __slots__ = ("lengths", "longest", "offsets", "shortest", "size")

    def __init__(self, offsets: Tensor, lengths: Tensor | None = None, shortest=None, longest=None):
        self.offsets, self.lengths = offsets, lengths
        self.shortest, self.longest = shortest, longest
        self.size = _size_of(offsets if lengths is None else lengths)

    @classmethod
    def of_lengths(cls, lengths: Any):
        """The ragged dim of sequences that lie one after the other."""
        lengths = [int(n) for n in lengths]
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(from_array(offsets), None, min(lengths, default=0), max(lengths, default=0))

    def __len__(self):
        return self.offsets._array.shape[0] - 1

    @property
    def starts(self):
        """Where each sequence begins, an array (B,)."""
        return self.offsets._array[:-1]

    @property
    def counts(self):
        """The length of each sequence, an array (B,)."""
        return np.diff(self.offsets._array) if self.lengths is None else self.lengths._array

    @property
    def max(self):
        """The length of the longest sequence: the caller's number, if there is one."""
        if self.longest is None:
            self.longest = int(self.counts.max(initial=0))
        return self.longest

    @property
    def min(self):
        """The length of the shortest sequence: the caller's number, if there is one."""
        if self.shortest is None:
            self.shortest = int(self.counts.min()) if len(self) else 0
        return self.shortest

    def is_whole(self, total):
        """Tell whether each of ``total`` positions belongs to a sequence, in order."""
        ends = self.offsets._array
        return self.lengths is None and ends[0] == 0 and ends[-1] == total

    def positions(self):
        """(sequence, place in it, position among the values) of each element: three arrays."""
        counts = self.counts
        which = np.repeat(np.arange(len(self)), counts)
        firsts = np.cumsum(counts) - counts
        place = np.arange(len(which)) - firsts[which]
        return which, place, self.starts[which] + place

    def same_as(self, other):
        """Tell whether the two ragged dims have one symbolic size."""
        return self is other or self.size == other.size
