"""torch.ao: quantization, as far as it needs no training or calibration."""

import importlib
from typing import Any

__all__ = ["nn", "quantization"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(
            f"module 'rushlight.ao' has no attribute {name!r}: see docs/coverage.md"
        )
    return importlib.import_module(f"rushlight.ao.{name}")
