"""Files of tensors: PyTorch's own ``.pt`` format, read and written."""

from rushlight.serialization.checkpoint import load, save
from rushlight.serialization.safety import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = [
    "add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save",
]  # fmt: skip
