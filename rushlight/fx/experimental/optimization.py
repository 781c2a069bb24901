"""Passes that make traced models faster at inference."""

import copy
from collections.abc import Iterable

import rushlight
from rushlight.fx._symbolic_trace import symbolic_trace
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.node import Node
from rushlight.nn.utils import fuse_conv_bn_eval

__all__ = ["fuse", "matches_module_pattern", "remove_dropout", "replace_node_module"]


def _split(target):
    """``"foo.bar"`` → ("foo", "bar")."""
    parent, _, name = target.rpartition(".")
    return parent, name


def matches_module_pattern(pattern: Iterable[type], node: Node, modules):
    """Tell whether a call of a module reads the result of a call of another one.

    Args:
        pattern: The classes of the two modules, the first that runs first.
        node: The node of the second call.
        modules: Dict: path → module.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> nn = torch.nn
    >>> traced = torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
    >>> last = traced.graph.find_nodes(op="call_module")[1]
    >>> matches_module_pattern(
    ...     (nn.Conv2d, nn.BatchNorm2d), last, dict(traced.named_modules()))
    True
    """
    if not node.args or not isinstance(node.args[0], Node):
        return False
    return all(
        n.op == "call_module" and isinstance(n.target, str) and n.target in modules
        and type(modules[n.target]) is kind
        for kind, n in zip(pattern, (node.args[0], node), strict=False)
    )  # fmt: skip


def replace_node_module(node, modules, new_module):
    """Put another module in the place that a node calls.

    Args:
        node: The node.
        modules: Dict: path → module, which is changed.
        new_module: The module.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.ReLU()))
    >>> node = traced.graph.find_nodes(op="call_module")[0]
    >>> replace_node_module(node, dict(traced.named_modules()), torch.nn.Identity())
    >>> traced(torch.tensor([-1.0]))
    tensor([-1.])
    """
    parent, name = _split(node.target)
    modules[node.target] = new_module
    setattr(modules[parent], name, new_module)


def fuse(model, inplace=False, no_trace=False):
    """Merge each batch norm into the convolution before it, for inference.

    Args:
        model: A Module in eval mode.
        inplace: Change ``model`` and not a copy.
        no_trace: ``model`` is a GraphModule already.

    Returns:
        A GraphModule.

    Raises:
        ValueError: A batch norm that would be merged is in training mode.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.BatchNorm1d(1)).eval()
    >>> [node.target for node in fuse(net).graph.find_nodes(op="call_module")]
    ['0']
    """
    nn = rushlight.nn
    patterns = [
        (nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)
    ]  # fmt: skip
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace and isinstance(model, GraphModule) else symbolic_trace(model)
    modules = dict(traced.named_modules())
    graph = copy.deepcopy(traced.graph)
    for pattern in patterns:
        for node in graph.nodes:
            if not matches_module_pattern(pattern, node, modules) or len(node.args[0].users) > 1:
                continue
            conv, norm = modules[node.args[0].target], modules[node.target]
            if not norm.track_running_stats:
                continue
            replace_node_module(node.args[0], modules, fuse_conv_bn_eval(conv, norm))
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return GraphModule(traced, graph)


def remove_dropout(model):
    """Remove the dropout modules of a model, for inference.

    Args:
        model: A Module.

    Returns:
        A GraphModule.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Dropout())
    >>> [node.target for node in remove_dropout(net).graph.find_nodes(op="call_module")]
    ['0']
    """
    traced = symbolic_trace(model)
    modules = dict(traced.named_modules())
    for node in traced.graph.find_nodes(op="call_module"):
        if isinstance(modules[node.target], rushlight.nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    traced.recompile()
    return traced
