"""Files of tensors: PyTorch's own ``.pt`` format, read and written."""

import importlib
from collections.abc import Callable
from os import PathLike
from typing import Any

from rushlight.device import device
from rushlight.serialization.checkpoint import load, save
from rushlight.serialization.locations import (
    default_restore_location,
    location_tag,
    register_package,
)
from rushlight.serialization.options import (
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from rushlight.serialization.safety import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)
from rushlight.serialization.survey import get_unsafe_globals_in_checkpoint

DEFAULT_PROTOCOL = 2  # of pickle; ``save`` takes another one by ``pickle_protocol``

__all__ = [
    "LoadEndianness", "SourceChangeWarning", "add_safe_globals", "clear_safe_globals",
    "default_restore_location", "get_crc32_options", "get_default_load_endianness",
    "get_default_mmap_options", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load",
    "location_tag", "register_package", "safe_globals", "save", "set_crc32_options",
    "set_default_load_endianness", "set_default_mmap_options", "skip_data",
]  # fmt: skip


#: Annotations of arguments: where tensors are loaded to, and what names a file.
MAP_LOCATION = Callable[[Any, str], Any] | device | str | dict[str, str] | None
FILE_LIKE = str | PathLike | Any


class SourceChangeWarning(Warning):
    """A warning that rushlight never gives, because its files hold no source code.

    It exists for programs that filter it.
    """


def __getattr__(name):
    inner = importlib.import_module("rushlight.serialization.inner")
    if name in inner.__all__:
        return getattr(inner, name)
    raise AttributeError(f"module 'rushlight.serialization' has no attribute {name!r}")
