"""Counts of values: bincount, histc."""

import numpy as np

from rushlight.dtype import float32, float64, int64
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.rules import underivable
from rushlight.ops.create.range import arange
from rushlight.ops.reduce.search import searchsorted
from rushlight.ops.reduce.sort import sort_
from rushlight.ops.shape.join import cat

_LAST = np.iinfo(np.int64).max


@kernel(public=False, method=False, name="bincount", dynamic=True, widen=False)
def _bincount(xp, x, weights=None, *, minlength=0):
    """The number of occurrences of each non-negative integer, or the sum of its weights."""
    if x.ndim != 1 or x.dtype.kind not in "iu":
        raise UnsupportedDtypeError(
            "bincount only supports 1-d non-negative integral inputs, "
            f"not {x.dtype} of shape {x.shape}"
        )
    if x.size and x.min() < 0:
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs; the smallest is {x.min()}"
        )
    if x.size and x.max() >= _LAST:  # NumPy would count in memory of another length
        raise RuntimeError(
            f"maximum value of input overflowed, it should be < {_LAST} but got {x.max()}"
        )
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, not {minlength}")
    if weights is not None and weights.shape != x.shape:
        raise ShapeError(
            "bincount: weights should be 1-d and have the same length as input: "
            f"{weights.shape} and {x.shape}"
        )
    if weights is None or not x.size:  # PyTorch counts nothing in int64, also with weights
        return np.bincount(x.astype(np.int64), None, minlength)
    single = weights.dtype == np.float32
    found = np.bincount(x.astype(np.int64), weights.astype(np.float64), minlength)
    return found.astype(np.float32) if single else found


@_bincount.lower_by_counting
def _counts_on_devices(x, weights, minlength):
    if len(x.shape) != 1 or not x.numel() or x.dtype.category != 1 or minlength < 0:
        return NotImplemented
    x = x.to(int64)
    if x.min().item() < 0 or (weights is not None and weights.shape != x.shape):
        return NotImplemented
    size = max(x.max().item() + 1, minlength)
    if weights is not None:
        weights = weights.to(weights.dtype if weights.dtype is float32 else float64)
        return weights.new_zeros(size).scatter_add(0, x, weights)
    ordered = sort_(x, dim=0)[0]
    ends = searchsorted(ordered, arange(size), right=True)
    return ends - cat([ends.new_zeros(1), ends[:-1]])


@function
def bincount(input, weights=None, minlength=0):
    """Count how often each integer from 0 on occurs, or sum the ``weights`` of its places.

    Args:
        input: Tensor ``(N,)`` of integers, not negative.
        weights: Tensor ``(N,)``: by how much each element counts. Default: each counts 1.
        minlength: The least length of the result. Default: 0.

    Returns:
        Tensor ``(max(input) + 1,)``, or of ``minlength`` elements if these are more. Its dtype is
        int64. With ``weights`` it is float32 for float32 weights, else float64. Of an empty
        ``input`` it is int64 in any case.

    Raises:
        RuntimeError: ``input`` has negative or floating-point numbers.

    >>> import rushlight as torch
    >>> torch.bincount(torch.tensor([0, 1, 1, 3]))
    tensor([1, 2, 0, 1])
    """
    return _bincount(input, weights, minlength=minlength)


_bincount.grad(weights=underivable("bincount"))


@kernel(public=False, method=False, name="histc")
def _histc(xp, x, *, bins, low, high):
    """The number of elements in each of ``bins`` equal bins from ``low`` to ``high``."""
    flat = x.reshape(-1)
    if low == high and flat.size:
        low, high = float(flat.min()), float(flat.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low}, {high}] is not finite")
    inside = flat[(flat >= low) & (flat <= high)]
    place = ((inside - low) / (high - low) * bins).astype(np.int64)
    return np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(x.dtype)


@_histc.lower_by_counting
def _histc_on_devices(x, bins, low, high):
    flat = x.reshape(-1)
    if not flat.numel():
        return NotImplemented
    if low == high:
        low, high = flat.min().item(), flat.max().item()
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        return NotImplemented
    place = ((flat - low) / (high - low) * bins).to(int64).clamp(0, bins - 1)
    place = place.where((flat >= low) & (flat <= high), bins)
    return _bincount(place, None, minlength=bins + 1)[:bins].to(x.dtype)


@function(kinds={"bins": "int", "min": "Number", "max": "Number"})
def histc(input, bins=100, min=0, max=0, *, out=None):
    """Count the elements in each of ``bins`` equal bins from ``min`` to ``max``.

    Elements outside of this range are not counted.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        bins: The number of bins. Default: 100.
        min: The lower end of the first bin. Default: 0.
        max: The upper end of the last bin. If it equals ``min``, the bins reach from the smallest
            to the largest element. Default: 0.

    Returns:
        Tensor ``(bins,)`` of ``input``'s dtype.

    Raises:
        RuntimeError: ``bins`` is not positive, ``max`` is below ``min``, or ``input`` has integers.

    >>> import rushlight as torch
    >>> torch.histc(torch.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"torch.histc(): bins must be > 0, not {bins}")
    if max < min:
        raise RuntimeError("torch.histc: max must be larger than min")
    if input.dtype.category != 2:
        raise UnsupportedDtypeError(
            f"torch.histc: not implemented for {input.dtype}; convert with .float()"
        )
    return _histc(input, bins=bins, low=min, high=max, out=out)
