"""Operations that change a tensor's memory or dims in place: resize_, set_, transpose_, …"""

import math
import numbers
import sys
import weakref
from functools import wraps

import numpy as np

from rushlight import late, shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, refresh, set_history, tick, turns
from rushlight.autograd.write import check_inference, check_write, refuse_conjugate, stamp
from rushlight.device import CPU, META
from rushlight.device_array import drivers, reserved
from rushlight.dtype import OF
from rushlight.errors import DtypeError, ShapeError
from rushlight.handled import is_handled, refuse_memory, takes_handler
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.outputs import own_method
from rushlight.ops.shape.permute import t, transpose
from rushlight.ops.shape.strided import as_strided, geometry
from rushlight.ops.shape.view import squeeze, unsqueeze
from rushlight.ops.tensor.memory_format import (
    check_rank,
    contiguous_format,
    guessed,
    preserve_format,
)  # fmt: skip
from rushlight.remote import is_remote
from rushlight.storage import (
    Foreign,
    Storage,
    address,
    check_reach,
    contiguous_strides,
    flat,
    offset,
    owner,
    reach,
    span,
)  # fmt: skip
from rushlight.storage import geometry as shown
from rushlight.tensor import Tensor, from_array, method
from rushlight.typed_storage import TypedStorage

# Storage ----------------------------------------------------------------------------------


def _refuse_outer(x):
    """Refuse to change the dims or the memory of a tensor that was there before the trace.

    A compiled program can write to the elements of an outer tensor, but cannot change its dims.
    """
    recording = mode.recorder() if mode.intercept else None
    if recording is not None and recording.is_outer(x):
        recording.refuse(
            f"a tensor of shape {list(x._array.shape)} from outside is turned or moved in place "
            "inside torch.compile; do that to a view of it, or outside"
        )


def _strides_in(form, shape):
    """The strides, in elements, of a tensor of ``shape`` without gaps in a memory format."""
    if form is None or form is contiguous_format:
        return contiguous_strides(shape)
    if form is preserve_format:
        raise RuntimeError("resize_: Unsupported memory format: torch.preserve_format")
    check_rank(form, len(shape), "resize_")
    n, *places, channels = contiguous_strides((shape[0], *shape[2:], shape[1]))
    return (n, channels, *places)


def _look_at(x, array, cell=None):
    """Make ``array`` the memory of the tensor ``x``, in place.

    The views of ``x`` keep their memory. If ``array`` lies in the same storage, their history goes
    on to be that of ``x``; else it is that of ``x`` until now.
    """
    _refuse_outer(x)
    moves = is_remote(x) or owner(array) is not owner(x._array)
    if x.view_of is None:
        _note_turn(x, moves)
    x._array, x.turned = array, True
    x.view_of = None
    if type(x.node) is Leaf:  # the gradient will have the new shape
        x.node.fit(array)
    stamp(x)
    if cell is not None and moves:  # from now on ``x`` shares its clock; nothing wrote there
        x.cell = cell
    return x


def _typed(memory, array):
    """The bytes ``memory`` as elements of ``array``'s dtype, as many as it has room for."""
    return np.ndarray(memory.size // array.itemsize, array.dtype, memory)


def _move_memory(x, memory):
    """Make the bytes ``memory`` the storage of ``x``, whose shape, strides and offset stay.

    The elements are those of before, so the move counts as no write.
    """
    _refuse_outer(x)
    shape, strides, start = x._array.shape, x.stride(), offset(x._array)
    x._array = reach(_typed(memory, x._array), shape, strides, start, "resize_")
    x.view_of, x.turned, x.cell = None, True, list(x.cell)


late.move_memory = _move_memory


@method
def resize_(self, *sizes, memory_format=None):
    """Change the shape in place.

    The tensor keeps its storage if the storage is large enough, and elements beyond a smaller shape
    stay in it. A larger storage is new memory: its further elements are uninitialised, and views
    made before keep the old memory.

    Args:
        sizes: The new shape: ints, or one tuple of ints.
        memory_format: The order of the elements in memory. Default: contiguous, if the shape
            changes.

    Raises:
        RuntimeError: The tensor requires grad, or its memory would have to grow and belongs to a
            NumPy array.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2], [3, 4]])
    >>> x.resize_(3)
    tensor([1, 2, 3])
    >>> x.resize_(2, 2)
    tensor([[1, 2],
            [3, 4]])
    """
    if mode.intercept and takes_handler(self):
        named = {} if memory_format is None else {"memory_format": memory_format}
        late.handlers().ask("resize_", self, list(shapes.sizes(sizes, "resize_")), **named)
        return self
    if self.requires_grad:
        raise RuntimeError("resize_: cannot resize variables that require grad; detach() it first")
    check_inference(self, "resize_")
    shape = shapes.sizes(sizes, "resize_")
    array = self._array
    if shape == array.shape and memory_format is None:
        return self
    refuse_conjugate(self, "resize_")
    start, strides = offset(array), _strides_in(memory_format, shape)
    needed = (start + span(shape, strides)) * array.itemsize if math.prod(shape) else 0
    if needed >= 2**63:
        raise ShapeError(f"resize_: Storage size calculation overflowed with sizes={list(shape)}")
    if not needed and math.prod([n or 1 for n in shape]) * array.itemsize >= 2**63:
        raise ShapeError(f"resize_: Stride calculation overflowed with sizes={list(shape)}")
    if is_remote(self):
        array.memory.grow(needed)
        steps = tuple([step * array.itemsize for step in strides])
        return _look_at(self, type(array)(shape, array.dtype, steps, array.memory, array.start))
    memory = flat(array)
    if needed > memory.size:
        if type(owner(array).base) is Foreign:
            raise RuntimeError(
                f"resize_: Trying to resize storage that is not resizable: {tuple(array.shape)} to "
                f"{shape} needs {needed} bytes, and the NumPy array has {memory.size}"
            )
        grown = np.empty(needed, np.uint8)
        grown[: memory.size] = memory
        return _look_at(self, reach(_typed(grown, array), shape, strides, start, "resize_"))
    found = reach(array, shape, strides, start, "resize_")
    view = self.view_of
    _look_at(self, found)
    self.view_of = view if view is not None and view.root.node is not None else None
    return self


@method
@takes("input, the_template: Tensor, *, memory_format?=")
def resize_as_(self, the_template, memory_format=None):
    """Change the shape in place to that of ``the_template``, as ``resize_`` does.

    Args:
        the_template: Tensor of any shape.
        memory_format: As for ``resize_``; ``torch.preserve_format`` takes the template's order.

    Raises:
        RuntimeError: The tensor requires grad, or its memory would have to grow and belongs to a
            NumPy array.

    >>> import rushlight as torch
    >>> torch.zeros(6).resize_as_(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    if memory_format is preserve_format:
        memory_format = guessed(shown(the_template._array))
    return resize_(self, the_template._array.shape, memory_format=memory_format)


@method
def resize(self, *sizes):
    """Return a view with the given sizes. Deprecated: use ``view``.

    Raises:
        RuntimeError: The tensor has another number of elements.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.zeros(6).resize(2, 3).shape
    torch.Size([2, 3])
    """
    import warnings

    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    return self.contiguous().view(*sizes)


@method
@takes("input, source: any?=, storage_offset=, size=, stride=")
def set_(self, source=None, storage_offset=0, size=None, stride=None):
    """Make this tensor show the memory of another tensor or of a storage, in place.

    Args:
        source: A tensor or ``TypedStorage`` of this tensor's dtype, or an ``UntypedStorage``.
            Default: None, so that the tensor becomes empty, with shape (0,).
        storage_offset: Position of the first element in the storage, in elements. Default: 0.
            It counts only if ``size`` is given.
        size: The new shape. Default: that of the tensor ``source``, or all of the storage.
        stride: For each dim, the elements from one position to the next. Default: contiguous.

    Raises:
        RuntimeError: A tensor requires grad, ``source`` has another dtype, or its storage would
            have to grow and belongs to a NumPy array.

    >>> import rushlight as torch
    >>> x = torch.arange(6)
    >>> torch.tensor([0]).set_(x.untyped_storage(), 1, (2,), (3,))
    tensor([1, 4])
    """
    check_write(self, "set_")
    if mode.intercept and takes_handler(self):
        where = (
            [] if size is None else [storage_offset, size, *([] if stride is None else [stride])]
        )
        late.handlers().ask("set_", self, *([] if source is None else [source, *where]))
        return self
    if isinstance(source, TypedStorage):
        if source.dtype is not self.dtype:
            raise RuntimeError(
                f"set_: expected a storage of {self.dtype} numbers, but it has {source.dtype}"
            )
        source = source.untyped()
    if mode.records() and any(getattr(t, "requires_grad", False) for t in (self, source)):
        raise RuntimeError(
            "derivative for set_ is not implemented: call it in no_grad(), or on and with tensors "
            "that do not require grad, such as a detach()"
        )
    dtype = self._array.dtype
    if is_remote(self) or getattr(source, "device", CPU) is not CPU:
        return _look_at(self, _set_far(self, source, storage_offset, size, stride))
    if source is None:
        return _look_at(self, np.empty(0, dtype))
    if isinstance(source, Tensor):
        if source._array.dtype != dtype:
            raise DtypeError(
                f"set_: Could not set tensor of type {source.dtype.name} to a tensor of type "
                f"{self.dtype.name}"
            )
        if size is None:
            return _look_at(self, source._array, source.cell)
    elif not isinstance(source, Storage):
        raise TypeError(f"set_(): argument 'source' must be Tensor or Storage, not {type(source)}")
    if size is None:
        return _look_at(self, _elements(source, dtype))
    size = shapes.sizes((size,), "set_")
    stride = contiguous_strides(size) if stride is None else tuple(stride)
    if len(size) != len(stride):
        raise ShapeError(
            f"set_: unequal size length ({len(size)}) and stride length ({len(stride)})"
        )
    needed = (storage_offset + span(size, stride)) * dtype.itemsize if 0 not in size else 0
    storage = source.untyped_storage() if isinstance(source, Tensor) else source
    if needed > storage.nbytes():
        storage.resize_(needed)
    memory, cell = _elements(source, dtype), getattr(source, "cell", None)
    return _look_at(self, reach(memory, size, stride, storage_offset, "set_"), cell)


def _elements(source, dtype):
    """The memory of a tensor, or of a storage as elements of ``dtype``."""
    if isinstance(source, Tensor):
        return source._array
    return source.bytes[: source.nbytes() // dtype.itemsize * dtype.itemsize].view(dtype)


def _set_far(x, source, start, size, stride):
    """The array of ``x``, not on the CPU, after ``x.set_(source, start, size, stride)``."""
    if source is None:
        return reserved((0,), x._array.dtype, None, x.device)
    if source.device is not x.device:
        raise RuntimeError(
            f'Attempted to set the storage of a tensor on device "{x.device}" to a storage on '
            f'different device "{source.device}".  This is no longer allowed; the devices must '
            "match."
        )
    if isinstance(source, Tensor):
        if size is None:
            return source._array
        source = source.untyped_storage()
    dtype = x._array.dtype
    size = (source.nbytes() // dtype.itemsize,) if size is None else shapes.sizes((size,), "set_")
    steps = contiguous_strides(size) if stride is None else tuple(stride)
    strides = tuple([s * dtype.itemsize for s in steps])
    if x.device is not META:
        check_reach(source.nbytes(), dtype.itemsize, size, steps, start, "set_")
    return type(x._array)(size, dtype, strides, source._owner, start * dtype.itemsize)


@method
def share_memory_(self):
    """Move the tensor's elements, in place, into memory that other processes can share.

    A process shares the memory if it is forked afterwards, or if it receives the tensor through
    ``torch.multiprocessing``. Views made before keep the old memory.

    >>> import rushlight as torch
    >>> x = torch.ones(2)
    >>> x.share_memory_() is x, x.is_shared()
    (True, True)
    """
    from rushlight.multiprocessing.sharing import share

    if not is_remote(self):  # memory of a device stays where it is, as in PyTorch
        share(self)
    return self


@method
def is_shared(self):
    """Tell whether the tensor's memory can be shared with other processes.

    Returns:
        True if ``share_memory_`` was called, in this process or in the one that sent the tensor.

    >>> import rushlight as torch
    >>> torch.ones(2).is_shared()
    False
    """
    sharing = sys.modules.get("rushlight.multiprocessing.sharing")
    return sharing is not None and sharing.block_of(self._array) is not None


@method
def pin_memory(self, device=None):
    """Return a copy in memory that stays where it is, which CUDA devices read faster.

    Args:
        device: Accepted without effect.

    Returns:
        Tensor on the CPU; itself if its memory is pinned.

    Raises:
        RuntimeError: There is no CUDA device, or the tensor is not on the CPU.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     assert torch.zeros(2).pin_memory().is_pinned()
    """
    if not drivers("cuda"):
        raise RuntimeError("pin_memory: Cannot access accelerator device when none is available.")
    if is_remote(self):
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")
    if is_pinned(self):
        return self
    source = self._array
    memory = drivers("cuda")[0].pinned(max(source.nbytes, 1))
    array = memory[: source.nbytes].view(source.dtype).reshape(source.shape)
    array[...] = source
    return from_array(array)


@method
def is_pinned(self, device=None):
    """Tell whether the tensor's memory is pinned.

    Args:
        device: Accepted without effect.

    Returns:
        True for results of ``pin_memory``, and their views.

    >>> import rushlight as torch
    >>> torch.zeros(2).is_pinned()
    False
    """
    if is_remote(self):
        return False
    at = address(self._array)
    return any(d.is_pinned(at) for d in drivers("cuda"))


# Element by element, in Python ------------------------------------------------------------


def _plain(x, name):
    _refuse_outer(x)
    if x.requires_grad:
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() "
            "instead."
        )


def _put(array, place, value, name):
    """Write the ``value`` that a callable returned."""
    if not isinstance(value, (numbers.Number, Tensor, np.generic)):
        raise TypeError(f"{name}: the callable must return a number, not {type(value).__name__}")
    array[place] = value


@method
def apply_(self, callable):
    """Replace each element by ``callable(element)``.

    The calls run in Python, so they are slow.

    Args:
        callable: Takes an element as a Python number, and returns a number.

    Raises:
        RuntimeError: The tensor requires grad.
        TypeError: ``callable`` returns no number.

    >>> import rushlight as torch
    >>> torch.tensor([1.0, 2.0]).apply_(lambda v: v + 1)
    tensor([2., 3.])
    """
    _plain(self, "apply_")
    array = self._array
    for place in np.ndindex(array.shape):
        _put(array, place, callable(array[place].item()), "apply_")
    stamp(self)
    return self


@method
def map_(self, tensor, callable):
    """Replace each element by ``callable(element, element of tensor)``.

    The calls run in Python, so they are slow.

    Args:
        tensor: Tensor of this tensor's dtype, whose shape broadcasts to this tensor's.
        callable: Takes two elements as Python numbers, and returns a number.

    Raises:
        RuntimeError: A tensor requires grad.
        TypeError: ``tensor`` has another dtype, or ``callable`` returns no number.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> x.map_(torch.tensor([3.0, 5.0]), lambda a, b: a * b)
    tensor([ 3., 10.])
    """
    _plain(self, "map_")
    _plain(tensor, "map_")
    array = self._array
    if tensor._array.dtype != array.dtype:
        raise TypeError(
            f"map_: expected {OF[array.dtype]} for argument 'tensor' but got {tensor.dtype}"
        )
    other = tensor.expand(array.shape)._array
    for place in np.ndindex(array.shape):
        _put(array, place, callable(array[place].item(), other[place].item()), "map_")
    stamp(self)
    return self


# In-place views ---------------------------------------------------------------------------


def _note_turn(root, moves=False):
    """Record the present dims of ``root``, which is about to change them in place.

    Views made before the change need the old dims when they are computed again. If ``root`` moves
    to other memory, they need a tensor that stays where ``root`` was.
    """
    if sys.getrefcount(root.cell) <= 2:  # no view shares the cell, so there is none
        return
    if id(root) not in turns:
        weakref.finalize(root, turns.pop, id(root), None).atexit = False
    before = geometry(root)
    if moves:
        before = from_array(root._array)
        before.node, before.cell = root.node, root.cell
    turns.setdefault(id(root), []).append((tick(), before))


def _in_place_view(name, call):
    @wraps(call)
    def turned(self, *args, **kwargs):
        if (own := own_method(self, name)) is not None:
            return own(self, *args, **kwargs)
        check_write(self, name)
        refresh(self)
        _refuse_outer(self)
        if name == "as_strided_" and self.node is not None:
            mode.refuse_in_trace("as_strided_ changes what gradients the views of before get")
        if self.view_of is None:
            _note_turn(self)
        with mode.inference_mode(False):
            found = call(self, *args, **kwargs)
        if is_handled(self):
            refuse_memory("an in-place change of the dims")
        self._array, self.turned = found._array, True
        if type(self.node) is Leaf:  # grad mode is off, so the tensor stays a leaf
            self.node.fit(found._array)
        else:
            set_history(self, found.node)
        if self.view_of is not None:
            self.view_of = found.view_of
        stamp(self)
        return self

    vars(turned)["composes"] = False  # it changes a tensor, so a replay would have to
    turned.__name__ = turned.__qualname__ = name
    turned.__doc__ = f"In-place version of ``{name[:-1]}``: the tensor itself changes its dims."
    setattr(Tensor, name, turned)


for _name, _call in {
    "t_": t, "transpose_": transpose, "swapaxes_": transpose, "swapdims_": transpose,
    "squeeze_": squeeze, "unsqueeze_": unsqueeze, "as_strided_": as_strided,
}.items():  # fmt: skip
    _in_place_view(_name, _call)
