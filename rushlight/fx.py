"""torch.fx: of its graphs there is what ``torch.export`` gives; functions need no wrapping."""

from rushlight.export.graph import Graph, GraphModule, Node

__all__ = ["Graph", "GraphModule", "Node", "wrap"]


def wrap(fn_or_name):
    """Mark a function that a tracer should leave whole.

    Args:
        fn_or_name: The function, or its name.

    Returns:
        ``fn_or_name``, unchanged.

    >>> import rushlight as torch
    >>> torch.fx.wrap(len)([1, 2])
    2
    """
    return fn_or_name
