"""Decorators and hints for PyTorch's TorchScript compiler. rushlight has no such compiler.

Most functions here therefore return their argument unchanged.
"""

import builtins
import contextlib
from typing import Any

__all__ = [
    "Attribute", "annotate", "export", "ignore", "interface", "is_scripting", "is_tracing",
    "isinstance", "script_if_tracing", "script_method", "strict_fusion", "unused",
]  # fmt: skip


def is_scripting():
    """Return False, because rushlight runs all code as ordinary Python.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.jit.is_scripting()
    False
    """
    return False


def is_tracing():
    """Return False, because ``trace`` of rushlight does not record the operations.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.jit.is_tracing()
    False
    """
    return False


def ignore(drop=False, **kwargs):
    """Mark a function that TorchScript should leave to Python.

    Args:
        drop: The function, as in ``@ignore``; anything else is accepted without effect, as in
            ``@ignore(drop=True)``. Default: False.
        **kwargs: Accepted without effect.

    Returns:
        The function, unchanged, or a decorator.

    >>> import rushlight as torch
    >>> @torch.jit.ignore
    ... def double(x):
    ...     return x * 2
    >>> double(2)
    4
    """
    return drop if callable(drop) else (lambda function: function)


def unused(fn):
    """Mark a function that TorchScript should never call.

    Args:
        fn: A function.

    Returns:
        ``fn``, unchanged.

    >>> import rushlight as torch
    >>> torch.jit.unused(len)([1, 2])
    2
    """
    return fn


def export(fn):
    """Mark a method that TorchScript should compile, too.

    Args:
        fn: A method.

    Returns:
        ``fn``, unchanged.

    >>> import rushlight as torch
    >>> class Doubling(torch.nn.Module):
    ...     @torch.jit.export
    ...     def double(self, x):
    ...         return 2 * x
    >>> Doubling().double(2)
    4
    """
    return fn


def interface(obj):
    """Mark a class that only describes the methods of modules.

    Args:
        obj: A class.

    Returns:
        ``obj``, unchanged.

    >>> import rushlight as torch
    >>> @torch.jit.interface
    ... class Activation:
    ...     def forward(self, x): ...
    >>> Activation.__name__
    'Activation'
    """
    return obj


def script_method(fn):
    """Mark a method of a ``ScriptModule``.

    Args:
        fn: A method.

    Returns:
        ``fn``, unchanged.

    >>> import rushlight as torch
    >>> class Doubling(torch.jit.ScriptModule):
    ...     @torch.jit.script_method
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Doubling()(2)
    4
    """
    return fn


def script_if_tracing(fn):
    """Mark a function that tracing should compile.

    Args:
        fn: A function.

    Returns:
        ``fn``, unchanged.

    >>> import rushlight as torch
    >>> torch.jit.script_if_tracing(len)([1, 2])
    2
    """
    return fn


def annotate(the_type, the_value):
    """Return ``the_value``; TorchScript would take its type from ``the_type``.

    Args:
        the_type: Accepted without effect.
        the_value: Any object.

    Returns:
        ``the_value``.

    >>> import rushlight as torch
    >>> torch.jit.annotate(list[int], [])
    []
    """
    return the_value


def Attribute(value, type):
    """Return ``value``; TorchScript would make it a module's attribute of a given type.

    Args:
        value: Any object.
        type: Accepted without effect.

    Returns:
        ``value``.

    >>> import rushlight as torch
    >>> torch.jit.Attribute(1, int)
    1
    """
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Return whether an object is of a type, and the elements of a container, too.

    Args:
        obj: Any object.
        target_type: A type. For a container type such as ``list[int]``, the types of the elements
            are checked, too. A tuple of types or a union fits if one of its types fits.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.jit.isinstance([1, 2], list[int]), torch.jit.isinstance([1, "a"], list[int])
    (True, False)
    """
    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, t) for t in target_type)
    parts: Any = getattr(target_type, "__args__", None)
    origin = getattr(target_type, "__origin__", None)
    if parts is None:
        return builtins.isinstance(obj, target_type)
    if not builtins.isinstance(origin, type):  # a union
        return any(isinstance(obj, t) for t in parts)
    if not builtins.isinstance(obj, origin):
        return False
    return _holds(obj, origin, parts)


def _holds(obj: Any, origin, parts):
    """Whether the elements of the container ``obj`` are of the types ``parts``."""
    if origin is dict:
        return all(isinstance(k, parts[0]) and isinstance(v, parts[1]) for k, v in obj.items())
    if origin is tuple and Ellipsis not in parts:
        return len(obj) == len(parts) and all(map(isinstance, obj, parts))
    return all(isinstance(x, parts[0]) for x in obj)


def strict_fusion():
    """Return a context without effect; TorchScript would require that its body becomes one kernel.

    Returns:
        Context manager that does nothing.

    >>> import rushlight as torch
    >>> with torch.jit.strict_fusion():
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """
    return contextlib.nullcontext()


def _overload(func):
    """Mark a signature of a function that TorchScript should know; Python takes the last one."""
    return func


def _overload_method(func):
    """As ``_overload``, for a method of a class."""
    return _overload(func)
