"""Checks of values, as operations of a program."""

import numpy as np

from rushlight.ops.kinds import kernel

__all__ = ["check_range"]


@kernel(public=False, method=False, widen=False, raises=True)
def check_range(xp, x, *, low, high, error, message, ignored=None):
    """Raise ``error`` where an element of x is not in [low, high], nor is ``ignored``.

    The ``message`` is formatted with the first such element. The result tells nothing.
    """
    fine = (x >= low) & (x <= high)
    if ignored is not None:
        fine |= x == ignored
    if not fine.all():
        raise error(message.format(x[~fine].flat[0]))
    return np.ones((), bool)
