"""``torch.compile``: record a call once, then run it as one program.

The rooms, in the order in which a call meets them:

* ``calls/``: which of a function's programs a call gets, its checks, inputs and results.
* ``python/``: what the function reads and writes of Python's objects, observed while it runs.
* ``capture/``: operations as equations; ``ir/`` is what equations are made of.
* ``plan/``: which equations are one kernel, in which order, and where values lie.
* ``codegen/``: kernels as LLVM code; ``cpu/``: those that are made for processors.
* ``run/``: machine code in memory and on disk, threads, programs that run.
* ``explanation/``: ``torch.compiler.explain``, which shows what became of a call.
"""

import importlib

_HOMES = {
    "explanation.explain": ["explain"],
    "calls.backends": ["get_default_backend", "list_backends", "set_default_backend"],
    "calls.compiled": ["compile", "disable", "is_compiling", "reset"],
    "calls.directives": [
        "allow_in_graph", "assume_constant_result", "config", "cudagraph_mark_step_begin",
        "is_dynamo_compiling", "is_exporting",
        "keep_portable_guards_unsafe", "keep_tensor_guards_unsafe", "load_cache_artifacts",
        "nested_compile_region", "save_cache_artifacts",
        "set_enable_guard_collectives", "set_stance", "skip_all_guards_unsafe",
        "skip_guard_on_all_nn_modules_unsafe", "skip_guard_on_globals_unsafe",
        "skip_guard_on_inbuilt_nn_modules_unsafe", "substitute_in_graph", "wrap_numpy",
    ],
}  # fmt: skip
__all__ = sorted([name for names in _HOMES.values() for name in names])


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module 'rushlight.compiler' has no attribute {name!r}")
    (module,) = [module for module, names in _HOMES.items() if name in names]
    found = getattr(importlib.import_module(f"rushlight.compiler.{module}"), name)
    globals()[name] = found  # libraries ask is_compiling() in each call
    return found
