"""torch._dynamo: what programs ask of PyTorch's tracer, where rushlight has an answer."""

from rushlight._dynamo import config, eval_frame, exc
from rushlight._dynamo.eval_frame import OptimizedModule
from rushlight._dynamo.explaining import explain
from rushlight.compiler import (
    allow_in_graph,
    assume_constant_result,
    compile,
    disable,
    is_compiling,
    list_backends,
    reset,
    set_stance,
    substitute_in_graph,
)

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable",
    "disallow_in_graph", "eval_frame", "exc", "explain", "graph_break", "is_compiling",
    "list_backends", "mark_dynamic", "mark_static", "mark_static_address",
    "maybe_mark_dynamic", "optimize", "reset", "set_stance", "substitute_in_graph",
]  # fmt: skip


def disallow_in_graph(fn):
    """Return functions unchanged, because every function is traced.

    Args:
        fn: A function, or a list of functions.

    Returns:
        ``fn``.

    >>> import rushlight as torch
    >>> torch._dynamo.disallow_in_graph(len)([1, 2])
    2
    """
    return allow_in_graph(fn)


def graph_break(msg=""):
    """Do nothing: a program that is not cut gives the same results.

    Args:
        msg: Accepted without effect.

    >>> import rushlight as torch
    >>> torch._dynamo.graph_break()
    """


def optimize(backend="inductor", *, nopython=False, **options):
    """Return a decorator that compiles; the older name of ``torch.compile``.

    Args:
        backend: As of ``torch.compile``.
        nopython: ``fullgraph`` of ``torch.compile``.
        **options: Accepted without effect.

    Returns:
        A decorator of functions and Modules.

    Raises:
        RuntimeError: as of ``torch.compile``.

    >>> import rushlight as torch
    >>> torch._dynamo.optimize("eager")(torch.sin)(torch.zeros(2))
    tensor([0., 0.])
    """
    return compile(backend=backend, fullgraph=nopython)


def mark_dynamic(tensor, index, **bounds):
    """Do nothing, because another shape is another program.

    Args:
        tensor, index: Accepted without effect.
        **bounds: Accepted without effect.

    >>> import rushlight as torch
    >>> torch._dynamo.mark_dynamic(torch.ones(2), 0)
    """


def maybe_mark_dynamic(tensor, index):
    """Do nothing, because another shape is another program.

    Args:
        tensor, index: Accepted without effect.

    >>> import rushlight as torch
    >>> torch._dynamo.maybe_mark_dynamic(torch.ones(2), 0)
    """


def mark_static(tensor, index=None):
    """Do nothing, because every shape is compiled in.

    Args:
        tensor, index: Accepted without effect.

    >>> import rushlight as torch
    >>> torch._dynamo.mark_static(torch.ones(2), 0)
    """


def mark_static_address(tensor, guard=True):
    """Do nothing, because parameters and state are known by their place in memory.

    Args:
        tensor, guard: Accepted without effect.

    >>> import rushlight as torch
    >>> torch._dynamo.mark_static_address(torch.ones(2))
    """
