"""``torch.compile``: record a call once, replay it as a flat program.

``abstract.py`` has the values of a trace, ``trace.py`` records operations on them, ``program.py``
replays, ``entry.py`` is one recorded call with its guards and effects, ``gradient.py`` the program
of its gradient, ``compiled.py`` chooses between the entries of a function.
"""

import importlib

__all__ = ["compile", "disable", "is_compiling", "reset"]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module 'rushlight.compiler' has no attribute {name!r}")
    # The function compile has the name of its module, so the modules are not bound here.
    return getattr(importlib.import_module("rushlight.compiler.compiled"), name)
