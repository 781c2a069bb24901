"""Samples of every operation, by family. ``SAMPLES`` has them all by name."""

import importlib
import pkgutil

from tests.samples.sample import SAMPLES

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["SAMPLES"]
