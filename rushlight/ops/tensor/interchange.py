"""Memory shared with NumPy and other libraries, through NumPy's protocols, buffers and DLPack."""

import ctypes
import warnings

import numpy as np

import rushlight.dtype as dtypes
from rushlight.autograd.mode import is_grad_enabled
from rushlight.device import require
from rushlight.ops.core.definition import function
from rushlight.ops.create.from_data import check_dtype, from_numpy
from rushlight.storage import foreign
from rushlight.tensor import Tensor, from_array, method, reads_values

#: The dtypes that come from ml_dtypes.
_NOT_NUMPYS = (*[d.numpy for d in (dtypes.bfloat16, *dtypes.FLOAT8)], *dtypes.COMPLEX_HALF)

#: DLPack's (code, bits) of these dtypes. Source: the header dlpack.h, version 1.1.
_DLPACK_TYPES = {
    dtypes.bfloat16: (4, 16),
    dtypes.float8_e4m3fn: (10, 8),
    dtypes.float8_e4m3fnuz: (11, 8),
    dtypes.float8_e5m2: (12, 8),
    dtypes.float8_e5m2fnuz: (13, 8),
    dtypes.float8_e8m0fnu: (14, 8),
    **dict.fromkeys(dtypes.COMPLEX32, (5, 32)),
}
_FROM_DLPACK = {kind: d for d, kind in _DLPACK_TYPES.items()}

_capsule_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _type_field(capsule):
    """Return the bytes (code, bits) of the dtype in a DLPack capsule: writes change the capsule."""
    name = _capsule_name(capsule)
    # In a versioned capsule four fields of 8 bytes come before the DLTensor. In a DLTensor the
    # data's address (8 bytes), the device (8) and the number of dims (4) come before the dtype.
    offset = 52 if name == b"dltensor_versioned" else 20
    return (ctypes.c_uint8 * 2).from_address(_capsule_pointer(capsule, name) + offset)


def is_capsule(x):
    """Return True if ``x`` is a capsule: an address that C code gave to Python."""
    return type(x).__name__ == "PyCapsule"


@reads_values
def numpy(self, *, force=False):
    """Return a NumPy array that shares the tensor's memory: a write to one changes the other.

    Args:
        force: Also accept a tensor that requires grad or is a conjugate view; the array of a
            conjugate view is a copy. Default: False.

    Returns:
        Array of this tensor's shape and dtype.

    Raises:
        RuntimeError: ``force`` is False, and the tensor is a conjugate view, or requires grad while
            grad mode is on.
        TypeError: NumPy has no such dtype: bfloat16, complex32 and those of 8 bits; also with
            ``force``.

    >>> import rushlight as torch
    >>> torch.ones(2).numpy()
    array([1., 1.], dtype=float32)
    """
    if self.requires_grad and not force and is_grad_enabled():
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self._array.dtype in _NOT_NUMPYS:
        name = dtypes.TYPE_NAMES[self.dtype].removeprefix("torch.").removesuffix("Tensor")
        wide = "cfloat" if self.dtype.is_complex else "float"
        raise TypeError(f"Got unsupported ScalarType {name}: NumPy has no such type; use .{wide}()")
    if self.view_of is not None and self.view_of.lazy:
        if force:
            return self.detach().clone()._array
        _refuse_lazy(self)
    return self._array.view(np.ndarray)


def _refuse_lazy(t):
    """Raise PyTorch's error for a lazy conjugate: its array is a copy of the shared memory."""
    bit, resolve = ("conjugate", "conj") if t.dtype.is_complex else ("negative", "neg")
    raise RuntimeError(
        f"Can't call numpy() on Tensor that has {bit} bit set. Use "
        f"tensor.resolve_{resolve}().numpy() instead."
    )


@reads_values
def __array__(self, dtype=None, copy=None):
    array = numpy(self)
    if dtype is not None and np.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"__array__: a conversion from {array.dtype} to {dtype} needs a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


@method
def __array_wrap__(self, array, context=None, return_scalar=False):
    array = np.asarray(array)
    return from_numpy(array.astype(np.uint8) if array.dtype == bool else array)


def _refuse_export(t):
    """Raise if ``t`` requires grad, or is a lazy conjugate, whose array is a copy."""
    if t.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if t.view_of is not None and t.view_of.lazy:
        raise BufferError("Can't export tensors with the conjugate bit set")


@reads_values
def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """Return a DLPack capsule over the tensor's memory."""
    _refuse_export(self)
    if stream is not None and type(stream) is not int:
        raise TypeError(f"__dlpack__: stream must be an int or None, not {type(stream).__name__}")
    if stream not in (None, -1):
        raise AssertionError(f"__dlpack__: stream should be None on cpu, not {stream}")
    options = {"max_version": max_version} if max_version is not None else {}
    if dl_device is not None:
        options["dl_device"] = tuple(dl_device)
    if copy is not None:
        options["copy"] = copy
    if self._array.dtype not in _NOT_NUMPYS:
        return self._array.__dlpack__(**options)
    bits = self._array.view(f"u{self.dtype.itemsize}")  # NumPy lacks the dtype
    capsule = bits.__dlpack__(**options)
    _type_field(capsule)[:2] = _DLPACK_TYPES[self.dtype]
    return capsule


@method
def __dlpack_device__(self):
    """Return (1, 0), which is DLPack's name for the CPU."""
    return self._array.__dlpack_device__()


@function(method=False, asks=False)
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """Make a 1-dim tensor that shares the memory of a Python buffer.

    Args:
        buffer: An object with Python's buffer protocol, such as a ``bytearray``.
        dtype: The dtype as which the bytes are read.
        count: Number of elements. Default: -1, all that follow ``offset``.
        offset: Where the first element begins, in bytes. Default: 0.

    Returns:
        Tensor of shape (count,).

    Raises:
        ValueError: ``buffer`` is no buffer, or it is empty or too short, or ``count`` is 0; or
            ``count`` is -1 and the bytes after ``offset`` are no whole number of elements.

    >>> import rushlight as torch
    >>> torch.frombuffer(bytearray([1, 0, 2, 0]), dtype=torch.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    check_dtype(dtype, "frombuffer")
    try:
        memory = np.frombuffer(buffer, np.uint8)
    except TypeError as error:
        raise ValueError(f"frombuffer: {error}") from None
    if memory.size == 0 or count == 0:
        raise ValueError(f"both buffer length ({memory.size}) and count ({count}) must not be 0")
    rest = memory.size - offset
    if not 0 <= offset < memory.size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({memory.size} bytes) minus 1"
        )
    size = dtype.itemsize
    if count < 0 and rest % size:
        raise ValueError(
            f"buffer length ({rest} bytes) after offset ({offset} bytes) must be a multiple of "
            f"element size ({size})"
        )
    n = rest // size if count < 0 else count
    if n * size > rest:
        raise ValueError(
            f"requested buffer length ({n} * {size} bytes) after offset ({offset} bytes) must not "
            f"be greater than actual buffer length ({memory.size} bytes)"
        )
    if not memory.flags.writeable:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors.",
            stacklevel=2,
        )
    t = from_array(foreign(memory[offset : offset + n * size].view(dtype.numpy)))
    return t.requires_grad_(True) if requires_grad else t


class _Source:
    """What ``np.from_dlpack`` reads: a bare DLPack capsule, or an object that makes one.

    A type that NumPy lacks is replaced in the capsule by an unsigned integer of its size, and kept
    in ``dtype``.
    """

    def __init__(self, source):
        self.source, self.dtype = source, None

    def __dlpack__(self, **options):
        capsule = self.source
        if not is_capsule(capsule):
            capsule = capsule.__dlpack__(**options)
        kind = _type_field(capsule)
        self.dtype = _FROM_DLPACK.get((kind[0], kind[1]))
        if self.dtype is not None:
            kind[0] = 1
        return capsule

    def __dlpack_device__(self):
        return (1, 0) if is_capsule(self.source) else self.source.__dlpack_device__()


@function(method=False, asks=False)
def from_dlpack(ext_tensor, *, device=None, copy=None):
    """Make a tensor that shares the memory of another library's array on the CPU.

    The array can come from NumPy, PyTorch, JAX or any other library with DLPack.

    Args:
        ext_tensor: An array with the method ``__dlpack__``, or a DLPack capsule.
        device: Where the result lies. Default: None, where the array lies.
        copy: Give the tensor memory of its own. Default: None, share the array's.

    Returns:
        Tensor of the array's shape and dtype.

    Raises:
        BufferError: ``ext_tensor`` is a tensor that requires grad.
        RuntimeError: ``ext_tensor`` is neither an array nor a DLPack capsule, or the capsule was
            used before.

    >>> import numpy, rushlight as torch
    >>> torch.from_dlpack(numpy.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    found = _from_dlpack(ext_tensor)
    if device is not None:
        found = found.to(require(device))
    return found.clone() if copy else found


def _from_dlpack(ext_tensor):
    if isinstance(ext_tensor, Tensor):
        _refuse_export(ext_tensor)
        t = from_array(ext_tensor._array)
        t.cell = ext_tensor.cell
        return t
    if not (hasattr(ext_tensor, "__dlpack__") or is_capsule(ext_tensor)):
        raise RuntimeError(
            "from_dlpack: expected an array with __dlpack__, or a DLPack capsule, got "
            f"{type(ext_tensor).__name__}"
        )
    source = _Source(ext_tensor)
    try:
        array = np.from_dlpack(source)
    except ValueError as error:
        raise RuntimeError(
            f"from_dlpack: {error}; a DLPack capsule can be used only once"
        ) from None
    if not array.flags.writeable:
        # Not all libraries use DLPack's flag for read-only memory, so NumPy makes the array
        # read-only in case of doubt. PyTorch makes it writable.
        array = _writable(array)
    if source.dtype is not None:
        array = array.view(source.dtype.numpy)
    return from_array(foreign(array))


def _writable(array):
    interface = dict(array.__array_interface__)
    interface["data"] = (interface["data"][0], False)
    holder = type("Memory", (), {"__array_interface__": interface, "array": array})()
    return np.asarray(holder)
