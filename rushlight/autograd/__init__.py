"""Gradients: the tape, custom functions, and the modes that turn recording on and off."""

import importlib

from rushlight.autograd.mode import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
    state,
)

__all__ = [
    "Function", "backward", "detect_anomaly", "enable_grad", "grad", "gradcheck", "gradgradcheck",
    "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip

# These modules are imported at first use: they need Tensor, and Tensor needs this package's modes.
_HOMES = {
    "Function": "function", "FunctionCtx": "function", "once_differentiable": "function",
    "backward": "gradient", "grad": "gradient",
    "detect_anomaly": "anomaly", "set_detect_anomaly": "anomaly",
    "set_multithreading_enabled": "mode",
    "Variable": "variable",
    "GradcheckError": "numeric", "gradcheck": "numeric", "gradgradcheck": "numeric",
}  # fmt: skip


def _profiler_enabled():
    """Whether operations of this thread are recorded by a profile."""
    return state.profiler is not None


def _disable_profiler():
    """Stop the recording of this thread's operations, if a profile makes one."""
    if state.profiler is not None:
        state.profiler.stop()


def __getattr__(name):
    if name in ("forward_ad", "functional", "graph", "profiler"):
        return importlib.import_module(f"rushlight.autograd.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rushlight.autograd' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rushlight.autograd.{_HOMES[name]}"), name)
