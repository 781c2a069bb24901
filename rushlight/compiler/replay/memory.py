"""Memory and objects of which machine code has the address: they live as long as the process."""

import numpy as np

from rushlight.backend.address import address

__all__ = ["held", "words"]

_alive: list = []


def words(*values):
    """An array of words, and its address."""
    found = np.array(values, np.int64)
    _alive.append(found)
    return found, address(found)


def held(x):
    """The address of the object ``x``."""
    _alive.append(x)
    return id(x)
