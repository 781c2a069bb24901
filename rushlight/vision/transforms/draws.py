"""Single numbers from the default generator: PyTorch's stream, without the cost of a tensor.

For example, ``between(a, b)`` draws the same number as ``torch.empty(1).uniform_(a, b).item()``.
"""

import numpy as np

import rushlight as torch
from rushlight.autograd import mode
from rushlight.draw.continuous import uniform
from rushlight.draw.integers import integers
from rushlight.random import default_generator

__all__ = ["below", "between", "happens", "within"]

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def _generator():
    if mode.recorder() is not None:  # a trace would repeat the number drawn now in every run
        torch.rand(1).item()  # raises the error that explains this
    return default_generator


def between(low, high):
    """A number from [low, high)."""
    return float(uniform(_generator(), 1, F32, low, high)[0])


def happens(p):
    """True with probability ``p``."""
    return bool(uniform(_generator(), 1, F32)[0] < np.float32(p))


def within(low, high):
    """An integer from [low, high)."""
    return int(integers(_generator(), 1, I64, low, high)[0])


def below(count):
    """An integer from [0, count)."""
    return within(0, count)
