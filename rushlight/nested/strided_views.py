"""Views, sums and attention of nested tensors of the strided layout.

A view has the memory of the tensor that it was made of, and shapes, strides and offsets of its own.
These come from the same view of each part.
"""

import inspect
from math import prod

import rushlight
from rushlight.errors import LayoutError, ShapeError
from rushlight.nested.strided import StridedNestedTensor, from_list, geometry, rule, view_of
from rushlight.shapes import dim as checked_dim

__all__: list[str] = []  # the rules are found by name


def _viewed(x, look):
    """The nested tensor of the views ``look(part)``, which share the memory of ``x``."""
    start = x.stored.storage_offset()
    parts = [look(t) for t in x.detach().unbind()]
    offsets = tuple([t.storage_offset() - start for t in parts])
    shapes = tuple([tuple(t.shape) for t in parts])
    return view_of(x, shapes, tuple([t.stride() for t in parts]), offsets)


def _inner(x, dim, name):
    """The dim of each part that is ``dim`` of ``x``; it must not be the batch."""
    k = checked_dim(dim, x.ndim, name)
    if k == 0:
        raise LayoutError(f"{name}(): the batch, dim 0 of a strided nested tensor, stays as it is")
    return k - 1


@rule
def transpose(input, dim0, dim1):
    a, b = (checked_dim(k, input.ndim, "transpose") for k in (dim0, dim1))
    if 0 in (a, b):
        raise LayoutError("Nested tensor dimension 0 cannot be transposed")
    return _viewed(input, lambda t: t.transpose(a - 1, b - 1))


@rule
def select(input, dim, index):
    if checked_dim(dim, input.ndim, "select") != 0:
        k = _inner(input, dim, "select")
        return _viewed(input, lambda t: t.select(k, index))
    n = len(input.shapes)
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of bounds for dimension 0 with size {n}")
    return input.unbind()[index]


@rule
def narrow(input, dim, start, length):
    if checked_dim(dim, input.ndim, "narrow") != 0:
        raise LayoutError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
    n = len(input.shapes)
    if length < 0 or not 0 <= start <= n - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    chosen = slice(start, start + length)
    strides, offsets = geometry(input)
    return view_of(input, input.shapes[chosen], strides[chosen], offsets[chosen])


def _targets(x, sizes, name):
    """The new shape of each part; -1 keeps the size that the part has in this dim."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    if not sizes or sizes[0] != len(x.shapes):
        raise RuntimeError(
            f"{name}: For now nested view cannot change or infer the implicit batch dimension"
        )
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 in sizes[x.ndim :]:
        raise RuntimeError(f"{name}: nested tensor does not infer shape")
    found = []
    for shape in x.shapes:
        target = [shape[k] if n == -1 else n for k, n in enumerate(sizes[1:])]
        if prod(target) != prod(shape):
            raise ShapeError(f"shape '{list(sizes)}' is invalid for input of size {prod(shape)}")
        found.append(target)
    return found


@rule
def view(self, *shape):
    targets = iter(_targets(self, shape, "view"))
    return _viewed(self, lambda t: t.view(next(targets)))


@rule
def reshape(input, *shape):
    targets = _targets(input, shape, "reshape")
    try:
        return view(input, *shape)
    except RuntimeError:
        parts = zip(input.unbind(), targets, strict=True)
        return from_list([t.reshape(target) for t, target in parts], None, None)


@rule
def unsqueeze(input, dim):
    k = checked_dim(dim, input.ndim + 1, "unsqueeze")
    if k == 0:
        raise LayoutError("unsqueeze(): the batch, dim 0 of a strided nested tensor, stays first")
    return _viewed(input, lambda t: t.unsqueeze(k - 1))


@rule
def squeeze(input, dim=None):
    if dim is None:
        raise LayoutError("squeeze(): a strided nested tensor needs the argument dim")
    dims = tuple([_inner(input, d, "squeeze") for d in (dim if type(dim) is tuple else (dim,))])
    dims = tuple([k for k in dims if all(s[k] == 1 for s in input.shapes)])
    return _viewed(input, lambda t: t.squeeze(dims))


def _last(x, dim, name):
    """The size of the last dim, which must be ``dim``, of all parts alike."""
    if _inner(x, dim, name) != x.ndim - 2:
        raise LayoutError(f"{name} for nested tensors is only there for the last dimension")
    return x.size(-1)


@rule
def split_with_sizes(input, split_sizes, dim=0):
    n = _last(input, dim, "split_with_sizes")
    if sum(split_sizes) != n or min(split_sizes) < 0:
        raise ShapeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {input.ndim - 1}), but got split_sizes={list(split_sizes)}"
        )
    starts = [sum(split_sizes[:k]) for k in range(len(split_sizes))]
    return tuple([
        _viewed(input, lambda t, a=start, size=size: t.narrow(-1, a, size))
        for start, size in zip(starts, split_sizes, strict=True)
    ])  # fmt: skip


@rule
def chunk(input, chunks, dim=0):
    n = _last(input, dim, "chunk")
    if chunks <= 0 or n % chunks:
        raise ShapeError(
            "Chunk for nested tensors is only supported for nested tensors with trailing dimension "
            f"divisible by chunks, got: {n} and {chunks}"
        )
    return split_with_sizes(input, [n // chunks] * chunks, -1)


@rule
def split(tensor, split_size_or_sections, dim=0):
    sizes, n = split_size_or_sections, _last(tensor, dim, "split")
    if not isinstance(sizes, (tuple, list)):
        sizes = [min(sizes, n - start) for start in range(0, n, sizes)]
    return split_with_sizes(tensor, list(sizes), -1)


@rule(name="sum")
def total(input, dim=None, keepdim=False, *, dtype=None):
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    if dims[0] is None or len(dims) > 1 or _inner(input, dims[0], "sum") != input.ndim - 2:
        raise LayoutError(
            "NestedTensor can only be reduced across the last dimension for now got dimension "
            f"{dim} instead."
        )
    if not keepdim:
        raise LayoutError("NestedTensor always requires keepdim=True for now.")
    return from_list([t.sum(-1, True, dtype=dtype) for t in input.unbind()], None, None)


# Attention --------------------------------------------------------------------------------


def _parts(name, *operands):
    """The parts of each nested operand, entry by entry of the batch."""
    for t in operands:
        if not isinstance(t, StridedNestedTensor):
            raise LayoutError(f"{name}: query, key and value must all be strided nested tensors")
    if len({len(t.shapes) for t in operands}) != 1:
        raise ShapeError(f"{name}: query, key and value must have the same number of parts")
    return list(zip(*[t.unbind() for t in operands], strict=True))


@rule
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    if attn_mask is not None:
        raise LayoutError("scaled_dot_product_attention: nested tensors take no attn_mask")
    attend = rushlight.nn.functional.scaled_dot_product_attention
    found = [
        attend(q, k, v, None, dropout_p, is_causal, scale, enable_gqa)
        for q, k, v in _parts("scaled_dot_product_attention", query, key, value)
    ]
    return from_list(found, None, None)


_attend = rushlight.nn.functional.multi_head_attention_forward
_SIGNATURE = inspect.signature(_attend)


@rule
def multi_head_attention_forward(*args, **named):
    """Each sequence on its own; the weights are padded with 0 and stacked."""
    given = _SIGNATURE.bind(*args, **named).arguments
    if given.get("key_padding_mask") is not None or given.get("attn_mask") is not None:
        raise LayoutError("MultiheadAttention: nested tensors take no masks")
    if not given.pop("batch_first", False):
        raise LayoutError("MultiheadAttention: nested tensors need batch_first=True")
    names = ("query", "key", "value")
    pairs = [
        _attend(**{**given, **dict(zip(names, parts, strict=True))})
        for parts in _parts("MultiheadAttention", *[given[name] for name in names])
    ]
    weights = [w for _, w in pairs if w is not None]
    padded = from_list(weights, None, None).to_padded_tensor(0.0) if weights else None
    return from_list([out for out, _ in pairs], None, None), padded
