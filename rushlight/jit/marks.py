"""What a program tells TorchScript about itself; Python needs no telling."""

import builtins
import contextlib
from typing import Any

__all__ = [
    "Attribute", "annotate", "export", "ignore", "interface", "is_scripting", "is_tracing",
    "isinstance", "script_if_tracing", "script_method", "strict_fusion", "unused",
]  # fmt: skip


def is_scripting():
    """False: everything runs as Python.

    >>> import rushlight as torch
    >>> torch.jit.is_scripting()
    False
    """
    return False


def is_tracing():
    """False: ``trace`` does not record."""
    return False


def ignore(drop=False, **kwargs):
    """Decorate what TorchScript should leave to Python: returned as it is.

    >>> import rushlight as torch
    >>> @torch.jit.ignore
    ... def double(x):
    ...     return x * 2
    >>> double(2)
    4
    """
    return drop if callable(drop) else (lambda function: function)


def unused(fn):
    """Decorate what TorchScript should never call: returned as it is."""
    return fn


def export(fn):
    """Decorate a method that TorchScript should compile as well: returned as it is."""
    return fn


def interface(obj):
    """Decorate a class that describes modules' methods: returned as it is."""
    return obj


def script_method(fn):
    """Decorate a method of a ScriptModule: returned as it is."""
    return fn


def script_if_tracing(fn):
    """Decorate what TorchScript should compile when it is traced: returned as it is."""
    return fn


def annotate(the_type, the_value):
    """``the_value``.

    >>> import rushlight as torch
    >>> torch.jit.annotate(list[int], [])
    []
    """
    return the_value


def Attribute(value, type):
    """``value``, which a module is to have as an attribute of this type."""
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether ``obj`` is of a type; containers such as ``list[int]`` by what they hold, too.

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
    """Whether what the container ``obj`` holds is of the types ``parts``."""
    if origin is dict:
        return all(isinstance(k, parts[0]) and isinstance(v, parts[1]) for k, v in obj.items())
    if origin is tuple and Ellipsis not in parts:
        return len(obj) == len(parts) and all(map(isinstance, obj, parts))
    return all(isinstance(x, parts[0]) for x in obj)


def strict_fusion():
    """Context in which TorchScript would demand one kernel: nothing is demanded."""
    return contextlib.nullcontext()
