"""torch.nn: layers, losses, and the Module and Parameter classes behind them."""

import importlib
from typing import Any as _Any

from rushlight.nn import functional, init, modules, parallel, parameter, utils
from rushlight.nn.modules import *  # noqa: F403
from rushlight.nn.modules import __all__ as _modules
from rushlight.nn.modules.utils import factory_kwargs
from rushlight.nn.parallel import DataParallel
from rushlight.nn.parameter import Buffer, Parameter
from rushlight.nn.uninitialized import UninitializedBuffer, UninitializedParameter

__all__ = [
    "Buffer", "DataParallel", "Parameter", "UninitializedBuffer", "UninitializedParameter",
    "factory_kwargs", "functional", "init", "modules", "parallel", "parameter", "utils",
    *_modules,
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name in ("_reduction", "attention", "common_types", "grad"):  # imported at first use
        return importlib.import_module(f"rushlight.nn.{name}")
    raise AttributeError(f"module 'rushlight.nn' has no attribute {name!r}")
