"""What storages do besides holding memory: reading buffers, turning bytes around, sharing."""

import sys
from typing import Any, cast

import numpy as np

from rushlight import late

__all__ = ["Conversions"]


class Conversions:
    """The part of ``UntypedStorage`` that reads and moves its bytes."""

    __slots__ = ()
    _holder: Any
    _owner: Any
    bytes: Any

    @classmethod
    def from_buffer(cls, buffer, byte_order=None, count=-1, offset=0, *, dtype=None):
        """Copy ``count`` numbers of a Python buffer, from the byte ``offset`` on.

        Args:
            buffer: An object with Python's buffer protocol.
            byte_order: ``"native"``, ``"little"`` or ``"big"``; not needed for bytes.
            count: Number of numbers. Default: -1, all that follow.
            offset: Where the first number begins, in bytes. Default: 0.
            dtype: The dtype of the numbers.

        Raises:
            RuntimeError: ``dtype`` or ``byte_order`` is missing.
            ValueError: ``byte_order`` is another text, or the buffer is too short.
        """
        if dtype is None:
            raise RuntimeError("from_buffer: argument 'dtype' cannot be None")
        truth = dtype.numpy == np.bool_
        ordered = dtype.itemsize > 1 or truth  # PyTorch wants an order of bools, too
        if byte_order is None and ordered:
            raise RuntimeError(
                "from_buffer: function missing required argument 'byte_order' (pos 2)"
            )
        if ordered and byte_order not in ("native", "little", "big"):
            raise ValueError(f"invalid byte_order '{byte_order}': native, little or big")
        kind = np.uint8 if truth else dtype.numpy
        numbers = np.frombuffer(buffer, kind, count, offset)
        found: Any = cast(Any, cls)(numbers != 0 if truth else numbers.copy())
        if byte_order not in (None, "native", sys.byteorder):
            found.byteswap(dtype)
        return found

    def byteswap(self, dtype):
        """Turn the bytes of each number of ``dtype`` around, in place.

        Raises:
            RuntimeError: the size is no multiple of the number's.
        """
        memory = self.bytes
        if memory.size % dtype.itemsize:
            raise RuntimeError(
                f"byteswap: the length of data is not a multiple of {dtype.itemsize}: {memory.size}"
            )
        size = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize  # a part at a time
        numbers = memory.reshape(-1, size)
        numbers[...] = numbers[:, ::-1].copy()

    def __copy__(self):
        return cast(Any, self).clone()

    def __deepcopy__(self, memo):
        """A copy that is shared with the copies of the tensors of this memory."""
        from rushlight.ops.tensor.copying import copied

        return cast(Any, type(self))(copied(self._owner, memo))

    def new(self):
        """Return an empty storage."""
        return cast(Any, type(self))(0)

    def share_memory_(self):
        """Move the memory to where other processes can share it, and return this storage.

        The tensor that gave this storage moves there; other tensors keep the memory they had.
        """
        from rushlight.storage import owner

        holder = self._holder() if self._holder is not None else None
        if holder is None or owner(holder._array) is not self._owner:
            holder = late.framework.from_numpy(self.bytes)
        self._owner = owner(holder.share_memory_()._array)
        return self

    def to(self, *, device, non_blocking=False):
        """Return this storage for the CPU; raise for other devices, where no storage is."""
        from rushlight.device import CPU, require

        if require(device) is not CPU:
            raise NotImplementedError(f"to: storages stay on the CPU; move a tensor to {device}")
        return self

    def get_device(self):
        """Return -1: the CPU has no number."""
        return -1

    filename = None
