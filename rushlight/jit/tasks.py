"""TorchScript's tasks. ``fork`` runs a task at once, so tasks run one after the other."""

__all__ = ["Future", "fork", "wait"]


class Future:
    """The result of a task, which is known from the beginning.

    Args:
        value: The result. Default: None.

    >>> import rushlight as torch
    >>> torch.jit.wait(torch.jit.fork(lambda x: x + 1, 1))
    2
    """

    def __init__(self, value=None):
        self._value = value

    def wait(self):
        """The task's result."""
        return self._value

    value = wait

    def done(self):
        """True, because the task has already run."""
        return True

    def then(self, callback):
        """Call ``callback`` with this Future and return a Future of the callback's result."""
        return Future(callback(self))


def fork(func, *args, **kwargs):
    """Call a function at once, as PyTorch does outside TorchScript.

    Args:
        func: The function.
        *args, **kwargs: Its arguments.

    Returns:
        ``Future`` of the function's result.

    >>> import rushlight as torch
    >>> torch.jit.fork(max, 1, 2).wait()
    2
    """
    return Future(func(*args, **kwargs))


def wait(future):
    """Return the result of a ``Future``.

    Args:
        future: What ``fork`` returned.

    Returns:
        The result of the task.

    Raises:
        RuntimeError: ``future`` is None.

    >>> import rushlight as torch
    >>> torch.jit.wait(torch.jit.fork(max, 1, 2))
    2
    """
    if future is None:
        raise RuntimeError("wait: Future can't be None")
    return future.wait()
