"""Tools around training; ``torch.utils.data`` feeds it."""

import importlib

from rushlight.utils import data as data

__all__ = ["checkpoint", "data", "dlpack", "model_zoo", "serialization", "training_state"]

_LAZY = ("checkpoint", "dlpack", "model_zoo", "serialization", "training_state")


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'rushlight.utils' has no attribute {name!r}")
    return importlib.import_module(f"rushlight.utils.{name}")
