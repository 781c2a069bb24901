"""``TypedStorage``: a tensor's memory as numbers. PyTorch keeps it for old programs."""

from rushlight.tensor import from_array

__all__ = ["TypedStorage"]


class TypedStorage:
    """A tensor's memory as numbers of its dtype, shared by all its views: ``tensor.storage()``.

    Deprecated: use ``tensor.untyped_storage()``.

    Args:
        wrap_storage: The memory, an ``UntypedStorage``.
        dtype: The dtype of the numbers.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> x.storage()[1], len(x[1:].storage())
    (2.0, 2)
    """

    def __init__(self, *, wrap_storage, dtype, device=None):
        self._untyped_storage, self.dtype = wrap_storage, dtype

    @property
    def _numbers(self):
        """The memory as a one-dim tensor."""
        whole = len(self) * self.dtype.itemsize
        return from_array(self._untyped_storage.bytes[:whole].view(self.dtype.numpy))

    def untyped(self):
        """Return the memory as an ``UntypedStorage``."""
        return self._untyped_storage

    @property
    def device(self):
        return self._untyped_storage.device

    is_cuda = False

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
