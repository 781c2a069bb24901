"""Intel's oneDNN, which rushlight does not call."""

from rushlight.backends.switches import Switches

__all__ = ["allow_tf32", "deterministic", "enabled", "flags", "is_available", "set_flags"]

allow_tf32 = True
deterministic = False
enabled = False


def is_available():
    """Return whether rushlight uses oneDNN.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.mkldnn.is_available()
    False
    """
    return False


_switches = Switches(__name__, ("enabled", "deterministic", "allow_tf32"))
flags, set_flags = _switches.flags, _switches.set_flags
