"""Functions that a trace leaves whole: how they are marked, and replaced while a trace runs."""

import functools
import sys
from collections.abc import Callable
from typing import Any

from rushlight import late
from rushlight.fx.node import map_aggregate
from rushlight.fx.proxy import Proxy

__all__ = ["Patches", "find_proxy", "recorder_of", "wrap"]


def wrap(fn_or_name):
    """Mark a function that a trace does not look into: a call becomes one node.

    It is called at the top level of a module, and as a decorator.

    Args:
        fn_or_name: The function, or the name of a global or built-in function.

    Returns:
        ``fn_or_name``.

    Raises:
        RuntimeError: The argument is neither.
        NotImplementedError: The call is not at the top level of a module.

    >>> import rushlight as torch
    >>> torch.fx.wrap("len")
    'len'
    >>> traced = torch.fx.symbolic_trace(lambda x: x * len(x))
    >>> traced(torch.ones(3))
    tensor([3., 3., 3.])
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name"
        )
    if callable(fn_or_name):
        if isinstance(fn_or_name, str):
            raise AssertionError
        return late.whole(fn_or_name)
    frame: Any = sys._getframe(1)
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    late.wrapped[id(frame.f_globals), fn_or_name] = frame.f_globals
    return fn_or_name


def find_proxy(args, kwargs):
    found: list = []

    def look(x):
        if isinstance(x, Proxy):
            found.append(x)
        return x

    map_aggregate((args, kwargs), look)
    return found[0] if found else None


def recorder_of(function):
    """``function``; a call with a Proxy becomes a node."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        proxy = find_proxy(args, kwargs)
        if proxy is None:
            return function(*args, **kwargs)
        made = proxy.tracer.create_proxy("call_function", function, args, kwargs)
        made.node.meta["is_wrapped"] = True
        return made

    return wrapped


class Patches:
    """Changes of attributes and globals that are taken back at the end."""

    def __init__(self):
        self.undo: list[Callable] = []

    def name(self, space, name, value):
        """Set a global; None as ``value`` of a missing one removes it again."""
        missing = name not in space
        before = space.get(name)
        space[name] = value
        self.undo.append(lambda: space.pop(name, None) if missing else space.update({name: before}))

    def attribute(self, owner, name, value):
        own = vars(owner)
        missing, before = name not in own, own.get(name)
        setattr(owner, name, value)
        self.undo.append(lambda: delattr(owner, name) if missing else setattr(owner, name, before))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for undo in reversed(self.undo):
            undo()
