"""Operations that read elements at indices: indexing with tensors, index_select, gather, take."""

import math
from functools import lru_cache

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.backend.accumulate import add_at
from rushlight.backend.sizes import large_from
from rushlight.backend.summation import SHORT
from rushlight.dtype import OF, int64
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, IndexRangeError, ShapeError
from rushlight.ops.core import fast_path
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import plain, taped
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import (
    check_index,
    check_indices,
    check_range,
    require_range,
    require_within,
)  # fmt: skip
from rushlight.ops.create.range import arange
from rushlight.ops.index import along_dim
from rushlight.ops.index.compaction import beside, places_of, without_masks
from rushlight.ops.shape.view import view_strides
from rushlight.strides import in_order, is_odd, result_strides
from rushlight.tensor import Tensor, from_array

# Indexing with tensors --------------------------------------------------------------------


def key_of(ndim, dims, indices):
    """Return the NumPy index that has ``indices`` at ``dims`` and full slices between them."""
    key, d = [], 0
    for dim, index in zip(dims, indices, strict=True):
        key += [slice(None)] * (dim - d)
        key.append(index)
        d = dim + (index.ndim if index.dtype.kind == "b" else 1)
    return tuple(key)


def _given(*indices):
    return [i for i in indices if i is not None]


def explain_index(x, *inputs, dims, **_):
    indices = _given(*inputs)
    arrays = []
    for dim, index in zip(dims, indices, strict=True):
        if index.dtype.kind == "b":
            arrays += index.nonzero()
            continue
        arrays.append(index)
        n = x.shape[dim]
        bad = index[(index < -n) | (index >= n)]
        if bad.size:
            raise IndexError(
                f"index {bad[0]} is out of bounds for dimension {dim} with size {n} (the tensor is "
                f"{tuple(x.shape)})"
            )
    try:
        np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        listed = ", ".join([str(list(a.shape)) for a in arrays])
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
        ) from None


def _is_mask(key):
    return key is not None and key.dtype.kind == "b"


@kernel(
    public=False, method=False, name="index", grad_name="IndexBackward0", widen=False,
    explain=explain_index, keeps_order=True,
    dynamic=lambda x, *keys, dims: any(_is_mask(k) for k in keys),
)  # fmt: skip
def index(xp, x, i0, i1=None, i2=None, i3=None, i4=None, i5=None, *, dims):
    """Return ``x`` indexed at ``dims`` by arrays of ints or bools, with full slices elsewhere."""
    if not x.size:
        return from_empty(x, dims, _given(i0, i1, i2, i3, i4, i5))
    flat = x.flags.c_contiguous and i0.flags.c_contiguous and (1 not in x.shape or not is_odd(x))
    if i1 is None and i0.dtype.kind == "i" and flat:
        return x.take(i0, dims[0])
    indices = _given(i0, i1, i2, i3, i4, i5)
    found = x[key_of(x.ndim, dims, indices)]
    strides = _strides(x, dims, indices, found.shape) if found.ndim > 1 else None
    if strides is None:
        return in_order(found)
    out = ndarray(found.shape, found.dtype, None, 0, [s * found.itemsize for s in strides])
    out[...] = found
    return out


def _strides(x, dims, indices, shape):
    """Return the strides, in elements, that PyTorch gives to ``x[...]``; None if contiguous.

    PyTorch treats x and the indices as the operands of an elementwise operation: x is expanded
    along the dims of the indices, and the indices along the other dims of x.
    """
    if all(a.flags.c_contiguous and not is_odd(a) for a in (x, *indices)):
        return None
    arrays: list = []
    taken: list = []
    for dim, index in zip(dims, indices, strict=True):
        arrays += index.nonzero() if index.dtype.kind == "b" else [index]
        taken += range(dim, dim + index.ndim) if index.dtype.kind == "b" else [dim]
    inner = np.broadcast_shapes(*[a.shape for a in arrays])
    if not inner:  # PyTorch copies a view in this case, and the copy is contiguous
        return None
    together = taken[-1] - taken[0] == len(taken) - 1
    before = taken[0] if together else 0
    kept = [s // x.itemsize for d, s in enumerate(x.strides) if d not in taken]
    operands = [(shape, (*kept[:before], *(0,) * len(inner), *kept[before:]))]
    for a in arrays:
        strides = [s // a.itemsize for s in np.broadcast_to(a, inner).strides]
        own = (*(1,) * before, *inner, *(1,) * (len(kept) - before))
        operands.append((own, view_strides(inner, strides, own)))
    return result_strides(1, operands)


def from_empty(x, dims, indices):
    """Return the result of ``index`` for an empty ``x``.

    Raises:
        IndexError: An index names an element of a dim of size 0.
    """
    places: list = []
    arrays: list = []
    for dim, i in zip(dims, indices, strict=True):
        parts = i.nonzero() if i.dtype.kind == "b" else [i]
        places += range(dim, dim + len(parts))
        arrays += [np.zeros_like(part) for part in parts]
    shape = [1 if d in places else n for d, n in enumerate(x.shape)]
    out = np.empty(shape, x.dtype)[key_of(x.ndim, places, arrays)]
    if math.prod(np.broadcast_shapes(*[a.shape for a in arrays])):
        for d in places:
            if not x.shape[d]:
                raise IndexError(f"index is out of bounds for dimension {d} with size 0")
    return out


def _index_back(g, x_shape, i0, i1, i2, i3, i4, i5, dims):
    if type(g) is ndarray:
        out = np.zeros(x_shape, g.dtype)
        add_at(out, key_of(len(x_shape), dims, _given(i0, i1, i2, i3, i4, i5)), g)
        return out
    from rushlight.ops.index.index_put import put

    dims, keys = places_of(dims, (i0, i1, i2, i3, i4, i5))
    return put(g.new_zeros(x_shape), g, *keys, dims=dims, accumulate=True)


index.grad(x=_index_back)
index.lower(lambda x, i0, i1, i2, i3, i4, i5, dims: (
    along_dim.read(x, dims, (i0, i1, i2, i3, i4, i5))
))  # fmt: skip
index.lower_check(lambda x, i0, i1, i2, i3, i4, i5, dims: (
    along_dim.check_bounds(x, dims, (i0, i1, i2, i3, i4, i5))
))  # fmt: skip


@index.lower_by_counting
def _index_at_marks(x, i0, i1, i2, i3, i4, i5, dims):
    found = without_masks(dims, (i0, i1, i2, i3, i4, i5)) if x.numel() else None
    return NotImplemented if found is None else index(x, *found[1], dims=found[0])


def _index_of_batch(batch, e, operands, params):
    """One index with a place more: the sample, whose number is an index, too, if x is batched."""
    (x, many), *keys = [(t, b) for t, b in operands if t is not None]
    dims = params["dims"]
    if any(k.dtype is bool_ for k, _ in keys):
        return None
    ndim = max(k.ndim - b for k, b in keys)
    places = [
        k.reshape(k.shape[0], *[1] * (ndim + 1 - k.ndim), *k.shape[1:]) if b else k for k, b in keys
    ]
    first = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
    if not many:
        return index(x, *places, dims=dims).movedim(first, 0)
    if len(dims) == 6:
        return None
    sample = arange(batch.size, device=x.device).reshape(-1, *[1] * ndim)
    found = index(x, sample, *places, dims=(0, *[d + 1 for d in dims]))
    return found.movedim(tuple(range(1, 1 + ndim)), tuple(range(1 + first, 1 + first + ndim)))


index.op.batching = _index_of_batch


def check_count(advanced):
    """Raise IndexError if more than 6 dims are indexed by tensors."""
    if len(advanced) > 6:
        raise IndexError(
            f"index: at most 6 dims can be indexed by tensors at once, not {len(advanced)}; "
            "index in two steps"
        )


def indexed(x, advanced):
    """Return ``x`` indexed by the tensors in ``advanced``, a list of (dim, tensor)."""
    check_count(advanced)
    dims = tuple([d for d, _ in advanced])
    if not mode.intercept:
        try:
            keys = [plain(k) for _, k in advanced]
            array = index.op.forward(np, plain(x), *keys, dims=dims)
        except (IndexError, ValueError):
            pass  # the call of ``index`` below raises the error that explains what is wrong
        else:
            return _taped_index(x, array, [k for _, k in advanced], keys, dims)
    dims, keys = places_of(dims, [t for _, t in advanced])
    return index(x, *beside(x, keys), dims=dims)


def _taped_index(x, array, tensors, keys, dims):
    if x.node is None:
        return _maybe_turned(taped(index.op, array, (), (), ()))
    n = len(index.op.inputs) - 1
    saved = {"x_shape": x._array.shape, "dims": dims}
    cells = {}
    for i in range(n):
        saved[f"i{i}"] = keys[i] if i < len(keys) else None
        cells[f"i{i}"] = tensors[i].cell if i < len(keys) else None
    names = index.op.saves
    return _maybe_turned(taped(
        index.op, array, (x.node, *(None,) * n), tuple([saved[s] for s in names]),
        tuple([cells.get(s) for s in names]),
    ))  # fmt: skip


def _maybe_turned(x):
    x.turned = True
    return x


@function
def index_select(input, dim, index, *, out=None):
    """Return a copy of the slices of ``input`` along ``dim`` at the positions in ``index``.

    Returns:
        Tensor of ``input``'s shape, but with size n along ``dim``.

    Raises:
        IndexError: An index is negative or too large.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).index_select(1, torch.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    if out is None and not mode.intercept and type(input) is type(index) is Tensor:
        return fast_path.indexed(_index_select.op, input, index, {"dim": dim})
    return _index_select(input, index, dim, out=out)


def _selectable(x, index, *, dim):
    dim = shapes.dim(dim, x.ndim, "index_select")
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, not {index.shape}")
    check_index("index_select", index)
    if not x.ndim and index.size != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)"
        )
    return {"dim": dim}


def _in_range(x, index, *, dim):
    require_range("index_select", index, x.shape[dim] if x.ndim else 1, dim, IndexRangeError)


@kernel(
    public=False, method=False, name="index_select", widen=False, prepare=_selectable,
    check=_in_range,
)  # fmt: skip
def _index_select(xp, x, index, *, dim):
    """Return the slices of ``x`` along ``dim`` at ``index``."""
    if not x.ndim:
        return x.copy()
    if not index.ndim:
        index = index.reshape(1)
    return x.take(index, dim)


_index_select.lower_check(lambda x, index, dim: (
    check_indices("index_select", x, index, dim, IndexRangeError)
))  # fmt: skip


@_index_select.lower
def _index_select_of_gather(x, index, dim):
    return along_dim.slices(x, dim, index.reshape(index.numel())) if x.shape else x


def _index_select_back(g, x_shape, index, dim):
    if not x_shape:
        return g
    if type(g) is not ndarray:
        return g.new_zeros(x_shape).index_add(dim, index, g)
    out = np.zeros(x_shape, g.dtype)
    add_at(out, (*[slice(None)] * dim, index.reshape(-1)), g)
    return out


_index_select.grad(x=_index_select_back)


# gather -----------------------------------------------------------------------------------


def check_along(name, x, index, dim):
    """Return ``dim`` as a non-negative number; raise if ``index`` does not fit ``x``.

    In all dims except ``dim``, the index must not be larger than x. As in PyTorch, an empty index
    may have any shape and dtype.
    """
    dim = shapes.dim(dim, x.ndim, name)
    if not index.size:
        return dim
    check_index(name, index)
    if index.shape == x.shape:
        return dim
    if max(1, x.ndim) != max(1, index.ndim):
        other = "input" if name == "gather" else "self"
        raise ShapeError(
            f"{name}: Index tensor must have the same number of dimensions as {other} tensor: "
            f"index {index.shape}, {other} {x.shape}"
        )
    for d, (i, n) in enumerate(zip(index.shape, x.shape, strict=False)):
        if i > n and d != dim:
            raise ShapeError(
                f"{name}: Size does not match at dimension {d} expected index {list(index.shape)} "
                f"to be no larger than self {list(x.shape)} apart from dimension {dim}"
            )
    return dim


def check_along_range(x, index, *rest, dim, **params):
    """Raise if an element of ``index`` is outside the range of ``dim``."""
    require_range("gather" if not rest else "scatter", index, x.shape[dim] if x.ndim else 1, dim)


def along(index, dim):
    """Return the NumPy index for ``gather`` and ``scatter``.

    The key has ``index`` at ``dim``. At every other dim the key has the positions of ``index``'s
    own elements.
    """
    shape = index.shape
    before, after = (_few_lines if index.size < LARGE else _lines)(shape, dim)
    return (*before, index, *after)


def _lines(shape, dim):
    """The positions along each dim before ``dim``, and along each dim after it."""
    n = len(shape)
    lines = [np.arange(size).reshape((-1, *[1] * (n - d - 1))) for d, size in enumerate(shape)]
    return lines[:dim], lines[dim + 1 :]


_few_lines = lru_cache(256)(_lines)


LARGE = large_from(1024)  # from so many indices on, flat positions are faster than NumPy's own


def flat_places(x, index, dim):
    """The positions of ``along(index, dim)`` in the memory of ``x``, or None.

    ``x`` must be contiguous, and the indices checked. It is None for few indices.
    """
    if index.size < LARGE or not x.flags.c_contiguous:
        return None
    steps = tuple([s // x.itemsize for s in x.strides])
    start = (_few_starts if index.size <= _KEPT else _starts)(index.shape, steps, dim)
    places = index if steps[dim] == 1 else index * np.int64(steps[dim])
    if start.ndim == 1:
        return places.reshape(-1) + start
    return (places + start).reshape(-1)


def _starts(shape, steps, dim):
    """The places in memory of index 0 along ``dim``: of each element (1 dim), or to broadcast."""
    n, start = len(shape), np.zeros((1,) * len(shape), np.int64)
    for d, size in enumerate(shape):
        if d != dim:
            start = start + (np.arange(size) * steps[d]).reshape((-1, *[1] * (n - d - 1)))
    if 0 < dim == n - 1 and shape[dim] < SHORT:  # NumPy starts a loop for each row
        return np.repeat(start.reshape(-1), shape[dim])
    return start


#: The starts of at most so many indices are kept for later calls.
_KEPT = 1 << 14
_few_starts = lru_cache(64)(_starts)


def _gatherable(x, index, *, dim, **rest):
    return {"dim": check_along("gather", x, index, dim), **rest}


@kernel(
    public=False, method=False, name="gather", widen=False, prepare=_gatherable,
    check=check_along_range, primitive="gather",
)  # fmt: skip
def _gather(xp, x, index, *, dim):
    """Return the elements of ``x`` at ``index`` along ``dim``."""
    if not index.size:
        return xp.empty(index.shape, x.dtype)
    if not x.ndim:
        return xp.full(index.shape, x)
    if not index.ndim:
        return x[index]
    places = flat_places(x, index, dim)
    if places is not None:  # "wrap" is NumPy's fastest way, and nothing is left to wrap
        return x.reshape(-1).take(places, mode="wrap").reshape(index.shape)
    return xp.ascontiguousarray(x[along(index, dim)])


_gather.lower_check(lambda x, index, dim: check_indices("gather", x, index, dim))


@_gather.lower
def _gathered(x, index, dim):
    if not index.numel():
        return x.new_zeros(index.shape)
    return NotImplemented if index.dtype is int64 else _gather(x, index.to(int64), dim)


@_gather.lower_on_devices
def _gathered_of_one(x, index, dim):
    if x.shape and index.shape:
        return NotImplemented
    return _gather(x.reshape(-1), index.reshape(-1), 0).reshape(index.shape)


def _gather_back(g, x_shape, index, dim):
    if type(g) is not ndarray:
        return g.new_zeros(x_shape).scatter_add(dim, index, g)
    out = np.zeros(x_shape, g.dtype)
    if not x_shape:
        return g.sum(dtype=g.dtype)
    if not index.size:
        return out
    index = index if index.ndim else index.reshape(1)
    add_at(out, along(index, dim), g)
    return out


_gather.grad(x=_gather_back)
_gather.watch(x="x")


@function
def gather(input, dim, index, *, sparse_grad=False, out=None):
    """Read elements along ``dim`` at the positions in ``index``.

    For 2-D tensors and ``dim=0``, ``out[i][j] = input[index[i][j]][j]``.

    Args:
        index: The positions along ``dim``, not negative: int32 or int64 tensor with ``input``'s
            number of dims. In the other dims it must not be larger than ``input``.
        sparse_grad: Accepted without effect: gradients are always dense.

    Returns:
        Tensor of ``index``'s shape.

    Raises:
        RuntimeError: An index is negative or too large, or ``index`` does not have ``input``'s
            number of dims, or is larger than ``input`` in a dim other than ``dim``.

    >>> import rushlight as torch
    >>> torch.gather(torch.tensor([[1, 2], [3, 4]]), 1, torch.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if out is None and not mode.intercept and type(input) is type(index) is Tensor:
        return fast_path.indexed(_gather.op, input, index, {"dim": dim})
    return _gather(input, index, dim, out=out)


@function
def take_along_dim(input, indices, dim=None, *, out=None):
    """Read elements along ``dim`` at the positions in ``indices``, with broadcasting.

    The function is ``gather`` with ``input`` and ``indices`` broadcast to each other in all dims
    except ``dim``.

    Args:
        indices: The positions along ``dim``: int64 tensor with ``input``'s number of dims. The
            positions are taken modulo the size of ``dim``, so negative ones count from the end.
        dim: The dim along which the function works. Default: None, flatten ``input`` and
            ``indices`` first; then no position may be negative.

    Returns:
        Tensor of ``indices``' shape along ``dim``, and of the broadcast shape in the other dims.
        Without ``dim``: 1-dim tensor.

    Raises:
        RuntimeError: ``input`` and ``indices`` differ in their number of dims, or their shapes do
            not broadcast.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3, 1], [2, 4]])
    >>> torch.take_along_dim(x, torch.tensor([[1], [0]]), dim=1)
    tensor([[1],
            [2]])
    """
    for argument, t in (("input", input), ("indices", indices)):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"take_along_dim(): argument '{argument}' must be Tensor, not {type(t).__name__}"
            )
    if indices.dtype is not int64:
        raise DtypeError(
            f"take_along_dim(): dtype of indices should be Long (int64) but got {indices.dtype}; "
            "convert with .long()"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1), out=out)
    have, index = input._array.shape, indices._array.shape
    if len(have) != len(index):
        raise ShapeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {len(have)} dimensions for input, and {len(index)} dimensions for indices"
        )
    d = shapes.dim(dim, len(have), "take_along_dim")
    rest = shapes.broadcast(
        "take_along_dim", (*have[:d], 1, *have[d + 1 :]), (*index[:d], 1, *index[d + 1 :])
    )
    n = have[d]
    if n and not mode.intercept and type(indices) is Tensor:
        indices = from_array(np.remainder(plain(indices), n))
    elif n:
        indices = indices.remainder(n)
    full, places = (*rest[:d], n, *rest[d + 1 :]), (*rest[:d], index[d], *rest[d + 1 :])
    input = input if full == have else input.expand(full)
    indices = indices if places == index else indices.expand(places)
    return gather(input, d, indices, out=out)


def _takeable(x, index):
    if OF[index.dtype] is not int64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {OF[index.dtype]}")
    return {}


def flat_range(name, n):
    """The parameters of the check of positions in a flattened tensor of ``n`` elements."""
    message = f"{name}out of range: tried to access index {{}} on a tensor of {n} elements."
    return {"low": -n, "high": n - 1, "error": IndexError, "message": message}


def _within(x, index):
    require_within(index, **flat_range("take: ", x.size))


@kernel(widen=False, prepare=_takeable, check=_within, tensors=("x", "index"))
def take(xp, x, index):
    """Return the elements of the flattened ``input`` at ``index``.

    Args:
        index: Positions in the flattened ``input``: int64 tensor (*). Negative positions count
            from the end.

    Returns:
        Tensor of ``index``'s shape.

    Raises:
        IndexError: A position is out of range.
        RuntimeError: ``index`` is not int64.

    >>> import rushlight as torch
    >>> torch.take(torch.tensor([[4, 3], [5, 6]]), torch.tensor([0, 2]))
    tensor([4, 5])
    """
    return x.take(index)


take.lower_check(lambda x, index: check_range(index, **flat_range("take: ", x.numel())))


@take.lower
def _take_of_gather(x, index):
    n = x.numel()
    at = along_dim.positive(index, n).reshape(index.numel())
    return x.reshape(n).gather(0, at).reshape(index.shape)


def _take_back(g, x_shape, index):
    if type(g) is not ndarray:
        flat = g.new_zeros(shapes.numel(x_shape)).index_put((index,), g, accumulate=True)
        return flat.reshape(x_shape)
    out = np.zeros(shapes.numel(x_shape), g.dtype)
    add_at(out, (index,), g)
    return out.reshape(x_shape)


take.grad(x=_take_back)
take.watch(x="x")
