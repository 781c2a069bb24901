"""torch.fx: of its graphs there is what ``torch.export`` gives; functions need no wrapping."""

from rushlight.export.graph import Graph, GraphModule, Node

__all__ = ["Graph", "GraphModule", "Node", "wrap"]


def wrap(fn_or_name):
    """Decorate a function that a tracer should leave whole, or name it: returned as it is."""
    return fn_or_name
