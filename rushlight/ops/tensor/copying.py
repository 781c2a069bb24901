"""Copies of tensor objects: copy, deepcopy and pickle. Shared memory is shared in the copy too."""

import copy
import copyreg
from typing import Any

from rushlight.autograd.tape import Leaf, refresh
from rushlight.meta import MetaArray, is_meta
from rushlight.remote import is_remote
from rushlight.storage import Foreign, flat, offset, owner, reach
from rushlight.tensor import Tensor, from_array, method, reads_values

_slot_names: Any = copyreg._slotnames  # type: ignore[attr-defined]


def state_of(t):
    """Return a tensor's attributes as PyTorch pickles them: a dict, or a pair (dict, slots)."""
    slots = {
        name: getattr(t, name)
        for name in _slot_names(type(t))
        if name not in Tensor.__slots__ and hasattr(t, name)
    }
    return (t.__dict__, slots) if slots else t.__dict__


def set_state(t, state):
    """Give a tensor the attributes that ``state_of`` returned."""
    own, slots = state if isinstance(state, tuple) else (state, {})
    t.__dict__.update(own)
    for name, value in slots.items():
        setattr(t, name, value)


def _memory(array):
    """Return (the array that owns the memory, shape, strides, offset), counted in elements."""
    root = owner(array)
    dense = root.flags.c_contiguous or root.flags.f_contiguous
    if not dense:  # the bytes in the gaps belong to someone else and must not be copied
        root = array = array.copy()
    size = array.itemsize
    return root, array.shape, tuple([s // size for s in array.strides]), offset(array)


def rebuild_meta(dtype, shape, strides, requires_grad=False):
    """Make a tensor on the device ``meta``. Pickles of such tensors call this function."""
    size = dtype.itemsize
    t = from_array(MetaArray(shape, dtype.numpy, tuple([s * size for s in strides])))
    return t.requires_grad_(True) if requires_grad else t


def rebuild(memory, dtype, shape, strides, start, requires_grad=False):
    """Make a tensor over the array ``memory``. Pickles of tensors call this function."""
    if memory.dtype is not dtype.numpy:  # NumPy's pickles make another object of each dtype
        equal = memory.dtype == dtype.numpy
        memory = (memory if equal else flat(memory)).view(dtype.numpy)
    t = from_array(reach(memory, shape, strides, start, "rebuild"))
    return t.requires_grad_(True) if requires_grad else t


def rebuild_far(make, args, place):
    """Make a tensor, and move it to the device ``place``. Pickles of such tensors call this."""
    return make(*args).detach().to(place).requires_grad_(args[-1] is True)


def rebuild_as(cls, args, state, make=rebuild):
    """Call ``make``, and make the tensor an object of ``cls`` with the attributes ``state``."""
    t = make(*args)
    if cls is not Tensor:
        t = Tensor._make_subclass(cls, t, t.requires_grad)
    set_state(t, state)
    return t


@method
@reads_values
def __reduce_ex__(self, protocol):
    refresh(self)
    if is_meta(self):
        args: tuple = (self.dtype, tuple(self.shape), self.stride(), self.node is not None)
        if type(self) is Tensor and not self.__dict__:
            return rebuild_meta, args
        return rebuild_as, (type(self), args, state_of(self), rebuild_meta)
    if is_remote(self):
        args = (*self.cpu().__reduce_ex__(protocol), str(self.device))
        return rebuild_far, args
    memory, shape, strides, start = _memory(self._array)
    if type(memory.base) is Foreign:
        memory = memory.base._array if memory.flags.c_contiguous else memory.copy("K")
    args = (memory, self.dtype, shape, strides, start, self.node is not None)
    if type(self) is Tensor and not self.__dict__:
        return rebuild, args
    return rebuild_as, (type(self), args, state_of(self))


@method
def __copy__(self):
    t = Tensor._make_subclass(type(self), self)
    t.node, t.view_of = self.node, self.view_of
    if type(self.node) is Leaf:
        t.node = None
        t.requires_grad = True
    set_state(t, state_of(self))
    return t


@method
@reads_values
def __deepcopy__(self, memo):
    refresh(self)
    if id(self) in memo:
        return memo[id(self)]
    if self.node is not None and type(self.node) is not Leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment: detach() the tensor, or deepcopy before computing with it."
        )
    if is_remote(self):
        a = self._array
        t = from_array(type(a)(a.shape, a.dtype, a.strides, copied(a.memory, memo), a.start))
    else:
        memory, shape, strides, start = _memory(self._array)
        t = rebuild(copied(memory, memo), self.dtype, shape, strides, start)
    if type(self) is not Tensor:
        t = Tensor._make_subclass(type(self), t)
    memo[id(self)] = t
    t.requires_grad = self.node is not None
    if self._grad is not None:
        t._grad = copy.deepcopy(self._grad, memo)
    set_state(t, copy.deepcopy(state_of(self), memo))
    return t


def copied(memory, memo):
    """Copy the memory, once in each deepcopy, so that its tensors share the copy too."""
    key = id(memory)
    if key not in memo:
        memo[key] = memory.copy(order="K")
        memo.setdefault(id(memo), []).append(memory)  # keep the array alive: its id stays unique
    return memo[key]
