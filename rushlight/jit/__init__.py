"""torch.jit: lets programs written for TorchScript run as ordinary Python.

``script`` and ``trace`` compile nothing. They return a function unchanged. For a module they return
a ``ScriptModule``: a twin that shares the module's parameters and has its own method ``save``.
``torch.compile`` is the way to make a program faster.
"""

import contextlib
from typing import Any, Final

from rushlight.jit.files import load, save
from rushlight.jit.marks import (
    Attribute,
    annotate,
    export,
    ignore,
    interface,
    is_scripting,
    is_tracing,
    isinstance,
    script_if_tracing,
    script_method,
    strict_fusion,
    unused,
)
from rushlight.jit.marks import _overload as _overload
from rushlight.jit.marks import _overload_method as _overload_method
from rushlight.jit.scripted import (
    Error,
    ScriptFunction,
    ScriptModule,
    freeze,
    optimize_for_inference,
    script,
    trace,
    trace_module,
)
from rushlight.jit.tasks import Future, fork, wait

__all__ = [
    "Attribute", "CompilationUnit", "Error", "Final", "Future", "ScriptFunction", "ScriptModule",
    "TracerWarning", "annotate", "enable_onednn_fusion", "export", "fork", "freeze", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "optimized_execution", "save", "script", "script_if_tracing",
    "script_method", "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused",
    "wait",
]  # fmt: skip


class TracerWarning(Warning):
    """The category of warnings that PyTorch's ``trace`` gives. rushlight never gives one."""

    @classmethod
    def ignore_lib_warnings(cls):
        """Accepted without effect, because there are no such warnings.

        >>> import rushlight as torch
        >>> torch.jit.TracerWarning.ignore_lib_warnings()
        """


class CompilationUnit:
    """In PyTorch, functions made from TorchScript source text; rushlight cannot compile that text.

    Args:
        lang: Source text, which is refused. Default: None.
        _frames_up: Accepted without effect.

    Raises:
        NotImplementedError: source text is given.

    >>> import rushlight as torch
    >>> unit = torch.jit.CompilationUnit()
    """

    def __init__(self, lang=None, _frames_up=0):
        if lang is not None:
            raise NotImplementedError(
                "torch.jit.CompilationUnit: rushlight does not compile TorchScript source; write "
                "the function in Python, and use torch.compile to make it fast"
            )


def set_fusion_strategy(strategy):
    """Do nothing and return the former strategy, which is empty: there is no fusion to set.

    Args:
        strategy: Accepted without effect.

    Returns:
        An empty list.

    >>> import rushlight as torch
    >>> torch.jit.set_fusion_strategy([("STATIC", 2)])
    []
    """
    return []


def enable_onednn_fusion(enabled):
    """Do nothing, because rushlight does not use oneDNN.

    Args:
        enabled: Accepted without effect.

    >>> import rushlight as torch
    >>> torch.jit.enable_onednn_fusion(True)
    """


@contextlib.contextmanager
def optimized_execution(should_optimize):
    """Accept PyTorch's option without effect: rushlight does not optimise scripted functions.

    Args:
        should_optimize: Accepted without effect.

    Returns:
        Context manager that does nothing.

    >>> import rushlight as torch
    >>> with torch.jit.optimized_execution(False):
    ...     pass
    """
    yield


def onednn_fusion_enabled():
    """Return False, because rushlight does not use oneDNN.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.jit.onednn_fusion_enabled()
    False
    """
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'rushlight.jit' has no attribute {name!r}: see docs/coverage.md")
