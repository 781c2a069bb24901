"""Features from inside a model: a graph of the model that ends at the nodes asked for."""

import inspect
import math
import re
import warnings
from collections import OrderedDict

from rushlight import fx, nn
from rushlight.fx.graph_module import _copy_attr
from rushlight.vision import ops

__all__ = ["create_feature_extractor", "get_graph_node_names"]

_LEAVES = tuple(
    found for _, found in inspect.getmembers(ops, inspect.isclass) if issubclass(found, nn.Module)
)


class NodePathTracer(fx.Tracer):
    """Records a graph, and for each node the path of the module that made it."""

    def __init__(self, autowrap_modules=(), leaf_modules=(), **options):
        super().__init__(autowrap_modules=(math, ops, *autowrap_modules), **options)
        self.leaf_modules = (*_LEAVES, *leaf_modules)
        self.current_module_qualname = ""
        self.node_to_qualname: dict = OrderedDict()

    def is_leaf_module(self, m, module_qualified_name):
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m, forward, args, kwargs):
        outer, path = self.current_module_qualname, self.path_of_module(m)
        self.current_module_qualname = path
        try:
            if self.is_leaf_module(m, path):
                return self.create_proxy("call_module", path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self.current_module_qualname = outer

    def create_proxy(self, *args, **kwargs):
        proxy = super().create_proxy(*args, **kwargs)
        self.node_to_qualname[proxy.node] = self._named(proxy.node)
        return proxy

    def _named(self, node):
        """The module's path, with the node's name where the node is no call of the module."""
        name = self.current_module_qualname
        if node.op != "call_module":
            name = f"{name}.{node}" if name else str(node)
        name = re.sub(r"(?<=.)_[0-9]+$", "", name)
        again = re.compile(re.escape(name) + r"(_[0-9]+)?$")
        for earlier in reversed(self.node_to_qualname.values()):
            found = again.match(earlier)
            if found is not None:
                return f"{name}_{int((found[1] or '_0')[1:]) + 1}"
        return name


def _traced(model, training, tracer_kwargs, concrete_args):
    """(tracer, graph) of a model in training mode or else."""
    tracer = NodePathTracer(**(tracer_kwargs or {}))
    graph = tracer.trace(model.train(training), concrete_args=concrete_args)
    return tracer, graph


def _warn_of_differences(train, evaluation):
    if list(train.node_to_qualname.values()) != list(evaluation.node_to_qualname.values()):
        warnings.warn(
            "The model's nodes differ in training and evaluation mode: give train_return_nodes and "
            "eval_return_nodes if the nodes that you want are not in both",
            stacklevel=3,
        )


def get_graph_node_names(
    model, tracer_kwargs=None, suppress_diff_warning=False, concrete_args=None
):
    """Return the names of the nodes that ``create_feature_extractor`` can return.

    Args:
        model: The model.
        tracer_kwargs: Options of the tracer, such as ``leaf_modules``. Default: None.
        suppress_diff_warning: Give no warning if the nodes of both modes differ. Default: False.
        concrete_args: Arguments of ``forward`` with fixed values. Default: None.

    Returns:
        Tuple of two lists: the names in training mode, and those in evaluation mode.

    >>> from rushlight import nn
    >>> from rushlight.vision.models.feature_extraction import get_graph_node_names
    >>> get_graph_node_names(nn.Sequential(nn.ReLU(), nn.Tanh()))[0]
    ['input', '0', '1']
    """
    training = model.training
    train, _ = _traced(model, True, tracer_kwargs, concrete_args)
    evaluation, _ = _traced(model, False, tracer_kwargs, concrete_args)
    model.train(training)
    if not suppress_diff_warning:
        _warn_of_differences(train, evaluation)
    names = train.node_to_qualname.values(), evaluation.node_to_qualname.values()
    return list(names[0]), list(names[1])


class DualGraphModule(fx.GraphModule):
    """A ``GraphModule`` with a graph for training and one for evaluation."""

    def __init__(self, root, train_graph, eval_graph, class_name="GraphModule"):
        super().__init__(root, train_graph, class_name)
        held = {node.target for node in train_graph.nodes if node.op in ("get_attr", "call_module")}
        for node in eval_graph.nodes:
            if node.op in ("get_attr", "call_module") and node.target not in held:
                _copy_attr(root, self, node.target)
                held.add(node.target)
        self.train_graph = train_graph
        self.eval_graph = eval_graph
        self.training = True

    def train(self, mode=True):
        """Set the mode, and with it the graph."""
        if mode != self.training:
            self.graph = self.train_graph if mode else self.eval_graph
        return super().train(mode)


def _cut(tracer, graph, wanted):
    """Let ``graph`` return the last node of each wanted path, in a dict."""
    names = list(tracer.node_to_qualname.values())
    for query in wanted:
        if not any(name == query or name.startswith(f"{query}.") for name in names):
            raise ValueError(
                f"node: '{query}' is not present in model. get_graph_node_names has the names"
            )
    for node in [node for node in graph.nodes if node.op == "output"]:
        graph.erase_node(node)
    nodes, left, found = list(graph.nodes), dict(wanted), []
    for node in reversed(nodes):
        path = tracer.node_to_qualname.get(node, "").split(".")
        for query in left:
            if ".".join(path[: query.count(".") + 1]) == query:
                found.append((left.pop(query), node))
                break
    with graph.inserting_after(nodes[-1]):
        graph.output(dict(reversed(found)))
    whole = fx.GraphModule(tracer.root, graph)  # it tells which modules have an effect
    whole.graph.eliminate_dead_code()
    return whole.graph


def _as_dict(nodes):
    pairs = nodes.items() if isinstance(nodes, dict) else zip(nodes, nodes, strict=True)
    return {str(name): str(key) for name, key in pairs}


def create_feature_extractor(
    model, return_nodes=None, train_return_nodes=None, eval_return_nodes=None, tracer_kwargs=None,
    suppress_diff_warning=False, concrete_args=None,
):  # fmt: skip
    """Make a module that returns results from inside a model, in a dict.

    Args:
        model: The model. The new module has its layers, not copies.
        return_nodes: Names of nodes or of modules, or a dict from these to keys of the result.
        train_return_nodes, eval_return_nodes: The same for each mode by itself.
        tracer_kwargs: Options of the tracer, such as ``leaf_modules``. Default: None.
        suppress_diff_warning: Give no warning if the nodes of both modes differ. Default: False.
        concrete_args: Arguments of ``forward`` with fixed values. Default: None.

    Returns:
        ``GraphModule`` with a graph for each mode.

    Raises:
        ValueError: There is no such node, or the arguments do not fit together.

    >>> import rushlight as torch
    >>> from rushlight.vision.models.feature_extraction import create_feature_extractor
    >>> model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
    >>> create_feature_extractor(model, {"0": "positive"})(torch.tensor([-1.0, 2.0]))
    {'positive': tensor([0., 2.])}
    """
    if (train_return_nodes is None) != (eval_return_nodes is None):
        raise ValueError("train_return_nodes and eval_return_nodes should both be specified")
    if (return_nodes is None) == (train_return_nodes is None):
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, "
            "should be specified"
        )
    wanted = return_nodes if train_return_nodes is None else train_return_nodes
    later = return_nodes if eval_return_nodes is None else eval_return_nodes
    training = model.training
    train, train_graph = _traced(model, True, tracer_kwargs, concrete_args)
    evaluation, eval_graph = _traced(model, False, tracer_kwargs, concrete_args)
    model.train(training)
    if not suppress_diff_warning:
        _warn_of_differences(train, evaluation)
    train_graph = _cut(train, train_graph, _as_dict(wanted))
    eval_graph = _cut(evaluation, eval_graph, _as_dict(later))
    found = DualGraphModule(model, train_graph, eval_graph, type(model).__name__)
    return found.train(training)
