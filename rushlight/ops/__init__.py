"""Every operation, each defined once. Importing this package binds them all."""

import importlib

_MODULES = (
    "activation", "affine", "arithmetic", "bilinear", "bounds", "cast", "compare", "complex",
    "convert", "create", "cross", "data", "division", "dropout", "duplicate", "einsum", "exchange",
    "exponential", "extrema", "fill", "gather", "index", "index_put", "join", "legacy", "logic",
    "mask", "matmul", "memory", "operators", "order", "patch", "power", "product", "random",
    "random_fill", "range", "rectifier", "reduce", "rnn", "rounding", "sampling", "scan",
    "scatter", "scatter_reduce", "search", "shuffle", "softmax", "sort", "special", "split",
    "stride", "tile", "triangle", "trigonometry", "variance", "vector_norm", "view",
)  # fmt: skip

for _name in _MODULES:
    importlib.import_module(f"rushlight.ops.{_name}")
importlib.import_module("rushlight.autograd.history")
importlib.import_module("rushlight.autograd.gradient")

# What is made of several operations is guarded by one check of its arguments.
from rushlight.ops.definition import FUNCTIONS  # noqa: E402
from rushlight.ops.guard import guard_all  # noqa: E402
from rushlight.tensor import Tensor  # noqa: E402

guard_all(FUNCTIONS, Tensor)
