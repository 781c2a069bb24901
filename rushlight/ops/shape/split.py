"""Operations that take tensors apart: split, chunk, unbind, select, narrow. All return views."""

from operator import index

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.errors import ArgumentError, DtypeError, ShapeError
from rushlight.handled import takes_handler
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import viewed_parts
from rushlight.ops.core.kinds import kernel
from rushlight.ops.index.slice import SELECT, SLICE, basic, embed, look, look_at
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor, ViewOf

# Taking apart -----------------------------------------------------------------------------


def _parts(name, grad_name):
    def parts(xp, x, *, shape, places):
        """Return one view of ``x`` for each of ``places``, a list of basic indices."""
        return tuple([look_at(xp, x, index=place) for place in places])

    made = kernel(
        parts, public=False, method=False, name=name, grad_name=grad_name, widen=False, shares=True,
        keeps_order=True,
    )  # fmt: skip
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
        part = embed(gi, shape=tuple(shape), index=place)
        total = part if total is None else total + part
    return total


SPLIT = _parts("split_parts", "SplitBackward0")
SPLIT_SIZES = _parts("split_sizes_parts", "SplitWithSizesBackward0")
UNBIND = _parts("unbind_parts", "UnbindBackward0")
#: The operation of ``unsafe_split`` for the operation of ``split``; only the names differ.
_UNSAFE = {
    SPLIT: _parts("unsafe_split_parts", "UnsafeSplitBackward0"),
    SPLIT_SIZES: _parts("unsafe_split_sizes_parts", "UnsafeSplitWithSizesBackward0"),
}
# Each of these operations returns a single part. They are the steps in ``ViewOf.path``, and they
# run if no gradient is wanted.
SPLIT_ONE = basic("split_part", "SplitBackward0", one_of_many=True)
SPLIT_SIZES_ONE = basic("split_sizes_part", "SplitWithSizesBackward0", one_of_many=True)
UNBIND_ONE = basic("unbind_part", "UnbindBackward0", one_of_many=True)


def _taken_apart(x, op, single, places):
    """Return one view of ``x`` for each of ``places``; record one node with several outputs."""
    grad = not mode.grad_off or mode.state.grad
    traced = mode.intercept and mode.recorder() is not None
    if not mode.intercept and (x.node is None or not grad) and x._array.size:
        return viewed_parts(single, x, places)
    alone = x.node is None or not grad
    if alone and mode.intercept and takes_handler(x):
        alone = False
    if traced or alone or not places:
        return tuple([look(x, single, place) for place in places])
    shape = tuple(x._array.shape)
    outs = apply(op, (x,), {"shape": shape, "places": places})
    view = x.view_of
    root, path = (x, ()) if view is None else (view.root, view.path)
    kind = ViewOf if view is None else type(view)
    for out, place in zip(outs, places, strict=True):
        out.cell = x.cell
        out.view_of = kind(root, (*path, (single, (), {"index": place})), x.cell[0], False)
    return outs


@function
def unbind(input, dim=0):
    """Return all slices along ``dim`` as views without that dim.

    Args:
        dim: The dim to take apart. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of as many tensors as ``input`` has slices along ``dim``.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    return _taken_apart(input, *rows(input, dim))


def rows(input, dim):
    """``cuts`` for ``unbind``."""
    shape = tensor_array(input, "unbind").shape
    if not shape:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    dim = shapes.dim(dim, len(shape), "unbind")
    lead = (slice(None),) * dim
    return UNBIND, UNBIND_ONE, [(*lead, i, ...) for i in range(shape[dim])]


# Handlers see the method as another function than torch.unbind: MONAI answers the method by a call
# of the function, which would never end.
vars(unbind)["apart"] = True


@function(kinds={"split_size_or_sections": "ints"}, refusal=ArgumentError, in_python=True)
def split(tensor, split_size_or_sections, dim=0):
    """Split a tensor along ``dim`` into several views.

    Args:
        tensor: Tensor of any shape ``(*)`` with at least 1 dim.
        split_size_or_sections: Size of each view in ``dim``; the last view may be smaller. Or a
            list with the sizes of all views.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of views.

    Raises:
        RuntimeError: The sizes do not sum to the size of ``dim``.

    >>> import rushlight as torch
    >>> torch.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    return _taken_apart(tensor, *cuts(tensor, split_size_or_sections, dim))


def cuts(tensor, sections, dim):
    """The operation that splits ``tensor``, that of a single part, and the place of each part."""
    shape = tensor_array(tensor, "split").shape
    if not isinstance(sections, (tuple, list)) and not hasattr(sections, "__index__"):
        raise TypeError(
            "split(): argument 'split_size_or_sections' must be int or list of ints, not "
            f"{type(sections).__name__}"
        )
    if not shape:
        raise RuntimeError("split: split expects at least a 1-dimensional tensor")
    dim = shapes.dim(dim, len(shape), "split")
    n = shape[dim]
    op, one, sizes = SPLIT, SPLIT_ONE, sections
    if isinstance(sizes, (tuple, list)):
        sizes = [index(size) for size in sizes]  # a tensor's number would change when it is added
        op, one = SPLIT_SIZES, SPLIT_SIZES_ONE
        if any(s < 0 for s in sizes) or sum(sizes) != n:
            raise ShapeError(
                f"split: split_with_sizes expects split_sizes to sum exactly to {n} (input "
                f"tensor's size at dimension {dim}), non-negative, but got "
                f"split_sizes={list(sizes)}"
            )
    else:
        size = sizes.__index__()
        if size < 0 or (size == 0 and n):
            raise RuntimeError(
                "split: split expects split_size be non-negative, and 0 only for an empty "
                f"dimension, but got split_size={size} for dimension {dim} of size {n}"
            )
        sizes = [size] * (n // size) + [n % size] * (n % size > 0) if n else [0]
    return op, one, _ranges(dim, sizes)


def _ranges(dim, sizes):
    lead, places, start = (slice(None),) * dim, [], 0
    for size in sizes:
        places.append((*lead, slice(start, start + size), ...))
        start += size
    return places


@function(kinds={"split_sizes": "ints"})
def split_with_sizes(input, split_sizes, dim=0):
    """Split ``input`` along ``dim`` into views of the given sizes.

    Args:
        split_sizes: List with the size of each view in ``dim``. They sum to ``input``'s size there.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of views.

    Raises:
        RuntimeError: The sizes do not sum to the size of ``dim``.

    >>> import rushlight as torch
    >>> torch.arange(3).split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return split(input, list(split_sizes), dim)


@function
def chunk(input, chunks, dim=0):
    """Split ``input`` along ``dim`` into views of equal size.

    Args:
        chunks: Number of views. There may be fewer, because the size of a view is rounded up.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of at most ``chunks`` views. The last one is smaller if ``chunks`` does not divide the
        size of ``dim``.

    >>> import rushlight as torch
    >>> [c.tolist() for c in torch.arange(5).chunk(3)]
    [[0, 1], [2, 3], [4]]
    """
    return split(input, _chunk_sizes(input, chunks, dim), dim)


def _chunk_sizes(input, chunks, dim):
    """The size of each chunk, or a list of sizes if the dim has no elements."""
    shape = tensor_array(input, "chunk").shape
    if not shape:
        raise RuntimeError("chunk: chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = shape[shapes.dim(dim, len(shape), "chunk")]
    return -(-n // chunks) if n else [0] * chunks


# Parts that may be written ----------------------------------------------------------------


def _apart(tensor, sections, dim):
    """``split`` into parts that share memory and nothing else: each has its own history."""
    op, one, places = cuts(tensor, sections, dim)
    parts = _taken_apart(tensor, _UNSAFE[op], one, places)
    if not (mode.intercept and mode.recorder() is not None):  # a trace follows each write
        for part in parts:
            part.view_of, part.cell, part.turned = None, None, True
    return parts


@function(kinds={"split_size": "int"})
def unsafe_split(input, split_size, dim=0):
    """Split ``input`` like ``split``, into parts that may be written in place with a gradient.

    The parts share ``input``'s memory, but no write to a part is noticed elsewhere. So gradients
    that need the values of before the write, of ``input`` or of another part, are wrong in silence.

    Args:
        split_size: Size of each part in ``dim``; the last part may be smaller.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of tensors.

    >>> import rushlight as torch
    >>> torch.arange(5).unsafe_split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    return _apart(input, split_size, dim)


@function(kinds={"split_sizes": "ints"})
def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """Split ``input`` like ``split_with_sizes``; the parts are those of ``unsafe_split``.

    Args:
        split_sizes: List with the size of each part in ``dim``. They sum to ``input``'s size there.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of tensors.

    >>> import rushlight as torch
    >>> torch.arange(3).unsafe_split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return _apart(input, list(split_sizes), dim)


@function
def unsafe_chunk(input, chunks, dim=0):
    """Split ``input`` like ``chunk``; the parts are those of ``unsafe_split``.

    Args:
        chunks: Number of parts. There may be fewer, because the size of a part is rounded up.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of at most ``chunks`` tensors.

    >>> import rushlight as torch
    >>> [c.tolist() for c in torch.arange(5).unsafe_chunk(3)]
    [[0, 1], [2, 3], [4]]
    """
    return _apart(input, _chunk_sizes(input, chunks, dim), dim)


@function
@takes(
    "input, sections: int, dim=",
    "input, tensor_indices_or_sections: Tensor, dim=",
    "input, indices: ints, dim=",
    spelled=dict.fromkeys(
        ("sections", "indices", "tensor_indices_or_sections"), "indices_or_sections"
    ),
)
def tensor_split(input, indices_or_sections, dim=0):
    """Split ``input`` along ``dim`` into views, by their number or at given indices.

    Args:
        indices_or_sections: Number of views, whose sizes differ by at most 1, or the indices
            before which to cut: an int, a list, or an integer tensor.
        dim: The dim to split. Negative dims count from the end. Default: 0.

    Returns:
        Tuple of views. n indices give n + 1 views.

    >>> import rushlight as torch
    >>> [c.tolist() for c in torch.arange(7).tensor_split(3)]
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    if not tensor_array(input, "tensor_split").ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    n = input._array.shape[shapes.dim(dim, input.ndim, "tensor_split")]
    cuts = indices_or_sections
    if isinstance(cuts, Tensor):
        if cuts._array.dtype.name != "int64":
            raise DtypeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{cuts.dtype}"
            )
        if cuts.ndim > 1:
            raise ShapeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {cuts.ndim} dims: "
                f"{tuple(cuts.shape)}"
            )
        cuts = cuts.tolist()
    if not isinstance(cuts, (tuple, list)):
        cuts = cuts.__index__()
        if cuts <= 0:
            raise RuntimeError(
                f"tensor_split: number of sections must be larger than 0, got {cuts}"
            )
        size, extra = divmod(n, cuts)
        cuts = [i * size + min(i, extra) for i in range(1, cuts)]
    ends = [slice(a, b) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    lead = (slice(None),) * shapes.dim(dim, input.ndim, "tensor_split")
    return tuple([look(input, SLICE, (*lead, s, ...)) for s in ends])


# Parts by dim -----------------------------------------------------------------------------


@function(kinds={"index": "int"})
def select(input, dim, index):
    """Return one slice along ``dim``, as a view without that dim.

    Args:
        dim: The dim in which to choose. Negative dims count from the end.
        index: Position of the slice in ``dim``. Negative positions count from the end.

    Returns:
        Tensor of ``input``'s shape without ``dim``.

    Raises:
        IndexError: ``dim`` or ``index`` is out of range.

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


@function(kinds={"start": "index"})
def narrow(input, dim, start, length):
    """Return a view of some consecutive slices along ``dim``.

    Args:
        dim: The dim to narrow. Negative dims count from the end.
        start: Position of the first slice: an int, or a 0-dim integer tensor. Negative positions
            count from the end.
        length: Number of slices.

    Returns:
        Tensor of ``input``'s shape with size ``length`` in ``dim``.

    Raises:
        RuntimeError: The slices would reach beyond the end of ``dim``, or ``start`` is a tensor
            that has dims or another dtype.
        IndexError: ``start`` is out of range.

    >>> import rushlight as torch
    >>> torch.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    shape = tensor_array(input, "narrow").shape
    if not shape:
        raise RuntimeError("narrow: narrow() cannot be applied to a 0-dim tensor.")
    dim = shapes.dim(dim, len(shape), "narrow")
    if isinstance(start, Tensor) and (start.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError(
            "narrow: start must be an 0-dim integral Tensor. It is a tensor of shape "
            f"{tuple(start.shape)} and {start.dtype}"
        )
    start, n = start.__index__(), shape[dim]
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative. It is {length}")
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
