"""The sparse gradient of a table whose rows were looked up, and the rows of such a gradient."""

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import stamp
from rushlight.device import CPU
from rushlight.device_array import to_host
from rushlight.remote import place_of
from rushlight.sparse.container import coo
from rushlight.tensor import Tensor, from_array

__all__ = ["add_rows", "gradient_of_rows", "read", "root", "rows_of", "write"]


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
    here = place_of(g._array if isinstance(g, Tensor) else g)
    if here is not CPU and not isinstance(g, Tensor):
        g = from_array(g)
    # The places of a sparse tensor lie on the host.
    at = to_host(indices._array if isinstance(indices, Tensor) else indices).reshape(-1)
    values = g.reshape(len(at), g.shape[-1])
    if padding_idx >= 0:
        keep = np.flatnonzero(at != padding_idx)
        at = at[keep]
        kept = from_array(keep).to(here) if isinstance(values, Tensor) else keep
        values = values[kept]
    if not isinstance(values, Tensor):
        values = from_array(np.ascontiguousarray(values))
    indices = from_array(at.astype(np.int64).reshape(1, -1))
    return coo(indices, values, (rows, values.shape[-1]))


def rows_of(g):
    """Return the places (a NumPy index) and the values of a sparse gradient; see ``read``.

    Each place occurs once.
    """
    g = g.coalesce()
    values = g.stored.detach()
    return tuple(g.pattern[0]._array), values._array if place_of(values._array) is CPU else values


def read(x, at):
    """Return the rows ``at`` of the dense tensor ``x``: an array, or on a device a tensor."""
    refresh(x)
    if place_of(x._array) is CPU:
        return x._array[at]
    return x.detach().index_select(0, _on_device(x, at))


def write(x, at, rows):
    """Set the rows ``at`` of the dense tensor ``x``, in place, to what ``read`` would return."""
    refresh(x)
    if place_of(x._array) is CPU:
        x._array[at] = rows
    else:
        x.detach().index_copy_(0, _on_device(x, at), rows)
    stamp(x)


def _on_device(x, at):
    return from_array(at[0]).to(x.device)


def root(x):
    """The square root of an array, or of a tensor."""
    return x.sqrt() if isinstance(x, Tensor) else np.sqrt(x)


def add_rows(x, g, factor):
    """Add ``factor`` times the sparse ``g`` to the dense tensor ``x``, in place."""
    at, values = rows_of(g)
    if len(values):
        write(x, at, read(x, at) + values * factor)
