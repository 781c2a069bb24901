"""Reads and writes at index tensors, expressed as ``gather`` and ``scatter`` along one dim.

The compiler has kernels for ``gather`` and ``scatter`` only. To read or write whole slices, the
index is expanded along the slices, without a copy. If several dims are indexed, they are merged
into one dim first, and their indices into one index.
"""

from math import prod
from typing import Any

from rushlight.dtype import bool as bool_
from rushlight.dtype import int64
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.shapes import broadcast

__all__ = ["check_bounds", "filled", "positive", "read", "repeated", "slices", "write"]


def positive(index, n):
    """Add ``n``, the size of the dim, to the negative numbers in ``index``."""
    return index.where(index >= 0, index + n)


def repeated(index, dim, shape):
    """Expand a 1-D index along ``dim`` over the other dims of ``shape``, as ``gather`` needs it."""
    n, index = index.numel(), index.to(int64)
    size = [n if d == dim else 1 for d in range(len(shape))]
    return index.reshape(size).expand((*shape[:dim], n, *shape[dim + 1 :]))


def slices(x, dim, index):
    """Return the slices of ``x`` along ``dim`` at a 1-D index."""
    return x.gather(dim, repeated(index, dim, x.shape))


class _Merged:
    """The indices of several dims, merged into one index of one dim.

    Attributes:
        order: All dims of x, permuted so that the indexed dims lie side by side.
        dim: The position of the first indexed dim in ``order``.
        before: The sizes of the dims before ``dim`` in ``order``.
        after: The sizes of the dims after the indexed dims in ``order``.
        merged: The shape of x after the permutation, with the indexed dims merged into one.
        index: The 1-D index of the merged dim.
        shape: The shape to which the indices broadcast.
    """

    def __init__(self, x_shape, dims, indices):
        first, k = dims[0], len(dims)
        rest = [d for d in range(len(x_shape)) if d not in dims]
        if dims != tuple(range(first, first + k)):
            # NumPy's rule: if the indexed dims are not adjacent, their result dims come first.
            first = 0
        self.dim = first
        self.order = (*rest[:first], *dims, *rest[first:])
        self.before = tuple([x_shape[d] for d in rest[:first]])
        self.after = tuple([x_shape[d] for d in rest[first:]])
        self.merged = (*self.before, prod([x_shape[d] for d in dims]), *self.after)
        self.shape = broadcast("index", *[tuple(i.shape) for i in indices])
        sizes = [x_shape[d] for d in dims]
        index: Any = 0
        for n, i in zip(sizes, indices, strict=True):
            index = index * n + positive(i.to(int64), n)
        self.index = index.expand(self.shape).reshape(prod(self.shape))

    def take(self, x):
        """Return ``x`` permuted to ``order``, with the indexed dims merged."""
        return x.permute(self.order).reshape(self.merged)


def _indices(keys):
    return [k for k in keys if k is not None]


def read(x, dims, keys):
    """Return ``x`` indexed at ``dims`` by the int tensors ``keys``."""
    indices = _indices(keys)
    if any(k.dtype is bool_ for k in indices):
        return NotImplemented
    m = _Merged(x.shape, dims, indices)
    found = slices(m.take(x), m.dim, m.index)
    return found.reshape((*m.before, *m.shape, *m.after))


def write(x, values, dims, keys, accumulate):
    """Return a copy of ``x`` with ``values`` written, or added, where ``keys`` index ``dims``."""
    indices = _indices(keys)
    if any(k.dtype is bool_ for k in indices):
        return _masked(x, values, dims, indices, accumulate)
    m = _Merged(x.shape, dims, indices)
    values = values.expand((*m.before, *m.shape, *m.after))
    values = values.reshape((*m.before, m.index.numel(), *m.after))
    base, index = m.take(x), repeated(m.index, m.dim, m.merged)
    put = base.scatter_add if accumulate else base.scatter
    found = put(m.dim, index, values).reshape([x.shape[d] for d in m.order])
    return found.permute([m.order.index(d) for d in range(len(m.order))])


def _masked(x, values, dims, indices, accumulate):
    """Return a copy of ``x`` with one value written where a mask is True."""
    if len(indices) > 1 or values.numel() != 1 or accumulate:
        return NotImplemented
    (mask,) = indices
    after = x._array.ndim - dims[0] - mask._array.ndim
    return x.masked_fill(mask.reshape((*mask.shape, *[1] * after)), values.reshape(()))


def check_bounds(x, dims, keys):
    """Record the check that each index lies in its dim; negative indices count from the end.

    A tensor without elements needs no check.
    """
    if 0 in x.shape:
        return
    for d, i in zip(dims, _indices(keys), strict=True):
        n = x.shape[d]
        if i.dtype is not bool_:
            check_range(
                i, low=-n, high=n - 1, error=IndexError,
                message=f"index {{}} is out of bounds for dimension {d} with size {n} (the tensor "
                f"is {tuple(x.shape)})",
            )  # fmt: skip


def filled(x, value):
    """Convert ``value``, a number or a 0-dim tensor, to the dtype of ``x``."""
    return (
        value.to(x.dtype) if hasattr(value, "_array") else as_scalar(value, x._array.dtype).item()
    )
