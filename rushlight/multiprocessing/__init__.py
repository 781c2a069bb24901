"""Python's ``multiprocessing``, with queues, pipes and processes that can also send tensors."""

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
    """Return the names that ``set_sharing_strategy`` accepts.

    Returns:
        Set of names.

    >>> import rushlight as torch
    >>> sorted(torch.multiprocessing.get_all_sharing_strategies())
    ['file_descriptor', 'file_system']
    """
    return set(_STRATEGIES)


def get_sharing_strategy():
    """Return the name that ``set_sharing_strategy`` was given last.

    Returns:
        The name, at first ``"file_descriptor"``.

    >>> import rushlight as torch
    >>> torch.multiprocessing.get_sharing_strategy()
    'file_descriptor'
    """
    return _strategy


def set_sharing_strategy(new_strategy):
    """Accept PyTorch's option without effect: the system decides how memory is shared.

    Args:
        new_strategy: ``"file_descriptor"`` or ``"file_system"``.

    Raises:
        AssertionError: ``new_strategy`` is neither ``"file_descriptor"`` nor ``"file_system"``.

    >>> import rushlight as torch
    >>> torch.multiprocessing.set_sharing_strategy("file_descriptor")
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise AssertionError(
            f"set_sharing_strategy: {new_strategy!r} is none of {sorted(_STRATEGIES)}"
        )
    _strategy = new_strategy
