"""Gradients through several processes: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "autograd",
    "DistAutogradContext backward context get_gradients",
)
globals().update(_absent)

__all__ = ["is_available", *_absent]


def is_available():
    """Return whether gradients go through several processes.

    Returns:
        False.
    """
    return False
