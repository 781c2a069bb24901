"""torch._dynamo: what programs ask of PyTorch's tracer, where rushlight has an answer."""

from rushlight._dynamo import config, eval_frame
from rushlight._dynamo.eval_frame import OptimizedModule
from rushlight.compiler import (
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    list_backends,
    reset,
    set_stance,
    substitute_in_graph,
)

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable",
    "disallow_in_graph", "eval_frame",
    "is_compiling", "list_backends", "mark_dynamic", "mark_static", "mark_static_address",
    "maybe_mark_dynamic", "reset", "set_stance", "substitute_in_graph",
]  # fmt: skip


def disallow_in_graph(fn):
    """``fn``, or the list of functions: every function is traced."""
    return allow_in_graph(fn)


def mark_dynamic(tensor, index, **bounds):
    """Accepted: another shape is another program."""


def maybe_mark_dynamic(tensor, index):
    """Accepted: another shape is another program."""


def mark_static(tensor, index=None):
    """Accepted: every shape is compiled in."""


def mark_static_address(tensor, guard=True):
    """Accepted: parameters and state are known by where they lie."""
