"""The index in square brackets, taken apart.

The parts are a basic index, which gives a view, and index tensors at full slices of that view.
"""

import operator
import warnings

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.dtype import OF, uint8
from rushlight.handled import is_handled
from rushlight.notices import warn
from rushlight.ops.index.slice import FULL, SELECT, SLICE, UNSQUEEZE
from rushlight.ops.tensor.cast import to
from rushlight.tensor import Tensor, from_array

__all__ = ["ENDS", "check_mask", "index_tensor", "parse", "plain_parts", "refuse_bytes"]


ENDS = (int, type(None))  # the types of plain ends of a slice


def _integer_slice(s):
    """Return the slice ``s`` with plain ints or None as ends, and with a positive int as step."""
    step = 1 if s.step is None else operator.index(s.step)
    if step <= 0:
        if step == 0:
            raise ValueError("slice step cannot be zero")
        raise ValueError(f"step must be greater than zero, not {step}: use flip() to reverse a dim")
    try:
        start, stop = [None if v is None else operator.index(v) for v in (s.start, s.stop)]
    except TypeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None
    return slice(start, stop, step)


_INDICES = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
    "indices"
)


def index_tensor(k):
    """Convert an index that is a tensor, an array or a sequence to a tensor of ints or bools."""
    if isinstance(k, Tensor):
        d = k._array.dtype
        if d.kind == "b" or (d.kind == "i" and d.itemsize >= 4):
            return k
        if d.name == "uint8":
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead.", stacklevel=4,
            )  # fmt: skip
            return to(k, OF[np.dtype(bool)])
        if k._array.ndim == 0 and d.kind in "iu":
            return to(k, OF[np.dtype("i8")])
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, not {k.dtype}"
        )
    if isinstance(k, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(k, ndarray) or (
        hasattr(k, "__getitem__") and hasattr(k, "__len__") and not isinstance(k, dict)
    ):
        from rushlight.ops.create.from_data import tensor

        found = tensor(k) if len(k) or isinstance(k, ndarray) else from_array(np.empty(0, np.int64))
        if found._array.dtype.kind == "b" or found._array.dtype == np.uint8:
            return index_tensor(found)
        return to(found, OF[np.dtype("i8")])
    raise IndexError(f"{_INDICES} (got {type(k).__name__})")


def refuse_bytes(index, value):
    """Raise if ``value``, of one element, is to be written where a single mask of uint8 is true.

    ``index`` is the index as it was given. PyTorch's masked_fill_ does such writes, and refuses.
    """
    if value.size == 1 and any(getattr(k, "dtype", None) in _BYTES for k in _as_tuple(index)):
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype unsigned char"
        )


_BYTES = uint8, np.dtype(np.uint8)


def _as_tuple(index):
    """Return the items of an index as a tuple.

    As in PyTorch, a list of fewer than 32 items that holds a slice, None, an Ellipsis or a sequence
    means the same as a tuple.
    """
    if type(index) is tuple:
        return index
    if isinstance(index, list) and len(index) < 32 and any(
        k is None or k is Ellipsis or isinstance(k, (slice, list, tuple, ndarray))
        or (isinstance(k, Tensor) and k._array.ndim) for k in index
    ):  # fmt: skip
        warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be "
            "changed in pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will "
            "be interpreted as tensor index, x[torch.tensor(seq)], which will result either in an "
            "error or a different result"
        )
        return tuple(index)
    return (index,)


def _simplified(k):
    """Convert an item of an index to an int, slice, None, Ellipsis, bool or index tensor."""
    if k is None or k is Ellipsis or type(k) is int or type(k) is bool:
        return k
    if isinstance(k, slice):
        return _integer_slice(k)
    if isinstance(k, np.bool_):
        raise IndexError(f"{_INDICES} (got {type(k).__name__})")
    if not isinstance(k, (Tensor, ndarray)) and hasattr(k, "__index__"):
        return operator.index(k)
    k = index_tensor(k if not isinstance(k, ndarray) or k.ndim else from_array(k))
    if k._array.ndim == 0 and mode.recorder() is None:
        # 0-dim tensors mean the same as Python's ints and bools.
        return k.item() if is_handled(k) else k._array.item()
    return k


def _consumed(k):
    """Return how many dims of the tensor an item of an index uses up."""
    if k is None or k is Ellipsis or k is True or k is False:
        return 0
    if isinstance(k, Tensor) and k._array.dtype.kind == "b":
        return k._array.ndim
    return 1


def _is_full(k, n):
    return not k.start and k.step == 1 and (k.stop is None or k.stop >= n)


def plain_parts(shape, index):
    """Return ``parse``'s op and basic index for a tuple of ints, slices, None and one Ellipsis.

    The op is None if ``parse`` must look at the index: if it has other items, or slices with steps,
    or changes nothing.
    """
    op, at, dots = None, 0, False
    for k in index:
        kind = type(k)
        if kind is int:
            op = SELECT
            at += 1
        elif kind is slice:
            start, stop = k.start, k.stop
            if k.step is not None or type(start) not in ENDS or type(stop) not in ENDS:
                return None, ()
            if start:
                op = SLICE
            elif stop is not None:  # the slice changes nothing if it is as long as the dim
                if dots or at >= len(shape):
                    return None, ()
                op = SLICE if stop < shape[at] else op
            at += 1
        elif k is None:
            op = UNSQUEEZE
        elif k is Ellipsis and not dots:
            dots = True
        else:
            return None, ()
    return op, index if dots else (*index, Ellipsis)


def parse(x, index):
    """Take the index of ``x[index]`` apart into (op, basic index, [(dim, index tensor)]).

    ``op`` is the operation that records the view; None if the basic index changes nothing. The dims
    are those of the view.
    """
    items = [_simplified(k) for k in _as_tuple(index)]
    shape = x._array.shape
    used = sum(map(_consumed, items))
    if used > len(shape):
        _too_many(items, len(shape))
    basic: list = []
    advanced: list = []
    op, dim, at = None, 0, 0
    for k in items:
        if _consumed(k) and at >= len(shape):
            _too_many(items, len(shape))  # an index with two Ellipsis comes here
        if k is Ellipsis:
            missing = len(shape) - used
            basic += [FULL] * (missing if at + missing <= len(shape) else 0)
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
            check_mask(k, at, shape)
            advanced.append((dim, k))
            basic += [FULL] * n
            dim += n
            at += n
    return op, (*basic, Ellipsis), advanced


def _too_many(items, ndim):
    if ndim == 0 and len(items) == 1:
        if type(items[0]) is slice:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a "
            "number"
        )
    raise IndexError(f"too many indices for tensor of dimension {ndim}")


def _check_bounds(k, dim, shape):
    if dim < len(shape) and not -shape[dim] <= k < shape[dim]:
        raise IndexError(f"index {k} is out of bounds for dimension {dim} with size {shape[dim]}")


def check_mask(k, dim, shape):
    """Raise IndexError if ``k`` is a mask whose shape differs from ``shape``, from ``dim`` on."""
    array = k._array
    if array.dtype.kind == "b" and array.shape != shape[dim : dim + array.ndim]:
        at = next((i for i in range(array.ndim) if array.shape[i] != shape[dim + i]), 0)
        raise IndexError(
            f"The shape of the mask {list(array.shape)} at index {at} does not match the shape of "
            f"the indexed tensor {list(shape)} at index {dim + at}"
        )
