"""The memory behind tensors: which array owns it, views of any strides, and ``Storage``.

A storage is the array that owns a tensor's memory. Tensors are views of it, as NumPy arrays are,
so ``storage_offset`` and ``untyped_storage`` are read from the arrays' addresses.
"""

import io
import mmap
import os
import sys
import weakref

import numpy as np
from numpy import ndarray
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from rushlight import late
from rushlight.autograd import mode
from rushlight.backend.address import address as pointer
from rushlight.errors import ShapeError
from rushlight.storage_conversions import Conversions

__all__ = [
    "Foreign", "Storage", "UntypedStorage", "address", "bits", "check_reach", "contiguous_strides",
    "flat", "foreign", "foreign_memory", "geometry", "offset", "owner", "reach", "settled",
    "span", "strided", "strides_of",
]  # fmt: skip


class Foreign:
    """Holds an array that another library owns; the storage begins at the array's first element."""

    __slots__ = ("__array_interface__", "_array")

    def __init__(self, array):
        self._array = array
        self.__array_interface__ = array.__array_interface__


def foreign(array):
    """Return a view of ``array`` whose storage starts at the first element of ``array``."""
    if array.dtype.isbuiltin != 1:  # ml_dtypes' types have no array interface
        return foreign(array.view(f"u{array.itemsize}")).view(array.dtype)
    return np.asarray(Foreign(array))


def foreign_memory(array):
    """The array of another library in whose memory ``array`` lies, or None."""
    while array is not None and type(array) is not Foreign:
        array = getattr(array, "base", None)
    return None if array is None else array._array


def owner(array):
    """The array that owns ``array``'s memory."""
    base = array.base
    while base is not None:
        if isinstance(base, ndarray):
            array = base
        elif type(base) is Foreign or not hasattr(base, "__array_interface__"):
            break
        base = base.base  # as_strided puts a holder object between a view and its array
    return array


def root(array):
    """The object that owns ``array``'s memory at last, whichever library made it.

    Two arrays share memory only if they have one root. ``owner`` stops at a storage's first array.
    """
    found = array
    while True:
        if type(found) is Foreign:
            found = found._array
        elif type(found) is memoryview:
            found = found.obj
        else:
            base = getattr(found, "base", None)
            if base is None:
                return found
            found = base


def address(array):
    """The address of the first element; where the memory would begin at 0 if there is none."""
    return pointer(array) if isinstance(array, ndarray) else getattr(array, "address", 0)


def span(shape, strides):
    """Return the number of elements from the first to the last element of a block, both included.

    ``strides`` are in elements. An empty block has span 0.

    >>> span((2, 3), (3, 1)), span((2, 0), (1, 1))
    (6, 0)
    """
    if 0 in shape:
        return 0
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])


def contiguous_strides(shape, step=1):
    """The strides of a block without gaps, in units of ``step``; empty dims count as 1.

    >>> contiguous_strides((2, 0, 3))
    (3, 3, 1)
    """
    strides = []
    for n in reversed(shape):
        strides.append(step)
        step *= n or 1
    return tuple(reversed(strides))


def strides_of(array):
    """Return ``array.strides`` as PyTorch has them, in bytes.

    They differ for empty arrays only, because NumPy may give these strides of 0.
    """
    strides = array.strides
    if array.size or any(strides):
        return strides
    return contiguous_strides(array.shape, array.itemsize)


def settled(array):
    """Return ``array``; replace an empty array by an empty array that has PyTorch's strides."""
    if array.size or any(array.strides) or not array.ndim:
        return array
    return ndarray(array.shape, array.dtype, np.empty(0, array.dtype), 0, strides_of(array))


def flat(array):
    """Return all memory of ``array``'s storage as a one-dimensional array of bytes."""
    root = owner(array)
    if root.flags.c_contiguous:
        return root.reshape(-1).view(np.uint8)
    low, high = byte_bounds(root)
    first = as_strided(bits(root), (1,), (root.itemsize,)).view(np.uint8)
    return as_strided(first, (high - low,), (1,))


def _block(array):
    """All memory of ``array``'s storage as a contiguous array of some dtype."""
    root = owner(array)
    return root if root.flags.c_contiguous else flat(array)


def bits(array):
    """Return a view of ``array`` as elements without a meaning, whose strides NumPy can change.

    NumPy's ``as_strided`` does not know all dtypes of ml_dtypes.
    """
    return array.view(f"V{array.itemsize}")


def offset(array):
    """Return the number of elements between the storage's start and ``array``'s first element."""
    base = array.base
    if base is None:
        return getattr(array, "start", 0) // array.itemsize
    root = owner(array)
    return 0 if root is array else (address(array) - address(root)) // array.itemsize


def strided(array, shape, strides, dtype=None):
    """Return a view of ``array`` with exactly these strides, in bytes.

    Raises:
        ValueError: the view reaches beyond the memory. (NumPy's ``as_strided`` does not check.)
    """
    dtype = dtype or array.dtype
    if type(array) is not ndarray and hasattr(array, "noted"):  # a call that will be replayed
        return array.as_view(strided(array.array, shape, strides, dtype))
    if array.flags.c_contiguous:
        return ndarray(shape, dtype, array, 0, strides)
    memory = _block(array)
    found = ndarray(shape, dtype, memory, pointer(array) - pointer(memory), strides)
    if not array.flags.writeable:
        found.flags.writeable = False
    return found


def geometry(array):
    """Return ``array``, or for an abstract value of a trace an array with the same strides.

    That array has the value's shape, strides and dtype, but memory for one element only.
    """
    if type(array) is ndarray:
        return array
    found = as_strided(bits(np.empty(1, array.dtype)), array.shape, array.strides)
    return found.view(array.dtype)


def check_reach(nbytes, size, shape, strides, start, name):
    """Raise RuntimeError if a view reaches beyond a storage of ``nbytes`` bytes.

    The view's elements have ``size`` bytes; ``strides`` and ``start`` are in elements.
    """
    needed = (start + span(shape, strides)) * size if 0 not in shape else 0
    if start < 0:
        raise ShapeError(f"{name}: Tensor: invalid storage offset {start}")
    if needed > nbytes:
        raise ShapeError(
            f"{name}: setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset "
            f"{start}, and itemsize {size} requiring a storage size of {needed} are out of bounds "
            f"for storage of size {nbytes}"
        )


def within(array, shape, strides, start):
    """``reach`` of plain tuples of ints; None if it has no elements, or an error to explain."""
    if not array.size:  # NumPy takes any shape for a buffer without bytes
        return None
    size = array.itemsize
    try:
        found = ndarray(
            shape, array.dtype, _block(array), start * size, [s * size for s in strides]
        )
        return found if found.size and (not strides or min(strides) >= 0) else None
    except (TypeError, ValueError):
        return None


def reach(array, shape, strides, start, name):
    """Return a view of ``array``'s storage that may reach beyond ``array`` itself.

    ``strides`` and ``start``, the offset in the storage, are in elements. Errors begin with
    ``name``.

    Raises:
        RuntimeError: the view reaches beyond the storage.
    """
    memory = _block(array)
    size = array.itemsize
    check_reach(memory.nbytes, size, shape, strides, start, name)
    if 0 in shape:
        start = min(start, memory.nbytes // size)
    steps = [s * size for s in strides]
    return ndarray(shape, array.dtype, memory, start * size, steps)


#: id of the array that owns a storage's memory → the storage's size in bytes after a ``resize_``
#: to fewer than the memory has. An entry goes with its array.
_shrunk: dict = {}


class StorageBase:
    """The base class of storages of bytes."""

    __slots__ = ()


class UntypedStorage(Conversions, StorageBase):
    """A tensor's memory as bytes, shared by all its views: ``tensor.untyped_storage()``.

    Args:
        source: The number of bytes, uninitialised; or a sequence of bytes, as ints from 0 to 255.
            Default: 0.
        device: None or the CPU.

    >>> import rushlight as torch
    >>> x = torch.zeros(4)
    >>> x[1:].untyped_storage().nbytes(), x[1:].untyped_storage() == x.untyped_storage()
    (16, True)
    """

    # _owner   the array that owns the memory
    # _holder  a weak reference to the tensor that was asked for its storage, which follows when
    #          the memory grows; or None
    __slots__ = ("_holder", "_owner")

    def __init__(self, source=0, *, device=None):
        self._holder = None
        if device is not None:
            from rushlight.device import CPU, require

            if require(device) is not CPU:
                raise NotImplementedError(f"UntypedStorage: makes no memory on the device {device}")
        if isinstance(source, ndarray):
            self._owner = owner(source)
        elif isinstance(source, int):
            self._owner = np.empty(source, np.uint8)
        else:
            self._owner = np.array(source, np.uint8)

    @classmethod
    def from_file(cls, filename, shared=False, nbytes=0):
        """Map the first ``nbytes`` bytes of a file to memory.

        Args:
            filename: The path of the file.
            shared: Let writes change the file, and create or extend a file that is missing or too
                short. Default: False, writes stay in memory.
            nbytes: Size of the storage, in bytes. Default: 0.

        Returns:
            An ``UntypedStorage`` of ``nbytes`` bytes.

        Raises:
            RuntimeError: The file is too short, and ``shared`` is False.
        """
        ways = os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY
        descriptor = os.open(filename, ways | getattr(os, "O_BINARY", 0), 0o666)
        with open(descriptor, "r+b" if shared else "rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < nbytes and not shared:
                raise RuntimeError(f"from_file: {filename} has {size} bytes, not {nbytes}")
            if size < nbytes:
                file.truncate(nbytes)
            if not nbytes:
                return cls(0)
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
            mapped = mmap.mmap(file.fileno(), nbytes, access=access)
        return cls(np.frombuffer(mapped, np.uint8))

    @property
    def bytes(self):
        """The memory as a NumPy array of uint8."""
        # A program writes when it runs, so bytes that are at hand while it is recorded are others.
        mode.refuse_in_trace("the bytes of a storage are read or written; do that outside")
        return flat(self._owner)[: self.nbytes()]

    def nbytes(self):
        """Return the size of the memory in bytes."""
        return _shrunk.get(id(self._owner), flat(self._owner).size)

    size = nbytes

    def __len__(self):
        return self.nbytes()

    def element_size(self):
        """Return 1, the size of an element in bytes."""
        return 1

    def data_ptr(self):
        """Return the address of the first byte."""
        return address(self._owner)

    @property
    def device(self):
        from rushlight.device import CPU

        return CPU

    is_cuda = is_sparse = is_sparse_csr = is_hpu = False

    @property
    def _cdata(self):
        """A number that only the views of one storage share."""
        return id(self._owner)

    def is_shared(self):
        """Return True if the memory can be shared with other processes."""
        sharing = sys.modules.get("rushlight.multiprocessing.sharing")
        return sharing is not None and sharing.block_of(self._owner) is not None

    def is_pinned(self, device=None):
        """Return True if the memory stays where it is: never."""
        return False

    def type(self):
        """Return the name of the class."""
        return "torch.storage.UntypedStorage"

    def __sizeof__(self):
        return object.__sizeof__(self) + self.nbytes()

    def __reduce__(self):
        return reduced(self)

    def resizable(self):
        """Return True unless the memory is another library's or a mapped file: it may grow."""
        return type(self._owner.base) not in (Foreign, mmap.mmap)

    def resize_(self, nbytes):
        """Change the size, in place, and return this storage.

        A smaller storage keeps its memory, for tensors that look at it. A larger one is new
        memory, whose further bytes are uninitialised: the tensor that gave this storage moves
        there, and other tensors keep the memory that they had.

        Args:
            nbytes: The new size, in bytes.

        Raises:
            RuntimeError: The size is negative, or the memory belongs to another library.
        """
        if nbytes < 0 or not self.resizable():
            raise RuntimeError(
                f"resize_: Trying to resize storage that is not resizable, to {nbytes} bytes"
            )
        memory = flat(self._owner)
        if nbytes > memory.size:
            self._grow(memory, nbytes)
        elif nbytes < memory.size:
            if id(self._owner) not in _shrunk:
                weakref.finalize(self._owner, _shrunk.pop, id(self._owner), None).atexit = False
            _shrunk[id(self._owner)] = nbytes
        elif id(self._owner) in _shrunk:
            _shrunk[id(self._owner)] = nbytes
        return self

    def _grow(self, memory, nbytes):
        grown = np.empty(nbytes, np.uint8)
        grown[: memory.size] = memory
        holder = self._holder() if self._holder is not None else None
        if holder is not None and owner(holder._array) is self._owner:
            late.move_memory(holder, grown)
            grown = owner(holder._array)
        self._owner = grown

    def tolist(self):
        """Return the bytes as a list of ints."""
        return self.bytes.tolist()

    def __getitem__(self, i):
        found = self.bytes[i]
        return UntypedStorage(foreign(found)) if isinstance(i, slice) else int(found)

    def __setitem__(self, i, value):
        self.bytes[i] = value

    def __iter__(self):
        return iter(self.tolist())

    def __eq__(self, other):
        if not isinstance(other, UntypedStorage):
            return NotImplemented
        return self.data_ptr() == other.data_ptr() and self.nbytes() == other.nbytes()

    __hash__ = None  # type: ignore[assignment]  # two objects may stand for one memory

    def fill_(self, value):
        """Set every byte to ``value``, an int from 0 to 255, and return this storage."""
        self.bytes.fill(value)
        return self

    def copy_(self, source, non_blocking=None):
        """Write the bytes of the storage ``source``, of the same size, and return this storage."""
        self.bytes[...] = source.bytes
        return self

    def clone(self):
        """Return a copy with memory of its own."""
        return UntypedStorage(self.bytes.copy())

    def cpu(self):
        """Return this storage, because every storage is on the CPU."""
        return self

    def cuda(self, device=None, non_blocking=False):
        """Raise an error, because storages are on the CPU."""
        from rushlight.device import require

        require("cuda")

    def untyped(self):
        """Return this storage."""
        return self

    def __repr__(self):
        lines = "".join([f" {v}\n" for v in self.tolist()])
        return f"{lines}[torch.storage.UntypedStorage(device=cpu) of size {self.nbytes()}]"


Storage = UntypedStorage


def reduced(storage):
    """Return what a plain pickle holds of a storage: PyTorch's function and a file's bytes."""
    file = io.BytesIO()
    late.framework.save(storage, file)
    return _load_from_bytes, (file.getvalue(),)


def _load_from_bytes(content):
    """Read a storage from a file of ``torch.save``; plain pickles of PyTorch's name this."""
    return late.framework.load(io.BytesIO(content), weights_only=False)


def __getattr__(name):
    if name == "TypedStorage":  # PyTorch's torch.storage has it
        return late.framework.TypedStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
