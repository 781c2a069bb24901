"""torch.distributed: rushlight works in one process only, and programs can ask for that here."""

from typing import Any

__all__ = ["is_available", "is_initialized", "is_torchelastic_launched"]


def is_available():
    """False, so that a program goes on in one process.

    >>> import rushlight as torch
    >>> torch.distributed.is_available() and torch.distributed.is_initialized()
    False
    """
    return False


def is_initialized():
    """False, because there is never a process group."""
    return False


def is_torchelastic_launched():
    """False, because rushlight does not support torchelastic."""
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'rushlight.distributed' has no attribute {name!r}: rushlight works in one "
        "process (torch.distributed.is_available() is False); see docs/coverage.md"
    )
