"""Private names of PyTorch's ``torch.serialization`` that libraries use.

Those that take PyTorch's own readers and writers raise an error: ``torch.load`` and ``torch.save``
are the way to read and write a file.
"""

import contextlib
import os
import zipfile
from typing import Any

import rushlight.dtype as dtypes
from rushlight.device import require
from rushlight.serialization.names import get_layout as _get_layout
from rushlight.typed_storage import NAMES, StorageClass, TypedStorage

__all__ = [
    "StorageType", "_get_layout", "_is_path", "_is_zipfile", "_legacy_load", "_legacy_save",
    "_load", "_maybe_decode_ascii", "_open_file_like", "_open_zipfile_reader",
    "_open_zipfile_writer", "_save", "normalize_storage_type", "storage_to_tensor_type",
    "validate_cuda_device",
]  # fmt: skip

_DTYPES = {name: dtype for dtype, name in NAMES.items()}


class StorageType:
    """Stands for an old storage class in a file that is read without its storages.

    Args:
        name: The name of the class, such as ``"FloatStorage"``.

    >>> StorageType("HalfStorage").dtype
    torch.float16
    """

    def __init__(self, name):
        if name not in _DTYPES:
            raise KeyError(f"pickle storage type '{name}' is not recognized")
        self._dtype = _DTYPES[name]

    @property
    def dtype(self):
        return self._dtype

    def __str__(self):
        return f"StorageType(dtype={self.dtype})"


def normalize_storage_type(storage_type):
    """Return the class of ``torch`` with the name of a storage class, whose module may be another.

    >>> import rushlight as torch
    >>> normalize_storage_type(torch.FloatStorage) is torch.FloatStorage
    True
    """
    from rushlight import typed_storage

    return getattr(typed_storage, storage_type.__name__)


def storage_to_tensor_type(storage):
    """Return the old class of tensors of a storage's dtype, such as ``torch.FloatTensor``.

    >>> import rushlight as torch
    >>> storage_to_tensor_type(torch.ones(1).storage()) is torch.FloatTensor
    True
    """
    import rushlight

    kind = type(storage) if isinstance(type(storage), StorageClass) else None
    dtype = storage.dtype if isinstance(storage, TypedStorage) else getattr(kind, "dtype", None)
    return getattr(rushlight, NAMES[dtype or dtypes.uint8].replace("Storage", "Tensor"))


def validate_cuda_device(location):
    """Return the index of the CUDA device with a tag such as ``"cuda:1"``; raise if it lacks."""
    return require(location).index or 0


def _maybe_decode_ascii(text):
    return text.decode("ascii") if isinstance(text, bytes) else text


def _is_path(name_or_buffer):
    return isinstance(name_or_buffer, (str, os.PathLike))


def _is_zipfile(f):
    """Whether the file ``f`` goes on with a zip archive, the format that ``save`` writes."""
    start = f.tell()
    head = f.read(4)
    f.seek(start)
    return head == b"PK\x03\x04" or (not start and zipfile.is_zipfile(f))


def _open_file_like(name_or_buffer, mode):
    """Return a context with the file of this name, or with the open file itself."""
    if _is_path(name_or_buffer):
        return open(name_or_buffer, mode)
    return contextlib.nullcontext(name_or_buffer)


def _missing(name) -> Any:
    def call(*args, **kwargs):
        raise NotImplementedError(
            f"torch.serialization.{name}: rushlight reads and writes files by torch.load and "
            "torch.save only"
        )

    call.__name__ = call.__qualname__ = name
    return call


_load, _save = _missing("_load"), _missing("_save")
_legacy_load, _legacy_save = _missing("_legacy_load"), _missing("_legacy_save")
_open_zipfile_reader = _missing("_open_zipfile_reader")
_open_zipfile_writer = _missing("_open_zipfile_writer")
