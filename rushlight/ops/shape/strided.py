"""Views with unusual strides: expand, diagonal, unfold and as_strided."""

import math

import numpy as np
from numpy import ndarray

from rushlight import late, shapes
from rushlight.autograd import mode
from rushlight.backend.numpy import from_parts
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import OPS, function
from rushlight.ops.core.fast_path import plain, viewed
from rushlight.ops.core.kinds import kernel, view
from rushlight.ops.shape.view import tensor_array
from rushlight.storage import offset, reach, strided, strides_of, within
from rushlight.tensor import Size, Tensor

# Expanded ---------------------------------------------------------------------------------


def _expanded(x, *, size):
    size = size if isinstance(size, (tuple, list)) else (size,)
    size = tuple([n if type(n) is int else n.__index__() for n in size])
    have = x.shape
    lead = len(size) - len(have)
    if lead < 0:
        shapes.check_expansion("expand: x", have, size)  # raises
    if -1 in size[:lead]:
        raise ShapeError(
            "expand: The expanded size of the tensor (-1) isn't allowed in a leading, "
            f"non-existing dimension {size.index(-1)} of size {size}"
        )
    out = list(size)
    for i, n in enumerate(have, lead):
        if out[i] == -1:
            out[i] = n
        elif n != 1 and n != out[i]:
            shapes.check_expansion("expand: x", have, size)  # raises
    return {"size": shapes.sizes((out,), "expand")}


@view(public=False, varargs=True, prepare=_expanded)
def expand(xp, x, *, size):
    """Return a view of another size, in which dims of size 1 are repeated without a copy.

    The repeated dims have stride 0.

    Args:
        size: The shape of the result: a tuple of ints, or several ints. -1 keeps the size of a dim.
            Sizes beyond the tensor's dims add leading dims.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: A dim of another size than 1 would change its size.

    >>> import rushlight as torch
    >>> torch.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    shape, have = x.shape, strides_of(x)
    lead = len(size) - len(shape)
    strides = [s if shape[i] == size[lead + i] else 0 for i, s in enumerate(have)]
    for i in range(lead - 1, -1, -1):
        strides.insert(0, size[i + 1] * strides[0] if shape and size[i] == 1 else 0)
    return strided(x, size, strides)


expand.grad(x=lambda g: g)  # the engine sums g back to x's shape


def _each_expanded(x, size):
    missing = len(size) + 1 - x.ndim
    return x.reshape(x.shape[0], *[1] * missing, *x.shape[1:]).expand(x.shape[0], *size)


expand.op.batching = _each_expanded


@function(public=False)
def expand_as(self, other):
    """Expand the tensor to the shape of another, as ``expand`` does.

    Args:
        other: Tensor that has the shape of the result.

    Returns:
        View of ``other``'s shape.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).expand_as(torch.zeros(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(self, tensor_array(other, "expand_as", "other").shape)


@function(kinds={"size": "shape"})
def broadcast_to(input, size):
    """Expand ``input`` to another shape, as ``Tensor.expand`` does.

    Args:
        size: The shape of the result: a tuple of ints. -1 keeps the size of a dim.

    Returns:
        View of shape ``size``.

    >>> import rushlight as torch
    >>> torch.broadcast_to(torch.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


@function(method=False)
def broadcast_shapes(*shapes):
    """Return the shape to which tensors of the given shapes broadcast.

    Args:
        *shapes: The shapes: tuples of ints. An int n stands for ``(n,)``.

    Returns:
        ``torch.Size`` of the common shape.

    Raises:
        RuntimeError: The shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.broadcast_shapes((2, 1), (3,), 1)
    torch.Size([2, 3])
    """
    from rushlight.shapes import broadcast

    listed = [s if isinstance(s, (tuple, list)) else (s,) for s in shapes]
    if any(n < 0 for s in listed for n in s):
        raise RuntimeError(
            f"broadcast_shapes: Trying to create tensor with negative dimension: {listed}"
        )
    names = [f"shape {i}" for i in range(len(listed))]
    return Size(broadcast("broadcast_shapes", *map(tuple, listed), names=names))


@function(method=False, in_python=True)
def broadcast_tensors(*tensors):
    """Expand the tensors to their common shape.

    Args:
        *tensors: The tensors, whose shapes broadcast: several arguments, or one list.

    Returns:
        Tuple of views of the common shape, one for each tensor.

    Raises:
        RuntimeError: The shapes do not broadcast.

    >>> import rushlight as torch
    >>> x, y = torch.broadcast_tensors(torch.zeros(2, 1), torch.zeros(3))
    >>> x.shape, y.shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    names = [f"tensor {i}" for i in range(len(tensors))]
    shape = shapes.broadcast(
        "broadcast_tensors",
        *[tensor_array(t, "broadcast_tensors").shape for t in tensors],
        names=names,
    )
    return tuple([t if t._array.shape == shape else expand(t, shape) for t in tensors])


# The gradient of any strided view ---------------------------------------------------------


@kernel(public=False, method=False, widen=False)
def collect(xp, x, *, shape, index):
    """Return zeros of ``shape`` with each element of ``x`` added at its flat ``index``."""
    kind = "c" if x.dtype.kind == "c" else "f"
    if kind == "c":
        real = xp.bincount(index.ravel(), x.real.ravel(), math.prod(shape))
        imag = xp.bincount(index.ravel(), x.imag.ravel(), math.prod(shape))
        return from_parts(real, imag).reshape(shape).astype(x.dtype)
    total = xp.bincount(index.ravel(), x.ravel(), math.prod(shape))
    return total.reshape(shape).astype(x.dtype)


@kernel(public=False, method=False, widen=False, moves=True)
def pick(xp, x, *, index, shape):
    """Return the elements of ``x`` at the flat ``index``."""
    return xp.ascontiguousarray(x).reshape(-1).take(index)


collect.grad(x=lambda g, index, x_shape: chosen(g, index, x_shape))
pick.grad(x=lambda g, x_shape, index: collected(g, x_shape, index))


def chosen(g, index, shape):
    """Call ``pick`` on an array or a tensor."""
    if type(g) is ndarray:
        return pick.op.forward(np, g, index=index, shape=shape)
    return pick(g, index=index, shape=shape)


def collected(g, shape, index):
    """Call ``collect`` on an array or a tensor."""
    if type(g) is ndarray:
        return collect.op.forward(np, g, shape=shape, index=index)
    return collect(g, shape=shape, index=index)


def _positions(shape):
    return np.arange(math.prod(shape)).reshape(shape)


# Diagonal ---------------------------------------------------------------------------------


def _diagonal_dims(x, *, offset, dim1, dim2):
    first = shapes.dim(dim1, x.ndim, "diagonal")
    second = shapes.dim(dim2, x.ndim, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal: diagonal dimensions cannot be identical {dim1}, {dim2}")
    return {"offset": offset, "dim1": first, "dim2": second}


@view(prepare=_diagonal_dims)
def diagonal(xp, x, *, offset=0, dim1=0, dim2=1):
    """Return a diagonal of each matrix, as a view.

    Args:
        offset: Which diagonal: 0 is the main one, n > 0 is n above it, n < 0 is -n below it.
            Default: 0.
        dim1, dim2: The dims of the matrices' rows and columns. Negative dims count from the end.
            Default: 0 and 1.

    Returns:
        Tensor of ``input``'s shape without ``dim1`` and ``dim2``. The diagonal lies in a new last
        dim.

    Raises:
        RuntimeError: ``dim1`` and ``dim2`` are the same dim.

    >>> import rushlight as torch
    >>> torch.arange(9).reshape(3, 3).diagonal(1)
    tensor([1, 5])
    """
    found = x.diagonal(offset, dim1, dim2)
    if found.size:
        if x.flags.writeable:
            found.flags.writeable = True
        return found
    strides = strides_of(x)
    rest = [d for d in range(x.ndim) if d not in (dim1, dim2)]
    return strided(x, found.shape, (*[strides[d] for d in rest], strides[dim1] + strides[dim2]))


def _diagonal_back(g, x_shape, offset, dim1, dim2):
    if type(g) is not ndarray:
        base = g.new_zeros(x_shape)
        path = ((diagonal.op, (), {"offset": offset, "dim1": dim1, "dim2": dim2}),)
        return OPS["patch"].call(base, g, path=path, strides=base._array.strides)
    return collected(g, x_shape, _positions(x_shape).diagonal(offset, dim1, dim2))


diagonal.grad(x=_diagonal_back)


# Windows ----------------------------------------------------------------------------------


def _window(x, *, dimension, size, step):
    dim = shapes.dim(dimension, x.ndim, "unfold")
    n = x.shape[dim] if x.ndim else 1
    if size < 0 or step <= 0:
        raise ShapeError(
            f"unfold: size {size} must be at least 0 and step is {step} but must be > 0"
        )
    if size > n:
        raise ShapeError(
            f"unfold: maximum size for tensor at dimension {dim} is {n} but size is {size}"
        )
    return {"dimension": dim, "size": size, "step": step}


@view(public=False, prepare=_window)
def unfold(xp, x, *, dimension, size, step):
    """Return all windows along a dim, as a view.

    Args:
        dimension: The dim along which the window slides. Negative dims count from the end.
        size: Elements of a window.
        step: Elements from window to window.

    Returns:
        Tensor of the tensor's shape, but with ``(n - size) // step + 1`` windows instead of the n
        elements of the dim. A new last dim of size ``size`` holds the elements of a window.

    Raises:
        RuntimeError: ``size`` is negative or more than n, or ``step`` is not positive.

    >>> import rushlight as torch
    >>> torch.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    shape, strides = x.shape or (1,), strides_of(x) or (x.itemsize,)
    count = (shape[dimension] - size) // step + 1
    new_shape = [*shape[:dimension], count, *shape[dimension + 1 :], size]
    stride = strides[dimension]
    new_strides = [*strides[:dimension], step * stride, *strides[dimension + 1 :], stride]
    if not x.ndim:
        new_shape, new_strides = [size], [x.itemsize]
    return strided(x, new_shape, new_strides)


@kernel(public=False, method=False, shape=lambda x, *, shape, **_: shape)
def overlap_add(xp, x, *, shape, dimension, step):
    """Put the windows ``x``, as ``unfold`` gives them, in their places and add what overlaps.

    The result has ``shape``, the shape of the tensor that was unfolded.
    """
    out = np.zeros(shape or (1,), x.dtype)
    x = x if shape else x[None]
    dimension %= out.ndim
    lead, rest = range(dimension), range(dimension + 1, out.ndim)
    target = out.transpose(*lead, *rest, dimension)
    windows = x.transpose(*lead, *rest, dimension, out.ndim)
    stride = target.strides[-1]
    # Parts of at most ``step`` elements of all windows at once, because these do not overlap.
    for first in range(0, x.shape[-1], step):
        part = windows[..., first : first + step]
        strides = (*target.strides[:-1], step * stride, stride)
        if part.size:
            places = ndarray(part.shape, out.dtype, out, first * stride, strides)
            places += part
    return out.reshape(shape)


@overlap_add.lower_on_devices
def _overlaps_on_devices(x, shape, dimension, step):
    from rushlight.ops.create.range import arange

    if not shape:
        return x.reshape(())
    windows = x.movedim(-1, dimension + 1)
    count, size = windows.shape[dimension : dimension + 2]
    places = (arange(count).reshape(-1, 1) * step + arange(size)).reshape(-1)
    windows = windows.reshape(*shape[:dimension], count * size, *shape[dimension + 1 :])
    return x.new_zeros(shape).index_add(dimension, places, windows)


unfold.grad(
    x=lambda g, x_shape, dimension, step: overlap_add(
        g, shape=tuple(x_shape), dimension=dimension, step=step
    )
)


def _each_unfolded(x, dimension, size, step):
    return x.unfold(dimension + 1, size, step) if x.ndim > 1 else x.unsqueeze(1)[:, :size]


unfold.op.batching = _each_unfolded
overlap_add.grad(x=lambda g, x_shape, dimension, step: windows_of(g, dimension, x_shape[-1], step))


def windows_of(g, dimension, size, step):
    """Call ``unfold`` on an array or a tensor."""
    if type(g) is ndarray:
        return unfold.op.forward(np, g, dimension=dimension, size=size, step=step)
    return unfold(g, dimension, size, step)


# Any strides ------------------------------------------------------------------------------


@view(public=False, method=False, name="as_strided", by_layout=True, of_storage=True,
      primitive="memory")  # fmt: skip
def _as_strided(xp, x, *, size, stride, start, geometry):
    """Return the view of x's storage with the given sizes, strides and offset, in elements.

    ``geometry`` is the (shape, strides, offset) of x at the time of the call.
    """
    return reach(x, size, stride, start, "as_strided")


def _as_strided_back(g, x_shape, size, stride, start, geometry):
    shape, strides, first = geometry
    read = start + places(size, stride)
    own = first + places(shape, strides)
    total = max(int(read.max(initial=-1)), int(own.max(initial=-1))) + 1
    memory = collected(g, (total,), read)
    found = chosen(memory, own, shape)
    shared = np.bincount(own.ravel(), minlength=total)[own]
    if not (shared > 1).any():
        return found
    return found / (shared.astype(g.dtype) if type(g) is ndarray else g.new_tensor(shared))


def places(shape, strides):
    """Return each element's distance from the first in memory, in the unit of ``strides``."""
    out = np.zeros(shape, np.int64)
    for i, (n, s) in enumerate(zip(shape, strides, strict=True)):
        out += (np.arange(n) * s).reshape([-1] + [1] * (len(shape) - i - 1))
    return out


_as_strided.grad(x=_as_strided_back)


@function
def as_strided(input, size, stride, storage_offset=None):
    """Return a view of ``input``'s storage with given sizes and strides.

    Args:
        size: The shape of the result: a tuple of ints.
        stride: Distance in the storage, in elements, from one index of each dim to the next.
        storage_offset: Position of the first element in the storage, in elements. Default: where
            ``input`` begins.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: The view would reach beyond the storage, a stride is negative, or ``size`` and
            ``stride`` differ in length.

    >>> import rushlight as torch
    >>> torch.arange(6).as_strided((2, 2), (3, 1), 1)
    tensor([[1, 2],
            [4, 5]])
    """
    if type(size) is type(stride) is tuple and type(input) is Tensor and not mode.intercept:
        array = plain(input)
        first, width = offset(array), array.itemsize
        start = first if storage_offset is None else storage_offset
        found = within(array, size, stride, start)
        if found is not None:
            own = array.shape, tuple([s // width for s in array.strides]), first
            params = {"size": size, "stride": stride, "start": start, "geometry": own}
            return viewed(_as_strided.op, input, found, params)
    tensor_array(input, "as_strided")
    size = shapes.sizes((size,), "as_strided")
    stride = tuple([s.__index__() for s in stride])
    if len(size) != len(stride):
        raise ShapeError(
            f"as_strided: mismatch in length of strides and shape: size {size}, stride {stride}"
        )
    if min(stride, default=0) < 0:
        raise ShapeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(stride)}"
        )
    own = geometry(input)
    start = own[-1] if storage_offset is None else storage_offset
    params = {"size": size, "stride": stride, "start": start, "geometry": own}
    if mode.intercept:
        return _as_strided(input, **params)
    found = reach(plain(input), size, stride, start, "as_strided")
    return viewed(_as_strided.op, input, found, params)


def geometry(x):
    """Return (shape, strides, offset) of a tensor, in elements."""
    array = x._array
    recorder = mode.recorder() if mode.intercept else None
    first = offset(array) if recorder is None else recorder.offset(x)
    return array.shape, tuple([s // array.itemsize for s in array.strides]), first


late.as_strided, late.geometry = as_strided, geometry
