"""Operations that repeat or reorder elements: repeat, tile, flip, roll, meshgrid."""

import warnings

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.device_array import placed, to_host
from rushlight.dtype import OF
from rushlight.errors import DimError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import OPS, function
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.kinds import kernel
from rushlight.ops.create.range import arange
from rushlight.ops.index.compaction import spread
from rushlight.ops.index.slice import FULL, SLICE
from rushlight.ops.shape.join import cat
from rushlight.ops.shape.view import tensor_array
from rushlight.remote import device_of
from rushlight.strides import ordered_like
from rushlight.tensor import Tensor, from_array

_BACK = slice(None, None, -1)

# Repeating --------------------------------------------------------------------------------


def _repeats(x, *, repeats):
    repeats = shapes.sizes((repeats,) if isinstance(repeats, (tuple, list)) else repeats, "repeat")
    if len(repeats) < x.ndim:
        raise ShapeError(
            "repeat: Number of dimensions of repeat dims can not be smaller than number of "
            f"dimensions of tensor: repeats {repeats}, tensor {tuple(x.shape)}"
        )
    return {"repeats": repeats}


@kernel(public=False, widen=False, varargs=True, prepare=_repeats, moves=True)
def repeat(xp, x, *, repeats):
    """Return a copy of the tensor that repeats it along each dim.

    Args:
        repeats: How often each dim is repeated: a tuple of ints, or several ints. If there are more
            numbers than dims, the result gets new leading dims.

    Returns:
        Tensor whose size in each dim is the old size times the number of repeats.

    Raises:
        RuntimeError: There are fewer numbers than dims.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    return xp.tile(x, repeats)


@repeat.lower
def _repeat_of_expand(x, repeats):
    if 0 in repeats:
        return NotImplemented
    shape = (*[1] * (len(repeats) - len(x.shape)), *x.shape)
    ones = [n for size in shape for n in (1, size)]
    many = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    return (
        x.reshape(ones).expand(many).reshape([r * n for r, n in zip(repeats, shape, strict=True)])
    )


def _repeat_back(g, x_shape, repeats):
    lead = len(repeats) - len(x_shape)
    full = (*[1] * lead, *x_shape)
    split = [n for pair in zip(repeats, full, strict=True) for n in pair]
    if 0 in repeats:
        return np.zeros(x_shape, g.dtype) if type(g) is ndarray else g.new_zeros(x_shape)
    return g.reshape(split).sum(tuple(range(0, len(split), 2))).reshape(x_shape)


repeat.grad(x=_repeat_back)


@function(kinds={"dims": "shape"})
def tile(input, dims):
    """Return a copy of ``input`` that repeats it along its last dims.

    Args:
        dims: How often each of the last dims is repeated: a tuple of ints; the method also takes
            several ints. The dims before them are not repeated. If there are more numbers than
            dims, the result gets new leading dims.

    Returns:
        Tensor whose size in each dim is the old size times the number of repeats.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).tile(2)
    tensor([1, 2, 1, 2])
    """
    missing = tensor_array(input, "tile").ndim - len(dims)
    return repeat(input, (1,) * missing + tuple(dims))


def _times(x, repeats, *, dim, output_size):
    n = x.shape[dim] if x.ndim else 1
    if repeats.dtype.kind != "i" or repeats.dtype.itemsize < 4:
        raise NotImplementedError(
            f'"repeat_interleave_cpu" not implemented for {OF[repeats.dtype]}'
        )
    if repeats.ndim > 1:
        raise RuntimeError("repeat_interleave: repeats must be 0-dim or 1-dim tensor")
    if repeats.size not in (1, n):
        raise ShapeError(
            "repeat_interleave: repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {repeats.size} and input.size({dim}) = {n}"
        )
    return {"dim": dim, "output_size": output_size}


def _not_negative(x, repeats, *, dim, output_size):
    if repeats.size and repeats.min() < 0:
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    total = int(np.broadcast_to(repeats, (x.shape[dim],)).sum())
    if output_size is not None and output_size != total:
        raise RuntimeError(
            "repeat_interleave: allocated size does not match required size: output_size is "
            f"{output_size}, the repeats sum to {total}"
        )


@kernel(
    public=False, method=False, name="repeat_interleave", widen=False, prepare=_times,
    grad_name="IndexSelectBackward0", dynamic=True, check=_not_negative, copied=("repeats",),
)  # fmt: skip
def _repeat_interleave(xp, x, repeats, *, dim, output_size=None):
    """Repeat each slice of ``x`` along ``dim`` as often as ``repeats`` says."""
    return xp.repeat(x, repeats if repeats.ndim else int(repeats), dim)


@_repeat_interleave.lower_by_counting
def _interleaved(x, repeats, dim, output_size):
    repeats = repeats.expand(x.shape[dim]) if x.shape else repeats.reshape(-1)
    if not repeats.numel() or repeats.min().item() < 0:
        return NotImplemented
    rows = spread(repeats)
    if output_size not in (None, len(rows)):
        return NotImplemented  # the forward raises the error
    return x.index_select(dim, rows)


def _interleave_back(g, x_shape, repeats, dim):
    if isinstance(g, Tensor) and isinstance(repeats, Tensor):
        rows = _repeat_interleave(arange(x_shape[dim]), repeats, dim=0)
        return g.new_zeros(x_shape).index_add(dim, rows, g)
    counts = np.broadcast_to(to_host(getattr(repeats, "_array", repeats)), (x_shape[dim],))
    rows = np.repeat(np.arange(x_shape[dim]), counts)
    if type(g) is ndarray:
        from rushlight.backend.accumulate import add_at

        out = np.zeros(x_shape, g.dtype)
        add_at(out, (*[slice(None)] * dim, rows), g)
        return out
    index = from_array(placed(rows, device_of(g)))
    return g.new_zeros(x_shape).index_add(dim, index, g)


_repeat_interleave.grad(x=_interleave_back)


@kernel(public=False, method=False, name="repeat_each", widen=False, grad_name="ViewBackward0",
        moves=True)  # fmt: skip
def _repeat_each(xp, x, *, dim, repeats):
    """Repeat each slice of ``x`` along ``dim`` ``repeats`` times."""
    return xp.repeat(x, repeats, dim)


@_repeat_each.lower
def _repeat_each_of_expand(x, dim, repeats):
    before, after = x.shape[: dim + 1], x.shape[dim + 1 :]
    many = x.unsqueeze(dim + 1).expand((*before, repeats, *after))
    return many.reshape((*before[:-1], before[-1] * repeats, *after))


def _repeat_each_back(g, x_shape, dim, repeats):
    if not repeats:
        return np.zeros(x_shape, g.dtype) if type(g) is ndarray else g.new_zeros(x_shape)
    return g.reshape((*x_shape[: dim + 1], repeats, *x_shape[dim + 1 :])).sum(dim + 1)


_repeat_each.grad(x=_repeat_each_back)


@function
@takes(
    "input: Tensor, *, output_size?=",
    "input, repeats: Tensor, dim?=, *, output_size?=",
    "input, repeats: int, dim?=, *, output_size?=",
    "repeats: Tensor, *, output_size?=",
)
def repeat_interleave(input=None, repeats=None, dim=None, *, output_size=None):
    """Repeat each slice along ``dim``, so that the copies of a slice follow each other.

    If a tensor of repeats is the only argument, the indices 0, 1, 2, … are repeated.

    Args:
        repeats: How often each slice is repeated: a number, or a 1-dim integer tensor with one
            number for each slice.
        dim: The dim whose slices are repeated. Negative dims count from the end. Default: flatten
            ``input`` and repeat its elements.
        output_size: Size of the result in ``dim``, which must be the sum of the repeats. Default:
            not checked.

    Returns:
        Tensor of ``input``'s shape, or 1-dim without ``dim``. The sum of the repeats is its size in
        ``dim``.

    Raises:
        RuntimeError: A number of repeats is negative, or the repeats do not fit ``input``.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).repeat_interleave(2), torch.repeat_interleave(torch.tensor([1, 2]))
    (tensor([1, 1, 2, 2]), tensor([0, 1, 1]))
    """
    if input is None:  # the only tensor was given by the name of the repeats
        input, repeats = repeats, None
    if repeats is None:
        if input._array.ndim != 1:
            raise RuntimeError("repeat_interleave: repeats must be 1-dim tensor")
        return _repeat_interleave(arange(input._array.shape[0]), input, 0, output_size)
    if dim is None:
        input, dim = input.reshape(-1), 0
    elif not input._array.ndim:
        raise DimError(
            f"repeat_interleave: Dimension specified as {dim} but tensor has no dimensions"
        )
    dim = shapes.dim(dim, input._array.ndim, "repeat_interleave")
    if isinstance(repeats, Tensor):
        return _repeat_interleave(input, repeats, dim, output_size)
    if repeats < 0:
        raise RuntimeError(f"repeat_interleave: Repeats must be non-negative, not {repeats}")
    size = repeats * input._array.shape[dim]
    if output_size is not None and output_size != size:
        raise RuntimeError(
            f"repeat_interleave: Invalid output_size, expected {size} but got {output_size}"
        )
    return _repeat_each(input, dim, repeats)


# Reordering -------------------------------------------------------------------------------


def _flippable(x, *, dims):
    return {"dims": shapes.dims(dims, x.ndim, "flip") if isinstance(dims, int) or dims else ()}


#: From ``_LARGE`` elements on, rows of at most ``_NARROW`` elements are turned many at a time.
#: Rows of at most ``_WIDE`` bytes that stay as they are are copied as single elements.
_NARROW, _WIDE, _LARGE = 8, 4096, large_from(4096)


def _turned(x, dims):
    """A copy of the array ``x`` with the elements of ``dims`` in reversed order."""
    if not dims or not x.size:
        return x.copy()
    found = x[(*[_BACK if d in dims else FULL for d in range(x.ndim)], ...)]
    if x.size < _LARGE or not x.flags.c_contiguous:
        return found.copy()
    sizes: list[int] = []  # neighbouring dims that are turned together, or stay, count as one
    turns: list[bool] = []
    for d, n in enumerate(x.shape):
        if turns and (d in dims) is turns[-1]:
            sizes[-1] *= n
        else:
            sizes.append(n)
            turns.append(d in dims)
    if turns[-1] and sizes[-1] > _NARROW:
        rows = x.reshape(sizes)[tuple([_BACK if turned else FULL for turned in turns])]
        copied = native.flipped(rows)
        if copied is not None:
            return copied.reshape(x.shape)
    elif turns[-1] or sizes[-1] == 3:
        matrices = (1, -1, sizes[-1]) if turns[-1] else (-1, *sizes[-2:])
        copied = native.short_flipped(x.reshape(matrices), turns[-1])
        if copied is not None:
            others = [d for d, turned in enumerate(turns) if turned][:-1]
            copied = copied.reshape(sizes)
            return (_turned(copied, others) if others else copied).reshape(x.shape)
    if x.shape[-1] > 64 and x.dtype.kind != "c":  # NumPy's copy is as fast then
        return found.copy()
    kind = "u8" if x.dtype.char == "F" else None  # NumPy is slow with complex64
    # Columns are faster for 3: NumPy takes about 3 ns for an element of an odd size.
    if not turns[-1] and sizes[-1] != 3 and sizes[-1] * x.itemsize <= _WIDE:
        kind = f"V{sizes[-1] * x.itemsize}"
        sizes[-1] = 1
    rows = (x if kind is None else x.reshape(-1).view(kind)).reshape(sizes)
    found = rows[tuple([_BACK if turned else FULL for turned in turns])]
    if 1 < sizes[-1] <= 3:
        out = np.empty(rows.shape, rows.dtype)
        for k in range(sizes[-1]):
            out[..., k] = found[..., k]
    else:
        out = found.copy()
    return (out if kind is None else out.reshape(-1).view(x.dtype)).reshape(x.shape)


@kernel(widen=False, varargs=True, prepare=_flippable, keeps_order=True, moves=True)
def flip(xp, x, *, dims):
    """Return a copy of ``input`` with the order of elements reversed along some dims.

    Args:
        dims: The dims to reverse: a tuple of ints, or several ints. Negative dims count from the
            end.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).flip(0)
    tensor([[3, 4],
            [1, 2]])
    """
    return ordered_like(_turned(x, dims), x)


flip.op.batching = "along"


@flip.lower
def _flip_of_slice(x, dims):
    index = tuple([_BACK if d in dims else FULL for d in range(x._array.ndim)])
    return apply(SLICE, (x,), {"index": index})


flip.grad(x=lambda g, dims: _turned(g, dims) if type(g) is ndarray else flip(g, dims))


@function
def fliplr(input):
    """Return a copy of ``input`` with the order of elements reversed along dim 1.

    Args:
        input: Tensor ``(M, N, *)`` of at least 2 dims.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.fliplr(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if tensor_array(input, "fliplr").ndim < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d.")
    return flip(input, (1,))


@function
def flipud(input):
    """Return a copy of ``input`` with the order of elements reversed along dim 0.

    Args:
        input: Tensor ``(N, *)`` of at least 1 dim.

    Returns:
        Tensor of ``input``'s shape.

    >>> import rushlight as torch
    >>> torch.flipud(torch.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if tensor_array(input, "flipud").ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return flip(input, (0,))


def _rollable(x, *, shifts, dims):
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = tuple(dims) if isinstance(dims, (tuple, list)) else () if dims is None else (dims,)
    if not shifts:
        raise RuntimeError("roll: `shifts` required")
    if len(shifts) != len(dims) and not (not dims and len(shifts) == 1):
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims: {len(dims)}"
        )
    if not x.size:  # like PyTorch, do not check the dims of an empty tensor
        return {"shifts": (0,), "dims": ()}
    if dims and not x.ndim:
        raise DimError(f"roll: Dimension specified as {dims[0]} but tensor has no dimensions")
    return {"shifts": shifts, "dims": tuple([shapes.dim(d, x.ndim, "roll") for d in dims])}


@kernel(widen=False, prepare=_rollable, keeps_order=True, kinds={"dims": "ints"},
        moves=True)  # fmt: skip
def roll(xp, x, *, shifts, dims=None):
    """Return a copy of ``input`` with its elements moved along some dims.

    Elements that move past the end come in at the beginning.

    Args:
        shifts: By how many positions the elements move: int, or one for each of ``dims``. Negative
            numbers move them towards the beginning.
        dims: The dims along which they move: int or ints. Negative dims count from the end.
            Default: the tensor is flattened, shifted, and gets its shape back.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``shifts`` and ``dims`` differ in length.

    >>> import rushlight as torch
    >>> torch.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    if not dims:
        return roll.op.forward(xp, x.reshape(-1), shifts=shifts, dims=(0,)).reshape(x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        cut = -shift % (x.shape[dim] or 1)
        ahead = (FULL,) * dim
        parts = [x[(*ahead, slice(cut, None))], x[(*ahead, slice(cut))]]
        if x.ndim < 4:
            x = np.concatenate(parts, dim, np.empty(x.shape, x.dtype))
        else:  # images keep the order of their dims
            x = OPS["cat"].forward(xp, parts, dim=dim)
    return x


@roll.lower
def _roll_of_cat(x, shifts, dims):
    if not x.shape:
        return x
    if not dims:
        return _rolled(x.reshape(x.numel()), shifts[0], 0).reshape(x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        x = _rolled(x, shift, dim)
    return x


def _rolled(x, shift, dim):
    n = x.shape[dim]
    cut = -shift % n
    return cat([x.narrow(dim, cut, n - cut), x.narrow(dim, 0, cut)], dim) if cut else x


def _roll_back(g, shifts, dims):
    back = tuple([-s for s in shifts])
    return (
        roll.op.forward(np, g, shifts=back, dims=dims)
        if type(g) is ndarray
        else (roll(g, back, dims))
    )


roll.grad(x=_roll_back)


@function(method=False, in_python=True)
def meshgrid(*tensors, indexing=None):
    """Return the coordinates of a grid: one tensor of the grid's shape for each axis.

    Args:
        *tensors: n tensors of one dtype with 0 or 1 dims, which hold the positions along each axis:
            several arguments, or one list.
        indexing: With ``"ij"`` tensor i varies along dim i of the grid. With ``"xy"`` the first
            tensor varies along dim 1, and the second along dim 0. Default: ``"ij"``, with a
            warning.

    Returns:
        Tuple of n tensors of the grid's n-dim shape. Each is a view of its tensor.

    Raises:
        RuntimeError: A tensor has more than 1 dim, or the dtypes or devices differ.

    >>> import rushlight as torch
    >>> x, y = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
    >>> x.tolist(), y.tolist()
    ([[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            stacklevel=2,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    if max([tensor_array(t, "meshgrid").ndim for t in tensors]) > 1:
        bad = next(t for t in tensors if t._array.ndim > 1)
        raise RuntimeError(
            f"meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tuple(bad.shape)}"
        )
    if len({t._array.dtype for t in tensors}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if len({device_of(t) for t in tensors}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same device")
    n = len(tensors)
    # With "xy", the first tensor varies along dim 1 and the second along dim 0.
    axes = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else range(n)
    shape = [0] * n
    for axis, t in zip(axes, tensors, strict=True):
        shape[axis] = t._array.size
    return tuple(
        [
            t.reshape((1,) * axis + (-1,) + (1,) * (n - 1 - axis)).expand(shape)
            for axis, t in zip(axes, tensors, strict=True)
        ]
    )
