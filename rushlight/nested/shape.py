"""Dims of jagged nested tensors: exchanged, split, joined; parts of tensors."""

from math import prod

import numpy as np

import rushlight
from rushlight import shapes
from rushlight.errors import LayoutError, ShapeError
from rushlight.nested.container import is_nested
from rushlight.nested.jagged import NestedTensor, inner_dim, jagged, rule
from rushlight.nested.ragged import NestedInt, Ragged
from rushlight.tensor import Tensor, from_array

__all__: list[str] = []  # the rules are found by name


@rule
def transpose(input, dim0, dim1):
    a, b = (shapes.dim(k, input.ndim, "transpose") for k in (dim0, dim1))
    if a == b:
        return input
    if 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    ragged = {a: b, b: a}.get(input.ragged)
    return input.with_values(input.stored.transpose(a - 1, b - 1), ragged)


for _name in ("swapaxes", "swapdims"):
    rule(transpose, name=_name)
NestedTensor.mT = property(lambda self: transpose(self, -2, -1))


@rule
def permute(input, *dims):
    given = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    order = [shapes.dim(k, input.ndim, "permute") for k in given]
    if sorted(order) != list(range(input.ndim)):
        raise ValueError(
            f"permute(): dims {tuple(given)} must name each of the {input.ndim} dims once"
        )
    if order[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    values = input.stored.permute([k - 1 for k in order[1:]])
    return input.with_values(values, order.index(input.ragged))


# Shapes that keep the batch and the ragged dim --------------------------------------------


def _inner_size(x, size, name):
    """The shape of the values for the shape ``size`` of the tensor, and its ragged dim."""
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else tuple(size)
    places = [k for k, n in enumerate(size) if isinstance(n, NestedInt)]
    r = places[0] if places else x.ragged
    mine, after = x.sizes, size[r + 1 :]
    batch = len(size) and size[0] in (mine[0], -1)
    known = size[r] == mine[x.ragged] if len(places) == 1 else len(size) > r and size[r] == -1
    if not (batch and known and len(places) < 2 and r > 0):
        _refuse_shape(x, size, name)
    before = _filled(mine[1 : x.ragged], size[1:r])
    after = _filled(mine[x.ragged + 1 :], after)
    if before is None or after is None:
        _refuse_shape(x, size, name)
    return (*before, x.stored.shape[x.ragged - 1], *after), r


def _refuse_shape(x, size, name):
    raise ShapeError(
        f"{name}(): cannot view shape {x.sizes} as {size}: the batch and the ragged dim must stay, "
        "and the dims before and after it keep their number of elements"
    )


def _filled(before, after):
    """``after`` with a size in place of -1, if it holds as many elements as ``before``."""
    if any(type(n) not in (int, np.int64) or n < -1 for n in after) or after.count(-1) > 1:
        return None
    known = prod([n for n in after if n != -1])
    if -1 in after:
        if not known or prod(before) % known:
            return None
        after = tuple([prod(before) // known if n == -1 else n for n in after])
    return after if prod(after) == prod(before) else None


@rule
def view(self, *size):
    if len(size) == 1 and isinstance(size[0], rushlight.dtype):
        if self.ragged == self.ndim - 1 and size[0].itemsize != self.itemsize:
            raise LayoutError("view(): the ragged dim of a nested tensor cannot change its size")
        return self.with_values(self.stored.view(size[0]))
    inner, ragged = _inner_size(self, size, "view")
    return self.with_values(self.stored.view(inner), ragged)


@rule
def reshape(input, *shape, **named):
    inner, ragged = _inner_size(input, tuple(named.values()) or shape, "reshape")
    return input.with_values(input.stored.reshape(inner), ragged)


@rule
def view_as(self, other):
    return view(self, other.shape)


@rule
def reshape_as(self, other):
    return reshape(self, other.shape)


@rule
def unflatten(input, dim, sizes):
    k = inner_dim(input, dim, "unflatten")
    return _around(input, input.stored.unflatten(k, sizes), k)


def _around(x, values, k):
    """``values`` with other dims at their dim ``k``; the ragged dim moves if it lies behind."""
    moved = values.ndim - x.stored.ndim if k < x.ragged - 1 else 0
    return x.with_values(values, x.ragged + moved)


@rule
def flatten(input, start_dim=0, end_dim=-1):
    a, b = (inner_dim(input, k, "flatten") for k in (start_dim, end_dim))
    if a < input.ragged - 1 < b:
        raise LayoutError("flatten(): not supported for NestedTensor on ragged dim")
    return _around(input, input.stored.flatten(a, b), a)


@rule
def squeeze(input, dim=None):
    if dim is None:
        raise LayoutError("squeeze(): dim= is needed for nested tensors")
    given = sorted(dim) if isinstance(dim, (tuple, list)) else [dim]
    inner = sorted([inner_dim(input, k, "squeeze") for k in given], reverse=True)
    for k in inner:
        input = _around(input, input.stored.squeeze(k), k)
    return input


@rule
def unsqueeze(input, dim):
    k = shapes.dim(dim, input.ndim + 1, "unsqueeze")
    if k == 0:
        raise LayoutError("unsqueeze(): not supported for NestedTensor on dim=0")
    ragged = input.ragged + (k <= input.ragged)
    return input.with_values(input.stored.unsqueeze(k - 1), ragged)


@rule
def expand(input, *size):
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    r = input.ragged
    fits = len(size) == input.ndim and size[0] in (input.sizes[0], -1)
    if not fits or not (size[r] == input.sizes[r] or size[r] == -1):
        raise ShapeError(f"expand(): cannot expand shape {input.sizes} -> {size}")
    inner = [-1 if k == r else n for k, n in enumerate(size)][1:]
    return input.with_values(input.stored.expand(inner))


@rule
def expand_as(input, other):
    if not is_nested(other):
        raise LayoutError("expand_as(): a nested tensor cannot be expanded to a dense one")
    if is_nested(input):
        return expand(input, other.sizes)
    return rushlight.zeros_like(other).to(input.dtype) + input


# Joined and split -------------------------------------------------------------------------


def _all_nested(name, tensors):
    """The tensors; dense ones are expanded to the shape of the first nested one."""
    first = next(t for t in tensors if isinstance(t, NestedTensor))
    found = [t if is_nested(t) else expand_as(t, first) for t in tensors]
    for t in found:
        r = first.ragged
        if t.ndim != first.ndim or t.sizes[r] != first.sizes[r]:
            raise ShapeError(
                f"{name}(): expected all nested tensors to have the same ragged dim, but got "
                f"shapes {first.sizes} and {t.sizes}"
            )
    return first, found


@rule
def cat(tensors, dim=0, *, axis=None):
    first, tensors = _all_nested("cat", tensors)
    k = inner_dim(first, dim if axis is None else axis, "cat")
    return first.with_values(rushlight.cat([t.stored for t in tensors], k))


for _name in ("concat", "concatenate"):
    rule(cat, name=_name)


@rule
def stack(tensors, dim=0, *, axis=None):
    if not all(is_nested(t) for t in tensors):
        raise RuntimeError("stack(): expected all nested tensors inputs")
    first, tensors = _all_nested("stack", tensors)
    k = shapes.dim(dim if axis is None else axis, first.ndim + 1, "stack")
    if k == 0:
        raise LayoutError("stack(): not supported for NestedTensor on dim=0")
    values = rushlight.stack([t.stored for t in tensors], k - 1)
    return first.with_values(values, first.ragged + (k <= first.ragged))


def _batch_parts(x, counts):
    """The tensors of ``counts`` sequences each, one after the other."""
    if x.pattern.lengths is not None:
        raise LayoutError("chunk(): not supported on dim=0 for nested tensors with holes")
    found, start, r = [], 0, x.ragged
    lengths, ends = x.pattern.counts, x.pattern.offsets._array
    for n in counts:
        values = x.stored.narrow(r - 1, int(ends[start]), int(ends[start + n] - ends[start]))
        found.append(jagged(values, Ragged.of_lengths(lengths[start : start + n]), r))
        start += n
    return tuple(found)


@rule
def chunk(input, chunks, dim=0):
    if shapes.dim(dim, input.ndim, "chunk") == 0:
        counts = [len(t) for t in from_array(np.arange(len(input.pattern))).chunk(chunks)]
        return _batch_parts(input, counts)
    k = inner_dim(input, dim, "chunk")
    return tuple([input.with_values(v) for v in input.stored.chunk(chunks, k)])


@rule
def split(tensor, split_size_or_sections, dim=0, **named):
    sizes = named.pop("split_size", split_size_or_sections)
    k = inner_dim(tensor, dim, "split")
    return tuple([tensor.with_values(v) for v in tensor.stored.split(sizes, k)])


@rule
def split_with_sizes(input, split_sizes, dim=0):
    return split(input, list(split_sizes), dim)


@rule
def narrow(input, dim, start, length):
    k = inner_dim(input, dim, "narrow")
    return input.with_values(input.stored.narrow(k, start, length))


@rule
def select(input, dim, index):
    if shapes.dim(dim, input.ndim, "select") == 0:
        n, index = len(input.pattern), int(index)
        if not -n <= index < n:
            raise IndexError(
                f"select(): index {index} out of range for tensor of size {input.sizes} at "
                "dimension 0"
            )
        return input.unbind()[index]
    k = inner_dim(input, dim, "select")
    values = input.stored.select(k, index)
    return input.with_values(values, input.ragged - (k < input.ragged - 1))


def _item(self, index):
    """Ints and slices of the dims, an ellipsis, None; the ragged dim stays whole."""
    keys = [*index] if isinstance(index, tuple) else [index]
    keys = [int(k.item()) if isinstance(k, Tensor) and not k.ndim else k for k in keys]
    taken = sum(k is not None and k is not Ellipsis for k in keys)
    if taken > self.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
    if any(k is Ellipsis for k in keys):
        cut = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[cut : cut + 1] = [slice(None)] * (self.ndim - taken)
    if isinstance(keys[0], (int, np.integer)) and type(keys[0]) is not bool:
        found = select(self, 0, keys[0])
        return found[tuple(keys[1:])] if len(keys) > 1 else found
    found, dim = self, 0
    for k in keys:
        found, dim = _step(found, dim, k)
    return found


def _step(x, dim, key):
    """``x`` indexed by ``key`` at ``dim``, and the dim of the next key."""
    if key is None:
        return unsqueeze(x, dim), dim + 1
    if isinstance(key, slice):
        if key == slice(None):
            return x, dim + 1
        values = (slice(None),) * inner_dim(x, dim, "slice")
        return x.with_values(x.stored[(*values, key)]), dim + 1
    if isinstance(key, (int, np.integer)) and type(key) is not bool:
        return select(x, dim, key), dim
    raise LayoutError(
        "indexing a nested tensor takes ints, slices, None and ...; use unbind() and index the "
        "sequences"
    )


def _assigned(self, index, value):
    raise LayoutError(
        "assignment to elements of a nested tensor: write to its values(), or to a part of unbind()"
    )


NestedTensor.__getitem__ = _item
NestedTensor.__setitem__ = _assigned
