"""Sums of arrays: as precise as pairwise summation, along any axis."""

import numpy as np

#: So many rows are added one after the other; more are added in blocks of so many.
BLOCK = 32


def summed(x, axes, keepdims=False):
    """The sum of ``x`` over the tuple ``axes``."""
    if x.dtype.kind in "iub":
        return np.add.reduce(x, axis=axes, keepdims=keepdims, dtype=np.int64)
    if len(axes) == x.ndim:
        if keepdims:
            return np.add.reduce(x, axis=axes, keepdims=True)
        return np.add.reduce(x, axis=None)
    return np.add.reduce(x, axis=axes, keepdims=keepdims)
