"""``check_sparse_tensor_invariants``: a switch that exists for PyTorch's programs."""

from functools import wraps

__all__ = ["check_sparse_tensor_invariants"]


class check_sparse_tensor_invariants:
    """Ask for checks of the indices of new sparse tensors: a context, a decorator, or two calls.

    rushlight checks the indices of every new sparse tensor, because a wrong index would read memory
    that belongs to others. So the switch is only remembered.

    Args:
        enable: Turn the checks on or off inside the context. Default: True.

    >>> import rushlight as torch
    >>> with torch.sparse.check_sparse_tensor_invariants():
    ...     torch.sparse.check_sparse_tensor_invariants.is_enabled()
    True
    """

    _enabled = False

    def __init__(self, enable=True):
        self.state = enable
        self.saved_state = None

    @staticmethod
    def is_enabled():
        """Return whether the checks were asked for.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> torch.sparse.check_sparse_tensor_invariants.is_enabled()
        False
        """
        return check_sparse_tensor_invariants._enabled

    @staticmethod
    def enable():
        """Ask for the checks.

        >>> import rushlight as torch
        >>> torch.sparse.check_sparse_tensor_invariants.enable()
        >>> torch.sparse.check_sparse_tensor_invariants.disable()
        """
        check_sparse_tensor_invariants._enabled = True

    @staticmethod
    def disable():
        """Ask for no checks; the indices are checked all the same.

        >>> import rushlight as torch
        >>> torch.sparse.check_sparse_tensor_invariants.disable()
        """
        check_sparse_tensor_invariants._enabled = False

    def __enter__(self):
        if self.saved_state is not None:
            raise RuntimeError(
                "This context manager instance is already activated. Use a different instance for "
                "nesting."
            )
        self.saved_state = self.is_enabled()
        check_sparse_tensor_invariants._enabled = bool(self.state)

    def __exit__(self, *error):
        check_sparse_tensor_invariants._enabled = bool(self.saved_state)
        self.saved_state = None

    def __call__(self, function):
        @wraps(function)
        def call(*args, **named):
            with type(self)(self.state):
                return function(*args, **named)

        return call
