"""Tools around training; ``torch.utils.data`` feeds it."""

import importlib

from rushlight.ops.tensor.swap import swap_tensors
from rushlight.utils import data as data

__all__ = [
    "benchmark", "checkpoint", "collect_env", "data", "dlpack", "model_zoo", "serialization",
    "swap_tensors", "training_state",
]  # fmt: skip

_LAZY = (
    "_contextlib", "_dtype_abbrs", "_foreach_utils", "_mode_utils", "_python_dispatch", "_pytree",
    "benchmark", "checkpoint", "collect_env", "deterministic", "dlpack", "hooks", "model_zoo",
    "serialization", "training_state", "weak",
)  # fmt: skip


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'rushlight.utils' has no attribute {name!r}")
    return importlib.import_module(f"rushlight.utils.{name}")
