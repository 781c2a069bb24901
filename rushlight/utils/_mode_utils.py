"""torch.utils._mode_utils: what modes that see each operation call by these names."""

import contextlib

from rushlight.autograd import mode

__all__: list[str] = []


def all_same_mode(modes):
    """Return whether all entries of a list equal its first.

    >>> all_same_mode([1, 1]), all_same_mode([1, 2])
    (True, False)
    """
    return all(m == modes[0] for m in modes)


@contextlib.contextmanager
def no_dispatch():
    """A context in which neither modes nor classes of tensors see the operations.

    >>> import rushlight as torch
    >>> with no_dispatch():
    ...     torch.ones(2) + 1
    tensor([2., 2.])
    """
    was = mode.exchange("dispatch_modes", None)
    handlers, mode.state.handlers = mode.state.handlers, False
    try:
        yield
    finally:
        mode.state.handlers = handlers
        mode.exchange("dispatch_modes", was)
