"""Activation functions of neural networks, element by element."""

from math import pi, sqrt

from rushlight.ops.definition import function
from rushlight.ops.division import real_numbers
from rushlight.ops.exponential import floats
from rushlight.ops.kinds import elementwise
from rushlight.ops.promotion import to_float
from rushlight.ops.rules import conj, where


@elementwise(dtype=real_numbers)
def relu(xp, x):
    """``input`` where it is positive, else 0.

    >>> import rushlight as torch
    >>> torch.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return xp.maximum(x, 0)


relu.grad(x=lambda g, out: where(out <= 0, 0, g))


@elementwise(dtype=to_float)
def sigmoid(xp, x):
    """1 / (1 + e⁻ˣ).

    >>> import rushlight as torch
    >>> torch.sigmoid(torch.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return 1 / (1 + xp.exp(-x))


sigmoid.grad(x=lambda g, out: g * conj((1 - out) * out))
