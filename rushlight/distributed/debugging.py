"""Levels of debugging, logging of communication, and Python's debugger on one rank."""

import enum
import os
import pdb
from contextlib import contextmanager

from rushlight.distributed.telling import told

__all__ = [
    "DebugLevel", "breakpoint", "get_debug_level", "record_comm", "set_debug_level",
    "set_debug_level_from_env",
]  # fmt: skip


class DebugLevel(enum.IntEnum):
    """How much ``torch.distributed`` checks. Nothing more is checked in a world of one."""

    OFF, INFO, DETAIL = 0, 1, 2


_level = [DebugLevel.OFF]


def get_debug_level():
    """Return the level that was set.

    Returns:
        A ``DebugLevel``.

    >>> import rushlight as torch
    >>> int(torch.distributed.get_debug_level())
    0
    """
    return _level[0]


def set_debug_level(level):
    """Set the level of debugging; it is only remembered.

    Args:
        level: A ``DebugLevel``.

    >>> import rushlight as torch
    >>> torch.distributed.set_debug_level(torch.distributed.DebugLevel.OFF)
    """
    _level[0] = DebugLevel(level)


def set_debug_level_from_env():
    """Set the level of debugging to that of the variable TORCH_DISTRIBUTED_DEBUG.

    Raises:
        RuntimeError: The variable has another value than OFF, INFO or DETAIL.

    >>> import rushlight as torch
    >>> torch.distributed.set_debug_level_from_env()
    """
    name = os.environ.get("TORCH_DISTRIBUTED_DEBUG", "OFF").upper()
    if name not in DebugLevel.__members__:
        raise RuntimeError(
            "The value of TORCH_DISTRIBUTED_DEBUG must be OFF, INFO, or DETAIL, got " + name
        )
    set_debug_level(DebugLevel[name])


@contextmanager
def record_comm(name):
    """Name the collectives of a block; the name is for profilers of other backends.

    Args:
        name: A text.

    Yields:
        None.

    >>> import rushlight as torch
    >>> with torch.distributed.record_comm("step"):
    ...     pass
    """
    yield


@told
def breakpoint(rank=0, skip=0, timeout_s=3600):
    """Start Python's debugger on one rank; the others wait.

    Args:
        rank: The rank.
        skip: How many calls to leave out first.
        timeout_s: Accepted without effect.

    >>> dist.breakpoint(rank=1)
    """
    from rushlight.distributed.collectives import barrier
    from rushlight.distributed.world import get_rank

    _skipped[0] += 1
    if _skipped[0] > skip and get_rank() == rank:
        pdb.Pdb().set_trace()
    barrier()


_skipped = [0]
