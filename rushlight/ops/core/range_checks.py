"""Checks that indices and other values are in range, on arrays and as operations in a trace."""

import numpy as np

from rushlight.dtype import OF
from rushlight.ops.core.kinds import kernel

__all__ = ["check_index", "check_indices", "check_range", "require_range"]


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
    if not index.size:
        return
    # Read as unsigned, negative numbers are large: one comparison shows that no index is wrong.
    if index.dtype.itemsize == 8 and index.view(np.uint64).max() < n:
        return
    if index.min() < low or index.max() >= n:
        bad = index[(index < low) | (index >= n)].flat[0]
        raise error(_message(name, dim, n).format(bad))


@kernel(public=False, method=False, widen=False, raises=True)
def check_range(xp, x, *, low, high, error, message, ignored=None):
    """Raise ``error`` if an element of x is neither in [low, high] nor equal to ``ignored``.

    The ``message`` is formatted with the first such element, and with its ``batch``: its place in
    the flattened x, in words, if x has dims. The result has no meaning.
    """
    fine = (x >= low) & (x <= high)
    if ignored is not None:
        fine |= x == ignored
    if not fine.all():
        at = int(fine.argmin())  # in the flattened array
        batch = f"(Batch element {at}): " if fine.ndim else ""
        raise error(message.format(x.reshape(-1)[at], batch=batch))
    return np.ones((), bool)


def check_indices(name, x, index, dim, error=RuntimeError, negative=False):
    """Check that the tensor ``index`` is valid for dim ``dim`` of ``x``, by an operation.

    An operation is recorded in a trace, so a compiled program checks at each run.
    """
    n = x.shape[dim] if x.shape else 1
    low = -n if negative else 0
    check_range(index, low=low, high=n - 1, error=error, message=_message(name, dim, n))
