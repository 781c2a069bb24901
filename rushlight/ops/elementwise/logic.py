"""Logic on truth values and on bits, element by element."""

import numpy as np

from rushlight.errors import UnsupportedDtypeError
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import integers

# Truth ------------------------------------------------------------------------------------


@elementwise(tensors=("x", "y"))
def logical_and(xp, x, y):
    """True where both inputs are non-zero.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.logical_and(torch.tensor([0, 1, 2]), torch.tensor([1, 0, 3]))
    tensor([False, False,  True])
    """
    return xp.logical_and(x, y)


@elementwise(tensors=("x", "y"))
def logical_or(xp, x, y):
    """True where at least one input is non-zero.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.logical_or(torch.tensor([0, 1]), torch.tensor([0, 0]))
    tensor([False,  True])
    """
    return xp.logical_or(x, y)


@elementwise(tensors=("x", "y"))
def logical_xor(xp, x, y):
    """True where exactly one input is non-zero.

    Args:
        input, other: Tensors. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.logical_xor(torch.tensor([0, 1]), torch.tensor([2, 3]))
    tensor([ True, False])
    """
    return xp.logical_xor(x, y)


@elementwise(casts=True, least=None)
def logical_not(xp, x):
    """True where ``input`` is zero.

    >>> import rushlight as torch
    >>> torch.logical_not(torch.tensor([0, 1]))
    tensor([ True, False])
    """
    return xp.logical_not(x)


# Bits -------------------------------------------------------------------------------------


def _whole(operands):
    d = integers(operands)
    if d.category == 0:
        raise UnsupportedDtypeError("not implemented for 'Bool'; convert with .int()")
    return d


def _broadcast(x, y):
    """Whether an array is repeated: NumPy is as fast as a kernel on arrays of one shape."""
    return np.shape(x) != np.shape(y) and bool(np.ndim(x) and np.ndim(y))


@elementwise(dtype=integers, worth=_broadcast)
def bitwise_and(xp, x, y):
    """The bits that both inputs have; ``and`` of bools.

    >>> import rushlight as torch
    >>> torch.bitwise_and(torch.tensor([6]), 3)
    tensor([2])
    """
    return x & y


@elementwise(dtype=integers, worth=_broadcast)
def bitwise_or(xp, x, y):
    """The bits that at least one input has; ``or`` of bools.

    >>> import rushlight as torch
    >>> torch.bitwise_or(torch.tensor([6]), 3)
    tensor([7])
    """
    return x | y


@elementwise(dtype=integers, worth=_broadcast)
def bitwise_xor(xp, x, y):
    """The bits in which the inputs differ.

    >>> import rushlight as torch
    >>> torch.bitwise_xor(torch.tensor([6]), 3)
    tensor([5])
    """
    return x ^ y


@elementwise(dtype=integers, least=None)
def bitwise_not(xp, x):
    """Every bit inverted; ``not`` of bools.

    >>> import rushlight as torch
    >>> torch.bitwise_not(torch.tensor([0, 5]))
    tensor([-1, -6])
    """
    return ~x


#: Options of shifts, which take NumPy eight loops.
_SHIFT = {"least": 1 << 13, "widths": False, "slopes": False}


def _shift_count(xp, x, y):
    """(the counts ``y`` with 0 in place of invalid ones, True where a count is invalid).

    A count is valid from 0 to the number of bits minus 1.
    """
    bits = x.dtype.itemsize * 8
    outside = (y < 0) | (y >= bits)
    return xp.where(outside, 0, y).astype(x.dtype), outside


@elementwise(dtype=_whole, **_SHIFT)
def bitwise_left_shift(xp, x, y):
    """Shift the bits of ``input`` by ``other`` places to the left.

    The result is ``input · 2^other``, without the bits that leave the dtype. It is 0 where
    ``other`` is negative or not below the number of bits.

    Args:
        input: Tensor of any shape ``(*)``, of integers.

    >>> import rushlight as torch
    >>> torch.bitwise_left_shift(torch.tensor([1, 3]), 2)
    tensor([ 4, 12])
    """
    count, outside = _shift_count(xp, x, y)
    return xp.where(outside, x.dtype.type(0), x << count)


@elementwise(dtype=_whole, **_SHIFT)
def bitwise_right_shift(xp, x, y):
    """Shift the bits of ``input`` by ``other`` places to the right.

    The result is ``input / 2^other``, rounded down. Where ``other`` is negative or not below the
    number of bits, the result is 0, or -1 for a negative ``input``.

    Args:
        input: Tensor of any shape ``(*)``, of integers.

    >>> import rushlight as torch
    >>> torch.bitwise_right_shift(torch.tensor([8, -8]), 2)
    tensor([ 2, -2])
    """
    count, outside = _shift_count(xp, x, y)
    lost = x >> x.dtype.type(x.dtype.itemsize * 8 - 1) if x.dtype.kind == "i" else x.dtype.type(0)
    return xp.where(outside, lost, x >> count)


@elementwise(dtype=_whole, tensors=("x", "y"), least=None)
def gcd(xp, x, y):
    """Compute the greatest common divisor.

    Args:
        input, other: Tensors of integers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.gcd(torch.tensor([12]), torch.tensor([18]))
    tensor([6])
    """
    return xp.gcd(x, y)


@elementwise(dtype=_whole, tensors=("x", "y"), least=None)
def lcm(xp, x, y):
    """Compute the least common multiple.

    Args:
        input, other: Tensors of integers. They are broadcast to one shape.

    >>> import rushlight as torch
    >>> torch.lcm(torch.tensor([4]), torch.tensor([6]))
    tensor([12])
    """
    if x.dtype.itemsize < 4:  # as in C, small integers are multiplied in 32 bits, and wrap at last
        return xp.abs(xp.lcm(x.astype(np.int32), y.astype(np.int32))).astype(x.dtype)
    return xp.abs(xp.lcm(x, y))  # a multiple that the dtype does not have wraps around
