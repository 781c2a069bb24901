"""The graph of an exported call: nodes in order of computation, printed in PyTorch's form."""

from typing import Any

import numpy as np

from rushlight.compiler.ir.abstract import Abstract
from rushlight.dtype import OF
from rushlight.nn import Module

__all__ = ["Graph", "GraphModule", "Node", "Part", "Value", "code", "indented"]

_SHORT = {
    "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "int8": "i8",
    "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "b8",
    "complex64": "c64", "complex128": "c128",
}  # fmt: skip


class Value:
    """The shape and dtype of a node's result.

    Attributes:
        shape: An int for each fixed dim, a ``Size`` for each dim that depends on changing dims.
        id: The id of this value in the recording.
    """

    __slots__ = ("dtype", "id", "shape")

    def __init__(self, shape, dtype, id):
        self.shape, self.dtype, self.id = shape, dtype, id

    def __repr__(self):
        name = OF[self.dtype].name
        return f"{_SHORT.get(name, name)}[{', '.join(map(str, self.shape))}]"


class Node:
    """One node: an input, an operation, or the output.

    Attributes:
        op: ``placeholder``, ``call_function``, or ``output``.
        name: The node's name in the graph.
        target: The operation that the node calls; for an input, the input's name.
        args, kwargs: The operands (some of them nodes) and the parameters.
        users: The nodes that read this node's result, as the keys of a dict.
        meta: ``meta["val"]`` is the Value of the result, or a tuple of Values for several results.

    Args:
        op, name, target, args, kwargs: As the attributes. Default: no operands and no parameters.
        val: The Value of the result. Default: None.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> program.graph.nodes[1].op
    'call_function'
    """

    def __init__(self, op, name, target, args=(), kwargs=None, val=None):
        self.op, self.name, self.target = op, name, target
        self.args, self.kwargs = args, kwargs or {}
        self.users: dict = {}
        self.meta: dict = {} if val is None else {"val": val}
        for node in self.all_input_nodes:
            node.users[self] = None

    @property
    def label(self):
        """The operation's name; for an input or the output, the kind of node (``op``)."""
        return getattr(self.target, "name", self.op)

    @property
    def all_input_nodes(self):
        """The nodes whose results this node reads, each listed once."""
        found: dict = {}
        _nodes((self.args, tuple(self.kwargs.values())), found)
        return list(found)

    def _shown(self):
        """The parameters to print: all but ``memo``, which holds values for gradient rules."""
        return {k: v for k, v in self.kwargs.items() if k != "memo"}

    def __repr__(self):
        return self.name

    def format_node(self):
        """The node's line in the printed graph."""
        if self.op == "output":
            return f"return {_text(self.args[0], '%')}"
        users = f"%{self.name} : [num_users={len(self.users)}] = "
        if self.op == "placeholder":
            return f"{users}placeholder[target={self.target}]"
        args, kwargs = _text(self.args, "%"), _text(self._shown(), "%")
        return f"{users}call_function[target={self.label}](args = {args}, kwargs = {kwargs})"


class Part:
    """One result of a node that has several results."""

    def __init__(self, node, index):
        self.node, self.index = node, index


def _nodes(value, found):
    if isinstance(value, Node):
        found[value] = None
    elif isinstance(value, Part):
        found[value.node] = None
    elif isinstance(value, (tuple, list)):
        for part in value:
            _nodes(part, found)


def _text(value, sign=""):
    """An operand or parameter as text; ``sign`` stands before each node's name."""
    if isinstance(value, Node):
        return sign + value.name
    if isinstance(value, Part):
        return f"{sign}{value.node.name}[{value.index}]"
    if isinstance(value, np.dtype):
        return f"torch.{OF[value].name}"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{k}: {_text(v, sign)}" for k, v in value.items()]) + "}"
    if type(value) in (tuple, list):
        parts = ", ".join([_text(v, sign) for v in value])
        comma = "," if type(value) is tuple and len(value) == 1 else ""
        return f"({parts}{comma})" if type(value) is tuple else f"[{parts}]"
    return repr(value)


class Graph:
    """Nodes in the order in which they are computed.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> [node.name for node in program.graph.nodes]
    ['input', 'relu', 'output']
    """

    def __init__(self):
        self.nodes: list[Node] = []
        self._names: dict = {}  # name → how many numbered variants of the name exist
        self._places: dict = {}  # value id → the Node or Part that computes the value

    def unused(self, name):
        """Return ``name``, with a number appended if the name is already taken."""
        if name not in self._names:
            self._names[name] = 0
            return name
        self._names[name] += 1
        return self.unused(f"{name}_{self._names[name]}")

    def placeholder(self, name, value):
        """Add an input node."""
        name = self.unused(name)
        return self._add(Node("placeholder", name, name, val=value), (value,))

    def call(self, op, ins, params, values):
        """Add a node that applies ``op``; ``values`` are the results."""
        args, kwargs = self.operand(ins), {k: self.operand(v) for k, v in params.items()}
        val = values[0] if len(values) == 1 else tuple(values)
        return self._add(Node("call_function", self.unused(op.name), op, args, kwargs, val), values)

    def output(self, results):
        """Add the output node."""
        return self._add(Node("output", "output", "output", (self.operand(tuple(results)),)), ())

    def _add(self, node, values):
        for i, value in enumerate(values):
            self._places[value.id] = node if len(values) == 1 else Part(node, i)
        self.nodes.append(node)
        return node

    def operand(self, value: Any) -> Any:
        """Replace the recording's values inside ``value`` by the nodes that compute them."""
        if isinstance(value, (Abstract, Value)):
            return self._places[value.id]
        if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
            return type(value)([self.operand(v) for v in value])
        return value

    def find_nodes(self, *, op, target=None):
        """List the nodes of kind ``op``, and of ``target`` (an operation or its name) if given."""
        wanted = (None, target)
        return [n for n in self.nodes if n.op == op and (
            target is None or n.target in wanted or n.label == target)]  # fmt: skip

    def print_tabular(self):
        """Print a table with a line for each node."""
        rows = [(n.op, n.name, n.label, _text(n.args), _text(n.kwargs)) for n in self.nodes]
        rows.insert(0, ("opcode", "name", "target", "args", "kwargs"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [c.ljust(w) for c, w in zip(row, widths, strict=True)]
            print("  ".join(cells).rstrip())

    def __str__(self):
        return "graph():\n" + "\n".join([f"    {n.format_node()}" for n in self.nodes])


class GraphModule(Module):
    """A graph as a module.

    Attributes:
        graph: The graph.
        code: The graph as a Python function.

    Args:
        graph: The graph.
        run: A function that computes the graph.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> type(program.graph_module).__name__
    'GraphModule'
    """

    def __init__(self, graph, run):
        super().__init__()
        self.graph = graph
        self._run = run

    def forward(self, *args, **kwargs):
        """Run the graph on the arguments and return its results."""
        return self._run(*args, **kwargs)

    @property
    def code(self):
        """The graph as a Python function."""
        return code(self.graph)

    def print_readable(self):
        """Print the graph as a Python function with shapes, and return the printed text."""
        text = "class GraphModule(torch.nn.Module):\n" + indented(code(self.graph, shapes=True))
        print(text)
        return text


def indented(text, by=4):
    """Indent each line of ``text`` by ``by`` spaces; empty lines stay empty."""
    return "\n".join([" " * by + line if line else line for line in text.split("\n")])


def code(graph, shapes=False):
    """The graph as a Python function; ``shapes`` notes the shape and dtype of each value."""
    noted = lambda n: f'{n.name}: "{n.meta["val"]!r}"' if shapes else n.name
    inputs = [noted(n) for n in graph.nodes if n.op == "placeholder"]
    lines = [f"def forward({', '.join(['self', *inputs])}):"]
    for n in graph.nodes:
        if n.op == "call_function":
            params = [f"{k} = {_text(v)}" for k, v in n._shown().items()]
            given = ", ".join([*map(_text, n.args), *params])
            lines.append(f"    {noted(n)} = {n.label}({given})")
        elif n.op == "output":
            lines.append(f"    return {_text(n.args[0])}")
    return "\n".join(lines)
