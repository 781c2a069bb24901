"""Tensors from data: numbers, nested sequences, arrays, buffers and other libraries' tensors."""

import functools
import warnings
from collections.abc import Sequence
from itertools import chain

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, META, require
from rushlight.device_array import sent
from rushlight.docstrings import document
from rushlight.dtype import dtype, from_python, of, promote_types
from rushlight.ops.core.definition import function
from rushlight.ops.core.handlers import hand_over, unhandled
from rushlight.ops.tensor.array_dtypes import converted, holds, warn_of_half
from rushlight.remote import at, default_device, is_remote
from rushlight.storage import UntypedStorage, foreign
from rushlight.strides import preserved
from rushlight.tensor import Tensor, from_array, short
from rushlight.typed_storage import TypedStorage

# What data is -----------------------------------------------------------------------------

_PYTHON = {bool: dtypes.bool, int: dtypes.int64}


def _leaf_dtype(kind, leaves, wanted=None):
    """Return the dtype that PyTorch gives to data of the Python type ``kind``."""
    if kind is float:
        return dtypes.get_default_dtype()
    if kind is complex:
        return dtypes.get_default_dtype().to_complex()
    if kind in _PYTHON:
        return _PYTHON[kind]
    if issubclass(kind, np.generic):
        return of(np.dtype(kind))
    if issubclass(kind, Tensor):
        return functools.reduce(promote_types, {x.dtype for x in leaves if isinstance(x, kind)})
    if issubclass(kind, np.ndarray):
        found = {x.dtype for x in leaves if isinstance(x, kind)}
        return functools.reduce(promote_types, map(of, found))
    for python in (bool, int, float, complex):
        if issubclass(kind, python):
            return _leaf_dtype(python, leaves)
    if issubclass(kind, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    if wanted is not None:
        raise TypeError(f"must be a number, not {kind.__name__}")
    raise RuntimeError(f"Could not infer dtype of {kind.__name__}")


def _is_sequence(x):
    kind = type(x)
    if kind is list or kind is tuple:
        return True
    if kind in (float, int, bool, complex) or isinstance(x, (str, bytes, dict, np.generic)):
        return False
    if isinstance(x, Tensor) or (isinstance(x, np.ndarray) and not x.ndim):
        return False
    return isinstance(x, Sequence) or (
        hasattr(x, "__len__") and hasattr(x, "__getitem__") and not isinstance(x, (set, dict))
    )


def _flattened(data):
    """Return (shape, flat list of the numbers) of nested sequences.

    A tensor beside a sequence is a sequence, too; the first item at a depth must be none.

    Raises:
        ValueError: Sequences at one depth differ in length.
    """
    shape, level = [len(data)], data
    while len(level) and _is_sequence(level[0]):
        n = len(level[0])
        for item in level:
            if not (_is_sequence(item) or (isinstance(item, Tensor) and item.dim())):
                _leaf_dtype(type(item), [item])  # raises if it is no number at all
                raise TypeError(f"not a sequence: {item!r} stands beside sequences of length {n}")
            if len(item) != n:
                raise ValueError(
                    f"expected sequence of length {n} at dim {len(shape)} (got {len(item)}): the "
                    "nested sequences are ragged; pad them to one length"
                )
        shape.append(n)
        level = list(chain.from_iterable(level))
    if len(level) and isinstance(level[0], str):
        raise ValueError(f"too many dimensions 'str': {level[0]!r} is no number")
    for item in level:
        if isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim):
            raise TypeError(
                f"'{type(item).__name__}' object cannot be interpreted as a number: it stands "
                "beside numbers"
            )
    return tuple(shape), list(level)


def _dtype_of_none(data):
    """Return the dtype of nested sequences without numbers: empty arrays among them have one."""
    if hasattr(data, "dtype"):
        return of(data.dtype)
    if not len(data):
        return dtypes.get_default_dtype()
    return functools.reduce(promote_types, map(_dtype_of_none, data))


def _number(x):
    if isinstance(x, Tensor) and x._array.size != 1:
        raise ValueError(
            f"only one element tensors can be converted to Python scalars, not {tuple(x.shape)}; "
            "use torch.stack"
        )
    return x.item() if isinstance(x, (Tensor, np.generic, np.ndarray)) else x


def _from_leaves(shape, leaves, wanted):
    kinds = set(map(type, leaves))
    if not kinds:
        return np.empty(shape, (wanted or dtypes.get_default_dtype()).numpy)
    found = functools.reduce(promote_types, [_leaf_dtype(kind, leaves, wanted) for kind in kinds])
    if not kinds <= {bool, int, float, complex}:
        leaves = [_number(x) for x in leaves]
    target = found if wanted is None else wanted
    _check_leaves(leaves, found, target)
    if target.category == 1 and found.category > 1:
        leaves = [int(x) for x in leaves]
    if target.category == 1 and not target.is_signed:
        leaves = [x % (1 << 8 * target.itemsize) for x in map(int, leaves)]
    # Low precision is rounded twice, from float64 to float32 and from there, as in PyTorch.
    half = target.is_floating_point and target.itemsize <= 2
    array = np.array(leaves, "f8" if half else target.numpy).reshape(shape)
    return converted(array, target.numpy) if half else array


def _of_numbers(data):
    """The array of nested lists of floats alone or of ints alone; None for other data."""
    shape, kinds = [len(data)], {*map(type, data)}
    while kinds == _LISTS:
        if len(sizes := {*map(len, data)}) > 1:
            return None
        shape += sizes
        data = [*chain.from_iterable(data)]
        kinds = {*map(type, data)}
    if kinds == _INTS:
        target = dtypes.int64.numpy
    elif kinds == _REALS and dtypes.get_default_dtype().itemsize > 2:
        target = dtypes.get_default_dtype().numpy
    else:
        return None
    try:
        return np.array(data, target).reshape(shape)
    except OverflowError:
        return None


_INTS, _REALS, _LISTS = {int}, {float}, {list}


def _check_leaves(leaves, found, target):
    """Raise if ``target`` cannot hold one of the numbers ``leaves``."""
    if found.is_complex and 0 < target.category < found.category:
        kind = "an integer" if target.category == 1 else "a real number"
        raise TypeError(f"tensor: a complex number cannot be interpreted as {kind}")
    if target.category != 1:
        return
    low, high = min(leaves), max(leaves)
    for x in (low, high):
        if target is dtypes.uint64 and isinstance(x, int) and not 0 <= x < 2**64:
            problem = "negative int to unsigned" if x < 0 else "int too big to convert"
            raise OverflowError(f"tensor: can't convert {problem}: {x} does not fit into uint64")
        if target is dtypes.int64 and isinstance(x, int) and not -(2**63) <= x < 2**63:
            raise ValueError(f"Overflow when unpacking long long: {x} does not fit into int64")
        if not holds(target.numpy, x):
            raise RuntimeError(
                f"value cannot be converted to type {target.name} without overflow: {x}"
            )


def _checked(array):
    """Return ``array``, or raise PyTorch's error if no tensor can share its memory.

    The result has the one object of its dtype that short paths look for: NumPy's pickles make
    others.
    """
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported; use array.astype(...)."
        )
    own = of(array.dtype).numpy
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. Make a copy of your array with array.copy()."
        )
    return array if array.dtype is own else array.view(own)


def _stored(storage, wanted):
    """Return the numbers of a storage as an array.

    As in PyTorch, the bytes of an ``UntypedStorage`` are read as ``wanted``, or as int64.
    """
    if isinstance(storage, TypedStorage):
        if wanted not in (None, storage.dtype):
            raise RuntimeError(f"expected a storage of {wanted} numbers, got {storage.dtype}")
        wanted, storage = storage.dtype, storage.untyped()
    d = (wanted or dtypes.int64).numpy
    return storage.bytes[: storage.nbytes() // d.itemsize * d.itemsize].view(d)


def array_of(data, wanted=None, copy=True):
    """Return ``data`` as (array, True if the array shares the memory of ``data``).

    ``wanted`` is the dtype of the array; None keeps the dtype of ``data``.
    """
    if type(data) is list and wanted is None and (numbers := _of_numbers(data)) is not None:
        return numbers, False
    if isinstance(data, Tensor):
        found = data._array
    elif isinstance(data, np.ndarray):
        found = _checked(np.asarray(data))
    elif isinstance(data, (bool, int, float, complex, np.generic)):
        return _from_leaves((), [data], wanted), False
    elif isinstance(data, (UntypedStorage, TypedStorage)):
        found = _stored(data, wanted)
    elif _is_sequence(data):
        if not hasattr(data, "__array_interface__"):
            if len(data) and isinstance(data[0], np.ndarray) and data[0].ndim:
                warnings.warn(
                    "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please "
                    "consider converting the list to a single numpy.ndarray with numpy.array() "
                    "first.",
                    stacklevel=4,
                )
            shape, leaves = _flattened(data)
            if not leaves and wanted is None:
                wanted = _dtype_of_none(data)
            return _from_leaves(shape, leaves, wanted), False
        found = _checked(np.asarray(data))
    elif hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        found = _checked(np.asarray(data))
    elif hasattr(data, "__dlpack__"):
        from rushlight.ops.tensor.interchange import from_dlpack

        found = from_dlpack(data)._array
    else:
        _leaf_dtype(type(data), [data], wanted)
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    if wanted is not None and wanted.numpy != found.dtype:
        return converted(found, wanted.numpy), False
    if not copy:
        return found, True
    return np.array(found) if found.flags.c_contiguous else preserved(found), False


def new(array):
    """Return a tensor over ``array``, which nothing else uses."""
    d = default_device()
    t = from_array(array if d is CPU else sent(array, d))
    if mode.intercept and mode.recorder() is not None and d is not META:
        return t.clone()  # the array is a constant of the program; each run needs its own copy
    return t


def _live(data):
    """Return ``data``, or in a trace, for a large NumPy array from outside, the tensor over it.

    Each run of the compiled program reads the elements of an outer array again.
    """
    recording = mode.recorder() if mode.intercept else None
    return data if recording is None else recording.live_array(data)


def check_dtype(d, name):
    """Raise TypeError unless ``d`` is a dtype or None."""
    if d is not None and not isinstance(d, dtype):
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(d).__name__}")
    if d in dtypes.COMPLEX32:
        warn_of_half()


# Copies -----------------------------------------------------------------------------------


@short
@function(method=False)
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Make a new tensor with a copy of ``data``.

    Args:
        data: A number, nested sequences of numbers, an array or a tensor.
        dtype: The dtype of the result. Default: that of an array or a tensor. Python numbers give
            bool, int64, ``torch.get_default_dtype()`` or its complex counterpart.

    Returns:
        Tensor with the shape of ``data``; () for a number.

    Raises:
        ValueError: Nested sequences differ in length, or an integer has more than 64 bits.
        TypeError: The data is text, or an array whose type is not numeric.
        RuntimeError: An element is not a number, or ``dtype`` cannot hold a number.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if mode.intercept and mode.state.function_modes:
        given = {"dtype": dtype, "device": device}
        given = {k: v for k, v in given.items() if v is not None}
        flags = {"requires_grad": requires_grad, "pin_memory": pin_memory}
        given |= {k: v for k, v in flags.items() if v}
        found = hand_over(tensor, (), (data,), given)
        if found is NotImplemented:
            raise unhandled(tensor, ())
        return found
    return copied(data, dtype, device, requires_grad, "torch.tensor(sourceTensor)", "tensor")


def copied(data, dtype, device, requires_grad, instead, name):
    """Make a tensor from a copy of ``data``.

    If ``data`` is a tensor, warn that the call ``instead`` is not the way to copy a tensor.
    """
    if device is not None and (d := require(device)) is not default_device():
        with at(d):
            return copied(data, dtype, d, requires_grad, instead, name)
    dtype = from_python(dtype)
    check_dtype(dtype, name)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            f"rather than {instead}.",
            stacklevel=3,
        )
        late.refresh(data)
        if mode.recorder() is not None or is_remote(data):
            found = data.detach().clone() if dtype is None else data.detach().to(dtype, copy=True)
            if device is not None or mode.state.place is not None:
                found = found.to(default_device())
            return found.requires_grad_() if requires_grad else found
    live = _live(data)
    if live is not data:
        t = live.clone() if dtype is None else live.clone().to(dtype)
    else:
        t = new(array_of(data, dtype)[0])
    if requires_grad:
        t.requires_grad = True
    return t


def _new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None,
                pin_memory=False):  # fmt: skip
    """Make a new tensor with a copy of ``data``, in this tensor's dtype.

    Args:
        data: A number, nested sequences of numbers, an array or a tensor.

    Returns:
        Tensor with the shape of ``data``; () for a number.

    Raises:
        ValueError, TypeError, RuntimeError: As for ``torch.tensor``.

    >>> import rushlight as torch
    >>> torch.zeros(2, dtype=torch.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=torch.float64)
    """
    dtype = self.dtype if dtype is None else dtype
    return copied(
        data, dtype, device, requires_grad, "tensor.new_tensor(sourceTensor)", "new_tensor"
    )


_new_tensor.__name__ = _new_tensor.__qualname__ = "new_tensor"
Tensor.new_tensor = document(_new_tensor, "new")

# Shared memory ----------------------------------------------------------------------------


def _warn_if_read_only(array, stacklevel=3):
    if not array.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors: writing to this tensor raises an error here. Copy the array, or make it "
            "writable, before converting it to a tensor.",
            stacklevel=stacklevel,
        )


@function(method=False, asks=False)
def from_numpy(ndarray):
    """Make a tensor that shares the memory of a NumPy array: a write to one changes the other.

    Args:
        ndarray: NumPy array of any shape.

    Returns:
        Tensor of the array's shape and dtype.

    Raises:
        TypeError: ``ndarray`` is no NumPy array, or PyTorch has no such dtype.
        ValueError: The array has negative strides, or another byte order than the machine.

    >>> import numpy, rushlight as torch
    >>> a = numpy.zeros(2)
    >>> t = torch.from_numpy(a).add_(1)
    >>> a
    array([1., 1.])
    """
    if isinstance(live := _live(ndarray), Tensor):
        return live
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    ndarray = _checked(ndarray)
    _warn_if_read_only(ndarray)
    found = from_array(foreign(ndarray))
    if mode.intercept and (recording := mode.recorder()):
        recording.over_arrays[id(found)] = found
    return found


@function(method=False, asks="modes")
def as_tensor(data, dtype=None, device=None):
    """Return ``data`` as a tensor, without a copy if possible.

    Arrays and tensors share their memory with the result if they have its dtype. All other data
    is copied.

    Args:
        data: A number, nested sequences of numbers, an array or a tensor.
        dtype: The dtype of the result. Default: as for ``torch.tensor``.

    Returns:
        Tensor with the shape of ``data``; a tensor of the right dtype itself.

    Raises:
        ValueError, TypeError, RuntimeError: As for ``torch.tensor``.

    >>> import rushlight as torch
    >>> torch.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    d = default_device() if device is None else require(device)
    check_dtype(dtype, "as_tensor")
    data = _live(data)
    if isinstance(data, Tensor):
        return data.to(data.device if device is None and d is CPU else d, dtype)
    array, shared = array_of(data, dtype, copy=False)
    if not shared or d is not CPU:
        with at(d):
            return new(array)
    _warn_if_read_only(array)
    return from_array(foreign(array))


def _over_memory(obj, dtype):
    """Return a tensor over the memory of a DLPack capsule or a Python buffer; anything else as is.

    As in PyTorch, the bytes of a buffer are read as ``dtype``, or as the default dtype.
    """
    from rushlight.ops.tensor.interchange import from_dlpack, frombuffer, is_capsule

    if is_capsule(obj):
        return from_dlpack(obj)
    try:
        memoryview(obj)
    except TypeError:
        return obj
    return frombuffer(obj, dtype=dtypes.get_default_dtype() if dtype is None else dtype)


@function(method=False, asks="modes")
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """Return ``obj`` as a tensor; ``copy`` says whether the two share memory.

    Args:
        obj: A number, nested sequences of numbers, an array, a tensor, a storage, a DLPack capsule,
            or an object with Python's buffer protocol.
        dtype: The dtype of the result. Default: as for ``torch.tensor``. The bytes of a buffer are
            read as this dtype; default: ``torch.get_default_dtype()``.
        copy: True always copies, and False never does. Default: None, copy only if the memory
            cannot be shared. A NumPy array without dimensions is always copied.
        requires_grad: Record the result's use, for gradients. Default: None, as for ``obj``.

    Returns:
        Tensor with the shape of ``obj``.

    Raises:
        ValueError: ``copy`` is False, and the memory of ``obj`` cannot be shared.
        RuntimeError: ``copy`` is False, and ``obj`` is a NumPy scalar.

    >>> import rushlight as torch
    >>> torch.asarray([1, 2])
    tensor([1, 2])
    """
    check_dtype(dtype, "asarray")
    if isinstance(obj, (UntypedStorage, TypedStorage)):
        obj = from_array(foreign(_stored(obj, dtype)))
    elif isinstance(obj, np.generic) and copy is False:
        raise RuntimeError("can't alias NumPy scalars: leave out copy=False, or pass an ndarray")
    elif not isinstance(obj, (Tensor, np.ndarray, np.generic)):
        obj = _over_memory(obj, dtype)
    obj = _live(obj)
    t = as_tensor(obj, dtype, device)
    source = obj._array if isinstance(obj, Tensor) else obj if isinstance(obj, np.ndarray) else None
    if is_remote(t):
        shared = t is obj
    else:
        shared = source is not None and (
            np.may_share_memory(t._array, source)
            or (not source.size and t._array.dtype == source.dtype)
        )
    if copy is False and not shared:
        what = (
            "arbitrary sequence into a tensor"
            if source is None
            else (f"tensor with dtype '{source.dtype}' into dtype '{t.dtype}'")
        )
        raise ValueError(f"can't alias {what}.")
    zero_dim = isinstance(obj, np.ndarray) and not obj.ndim  # PyTorch takes it for a number
    if shared and (copy or zero_dim):
        t = t.clone()
    if requires_grad is None:
        return t
    if (t is obj and t.requires_grad != requires_grad) or (not requires_grad and t.requires_grad):
        t = t.detach()
    return t.requires_grad_(True) if requires_grad and not t.requires_grad else t
