"""Interpreter: runs a graph node by node. Transformer: makes a new graph of one."""

from typing import Any

from rushlight.fx._symbolic_trace import Tracer
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.node import map_aggregate, map_arg
from rushlight.fx.proxy import Proxy
from rushlight.fx.traceback import preserve_node_meta, set_current_meta

__all__ = ["Interpreter", "Transformer"]


class Interpreter:
    """Runs a GraphModule node by node; a subclass may do something else for each kind of node.

    Args:
        module: A GraphModule, or a Module with what the graph needs.
        garbage_collect_values: Free each value after its last use.
        graph: The graph to run. Default: the module's.

    >>> import rushlight as torch
    >>> class Shout(torch.fx.Interpreter):
    ...     def call_function(self, target, args, kwargs):
    ...         print(target.__name__)
    ...         return super().call_function(target, args, kwargs)
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x).neg())
    >>> Shout(traced).run(torch.ones(1))
    relu
    tensor([-1.])
    """

    def __init__(self, module, garbage_collect_values=True, graph=None):
        self.module = module
        self.submodules = dict(module.named_modules())
        self.graph = module.graph if graph is None else graph
        self.env: dict[Any, Any] = {}
        self.name = "Interpreter"
        self.garbage_collect_values = garbage_collect_values
        self.extra_traceback = True
        self.user_to_last_uses: dict = {}
        if garbage_collect_values:
            seen: set = set()
            for node in reversed(self.graph.nodes):
                for given in node.all_input_nodes:
                    if given not in seen:
                        seen.add(given)
                        self.user_to_last_uses.setdefault(node, []).append(given)

    def run(self, *args, initial_env=None, enable_io_processing=True):
        """Run the graph.

        Args:
            *args: The graph's arguments.
            initial_env: Dict: node → its value; these nodes do not run. Default: none.
            enable_io_processing: Accepted without effect.

        Returns:
            What the graph returns.
        """
        self.env = {} if initial_env is None else initial_env
        self.args_iter = iter(self.graph.process_inputs(*args) if enable_io_processing else args)
        for node in self.graph.nodes:
            if node in self.env:
                continue
            try:
                self.env[node] = self.run_node(node)
            except Exception as error:
                self._tell_node(error, node)
                raise
            for used in self.user_to_last_uses.get(node, ()):
                del self.env[used]
            if node.op == "output":
                out = self.env[node]
                return self.graph.process_outputs(out) if enable_io_processing else out
        return None

    def _tell_node(self, error, node):
        if self.extra_traceback and not getattr(error, "_told_by_fx", False):
            error.add_note(f"While executing {node.format_node()}")
            error._told_by_fx = True

    def run_node(self, n):
        """Run one node.

        Args:
            n: The Node.

        Returns:
            Its result.
        """
        with set_current_meta(n):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target, args, kwargs):
        """Return the next argument.

        Args:
            target: The argument's name; with a star it takes all further arguments.
            args: Tuple of its default, if any.
            kwargs: Empty.

        Returns:
            The argument.

        Raises:
            RuntimeError: It was not given, and has no default.
        """
        if target.startswith("*"):
            return list(self.args_iter)
        try:
            return next(self.args_iter)
        except StopIteration:
            if args:
                return args[0]
            raise RuntimeError(
                f"Expected positional argument for parameter {target}, but one was not passed in!"
            ) from None

    def get_attr(self, target, args, kwargs):
        """Return a parameter, buffer or module of the root.

        Args:
            target: Its path.
            args, kwargs: Empty.

        Returns:
            The value.
        """
        return self.fetch_attr(target)

    def call_function(self, target, args, kwargs):
        """Call a function.

        Args:
            target: The function.
            args, kwargs: The operands.

        Returns:
            The result.
        """
        return target(*args, **kwargs)

    def call_method(self, target, args, kwargs):
        """Call a method of the first operand.

        Args:
            target: The method's name.
            args, kwargs: The operands.

        Returns:
            The result.
        """
        subject, *rest = args
        return getattr(subject, target)(*rest, **kwargs)

    def call_module(self, target, args, kwargs):
        """Call a module of the root.

        Args:
            target: The module's path.
            args, kwargs: The operands.

        Returns:
            The result.
        """
        return self.fetch_attr(target)(*args, **kwargs)

    def output(self, target, args, kwargs):
        """Return the graph's result.

        Args:
            target: "output".
            args: Tuple of the result.
            kwargs: Empty.

        Returns:
            The result.
        """
        return args[0]

    def fetch_attr(self, target):
        """Return what the root has at a path.

        Args:
            target: The path.

        Returns:
            The value.

        Raises:
            RuntimeError: The root has nothing there.
        """
        found = self.module
        parts = target.split(".")
        for i, part in enumerate(parts):
            if not hasattr(found, part):
                raise RuntimeError(f"Node referenced nonexistent target {'.'.join(parts[: i + 1])}")
            found = getattr(found, part)
        return found

    def fetch_args_kwargs_from_env(self, n):
        """Return the values of a node's operands.

        Args:
            n: The Node.

        Returns:
            (args, kwargs).
        """
        args, kwargs = self.map_nodes_to_values((n.args, n.kwargs), n)
        return args, kwargs

    def map_nodes_to_values(self, args, n):
        """Replace nodes by their values.

        Args:
            args: Containers of nodes.
            n: The node that reads them.

        Returns:
            ``args`` with values.
        """

        def value(given):
            if given not in self.env:
                raise RuntimeError(
                    f"Node {n} referenced nonexistent value {given}! Run Graph.lint() to diagnose "
                    "such issues"
                )
            return self.env[given]

        return _plain(map_arg(args, value))


def _plain(value):
    """``value`` with ordinary lists and dicts in the place of immutable ones."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple([_plain(x) for x in value])
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


class _TransformerTracer(Tracer):
    """A tracer that adds nodes to the new graph, and leaves every module whole."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.tensor_attrs = {}

    def is_leaf_module(self, m, module_qualified_name):
        return True


class Transformer(Interpreter):
    """Makes a new GraphModule of one; a subclass may replace calls by others.

    Args:
        module: The GraphModule.

    >>> import rushlight as torch
    >>> class Gelu(torch.fx.Transformer):
    ...     def call_function(self, target, args, kwargs):
    ...         target = torch.nn.functional.gelu if target is torch.relu else target
    ...         return super().call_function(target, args, kwargs)
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x))
    >>> print(Gelu(traced).transform().code.strip())
    def forward(self, x):
        gelu = torch.nn.functional.gelu(x);  x = None
        return gelu
    """

    def __init__(self, module):
        super().__init__(module)
        self.new_graph = Graph()
        self.new_graph.set_codegen(module.graph._codegen)
        self.tracer = _TransformerTracer(self.new_graph)
        self.tracer.root = module

    def placeholder(self, target, args, kwargs):
        """Add an argument to the new graph.

        Args:
            target, args, kwargs: See ``Interpreter.placeholder``.

        Returns:
            A Proxy.
        """
        default = args[0] if args else None
        return Proxy(self.new_graph.placeholder(target, default_value=default), self.tracer)

    def get_attr(self, target, args, kwargs):
        """Add a node that reads an attribute to the new graph.

        Args:
            target, args, kwargs: See ``Interpreter.get_attr``.

        Returns:
            A Proxy.
        """
        return self.tracer.create_proxy("get_attr", target, args, kwargs)

    def call_module(self, target, args, kwargs):
        """Add the call of a module to the new graph.

        Args:
            target, args, kwargs: See ``Interpreter.call_module``.

        Returns:
            A Proxy.
        """
        return self.tracer.call_module(
            self.fetch_attr(target), self.fetch_attr(target).forward, args, kwargs
        )

    def call_function(self, target, args, kwargs):
        """Add the call of a function to the new graph.

        Args:
            target, args, kwargs: See ``Interpreter.call_function``.

        Returns:
            A Proxy.
        """
        return self.tracer.create_proxy("call_function", target, args, kwargs)

    def call_method(self, target, args, kwargs):
        """Add the call of a method to the new graph.

        Args:
            target, args, kwargs: See ``Interpreter.call_method``.

        Returns:
            A Proxy.
        """
        return self.tracer.create_proxy("call_method", target, args, kwargs)

    def transform(self):
        """Run the graph on proxies.

        Returns:
            The new GraphModule.
        """
        with preserve_node_meta():
            result = self.run(enable_io_processing=False)
        if result is not None:
            found = map_aggregate(result, lambda a: a.node if isinstance(a, Proxy) else a)
            old = self.graph.output_node()
            made = self.new_graph.output(found)
            made.meta.update(old.meta)
        return GraphModule(self.module, self.new_graph, type(self.module).__name__)
