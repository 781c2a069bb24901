"""``TypedStorage``: a tensor's memory as numbers. PyTorch keeps it for old programs."""

import copy

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.notices import warn_once
from rushlight.storage import UntypedStorage, reduced
from rushlight.tensor import from_array

_PREFIXES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int",
    "int64": "Long", "float16": "Half", "bfloat16": "BFloat16", "float32": "Float",
    "float64": "Double", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip
#: dtype → the name of its old storage class, such as ``FloatStorage``.
NAMES = {d: f"{_PREFIXES[d.name]}Storage" for d in dtypes.DTYPES if d.name in _PREFIXES}


def warn_of_typed():
    """Warn, once in a process, that a program uses typed storages."""
    warn_once(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be "
        "the only storage class. Use tensor.untyped_storage() instead of tensor.storage()."
    )


def _memory(source, dtype, device):
    """Return the memory of a new typed storage."""
    if isinstance(source, int):
        return UntypedStorage(source * dtype.itemsize, device=device)
    numbers = late.framework.tensor(source, dtype=dtype, device=device or "cpu")
    return numbers.untyped_storage()


class TypedStorage:
    """A tensor's memory as numbers of its dtype, shared by all its views: ``tensor.storage()``.

    Deprecated: use ``tensor.untyped_storage()``.

    Args:
        source: The number of numbers, uninitialised; or a sequence of numbers. Default: 0.
        dtype: The dtype of the numbers. Default: ``torch.get_default_dtype()``.
        device: None or the CPU.
        wrap_storage: The memory, an ``UntypedStorage``, in place of ``source``. Default: None.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> x.storage()[1], len(x[1:].storage())
    (2.0, 2)
    """

    def __init__(self, source=0, *, dtype=None, device=None, wrap_storage=None):
        self.dtype = dtypes.get_default_dtype() if dtype is None else dtype
        if wrap_storage is None:
            warn_of_typed()
            self._untyped_storage = _memory(source, self.dtype, device)
        else:
            self._untyped_storage = wrap_storage

    @property
    def _numbers(self):
        """The memory as a one-dim tensor."""
        whole = len(self) * self.dtype.itemsize
        return from_array(self._untyped_storage.bytes[:whole].view(self.dtype.numpy))

    def _numbers_as(self, dtype):
        """The numbers as a storage of ``dtype``: the same memory if they are, else a copy."""
        return TypedStorage(wrap_storage=self._numbers.to(dtype).untyped_storage(), dtype=dtype)

    def untyped(self):
        """Return the memory as an ``UntypedStorage``."""
        return self._untyped_storage

    @property
    def device(self):
        return self._untyped_storage.device

    @property
    def _cdata(self):
        return self._untyped_storage._cdata

    is_cuda = is_sparse = False

    def resizable(self):
        """Return whether the memory may grow, as for an ``UntypedStorage``."""
        return self._untyped_storage.resizable()

    def is_shared(self):
        """Return True if the memory can be shared with other processes."""
        return self._numbers.is_shared()

    def is_pinned(self, device=None):
        """Return True if the memory stays where it is: never."""
        return False

    def type(self):
        """Return the name of the old class, such as ``"torch.FloatStorage"``."""
        return f"torch.{NAMES[self.dtype]}"

    def nbytes(self):
        """Return the size of the memory in bytes."""
        return self._untyped_storage.nbytes()

    def element_size(self):
        """Return the size of a number in bytes."""
        return self.dtype.itemsize

    def size(self):
        """Return the number of numbers."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def resize_(self, size):
        """Change the number of numbers, in place; see ``UntypedStorage.resize_``."""
        self._untyped_storage.resize_(size * self.dtype.itemsize)
        return self

    def data_ptr(self):
        """Return the address of the first number."""
        return self._untyped_storage.data_ptr()

    def tolist(self):
        """Return the numbers as a list."""
        return self._numbers.tolist()

    def __iter__(self):
        return iter(self.tolist())

    def __getitem__(self, i):
        if isinstance(i, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self._numbers[i].item()

    def __setitem__(self, i, value):
        self._numbers[i] = value

    def fill_(self, value):
        """Set every number to ``value``, and return this storage."""
        self._numbers.fill_(value)
        return self

    def copy_(self, source, non_blocking=None):
        """Write the numbers of another typed storage, and return this storage."""
        self._numbers.copy_(source._numbers)
        return self

    def __sizeof__(self):
        return object.__sizeof__(self) + self.nbytes()

    def __reduce__(self):
        return reduced(self)

    def __deepcopy__(self, memo):
        memory = copy.deepcopy(self._untyped_storage, memo)
        return TypedStorage(wrap_storage=memory, dtype=self.dtype)

    def clone(self):
        """Return a copy with memory of its own."""
        return TypedStorage(wrap_storage=self._untyped_storage.clone(), dtype=self.dtype)

    def cpu(self):
        """Return this storage, because every storage is on the CPU."""
        return self

    def __eq__(self, other):
        if not isinstance(other, TypedStorage):
            return NotImplemented
        same = self._untyped_storage == other._untyped_storage
        return same and self.dtype is other.dtype

    __hash__ = None  # type: ignore[assignment]  # two objects may stand for one memory

    def __repr__(self):
        lines = "".join([f" {v}\n" for v in self.tolist()])
        return (
            f"{lines}[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size "
            f"{self.size()}]"
        )


# The casts ``storage.float()`` and the like -----------------------------------------------


def _cast(name, dtype):
    def cast(self):
        return self._numbers_as(dtype)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"""Return the numbers as {dtype}: itself if they are, else a copy."""
    return cast


def _cast_of_bytes(name, dtype):
    def cast(self):
        return TypedStorage(wrap_storage=self, dtype=dtypes.uint8)._numbers_as(dtype)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"""Return the bytes, each as a number of {dtype}."""
    return cast


for _name, _dtype in {
    "bool": dtypes.bool, "byte": dtypes.uint8, "char": dtypes.int8, "short": dtypes.int16,
    "int": dtypes.int32, "long": dtypes.int64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
    "float": dtypes.float32, "double": dtypes.float64, "complex_float": dtypes.complex64,
    "complex_double": dtypes.complex128, "float8_e4m3fn": dtypes.float8_e4m3fn,
    "float8_e5m2": dtypes.float8_e5m2, "float8_e4m3fnuz": dtypes.float8_e4m3fnuz,
    "float8_e5m2fnuz": dtypes.float8_e5m2fnuz,
}.items():  # fmt: skip
    setattr(TypedStorage, _name, _cast(_name, _dtype))
    setattr(UntypedStorage, _name, _cast_of_bytes(_name, _dtype))


# The old classes, one for each dtype ------------------------------------------------------


class StorageClass(type):
    """The metaclass of the old storage classes, such as ``torch.FloatStorage``."""

    dtype: dtypes.dtype
    is_cuda = is_sparse = False

    def __instancecheck__(cls, instance):
        return (
            isinstance(instance, TypedStorage)
            and instance.dtype is cls.dtype
            and (instance.device.type == "cuda") is cls.is_cuda
        )

    def __call__(cls, source=0, *, device=None, wrap_storage=None):
        if cls.is_cuda and wrap_storage is None:
            device = device or "cuda"
        return TypedStorage(source, dtype=cls.dtype, device=device, wrap_storage=wrap_storage)

    def from_buffer(cls, buffer, byte_order="native", count=-1, offset=0):
        """Copy ``count`` numbers of a Python buffer, from the byte ``offset`` on.

        Args:
            buffer: An object with Python's buffer protocol.
            byte_order: ``"native"``, ``"little"`` or ``"big"``.
            count: Number of numbers. Default: -1, all that follow.
            offset: Where the first number begins, in bytes.
        """
        found = UntypedStorage.from_buffer(
            buffer, byte_order, count=count, offset=offset, dtype=cls.dtype
        )
        return cls(wrap_storage=found)

    _from_buffer = from_buffer  # PyTorch's older name

    def from_file(cls, filename, shared=False, size=0):
        """Map ``size`` numbers of a file to memory; see ``UntypedStorage.from_file``."""
        nbytes = size * cls.dtype.itemsize
        return cls(wrap_storage=UntypedStorage.from_file(filename, shared, nbytes))


def _storage_class(name, dtype, module, is_cuda=False):
    doc = f"""The old class of storages of {dtype} numbers{" on NVIDIA's GPUs" * is_cuda}.

    Args:
        source: The number of numbers, uninitialised; or a sequence of numbers. Default: 0.

    >>> import rushlight as torch
    >>> {module}.{name}.dtype
    {dtype}
    """
    members = {"__module__": module, "__doc__": doc, "dtype": dtype, "is_cuda": is_cuda}
    return StorageClass(name, (), {**members, "is_sparse": False})


for _dtype, _name in NAMES.items():
    globals()[_name] = _storage_class(_name, _dtype, "torch")

#: Name → the old class of storages on NVIDIA's GPUs.
CUDA_STORAGES = {name: _storage_class(name, d, "torch.cuda", True) for d, name in NAMES.items()}

#: PyTorch's name of the storage class of its first default dtype.
Storage = globals()["FloatStorage"]

__all__ = ["CUDA_STORAGES", "NAMES", "Storage", "StorageClass", "TypedStorage", *NAMES.values()]


def is_storage(obj):
    """Tell whether ``obj`` is a tensor's memory.

    Args:
        obj: Any object.

    Returns:
        True for an ``UntypedStorage`` and for a ``TypedStorage``.

    >>> import rushlight as torch
    >>> x = torch.zeros(1)
    >>> torch.is_storage(x.untyped_storage()), torch.is_storage(x)
    (True, False)
    """
    return isinstance(obj, (UntypedStorage, TypedStorage))
