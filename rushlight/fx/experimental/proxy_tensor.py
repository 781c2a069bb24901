"""``make_fx``: the operations of a call as a graph."""

import inspect
import operator
from typing import Any

import rushlight
from rushlight.autograd import mode
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.node import map_aggregate
from rushlight.nn import Module, Parameter
from rushlight.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from rushlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["get_proxy_mode", "make_fx"]


def get_proxy_mode():
    """Return the mode in which ``make_fx`` records a call now.

    Returns:
        The mode; None outside of ``make_fx``.

    >>> get_proxy_mode() is None
    True
    """
    return next((m for m in _get_current_dispatch_mode_stack() if isinstance(m, _Recorder)), None)


class _Recorder(TorchDispatchMode):
    """Runs operations and adds a node for each."""

    def __init__(self, graph, root):
        super().__init__()
        self.graph, self.root = graph, root
        # id of an array → (a tensor of it, its node, the writes so far). Gradient rules get other
        # tensors of the same arrays.
        self.nodes: dict = {}

    def node_of(self, x):
        if not isinstance(x, rushlight.Tensor):
            return x
        if id(x._array) not in self.nodes:
            if mode.state.in_rule:
                raise NotImplementedError(
                    "make_fx: a gradient rule reads a value that its forward kept to itself, so it "
                    "would become a constant; compute this gradient outside of make_fx"
                )
            kind = "_param_constant" if isinstance(x, Parameter) else "_tensor_constant"
            count = 0
            while hasattr(self.root, f"{kind}{count}"):
                count += 1
            name = f"{kind}{count}"
            setattr(self.root, name, x)
            self.note(x, self.graph.get_attr(name))
        tensor, node, writes = self.nodes[id(x._array)]
        if tensor.cell[1] != writes:
            raise NotImplementedError(
                "make_fx: a tensor was written in place; use the function that gives a new tensor"
            )
        return node

    def note(self, x, node):
        self.nodes[id(x._array)] = x, node, x.cell[1]  # holds the array, so that its id stays its

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        operands = map_aggregate((args, kwargs or {}), self.node_of)
        node = self.graph.call_function(func, *operands, name=func._opname)
        if isinstance(out, rushlight.Tensor):
            self.note(out, node)
            node.meta["val"] = out.detach()
        elif isinstance(out, (list, tuple)):
            for i, part in enumerate(out):
                if isinstance(part, rushlight.Tensor):
                    self.note(part, self.graph.call_function(operator.getitem, (node, i)))
        return out


def make_fx(f, decomposition_table=None, tracing_mode="real", **options):
    """Return a function that runs ``f`` once, and gives its operations as a GraphModule.

    Operations are rushlight's, as ``TorchDispatchMode`` sees them, those of backward included.
    Numbers and shapes of the example call become constants.

    Args:
        f: A function of tensors, and of containers of tensors.
        decomposition_table: Must be None or empty.
        tracing_mode: Must be "real": shapes are those of the example.
        **options: Accepted without effect.

    Returns:
        A function of example arguments that returns a GraphModule.

    Raises:
        NotImplementedError: Another ``tracing_mode``, or a decomposition table.

    >>> import rushlight as torch
    >>> from rushlight.fx.experimental.proxy_tensor import make_fx
    >>> made = make_fx(lambda x: torch.relu(x) + 1)(torch.ones(2))
    >>> print(made.code.strip())
    def forward(self, x_1):
        relu = torch.ops.aten.relu.default(x_1);  x_1 = None
        add = torch.ops.aten.add.default(relu, 1);  relu = None
        return add
    """
    if tracing_mode != "real" or decomposition_table:
        raise NotImplementedError(
            "make_fx: only tracing_mode='real' without decompositions: operations run on the "
            "example's own tensors"
        )

    def run(*args):
        graph, root = Graph(), Module()
        recorder: Any = _Recorder(graph, root)
        leaves, spec = tree_flatten(args)
        names = _names(f, len(leaves) if len(leaves) != len(args) else len(args))
        for i, leaf in enumerate(leaves):
            node = graph.placeholder(f"{names[i] if i < len(names) else 'arg'}_1")
            if isinstance(leaf, rushlight.Tensor):
                recorder.note(leaf, node)
        with recorder:
            found = f(*tree_unflatten(leaves, spec))
        out = map_aggregate(found, recorder.node_of)
        graph.output(out)
        graph.eliminate_dead_code()
        return GraphModule(root, graph, getattr(f, "__name__", type(f).__name__))

    return run


def _names(f, count):
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        names = []
    return [n for n in names if n.isidentifier()][:count]
