"""``torch.compile``: record a call once, then run it as one program.

The way of a call: ``compiled.py`` chooses between the entries of a function; ``entry.py`` is one
recorded call. To record, ``arguments.py`` takes the arguments apart, and the observer in
``python/`` notes what the function reads besides, and takes back its writes; ``trace.py`` records
operations on the values of ``abstract.py``, whose shapes ``inference.py`` finds. ``wrapper.py``
writes from all this one Python function (``guard.py`` has its lines), which checks later calls,
runs the program of ``program.py`` on arrays that ``held.py`` keeps in place, and makes the results:
what comes back (``results.py``), what was left outside (``escape.py``), and the gradient that a
backward from outside runs (``gradient.py``). ``explanation`` shows what became of it all.
"""

import importlib

_HOMES = {
    "explanation.explain": ["explain"],
    "compiled": ["compile", "disable", "is_compiling", "reset"],
    "directives": [
        "allow_in_graph", "assume_constant_result", "config", "cudagraph_mark_step_begin",
        "get_default_backend", "is_dynamo_compiling", "is_exporting", "list_backends",
        "nested_compile_region", "set_default_backend", "set_enable_guard_collectives",
        "set_stance", "substitute_in_graph", "wrap_numpy",
    ],
}  # fmt: skip
__all__ = sorted([name for names in _HOMES.values() for name in names])


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module 'rushlight.compiler' has no attribute {name!r}")
    # The function compile has the name of its module, so the modules are not bound here.
    (module,) = [module for module, names in _HOMES.items() if name in names]
    return getattr(importlib.import_module(f"rushlight.compiler.{module}"), name)
