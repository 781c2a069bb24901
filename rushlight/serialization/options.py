"""PyTorch's functions that set options for every ``save`` and ``load`` of the process."""

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
    """The order of bytes that ``load`` assumes if a file does not state its order.

    >>> import rushlight as torch
    >>> torch.serialization.LoadEndianness.LITTLE.name
    'LITTLE'
    """

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Load:
    """The options in ``torch.utils.serialization.config.load``."""

    mmap = False
    endianness: LoadEndianness | None = None
    mmap_flags = _PRIVATE


class _Save:
    """The options in ``torch.utils.serialization.config.save``."""

    compute_crc32 = True
    storage_alignment = 64


load, save = _Load(), _Save()
skipping = False  # True inside skip_data


def set_default_load_endianness(endianness):
    """Set the order of bytes for files that do not state theirs.

    Args:
        endianness: A ``LoadEndianness``, or None for little-endian.

    Raises:
        TypeError: ``endianness`` is neither None nor a ``LoadEndianness``.

    >>> import rushlight as torch
    >>> torch.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError(
            f"set_default_load_endianness: expected LoadEndianness or None, got {endianness!r}"
        )
    load.endianness = endianness


def get_default_load_endianness():
    """Return the order of bytes for files that do not state theirs.

    Returns:
        A ``LoadEndianness``, or None, as at first.

    >>> import rushlight as torch
    >>> torch.serialization.get_default_load_endianness() is None
    True
    """
    return load.endianness


def set_crc32_options(compute_crc32):
    """Set whether ``save`` writes checksums, which rushlight's ``load`` checks.

    Args:
        compute_crc32: True to write them.

    >>> import rushlight as torch
    >>> torch.serialization.set_crc32_options(True)
    """
    save.compute_crc32 = compute_crc32


def get_crc32_options():
    """Return whether ``save`` writes checksums.

    Returns:
        A bool, True at first.

    >>> import rushlight as torch
    >>> torch.serialization.get_crc32_options()
    True
    """
    return save.compute_crc32


class set_default_mmap_options:
    """Set how ``load(mmap=True)`` maps files.

    As a context manager this sets the option for the ``with`` block.

    Args:
        flags: ``mmap.MAP_PRIVATE``: writes to the loaded tensors stay in memory.
            ``mmap.MAP_SHARED``: they change the file.

    Raises:
        ValueError: ``flags`` is neither of the two.
        RuntimeError: the system is Windows, which has no such flags.

    >>> import mmap, rushlight as torch
    >>> if hasattr(mmap, "MAP_SHARED"):  # Windows has no such flags
    ...     with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
    ...         pass
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
    """Return the flags with which ``load(mmap=True)`` maps files.

    Returns:
        ``mmap.MAP_PRIVATE``, as at first, or ``mmap.MAP_SHARED``; None on Windows.

    >>> import mmap, rushlight as torch
    >>> torch.serialization.get_default_mmap_options() == getattr(mmap, "MAP_PRIVATE", None)
    True
    """
    return load.mmap_flags


@contextlib.contextmanager
def skip_data(materialize_fake_tensors=False):
    """Let ``save`` write zeros in place of the storages' bytes inside the ``with`` block.

    ``load`` raises an error inside the block.

    Args:
        materialize_fake_tensors: Accepted without effect.

    Returns:
        Context manager.

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
