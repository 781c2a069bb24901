"""Modes that see each operation as it runs, also those of backward."""

import contextlib

from rushlight.autograd import mode
from rushlight.handled import classes_of
from rushlight.library.aten import overload_of
from rushlight.tensor import Tensor, has_handler

__all__ = [
    "BaseTorchDispatchMode", "TorchDispatchMode", "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass", "is_traceable_wrapper_subclass_type",
    "return_and_correct_aliasing", "transform_subclass",
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
        """The result of the innermost mode that takes the call, else that of the call itself."""
        was = mode.state.dispatch_modes
        types = classes_of((*args, *kwargs.values()))
        try:
            for i in reversed(range(len(self.modes))):
                mode.exchange("dispatch_modes", _Stack(self.modes[:i]) if i else None)
                found = _asked(self.modes[i], func, types, args, kwargs)
                if found is not NotImplemented:
                    return found
            if not types:
                listed = "".join([f"\n  - mode object {m}" for m in reversed(self.modes)])
                raise TypeError(
                    f"Multiple dispatch failed for 'torch._ops.{func}'; all __torch_dispatch__ "
                    f"handlers returned NotImplemented:\n{listed}"
                )
            mode.exchange("dispatch_modes", None)
            declined, mode.state.declined = mode.state.declined, was
            try:
                return func(*args, **kwargs)
            finally:
                mode.state.declined = declined
        finally:
            mode.exchange("dispatch_modes", was)


def _asked(innermost, func, types, args, kwargs):
    """The result of one mode, by a rule of the operator's for the mode's class if there is one."""
    for kind, rule in func.dispatch_rules.items():
        if isinstance(innermost, kind):
            return rule(innermost, func, types, args, kwargs)
    handler = innermost.__torch_dispatch__
    if getattr(handler, "__self__", None) is type(innermost):
        raise RuntimeError(
            "Defining your mode's `__torch_dispatch__` as a classmethod is not supported, please "
            "make it a plain method"
        )
    return handler(func, types, args, kwargs)


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
            types: The classes with ``__torch_dispatch__`` among the operands.
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


@contextlib.contextmanager
def _disable_current_modes():
    """A context in which no mode sees the operations; classes of tensors do."""
    was = mode.exchange("dispatch_modes", None)
    try:
        yield [] if was is None else list(was.modes)
    finally:
        mode.exchange("dispatch_modes", was)


def is_traceable_wrapper_subclass(t):
    """Tell whether a tensor's class says which tensors it wraps.

    Such a class has ``__torch_dispatch__``, ``__tensor_flatten__`` and ``__tensor_unflatten__``.

    Args:
        t: Any object.

    Returns:
        A bool.

    >>> is_traceable_wrapper_subclass(1)
    False
    """
    return is_traceable_wrapper_subclass_type(type(t))


def is_traceable_wrapper_subclass_type(t):
    """``is_traceable_wrapper_subclass`` of the objects of a class.

    Args:
        t: A class.

    Returns:
        A bool.

    >>> is_traceable_wrapper_subclass_type(int)
    False
    """
    names = "__tensor_flatten__", "__tensor_unflatten__"
    return issubclass(t, Tensor) and has_handler(t) and all(hasattr(t, name) for name in names)


def transform_subclass(t, callback, outer_size=None, outer_stride=None):
    """Make a tensor like ``t`` from what ``callback`` gives for the tensors that ``t`` wraps.

    Args:
        t: A tensor for which ``is_traceable_wrapper_subclass`` is true.
        callback: Takes the name and the value of an attribute, and returns another tensor.
        outer_size: The size of the result. Default: that of ``t``.
        outer_stride: The strides of the result. Default: those of ``t``.

    Returns:
        A tensor of the class of ``t``.

    Raises:
        RuntimeError: ``__tensor_unflatten__`` gave another size or other strides.

    >>> transform_subclass.__name__
    'transform_subclass'
    """
    size = t.size() if outer_size is None else outer_size
    stride = t.stride() if outer_stride is None else outer_stride
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    found = type(t).__tensor_unflatten__(inner, context, size, stride)
    for what, wanted, given in (("size", size, found.size()), ("stride", stride, found.stride())):
        if tuple(given) != tuple(wanted):
            raise RuntimeError(
                f"Expected return value from {type(t)}__tensor_unflatten__() to have {what} "
                f"{tuple(wanted)}, but got: {tuple(given)}"
            )
    return found


def return_and_correct_aliasing(func, args, kwargs, out):
    """Return what an operator must return if its result on wrapped tensors was wrapped in ``out``.

    An operator that writes into its first operand, or into ``out=``, returns this tensor. Other
    operators return ``out``; a view shares the clock of the operand, which autograd sees to.

    Args:
        func: The operator.
        args: Tuple of its operands.
        kwargs: Dict of its parameters.
        out: The wrapped result.

    Returns:
        The result for ``__torch_dispatch__``.

    >>> import rushlight as torch
    >>> x = torch.ones(2)
    >>> return_and_correct_aliasing(torch.ops.aten.add_.Tensor, (x, 1), {}, torch.ones(2)) is x
    True
    """
    if kwargs and kwargs.get("out") is not None:
        return kwargs["out"]
    name = func.overloadpacket.__name__
    return args[0] if name.endswith("_") and not name.endswith("__") else out
