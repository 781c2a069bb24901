"""Operations that join tensors: cat, stack, hstack, vstack, dstack, column_stack."""

import numpy as np
from numpy import ndarray

from rushlight import late, shapes
from rushlight.autograd import mode
from rushlight.dtype import OF, promote_types
from rushlight.errors import ShapeError
from rushlight.ops.core.autocast import WIDEST
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import plain, taped
from rushlight.ops.core.kinds import kernel
from rushlight.ops.create.filled import unset
from rushlight.ops.create.range import arange
from rushlight.ops.index.slice import placed
from rushlight.ops.shape.view import tensor_array
from rushlight.strides import channels_order, laid
from rushlight.tensor import Tensor

# Joining ----------------------------------------------------------------------------------


def _joined(tensors, *, dim):
    kept = [a for a in tensors if a.shape != (0,)]
    if not kept:
        return {"dim": 0}  # as in PyTorch, any ``dim`` is valid if all shapes are (0,)
    ndim = kept[0].ndim
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
                f"cat: Tensors must have same number of dimensions: got {ndim} and {a.ndim} for "
                f"tensor number {i} in the list"
            )
        for d, (have, want) in enumerate(zip(a.shape, kept[0].shape, strict=True)):
            if have != want and d != dim:
                raise ShapeError(
                    f"cat: Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{want} but got size {have} for tensor number {i} in the list (dimension {d} "
                    f"of {tuple(a.shape)})"
                )
    return {"dim": dim}


@kernel(public=False, method=False, name="cat", widen=False, prepare=_joined, casts=True,
        autocast=WIDEST, keeps_order=True, moves=True)  # fmt: skip
def _cat(xp, tensors, *, dim):
    """Concatenate the tensors along ``dim``."""
    d = tensors[0].dtype
    if any(a.dtype is not d and a.dtype != d for a in tensors):
        common = OF[d]
        for a in tensors[1:]:
            common = promote_types(common, OF[a.dtype])
        from rushlight.ops.tensor.array_dtypes import converted

        tensors = [a if a.dtype == common.numpy else converted(a, common.numpy) for a in tensors]
    kept = [a for a in tensors if a.shape != (0,)]
    if not kept:
        return xp.empty(0, tensors[0].dtype)
    shape = list(kept[0].shape)
    shape[dim] = sum([a.shape[dim] for a in kept])
    found = xp.concatenate(kept, dim, xp.empty(shape, kept[0].dtype))
    orders = [channels_order([a]) for a in kept]
    return found if None in orders else laid(found, orders[0])


@_cat.lower
def _cat_of_patches(tensors, dim):
    kept = [t for t in tensors if tuple(t.shape) != (0,)]
    if not kept:
        return NotImplemented
    dtype = kept[0].dtype
    for t in tensors:
        dtype = promote_types(dtype, t.dtype)
    shape = list(kept[0].shape)
    shape[dim] = sum([t.shape[dim] for t in kept])
    out, start = unset(shape=tuple(shape), dtype=dtype.numpy), 0
    for t in kept:
        if not t.shape[dim]:
            continue
        stop = start + t.shape[dim]
        out = placed(out, t.to(dtype), (slice(None),) * dim + (slice(start, stop), ...))
        start = stop
    return out


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
        raise kind(f"{name} expects a non-empty TensorList, a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if not isinstance(t, (Tensor, ndarray)):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got "
                f"{type(t).__name__}"
            )
    return list(tensors)


@function(method=False, alias=("concat", "concatenate"))
def cat(tensors, dim=0, *, out=None):
    """Concatenate the tensors along ``dim``.

    Args:
        tensors: List or tuple of tensors with the same number of dims. Their sizes may differ only
            in ``dim``. Tensors of shape ``(0,)`` are skipped. Different dtypes are promoted.
        dim: The dim along which the tensors are joined. Negative dims count from the end.
            Default: 0.

    Returns:
        Tensor whose size in ``dim`` is the sum of the tensors' sizes there.

    Raises:
        RuntimeError: Sizes or numbers of dims differ, or a tensor has no dims.
        ValueError: ``tensors`` is empty.

    >>> import rushlight as torch
    >>> torch.cat([torch.zeros(1, 2), torch.ones(1, 2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    if out is None and not mode.intercept and isinstance(tensors, (tuple, list)):
        made = _joined_directly(tensors, dim)
        if made is not None:
            return made
    return _cat(_listed(tensors, "cat"), dim, out=out)


def _joined_directly(tensors, dim):
    """Return ``cat`` of tensors of one dtype on the fast path, or None if ``_cat`` must do it."""
    try:
        arrays = [plain(t) for t in tensors]
        first = arrays[0]
        if type(dim) is not int or not first.ndim or not -first.ndim <= dim < first.ndim:
            return None
        if any(a.dtype is not first.dtype for a in arrays):
            return None
        if first.ndim > 3 and channels_order([first]):
            return None  # with one channel or one pixel, NumPy sees such an array as contiguous
        array = np.concatenate(arrays, dim)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    if not array.flags.c_contiguous:
        return None
    nodes = tuple([t.node for t in tensors])
    saved = {"tensors_shape": [a.shape for a in arrays], "dim": dim % first.ndim}
    return taped(_cat.op, array, nodes, tuple([saved[s] for s in _cat.op.saves]), (None, None))


@kernel(public=False, method=False, name="stack", widen=False, casts=True, autocast=WIDEST,
        keeps_order=True, moves=True)  # fmt: skip
def _stack(xp, tensors, *, dim):
    """Stack tensors of one shape and dtype along a new ``dim``."""
    first = tensors[0].shape
    part = (*first[:dim], 1, *first[dim:])
    shape = (*first[:dim], len(tensors), *first[dim:])
    out = xp.empty(shape, tensors[0].dtype)
    found = xp.concatenate([a.reshape(part) for a in tensors], dim, out)
    if dim == len(first) or len(first) not in (4, 5):
        return found
    orders = [channels_order([a]) for a in tensors]
    if None in orders:
        return found
    # PyTorch concatenates along ``dim`` and then splits ``dim``, so the result has the memory order
    # of the concatenation.
    return laid(found, [d + (d > dim) + e for d in orders[0] for e in range(1 + (d == dim))])


@_stack.lower
def _stack_of_patches(tensors, dim):
    first = tensors[0].shape
    if not first:  # 0-dim tensors: one elementwise kernel writes all of them
        out, places = tensors[0].new_zeros(len(tensors)), arange(len(tensors))
        for i, t in enumerate(tensors):
            out = t.where(places == i, out)
        return out
    shape = (*first[:dim], len(tensors), *first[dim:])
    out = unset(shape=shape, dtype=tensors[0].dtype.numpy)
    for i, t in enumerate(tensors):
        out = placed(out, t, (slice(None),) * dim + (i, ...))
    return out


_stack.grad(tensors=lambda g, tensors_shape, dim: [
    g[(slice(None),) * dim + (i,)] for i in range(len(tensors_shape))
])  # fmt: skip


@function(method=False)
def stack(tensors, dim=0, *, out=None):
    """Join tensors of one shape along a new dim.

    Args:
        tensors: List or tuple of n tensors, all of one shape ``(*)``.
        dim: Position of the new dim in the result. Negative positions count from the result's end.
            Default: 0.

    Returns:
        Tensor with one dim more than the tensors. The new dim has size n.

    Raises:
        RuntimeError: The shapes differ, or ``tensors`` is empty.

    >>> import rushlight as torch
    >>> torch.stack([torch.zeros(2), torch.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    if out is None and dim == 0 and not mode.intercept and type(tensors) in (list, tuple):
        found = _stacked_ahead(tensors)
        if found is not None:
            return found
    tensors = _listed(tensors, "stack")
    arrays = [tensor_array(t, "stack") for t in tensors]
    shape = arrays[0].shape
    for i, a in enumerate(arrays):
        if a.shape != shape:
            raise ShapeError(
                f"stack: stack expects each tensor to be equal size, but got {list(shape)} at "
                f"entry 0 and {list(a.shape)} at entry {i}"
            )
    dim = shapes.dim(dim, len(shape) + 1, "stack")
    if any(a.dtype != arrays[0].dtype for a in arrays):
        return cat([t.unsqueeze(dim) for t in tensors], dim, out=out)
    if out is None and not mode.intercept:
        return _stacked_directly(tensors, dim)
    return _stack(tensors, dim, out=out)


late.stack = stack


def _stacked_ahead(tensors):
    """``stack`` along dim 0, of tensors of one shape and dtype in the dims' order, or None."""
    try:
        first = plain(tensors[0])
        if not 0 < first.ndim < 4 or not first.flags.c_contiguous:
            return None
        arrays, nodes = [], []
        shape, dtype = first.shape, first.dtype
        for t in tensors:
            a = t._array if t.view_of is None else plain(t)
            if a.shape != shape or a.dtype is not dtype:
                return None
            arrays.append(a)
            nodes.append(t.node)
        out = np.empty((len(arrays), *shape), dtype)
        np.concatenate(arrays, 0, out.reshape(-1, *shape[1:]))
    except (AttributeError, IndexError, ValueError):
        return None
    if not any(nodes):
        return taped(_stack.op, out, (), (), ())
    saved = {"tensors_shape": [shape] * len(arrays), "dim": 0}
    values = tuple([saved[s] for s in _stack.op.saves])
    return taped(_stack.op, out, tuple(nodes), values, (None, None))


def _stacked_directly(tensors, dim):
    arrays = [plain(t) for t in tensors]
    saved = {"tensors_shape": [a.shape for a in arrays], "dim": dim}
    array = _stack.op.forward(np, arrays, dim=dim)
    nodes = tuple([t.node for t in tensors])
    return taped(_stack.op, array, nodes, tuple([saved[s] for s in _stack.op.saves]), (None, None))


def _at_least(n, place):
    def widened(*tensors):
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return tuple([widened(t) for t in tensors[0]])
        found = tuple([place(t) if t._array.ndim < n else t for t in tensors])
        return found[0] if len(found) == 1 else found

    widened.__name__ = widened.__qualname__ = f"atleast_{n}d"
    widened.__doc__ = f"""Return the tensors with at least {n} dims, without copies.

    Args:
        *tensors: Tensors of any shape: one or several arguments, or one list. Each tensor of fewer
            than {n} dims gets dims of size 1.

    Returns:
        The tensor if it has enough dims, otherwise a view. Several tensors or a list give a tuple.

    >>> import rushlight as torch
    >>> torch.atleast_{n}d(torch.tensor(5.0)).shape
    torch.Size({[1] * n})
    """
    return function(widened, method=False)


atleast_1d = _at_least(1, lambda t: t.reshape(1))
atleast_2d = _at_least(2, lambda t: t.unsqueeze(0) if t._array.ndim else t.reshape(1, 1))


def _raised_3d(t):
    n = t._array.ndim
    return (
        t.reshape(1, 1, 1)
        if n == 0
        else t.unsqueeze(0).unsqueeze(-1)
        if n == 1
        else t.unsqueeze(-1)
    )


atleast_3d = _at_least(3, _raised_3d)


@function(method=False)
def hstack(tensors, *, out=None):
    """Concatenate the tensors along dim 1, or along dim 0 if they are 1-dim.

    Args:
        tensors: List or tuple of tensors, whose sizes may differ only in the dim of the
            concatenation. A 0-dim tensor counts as ``(1,)``.

    Returns:
        Tensor with as many dims as the tensors, but at least 1.

    >>> import rushlight as torch
    >>> torch.hstack([torch.zeros(2, 1), torch.ones(2, 1)])
    tensor([[0., 1.],
            [0., 1.]])
    """
    tensors = [atleast_1d(t) for t in _listed(tensors, "hstack")]
    return cat(tensors, 0 if tensors[0]._array.ndim == 1 else 1, out=out)


@function(method=False, alias="row_stack")
def vstack(tensors, *, out=None):
    """Concatenate the tensors along dim 0.

    Args:
        tensors: List or tuple of tensors, whose sizes may differ only in dim 0. Tensors of shape
            ``(N,)`` become ``(1, N)`` first, and 0-dim tensors become ``(1, 1)``.

    Returns:
        Tensor with as many dims as the tensors, but at least 2.

    >>> import rushlight as torch
    >>> torch.vstack([torch.zeros(2), torch.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    return cat([atleast_2d(t) for t in _listed(tensors, "vstack")], 0, out=out)


@function(method=False)
def dstack(tensors, *, out=None):
    """Concatenate the tensors along dim 2.

    Args:
        tensors: List or tuple of tensors, whose sizes may differ only in dim 2. Tensors of fewer
            than 3 dims become 3-dim first, as in ``atleast_3d``.

    Returns:
        Tensor with as many dims as the tensors, but at least 3.

    >>> import rushlight as torch
    >>> torch.dstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat([atleast_3d(t) for t in _listed(tensors, "dstack")], 2, out=out)


@function(method=False)
def column_stack(tensors, *, out=None):
    """Concatenate the tensors along dim 1.

    Args:
        tensors: List or tuple of tensors, whose sizes may differ only in dim 1. Tensors of shape
            ``(N,)`` become columns ``(N, 1)`` first, and 0-dim tensors become ``(1, 1)``.

    Returns:
        Tensor with as many dims as the tensors, but at least 2.

    >>> import rushlight as torch
    >>> torch.column_stack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _listed(tensors, "column_stack")
    return hstack([t.reshape(-1, 1) if t._array.ndim < 2 else t for t in tensors], out=out)
