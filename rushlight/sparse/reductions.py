"""Sums, norms and softmax of sparse tensors. Elements that are not stored count as 0.

``softmax`` is different: there, elements that are not stored count as minus infinity.
"""

import numpy as np

import rushlight
from rushlight import shapes
from rushlight.dtype import int64
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.sparse.container import BLOCKED, SparseTensor, coo, order_of, refuse, rule
from rushlight.sparse.conversion import as_coo, as_layout, coordinates, count, sum_groups
from rushlight.tensor import from_array

__all__ = ["softmax", "total"]


@rule(name="sum")
def sum_of(input, dim=None, keepdim=False, *, dtype=None):
    if dtype is None and input.dtype.category < 2:
        dtype = int64
    if dim is not None and dim != () and dim != [] and input.form is not sparse_coo:
        if not keepdim:
            raise RuntimeError(
                "reduction operations on CSR tensors with keepdim=False is unsupported"
            )
        if input.form in BLOCKED:
            refuse("sum along some dims", input)
        return as_layout(total(as_coo(input), dim, True, dtype), input.form)
    return total(as_coo(input), dim, keepdim, dtype)


def total(x, dim=None, keepdim=False, dtype=None):
    """Return the sum of the COO tensor ``x`` over ``dim``: dense if no sparse dim is left."""
    input, x = x, x if dtype is None else x.to(dtype)
    n, d = len(x.sizes), count(x)
    gone = shapes.dims(dim, n, "sum") if dim not in ((), []) else tuple(range(n))
    values = x.stored
    inner = tuple([k - d + 1 for k in gone if k >= d])
    if inner:
        values = values.sum(inner, keepdim=keepdim).to(values.dtype)
    elif values is input.stored:
        values = values.clone()  # the result has memory of its own
    left = [k for k in range(d) if k not in gone]
    if not left:
        found = values.sum(0)
        found = found if dtype is None else found.to(dtype)
        return found.reshape((1,) * d + tuple(found.shape)) if keepdim else found
    indices = coordinates(x)
    if keepdim:
        indices = indices.copy()
        indices[[k for k in range(d) if k in gone]] = 0
        size = tuple([1 if k in gone else m for k, m in enumerate(x.sizes)])
    else:
        indices = np.ascontiguousarray(indices[left])
        size = tuple([m for k, m in enumerate(x.sizes) if k not in gone])
    if len(left) == d:
        return coo(x.pattern[0], values, size, x.merged).coalesce()
    return coo(from_array(indices), values, size).coalesce()


@rule
def any(input, dim=None, keepdim=False):
    if dim is not None:
        refuse("any", input)
    return input.stored.any()


@rule
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    n = len(input.sizes)
    if dim is not None and len(shapes.dims(dim, n, "norm")) not in (0, n):
        raise RuntimeError(
            "norm_sparse currently only supports full reductions, so 'dim' must either be empty or "
            f"contain all dimensions of the input; got {dim}"
        )
    if p not in (None, "fro") and (isinstance(p, str) or p < 0):  # a negative p minds each 0
        refuse(f"norm of order {p}", input)
    if dtype is not None:
        if p == "fro":
            raise ValueError("norm: dtype argument is not supported in frobenius norm")
        raise RuntimeError("norm_sparse currently does not support 'dtype' argument")
    if keepdim:
        raise RuntimeError("norm_sparse currently does not support keepdim=True")
    x = input.coalesce() if input.form is sparse_coo else input
    return rushlight.norm(x.stored.reshape(-1), 2 if p in (None, "fro") else p)


@rule
def dist(input, other, p=2):
    return rushlight.norm(input - other, p)


# Softmax ----------------------------------------------------------------------------------


def softmax(name, input, dim, dtype, log):
    """Return (log) softmax along ``dim`` over the stored elements."""
    if not isinstance(input, SparseTensor) or input.form is not sparse_coo:
        refuse(name, input)
    x = input if dtype is None else input.to(dtype)
    if x.dtype.category < 2:
        raise NotImplementedError(f"\"{name}\" not implemented for '{x.dtype}'; pass dtype=")
    dim, d = shapes.dim(dim, len(x.sizes), name), count(x)
    x = x.coalesce()
    if dim >= d:
        along = x.stored.log_softmax if log else x.stored.softmax
        return x.with_values(along(dim - d + 1))
    others = np.delete(coordinates(x), dim, axis=0)
    if not others.shape[1]:
        return x
    order, first = order_of(others)
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(first) - 1
    n, at = int(group.max()) + 1, from_array(group)
    values = x.stored
    most = np.full((n, *values.shape[1:]), -np.inf, values.detach()._array.dtype)
    np.maximum.at(most, group, values.detach()._array)
    most[~np.isfinite(most)] = 0
    shifted = values - from_array(most)[at]
    weights = shifted.exp()
    sums = sum_groups(weights, at, n)[at]
    return x.with_values(shifted - sums.log() if log else weights / sums)
