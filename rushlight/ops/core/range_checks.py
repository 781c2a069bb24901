"""Checks that indices and other values are in range, on arrays and as operations in a trace."""

import numpy as np

from rushlight.autograd import mode
from rushlight.dtype import OF
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.kinds import kernel
from rushlight.ops.tensor.array_dtypes import as_scalar, bounds
from rushlight.tensor import Tensor

__all__ = [
    "check_fit", "check_index", "check_indices", "check_range", "require_fit", "require_range",
    "require_within", "within",
]  # fmt: skip


def within(x, low, high):
    """Whether all integers of ``x`` are in [low, high].

    NumPy finds the places of the extremes in a quarter of the time of the extremes themselves.
    """
    if not x.size:
        return True
    if type(x) is not np.ndarray:  # a replay's, which shows no values, but decides conditions
        return bool(((x >= low) & (x <= high)).all())
    if x.dtype.itemsize == 8 and low <= 0 and high < 1 << 63:
        # Read as unsigned, negative numbers are above ``high``: one look may be enough.
        unsigned = x.view(np.uint64)
        if unsigned.item(unsigned.argmax()) <= high:
            return True
    return x.item(x.argmin()) >= low and x.item(x.argmax()) <= high


def check_index(name, index, *, shape=None, error=RuntimeError):
    """Raise ``error`` unless ``index`` is an array of int32 or int64."""
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        raise error(
            f"{name}(): Expected dtype int32/int64 for index, got {OF[index.dtype]}; use .long()"
        )


def _message(name, dim, n):
    return f"{name}: index {{}} is out of bounds for dimension {dim} with size {n}"


def require_range(name, index, n, dim, error=RuntimeError, low=0):
    """Raise ``error`` if an index is not in ``range(low, n)``."""
    if not within(index, low, n - 1):
        bad = index[(index < low) | (index >= n)].flat[0]
        raise error(_message(name, dim, n).format(bad))


def require_within(x, *, low, high, error, message, ignored=None):
    """Raise ``error`` if an element of the array x is neither in [low, high] nor ``ignored``.

    The ``message`` is formatted with the first such element, and with its ``batch``: its place in
    the flattened x, in words, if x has dims.
    """
    if x.dtype.kind in "iu" and within(x, low, high):
        return
    fine = (x >= low) & (x <= high)
    if ignored is not None:
        fine |= x == ignored
    if not fine.all():
        at = int(fine.argmin())  # in the flattened array
        batch = f"(Batch element {at}): " if fine.ndim else ""
        raise error(message.format(x.reshape(-1)[at], batch=batch))


@kernel(public=False, method=False, widen=False, raises=True, name="check_range",
        shape=lambda x, **_: ())  # fmt: skip
def _check_range(xp, x, *, low, high, error, message, ignored=None):
    """``require_within`` as an operation. The result has no meaning."""
    require_within(x, low=low, high=high, error=error, message=message, ignored=ignored)
    return np.ones((), x.dtype)


def check_range(x, **options):
    """``require_within`` of a tensor, or of an array. A compiled program checks at each run."""
    if mode.intercept and isinstance(x, Tensor):
        _check_range(x, **options)
    else:
        require_within(plain(x) if isinstance(x, Tensor) else x, **options)


def check_indices(name, x, index, dim, error=RuntimeError, negative=False):
    """Check that the tensor ``index`` is valid for dim ``dim`` of ``x``, by an operation.

    An operation is recorded in a trace, so a compiled program checks at each run.
    """
    n = x.shape[dim] if x.shape else 1
    low = -n if negative else 0
    check_range(index, low=low, high=n - 1, error=error, message=_message(name, dim, n))


def require_fit(x, value):
    """Raise RuntimeError if the dtype of ``x`` cannot hold the number in the 0-dim array ``value``.

    Python's numbers are checked where they are converted.
    """
    if isinstance(value, np.ndarray) and value.dtype != x.dtype:
        as_scalar(value.item(), x.dtype)


def check_fit(x, value):
    """``require_fit`` for tensors, by operations."""
    dtype = x.dtype
    if not hasattr(value, "_array") or value.dtype == dtype or not dtype.category:
        return
    message = f"value cannot be converted to type {dtype.name} without overflow: {{}}"
    if value.dtype.is_complex and not dtype.is_complex:
        check_range(value.imag, low=0, high=0, error=RuntimeError, message=message)
    parts = [value.real, value.imag] if value.dtype.is_complex else [value]
    low, high = bounds(dtype.to_real().numpy, value.dtype.category < 2)
    for part in parts:
        if dtype.category > 1:
            part = part.where(part.isfinite(), 0)
        check_range(part, low=low, high=high, error=RuntimeError, message=message)
