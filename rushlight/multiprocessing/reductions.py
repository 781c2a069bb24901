"""torch.multiprocessing.reductions: how tensors travel, by the names that libraries import."""

import weakref
from multiprocessing.reduction import ForkingPickler

from rushlight.multiprocessing.sharing import reduce as reduce_tensor

__all__ = ["ForkingPickler", "StorageWeakRef", "reduce_tensor"]


class StorageWeakRef:
    """A reference that does not keep a storage's memory alive.

    References are equal if they are to the same storage.

    >>> import rushlight as torch
    >>> x = torch.ones(4)
    >>> ref = StorageWeakRef(x.untyped_storage())
    >>> ref == StorageWeakRef(x[1:].untyped_storage()), ref.expired()
    (True, False)
    >>> del x
    >>> ref.expired()
    True
    """

    def __init__(self, storage):
        self.cdata = storage._cdata
        self._owner = weakref.ref(storage._owner)

    def expired(self):
        """Return True if the memory has been freed."""
        return self._owner() is None

    def __hash__(self):
        return self.cdata

    def __eq__(self, other):
        return isinstance(other, StorageWeakRef) and self.cdata == other.cdata
