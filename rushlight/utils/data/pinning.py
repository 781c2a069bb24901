"""Batches in pinned memory, which CUDA devices read faster (``DataLoader(pin_memory=True)``)."""

import contextlib
import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

from rushlight.tensor import Tensor

__all__ = ["pin"]


def pin(batch):
    """Return a batch whose tensors lie in pinned memory.

    Args:
        batch: A tensor; an object with a method ``pin_memory``; a mapping or sequence of batches,
            of which one with such parts is made. Anything else is returned as it is.

    >>> from rushlight.utils.data.pinning import pin
    >>> pin(["a", 1])
    ['a', 1]
    """
    if isinstance(batch, (str, bytes)):
        return batch
    if isinstance(batch, Tensor) or hasattr(batch, "pin_memory"):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        return _like(batch, {k: pin(v) for k, v in batch.items()}, MutableMapping)
    if isinstance(batch, tuple):
        parts = [pin(v) for v in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    if isinstance(batch, Sequence):
        return _like(batch, [pin(v) for v in batch], MutableSequence)
    return batch


def _like(batch, parts, mutable):
    """A collection as ``batch``, with other parts; a plain one if its class cannot be filled."""
    with contextlib.suppress(TypeError):
        if not isinstance(batch, mutable):
            return type(batch)(parts)
        found = copy.copy(batch)
        if isinstance(found, MutableMapping):
            found.update(parts)
        else:
            found[:] = parts
        return found
    return parts
