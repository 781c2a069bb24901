"""NNPACK, which rushlight does not call."""

from rushlight.backends.switches import Switches

__all__ = ["enabled", "flags", "is_available", "set_flags"]

enabled = False


def is_available():
    """Return whether rushlight uses NNPACK.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.nnpack.is_available()
    False
    """
    return False


_switches = Switches(__name__, ("enabled",))
flags, set_flags = _switches.flags, _switches.set_flags
