"""rushlight under PyTorch's names, as ``rushlight run`` runs programs."""

import importlib
import pkgutil
from types import ModuleType

import rushlight.as_torch
from rushlight.programs.places import INTERNAL

__all__ = ["rename_all"]


def rename_all():
    """Import all that there is of ``torch``, so that every public class is renamed."""
    for found in pkgutil.walk_packages(rushlight.__path__, "torch."):
        first = found.name.split(".")[1]
        taken = not isinstance(getattr(rushlight, first, rushlight), ModuleType)
        if taken or first in {*INTERNAL, "compiler", "ops", "__main__"}:
            continue
        try:
            importlib.import_module(found.name)
        except ImportError:
            continue  # PyTorch has no such module
