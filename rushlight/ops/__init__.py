"""Every operation, each defined once. Importing this package binds them all."""

import importlib

_MODULES = (
    "convert", "create", "arithmetic", "cast", "division", "exponential", "order", "power", "rounding",
    "stride", "trigonometry", "view", "matmul",
    "compare", "logic", "operators", "activation", "extrema", "reduce", "softmax",
)  # fmt: skip

for _name in _MODULES:
    importlib.import_module(f"rushlight.ops.{_name}")
importlib.import_module("rushlight.autograd.history")
