"""PyTorch's module names on rushlight's classes and functions.

Pickles name a class by its ``__module__``. Under PyTorch's names both libraries read them, and
programs that look at ``type(x).__module__`` find what they expect.
"""

from types import FunctionType

from rushlight.serialization.names import torch_name

__all__ = ["rename"]


def rename(module, path):
    """Let what ``module`` publishes say that it comes from PyTorch's ``path``, or a part of it."""
    for name, value in list(vars(module).items()):
        home = getattr(value, "__module__", None)
        if isinstance(value, type | FunctionType) and _ours(home) and not name.startswith("__"):
            _place(value, name, path)


def _ours(home):
    return isinstance(home, str) and home.partition(".")[0] == "rushlight"


def _place(value, name, path):
    if isinstance(value, FunctionType):
        if value.__qualname__ == name:  # else it is another's, under a name of its own
            value.__module__ = path
        return
    found = (path, name) if path == "torch" else torch_name(value)
    if found is not None and found[1] == value.__qualname__:
        value.__module__ = found[0]
