"""The zip archive of a ``.pt`` file: one pickle, and one record for each storage.

::

    name/data.pkl            the pickle, which names storages by their keys
    name/.format_version     1
    name/.storage_alignment  64: storages begin at multiples of it, so that they can be mapped
    name/byteorder           little or big
    name/data/0 …            the storages' bytes
    name/version             3

Source: the files that ``torch.save`` of PyTorch 2.13 writes.
"""

import contextlib
import errno
import io
import mmap
import struct
import sys
import zipfile
import zlib
from typing import Any, cast

import numpy as np

from rushlight.serialization import options
from rushlight.serialization.guard import brief

__all__ = ["MAGIC", "Archive", "write"]

MAGIC = b"PK\x03\x04"
_VERSION = 3
_NEWEST_VERSION = 10  # the newest format version that PyTorch's reader accepts
_LOCAL_HEADER = 30  # bytes of a zip entry's header before its name
_CHUNK = 1 << 20  # bytes that are read or written at a time
_DEFLATED_MOST = 1032  # one byte of deflated data unpacks to at most so many bytes


class _Stream:
    """Writes to ``file`` and counts the bytes, so that the archive's offsets start at 0.

    The archive may begin anywhere in ``file``.
    """

    def __init__(self, file):
        self.file = file
        self.count = 0

    def write(self, data):
        size = len(data)
        while data:
            done = self.file.write(data)
            data = b"" if done is None else data[done:]  # a raw file may write only a part
        self.count += size
        return size

    def flush(self):
        pass


def write(file, name, pickled, storages):
    """Write the archive ``name`` into a binary ``file``.

    ``pickled`` is the pickle's bytes; ``storages`` are arrays of bytes, in the order of their keys.
    """
    stream = _Stream(file)
    with zipfile.ZipFile(cast(Any, stream), "w") as archive:
        _add(archive, stream, f"{name}/data.pkl", pickled)
        _add(archive, stream, f"{name}/.format_version", b"1")
        alignment = options.save.storage_alignment
        _add(archive, stream, f"{name}/.storage_alignment", str(alignment).encode())
        _add(archive, stream, f"{name}/byteorder", sys.byteorder.encode())
        for key, memory in enumerate(storages):
            _add(archive, stream, f"{name}/data/{key}", memory, left_out=options.skipping)
        _add(archive, stream, f"{name}/version", b"%d\n" % _VERSION)
    if hasattr(file, "flush"):
        file.flush()


def _add(archive, stream, name, content, left_out=False):
    """Write one entry so that its content begins at a multiple of the alignment.

    ``left_out`` writes zeros in place of the content.
    """
    content = memoryview(content)
    entry = zipfile.ZipInfo(name)  # its date is always 1980, so equal content gives equal files
    entry.file_size = content.nbytes
    zip64 = entry.file_size * 1.05 > zipfile.ZIP64_LIMIT  # zipfile's own rule
    begin = stream.count + _LOCAL_HEADER + len(name) + (20 if zip64 else 0) + 4
    fill = -begin % options.save.storage_alignment
    entry.extra = struct.pack("<HH", 0x4246, fill) + b"Z" * fill
    opened: Any = archive.open(entry, "w", force_zip64=zip64)
    with opened as record:
        for start in range(0, content.nbytes, _CHUNK):
            chunk = bytes(content[start : start + _CHUNK])
            record.write(bytes(len(chunk)) if left_out else chunk)
        if left_out or not options.save.compute_crc32:
            record._crc = 0  # PyTorch marks a checksum that was not computed by 0


@contextlib.contextmanager
def _readable(what):
    """Turn the errors of a damaged archive into PyTorch's RuntimeError.

    ``what`` names the part of the archive that is being read.
    """
    try:
        yield
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeError, ValueError,
            OSError, struct.error, zlib.error) as error:  # fmt: skip
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # an error of the disk; EINVAL means a seek before the file's start: damage
        raise RuntimeError(
            f"load: PytorchStreamReader failed reading zip archive: {what}: {error}. The file is "
            "damaged or was not saved to its end"
        ) from error


def maps_are_shared():
    """True if writes to mapped tensors change the file (``MAP_SHARED``)."""
    return options.load.mmap_flags == getattr(mmap, "MAP_SHARED", -1)


def _opened(file):
    """Open the archive that begins at the start of ``file``.

    Several archives in one file are told apart by the offsets that the last directory states. As in
    PyTorch, the first archive is found if it is as long as the last one.
    """
    found: Any = zipfile.ZipFile(file)
    before = min([entry.header_offset for entry in found.infolist()], default=0)
    if not before:
        return found
    if before < 0:  # zipfile corrects offsets by where it found the directory
        raise zipfile.BadZipFile(f"an entry begins {-before} bytes before the file")
    whole = file.seek(0, io.SEEK_END)
    file.seek(0)
    with contextlib.suppress(zipfile.BadZipFile):
        first: Any = zipfile.ZipFile(io.BytesIO(file.read(whole - before)))
        if first.start_dir == found.start_dir - before:
            return first
    raise zipfile.BadZipFile(
        f"the file's last archive begins at byte {before}, not at its start: seek to an archive's "
        "first byte to load it from a file of several"
    )


def _default_order():
    big = options.load.endianness is options.LoadEndianness.BIG
    native = options.load.endianness is options.LoadEndianness.NATIVE
    return sys.byteorder.encode() if native else b"big" if big else b"little"


class Archive:
    """An archive opened for reading.

    Args:
        file: A seekable binary file.
        budget: The ``Budget`` of bytes and steps that reading may still cost.
        mapped: Map storages to memory, so that the system reads their bytes when they are used.
            Writes stay in memory unless ``set_default_mmap_options`` was given ``MAP_SHARED``.
    """

    def __init__(self, file, budget, mapped=False):
        start = file.tell()
        if start:
            file = io.BytesIO(file.read())
        with _readable("its directory"):
            self.zip = _opened(file)
            names = self.zip.namelist()
        self._budget = budget
        self.name = names[0].split("/", 1)[0] if names else ""
        self.map: Any = None
        if mapped:
            access = mmap.ACCESS_WRITE if maps_are_shared() else mmap.ACCESS_COPY
            self.map = mmap.mmap(file.fileno(), 0, access=access)
        # Entries that overlap could unpack to any size. So at most as many bytes are read as the
        # file holds.
        self._unread = file.seek(0, io.SEEK_END)
        if self.has("constants.pkl"):
            raise RuntimeError("load: a TorchScript program, which rushlight does not run")
        version = self.read("version").strip()
        if not version.isdigit() or int(version) > _NEWEST_VERSION:
            raise RuntimeError(f"load: the format version {brief(version)} is not known")
        order = self.read("byteorder") if self.has("byteorder") else _default_order()
        if order not in (b"little", b"big"):
            raise RuntimeError(f"load: Unknown endianness type: {brief(order)}")
        self.foreign_order = order.decode() != sys.byteorder

    def has(self, name):
        """True if the archive holds the record ``name``."""
        return f"{self.name}/{name}" in self.zip.NameToInfo

    def _entry(self, name):
        if not self.has(name):
            raise RuntimeError(f"load: PytorchStreamReader failed locating file {brief(name)}")
        entry = self.zip.getinfo(f"{self.name}/{name}")
        most = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATED_MOST}
        if entry.file_size > entry.compress_size * most.get(entry.compress_type, 0):
            raise RuntimeError(
                f"load: the archive gives {name} {entry.file_size} bytes, and holds "
                f"{entry.compress_size} of compression type {entry.compress_type}"
            )
        return entry

    def read(self, name):
        """A record's bytes."""
        entry = self._entry(name)
        with _readable(name), self._open(entry) as record:
            return record.read()

    def pickle(self):
        """The pickle's bytes; its steps are added to the budget."""
        content = self.read("data.pkl")
        self._budget.read_pickle(self._entry("data.pkl").compress_size, len(content))
        return content

    def memory(self, key, nbytes):
        """Return the storage ``key`` as an array of ``nbytes`` uint8."""
        name = f"data/{key}"
        entry = self._entry(name)
        if entry.file_size != nbytes:
            raise RuntimeError(
                f"load: the pickle gives the storage {key} {nbytes} bytes, and the archive holds "
                f"{entry.file_size}"
            )
        with _readable(name):
            if self.map is not None and nbytes and entry.compress_type == zipfile.ZIP_STORED:
                mapped = np.frombuffer(self.map, np.uint8, nbytes, self._begin(entry))
                if not self.foreign_order:
                    return mapped
                self._budget.take_bytes(nbytes, f"the storage {brief(key)}")
                return mapped.copy()
            return self._content(entry)

    def _open(self, entry):
        if entry.compress_type != zipfile.ZIP_STORED:
            self._budget.take_bytes(entry.file_size, f"the record {brief(entry.filename)}")
        self._unread -= entry.compress_size
        if self._unread < 0:
            raise zipfile.BadZipFile("its entries are larger than the file")
        record: Any = self.zip.open(entry)
        if entry.CRC == 0:
            record._expected_crc = None  # the writer did not compute a checksum
        return record

    def _content(self, entry):
        with self._open(entry) as record:  # checks the size before the array is allocated
            memory = rest = np.empty(entry.file_size, np.uint8)
            while chunk := record.read(_CHUNK):  # zipfile checks the CRC at the end
                rest[: len(chunk)] = np.frombuffer(chunk, np.uint8)
                rest = rest[len(chunk) :]
        if rest.size:
            raise EOFError(f"{rest.size} bytes are missing")
        return memory

    def _begin(self, entry):
        """Return the offset of the entry's content in the file.

        The offset is computed from the entry's local header, because its length may differ from
        that in the archive's directory.
        """
        begin = entry.header_offset + _LOCAL_HEADER
        name, extra = struct.unpack("<HH", self.map[begin - 4 : begin])
        return begin + name + extra
