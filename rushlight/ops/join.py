"""Tensors joined and taken apart: cat, stack, split, unbind, repeat, flip, roll, meshgrid."""


import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.dtype import OF, promote_types
from rushlight.errors import ShapeError
from rushlight.ops.definition import function
from rushlight.ops.direct import plain, taped
from rushlight.ops.dispatch import apply
from rushlight.ops.index import SELECT, SLICE, basic, look, look_at
from rushlight.ops.kinds import kernel
from rushlight.ops.view import tensor_array
from rushlight.tensor import Tensor, ViewOf

# Joining ----------------------------------------------------------------------------------


def _joined(tensors, *, dim):
    kept = [a for a in tensors if a.shape != (0,)]
    ndim = kept[0].ndim if kept else 1
    if any(not a.ndim for a in tensors):
        at = next(i for i, a in enumerate(tensors) if not a.ndim)
        raise ShapeError(
            f"cat: zero-dimensional tensor (at position {at}) cannot be concatenated; use stack"
        )
    dim = shapes.dim(dim, ndim, "cat")
    for i, a in enumerate(tensors):
        if a.shape == (0,):
            continue
        if a.ndim != ndim:
            raise ShapeError(
                f"cat: Tensors must have same number of dimensions: got {ndim} and {a.ndim} for tensor "
                f"number {i} in the list"
            )
        for d, (have, want) in enumerate(zip(a.shape, kept[0].shape, strict=True)):
            if have != want and d != dim:
                raise ShapeError(
                    f"cat: Sizes of tensors must match except in dimension {dim}. Expected size {want} "
                    f"but got size {have} for tensor number {i} in the list (dimension {d} of "
                    f"{tuple(a.shape)})"
                )
    return {"dim": dim}


@kernel(public=False, method=False, name="cat", widen=False, prepare=_joined)
def _cat(xp, tensors, *, dim):
    """The tensors one after another along ``dim``."""
    d = tensors[0].dtype
    if any(a.dtype is not d and a.dtype != d for a in tensors):
        common = OF[d]
        for a in tensors[1:]:
            common = promote_types(common, OF[a.dtype])
        from rushlight.ops.cast import converted

        tensors = [a if a.dtype == common.numpy else converted(a, common.numpy) for a in tensors]
    kept = [a for a in tensors if a.shape != (0,)]
    if not kept:
        return xp.empty(0, tensors[0].dtype)
    shape = list(kept[0].shape)
    shape[dim] = sum([a.shape[dim] for a in kept])
    return xp.concatenate(kept, dim, xp.empty(shape, kept[0].dtype))


def _cat_back(g, tensors_shape, dim):
    out, start = [], 0
    for shape in tensors_shape:
        if tuple(shape) == (0,):
            out.append(g[(slice(None),) * dim + (slice(0, 0),)].reshape(-1)[:0])
            continue
        out.append(g[(slice(None),) * dim + (slice(start, start + shape[dim]),)])
        start += shape[dim]
    return out


_cat.grad(tensors=_cat_back)


def _listed(tensors, name):
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    if not tensors:
        kind = ValueError if name == "cat" else RuntimeError
        raise kind(f"{name}: expected a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if not isinstance(t, (Tensor, ndarray)):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {type(t).__name__}"
            )
    return list(tensors)


@function(method=False, alias=("concat", "concatenate"))
def cat(tensors, dim=0, *, out=None, axis=None):
    """The tensors one after another along ``dim``; their other sizes must agree.

    Raises:
        RuntimeError: sizes or numbers of dims disagree.

    >>> import rushlight as torch
    >>> torch.cat([torch.zeros(1, 2), torch.ones(1, 2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    dim = dim if axis is None else axis
    if out is None and not mode.intercept and isinstance(tensors, (tuple, list)):
        made = _joined_directly(tensors, dim)
        if made is not None:
            return made
    return _cat(_listed(tensors, "cat"), dim, out=out)


def _joined_directly(tensors, dim):
    """``cat`` of tensors of one dtype; None where it takes the long way."""
    try:
        arrays = [plain(t) for t in tensors]
        first = arrays[0]
        if type(dim) is not int or not first.ndim or not -first.ndim <= dim < first.ndim:
            return None
        if any([a.dtype is not first.dtype for a in arrays]):
            return None
        array = np.concatenate(arrays, dim)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    if not array.flags.c_contiguous:
        return None
    nodes = tuple([t.node for t in tensors])
    saved = {"tensors_shape": [a.shape for a in arrays], "dim": dim % first.ndim}
    return taped(_cat.op, array, nodes, tuple([saved[s] for s in _cat.op.saves]), (None, None))


@kernel(public=False, method=False, name="stack", widen=False)
def _stack(xp, tensors, *, dim):
    """Tensors of one shape and dtype along a new ``dim``."""
    first = tensors[0]
    shape = (*first.shape[:dim], len(tensors), *first.shape[dim:])
    return xp.stack(tensors, dim, xp.empty(shape, first.dtype))


_stack.grad(tensors=lambda g, tensors_shape, dim: [
    g[(slice(None),) * dim + (i,)] for i in range(len(tensors_shape))
])  # fmt: skip


@function(method=False)
def stack(tensors, dim=0, *, out=None, axis=None):
    """Tensors of one shape along a new dim.

    Raises:
        RuntimeError: their shapes differ.

    >>> import rushlight as torch
    >>> torch.stack([torch.zeros(2), torch.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    tensors = _listed(tensors, "stack")
    dim = dim if axis is None else axis
    arrays = [tensor_array(t, "stack") for t in tensors]
    shape = arrays[0].shape
    for i, a in enumerate(arrays):
        if a.shape != shape:
            raise ShapeError(
                f"stack: stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(a.shape)} at entry {i}"
            )
    dim = shapes.dim(dim, len(shape) + 1, "stack")
    if any(a.dtype != arrays[0].dtype for a in arrays):
        return cat([t.unsqueeze(dim) for t in tensors], dim, out=out)
    return _stack(tensors, dim, out=out)


def _at_least(n, place):
    def widened(*tensors):
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return tuple([widened(t) for t in tensors[0]])
        found = tuple([place(t) if t.array.ndim < n else t for t in tensors])
        return found[0] if len(found) == 1 else found

    widened.__name__ = widened.__qualname__ = f"atleast_{n}d"
    widened.__doc__ = f"The tensors with at least {n} dims; several give a tuple."
    return function(widened, method=False)


atleast_1d = _at_least(1, lambda t: t.reshape(1))
atleast_2d = _at_least(2, lambda t: t.unsqueeze(0) if t.array.ndim else t.reshape(1, 1))


def _raised_3d(t):
    n = t.array.ndim
    return t.reshape(1, 1, 1) if n == 0 else t.unsqueeze(0).unsqueeze(-1) if n == 1 else t.unsqueeze(-1)


atleast_3d = _at_least(3, _raised_3d)


@function(method=False)
def hstack(tensors, *, out=None):
    """The tensors side by side: along dim 1, or along dim 0 where they have one dim.

    >>> import rushlight as torch
    >>> torch.hstack([torch.zeros(2, 1), torch.ones(2, 1)])
    tensor([[0., 1.],
            [0., 1.]])
    """
    tensors = [atleast_1d(t) for t in _listed(tensors, "hstack")]
    return cat(tensors, 0 if tensors[0].array.ndim == 1 else 1, out=out)


@function(method=False, alias="row_stack")
def vstack(tensors, *, out=None):
    """The tensors one below another: along dim 0, at least 2-dim.

    >>> import rushlight as torch
    >>> torch.vstack([torch.zeros(2), torch.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    return cat([atleast_2d(t) for t in _listed(tensors, "vstack")], 0, out=out)


@function(method=False)
def dstack(tensors, *, out=None):
    """The tensors behind one another: along dim 2, at least 3-dim."""
    return cat([atleast_3d(t) for t in _listed(tensors, "dstack")], 2, out=out)


@function(method=False)
def column_stack(tensors, *, out=None):
    """The tensors side by side, 1-dim ones as columns."""
    tensors = _listed(tensors, "column_stack")
    return hstack([t.reshape(-1, 1) if t.array.ndim < 2 else t for t in tensors], out=out)


# Taking apart -----------------------------------------------------------------------------


def _parts(name, grad_name):
    def parts(xp, x, *, shape, places):
        """The views of ``x`` at each of ``places``, basic indices."""
        return tuple([look_at(xp, x, index=place) for place in places])

    made = kernel(parts, public=False, method=False, name=name, grad_name=grad_name, widen=False)
    made.grad(x=_parts_back)
    return made.op


def _parts_back(g, shape, places):
    arrived = [(gi, place) for gi, place in zip(g, places, strict=True) if gi is not None]
    if type(arrived[0][0]) is ndarray:
        out = np.zeros(shape, arrived[0][0].dtype)
        for gi, place in arrived:
            out[place] = gi
        return out
    total = None
    for gi, place in arrived:
        from rushlight.ops.index import embed

        part = embed(gi, shape=tuple(shape), index=place)
        total = part if total is None else total + part
    return total


SPLIT = _parts("split_parts", "SplitBackward0")
SPLIT_SIZES = _parts("split_sizes_parts", "SplitWithSizesBackward0")
UNBIND = _parts("unbind_parts", "UnbindBackward0")
# One result alone: what a view's path holds, and what runs where nothing is recorded.
SPLIT_ONE = basic("split_part", "SplitBackward0", one_of_many=True)
SPLIT_SIZES_ONE = basic("split_sizes_part", "SplitWithSizesBackward0", one_of_many=True)
UNBIND_ONE = basic("unbind_part", "UnbindBackward0", one_of_many=True)


def _taken_apart(x, op, single, places):
    """The views of ``x`` at each of ``places``, recorded as one node with several outputs."""
    grad = not mode.grad_off or mode.state.grad
    if mode.intercept or x.view_of is not None or x.node is None or not grad or not places:
        found = [look(x, single, place) for place in places]
        if x.node is None or not grad or mode.intercept:
            return tuple(found)
    shape = tuple(x.array.shape)
    outs = apply(op, (x,), {"shape": shape, "places": places})
    view = x.view_of
    root, path = (x, ()) if view is None else (view.root, view.path)
    for out, place in zip(outs, places, strict=True):
        out.cell = x.cell
        out.view_of = ViewOf(root, (*path, (single, (), {"index": place})), x.cell[0], False)
    return outs


@function
def unbind(input, dim=0):
    """The slices along ``dim``, without that dim, as a tuple of views.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    shape = tensor_array(input, "unbind").shape
    if not shape:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    dim = shapes.dim(dim, len(shape), "unbind")
    lead = (slice(None),) * dim
    return _taken_apart(input, UNBIND, UNBIND_ONE, [(*lead, i, ...) for i in range(shape[dim])])


@function
def split(tensor, split_size_or_sections, dim=0):
    """Views of ``tensor`` along ``dim``: of one size (the last may be smaller), or of given sizes.

    Raises:
        RuntimeError: the sizes do not sum to the size of ``dim``.

    >>> import rushlight as torch
    >>> torch.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = tensor_array(tensor, "split").shape
    if not isinstance(split_size_or_sections, (tuple, list)) and not hasattr(
        split_size_or_sections, "__index__"
    ):
        raise TypeError(
            "split(): argument 'split_size_or_sections' must be int or list of ints, not "
            f"{type(split_size_or_sections).__name__}"
        )
    if not shape:
        raise RuntimeError("split: split expects at least a 1-dimensional tensor")
    dim = shapes.dim(dim, len(shape), "split")
    n = shape[dim]
    op, one, sizes = SPLIT, SPLIT_ONE, split_size_or_sections
    if isinstance(sizes, (tuple, list)):
        op, one = SPLIT_SIZES, SPLIT_SIZES_ONE
        if any(s < 0 for s in sizes) or sum(sizes) != n:
            raise ShapeError(
                f"split: split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's "
                f"size at dimension {dim}), non-negative, but got split_sizes={list(sizes)}"
            )
    else:
        size = sizes.__index__()
        if size < 0 or (size == 0 and n):
            raise RuntimeError(
                f"split: split expects split_size be non-negative, and 0 only for an empty dimension, "
                f"but got split_size={size} for dimension {dim} of size {n}"
            )
        sizes = [size] * (n // size) + [n % size] * (n % size > 0) if n else [0]
    return _taken_apart(tensor, op, one, _ranges(dim, sizes))


def _ranges(dim, sizes):
    lead, places, start = (slice(None),) * dim, [], 0
    for size in sizes:
        places.append((*lead, slice(start, start + size), ...))
        start += size
    return places


@function
def split_with_sizes(input, split_sizes, dim=0):
    """``split`` with a list of sizes."""
    return split(input, list(split_sizes), dim)


@function
def chunk(input, chunks, dim=0):
    """At most ``chunks`` views along ``dim``, of one size save the last.

    >>> import rushlight as torch
    >>> [c.tolist() for c in torch.arange(5).chunk(3)]
    [[0, 1], [2, 3], [4]]
    """
    shape = tensor_array(input, "chunk").shape
    if not shape:
        raise RuntimeError("chunk: chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = shape[shapes.dim(dim, len(shape), "chunk")]
    if not n:
        return split(input, [0] * chunks, dim)
    return split(input, -(-n // chunks), dim)


@function
def tensor_split(input, indices_or_sections, dim=0):
    """Views along ``dim``: so many, as even as can be, or cut before each of the indices.

    >>> import rushlight as torch
    >>> [c.tolist() for c in torch.arange(7).tensor_split(3)]
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    if not tensor_array(input, "tensor_split").ndim:
        raise RuntimeError("tensor_split: expected at least a 1-dimensional tensor, got 0 dims")
    n = input.array.shape[shapes.dim(dim, input.ndim, "tensor_split")]
    cuts = indices_or_sections
    cuts = cuts.tolist() if isinstance(cuts, Tensor) else cuts
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError(f"tensor_split: number of sections must be larger than 0, got {cuts}")
        size, extra = divmod(n, cuts)
        cuts = [i * size + min(i, extra) for i in range(1, cuts)]
    ends = [slice(a, b) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    lead = (slice(None),) * shapes.dim(dim, input.ndim, "tensor_split")
    return tuple([look(input, SLICE, (*lead, s, ...)) for s in ends])


# Parts by dim -----------------------------------------------------------------------------


@function
def select(input, dim, index):
    """The slice ``index`` along ``dim``, without that dim: a view.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    shape = tensor_array(input, "select").shape
    if not shape:
        raise IndexError("select: select() cannot be applied to a 0-dim tensor.")
    dim = shapes.dim(dim, len(shape), "select")
    i = index.__index__()
    if not -shape[dim] <= i < shape[dim]:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {dim}"
        )
    return look(input, SELECT, ((slice(None),) * dim) + (i, ...))


@function
def narrow(input, dim, start, length):
    """``length`` slices along ``dim`` from ``start``: a view.

    >>> import rushlight as torch
    >>> torch.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    shape = tensor_array(input, "narrow").shape
    if not shape:
        raise RuntimeError("narrow: narrow() cannot be applied to a 0-dim tensor.")
    dim = shapes.dim(dim, len(shape), "narrow")
    start, n = start.__index__(), shape[dim]
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}")
    if not -n <= start <= n:
        raise IndexError(
            f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})."
        )
    return look(input, SLICE, ((slice(None),) * dim) + (slice(start, start + length), ...))
