"""Node: one step of a graph. Its arguments may be other nodes, also inside of containers."""

import operator
from typing import Any

import rushlight
from rushlight.fx.immutable_collections import immutable_dict, immutable_list
from rushlight.fx.targets import own_name, qualified_name, type_name

__all__ = ["Node", "has_side_effect", "map_aggregate", "map_arg"]

#: For type hints of programs.
Target = Any
Argument = Any

_OPS = (
    "placeholder", "get_attr", "call_function", "call_method", "call_module", "output", "root",
)  # fmt: skip
_side_effectful_functions: set = {
    rushlight._assert, operator.setitem, operator.delitem, print, setattr,
}  # fmt: skip


def has_side_effect(fn):
    """Mark a function whose calls ``Graph.eliminate_dead_code`` must keep.

    Args:
        fn: The function.

    Returns:
        ``fn``.

    >>> import rushlight as torch
    >>> @torch.fx.has_side_effect
    ... def log(x):
    ...     print(x)
    """
    _side_effectful_functions.add(fn)
    return fn


def map_aggregate(a, fn):
    """Apply a function to each value inside of tuples, lists, dicts and slices.

    Args:
        a: A value, or containers of values.
        fn: A function of one value.

    Returns:
        ``a`` with the results in place of the values.

    >>> map_aggregate((1, [2, {"a": 3}]), lambda x: x * 10)
    (10, [20, {'a': 30}])
    """
    if isinstance(a, tuple):
        parts = [map_aggregate(x, fn) for x in a]
        if hasattr(a, "_fields"):
            return type(a)(*parts)
        return tuple(parts)
    if isinstance(a, list):
        return immutable_list([map_aggregate(x, fn) for x in a])
    if isinstance(a, dict):
        return immutable_dict([(k, map_aggregate(v, fn)) for k, v in a.items()])
    if isinstance(a, slice):
        return slice(*[map_aggregate(x, fn) for x in (a.start, a.stop, a.step)])
    return fn(a)


def map_arg(a, fn):
    """Apply a function to each Node inside of tuples, lists, dicts and slices.

    Args:
        a: A value, or containers of values.
        fn: A function of a Node.

    Returns:
        ``a`` with the results in place of the nodes.

    >>> import rushlight as torch
    >>> graph = torch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> map_arg([x, 1], lambda node: node.name)
    ['x', 1]
    """
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


class Node:
    """A step of a Graph. Its methods edit the graph; ``Graph.create_node`` makes nodes.

    Attributes:
        graph: The Graph.
        name: The name of the result in printed code.
        op: "placeholder" (an argument), "get_attr" (a parameter, buffer or module of the root),
            "call_function", "call_method", "call_module", or "output".
        target: The argument's name; the attribute's path; the function; the method's name; the
            module's path.
        args, kwargs: The operands. They can be assigned.
        users: The nodes that read this node's result, as the keys of a dict.
        type: The type hint of the result, or None.
        meta: Dict of what passes noted about the node, such as ``meta["tensor_meta"]``.

    Args:
        graph, name, op, target, args, kwargs: As the attributes.
        return_type: The type hint of the result. Default: none.

    >>> import rushlight as torch
    >>> graph = torch.fx.symbolic_trace(lambda x: torch.relu(x)).graph
    >>> [(node.op, node.name) for node in graph.nodes]
    [('placeholder', 'x'), ('call_function', 'relu'), ('output', 'output')]
    """

    def __init__(self, graph, name, op, target, args, kwargs, return_type=None):
        if op not in _OPS:
            raise AssertionError(f"unknown op {op!r}; it is one of {', '.join(_OPS[:-1])}")
        if op == "call_function" and not callable(target):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} "
                "but a Callable is expected"
            )
        if op != "call_function" and not isinstance(target, str):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} "
                "but a str is expected"
            )
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self._args: Any = ()
        self._kwargs: Any = {}
        self._input_nodes: dict = {}
        self.users: dict = {}
        self.type = return_type
        self.meta: dict = {}
        self._repr_fn: Any = None
        self._erased = False
        self._prev = self._next = self
        self._set(args, kwargs)

    # Operands -----------------------------------------------------------------------------

    @property
    def args(self):
        """The positional operands, a tuple."""
        return self._args

    @args.setter
    def args(self, args):
        self._set(args, self._kwargs)

    @property
    def kwargs(self):
        """The operands by name, a dict."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs):
        self._set(self._args, kwargs)

    def _set(self, args, kwargs):
        for node in self._input_nodes:
            node.users.pop(self, None)
        self._input_nodes = {}

        def note(x):
            if isinstance(x, Node):
                self._input_nodes.setdefault(x)
                x.users.setdefault(self)
            return x

        self._args = map_aggregate(tuple(args), note)
        self._kwargs = map_aggregate(dict(kwargs), note)

    @property
    def all_input_nodes(self):
        """The nodes among the operands, each once."""
        return list(self._input_nodes)

    def update_arg(self, idx, arg):
        """Replace a positional operand.

        Args:
            idx: Its index.
            arg: The new operand.
        """
        args = list(self.args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx, arg):
        """Insert a positional operand.

        Args:
            idx: The index before which it is inserted.
            arg: The operand.
        """
        if not 0 <= idx <= len(self.args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key, arg):
        """Replace or add an operand by name.

        Args:
            key: Its name.
            arg: The operand.
        """
        self.kwargs = {**self.kwargs, key: arg}

    def replace_input_with(self, old_input, new_input):
        """Replace one node among the operands by another.

        Args:
            old_input: The node to replace.
            new_input: The node to put in its place.
        """
        swap = lambda n: new_input if n is old_input else n
        self._set(map_arg(self.args, swap), map_arg(self.kwargs, swap))

    def replace_all_uses_with(
        self, replace_with, delete_user_cb=lambda user: True, *, propagate_meta=False
    ):
        """Let the users of this node read another node.

        Args:
            replace_with: The other node.
            delete_user_cb: A function of a user that says whether to change it. Default: always.
            propagate_meta: Copy this node's ``meta`` to ``replace_with``, whose own must be empty.

        Returns:
            The list of the users that were changed.
        """
        if propagate_meta:
            if replace_with.meta:
                raise AssertionError(
                    "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but "
                    "replace_with already has .meta keys"
                )
            replace_with.meta.update(self.meta)
        changed = [user for user in self.users if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    # Place in the graph -------------------------------------------------------------------

    @property
    def next(self):
        """The next node of the graph."""
        return self._next

    @property
    def prev(self):
        """The node before this one."""
        return self._prev

    def prepend(self, x):
        """Move a node to the place before this one.

        Args:
            x: A node of the same graph.
        """
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            return
        x._unlink()
        before = self._prev
        before._next, x._prev = x, before
        x._next, self._prev = self, x

    def append(self, x):
        """Move a node to the place after this one.

        Args:
            x: A node of the same graph.
        """
        self._next.prepend(x)

    def _unlink(self):
        self._prev._next, self._next._prev = self._next, self._prev

    # Questions ----------------------------------------------------------------------------

    def is_impure(self, impure_random=True):
        """Tell whether the node must stay although nothing reads its result.

        Args:
            impure_random: Accepted without effect.

        Returns:
            True for arguments, the output, functions marked by ``has_side_effect``, modules with
            ``_is_impure``, and in-place methods.
        """
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            schema = getattr(self.target, "_schema", None)
            if schema is not None and schema.is_mutable:
                return True
            name = getattr(self.target, "__name__", "")
            return self.target in _side_effectful_functions or _writes(name, self.target)
        if self.op == "call_method":
            return _writes(self.target, None)
        if self.op == "call_module":
            module = self.graph.owning_module
            if module is None:
                raise AssertionError("self.graph.owning_module not set for purity check")
            return bool(getattr(module.get_submodule(self.target), "_is_impure", False))
        return False

    @property
    def stack_trace(self):
        """The lines of the program that made the node, if the tracer noted them."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, text):
        self.meta["stack_trace"] = text

    # Text ---------------------------------------------------------------------------------

    def __repr__(self):
        return self._repr_fn(self) if self._repr_fn is not None else self.name

    def _rename(self, candidate):
        """Take another name, made unique in the graph."""
        if candidate != self.name:
            self.name = self.graph._graph_namespace.create_name(candidate, None)

    def _pretty_print_target(self, target):
        return target if isinstance(target, str) else qualified_name(target)

    def format_node(self, placeholder_names=None, maybe_return_typename=None):
        """Return the node's line in the printed graph.

        Args:
            placeholder_names: A list that receives the text of an argument. Default: none.
            maybe_return_typename: A list whose first item receives the type of the output.

        Returns:
            The line; None for an argument if ``placeholder_names`` is given.
        """
        typed = f"{type_name(self.type)} " if self.type is not None else ""
        start = f"%{self.name} : {typed}[num_users={len(self.users)}] = "
        if self.op == "placeholder":
            if placeholder_names is not None:
                placeholder_names.append(f"{self.target}{f' : {typed}' if typed else ''}")
                return None
            default = f"(default={self.args[0]})" if self.args else ""
            return f"{start}{self.op}[target={self.target}]{default}"
        if self.op == "get_attr":
            return f"{start}{self.op}[target={self._pretty_print_target(self.target)}]"
        if self.op == "output":
            if self.type is not None and maybe_return_typename:
                maybe_return_typename[0] = f" -> {type_name(self.type)}"
            return f"return {self.args[0]}"
        return (
            f"{start}{self.op}[target={self._pretty_print_target(self.target)}]"
            f"(args = {_shown(self.args)}, kwargs = {_shown(self.kwargs)})"
        )


def _writes(name, function):
    """Whether a function or method of this name writes into its first operand."""
    if not name.endswith("_") or name.startswith("_"):
        return False
    return function is None or own_name(function) is not None


def _shown(value):
    """An operand in a printed graph: nodes with a ``%`` before their names."""
    if isinstance(value, Node):
        return f"%{value.name}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, tuple):
        parts = ", ".join(map(_shown, value))
        return f"({parts}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{k}: {_shown(v)}' for k, v in value.items()])}}}"
    return str(value)
