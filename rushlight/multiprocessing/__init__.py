"""Python's ``multiprocessing``, through whose queues, pipes and processes tensors travel too."""

import multiprocessing
from multiprocessing import *  # noqa: F403

from rushlight.multiprocessing import sharing as sharing  # how tensors travel
from rushlight.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [
    "ProcessContext", "ProcessExitedException", "ProcessRaisedException", "SpawnContext",
    "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn",
    "start_processes",
]  # fmt: skip
__all__ += multiprocessing.__all__

_STRATEGIES = frozenset({"file_descriptor", "file_system"})
_strategy = "file_descriptor"


def get_all_sharing_strategies():
    """The names that ``set_sharing_strategy`` takes."""
    return set(_STRATEGIES)


def get_sharing_strategy():
    """What ``set_sharing_strategy`` was given."""
    return _strategy


def set_sharing_strategy(new_strategy):
    """Accepted, and of no effect: memory is shared in the one way that the system has.

    Raises:
        AssertionError: neither ``"file_descriptor"`` nor ``"file_system"``.
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise AssertionError(
            f"set_sharing_strategy: {new_strategy!r} is none of {sorted(_STRATEGIES)}"
        )
    _strategy = new_strategy
