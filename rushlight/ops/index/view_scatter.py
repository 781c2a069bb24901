"""Copies of a tensor in which one view is replaced: ``select_scatter``, ``diagonal_scatter``, …

Each function makes its view with the operation that its name begins with. The view tells the shape
that ``src`` must have, and it raises the errors of a wrong dim or index. ``patch`` then writes
``src`` into a copy of the tensor, at the place of the view.
"""

from rushlight import shapes
from rushlight.autograd.tape import renamed
from rushlight.autograd.write import check_overlap
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import OPS, function
from rushlight.ops.core.outputs import store
from rushlight.ops.index.slice import FULL, SLICE, look, placed
from rushlight.ops.shape.split import select
from rushlight.ops.shape.strided import as_strided, diagonal, geometry
from rushlight.ops.shape.view import tensor_array

__all__ = ["as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_of", "slice_scatter"]


def _fitted(src, view):
    """Return ``src`` in the dtype of ``view``, if it has the view's shape."""
    if src.shape != view.shape:
        raise ShapeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src.shape)}, slice size = {list(view.shape)}"
        )
    return src if src.dtype is view.dtype else src.to(view.dtype)


def _lead(input, dim):
    """Return the full slices that stand for the dims before ``dim`` in a basic index."""
    return (FULL,) * shapes.dim(dim, input.ndim)


def slice_of(input, dim, start, end, step):
    """Return the view ``input[..., start:end:step, ...]``, and its basic index."""
    if not input.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    place = (*_lead(input, dim), slice(start, end, step), ...)
    return look(input, SLICE, place), place


@function(kinds={"index": "int"})
def select_scatter(input, src, dim, index):
    """Return a copy of ``input`` with ``src`` written into one slice along ``dim``.

    Args:
        src: Tensor with the shape of the slice ``input.select(dim, index)``.
        dim: The dim in which the slice is chosen. Negative dims count from the end.
        index: Position of the slice in ``dim``. Negative positions count from the end.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        IndexError: ``dim`` or ``index`` is out of range.
        RuntimeError: ``src`` has another shape.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).select_scatter(torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    src = _fitted(src, select(input, dim, index))
    found = placed(input, src, (*_lead(input, dim), index.__index__(), ...))
    return renamed(found, "SelectScatterBackward0")


@function(kinds={"start": "int", "end": "int"})
def slice_scatter(input, src, dim=0, start=None, end=None, step=1, *, out=None):
    """Return a copy of ``input`` with ``src`` written into some slices along ``dim``.

    Args:
        src: Tensor of ``input``'s shape, but with as many slices along ``dim`` as are written.
        dim: The dim in which slices are chosen. Negative dims count from the end. Default: 0.
        start: Position of the first slice to write. Default: the first of all.
        end: Position before which the writing stops. Default: the end of ``dim``.
        step: Distance from one written slice to the next, at least 1. Default: 1.
        out: Tensor that receives the result; it must have the result's dtype.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        IndexError: ``dim`` is out of range.
        RuntimeError: ``src`` has another shape, or ``step`` is not positive.

    >>> import rushlight as torch
    >>> torch.zeros(4).slice_scatter(torch.ones(2), start=0, step=2)
    tensor([1., 0., 1., 0.])
    """
    view, place = slice_of(input, dim, start, end, step)
    found = renamed(placed(input, _fitted(src, view), place), "SliceScatterBackward0")
    return found if out is None else store(out, found, "slice_scatter")


@function
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """Return a copy of ``input`` with ``src`` written into a diagonal of each matrix.

    Args:
        src: Tensor with the shape of ``input.diagonal(offset, dim1, dim2)``.
        offset: Which diagonal: 0 is the main one, n > 0 is n above it, n < 0 is -n below it.
            Default: 0.
        dim1, dim2: The dims of the matrices' rows and columns. Negative dims count from the end.
            Default: 0 and 1.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: ``src`` has another shape, or ``dim1`` and ``dim2`` are the same dim.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).diagonal_scatter(torch.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    src = _fitted(src, diagonal(input, offset, dim1, dim2))
    n = input.ndim
    dims = {"dim1": shapes.dim(dim1, n, "diagonal"), "dim2": shapes.dim(dim2, n, "diagonal")}
    path = ((diagonal.op, (), {"offset": offset, **dims}),)
    found = OPS["patch"].call(input, src, path=path, strides=input._array.strides)
    return renamed(found, "DiagonalScatterBackward0")


@function
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """Return a copy of ``input`` with ``src`` written into a view of given sizes and strides.

    Args:
        src: Tensor of shape ``size``.
        size: The shape of the view: a tuple of ints.
        stride: Distance in the storage, in elements, from one index of each dim to the next.
        storage_offset: Position of the view's first element in the storage, in elements. Default:
            where ``input`` begins.

    Returns:
        Tensor of ``input``'s shape and dtype.

    Raises:
        RuntimeError: ``src`` has another shape, the view would reach beyond the storage, or several
            of its elements share one place in memory because a stride is 0.

    >>> import rushlight as torch
    >>> torch.zeros(4).as_strided_scatter(torch.ones(2), (2,), (3,))
    tensor([1., 0., 0., 1.])
    """
    array = tensor_array(input, "as_strided_scatter")
    view = as_strided(input, size, stride, storage_offset)
    src = _fitted(src, view)
    check_overlap(view._array, "as_strided_scatter")
    _, steps, first = geometry(input)
    start = 0 if storage_offset is None else storage_offset - first  # from the first element on
    params = {"size": tuple(size), "stride": tuple(stride), "start": start, "geometry": None}
    path = ((OPS["as_strided"], (), params),)
    found = OPS["patch"].call(input, src, path=path, strides=array.strides, steps=steps)
    return renamed(found, "AsStridedScatterBackward0")
