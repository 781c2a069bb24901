"""Masks and masked reductions of sparse tensors.

A reduction takes the elements whose mask is True. Those that the tensor does not store are 0. An
element of the result is stored if at least one element of its slice counts.
"""

import numpy as np

import rushlight
from rushlight.dtype import bool as bool_
from rushlight.masked.masks import dims
from rushlight.ops.tensor.memory_format import sparse_coo, sparse_csr, strided
from rushlight.sparse.container import coo, order_of
from rushlight.sparse.conversion import as_coo, as_layout, coordinates, count
from rushlight.sparse.shape import broadcast
from rushlight.tensor import from_array

__all__ = ["kept", "mask_like", "reduced"]


def mask_like(mask, x):
    """Return ``mask`` as a bool tensor in the layout of ``x``, broadcast to its shape."""
    if x.layout is strided:
        return rushlight.broadcast_to(mask.to_dense(), x.shape).to(bool_)
    d, size = x.sparse_dim() if x.layout is sparse_coo else 2, tuple(x.shape)
    if mask.layout is not strided:
        mask = as_coo(mask).coalesce()
        if tuple(mask.shape) != size:
            mask = broadcast(mask, size)
        mask = mask if count(mask) == d else mask.to_dense()
    if mask.layout is strided:
        mask = rushlight.broadcast_to(mask, size).to(bool_).to_sparse(d)
    mask = mask.to(bool_)
    return mask if x.layout is sparse_coo else as_layout(mask, x.layout)


def kept(mask, x, value):
    """Return the elements of the sparse ``x`` where ``mask``, as ``mask_like`` gives it, is True.

    The result is a COO tensor. ``value`` stands in its dense dims where the mask is False.
    """
    mask = as_coo(mask)
    counts = mask.stored
    rows = counts.any(tuple(range(1, counts.ndim))) if counts.ndim > 1 else counts
    indices, counts = mask.pattern[0][:, rows], counts[rows]
    found = x.sparse_mask(coo(indices, counts, mask.sizes, True)).stored
    if counts.ndim > 1:
        found = rushlight.where(counts, found, rushlight.tensor(value, dtype=x.dtype))
    return coo(indices, found, mask.sizes, True)


def reduced(name, x, dim, keepdim, dtype, mask, value):
    """Return the reduction of the sparse ``x``: ``sum``, ``prod``, ``amax``, ``amin`` or ``mean``.

    Args:
        value: Function of the dtype and ``name`` that gives the reduction's identity.
    """
    if x.layout not in (sparse_coo, sparse_csr) or (name == "mean" and x.layout is sparse_coo):
        raise ValueError(f"masked {name} expects another layout (got {x.layout} tensor)")
    if mask is None and name != "sum":  # what is not stored would take part as 0
        raise ValueError(f"masked {name} expects explicit mask for {x.layout} tensor input")
    by_row, nothing = x.layout is sparse_csr, value(x.dtype, name)
    chosen = [k for k in dims(dim, x.ndim) if k < x.ndim]  # without dims, 0 is allowed
    if by_row and not keepdim:
        raise (RuntimeError if name in ("sum", "prod") else AssertionError)(
            "reduction operations on CSR tensors with keepdim=False is unsupported"
        )
    x = as_coo(x).coalesce() if mask is None else kept(mask, x, nothing)
    x = coo(x.pattern[0], x.stored.to(dtype), x.sizes, True)
    if by_row:
        return as_layout(_over_groups(name, x, chosen, True), sparse_csr)
    values = x.stored
    for k in sorted([k - count(x) + 1 for k in chosen if k >= count(x)], reverse=True):
        values = getattr(rushlight, name)(values, k, keepdim).to(dtype)
    if not set(range(count(x))) <= set(chosen):
        return _over_groups(name, coo(x.pattern[0], values, x.sizes, True), chosen, keepdim)
    if not len(values):
        values = values.new_full((1, *values.shape[1:]), value(values.dtype, name))
    total = getattr(rushlight, name)(values, 0).to(dtype)
    return (total.reshape((1,) * (count(x) * keepdim) + tuple(total.shape))).to_sparse()


def _over_groups(name, x, chosen, keepdim):
    """Reduce sparse dims of the COO tensor ``x``: each group of equal other indices is one."""
    indices, d, dense = coordinates(x), count(x), tuple(x.stored.shape[1:])
    gone = [k for k in chosen if k < d]
    if keepdim:
        indices = indices.copy()
        indices[gone] = 0
    else:
        indices = np.delete(indices, gone, axis=0)
    size = tuple([1 if k in gone else x.sizes[k] for k in range(d) if keepdim or k not in gone])
    if not indices.shape[1]:
        return coo(from_array(np.ascontiguousarray(indices)), x.stored, size + dense)
    order, first = order_of(indices)
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(first) - 1
    at = from_array(group).reshape((-1,) + (1,) * len(dense)).expand(x.stored.shape)
    found = x.stored.new_zeros((int(first.sum()), *dense)).scatter_reduce(
        0, at, x.stored, name, include_self=False
    )
    return coo(
        from_array(np.ascontiguousarray(indices[:, order[first]])), found, size + dense, True
    )
