"""Graph: nodes in the order in which they run, and the functions that edit them."""

import copy
from typing import Any

from rushlight.fx.codegen import CodeGen, PythonCode
from rushlight.fx.namespace import Namespace, snake_case
from rushlight.fx.node import Node, map_arg

__all__ = ["Graph"]


class _NodeList:
    """The nodes of a graph. Nodes may be inserted and erased while it is iterated over."""

    def __init__(self, graph, backwards=False):
        self.graph, self.backwards = graph, backwards

    def __iter__(self):
        root = self.graph._root
        step = (lambda n: n._prev) if self.backwards else (lambda n: n._next)
        node = step(root)
        while node is not root:
            if not node._erased:
                yield node
            node = step(node)

    def __len__(self):
        return self.graph._len

    def __reversed__(self):
        return iter(_NodeList(self.graph, not self.backwards))

    def __getitem__(self, index):
        return list(self)[index]


class _InsertPoint:
    """A context in which nodes are inserted at another place."""

    def __init__(self, graph, insert):
        self.graph, self.before = graph, graph._insert
        graph._insert = insert

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.graph._insert = self.before


class Graph:
    """The steps of a function: arguments, calls, and the output.

    Args:
        owning_module: The GraphModule that runs the graph. Default: none.
        tracer_cls: The class of the tracer that made it. Default: none.
        tracer_extras: Accepted without effect.

    >>> import rushlight as torch
    >>> graph = torch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> y = graph.call_function(torch.relu, (x,))
    >>> out = graph.output(y)
    >>> print(graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %relu : [num_users=1] = call_function[target=torch.relu](args = (%x,), kwargs = {})
        return relu
    """

    def __init__(self, owning_module=None, tracer_cls=None, tracer_extras=None):
        self._root = Node(self, "", "root", "", (), {})
        self._len = 0
        self._insert = self._root.prepend
        self._graph_namespace = Namespace()
        self._owners = 0
        self.owning_module = owning_module
        self._tracer_cls = tracer_cls
        self._codegen: CodeGen = CodeGen()

    @property
    def nodes(self):
        """The nodes in order: an object to iterate over, also by ``reversed``."""
        return _NodeList(self)

    def output_node(self):
        """Return the output node.

        Returns:
            The Node.
        """
        node = self._root._prev
        if node.op != "output":
            raise AssertionError("the graph has no output node")
        return node

    def find_nodes(self, *, op, target=None, sort=True):
        """List the nodes of a kind.

        Args:
            op: The kind, such as "call_function".
            target: Only nodes with this target. It must be given for "call_function".
            sort: Accepted without effect: the nodes come in the graph's order.

        Returns:
            List of Nodes.
        """
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    # Making nodes -------------------------------------------------------------------------

    def create_node(self, op, target, args=None, kwargs=None, name=None, type_expr=None):
        """Add a node at the insert point: the end, unless ``inserting_before`` moved it.

        Args:
            op, target, args, kwargs: See ``Node``.
            name: The name to begin with. Default: one made of the target.
            type_expr: The type hint of the result. Default: none.

        Returns:
            The Node.
        """
        args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(args, tuple) or not isinstance(kwargs, dict):
            raise AssertionError("args must be a tuple and kwargs a dict")
        candidate = name if name is not None else self._target_to_str(target)
        name = self._graph_namespace.create_name(candidate, None)
        node = Node(self, name, op, target, args, kwargs, type_expr)
        self._insert(node)
        self._len += 1
        return node

    def _target_to_str(self, target):
        name = target if isinstance(target, str) else getattr(target, "__name__", "call")
        return snake_case(name)

    def placeholder(self, name, type_expr=None, default_value=None, **given):
        """Add an argument.

        Args:
            name: The argument's name; ``"*name"`` for all further arguments.
            type_expr: Its type hint. Default: none.
            default_value: Its default. Default: the argument is required.

        Returns:
            The Node.
        """
        args = () if default_value is None else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name, type_expr=None):
        """Add a node that reads a parameter, buffer or module of the root.

        Args:
            qualified_name: Its path, such as "layer.weight".
            type_expr: Its type hint. Default: none.

        Returns:
            The Node.
        """
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(self, module_name, args=None, kwargs=None, type_expr=None, name=None):
        """Add a call of a module of the root.

        Args:
            module_name: The module's path.
            args, kwargs: The operands.
            type_expr: The type hint of the result. Default: none.
            name: The node's name. Default: made of the path.

        Returns:
            The Node.
        """
        return self.create_node("call_module", module_name, args, kwargs, name, type_expr)

    def call_method(self, method_name, args=None, kwargs=None, type_expr=None, name=None):
        """Add a call of a method of the first operand.

        Args:
            method_name: The method's name.
            args, kwargs: The operands.
            type_expr: The type hint of the result. Default: none.
            name: The node's name. Default: made of the method's.

        Returns:
            The Node.
        """
        return self.create_node("call_method", method_name, args, kwargs, name, type_expr)

    def call_function(self, the_function, args=None, kwargs=None, type_expr=None, name=None):
        """Add a call of a function.

        Args:
            the_function: The function.
            args, kwargs: The operands.
            type_expr: The type hint of the result. Default: none.
            name: The node's name. Default: made of the function's.

        Returns:
            The Node.
        """
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result, type_expr=None):
        """Add the output.

        Args:
            result: The node whose result is returned, or containers of nodes.
            type_expr: Its type hint. Default: none.

        Returns:
            The Node.
        """
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def node_copy(self, node, arg_transform=lambda x: x):
        """Add a copy of a node, which may be one of another graph.

        Args:
            node: The node.
            arg_transform: A function from nodes of the other graph to nodes of this one.

        Returns:
            The Node.
        """
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        made = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        made.meta = copy.copy(node.meta)
        return made

    def graph_copy(self, g, val_map, return_output_node=False):
        """Add copies of all nodes of a graph but its output.

        Args:
            g: The graph.
            val_map: Dict: node of ``g`` → node of this graph. Its entries are not copied; the
                copies are added to it.
            return_output_node: Also return the output node of ``g``.

        Returns:
            What ``g`` returns, in nodes of this graph; with ``return_output_node`` a pair.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                found = map_arg(node.args[0], lambda n: val_map[n])
                return (found, node) if return_output_node else found
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo=None):
        memo = {} if memo is None else memo
        made = Graph(tracer_cls=self._tracer_cls)
        memo[id(self)] = made
        val_map: dict = {}
        for node in self.nodes:
            val_map[node] = made.node_copy(node, lambda n: val_map[n])
            memo[id(node)] = val_map[node]
        made._codegen = copy.deepcopy(self._codegen, memo)
        return made

    # Editing ------------------------------------------------------------------------------

    def erase_node(self, to_erase):
        """Remove a node that no node reads.

        Args:
            to_erase: The node.

        Raises:
            RuntimeError: It has users.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in "
                f"the graph: {to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            return
        to_erase._unlink()
        to_erase._erased = True
        to_erase._set((), {})
        self._len -= 1

    def inserting_before(self, n=None):
        """Set where new nodes go: before a node. As a context, until its end.

        Args:
            n: The node. Default: before the first node.

        Returns:
            A context manager.
        """
        if n is None:
            return self.inserting_after(self._root)
        self._check_own(n)
        return _InsertPoint(self, n.prepend)

    def inserting_after(self, n=None):
        """Set where new nodes go: after a node. As a context, until its end.

        Args:
            n: The node. Default: after the last node.

        Returns:
            A context manager.
        """
        if n is None:
            return self.inserting_before(self._root)
        self._check_own(n)
        return _InsertPoint(self, n.append)

    def _check_own(self, n):
        if n.graph is not self:
            raise AssertionError("Node to insert before is not in graph.")

    def process_inputs(self, *args):
        """Return the arguments of a call as the placeholders take them.

        Args:
            *args: The arguments.

        Returns:
            ``args``.
        """
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out):
        """Return the output as the graph's caller gets it.

        Args:
            out: The output.

        Returns:
            ``out``.
        """
        return self._codegen.process_outputs(out)

    def eliminate_dead_code(self, is_impure_node=None):
        """Remove the nodes that no output needs.

        Args:
            is_impure_node: A function that says which nodes stay. Default: ``Node.is_impure``.

        Returns:
            Whether a node was removed.
        """
        self.lint()
        impure: Any = Node.is_impure if is_impure_node is None else is_impure_node
        changed = False
        for node in list(reversed(self.nodes)):
            if not node.users and not impure(node):
                self.erase_node(node)
                changed = True
        return changed

    def on_generate_code(self, make_transformer):
        """Register a function that changes the lines of the generated code.

        Args:
            make_transformer: ``make_transformer(current)`` returns a function from a list of lines
                to a list of lines; ``current`` is the one registered before, or None.

        Returns:
            A context manager at whose end the registration is taken back.
        """
        before = self._codegen._body_transformer
        self._codegen._body_transformer = make_transformer(before)
        codegen = self._codegen

        class Registration:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                codegen._body_transformer = before

        return Registration()

    def set_codegen(self, codegen):
        """Set the object that generates the code.

        Args:
            codegen: A CodeGen.
        """
        self._codegen = codegen

    # Text and checks ----------------------------------------------------------------------

    def python_code(self, root_module, **options) -> PythonCode:
        """Return the graph as the source of a Python function.

        Args:
            root_module: The name of the root in the code, "self".
            **options: ``verbose`` notes shapes and dtypes of results.

        Returns:
            A PythonCode.
        """
        return self._codegen.generate(self, root_module, verbose=options.get("verbose", False))

    def print_tabular(self):
        """Print a table with a line for each node."""
        rows = [[n.op, n.name, n.target, n.args, n.kwargs] for n in self.nodes]
        table = [
            ["opcode", "name", "target", "args", "kwargs"],
            *[[str(c) for c in r] for r in rows],
        ]
        # As in PyTorch's table, a column is at least two characters wider than its header.
        widths = [max(len(c[0]) + 2, *map(len, c)) for c in zip(*table, strict=True)]
        table.insert(1, ["-" * w for w in widths])
        for row in table:
            print("  ".join([c.ljust(w) for c, w in zip(row, widths, strict=True)]).rstrip())

    def __str__(self):
        placeholders: list = []
        returned = [""]
        lines = [n.format_node() for n in self.nodes]
        return f"graph({', '.join(placeholders)}){returned[0]}:" + "".join(
            [f"\n    {line}" for line in lines if line]
        )

    def lint(self):
        """Check that the graph can run.

        Raises:
            RuntimeError: A node reads one that comes later, or that is in another graph; two nodes
                have one name; or a target is not in the owning module.
        """
        from rushlight.fx.lint import lint

        lint(self)
