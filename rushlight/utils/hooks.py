"""The handle that takes a hook away again."""

from rushlight.nn.modules.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
