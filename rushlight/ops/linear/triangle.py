"""Triangles and diagonals of matrices: tril, triu, diag."""

from functools import lru_cache

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.ops.core.definition import OPS, function
from rushlight.ops.core.kinds import kernel
from rushlight.ops.create.range import arange
from rushlight.ops.shape.view import tensor_array

_SMALL = 4096  # the most elements of a mask that is kept for later calls


def _matrix(x, *, diagonal):
    if x.ndim < 2:
        raise RuntimeError(
            f"tril/triu: input tensor must have at least 2 dimensions, got {x.shape}"
        )
    return {"diagonal": diagonal}


@lru_cache(256)
def _mask(rows, columns, diagonal):
    """True for the elements of a matrix up to its diagonal number ``diagonal``."""
    found = np.tri(rows, columns, diagonal, bool)
    found.flags.writeable = False
    return found


def _below(x, diagonal):
    """``np.tril``, which makes a mask for the whole matrix, anew for each call."""
    rows, columns = x.shape[-2:]
    mixed = min(max(columns - 1 - diagonal, 0), rows)  # so many rows have zeros
    if mixed * 2 < rows:
        out = x.copy()
        out[..., :mixed, :] = _below(x[..., :mixed, :], diagonal)
        return out
    if rows * columns > _SMALL:
        return np.tril(x, diagonal)
    return np.where(_mask(rows, columns, diagonal), x, np.zeros((), x.dtype))


def _above(x, diagonal):
    """``np.triu``, which makes a mask for the whole matrix, anew for each call."""
    rows, columns = x.shape[-2:]
    kept = min(max(columns - diagonal, 0), rows)  # so many rows have other elements than zeros
    if kept * 2 < rows:
        out = np.zeros(x.shape, x.dtype)
        out[..., :kept, :] = _above(x[..., :kept, :], diagonal)
        return out
    if rows * columns > _SMALL:
        return np.triu(x, diagonal)
    return np.where(_mask(rows, columns, diagonal - 1), np.zeros((), x.dtype), x)


@kernel(widen=False, prepare=_matrix, inplace=True, moves=True)
def tril(xp, x, *, diagonal=0):
    """Return the lower triangle of each matrix, with zeros above it.

    Args:
        input: Tensor ``(*, n, m)``.
        diagonal: The last diagonal that is kept: 0 is the main one, k > 0 is k above it, k < 0 is
            -k below it. Default: 0.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` has fewer than 2 dims.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _below(x, diagonal)


def _rise(x):
    """The column minus the row of each element of a matrix."""
    rows, columns = x.shape[-2:]
    return arange(columns) - arange(rows).unsqueeze(1)


tril.op.batching = "matrices"
tril.lower(lambda x, diagonal: x.masked_fill(_rise(x) > diagonal, 0))
tril.grad(x=lambda g, diagonal: _below(g, diagonal) if type(g) is ndarray else tril(g, diagonal))


@kernel(widen=False, prepare=_matrix, inplace=True, moves=True)
def triu(xp, x, *, diagonal=0):
    """Return the upper triangle of each matrix, with zeros below it.

    Args:
        input: Tensor ``(*, n, m)``.
        diagonal: The first diagonal that is kept: 0 is the main one, k > 0 is k above it, k < 0 is
            -k below it. Default: 0.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``input`` has fewer than 2 dims.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).triu()
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _above(x, diagonal)


triu.op.batching = "matrices"
triu.lower(lambda x, diagonal: x.masked_fill(_rise(x) < diagonal, 0))
triu.grad(x=lambda g, diagonal: _above(g, diagonal) if type(g) is ndarray else triu(g, diagonal))


def _embedded_shape(x, *, offset, dim1, dim2):
    """The shape of matrices with the last dim of ``x`` on a diagonal."""
    n = x.shape[-1] + abs(offset)
    sizes = list(x.shape[:-1])
    for d in sorted((dim1, dim2)):
        sizes.insert(d, n)
    return tuple(sizes)


@kernel(public=False, method=False, name="diag_embed", widen=False, shape=_embedded_shape,
        moves=True)  # fmt: skip
def _embedded(xp, x, *, offset, dim1, dim2):
    """Matrices with the last dim of ``x`` on a diagonal."""
    out = np.zeros(_embedded_shape(x, offset=offset, dim1=dim1, dim2=dim2), x.dtype)
    line = out.diagonal(offset, dim1, dim2)
    line.flags.writeable = True
    line[...] = x
    return out


@_embedded.lower
def _diag_of_patch(x, offset, dim1, dim2):
    base = x.new_zeros(_embedded_shape(x, offset=offset, dim1=dim1, dim2=dim2))
    path = ((OPS["diagonal"], (), {"offset": offset, "dim1": dim1, "dim2": dim2}),)
    return OPS["patch"].call(base, x, path=path, strides=base._array.strides)


_embedded.grad(x=lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2))


@function
def diag(input, diagonal=0, *, out=None):
    """Copy a diagonal of a matrix, or make a matrix that has ``input`` as its diagonal.

    Args:
        input: Tensor ``(n, m)`` or ``(n,)``.
        diagonal: Which diagonal: 0 is the main one, k > 0 is k above it, k < 0 is -k below it.
            Default: 0.

    Returns:
        Tensor with the elements of the diagonal if ``input`` is a matrix; for a vector, a square
        matrix of size n + abs(diagonal) with zeros elsewhere.

    Raises:
        RuntimeError: ``input`` is neither 1-dim nor 2-dim.

    >>> import rushlight as torch
    >>> torch.diag(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    n = tensor_array(input, "diag").ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    if n == 1:
        return _embedded(input, offset=diagonal, dim1=0, dim2=1, out=out)
    found = input.diagonal(diagonal).clone()
    if out is None:
        return found
    from rushlight.ops.core.outputs import store

    return store(out, found, "diag")


@function
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Make matrices of zeros with the last dim of ``input`` on a diagonal.

    Args:
        input: Tensor ``(*, n)``.
        offset: Which diagonal: 0 is the main one, k > 0 is k above it, k < 0 is -k below it.
            Default: 0.
        dim1, dim2: The dims of the matrices' rows and columns in the result. Negative dims count
            from the end. Default: the last two dims.

    Returns:
        Tensor ``(*, m, m)`` with m = n + abs(offset). The dims m lie at ``dim1`` and ``dim2``.

    Raises:
        RuntimeError: ``dim1`` and ``dim2`` are the same dim.

    >>> import rushlight as torch
    >>> torch.diag_embed(torch.tensor([[1, 2]]))
    tensor([[[1, 0],
             [0, 2]]])
    """
    x = tensor_array(input, "diag_embed")
    first, second = [shapes.dim(d, x.ndim + 1, "diag_embed") for d in (dim1, dim2)]
    if first == second:
        raise RuntimeError(f"diag_embed: diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _embedded(input, offset=offset, dim1=first, dim2=second)
