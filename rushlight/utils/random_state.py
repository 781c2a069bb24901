"""The random numbers of a whole process: where torch's, NumPy's and Python's generators stand."""

import contextlib
import random
from typing import Any, cast

import numpy as np

from rushlight.random import default_generator
from rushlight.tensor import from_array

__all__ = ["at_state", "capture", "look", "plain", "restore"]


def capture():
    """The states of the three default generators, of tensors and numbers only.

    >>> import random, rushlight as torch
    >>> from rushlight.utils.random_state import capture, restore
    >>> state = capture()
    >>> drawn = random.random(), torch.rand(1)
    >>> restore(state)
    >>> drawn == (random.random(), torch.rand(1))
    True
    """
    return plain(look())


def look():
    """The states as they are read, which compare by ``==``."""
    _, key, *rest = cast(Any, np.random.get_state())
    return default_generator.state_bytes().tobytes(), (key.tobytes(), *rest), random.getstate()


def plain(seen):
    """What ``look`` gave, as tensors and numbers."""
    own, (key, position, has_gauss, gauss), (version, words, spare) = seen
    return {
        "torch": from_array(np.frombuffer(own, np.uint8).copy()),
        "numpy": (
            from_array(np.frombuffer(key, np.uint32).copy()),
            int(position),
            has_gauss,
            gauss,
        ),
        "python": (version, from_array(np.array(words, np.uint32)), spare),
    }


def restore(state):
    """Go on from what ``capture`` gave, or from torch's part of it."""
    default_generator.set_state(state["torch"])
    if len(state) == 1:
        return
    key, *rest = state["numpy"]
    np.random.set_state(("MT19937", key.numpy(), *rest))
    version, words, spare = state["python"]
    random.setstate((version, tuple(words.tolist()), spare))


@contextlib.contextmanager
def at_state(state):
    """Inside, the generators go on from ``state``; afterwards they are where they were."""
    before = capture()
    restore(state)
    try:
        yield
    finally:
        restore(before)
