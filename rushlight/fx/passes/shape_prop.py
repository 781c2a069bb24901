"""ShapeProp: runs a graph and notes the shape and dtype of each result."""

from typing import Any, NamedTuple

import rushlight
from rushlight.fx.interpreter import Interpreter
from rushlight.fx.node import map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor besides its values.

    Args:
        shape, dtype, requires_grad, stride: The tensor's.
        memory_format: The memory format in which it is contiguous, or None.
        is_quantized: False.
        qparams: An empty dict.

    >>> import rushlight as torch
    >>> extract(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    shape: Any
    dtype: Any
    requires_grad: bool
    stride: tuple
    memory_format: Any
    is_quantized: bool
    qparams: dict


def extract(result):
    """Return the TensorMetadata of a tensor."""
    formats = (
        rushlight.contiguous_format, rushlight.channels_last, rushlight.channels_last_3d
    )  # fmt: skip
    found = None
    for f in formats:
        dims = {rushlight.channels_last: 4, rushlight.channels_last_3d: 5}.get(f, result.ndim)
        if result.ndim == dims and result.is_contiguous(memory_format=f):
            found = f
            break
    return TensorMetadata(
        result.shape, result.dtype, result.requires_grad, result.stride(), found, False, {}
    )


class ShapeProp(Interpreter):
    """Runs a graph and notes ``meta["tensor_meta"]`` and ``meta["type"]`` of each node.

    Args:
        gm: The GraphModule.
        fake_mode: Accepted without effect.

    >>> import rushlight as torch
    >>> from rushlight.fx.passes.shape_prop import ShapeProp
    >>> traced = torch.fx.symbolic_trace(lambda x: x.flatten())
    >>> out = ShapeProp(traced).propagate(torch.ones(2, 3))
    >>> [tuple(node.meta["tensor_meta"].shape) for node in traced.graph.nodes]
    [(2, 3), (6,), (6,)]
    """

    def __init__(self, gm, fake_mode=None):
        super().__init__(gm)

    def run_node(self, n):
        """Run a node and note its result.

        Args:
            n: The Node.

        Returns:
            The result.
        """
        result = super().run_node(n)
        tensors: list = []

        def note(x):
            if isinstance(x, rushlight.Tensor):
                tensors.append(x)
                return extract(x)
            return x

        meta = map_aggregate(result, note)
        if tensors:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args):
        """Run the graph.

        Args:
            *args: The graph's arguments.

        Returns:
            What the graph returns.
        """
        return super().run(*args)
