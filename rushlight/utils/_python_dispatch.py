"""Modes that see each operation as it runs, also those of backward."""

from typing import Any

from rushlight.autograd import mode
from rushlight.library.aten import overload_of

__all__ = [
    "BaseTorchDispatchMode", "TorchDispatchMode", "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass",
]  # fmt: skip

_HIDDEN = ("memo",)  # parameters that only gradient rules know


class _Stack:
    """The modes that are on, the innermost last. ``autograd/mode.py`` holds it for operations."""

    def __init__(self, modes):
        self.modes = modes

    def operation(self, op, args, params):
        """Hand an operation (an Op) to the innermost mode."""
        defaults = op.defaults
        named = {
            k: v for k, v in params.items()
            if k not in _HIDDEN and (k not in defaults or v is not defaults[k])
        }  # fmt: skip
        return self._hand_over(overload_of(op), tuple(args), named)

    def call(self, func, args, kwargs):
        """Hand an operator that ``torch.library`` defined to the innermost mode."""
        return self._hand_over(func, args, kwargs)

    def _hand_over(self, func, args, kwargs):
        *outer, innermost = self.modes
        was = mode.exchange("dispatch_modes", _Stack(tuple(outer)) if outer else None)
        try:
            rule: Any = next(
                (rule for kind, rule in func.dispatch_rules.items() if isinstance(innermost, kind)),
                None,
            )
            if rule is not None:
                return rule(innermost, func, (), args, kwargs)
            return innermost.__torch_dispatch__(func, (), args, kwargs)
        finally:
            mode.exchange("dispatch_modes", was)


class TorchDispatchMode:
    """A context in which each operation is handed to ``__torch_dispatch__``.

    Functions made of several operations show these. Operations are rushlight's: a linear layer is
    one ``aten.linear``. Inside of ``__torch_dispatch__`` the mode is off; modes may be nested.
    Operations of backward are seen as well. Gradients are those of what the method computes.

    >>> import rushlight as torch
    >>> from rushlight.utils._python_dispatch import TorchDispatchMode
    >>> class Names(TorchDispatchMode):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         print(func)
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     total = torch.relu(torch.ones(2)).sum()
    aten.full.default
    aten.relu.default
    aten.sum.default
    """

    def __init__(self, _dispatch_key=None):
        self._before: list = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Compute ``func(*args, **kwargs)``, or something in its place.

        Args:
            func: The operation, such as ``torch.ops.aten.add.default``.
            types: An empty tuple.
            args: Tuple of the operands.
            kwargs: Dict of the parameters.

        Returns:
            The operation's result.

        Raises:
            NotImplementedError: The subclass does not define the method.
        """
        raise NotImplementedError

    def __enter__(self):
        if "_before" not in self.__dict__:  # the subclass has an __init__ of its own
            self._before = []
        was = mode.state.dispatch_modes
        modes = () if was is None else was.modes
        self._before.append(mode.exchange("dispatch_modes", _Stack((*modes, self))))
        return self

    def __exit__(self, *error):
        mode.exchange("dispatch_modes", self._before.pop())

    @classmethod
    def push(cls, *args, **kwargs):
        """Return a mode, as the call of the class does.

        Args:
            *args, **kwargs: The arguments of the class.

        Returns:
            The mode.
        """
        return cls(*args, **kwargs)


class BaseTorchDispatchMode(TorchDispatchMode):
    """A mode that runs each operation as it is.

    >>> import rushlight as torch
    >>> with BaseTorchDispatchMode():
    ...     torch.ones(1)
    tensor([1.])
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Return ``func(*args, **kwargs)``.

        Args:
            func: The operation.
            types: Not used.
            args: Tuple of the operands.
            kwargs: Dict of the parameters.

        Returns:
            The operation's result.
        """
        return func(*args, **(kwargs or {}))


def is_in_torch_dispatch_mode(include_infra_modes=True):
    """Tell whether a TorchDispatchMode is on.

    Args:
        include_infra_modes: Accepted without effect.

    Returns:
        A bool.

    >>> is_in_torch_dispatch_mode()
    False
    """
    return mode.state.dispatch_modes is not None


def _get_current_dispatch_mode():
    """The innermost mode that is on, or None."""
    found = mode.state.dispatch_modes
    return None if found is None else found.modes[-1]


def _get_current_dispatch_mode_stack():
    """The modes that are on, the innermost last."""
    found = mode.state.dispatch_modes
    return [] if found is None else list(found.modes)


def is_traceable_wrapper_subclass(t):
    """Tell whether a tensor wraps others by ``__tensor_flatten__``: none does.

    Args:
        t: Any object.

    Returns:
        False.

    >>> is_traceable_wrapper_subclass(1)
    False
    """
    return False
