"""The sparse gradient of a table whose rows were looked up, and the rows of such a gradient."""

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import stamp
from rushlight.device import CPU
from rushlight.remote import place_of
from rushlight.sparse.container import coo
from rushlight.tensor import Tensor, from_array

__all__ = ["add_rows", "gradient_of_rows", "place", "rows_of"]


def gradient_of_rows(g, indices, rows, padding_idx, scale_grad_by_freq):
    """Return the gradient of a table (rows, features) as a COO tensor: a row for each index.

    Args:
        g: The gradient (*, features) of the rows that were looked up, an array or a tensor.
        indices: The indices (*) of these rows, in the same form.
        rows: The number of rows of the table.
        padding_idx: A row without gradient, or -1.
        scale_grad_by_freq: Not supported, as in PyTorch.
    """
    mode.refuse_in_trace("an embedding with sparse=True has a sparse gradient; use sparse=False")
    if scale_grad_by_freq:
        raise RuntimeError(
            "embedding_backward: scale_grad_by_freq not supported with sparse gradients; use "
            "sparse=False"
        )
    if place_of(g._array if isinstance(g, Tensor) else g) is not CPU:
        raise RuntimeError(
            "embedding_backward: sparse gradients are made on the CPU only; use sparse=False"
        )
    at = (indices._array if isinstance(indices, Tensor) else indices).reshape(-1)
    values = g.reshape(len(at), g.shape[-1])
    if padding_idx >= 0:
        keep = np.flatnonzero(at != padding_idx)
        at = at[keep]
        values = values[from_array(keep) if isinstance(values, Tensor) else keep]
    if not isinstance(values, Tensor):
        values = from_array(np.ascontiguousarray(values))
    indices = from_array(at.astype(np.int64).reshape(1, -1))
    return coo(indices, values, (rows, values.shape[-1]))


def rows_of(g):
    """Return the places (a NumPy index) and the values (an array) of a sparse gradient.

    Each place occurs once.
    """
    g = g.coalesce()
    return tuple(g.pattern[0]._array), g.stored._array


def place(x):
    """Return the array of the dense tensor ``x``, for a write."""
    refresh(x)
    return x._array


def add_rows(x, g, factor):
    """Add ``factor`` times the sparse ``g`` to the dense tensor ``x``, in place."""
    at, values = rows_of(g)
    place(x)[at] += values * factor
    stamp(x)
