"""Operations on the elements that a condition selects: where, nonzero, masked_select, …"""

import warnings

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.backend import numpy as backend
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import composed, function
from rushlight.ops.core.fast_path import FLOATS, plain, taped
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import elementwise, kernel
from rushlight.ops.core.promotion import promote
from rushlight.ops.core.range_checks import check_fit, require_fit
from rushlight.ops.core.rules import is_array
from rushlight.ops.create.filled import full
from rushlight.ops.index.along_dim import filled
from rushlight.ops.index.compaction import marked
from rushlight.ops.index.index_slices import zero_dim
from rushlight.ops.index.slice import embed
from rushlight.ops.reduce.scan import cumsum_
from rushlight.ops.shape.join import stack
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.tensor import Tensor, method

_BOOL = np.dtype(bool)
_MANY = large_from(4096)  # from so many elements on, NumPy counts flat indices faster


def check_mask(name, mask):
    """Raise unless ``mask`` is bool."""
    if mask.dtype.kind != "b":
        raise RuntimeError(f"{name}: expected BoolTensor for mask, got {OF[mask.dtype]}")


def _selected(x, mask):
    check_mask("masked_select", mask)
    shapes.broadcast("masked_select", x.shape, mask.shape, names=("input", "mask"))
    return {}


@kernel(widen=False, prepare=_selected, dynamic=True)
def masked_select(xp, x, mask):
    """Return the elements of ``input`` where ``mask`` is True.

    Args:
        mask: bool tensor. ``input`` and ``mask`` are broadcast to one shape.

    Returns:
        1-dim tensor, with the elements in the order of the dims.

    Raises:
        RuntimeError: ``mask`` is not bool, or the shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2, 3]).masked_select(torch.tensor([True, False, True]))
    tensor([1, 3])
    """
    x, mask = xp.broadcast_arrays(x, mask)
    return x[mask]


@masked_select.lower_by_counting
def _marked_elements(x, mask):
    shape = shapes.broadcast("masked_select", x.shape, mask.shape)
    places = marked(mask.expand(shape).reshape(-1))
    return x.expand(shape).reshape(-1).index_select(0, places)


def _masked_select_back(g, x_shape, mask):
    shape = np.broadcast_shapes(x_shape, mask.shape)
    if type(g) is not ndarray:
        mask = mask.expand(shape)
        return g.new_zeros(shape).masked_scatter(mask, g)
    out = np.zeros(shape, g.dtype)
    out[np.broadcast_to(mask, shape)] = g
    return out


masked_select.grad(x=_masked_select_back)
masked_select.watch(x="x")


@kernel(public=False, method=False, name="nonzero", widen=False, dynamic=True, keeps_order=True)
def _nonzero(xp, x):
    """Return the indices of all elements that are not zero, one row for each element."""
    if not x.ndim:
        return xp.empty((int(bool(x)), 0), xp.int64)
    marks = x if x.dtype.kind == "b" else x != 0
    if x.size < _MANY:
        return xp.array(marks.nonzero()).T
    flat = xp.flatnonzero(marks)
    return xp.stack(xp.unravel_index(flat, x.shape)).astype(xp.int64, copy=False).T


@_nonzero.lower_by_counting
def _marked_places(x):
    if not x.ndim:
        return NotImplemented
    flat = marked((x != 0).reshape(-1))
    columns: list[Tensor] = []
    for n in reversed(x.shape):
        columns.insert(0, flat % n)
        flat = flat // n
    return stack(columns).t()


@function
def nonzero(input, *, out=None, as_tuple=False):
    """Return the indices of all elements that are not zero.

    Args:
        out: int64 tensor that receives the result, only without ``as_tuple``.
        as_tuple: Return a tensor of indices for each dim. Default: False.

    Returns:
        int64 tensor (n, dims of ``input``), a row for each such element. With ``as_tuple``: its
        columns, a tuple of tensors (n).

    Raises:
        RuntimeError: ``out`` is given with ``as_tuple``.

    >>> import rushlight as torch
    >>> torch.nonzero(torch.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    if not as_tuple:
        return _nonzero(input, out=out)
    if out is not None:
        raise RuntimeError("nonzero: does not support the out kwarg when as_tuple is True")
    if not input.ndim:
        input = input.reshape(1)
    return _nonzero(input).unbind(1)


@function
def argwhere(input):
    """Return the indices of all elements that are not zero, as ``nonzero`` does.

    Returns:
        int64 tensor (n, dims of ``input``), a row for each such element.

    >>> import rushlight as torch
    >>> torch.argwhere(torch.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    return _nonzero(input)


def _of_values(operands):
    return promote(operands[1:])


@elementwise(public=False, method=False, inplace=False, name="where", casts=False, dtype=_of_values,
             conditions=(0,), eight_bits=True)  # fmt: skip
def _where(xp, condition, x, y):
    """Return ``x`` where the condition is not 0, and ``y`` elsewhere."""
    return xp.where(condition != 0, x, y)


_where.grad(
    x=lambda g, condition: choose(condition, g, 0),
    y=lambda g, condition: choose(condition, 0, g),
)


def choose(condition, x, y):
    """Call ``where`` on arrays or tensors. Either ``x`` or ``y`` is the number 0."""
    g = y if isinstance(x, int) else x
    if type(g) is not ndarray and isinstance(g, Tensor):
        return where(condition.bool(), x, y)
    condition = condition if is_array(condition) else np.asarray(condition)
    return np.where(condition != 0, x, y).astype(g.dtype, copy=False)


@function(method=False)
@takes("condition", "condition, input: operand, other: operand, *, out?=")
def where(condition, input=None, other=None, *, out=None):
    """Return ``input`` where ``condition`` is True, and ``other`` elsewhere.

    Args:
        condition: bool tensor. All three operands are broadcast to one shape.
        input: Tensor or number. Default: None, return ``nonzero(condition, as_tuple=True)``.
        other: Tensor or number; None if and only if ``input`` is.

    Returns:
        Tensor of the shape to which the operands are broadcast. With ``condition`` alone: a tuple
        of int64 tensors (n).

    Raises:
        RuntimeError: ``condition`` is not bool, or the shapes do not broadcast.

    >>> import rushlight as torch
    >>> x = torch.tensor([-1.0, 2.0])
    >>> torch.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if out is None and type(condition) is type(input) is Tensor:
        found = _chosen_directly(condition, input, other)
        if found is not None:
            return found
    elif out is None and type(condition) is Tensor and not mode.intercept:
        found = _number_or_chosen(condition, input, other)
        if found is not None:
            return found
    if not isinstance(condition, Tensor) or (input is None) != (other is None):
        given = ", ".join([type(v).__name__ for v in (condition, input, other) if v is not None])
        raise TypeError(f"where() received an invalid combination of arguments - got ({given})")
    if input is None:
        return nonzero(condition, as_tuple=True)
    d = condition._array.dtype
    if d.kind != "b":
        if d.name != "uint8":
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{condition.dtype}"
            )
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated; use a boolean "
            "condition instead.", stacklevel=2,
        )  # fmt: skip
        condition = condition.bool()
    for v in (input, other):
        if type(v) is int or (type(v) is float and abs(v) > 3e38):
            dtype = promote((input, other))
            if dtype.category == 1 if type(v) is int else dtype.numpy in FLOATS:
                as_scalar(v, dtype.numpy)  # raises if the dtype has no such number
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = promote((input, other))
        input, other = full((), input, dtype=dtype), full((), other, dtype=dtype)
    return _where(condition, input, other, out=out)


def _chosen_directly(condition, x, y):
    """``where`` of contiguous floats on the fast path, or None. Many have one shape.

    ``y`` may be a number.
    """
    numeric = type(y) is float or type(y) is int
    if mode.intercept or not (numeric or type(y) is Tensor):
        return None
    c, a = plain(condition), plain(x)
    if a.dtype not in FLOATS or c.dtype is not _BOOL or (numeric and a.size >= _MANY):
        return None
    b = as_scalar(y, a.dtype) if numeric else plain(y)
    if a.dtype is not b.dtype:
        return None
    if 1 in a.shape or 1 in b.shape or 1 in c.shape:
        return None
    if not (a.flags.c_contiguous and b.flags.c_contiguous and c.flags.c_contiguous):
        return None
    if max(a.size, b.size, c.size) < _MANY:
        try:
            found = np.where(c, a, b)
        except ValueError:
            return None  # the full path says which shapes do not broadcast
    elif a.shape == b.shape == c.shape:
        found = backend.where(c, a, b)
    else:
        return None
    nodes = (None, x.node, None if numeric else y.node)
    return taped(_where.op, found, nodes, (c,), (condition.cell,))


def _number_or_chosen(condition, number, y):
    """``where`` of a number and a few contiguous floats on the fast path, or None."""
    if type(y) is not Tensor or (type(number) is not float and type(number) is not int):
        return None
    c, a = plain(condition), plain(y)
    if a.dtype not in FLOATS or c.dtype is not _BOOL or a.shape != c.shape or a.size >= _MANY:
        return None
    if 1 in a.shape or not (a.flags.c_contiguous and c.flags.c_contiguous):
        return None
    found = np.where(c, as_scalar(number, a.dtype), a)
    return taped(_where.op, found, (None, None, y.node), (c,), (condition.cell,))


def _where_method(self, condition, other):
    """Return this tensor's elements where ``condition`` is True, and those of ``other`` elsewhere.

    Args:
        condition: bool tensor. It, this tensor and ``other`` are broadcast to one shape.
        other: Tensor or number.

    Returns:
        Tensor of the shape to which the operands are broadcast.

    Raises:
        RuntimeError: ``condition`` is not bool, or the shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).where(torch.tensor([True, False]), torch.tensor([8, 9]))
    tensor([1, 9])
    """
    return where(condition, self, other)


_where_method.__name__ = _where_method.__qualname__ = "where"
Tensor.where = _where_method


# Writing ----------------------------------------------------------------------------------


def _maskable(x, mask, value):
    if mask.dtype.kind != "b":
        raise RuntimeError(
            f"masked_fill only supports boolean masks, but got mask with dtype {OF[mask.dtype]}"
        )
    zero_dim("masked_fill", value)
    shapes.broadcast("masked_fill", x.shape, mask.shape, names=("input", "mask"))
    return {}


def _mask_into(out, mask, value):
    if np.broadcast_shapes(out.shape, mask.shape) != out.shape:
        raise ShapeError(
            f"masked_fill_: output with shape {list(out.shape)} doesn't match the broadcast shape "
            f"of mask {list(mask.shape)}"
        )
    np.copyto(out, as_scalar(value, out.dtype), where=mask)


@kernel(widen=False, prepare=_maskable, public=False, method=False, name="masked_fill",
        check=lambda x, _, value: require_fit(x, value))  # fmt: skip
def _masked_fill(xp, x, mask, value):
    """Return a copy of ``x`` with ``value`` where ``mask`` is True."""
    return xp.where(mask, as_scalar(value, x.dtype), x)


_masked_fill.lower(lambda x, mask, value: where(mask, filled(x, value), x))
_masked_fill.lower_check(lambda x, value: check_fit(x, value))
_masked_fill.grad(
    x=lambda g, mask: choose(mask, 0, g),
    value=lambda g, mask: choose(mask, g, 0).sum(),
)


@function(kinds={"value": "value"})
def masked_fill(input, mask, value):
    """Return a copy of ``input`` with ``value`` where ``mask`` is True.

    Args:
        mask: bool tensor. ``input`` and ``mask`` are broadcast to one shape.
        value: Number or 0-dim tensor.

    Returns:
        Tensor of the shape to which ``input`` and ``mask`` are broadcast, of ``input``'s dtype.

    Raises:
        RuntimeError: ``mask`` is not bool, ``value`` has dims, or the dtype cannot hold it.

    >>> import rushlight as torch
    >>> torch.zeros(3).masked_fill(torch.tensor([True, False, True]), 9.0)
    tensor([9., 0., 9.])
    """
    return _masked_fill(input, mask, value)


@composed
@method
def masked_fill_(self, mask, value):
    """In-place version of ``masked_fill``."""
    return overwrite(self, _masked_fill, (mask, value), {}, _mask_into, shared="masked_fill_")


def _masked_source(x, mask, source):
    if x.dtype != source.dtype:
        raise DtypeError(
            f"masked_scatter: expected self and source to have same dtypes but got {OF[x.dtype]} "
            f"and {OF[source.dtype]}"
        )
    if mask.dtype.kind != "b":
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks: expected BoolTensor for mask, got "
            f"{OF[mask.dtype]}"
        )
    shapes.broadcast("masked_scatter", x.shape, mask.shape, names=("input", "mask"))
    return {}


def _scatter_mask_into(out, mask, source):
    mask = np.broadcast_to(mask, out.shape)
    n = int(np.count_nonzero(mask))
    if source.size < n:
        raise ShapeError(
            f"masked_scatter: Number of elements of source ({source.size}) < number of ones in "
            f"mask ({n})"
        )
    out[mask] = source.reshape(-1)[:n]


@kernel(public=False, method=False, name="masked_scatter", widen=False, prepare=_masked_source)
def _masked_scatter(xp, x, mask, source):
    """Return a copy of ``x`` with the elements of ``source``, in order, where ``mask`` is True."""
    out = xp.broadcast_to(x, xp.broadcast_shapes(x.shape, mask.shape)).copy()
    _scatter_mask_into(out, mask, source)
    return out


@_masked_scatter.lower_by_counting
def _scattered_to_marks(x, mask, source):
    shape = shapes.broadcast("masked_scatter", x.shape, mask.shape)
    mask = mask.expand(shape).reshape(-1)
    places = cumsum_(mask.to(int64), dim=0) - 1
    if not source.numel() or places[-1].item() >= source.numel():
        return NotImplemented  # too few elements: the forward raises the error
    taken = source.reshape(-1).index_select(0, places.clamp(0))
    return taken.where(mask, x.expand(shape).reshape(-1)).reshape(shape)


def _masked_source_back(g, mask, source_shape):
    n = shapes.numel(source_shape)
    if type(g) is ndarray:
        taken = g[np.broadcast_to(mask, g.shape)]
        out = np.zeros(n, g.dtype)
        out[: taken.size] = taken
        return out.reshape(source_shape)
    taken = g.masked_select(mask)
    return embed(taken, shape=(n,), index=(slice(taken._array.size),)).reshape(source_shape)


_masked_scatter.grad(x=lambda g, mask: choose(mask, 0, g), source=_masked_source_back)


@function
def masked_scatter(input, mask, source):
    """Return a copy of ``input`` with ``source``'s elements, in order, where ``mask`` is True.

    Args:
        mask: bool tensor. ``input`` and ``mask`` are broadcast to one shape.
        source: Tensor (*) of ``input``'s dtype, with at least as many elements as ``mask`` has
            True after broadcasting.

    Returns:
        Tensor of the shape to which ``input`` and ``mask`` are broadcast.

    Raises:
        RuntimeError: ``mask`` is not bool, the dtypes differ, or ``source`` has too few elements.

    >>> import rushlight as torch
    >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    return _masked_scatter(input, mask, source)


@method
def masked_scatter_(self, mask, source):
    """In-place version of ``masked_scatter``."""
    return overwrite(self, _masked_scatter, (mask, source), {}, _scatter_mask_into)
