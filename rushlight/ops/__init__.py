"""Every operation, each defined once. Importing this package binds them all."""

import importlib

_MODULES = (
    "convert", "create", "arithmetic", "cast", "data", "division", "duplicate", "exchange", "exponential", "fill", "gather", "index", "index_put", "join", "legacy", "mask", "memory", "order", "power", "range", "rounding",
    "scatter", "stride", "tile", "trigonometry", "view", "matmul",
    "compare", "complex", "logic", "operators", "activation", "bounds", "extrema", "product", "random", "random_fill", "reduce", "scan", "search", "softmax", "sort", "variance", "vector_norm",
)  # fmt: skip

for _name in _MODULES:
    importlib.import_module(f"rushlight.ops.{_name}")
importlib.import_module("rushlight.autograd.history")
importlib.import_module("rushlight.autograd.gradient")
