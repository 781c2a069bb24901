"""Python's indexing, read and written: ``x[1:3, None, mask]``.

As in PyTorch it has two stages. Ints, slices, None and Ellipsis give a view; then tensors,
arrays and lists index full slices of that view.
"""

import operator
import warnings

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import assign, check_overlap, check_write, stamp
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.cast import as_scalar, converted, copy_, to
from rushlight.ops.dispatch import apply, record
from rushlight.ops.gather import indexed, key_of
from rushlight.ops.index_put import put
from rushlight.ops.kinds import kernel, view
from rushlight.storage import contiguous_strides, offset, reach, strided, strides_of
from rushlight.tensor import Tensor, ViewOf, from_array, method

_new = object.__new__
_FULL = slice(None)


# The view ---------------------------------------------------------------------------------


def look_at(xp, x, *, index):
    """``x[index]`` for ints, slices, None and Ellipsis, with PyTorch's strides."""
    out = x[index]
    if None in index or not out.size:
        return _exact(x, index)
    return out


def _exact(x, index):
    """``x[index]``, its strides and offset computed as PyTorch does for None and empty slices."""
    if x.flags.c_contiguous and x.size and 1 not in x.shape:
        for k in index:
            if k is not None and k is not Ellipsis:
                break
        else:
            out = x[index]
            return strided(out, out.shape, contiguous_strides(out.shape, x.itemsize))
    size = x.itemsize
    have = [s // size for s in strides_of(x)]
    shape, strides, start, dim = [], [], offset(x), 0
    for k in _filled(x.ndim, index):
        if k is None:
            shape.append(1)
            strides.append(x.shape[dim] * have[dim] if dim < x.ndim else 1)
            continue
        if isinstance(k, slice):
            first, last, step = k.indices(x.shape[dim])
            shape.append(len(range(first, last, step)))
            strides.append(have[dim] * step)
            start += first * have[dim]
        else:
            start += (k % x.shape[dim]) * have[dim]
        dim += 1
    return reach(x, shape, strides, start, "index")


def _filled(ndim, index):
    """``index`` with a full slice for each dim that Ellipsis stands for."""
    missing = ndim - sum(k is not None and k is not Ellipsis for k in index)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    return (*index[:at], *[_FULL] * missing, *index[at + 1 :])


@kernel(public=False, method=False, widen=False)
def embed(xp, x, *, shape, index):
    """Zeros of ``shape`` with ``x`` where the basic ``index`` looks."""
    out = xp.zeros(shape, x.dtype)
    out[index] = x
    return out


embed.grad(x=lambda g, index: g[index])


def _embedded(g, x_shape, index):
    if type(g) is ndarray:
        return embed.op.forward(np, g, shape=x_shape, index=index)
    return embed(g, shape=x_shape, index=index)


def basic(name, grad_name, **options):
    """An operation that gives the view ``x[index]`` under its own name."""
    made = view(look_at, public=False, method=False, name=name, grad_name=grad_name, **options)
    made.grad(x=_embedded)
    return made.op


# One operation by the names of PyTorch's single steps.
SELECT = basic("select_index", "SelectBackward0")
SLICE = basic("slice_index", "SliceBackward0")
UNSQUEEZE = basic("unsqueeze_index", "UnsqueezeBackward0")
ALIAS = basic("alias_index", "AliasBackward0")


def look(x, op, index):
    """The view ``x[index]``, recorded as ``op``; ``index`` is a tuple, ``...`` in it or at its end."""
    if mode.intercept:
        return apply(op, (x,), {"index": index})
    cell = x.cell
    source = x.view_of
    if source is None:
        root, path = x, ((op, (), {"index": index}),)
    else:
        if source.seen != cell[0]:
            refresh(x)
        root, path = source.root, (*source.path, (op, (), {"index": index}))
    try:
        array = x.array[index]
    except IndexError as error:
        _explain(error, x.array, index)
    if None in index or not array.size:
        array = _exact(x.array, index)
    out = _new(Tensor)
    out.array = array
    out._grad = out.node = None
    out.cell = cell
    grad = not mode.grad_off or mode.state.grad
    out.view_of = ViewOf(root, path, cell[0], not grad)
    node = x.node
    if node is not None and grad:
        record(op, (x,), (x.array,), (node,), {"index": index}, out)
    return out


def _explain(error, array, index):
    shape = tuple(array.shape)
    text = str(error)
    if "too many" in text:
        if not shape:
            text = (
                "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number"
            )
        else:
            text = f"too many indices for tensor of dimension {len(shape)} (shape {shape})"
    raise IndexError(text.replace("axis", "dimension")) from None


# Reading an index -------------------------------------------------------------------------


def _integer_slice(s):
    """``s`` with plain ints and a positive step."""
    step = 1 if s.step is None else operator.index(s.step)
    if step <= 0:
        if step == 0:
            raise ValueError("slice step cannot be zero")
        raise ValueError(f"step must be greater than zero, not {step}: use flip() to reverse a dim")
    try:
        start, stop = [None if v is None else operator.index(v) for v in (s.start, s.stop)]
    except TypeError:
        raise TypeError("slice indices must be integers or None or have an __index__ method") from None
    return slice(start, stop, step)


_INDICES = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices"


def index_tensor(k):
    """A tensor of ints or bool from an index that is a tensor, an array or a sequence."""
    if isinstance(k, Tensor):
        d = k.array.dtype
        if d.kind == "b" or d.name in ("int64", "int32"):
            return k
        if d.name == "uint8":
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead.", stacklevel=4,
            )  # fmt: skip
            return to(k, OF[np.dtype(bool)])
        if k.array.ndim == 0 and d.kind in "iu":
            return to(k, OF[np.dtype("i8")])
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not {k.dtype}"
        )
    if isinstance(k, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(k, ndarray) or hasattr(k, "__getitem__") and hasattr(k, "__len__") and not isinstance(k, dict):
        from rushlight.ops.data import tensor

        found = tensor(k) if len(k) or isinstance(k, ndarray) else from_array(np.empty(0, np.int64))
        if found.array.dtype.kind == "b" or found.array.dtype == np.uint8:
            return index_tensor(found)
        return from_array(found.array.astype(np.int64))
    raise IndexError(f"{_INDICES} (got {type(k).__name__})")


def _as_tuple(index):
    """The items of an index; a list that holds slices, None or sequences stands for a tuple."""
    if type(index) is tuple:
        return index
    if isinstance(index, list) and len(index) < 32 and any(
        k is None or k is Ellipsis or isinstance(k, (slice, list, tuple, ndarray))
        or (isinstance(k, Tensor) and k.array.ndim) for k in index
    ):  # fmt: skip
        return tuple(index)
    return (index,)


def _simplified(k):
    """An item of an index as int, slice, None, Ellipsis, Python bool or an index tensor."""
    if k is None or k is Ellipsis or type(k) is int or type(k) is bool:
        return k
    if isinstance(k, slice):
        return _integer_slice(k)
    if isinstance(k, np.bool_):
        raise IndexError(f"{_INDICES} (got {type(k).__name__})")
    if not isinstance(k, (Tensor, ndarray)) and hasattr(k, "__index__"):
        return operator.index(k)
    k = index_tensor(k if not isinstance(k, ndarray) or k.ndim else from_array(k))
    if k.array.ndim == 0 and mode.state.recorder is None:
        return k.array.item()  # an int selects, a bool adds a dim, as Python's do
    return k


def _consumed(k):
    """Dims of the tensor that an item of an index uses up."""
    if k is None or k is Ellipsis or k is True or k is False:
        return 0
    if isinstance(k, Tensor) and k.array.dtype.kind == "b":
        return k.array.ndim
    return 1


def _is_full(k, n):
    return not k.start and k.step == 1 and (k.stop is None or k.stop >= n)


def parse(x, index):
    """(op, basic index, [(dim, index tensor)]) that ``x[index]`` stands for."""
    items = [_simplified(k) for k in _as_tuple(index)]
    shape = x.array.shape
    used = sum(map(_consumed, items))
    if used > len(shape):
        _too_many(items, len(shape))
    basic, advanced, op, dim, at = [], [], None, 0, 0
    for k in items:
        if _consumed(k) and at >= len(shape):
            _too_many(items, len(shape))  # after a second Ellipsis
        if k is Ellipsis:
            missing = len(shape) - used
            basic += [_FULL] * (missing if at + missing <= len(shape) else 0)
            dim += missing
            at += missing
        elif k is True or k is False:
            basic.append(None)
            advanced.append((dim, from_array(np.zeros(int(k), np.int64))))
            op = UNSQUEEZE
            dim += 1
        elif k is None:
            basic.append(None)
            op = UNSQUEEZE
            dim += 1
        elif type(k) is slice:
            basic.append(k)
            if type(index) is slice or not _is_full(k, shape[at]):
                op = SLICE
            dim += 1
            at += 1
        elif type(k) is int:
            _check_bounds(k, at, shape)
            basic.append(k)
            op = SELECT
            at += 1
        else:
            n = _consumed(k)
            _check_mask(k, at, n, shape)
            advanced.append((dim, k))
            basic += [_FULL] * n
            dim += n
            at += n
    return op, (*basic, Ellipsis), advanced


def _too_many(items, ndim):
    if ndim == 0 and len(items) == 1:
        if type(items[0]) is slice:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number"
        )
    raise IndexError(f"too many indices for tensor of dimension {ndim}")


def _check_bounds(k, dim, shape):
    if dim < len(shape) and not -shape[dim] <= k < shape[dim]:
        raise IndexError(f"index {k} is out of bounds for dimension {dim} with size {shape[dim]}")


def _check_mask(k, dim, n, shape):
    array = k.array
    if array.dtype.kind == "b" and array.shape != shape[dim : dim + n]:
        at = next((i for i in range(n) if array.shape[i] != shape[dim + i]), 0)
        raise IndexError(
            f"The shape of the mask {list(array.shape)} at index {at} does not match the shape of the "
            f"indexed tensor {list(shape)} at index {dim + at}"
        )


# x[index] ---------------------------------------------------------------------------------


@method
def __getitem__(self, index):
    kind = type(index)
    if kind is int:
        return look(self, SELECT, (index, ...))
    if kind is slice and index.step is None:
        try:
            return look(self, SLICE, (index, ...))
        except TypeError:
            pass  # ends that are not plain ints: the long way
    if kind is Tensor:
        key, shape = index.array, self.array.shape
        if key.ndim and key.dtype.kind in "ib" and shape:
            if key.dtype.kind == "i" or key.shape == shape[: key.ndim]:
                return indexed(self, [(0, index_tensor(index))])
    if index is None:
        return look(self, UNSQUEEZE, (None, ...))
    op, basic, advanced = parse(self, index)
    if op is None and advanced:
        return indexed(self, advanced)
    seen = look(self, op or ALIAS, basic)
    return indexed(seen, advanced) if advanced else seen


# x[index] = value -------------------------------------------------------------------------


def _as_value(x, value):
    """``value`` as an array to write; TypeError for what PyTorch does not take."""
    if isinstance(value, Tensor):
        if value.view_of is not None:
            refresh(value)
        return value.array
    if isinstance(value, (bool, int, float, complex, np.integer)):
        return as_scalar(value, x.dtype)
    raise TypeError(f"can't assign a {type(value).__name__} to a torch.{OF[x.dtype].name} tensor")


@method
def __setitem__(self, index, value):
    found = _as_value(self.array, value)
    if type(index) is int:
        op, basic, advanced = SELECT, (index, ...), ()
    else:
        op, basic, advanced = parse(self, index)
    if mode.state.recorder is not None or _tracked(self, value):
        _write_recorded(self, op, basic, advanced, value, found)
        return
    check_write(self, "__setitem__")
    try:
        part = self.array[basic]
    except IndexError as error:
        _explain(error, self.array, basic)
    if found.dtype != part.dtype:
        if advanced and isinstance(value, Tensor):
            _check_dtypes(self, value, advanced)
            found = as_scalar(found.item(), part.dtype)
        else:
            found = converted(found, part.dtype)
    if advanced:
        while found.ndim and found.shape[0] == 1:
            found = found[0]
        key = key_of(part.ndim, [d for d, _ in advanced], [k.array for _, k in advanced])
    else:
        key = ...
        if 0 in part.strides and part.size:
            check_overlap(part, "__setitem__")
    _put(part, key, found)
    stamp(self)


def _tracked(x, value):
    """True where the write has to be seen by gradients."""
    if mode.grad_off and not mode.state.grad:
        return False
    if x.view_of is not None:
        refresh(x)
        if x.view_of.root.node is not None:
            return True
    return x.node is not None or getattr(value, "node", None) is not None


def _check_dtypes(x, value, advanced):
    if len(advanced) == 1 and advanced[0][1].array.dtype.kind == "b" and value.array.size == 1:
        return  # one value for a mask is converted, as masked_fill_ does
    raise DtypeError(
        "Index put requires the source and destination dtypes match, got "
        f"{x.dtype} for the destination and {value.dtype} for the source."
    )


def _put(part, key, value):
    try:
        part[key] = value
    except (ValueError, TypeError) as error:
        if not part.flags.writeable:
            raise RuntimeError(f"index_put_: the tensor's memory is read-only: {error}") from None
        raise ShapeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(part[key].shape)}"
        ) from None
    except IndexError as error:
        if "could not be broadcast" in str(error):
            raise IndexError(str(error)) from None
        raise IndexError(str(error).replace("axis", "dimension")) from None


def _write_recorded(x, op, basic, advanced, value, found):
    """``x[index] = value`` through views and ``index_put``, so that gradients see it."""
    part = x if op is None else look(x, op, basic)
    if not isinstance(value, Tensor):
        value = from_array(converted(found, x.array.dtype))
    elif advanced and value.array.dtype != x.array.dtype:
        _check_dtypes(x, value, advanced)
        value = to(value, x.dtype)
    lead = 0
    while value.array.ndim - lead > 0 and value.array.shape[lead] == 1:
        lead += 1
    if lead:
        value = value.reshape(value.array.shape[lead:])
    if advanced:
        check_write(part, "__setitem__")
        dims = tuple([d for d, _ in advanced])
        assign(part, put(part, value, *[k for _, k in advanced], dims=dims))
    else:
        copy_(part, value)
