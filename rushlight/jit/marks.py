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
    """False, because rushlight runs all code as ordinary Python.

    >>> import rushlight as torch
    >>> torch.jit.is_scripting()
    False
    """
    return False


def is_tracing():
    """False, because ``trace`` of rushlight does not record the operations."""
    return False


def ignore(drop=False, **kwargs):
    """Mark a function that TorchScript should leave to Python. The function is returned unchanged.

    The decorator may be used as ``@ignore`` or as ``@ignore(drop=...)``.

    >>> import rushlight as torch
    >>> @torch.jit.ignore
    ... def double(x):
    ...     return x * 2
    >>> double(2)
    4
    """
    return drop if callable(drop) else (lambda function: function)


def unused(fn):
    """Mark a function that TorchScript should never call. The function is returned unchanged."""
    return fn


def export(fn):
    """Mark a method that TorchScript should compile too. The method is returned unchanged."""
    return fn


def interface(obj):
    """Mark a class that only describes the methods of modules. The class is returned unchanged."""
    return obj


def script_method(fn):
    """Mark a method of a ``ScriptModule``. The method is returned unchanged."""
    return fn


def script_if_tracing(fn):
    """Mark a function that tracing should compile. The function is returned unchanged."""
    return fn


def annotate(the_type, the_value):
    """Return ``the_value``; TorchScript would learn its type from ``the_type``.

    >>> import rushlight as torch
    >>> torch.jit.annotate(list[int], [])
    []
    """
    return the_value


def Attribute(value, type):
    """Return ``value``; TorchScript would make it a module's attribute of type ``type``."""
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether ``obj`` is of ``target_type``.

    For a container type such as ``list[int]``, the types of the container's elements are checked
    too. A tuple of types or a union matches if any of its types does.

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
    """A context without effect. TorchScript would require that its body becomes one kernel."""
    return contextlib.nullcontext()
