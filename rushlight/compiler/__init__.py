"""``torch.compile``: record a call once, then run it as one program.

The way of a call: ``compiled.py`` chooses between the entries of a function; ``entry.py`` is one
recorded call. To record, ``arguments.py`` takes the arguments apart and ``surroundings.py`` what
the function reads besides; ``trace.py`` records operations on the values of ``abstract.py``, whose
shapes ``inference.py`` finds; ``results.py`` says what comes back, ``escape.py`` what was left
outside, ``gradient.py`` what a backward from outside runs. All of them write lines of one Python
function (``guard.py``), which checks later calls, runs the program of ``program.py`` on arrays
that ``held.py`` keeps in place, and makes the results. ``explanation`` shows what became of it all.
"""

import importlib

__all__ = ["compile", "disable", "explain", "is_compiling", "reset"]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module 'rushlight.compiler' has no attribute {name!r}")
    # The function compile has the name of its module, so the modules are not bound here.
    module = "explanation.explain" if name == "explain" else "compiled"
    return getattr(importlib.import_module(f"rushlight.compiler.{module}"), name)
