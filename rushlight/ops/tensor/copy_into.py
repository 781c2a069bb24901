"""Writes of one tensor into another: ``copy_``."""

import numpy as np

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import (
    assign,
    check_overlap,
    check_write,
    read_only,
    stamp,
    watched,
)
from rushlight.device_array import copies_later
from rushlight.errors import ShapeError
from rushlight.handled import takes_handler
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.in_place import computed_there
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.overlap import refuse_overlap, shares
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.rules import zeros
from rushlight.ops.tensor.array_dtypes import converted, holds
from rushlight.ops.tensor.cast import to
from rushlight.remote import device_of
from rushlight.tensor import Tensor, from_array, method, short


@kernel(public=False, method=False, name="copy", widen=False, grad_name="CopyBackwards")
def _overwritten(xp, x, src):
    """Return ``src`` broadcast to the shape of ``x`` and converted to its dtype."""
    src = src if src.dtype == x.dtype else converted(src, x.dtype)
    return xp.broadcast_to(src, x.shape).copy()


_overwritten.lower(lambda x, src: to(src, x.dtype).expand(x.shape))
_overwritten.grad(x=zeros, src=lambda g: g)


@short
@method
@replayed(writes=True)
def copy_(self, other, non_blocking=False):
    """Write ``other`` into this tensor, broadcast to its shape and converted to its dtype.

    Args:
        other: Tensor whose shape broadcasts to this tensor's, or a number.

    Raises:
        RuntimeError: ``other`` does not broadcast to this tensor's shape.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).copy_(torch.tensor([1.0, 2.0]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    if mode.intercept > mode.metas:
        found = overridden(copy_, (self, other), {"non_blocking": True} if non_blocking else {})
        if found is not NotImplemented:
            return found
    if not isinstance(other, Tensor) and isinstance(other, (bool, int, float, complex)):
        if 0 in self._array.strides and self._array.size:
            check_overlap(self._array, "copy_")
        if holds(self._array.dtype, other):
            return self.fill_(other)
        other = from_array(np.asarray(other))  # fill_ refuses the number, a tensor's wraps around
    if not isinstance(other, Tensor):
        found = overridden(copy_, (self, other), {})
        if found is not NotImplemented:
            return found
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
        )
    check_write(self, "copy_", other.node is not None)
    if mode.intercept and takes_handler(self, other):
        found = late.handlers().in_place("copy_", None, self, (other,), {})
        if found is not NotImplemented:
            return found
    if shares(self, other):
        refuse_overlap(self, (other,), "copy_")
    target = self._array.shape
    if other._array.shape != target:
        _check_stretch(other._array.shape, target)
    if 0 in self._array.strides and self._array.size:
        check_overlap(self._array, "copy_")
    if mode.intercept and other.node is None and copies_later(self._array, other._array):
        stamp(self)
        return self
    if watched(self, (other,)):
        if computed_there(_overwritten.op, self, (other,), {}):
            return self
        if device_of(self) is not device_of(other):
            other = to(other, device_of(self))
        return assign(self, _overwritten(self, other))
    refresh(other)
    value = other._array
    if value.dtype != self._array.dtype:
        value = converted(value, self._array.dtype)
    put(self._array, ..., value, "copy_")
    stamp(self)
    return self


def _check_stretch(shape, target):
    lead = len(target) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, target[lead:], strict=False)):
        raise ShapeError(
            f"copy_: output with shape {list(target)} doesn't match the broadcast shape of the "
            f"source {list(shape)}"
        )


def put(array, key, value, name):
    """Assign ``array[key] = value``; raise RuntimeError if the memory is read-only."""
    if not array.flags.writeable:
        raise read_only(name, array)
    array[key] = value
