"""Large NumPy arrays that a traced function finds outside.

A comparison of their bytes at each call would take longer than the call. So an ``Array`` replaces
each of them while the call is recorded. The function can make a tensor of an ``Array``: this tensor
is an input of the program, over the array's own memory. Any other access to the elements makes the
call run eagerly.
"""

from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.capture.stand_in import methods

__all__ = ["Array"]

#: Attributes that the traced function may read: a program holds for their recorded values only.
_KNOWN = ("dtype", "itemsize", "nbytes", "ndim", "shape", "size", "strides")


class Array:
    """A stand-in for ``array``."""

    __slots__ = ("_array",)

    def __init__(self, array):
        self._array = array

    __class__ = property(lambda self: np.ndarray)

    def __len__(self):
        return len(self._array)

    def __getattr__(self, name):
        return getattr(self._array, name) if name in _KNOWN else _refuse(self)


def _refuse(self, *args, **kwargs) -> Any:
    mode.refuse_in_trace(
        f"a NumPy array of {self._array.nbytes} bytes is read, too many to be compared at each "
        "call; make a tensor of it with torch.from_numpy, or pass what it needs as tensors"
    )


for _name in methods(Array, np.ndarray):
    setattr(Array, _name, _refuse)
