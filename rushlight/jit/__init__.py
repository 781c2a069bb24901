"""torch.jit: programs written for TorchScript, which here run as the Python they are.

``script`` and ``trace`` give back what they are given: a function as it is, a module as a
``ScriptModule``, its twin with the same parameters and a ``save`` of its own. For speed there is
``torch.compile``.
"""

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
from rushlight.jit.scripted import (
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
    "annotate", "enable_onednn_fusion", "export", "fork", "freeze", "ignore", "interface",
    "is_scripting", "is_tracing", "isinstance", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "save", "script", "script_if_tracing", "script_method",
    "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused", "wait",
]  # fmt: skip


class Error(RuntimeError):
    """What TorchScript raises; nothing here does."""


class CompilationUnit:
    """Functions made from TorchScript's source text, which rushlight does not read.

    Raises:
        NotImplementedError: source text is given.
    """

    def __init__(self, lang=None, _frames_up=0):
        if lang is not None:
            raise NotImplementedError(
                "torch.jit.CompilationUnit: rushlight does not compile TorchScript source; write "
                "the function in Python, and use torch.compile to make it fast"
            )


def set_fusion_strategy(strategy):
    """Accepted: there is no fusion to set; the former strategy is returned, an empty list."""
    return []


def enable_onednn_fusion(enabled):
    """Accepted: there is no oneDNN."""


def onednn_fusion_enabled():
    """False."""
    return False


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'rushlight.jit' has no attribute {name!r}: see docs/coverage.md")
