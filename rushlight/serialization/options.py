"""Options of every ``save`` and ``load``, for the process: PyTorch's functions that set them."""

import contextlib
import mmap
from enum import Enum

__all__ = [
    "LoadEndianness", "get_crc32_options", "get_default_load_endianness",
    "get_default_mmap_options", "load", "save", "set_crc32_options", "set_default_load_endianness",
    "set_default_mmap_options", "skip_data",
]  # fmt: skip

_PRIVATE: int | None = getattr(mmap, "MAP_PRIVATE", None)  # None on Windows


class LoadEndianness(Enum):
    """The order of bytes in a file that does not say its own."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Load:
    """What ``torch.utils.serialization.config.load`` holds."""

    mmap = False
    endianness: LoadEndianness | None = None
    mmap_flags = _PRIVATE


class _Save:
    """What ``torch.utils.serialization.config.save`` holds."""

    compute_crc32 = True
    storage_alignment = 64


load, save = _Load(), _Save()
skipping = False  # inside skip_data


def set_default_load_endianness(endianness):
    """Read files that do not say their order of bytes in this one; None is little-endian.

    Raises:
        TypeError: not a ``LoadEndianness``.

    >>> import rushlight as torch
    >>> torch.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError(
            f"set_default_load_endianness: expected LoadEndianness or None, got {endianness!r}"
        )
    load.endianness = endianness


def get_default_load_endianness():
    """What ``set_default_load_endianness`` was given."""
    return load.endianness


def set_crc32_options(compute_crc32):
    """Whether ``save`` writes checksums, which ``load`` of rushlight checks."""
    save.compute_crc32 = compute_crc32


def get_crc32_options():
    """Whether ``save`` writes checksums."""
    return save.compute_crc32


class set_default_mmap_options:
    """How ``load(mmap=True)`` maps: ``mmap.MAP_PRIVATE`` (writes stay in memory) or ``MAP_SHARED``.

    Of ``MAP_SHARED`` maps, writes to the tensors change the file. Also a context manager.

    Raises:
        ValueError: neither of the two.
        RuntimeError: on Windows, which has no such flags.
    """

    def __init__(self, flags):
        if not hasattr(mmap, "MAP_PRIVATE"):
            raise RuntimeError("set_default_mmap_options: Windows has no flags of this kind")
        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                f"set_default_mmap_options: expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, "
                f"got {flags}"
            )
        self._before = load.mmap_flags
        load.mmap_flags = flags

    def __enter__(self):
        pass

    def __exit__(self, *exception):
        load.mmap_flags = self._before


def get_default_mmap_options():
    """What ``set_default_mmap_options`` was given; None on Windows."""
    return load.mmap_flags


@contextlib.contextmanager
def skip_data(materialize_fake_tensors=False):
    """Inside, ``save`` leaves room for the storages and does not write them; ``load`` is refused.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> with torch.serialization.skip_data():
    ...     torch.save(torch.ones(2), file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    tensor([0., 0.])
    """
    global skipping
    before, skipping = skipping, True
    try:
        yield
    finally:
        skipping = before
