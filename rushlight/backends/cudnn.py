"""cuDNN's switches, which programs set before they train: here results are always repeatable.

``allow_tf32``, True at first, lets devices compute float32 convolutions as TF32. The others have no
effect.
"""

import sys
from types import ModuleType

from rushlight import precision
from rushlight.backends.switches import Switches

__all__ = [
    "allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags",
    "is_acceptable", "is_available", "set_flags", "version",
]  # fmt: skip

allow_tf32: bool  # a property of the module; see below
benchmark = False
benchmark_limit = 10
deterministic = False
enabled = True


def is_available():
    """Return whether there is cuDNN.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.cudnn.is_available()
    False
    """
    return False


def is_acceptable(tensor):
    """Return whether cuDNN can compute with a tensor: there is no cuDNN.

    Args:
        tensor: Accepted without effect.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.cudnn.is_acceptable(torch.ones(2))
    False
    """
    return False


def version():
    """Return the version of cuDNN: there is no cuDNN.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.backends.cudnn.version() is None
    True
    """
    return None


_switches = Switches(
    __name__, ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
)
flags, set_flags = _switches.flags, _switches.set_flags


class _Module(ModuleType):
    """This module: assignments to ``allow_tf32`` reach the compiler of devices."""

    @property
    def allow_tf32(self):
        return precision.tf32("convolution")

    @allow_tf32.setter
    def allow_tf32(self, on):
        precision.allow("convolution", on)


sys.modules[__name__].__class__ = _Module
