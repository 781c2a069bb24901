"""Read and restore the states of the default generators of torch, NumPy and Python."""

import contextlib
import random
from typing import Any, cast

import numpy as np

from rushlight.random import default_generator
from rushlight.tensor import from_array

__all__ = ["at_state", "capture", "look", "plain", "restore"]


def capture():
    """Return the states of the three default generators, made of tensors and numbers only.

    Returns:
        Dict with the states of ``"torch"``, ``"numpy"`` and ``"python"``.

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
    """Return the states in a form that ``==`` compares; ``plain`` makes them fit for saving.

    Returns:
        Tuple of the states of torch's, NumPy's and Python's default generators.

    >>> from rushlight.utils.random_state import look
    >>> look() == look()
    True
    """
    _, key, *rest = cast(Any, np.random.get_state())
    return default_generator.state_bytes().tobytes(), (key.tobytes(), *rest), random.getstate()


def plain(seen):
    """Convert the states that ``look`` returned to tensors and numbers.

    Args:
        seen: What ``look`` returned.

    Returns:
        Dict with the states of ``"torch"``, ``"numpy"`` and ``"python"``.

    >>> from rushlight.utils.random_state import look, plain
    >>> sorted(plain(look()))
    ['numpy', 'python', 'torch']
    """
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
    """Set the generators to a state of ``capture``, or torch's alone if it holds no others.

    Args:
        state: A state that ``capture`` returned.

    Returns:
        None.

    >>> import rushlight as torch
    >>> from rushlight.utils.random_state import capture, restore
    >>> state = capture()
    >>> drawn = torch.rand(1)
    >>> restore(state)
    >>> drawn == torch.rand(1)
    tensor([True])
    """
    default_generator.set_state(state["torch"])
    if len(state) == 1:
        return
    key, *rest = state["numpy"]
    np.random.set_state(("MT19937", key.numpy(), *rest))
    version, words, spare = state["python"]
    random.setstate((version, tuple(words.tolist()), spare))


@contextlib.contextmanager
def at_state(state):
    """Set the generators to ``state`` in the ``with`` block, and restore their states after it.

    Args:
        state: A state that ``capture`` returned.

    Returns:
        Context manager.

    >>> import random
    >>> from rushlight.utils.random_state import at_state, capture
    >>> state = capture()
    >>> first = random.random()
    >>> with at_state(state):
    ...     again = random.random()
    >>> first == again
    True
    """
    before = capture()
    restore(state)
    try:
        yield
    finally:
        restore(before)
