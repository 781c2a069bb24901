"""Indices: of triangles, of flat positions, and of elements that are not zero."""

from functools import lru_cache
from numbers import Integral

import numpy as np

from rushlight.dtype import bool as bool_
from rushlight.dtype import int32, int64
from rushlight.errors import ArgumentError, DtypeError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import kernel, source
from rushlight.ops.create.filled import finished, options
from rushlight.tensor import Tensor, constant

# Triangles --------------------------------------------------------------------------------


@source(public=False, name="triangle_indices")
def _triangle(xp, *, row, col, offset, upper, dtype):
    """The positions (2, n) of the elements of a triangle, row by row."""
    if row * col <= _FEW:
        return _found_before(row, col, offset, upper).astype(dtype)
    return _positions(row, col, offset, upper, dtype)


#: The positions in a matrix of up to so many elements are found once, and then copied.
_FEW = 1024


def _positions(row, col, offset, upper, dtype=np.int64):
    border = np.arange(offset, offset + row) + (not upper)
    border = np.minimum(np.maximum(border, 0), col)
    lengths = col - border if upper else border
    ends = lengths.cumsum()
    out = np.empty((2, ends[-1] if row else 0), dtype)
    out[0] = np.arange(row).repeat(lengths)
    # The column is the place in the result minus the place of its row's column 0.
    zeros = ends - col if upper else ends - lengths
    np.subtract(np.arange(out.shape[1]), zeros.repeat(lengths), out[1], casting="unsafe")
    return out


_found_before = lru_cache(64)(_positions)


def _indices(name, row, col, offset, upper, dtype, device, layout, requires_grad):
    d = options(int64 if dtype is None else dtype, layout, device, name)
    for what, n in (("row", row), ("col", col)):
        if n < 0:
            raise RuntimeError(f"{name}: {what} must be non-negative, got {n}")
    if d not in (int32, int64):
        raise UnsupportedDtypeError(f"{name}: not implemented for {d}; give int32 or int64")
    found = _triangle(row=row, col=col, offset=offset, upper=upper, dtype=d.numpy)
    return finished(found, requires_grad)


@function(method=False, kinds={"row": "int", "col": "int"})
def tril_indices(
    row, col, offset=0, *, dtype=None, device=None, layout=None, pin_memory=None,
    requires_grad=False,
):  # fmt: skip
    """Return the positions of the lower triangle of a matrix, row by row.

    Args:
        row, col: Number of rows and of columns of the matrix.
        offset: The last diagonal of the triangle: 0 is the main one, k > 0 is k above it, k < 0 is
            -k below it. Default: 0.
        dtype: int64 (default) or int32.

    Returns:
        Tensor ``(2, n)``: the rows and the columns of the n elements.

    Raises:
        RuntimeError: ``row`` or ``col`` is negative.

    >>> import rushlight as torch
    >>> torch.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _indices("tril_indices", row, col, offset, False, dtype, device, layout, requires_grad)


@function(method=False, kinds={"row": "int", "col": "int"})
def triu_indices(
    row, col, offset=0, *, dtype=None, device=None, layout=None, pin_memory=None,
    requires_grad=False,
):  # fmt: skip
    """Return the positions of the upper triangle of a matrix, row by row.

    Args:
        row, col: Number of rows and of columns of the matrix.
        offset: The first diagonal of the triangle: 0 is the main one, k > 0 is k above it, k < 0 is
            -k below it. Default: 0.
        dtype: int64 (default) or int32.

    Returns:
        Tensor ``(2, n)``: the rows and the columns of the n elements.

    Raises:
        RuntimeError: ``row`` or ``col`` is negative.

    >>> import rushlight as torch
    >>> torch.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _indices("triu_indices", row, col, offset, True, dtype, device, layout, requires_grad)


# Flat positions ---------------------------------------------------------------------------


def _sizes(shape):
    """``shape`` as a tuple of ints that are not negative."""
    if isinstance(shape, Integral):
        shape = (shape,)
    if not isinstance(shape, (tuple, list, str)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for n in shape:
        if not isinstance(n, Integral):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
        if n < 0:
            raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    return tuple(shape)


@function(method=False, kinds={"indices": "any", "shape": "any"})
def unravel_index(indices, shape):
    """Return the position in each dim of elements that are given by their flat positions.

    A flat position counts the elements of a tensor of shape ``shape`` row by row. It is taken
    modulo the number of elements.

    Args:
        indices: Tensor of any shape ``(*)`` of integers: the flat positions.
        shape: The shape of the tensor in which the elements lie: an int, or a tuple of ints.

    Returns:
        Tuple with an int64 tensor of the shape of ``indices`` for each dim of ``shape``.

    Raises:
        TypeError: ``indices`` has no integers.
        ValueError: A size is negative.

    >>> import rushlight as torch
    >>> torch.unravel_index(torch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if not isinstance(indices, Tensor):
        raise ArgumentError(
            "unravel_index(): argument 'indices' (position 1) must be Tensor, not "
            f"{type(indices).__name__}"
        )
    if indices.dtype is bool_ or indices.dtype.category > 1:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = _sizes(shape)
    if 0 in sizes:
        raise RuntimeError("unravel_index: a size is 0, so there are no elements")
    if not sizes:
        return ()
    sizes = np.array(sizes)
    steps = np.append(sizes[:0:-1].cumprod()[::-1], 1)
    places = indices.unsqueeze(-1).div(constant(steps), rounding_mode="floor")
    return (places % constant(sizes)).unbind(-1)


# Elements that are not zero ---------------------------------------------------------------


@kernel(public=False, method=False, name="nonzero_static", widen=False)
def _nonzero(xp, x, *, size, fill_value):
    """The indices (size, dims of x) of the first elements that are not zero."""
    found = np.full((size, x.ndim), fill_value, np.int64)
    if x.ndim:
        flat = np.flatnonzero(x if x.dtype.kind == "b" else x != 0)[:size]
        found[: len(flat)] = np.stack(np.unravel_index(flat, x.shape), 1)
    return found


@_nonzero.lower_on_devices
def _first_places(x, size, fill_value):
    from rushlight.ops.create.range import arange
    from rushlight.ops.reduce.search import searchsorted
    from rushlight.ops.shape.join import stack

    if not x.shape:
        return NotImplemented
    running = (x != 0).reshape(-1).to(int64).cumsum(0)
    rank = arange(size)
    flat = searchsorted(running, rank + 1)
    columns: list[Tensor] = []
    for n in reversed(x.shape):
        columns.insert(0, (flat % n).where(rank < running[-1], fill_value))
        flat = flat // n
    return stack(columns, 1)


@function(kinds={"size": "int", "fill_value": "int"})
def nonzero_static(input, *, size, fill_value=-1, out=None):
    """Return the indices of the first ``size`` elements that are not zero.

    Unlike ``nonzero``, the shape of the result does not depend on the elements.

    Args:
        size: Number of rows of the result.
        fill_value: Fills the last rows if there are fewer such elements. Default: -1.
        out: int64 tensor that receives the result. It is resized if its shape is another.

    Returns:
        int64 tensor ``(size, dims of input)``, a row for each element.

    Raises:
        RuntimeError: ``size`` is negative.

    >>> import rushlight as torch
    >>> torch.nonzero_static(torch.tensor([0, 5, 6]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    if out is not None and out.dtype is not int64:
        raise DtypeError(
            f"nonzero_static: Expected out tensor to have scalar type Long but got {out.dtype}"
        )
    return _nonzero(input, size=size, fill_value=fill_value, out=out)
