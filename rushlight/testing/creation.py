"""Random tensors for tests."""

import math

from rushlight.device import require
from rushlight.dtype import bool as bool_
from rushlight.dtype import finfo, float32, float64, iinfo, int64
from rushlight.ops.create.filled import empty
from rushlight.ops.elementwise.complex import view_as_real
from rushlight.ops.random.sampling import randint
from rushlight.remote import at
from rushlight.shapes import sizes

__all__ = ["make_tensor"]


def make_tensor(
    *shape, dtype, device, low=None, high=None, requires_grad=False, noncontiguous=False,
    exclude_zero=False, memory_format=None,
):  # fmt: skip
    """Make a tensor of numbers that are drawn uniformly from [low, high).

    Args:
        *shape: The shape: ints, or one tuple of ints.
        dtype: The dtype of the result.
        device: Where the result lies.
        low: The smallest number; it is moved into the dtype's range. Default: -9; 0 for unsigned
            integers and bools.
        high: The bound above the largest number; it is moved into the dtype's range. Default: 9 for
            floating point numbers, 10 for integers, 2 for bools.
        requires_grad: Record the result's use, for gradients. Default: False.
        noncontiguous: Leave gaps between the elements in memory. Default: False.
        exclude_zero: Turn zeros into 1, or into the smallest normal number of a floating-point
            dtype. Default: False.
        memory_format: Order of the dims in memory. Default: contiguous.

    Returns:
        Tensor of shape ``shape``.

    Raises:
        ValueError: a bound is nan, the bounds are not in order, ``requires_grad`` is set for an
            integral dtype, or ``noncontiguous`` is combined with ``memory_format``.

    >>> import rushlight as torch
    >>> x = torch.testing.make_tensor((2, 3), dtype=torch.int8, device="cpu", low=0)
    >>> x.shape, x.dtype
    (torch.Size([2, 3]), torch.int8)
    """
    shape = sizes(shape, "make_tensor")
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"make_tensor: noncontiguous and memory_format={memory_format} are mutually exclusive"
        )
    if requires_grad and dtype.category < 2:
        raise ValueError(f"make_tensor: requires_grad must be False for integral dtypes: {dtype}")
    gaps = noncontiguous and math.prod(shape) > 1
    # For gaps, twice as many numbers are drawn, and every second number is kept.
    drawn = (*shape[:-1], 2 * shape[-1]) if gaps else shape
    if dtype.category < 2:
        with at(require(device)):
            found = _integers(drawn, dtype, low, high)
    else:
        with at(require(device)):
            found = empty(drawn, dtype=dtype)
        real = _real(dtype)
        low, high = _bounds(low, high, -9, 9, -_largest(real), _largest(real))
        _uniform(found, real, low, high)
    if gaps:
        found = found[..., 1::2]
    elif memory_format is not None:
        found = found.clone(memory_format=memory_format)
    if exclude_zero:
        found[found == 0] = _smallest(dtype)
    return found.requires_grad_() if requires_grad else found


def _real(dtype):
    return {"complex64": float32, "complex128": float64}.get(dtype.name, dtype)


def _largest(dtype):
    return float(finfo(dtype).max)


def _smallest(dtype):
    if dtype.category < 2:
        return 1
    tiny = float(finfo(_real(dtype)).tiny)
    return complex(tiny, tiny) if dtype.is_complex else tiny


def _uniform(t, real, low, high):
    if t.is_complex():
        t = view_as_real(t)
    if high - low >= _largest(real):  # the dtype cannot hold the width
        t.uniform_(low / 2, high / 2).mul_(2)
    elif low == high:
        t.fill_(low)
    else:
        t.uniform_(low, high)


def _integers(shape, dtype, low, high):
    if dtype is bool_:
        low, high = _bounds(low, high, 0, 2, 0, 2)
    else:
        limits = iinfo(dtype)
        default = (0, 10) if limits.min == 0 else (-9, 10)
        low, high = _bounds(low, high, *default, limits.min, limits.max)
        if high == limits.max:
            high = high if dtype is int64 else high + 1
    return randint(math.ceil(low), math.ceil(high), shape, dtype=dtype)


def _bounds(low, high, default_low, default_high, least, most):
    """Return (low, high): the given bounds or the defaults, moved into [least, most]."""
    low = default_low if low is None else low
    high = default_high if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"make_tensor: low and high cannot be nan: low={low}, high={high}")
    if low > high or (low == high and isinstance(most, int)):
        raise ValueError(f"make_tensor: low must be less than high: {low} >= {high}")
    return min(max(low, least), most), min(max(high, least), most)
