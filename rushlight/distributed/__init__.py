"""torch.distributed: rushlight works in one process only, and programs can ask for that here."""

from typing import Any

__all__ = ["is_available", "is_initialized", "is_torchelastic_launched"]


def is_available():
    """Return whether processes can compute together.

    They cannot, so that a program goes on in one process.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.distributed.is_available() and torch.distributed.is_initialized()
    False
    """
    return False


def is_initialized():
    """Return whether there is a process group: there never is one.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.distributed.is_initialized()
    False
    """
    return False


def is_torchelastic_launched():
    """Return whether torchelastic started this process, which rushlight does not support.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.distributed.is_torchelastic_launched()
    False
    """
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'rushlight.distributed' has no attribute {name!r}: rushlight works in one "
        "process (torch.distributed.is_available() is False); see docs/coverage.md"
    )
