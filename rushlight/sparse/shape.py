"""Dims of sparse tensors: exchanged, added, joined; parts of tensors by index."""

from math import prod

import numpy as np

import rushlight
from rushlight import shapes
from rushlight.errors import ShapeError
from rushlight.ops.tensor.memory_format import (
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from rushlight.sparse.container import (
    BLOCKED,
    SparseTensor,
    compressed,
    coo,
    order_of,
    refuse,
    rule,
)
from rushlight.sparse.conversion import as_coo, coordinates, count
from rushlight.tensor import Tensor, from_array

__all__ = ["broadcast", "broadcast_to", "joined_rows"]

_TURNED = {
    sparse_csr: sparse_csc, sparse_csc: sparse_csr, sparse_bsr: sparse_bsc, sparse_bsc: sparse_bsr,
}  # fmt: skip


@rule
def transpose(input, dim0, dim1):
    n = len(input.sizes)
    dim0, dim1 = (shapes.dim(k, n, "transpose") for k in (dim0, dim1))
    order = list(range(n))
    order[dim0], order[dim1] = dim1, dim0
    return _permuted(input, order, "transpose")


for _name in ("swapaxes", "swapdims"):
    rule(transpose, name=_name)


@rule
def t(input):
    n = len(input.sizes)
    if n > 2:
        raise ShapeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dims, but self is {n}D"
        )
    return input if n < 2 else transpose(input, 0, 1)


@rule
def permute(input, *spread, dims=None):
    given = spread if dims is None else dims
    given = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list, range)) else given
    n = len(input.sizes)
    order = [shapes.dim(k, n, "permute") for k in given]
    if sorted(order) != list(range(n)):
        raise RuntimeError(f"permute: dims {tuple(given)} must name each of the {n} dims once")
    return _permuted(input, order, "permute")


def _permuted(x, order, name):
    n = len(x.sizes)
    if order == list(range(n)):
        return x.with_values(x.stored)
    size = tuple([x.sizes[k] for k in order])
    if x.form is not sparse_coo:
        batch = x.pattern[0].ndim - 1
        matrix = [*range(batch), batch + 1, batch, *range(batch + 2, n)]
        if order != matrix:
            refuse(f"{name} of other dims than the two of the matrices", x)
        values = x.stored
        if x.form in BLOCKED:
            values = values.transpose(batch + 1, batch + 2)
        return compressed(_TURNED[x.form], x.pattern, values, size)
    d = count(x)
    if {*order[:d]} != {*range(d)}:
        raise RuntimeError(
            f"{name}: transpositions between sparse and dense dimensions are not allowed; got the "
            f"dims {tuple(order)}, of which the first {d} are sparse"
        )
    values = x.stored.clone()  # as in PyTorch, a write to one of the two changes only this one
    if order[d:] != list(range(d, n)):
        values = values.permute((0, *[k - d + 1 for k in order[d:]]))
    indices = np.ascontiguousarray(coordinates(x)[order[:d]])
    return coo(from_array(indices), values, size, x.merged and order[:d] == list(range(d)))


def _turned(name, counts, words):
    """Define the property ``name``, which turns matrices, for tensors of ``counts`` dims."""

    def get(self):
        n = len(self.sizes)
        if n not in counts:
            raise ShapeError(
                f"{name}: tensor.{name} is only supported on {words}. Got {n}-D tensor."
            )
        found = transpose(self, -2, -1) if n else self
        return found.conj() if name[-1] == "H" else found

    setattr(SparseTensor, name, property(get))


_turned("H", (0, 2), "matrices (2-D tensors)")
for _name in ("mT", "mH"):
    _turned(_name, (0, *range(2, 65)), "matrices or batches of matrices")
SparseTensor.T = property(lambda self: permute(self, range(len(self.sizes))[::-1]))
SparseTensor.real = property(lambda self: _part(self, "real"))
SparseTensor.imag = property(lambda self: _part(self, "imag"))


@rule
def adjoint(input):
    return input.mH


@rule
def movedim(input, source, destination):
    numbered = rushlight.empty(tuple(range(len(input.sizes))))  # its sizes are the dims' numbers
    return permute(input, tuple(rushlight.movedim(numbered, source, destination).shape))


rule(movedim, name="moveaxis")


@rule
def flatten(input, start_dim=0, end_dim=-1):
    first, last = (shapes.dim(k, len(input.sizes), "flatten") for k in (start_dim, end_dim))
    if first != last or not input.sizes:
        refuse("flatten", input)
    return input


@rule(method=False)
def view_as_real(input):
    if input.form is not sparse_coo:
        refuse("view_as_real", input)
    values = rushlight.view_as_real(input.stored)
    return coo(input.pattern[0], values, (*input.sizes, 2), input.merged)


def _part(x, name):
    return (
        x if name == "real" and not x.dtype.is_complex else x.with_values(getattr(x.stored, name))
    )


@rule
def unsqueeze(input, dim):
    if input.form is not sparse_coo:
        refuse("unsqueeze", input)
    dim, d = shapes.dim(dim, len(input.sizes) + 1, "unsqueeze"), count(input)
    size = (*input.sizes[:dim], 1, *input.sizes[dim:])
    values = input.stored.clone()
    if dim > d:
        return coo(input.pattern[0], values.unsqueeze(dim - d + 1), size, input.merged)
    indices = np.insert(coordinates(input), dim, 0, axis=0)
    return coo(from_array(indices), values, size)


def broadcast_to(x, size):
    """Return the sparse COO tensor ``x``, broadcast to ``size``, which is checked."""
    if not isinstance(x, SparseTensor) or x.form is not sparse_coo:
        raise RuntimeError("_sparse_broadcast_to: expected a tensor of layout torch.sparse_coo")
    size = tuple(size)
    fits = [n == m or n == 1 for n, m in zip(x.sizes[::-1], size[::-1], strict=False)]
    if len(size) < len(x.sizes) or not all(fits):
        raise ShapeError(f"_sparse_broadcast_to: the size {x.sizes} does not broadcast to {size}")
    return broadcast(x, size)


def broadcast(x, size):
    """Return the COO tensor ``x``, broadcast to ``size``."""
    d, lead = count(x), len(size) - len(x.sizes)
    sizes = (1,) * lead + x.sizes
    grown = [k for k in range(lead + d) if sizes[k] == 1 != size[k]]
    n, times = x.stored.shape[0], prod([size[k] for k in grown])
    added = np.indices([size[k] for k in grown]).reshape(len(grown), times)
    indices = np.zeros((lead + d, n * times), np.int64)
    indices[lead:] = np.repeat(coordinates(x), times, axis=1)
    indices[grown] = np.tile(added, n)
    values = x.stored[from_array(np.repeat(np.arange(n), times))]
    values = values.expand((n * times, *size[lead + d :]))
    return coo(from_array(indices), values, size).coalesce()


# Joined -----------------------------------------------------------------------------------


def _listed(name, tensors):
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    return [*tensors]


@rule
def cat(tensors, dim=0, *, axis=None):
    dim = dim if axis is None else axis
    tensors = _listed("cat", tensors)
    for k, x in enumerate(tensors):
        if not isinstance(x, SparseTensor):
            raise RuntimeError(
                f"Concatenating sparse tensors, but a dense tensor was found at position {k}."
            )
        if x.form is not sparse_coo:
            refuse("cat", x)
    first = tensors[0]
    dim, d = shapes.dim(dim, len(first.sizes), "cat"), count(first)
    for k, x in enumerate(tensors):
        other = [m for i, m in enumerate(x.sizes) if i != dim]
        if other != [m for i, m in enumerate(first.sizes) if i != dim] or count(x) != d:
            raise ShapeError(
                "cat: All tensors must have the same shape and sparse dims, except in dimension "
                f"{dim}; got {list(first.sizes)} and, at position {k}, {list(x.sizes)}"
            )
    dtype = first.dtype
    for x in tensors[1:]:
        dtype = rushlight.promote_types(dtype, x.dtype)
    begins = np.cumsum([0, *[x.sizes[dim] for x in tensors]])
    indices, values = [], []
    for x, begin in zip(tensors, begins, strict=False):
        at, stored = coordinates(x), x.stored.to(dtype)
        if dim < d:
            at = at.copy()
            at[dim] += begin
        else:
            shape = list(stored.shape)
            before, after = list(shape), list(shape)
            before[dim - d + 1] = int(begin)
            after[dim - d + 1] = int(begins[-1] - begin) - shape[dim - d + 1]
            parts = [stored.new_zeros(before), stored, stored.new_zeros(after)]
            stored = rushlight.cat(parts, dim - d + 1)
        indices.append(at)
        values.append(stored)
    size = [*first.sizes]
    size[dim] = int(begins[-1])
    return coo(from_array(np.concatenate(indices, 1)), rushlight.cat(values), size)


for _name in ("concat", "concatenate"):
    rule(cat, name=_name)


@rule
def stack(tensors, dim=0, *, axis=None):
    dim = dim if axis is None else axis
    for k, x in enumerate(_listed("stack", tensors)):
        if not isinstance(x, SparseTensor):
            raise RuntimeError(
                f"Concatenating sparse tensors, but a dense tensor was found at position {k}."
            )
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def _at_least(n):
    """The rule of ``atleast_{n}d``."""

    def widened(*tensors):
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return tuple([widened(x) for x in tensors[0]])
        found = []
        for x in tensors:
            if x.ndim < n == 3 and x.ndim:
                x = x.unsqueeze(-1)
            while x.ndim < n:
                x = x.unsqueeze(0)
            found.append(x)
        return found[0] if len(found) == 1 else tuple(found)

    rule(widened, name=f"atleast_{n}d")
    return widened


_at_least_1d, _at_least_2d, _at_least_3d = (_at_least(n) for n in (1, 2, 3))


@rule
def hstack(tensors):
    tensors = [_at_least_1d(x) for x in _listed("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@rule
def vstack(tensors):
    return cat([_at_least_2d(x) for x in _listed("vstack", tensors)])


rule(vstack, name="row_stack")


@rule
def dstack(tensors):
    return cat([_at_least_3d(x) for x in _listed("dstack", tensors)], 2)


@rule
def column_stack(tensors):
    columns = [x.unsqueeze(1) if x.ndim == 1 else x for x in _listed("column_stack", tensors)]
    return cat(columns, 1)


@rule
def broadcast_tensors(*tensors):
    size = rushlight.broadcast_shapes(*[x.shape for x in tensors])
    return tuple([x if tuple(x.shape) == tuple(size) else x.expand(size) for x in tensors])


# Parts ------------------------------------------------------------------------------------


@rule
def select(input, dim, index):
    dim = shapes.dim(dim, len(input.sizes), "select")
    if input.form is not sparse_coo and input.pattern[0].ndim > 1:
        return _of_batch(input, dim, int(index))
    x = as_coo(input)
    d = count(x)
    n, index = x.sizes[dim], int(index)
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(x.sizes)} at "
            f"dimension {dim}"
        )
    size = (*x.sizes[:dim], *x.sizes[dim + 1 :])
    if dim >= d:
        return coo(x.pattern[0], x.stored.select(dim - d + 1, index).clone(), size, x.merged)
    at = coordinates(x)
    keep = np.flatnonzero(at[dim] == index % n)
    values = x.stored[from_array(keep)]
    if d == 1:
        return values.sum(0).to(x.dtype)
    return coo(from_array(np.delete(at, dim, 0)[:, keep]), values, size, x.merged)


def _of_batch(x, dim, index):
    """Select in a batch dim of a tensor of a compressed layout: the result has that layout."""
    batch = x.pattern[0].ndim - 1
    if batch <= dim < batch + 2:
        raise RuntimeError(
            "select(): selecting sparse dimensions is not supported for batched sparse compressed "
            "tensors."
        )
    size = (*x.sizes[:dim], *x.sizes[dim + 1 :])
    if dim < batch:
        pattern = [p.select(dim, index) for p in x.pattern]
        return compressed(x.form, pattern, x.stored.select(dim, index), size)
    place = dim - len(x.sizes) + x.stored.ndim  # dense dims come last
    return compressed(x.form, x.pattern, x.stored.select(place, index), size)


@rule
def unbind(input, dim=0):
    n = input.sizes[shapes.dim(dim, len(input.sizes), "unbind")]
    return tuple([select(input, dim, i) for i in range(n)])


@rule
def select_copy(input, dim, index):
    found = select(input, dim, index)
    return found.clone()


def joined_rows(wanted, there):
    """Return each pair (i, k) with ``wanted[i] == there[k]``, ordered by i and then by k."""
    order, _ = order_of(there[None])
    keys = there[order]
    begin = np.searchsorted(keys, wanted, "left")
    many = np.searchsorted(keys, wanted, "right") - begin
    i = np.repeat(np.arange(len(wanted)), many)
    within = np.arange(len(i)) - np.repeat(np.cumsum(many) - many, many)
    return i, order[np.repeat(begin, many) + within]


@rule
def index_select(input, dim, index):
    x = as_coo(input)
    dim, d = shapes.dim(dim, len(x.sizes), "index_select"), count(x)
    wanted = index._array.reshape(-1)
    n = x.sizes[dim]
    if wanted.dtype.kind != "i":
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    wanted = np.where(wanted < 0, wanted + n, wanted)  # unlike in a dense tensor
    if wanted.size and (wanted.min() < 0 or wanted.max() >= n):
        raise IndexError(f"index_select(): an index is out of range for size {n} at dim {dim}")
    size = (*x.sizes[:dim], len(wanted), *x.sizes[dim + 1 :])
    if dim >= d:
        return coo(x.pattern[0], x.stored.index_select(dim - d + 1, index), size, x.merged)
    at = coordinates(x)
    i, k = joined_rows(wanted, at[dim])
    found = at[:, k].copy()
    found[dim] = i
    return coo(from_array(found), x.stored[from_array(k)], size)


@rule
def narrow_copy(input, dim, start, length):
    x = as_coo(input)
    if not 0 <= dim < len(x.sizes):
        raise RuntimeError(
            f"narrow_copy: Dimension {dim} out of range. Expecting 0 <= dim < {len(x.sizes)}."
        )
    n, end, d = x.sizes[dim], start + length, count(x)
    if not 0 <= start <= end <= n:
        raise RuntimeError(
            "narrow_copy: Invalid range to narrow. range(start, start+length) must be a subset of "
            f"range(0, {n}); start is {start} and length {length}"
        )
    size = (*x.sizes[:dim], length, *x.sizes[dim + 1 :])
    if dim >= d:
        values = x.stored.narrow(dim - d + 1, start, length).clone()
        return coo(x.pattern[0].clone(), values, size, x.merged)
    at = coordinates(x)
    keep = np.flatnonzero((at[dim] >= start) & (at[dim] < end))
    at = at[:, keep]
    at[dim] -= start
    return coo(from_array(at), x.stored[from_array(keep)], size, x.merged)


def _item(self, index):
    keys = index if isinstance(index, tuple) else (index,)
    keys = tuple([int(k.item()) if isinstance(k, Tensor) and not k.ndim else k for k in keys])
    whole = slice(None)
    named = len(keys) - sum([k is None or k is Ellipsis for k in keys])
    if any(k is Ellipsis for k in keys):
        cut = keys.index(Ellipsis)
        keys = (*keys[:cut], *[whole] * (len(self.sizes) - named), *keys[cut + 1 :])
    for k in keys:
        if type(k) is bool or not (k is None or isinstance(k, (int, np.integer)) or k == whole):
            refuse("indexing with anything but ints, None and full slices", self)
    if named > len(self.sizes):
        raise IndexError(f"too many indices for tensor of dimension {len(self.sizes)}")
    found, dim = self, 0
    for k in keys:  # the result is dense when no sparse dim is left
        if isinstance(k, (int, np.integer)):
            found = found.select(dim, k)
            continue
        found = found.unsqueeze(dim) if k is None else found
        dim += 1
    return found


def _assigned(self, index, value):
    raise TypeError(
        "Cannot assign to a sparse tensor: make another one, or use the elements of to_dense()"
    )


SparseTensor.__getitem__ = _item
SparseTensor.__setitem__ = _assigned
