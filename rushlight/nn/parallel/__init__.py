"""Models on several devices, or in several processes."""

import importlib
from typing import Any

from rushlight.nn.parallel.data_parallel import DataParallel, data_parallel
from rushlight.nn.parallel.parallel_apply import parallel_apply
from rushlight.nn.parallel.replicate import replicate
from rushlight.nn.parallel.scatter_gather import gather, scatter

__all__ = [
    "DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply",
    "replicate", "scatter",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "DistributedDataParallel":  # it needs rushlight.distributed, which takes time
        found = importlib.import_module("rushlight.nn.parallel.distributed").DistributedDataParallel
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; see docs/coverage.md")
