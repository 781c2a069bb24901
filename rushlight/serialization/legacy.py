"""Read the files of PyTorch before 1.6: streams of pickles, or tar files before 0.1.10.

The stream holds, one after another, the pickles of a magic number, a version, facts about the
system, the object, and the storages' keys. After the keys each storage follows: its number of
elements (int64) and its elements. The tar file holds the files ``storages``, ``tensors`` and
``pickle``. The last is the pickle of the object, which refers to storages and tensors by number.

Source: the files that ``torch.save(..., _use_new_zipfile_serialization=False)`` of PyTorch 2.13
writes, and what its ``torch.load`` reads.
"""

import contextlib
import io
import struct
import sys

import numpy as np

from rushlight.serialization.guard import brief
from rushlight.serialization.locations import placement
from rushlight.serialization.names import StorageType, rebuild_tensor, typed
from rushlight.serialization.pickling import Storages
from rushlight.serialization.safety import WeightsUnpickler
from rushlight.serialization.survey import Survey
from rushlight.storage import Storage, foreign

__all__ = ["is_stream", "is_tar", "read_stream", "read_tar"]

_VERSION = 1001
_BLOCK = 512  # bytes of a tar file's block
# A stream begins with the pickle of the number 0x1950a86a20f9469cfc6c. These are its bytes without
# the pickle's head.
_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def is_stream(head):
    """True if ``head``, the first 32 bytes of a file, are those of a stream."""
    return _MAGIC in head[:32]


def is_tar(head):
    """True if ``head``, the first 512 bytes of a file, are those of a tar file."""
    return head[257:262] == b"ustar"


@contextlib.contextmanager
def _readable():
    try:
        yield
    except (EOFError, KeyError, OverflowError, TypeError, ValueError, struct.error) as error:
        raise RuntimeError(
            f"load: a damaged file of PyTorch before 1.6: {type(error).__name__}: {error}"
        ) from error


def read_stream(file, map_location, unpickler, budget, options):
    """Read the object from a file of PyTorch 0.1.10 to 1.5."""
    begin = file.tell()
    content = file.read()
    for _ in range(2):  # the object's pickle is read twice: the first time to list its storages
        budget.read_pickle(len(content), len(content))
    # BytesIO.read allocates at most as many bytes as there are, whatever size the file asks for.
    stream = io.BytesIO(content)
    for _ in range(3):
        known = _plain(stream, budget, options)
        if isinstance(known, int) and known < 1 << 64 and known != _VERSION:
            raise RuntimeError(f"load: Invalid protocol version: {known}")
    with _readable():
        start = stream.tell()
        kinds = _storage_types(stream, budget, options)
        pickled = content[start : stream.tell()]
        keys = [_name(key) for key in _items(_plain(stream, budget, options))]
        memory = {key: _memory(stream, kinds[key].dtype) for key in keys}
    file.seek(begin + stream.tell())  # another object may follow
    storages = _StreamStorages(_Records(memory), map_location)
    return unpickler(io.BytesIO(pickled), storages, budget, **options).load()


def _storage_types(stream, budget, options):
    """Return the types of the storages in the pickle that begins here, by key.

    The types are needed to read the storages, because each storage's size is given in elements.
    """
    survey = Survey(stream, budget, **options)
    survey.load()
    return {_name(pid[2]): pid[1] for pid in survey.ids if _names_storage(pid)}


def _plain(file, budget, options):
    return WeightsUnpickler(file, None, budget, **options).load()


def _items(value):
    """Return ``value`` if it is a list or tuple, so that its length is bounded by the file's."""
    if type(value) not in (list, tuple):
        raise TypeError(f"a list is needed, not {brief(value)}")
    return value


def _name(value):
    """Return the key of a storage or tensor if it is a text or an int.

    Other keys are refused, because a nested tuple could take forever to be hashed.
    """
    value = _text(value)
    if type(value) not in (str, int):
        raise TypeError(f"a key cannot be {brief(value)}")
    return value


def _text(value):
    return value.decode("ascii") if isinstance(value, bytes) else value


def _says(value, text):
    return type(value) in (str, bytes) and _text(value) == text


def _names_storage(pid):
    whole = isinstance(pid, tuple) and len(pid) == 6 and _says(pid[0], "storage")
    return whole and isinstance(pid[1], StorageType)


def _memory(file, dtype):
    """Read the storage that begins here, as an array of uint8."""
    (numel,) = struct.unpack("<q", file.read(8))
    content = bytearray(file.read(numel * dtype.itemsize) if numel > 0 else b"")
    if numel < 0 or len(content) != numel * dtype.itemsize:
        raise EOFError(f"{numel} elements of {dtype}, and the file ends after {len(content)} bytes")
    return np.frombuffer(content, np.uint8)


class _Records:
    """The storages of a stream, with the methods of ``Archive`` that ``Storages`` calls."""

    foreign_order = sys.byteorder == "big"

    def __init__(self, memory):
        self._memory = memory

    def memory(self, key, nbytes):
        if key not in self._memory or self._memory[key].size != nbytes:
            raise RuntimeError(f"load: the file holds no storage {key} of {nbytes} bytes")
        return self._memory[key]


class _StreamStorages(Storages):
    """A function from a persistent id of a stream to the storage, or the part of a storage.

    The ids are ``('storage', type, key, location, numel, part or None)``.
    """

    def __call__(self, pid):
        if isinstance(pid, tuple) and len(pid) > 1 and _says(pid[0], "module"):
            return pid[1]  # the id holds a class and its source code
        if not _names_storage(pid):
            raise RuntimeError(f"load: Unknown typename for persistent_load: {brief(pid)}")
        storage = super().__call__(tuple([_text(value) for value in pid[:5]]))
        return storage if pid[5] is None else _part(storage, *_items(pid[5])[1:])


def _part(storage, start, numel):
    if not all(type(n) is int and n >= 0 for n in (start, numel)):
        raise RuntimeError(
            f"load: a storage has no part of {brief(numel)} elements from {brief(start)}"
        )
    size = storage.dtype.itemsize
    part = storage.untyped().bytes[start * size : (start + numel) * size]
    return typed(foreign(part), storage.dtype)


# Before 0.1.10 ----------------------------------------------------------------------------


def read_tar(file, map_location, unpickler, budget, options):
    """Read the object from a tar file of PyTorch before 0.1.10."""
    with _readable():
        content = file.read()
        budget.read_pickle(len(content), len(content))
        members = _members(content)
        found = _tar_storages(members["storages"], placement(map_location), budget, options)
        _read_tensors(members["tensors"], found, budget, options)
        pickled = members["pickle"]

    def refer(pid):
        if isinstance(pid, tuple) and pid:
            return pid[0]  # the id holds a class and its source code
        with _readable():
            return found[int(_name(pid))]

    return unpickler(pickled, refer, budget, **options).load()


def _members(content):
    """Return the plain files in a tar file, by name.

    ``tarfile`` is not used, because it would follow links, and loops of links.
    """
    found, at = {}, 0
    while is_tar(header := content[at : at + _BLOCK]):
        name, size = (
            header[:100].rstrip(b"\0").decode("ascii"),
            int(header[124:136].rstrip(b"\0 "), 8),
        )
        if size < 0:
            raise ValueError(f"{name} has a size of {size}")
        at += _BLOCK
        if header[156:157] in (b"0", b"\0"):
            found[name] = io.BytesIO(content[at : at + size])
        at += -(-size // _BLOCK) * _BLOCK
    return found


def _tar_storages(file, place, budget, options):
    found = {}
    for _ in range(_plain(file, budget, options)):
        key, location, kind = _items(_plain(file, budget, options))
        if not isinstance(kind, StorageType):
            raise TypeError(f"{brief(kind)} is no type of storage")
        memory = _memory(file, kind.dtype)
        placed = place(Storage(memory), str(_name(location)))
        found[_name(key)] = typed(placed._owner, kind.dtype)
    for view in _items(_plain(file, budget, options)):
        key, root, start, numel = _items(view)
        found[_name(key)] = _part(found[_name(root)], start, numel)
    return found


def _read_tensors(file, found, budget, options):
    for _ in range(_plain(file, budget, options)):
        key, storage, _ = _items(_plain(file, budget, options))
        (ndim,) = struct.unpack("<i4x", file.read(8))
        numbers = struct.unpack(f"<{2 * ndim + 1}q", file.read(8 * (2 * ndim + 1)))
        found[_name(key)] = rebuild_tensor(
            found[_name(storage)], numbers[-1], numbers[:ndim], numbers[ndim : 2 * ndim]
        )
