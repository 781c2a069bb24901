"""torch._ops: ``torch.ops``, and a class by which libraries know functions of functions."""

import importlib
from types import ModuleType
from typing import Any

__all__ = ["HigherOrderOperator", "ops"]


class HigherOrderOperator:
    """In PyTorch, an operator that takes functions; rushlight has such functions, all Python's.

    >>> import rushlight as torch
    >>> isinstance(torch.vmap, HigherOrderOperator)
    False
    """


class _Ops(ModuleType):
    """``torch.ops``: each attribute is a namespace of operators, which may be empty.

    The package ``rushlight.ops`` is another object. Python and pytest ask a package for names of
    their own, and must not be answered with a namespace.
    """

    __file__ = "_ops.py"

    def __init__(self):
        super().__init__("torch.ops", "The operators that torch.library has, by namespace.")
        self.loaded_libraries: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'torch.ops' has no attribute {name!r}", name=name)
        if name == "profiler":
            found: Any = importlib.import_module("rushlight.profiler.regions")
        else:
            found = importlib.import_module("rushlight.library.operator").namespace(name)
        setattr(self, name, found)  # the next access does not call __getattr__
        return found

    def __iter__(self):
        return iter([name for name, value in vars(self).items() if isinstance(value, ModuleType)])

    def __repr__(self):
        return "<module 'torch.ops' from '_ops.py'>"

    def import_module(self, module):
        """Import a Python module that defines operators.

        >>> import rushlight as torch
        >>> torch.ops.import_module("rushlight.library")
        """
        importlib.import_module(module)

    def load_library(self, path):
        """Refuse: rushlight loads no C++ extensions.

        Raises:
            OSError: Always.
        """
        raise OSError(
            f"Could not load this library: {path}: rushlight loads no C++ extensions, which are "
            "built for PyTorch"
        )


ops = _Ops()
