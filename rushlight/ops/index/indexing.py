"""Python's indexing, to read and to write: ``x[1:3, None, mask]``.

As in PyTorch, indexing has two stages. First the ints, slices, None and Ellipsis of the index
give a view. Then the tensors, arrays and lists of the index select elements of that view.
"""

from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import (
    assign,
    check_overlap,
    check_write,
    read_only,
    stamp,
    warn_of_expanded,
)
from rushlight.device import CPU
from rushlight.device_array import placed, recording_of
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.handled import is_handled
from rushlight.meta import is_meta, refuse
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.overlap import ANY, refuse_overlap, shares
from rushlight.ops.core.replays import Replays, replayed
from rushlight.ops.index.compaction import beside
from rushlight.ops.index.gather import check_count, explain_index, from_empty, indexed, key_of
from rushlight.ops.index.index_put import put
from rushlight.ops.index.slice import ALIAS, SELECT, SLICE, UNSQUEEZE, explain, look
from rushlight.ops.index.subscript import (
    ENDS,
    index_tensor,
    parse,
    plain_parts,
    refuse_bytes,
)
from rushlight.ops.tensor.array_dtypes import as_element, as_scalar, converted
from rushlight.ops.tensor.cast import to
from rushlight.ops.tensor.copy_into import copy_
from rushlight.remote import device_of, is_remote
from rushlight.tensor import Tensor, from_array, method, short

# x[index] ---------------------------------------------------------------------------------


_replays = Replays()


@short
@method
def __getitem__(self, index):
    if (replay := _replays.run) is not None:
        found = replay(self, index)
        if found is not None:
            return found
    if mode.intercept > mode.metas:
        found = overridden(__getitem__, (self, index), {}, deep=True)
        if found is not NotImplemented:
            return found
    kind = type(index)
    if kind is int:
        return look(self, SELECT, (index, ...))
    if kind is slice:
        if index.step is None and type(index.start) in ENDS and type(index.stop) in ENDS:
            return look(self, SLICE, (index, ...))
    elif kind is tuple:
        op, basic = plain_parts(self._array.shape, index)
        if op is not None:
            return look(self, op, basic)
    if kind is Tensor:
        key, shape = index._array, self._array.shape
        fits = key.dtype.kind == "i" or (key.dtype.kind == "b" and key.shape == shape[: key.ndim])
        if fits and key.ndim and shape:
            return indexed(self, [(0, index_tensor(index))])
    if index is None:
        return look(self, UNSQUEEZE, (None, ...))
    try:
        op, basic, advanced = parse(self, index)
    except (IndexError, TypeError):
        found = overridden(__getitem__, (self, index), {}, deep=True)
        if found is NotImplemented:
            raise
        return found
    seen = self if op is None and advanced else look(self, op or ALIAS, basic)
    if not advanced:
        return seen
    if mode.recorder() is not None:
        return _recorded(self, seen, advanced)
    return indexed(seen, advanced)


_replays.function = __getitem__


def _recorded(x, seen, advanced):
    """``seen[advanced]`` in a recording. A view in eager mode is a copy here; see ``selects``."""
    recorder: Any = mode.recorder()
    found = indexed(*_together(seen, advanced))
    if all(_selects(k) for _, k in advanced):
        recorder.note_selected(found, x)
    return found


def _selects(k):
    """Whether an index means what an int means: it is a 0-dim tensor whose value isn't known yet.

    A 0-dim sample of ``vmap`` is an index tensor of a batch.
    """
    recorder = mode.recorder()
    return recorder is not None and not k._array.ndim and recorder.selects(k)


def _together(x, advanced):
    """(x, advanced) with dims of x permuted, so that indices that select lie by the other ones.

    The result has its dims where they would be if the former had selected before.
    """
    single = [d for d, k in advanced if _selects(k)]
    others = [d for d, _ in advanced if d not in single]
    if not single or not others:
        return x, advanced
    order = [d for d in range(x._array.ndim) if d not in single]
    at = order.index(others[0])
    order[at:at] = single
    keys = sorted([(order.index(d), k) for d, k in advanced], key=lambda pair: pair[0])
    return x.permute(order), keys


# x[index] = value -------------------------------------------------------------------------


def _as_value(x, value):
    """Return ``value`` as an array to write; raise TypeError for types that PyTorch refuses."""
    if isinstance(value, Tensor):
        if value.view_of is not None:
            refresh(value)
        return value._array
    if isinstance(value, (bool, int, float, complex, np.integer)):
        return as_element(value, x.dtype)
    raise TypeError(f"can't assign a {type(value).__name__} to a torch.{OF[x.dtype].name} tensor")


@method
def __delitem__(self, index):
    raise TypeError("Tensor does not support deleting items")


@short
@method
def __setitem__(self, index, value):
    _assign(self, index, value)


@replayed(writes=True)
def _assign(self, index, value):
    """Do ``self[index] = value``, and return the tensor."""
    if mode.intercept > mode.metas and (
        overridden(__setitem__, (self, index, value), {}, deep=True) is not NotImplemented
    ):
        return self
    try:
        found = _as_value(self._array, value)
    except TypeError:
        if overridden(__setitem__, (self, index, value), {}) is NotImplemented:
            raise
        return self
    if type(index) is int:
        op, basic, advanced = SELECT, (index, ...), ()
    elif index is False:
        return self  # ``x[False]`` selects nothing, so a value of any shape is accepted
    else:
        try:
            # ``x[True] = y`` copies as ``x[None] = y`` does, so it converts ``y``.
            op, basic, advanced = parse(self, None if index is True else index)
        except IndexError as error:
            if "mask" in str(error):  # PyTorch checks the write before the masks' shapes
                check_write(self, "__setitem__")
            raise
    if len(advanced) == 1 and advanced[0][1]._array.dtype.kind == "b":
        refuse_bytes(index, found)
    if mode.intercept and not is_meta(self) and isinstance(value, Tensor) and is_meta(value):
        refuse()
    far = mode.intercept and (is_remote(self) or is_handled(value))
    if far or mode.recorder() is not None or _tracked(self, value):
        _write_recorded(self, op, basic, advanced, value, found)
        return self
    check_write(self, "__setitem__")
    if isinstance(value, Tensor) and shares(self, value):
        _refuse_overlap(self if op is None else look(self, op, basic), advanced, value)
    try:
        part = self._array[basic]
    except IndexError:
        explain(basic, self._array)
        raise
    if found.dtype != part.dtype:
        if advanced and isinstance(value, Tensor):
            _check_dtypes(self, value, advanced)
            found = as_scalar(found.item(), part.dtype)
        else:
            found = converted(found, part.dtype)
    if advanced:
        while found.ndim and found.shape[0] == 1:
            found = found[0]
        keys = beside(self, [k for _, k in advanced])
        key = key_of(part.ndim, [d for d, _ in advanced], [k._array for k in keys])
        if 0 in part.strides:
            warn_of_expanded(part, "index_put_")
    else:
        key = ...
        if 0 in part.strides and part.size:
            check_overlap(part, "__setitem__")
    _put(part, key, found, advanced)
    stamp(self)
    return self


def _tracked(x, value):
    """True if gradients flow through the write of ``value`` to ``x``, so it must be recorded."""
    if mode.grad_off and not mode.state.grad:
        return False
    if x.view_of is not None:
        refresh(x)
        if x.view_of.root.node is not None:
            return True
    return x.node is not None or getattr(value, "node", None) is not None


def _check_dtypes(x, value, advanced):
    if len(advanced) == 1 and advanced[0][1]._array.dtype.kind == "b" and value._array.size == 1:
        return  # a single value for a mask is converted, as in masked_fill_
    raise DtypeError(
        f"Index put requires the source and destination dtypes match, got {x.dtype} for the "
        f"destination and {value.dtype} for the source."
    )


def _put(part, key, value, advanced):
    try:
        part[key] = value
    except (ValueError, TypeError):
        if not part.flags.writeable:
            raise read_only("index_put_", part) from None
        raise ShapeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(part[key].shape)}"
        ) from None
    except IndexError:
        dims, keys = [d for d, _ in advanced], [k._array for _, k in advanced]
        if not part.size:
            from_empty(part, dims, keys)
            return  # nothing is written, and PyTorch does not check the indices either
        explain_index(part, *keys, dims=dims)
        raise


def _write_recorded(x, op, basic, advanced, value, found):
    """Do ``x[index] = value`` by recorded operations, for gradients and traces."""
    part = x if op is None else look(x, op, basic)
    if not isinstance(value, Tensor):
        # Other than a tensor of the host, a number may be written while a graph is captured.
        d = device_of(x) if mode.recorder() is None else CPU
        value = from_array(placed(converted(found, x._array.dtype), d))
    elif advanced and value._array.dtype != x._array.dtype:
        _check_dtypes(x, value, advanced)
        value = to(value, x.dtype)
    lead = 0
    while value._array.ndim - lead > 0 and value._array.shape[lead] == 1:
        lead += 1
    if lead:
        value = value.reshape(value._array.shape[lead:])
    if advanced:
        part, advanced = _together(part, advanced)
        check_count(advanced)
        check_write(part, "__setitem__", value.node is not None)
        warn_of_expanded(part._array, "index_put_")
        _refuse_overlap(part, advanced, value)
        dims = tuple([d for d, _ in advanced])
        keys = beside(x, [k for _, k in advanced])
        assign(part, put(part, value, *keys, dims=dims))
    else:
        if value._array.shape != part._array.shape and shares(part, value):
            value = value.expand(part._array.shape)
        if part._array.ndim and not value._array.ndim and recording_of(part) is not None:
            # As in PyTorch, where it fills more than one element it counts as a number.
            d = device_of(part)
            if device_of(value) is not d and value.node is None:
                value = from_array(placed(converted(value._array, part._array.dtype), d))
        copy_(part, value)


def _refuse_overlap(part, advanced, value):
    """Raise if ``value`` overlaps ``part``, to which it is written, as PyTorch does."""
    shape, size = part._array.shape, value._array.size
    if advanced:
        if not (size == 1 and len(advanced) == 1 and advanced[0][1]._array.dtype.kind == "b"):
            refuse_overlap(part, (value,), "__setitem__", ANY)
    elif value._array.shape == shape:
        refuse_overlap(part, (value,), "__setitem__")
    elif value._array.ndim:  # PyTorch expands the value; a value without dims is read first
        own = value._array.shape
        lead = next((d for d, n in enumerate(own) if n != 1), len(own))
        try:
            value = value.detach().reshape(own[lead:]).expand(shape)
        except RuntimeError:
            return  # the caller raises its own error
        refuse_overlap(part, (value,), "__setitem__")
