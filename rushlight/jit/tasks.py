"""Tasks: TorchScript's ``fork`` and ``wait``, which in Python run one after the other."""

__all__ = ["Future", "fork", "wait"]


class Future:
    """A value that is there already.

    >>> import rushlight as torch
    >>> torch.jit.wait(torch.jit.fork(lambda x: x + 1, 1))
    2
    """

    def __init__(self, value=None):
        self._value = value

    def wait(self):
        """The value."""
        return self._value

    value = wait

    def done(self):
        """True."""
        return True

    def then(self, callback):
        """A Future of what ``callback`` gives for this one."""
        return Future(callback(self))


def fork(func, *args, **kwargs):
    """``func`` called at once, as PyTorch does outside TorchScript; a Future of its result."""
    return Future(func(*args, **kwargs))


def wait(future):
    """The value of a Future."""
    return future.wait()
