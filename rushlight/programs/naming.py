"""Give rushlight's classes and functions the module names that they have in PyTorch.

Pickles refer to a class by its ``__module__``. With PyTorch's names both libraries can read the
pickles, and programs that look at ``type(x).__module__`` find the expected name.
"""

from types import FunctionType

from rushlight.programs.places import locate
from rushlight.serialization.names import torch_name

__all__ = ["rename", "renamed"]


def rename(module, path):
    """Set ``__module__`` of the classes and functions in ``module`` to names of PyTorch.

    Functions get ``path``, the name of PyTorch's module. Classes get PyTorch's module for them.
    """
    for name, value in list(vars(module).items()):
        home = getattr(value, "__module__", None)
        if isinstance(value, type | FunctionType) and _ours(home) and not name.startswith("__"):
            _place(value, name, path)


def renamed(value, name, path):
    """Return ``value``, which the module ``path`` loads when its ``name`` is first asked for."""
    if isinstance(value, type | FunctionType) and _ours(getattr(value, "__module__", None)):
        _place(value, name, path)
    return value


def _ours(home):
    return isinstance(home, str) and home.partition(".")[0] == "rushlight"


def _place(value, name, path):
    if isinstance(value, FunctionType):
        if value.__qualname__ == name:  # otherwise ``name`` is an alias of another function
            value.__module__ = path
        return
    found = (path, name) if path == "torch" else torch_name(value)
    if found is not None and found[1] == value.__qualname__ and locate(found[0]) is not None:
        value.__module__ = found[0]  # pickle looks there
