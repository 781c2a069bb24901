"""Conversions between layouts; the order of indices; the values at the indices of a mask."""

from math import prod

import numpy as np

import rushlight
from rushlight.autograd.tape import widened
from rushlight.device import CPU
from rushlight.device_array import to_host
from rushlight.dtype import bool as bool_
from rushlight.errors import ShapeError
from rushlight.ops.tensor.memory_format import sparse_coo, strided
from rushlight.remote import device_of
from rushlight.sparse.container import (
    BLOCKED,
    BY_ROW,
    SparseTensor,
    compressed,
    coo,
    in_words,
    is_layout,
    order_of,
    refuse,
    rule,
)
from rushlight.tensor import from_array

__all__ = ["as_coo", "as_layout", "count", "coordinates", "dense_to_sparse", "matches", "places"]


def coordinates(x):
    """Return the indices of a COO tensor as an array (sparse dims, nnz)."""
    return x.pattern[0]._array


def places(indices):
    """Return the indices, a tensor or an array (dims, nnz), as a tuple of index tensors."""
    array = getattr(indices, "_array", indices)
    return tuple([from_array(np.ascontiguousarray(row)) for row in array])


#: An index of more dims than this is made one number, because indexing takes no more.
_MOST = 6


def _numbered(x, indices):
    """Return ``x`` with its indexed dims as one, if they are many; and the places in it."""
    array = getattr(indices, "_array", indices)
    d = len(array)
    if d <= _MOST:
        return x, places(indices)
    shape = tuple(x.shape)
    numbers = np.ravel_multi_index(tuple(array), shape[:d]) if array.size else array[0]
    return x.reshape((prod(shape[:d]), *shape[d:])), (from_array(numbers),)


def taken(x, indices):
    """Return the elements of the dense ``x`` at the indices (dims, nnz), of which there is one."""
    x, at = _numbered(x, indices)
    return x[at]


def put(x, indices, values, accumulate=True):
    """Return the dense ``x`` with ``values`` added at the indices (dims, nnz)."""
    flat, at = _numbered(x, indices)
    return flat.index_put(at, values, accumulate=accumulate).reshape(x.shape)


# Coalesce ---------------------------------------------------------------------------------


@rule
def coalesce(self):
    """Sort the indices, and sum the values of equal ones."""
    require_coo("coalesce", self)
    if self.merged:
        return self
    order, first = order_of(coordinates(self))
    indices = from_array(coordinates(self)[:, order[first]])
    if self.stored.node is None and len(order) and device_of(self.stored) is CPU:
        values = from_array(_summed(self.stored._array, order, first))
        return coo(indices, values, self.sizes, True)
    values = self.stored[from_array(order)]
    if not first.all():
        group = from_array(np.cumsum(first) - 1)
        values = sum_groups(values, group, int(first.sum()))
    return coo(indices, values, self.sizes, True)


def _summed(values, order, first):
    """Return the sums of equal indices' ``values``, an array without history."""
    sorted_values = values[order]
    if first.all():
        return sorted_values
    add = np.logical_or if values.dtype == bool else np.add
    return add.reduceat(widened(sorted_values), np.flatnonzero(first), 0).astype(
        values.dtype, copy=False
    )


def sum_groups(values, group, n):
    """Return (n, *): the sums of the ``values`` (nnz, *) of each group."""
    if values.dtype is bool_:
        return sum_groups(values.to(rushlight.uint8), group, n).to(bool_)
    group = group.to(values.device)  # the places of a sparse tensor lie on the host
    return values.new_zeros((n, *values.shape[1:])).index_add(0, group, values)


def require_coo(name, x):
    """Raise unless ``x`` is a COO tensor."""
    if x.layout is not sparse_coo:
        raise RuntimeError(
            f"{name} expected sparse coordinate tensor layout but got {in_words(x.layout)}"
        )


# Other layouts ----------------------------------------------------------------------------


def as_coo(x):
    """Return ``x`` as a COO tensor that belongs to the history of ``x``."""
    if x.form is sparse_coo:
        return x
    batch, values = x.pattern[0].shape[:-1], x.stored
    starts = x.pattern[0]._array.reshape(-1, x.pattern[0].shape[-1]).astype(np.int64)
    inner = x.pattern[1]._array.reshape(len(starts), -1).astype(np.int64)
    n = inner.shape[1]
    outer = np.stack([np.repeat(np.arange(len(s) - 1), np.diff(s)) for s in starts])
    rows, columns = (outer, inner) if x.form in BY_ROW else (inner, outer)
    each = np.indices((*batch, n)).reshape(len(batch) + 1, -1)[:-1]
    rows, columns = rows.reshape(-1), columns.reshape(-1)
    values = values.reshape((len(rows), *values.shape[len(batch) + 1 :]))
    if x.form in BLOCKED:
        high, wide = values.shape[1:3]
        i, k = np.indices((high, wide)).reshape(2, -1)
        each = np.repeat(each, high * wide, axis=1)
        rows = (rows[:, None] * high + i).reshape(-1)
        columns = (columns[:, None] * wide + k).reshape(-1)
        values = values.reshape((len(rows), *values.shape[3:]))
    found = coo(from_array(np.concatenate([each, [rows, columns]])), values, x.sizes)
    if x.form in BY_ROW and x.form not in BLOCKED:
        found.merged = bool((np.diff(rows * x.sizes[-1] + columns) > 0).all()) or found.merged
    return found.coalesce()


def as_layout(x, layout, blocksize=None):
    """Return the COO tensor ``x`` in ``layout``."""
    if layout is sparse_coo:
        return x
    if layout is strided:
        return x.to_dense()
    if len(coordinates(x)) != 2:
        raise ShapeError(
            f"to_sparse: {layout} is for tensors with 2 sparse dims; this tensor {x.sizes} has "
            f"{len(coordinates(x))}"
        )
    if layout in BLOCKED:
        return _blocks(x, layout, blocksize)
    x = x.coalesce()
    rows, columns = coordinates(x)
    values = x.stored
    if layout not in BY_ROW:
        order, _ = order_of(columns[None])
        rows, columns = columns[order], rows[order]
        values = values[from_array(order)]
    n = x.sizes[0 if layout in BY_ROW else 1]
    pattern = from_array(_starts(rows, n)), from_array(np.ascontiguousarray(columns))
    return compressed(layout, pattern, values, x.sizes)


def indexed_as(found, x):
    """Return ``found`` with the index dtype of ``x``, if both have compressed layouts."""
    if found.layout in (sparse_coo, strided) or x.form is sparse_coo:
        return found
    kind = x.pattern[0].dtype
    return compressed(found.form, [p.to(kind) for p in found.pattern], found.stored, found.sizes)


def _starts(rows, n):
    """Return where each of ``n`` rows begins among the sorted ``rows``, and the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)


def _blocks(x, layout, blocksize):
    """Return the COO matrix ``x`` in a layout of blocks: those that hold an index of ``x``."""
    high, wide = blocksize
    rows, columns = x.sizes[:2]
    if high < 1 or wide < 1 or rows % high or columns % wide:
        raise RuntimeError(
            f"to_sparse_{layout.name[-3:]}: the tensor's size {x.sizes[:2]} must be divisible by "
            f"the blocksize {(high, wide)}"
        )
    i, k = coordinates(x)
    x = x.coalesce()
    i, k = coordinates(x)
    keys = np.stack([i // high, k // wide])
    outer, inner = (0, 1) if layout in BY_ROW else (1, 0)
    flat = keys[outer] * (columns // wide if outer == 0 else rows // high) + keys[inner]
    kept, block = np.unique(flat, return_inverse=True)
    width = columns // wide if outer == 0 else rows // high
    values = x.stored.new_zeros((len(kept), high, wide, *x.stored.shape[1:]))
    at = places(np.stack([block, i % high, k % wide]))
    values = values.index_put(at, x.stored)
    starts = _starts(kept // width, (rows // high) if outer == 0 else (columns // wide))
    pattern = from_array(starts), from_array(kept % width)
    return compressed(layout, pattern, values, x.sizes)


def dense_to_sparse(x, sparse_dim, layout, blocksize, dense_dim):
    """``x.to_sparse(...)`` of a dense tensor."""
    if layout is strided:
        return x
    check_options(x, layout or sparse_coo, blocksize)
    n = x.ndim
    if layout is not None and layout is not sparse_coo:
        kept = n - (dense_dim or 0)
        if kept > 2:
            return _batch_to_sparse(x, kept - 2, layout, blocksize, dense_dim)
    else:
        kept = n if sparse_dim is None else sparse_dim
    if not 0 <= kept <= n:
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{n}] range, but {kept} is given"
        )
    if n and not kept:
        raise RuntimeError("dense_to_sparse: sparse_dim argument must be in >0 when self.dim()>0")
    array = to_host(x.detach()._array)  # places lie on the host, values where ``x`` lies
    stored = (array != 0).any(axis=tuple(range(kept, n))) if kept < n else array != 0
    indices = np.stack(stored.nonzero()) if n else np.zeros((0, int(bool(array != 0))), np.int64)
    indices = np.ascontiguousarray(indices, np.int64)
    values = taken(x, indices) if n else x.reshape(1)[: indices.shape[1]]
    found = coo(from_array(indices), values, x.shape, True)
    return as_layout(found, layout or sparse_coo, blocksize)


def _batch_to_sparse(x, dims, layout, blocksize, dense_dim):
    """Matrices, whose batch is the first ``dims`` dims of ``x``, in a compressed ``layout``."""
    batch = tuple(x.shape[:dims])
    if 0 in batch:
        raise RuntimeError(
            f"to_sparse_{layout.name[-3:]}: Expected product of batch dimensions to be non-zero; "
            f"the tensor's size is {tuple(x.shape)}"
        )
    matrices = x.flatten(0, dims - 1).unbind(0)
    found = [dense_to_sparse(m, None, layout, blocksize, dense_dim) for m in matrices]
    if len({m.stored.shape[0] for m in found}) > 1:
        raise RuntimeError("Expect the same number of specified elements per batch.")

    def joined(parts):
        whole = rushlight.stack(parts)
        return whole.reshape(batch + tuple(whole.shape[1:]))

    pattern = tuple([joined([m.pattern[i] for m in found]) for i in (0, 1)])
    return compressed(layout, pattern, joined([m.stored for m in found]), tuple(x.shape))


def check_options(x, layout, blocksize):
    """Raise unless ``to_sparse`` got a block size if and only if ``layout`` has blocks."""
    if (blocksize is not None) is not (layout in BLOCKED):
        raise RuntimeError(
            f"to_sparse: conversion from {in_words(x.layout)} to {in_words(layout)} "
            f"{'without' if blocksize is None else 'with'} blocksize argument given is not "
            "supported"
        )


@rule
def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    if is_layout(sparse_dim):
        sparse_dim, layout = None, sparse_dim
    if sparse_dim is not None and sparse_dim != self.sparse_dim():
        raise RuntimeError(
            f"to_sparse: conversion from {in_words(self.form)} to Sparse with sparse_dim argument "
            "!=self.sparse_dim() is not supported"
        )
    layout = layout or sparse_coo
    check_options(self, layout, blocksize)
    if dense_dim is not None:
        raise RuntimeError(
            f"to_sparse: conversion from {in_words(self.form)} to {in_words(layout)} with "
            "dense_dim argument given is not supported: the tensor has its dense dims"
        )
    if layout is self.form and (layout not in BLOCKED or blocksize in (None, blocksize_of(self))):
        return self
    batched = self.form is not sparse_coo and self.pattern[0].ndim > 1
    if batched and layout not in (sparse_coo, strided):
        return _each_of_batch(self, layout, blocksize)
    return indexed_as(as_layout(as_coo(self), layout, blocksize), self)


def _each_of_batch(x, layout, blocksize):
    """Return the batch ``x`` of compressed matrices in another compressed layout."""
    batch = tuple(x.pattern[0].shape[:-1])
    if not prod(batch):
        refuse(f"to_sparse of an empty batch in the layout {layout}", x)
    k = len(batch)
    starts, inner, values = [t.flatten(0, k - 1) for t in (*x.pattern, x.stored)]
    parts = [
        to_sparse(compressed(x.form, pattern, v, x.sizes[k:]), layout=layout, blocksize=blocksize)
        for *pattern, v in zip(starts, inner, values, strict=True)
    ]
    if len({part.stored.shape[0] for part in parts}) > 1:
        raise RuntimeError(
            "Expect the same number of specified elements per batch: the matrices have "
            f"{[part.stored.shape[0] for part in parts]} elements or blocks"
        )
    pattern = [rushlight.stack(t) for t in zip(*[part.pattern for part in parts], strict=True)]
    pattern = [t.unflatten(0, batch) for t in pattern]
    values = rushlight.stack([part.stored for part in parts]).unflatten(0, batch)
    return compressed(layout, pattern, values, x.sizes)


def blocksize_of(x):
    batch = x.pattern[0].ndim - 1
    return tuple(x.stored.shape[batch + 1 : batch + 3])


def _to(layout_name):
    def convert(self, *args, dense_dim=None, blocksize=None):
        layout = getattr(rushlight, layout_name)
        size = args[0] if args and layout in BLOCKED else blocksize
        if size is not None:
            size = (size, size) if isinstance(size, int) else tuple(size)
        options = {} if dense_dim is None else {"dense_dim": dense_dim}
        return self.to_sparse(layout=layout, blocksize=size, **options)

    return convert


for _name in ("coo", "csr", "csc", "bsr", "bsc"):
    rule(_to(f"sparse_{_name}"), name=f"to_sparse_{_name}")


@rule
def to_dense(self, dtype=None, *, masked_grad=None):
    if dtype is not None:
        raise RuntimeError("dtype argument is not supported by sparse_to_dense")
    if masked_grad is False and self.requires_grad:
        raise NotImplementedError(
            "to_dense: a sparse tensor's gradient has the tensor's own indices; masked_grad=False "
            "is not there"
        )
    x = as_coo(self)
    if x.dtype is bool_:
        x = x.coalesce()
    d = len(coordinates(x))
    if not d:
        return x.stored.sum(0).to(x.dtype)
    zeros = x.stored.new_zeros(x.sizes)
    return put(zeros, x.pattern[0], x.stored, accumulate=x.dtype is not bool_)


# Masks ------------------------------------------------------------------------------------


def _keys(indices, size):
    """Return one number for each index. Indices of other tensors of this size compare with it."""
    if not len(indices):
        return np.zeros(indices.shape[1], np.int64)
    return np.ravel_multi_index(tuple(indices), tuple(size), mode="raise")


def matches(x, y):
    """Return, for each index of the COO tensor ``x``: whether ``y`` has it, and at which place.

    ``y`` is coalesced.
    """
    d = len(coordinates(x))
    wanted, there = _keys(coordinates(x), x.sizes[:d]), _keys(coordinates(y), y.sizes[:d])
    at = np.searchsorted(there, wanted)
    inside = np.minimum(at, max(len(there) - 1, 0))
    found = there[inside] == wanted if len(there) else np.zeros(len(wanted), bool)
    return found, inside


def count(x):
    """Return the number of sparse dims of a COO tensor."""
    return len(coordinates(x))


def mask(x, pattern):
    """Return the elements of ``x``, dense or sparse, at the indices of ``pattern``."""
    if not isinstance(pattern, SparseTensor):
        raise RuntimeError("sparse_mask: the mask must be a sparse tensor")
    if tuple(x.shape) != pattern.sizes:
        raise ShapeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(x.shape)} but "
            f"mask has size {list(pattern.sizes)}"
        )
    if x is pattern:
        return x
    if pattern.form is not sparse_coo:
        batch = pattern.pattern[0].ndim - 1
        lead = pattern.stored.shape[: batch + (3 if pattern.form in BLOCKED else 1)]
        numbers = from_array(np.arange(prod(lead)).reshape(lead))
        entries = as_coo(pattern.with_values(numbers))
        entries.sizes = pattern.sizes
        found = mask(x, entries).stored
        back = from_array(np.argsort(entries.stored._array, kind="stable"))
        return pattern.with_values(found[back].reshape((*lead, *found.shape[1:])))
    if not isinstance(x, SparseTensor):
        d = count(pattern)
        values = taken(x, pattern.pattern[0]) if d else x.reshape((1, *x.shape)).expand(
            (coordinates(pattern).shape[1], *x.shape))  # fmt: skip
        return pattern.with_values(values)
    x = as_coo(x).coalesce()
    if count(x) != count(pattern):
        raise ShapeError(
            "sparse_mask(): the number of sparse dimensions in `self` should match that of the "
            f"`mask`. Got `self.sparse_dim() == {count(x)}` != `mask.sparse_dim() == "
            f"{count(pattern)}`."
        )
    found, at = matches(pattern, x)
    if not len(coordinates(x)[0] if count(x) else x.stored):
        values = x.stored.new_zeros((len(found), *x.stored.shape[1:]))
    else:
        values = x.stored[from_array(at)]
        shape = (len(found),) + (1,) * (values.ndim - 1)
        values = values.masked_fill(from_array(~found).reshape(shape), 0)
    return pattern.with_values(values)


@rule
def sparse_mask(self, mask):
    return _masked(self, mask)


_masked = mask
