"""The source of a graph as a Python function, with the objects that it names."""

import builtins
import enum
import math
import operator
import re
import types
import typing
from dataclasses import dataclass, field
from typing import Any

import rushlight
from rushlight.fx.namespace import Namespace
from rushlight.fx.node import Node, map_arg
from rushlight.fx.targets import is_of_torch, qualified_name, type_name

__all__ = ["CodeGen", "PythonCode"]

#: Functions of ``operator`` → how code writes them.
MAGIC = {
    "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "gt": "{} > {}", "le": "{} <= {}",
    "ge": "{} >= {}", "pos": "+{}", "neg": "-{}", "invert": "~{}", "add": "{} + {}",
    "sub": "{} - {}", "mul": "{} * {}", "floordiv": "{} // {}", "truediv": "{} / {}",
    "mod": "{} % {}", "pow": "{} ** {}", "lshift": "{} << {}", "rshift": "{} >> {}",
    "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}", "getitem": "{}[{}]",
    "matmul": "{} @ {}",
}  # fmt: skip
_INPLACE = {
    "iadd": "+=", "iand": "&=", "ifloordiv": "//=", "ilshift": "<<=", "imod": "%=", "imul": "*=",
    "imatmul": "@=", "ior": "|=", "ipow": "**=", "irshift": ">>=", "isub": "-=",
    "itruediv": "/=", "ixor": "^=",
}  # fmt: skip


@dataclass
class PythonCode:
    """The source of a graph, and the objects that it names.

    Attributes:
        src: The source.
        globals: Name in the source → object.

    >>> import rushlight as torch
    >>> graph = torch.fx.symbolic_trace(torch.relu).graph
    >>> sorted(graph.python_code("self").globals)
    ['device', 'inf', 'nan', 'torch']
    """

    src: str
    globals: dict[str, Any] = field(default_factory=dict)


class CodeGen:
    """Generates the source of graphs; a subclass may override ``gen_fn_def`` and the like.

    >>> import rushlight as torch
    >>> graph = torch.fx.symbolic_trace(lambda x: x + 1).graph
    >>> print(graph.python_code("self").src.strip())
    def forward(self, x):
        add = x + 1;  x = None
        return add
    """

    def __init__(self):
        self._body_transformer: Any = None
        self._func_name = "forward"

    def gen_fn_def(self, free_vars, maybe_return_annotation):
        """Return the line that begins the function.

        Args:
            free_vars: List of the arguments' texts.
            maybe_return_annotation: The text of the result's type, or "".

        Returns:
            A string.
        """
        if not free_vars or free_vars[0] != "self":
            free_vars.insert(0, "self")
        return f"def {self._func_name}({', '.join(free_vars)}){maybe_return_annotation}:"

    def generate_output(self, output_args):
        """Return the line that returns the result.

        Args:
            output_args: The result; its ``repr`` is its text.

        Returns:
            A string.
        """
        return f"return {output_args!r}"

    def process_inputs(self, *args):
        """Return the arguments of a call as the placeholders take them: unchanged."""
        return args

    def process_outputs(self, outputs):
        """Return the output as the graph's caller gets it: unchanged."""
        return outputs

    def additional_globals(self):
        """Return further (name, object) pairs that the code needs: none."""
        return []

    def generate(self, graph, root, verbose=False):
        """Return the PythonCode of a graph whose root is named ``root``."""
        return _Writer(self, graph, root, verbose).code()


class _Text(str):
    __slots__ = ()
    __repr__ = str.__str__


class _Writer:
    """Writes one function."""

    def __init__(self, codegen, graph, root, verbose):
        self.codegen, self.graph, self.root, self.verbose = codegen, graph, root, verbose
        self.names = Namespace()
        self.globals: dict = {}
        self.arguments: list = []
        self.body: list = []
        self.wrapped: dict = {}
        self.returned = ""
        for name, value in (
            ("inf", math.inf), ("nan", math.nan), ("torch", rushlight),
            ("device", rushlight.device), *codegen.additional_globals(),
        ):  # fmt: skip
            self._global(name, value)

    def _global(self, hint, value):
        """The name of an object in the code."""
        if is_of_torch(value) and value is not rushlight.device:
            return qualified_name(value)
        hint = hint.removeprefix("builtins.") if hint.startswith("builtins.") else hint
        if getattr(builtins, hint, None) is value:
            return hint
        name = self.names.create_name(hint.replace(".", "_"), value)
        self.globals[name] = value
        return name

    def code(self):
        last = self._last_uses()
        for node in self.graph.nodes:
            self._emit(node)
            self._forget(node, last.get(node, []))
        if not self.body:
            self.body.append("pass\n")
        if self.codegen._body_transformer is not None:
            self.body = self.codegen._body_transformer(self.body)
        start = self.codegen.gen_fn_def(self.arguments, self.returned)
        wraps = "\n".join([f'torch.fx._symbolic_trace.wrap("{n}")' for n in self.wrapped])
        text = "\n".join(["    " + line for line in "".join(self.body).split("\n")])
        return PythonCode(f"\n{wraps}\n\n{start}\n{text}", self.globals)

    def _last_uses(self):
        """Node → the nodes whose results it is the last to read."""
        seen: set = set()
        found: dict = {}
        for node in reversed(self.graph.nodes):

            def note(n, user=node):
                if n not in seen:
                    seen.add(n)
                    found.setdefault(user, []).append(n)

            map_arg(node.args, note)
            map_arg(node.kwargs, note)
        return found

    def _forget(self, node, used):
        """Free the values that are not read any more, at the end of the node's line."""
        if node.op == "placeholder":
            return
        if node.op != "output":
            gone = [*used, node] if not node.users else used
            if gone:
                self.body.append(f";  {' = '.join([repr(n) for n in gone])} = None")
        self.body.append("\n")

    def _emit(self, node):
        typed = f" : {self._hint(node.type)}" if node.type is not None else ""
        if self.verbose and node.op not in ("placeholder", "output"):
            typed = typed or _noted(node)
        if node.op == "placeholder":
            self._argument(node, typed)
        elif node.op == "output":
            if node.type is not None:
                self.returned = f" -> {self._hint(node.type)}"
            self.body.append(self.codegen.generate_output(_Text(self.text(node.args[0]))))
        elif node.op == "call_function":
            self._call(node, typed)
        else:
            self.body.append(f"{node!r}{typed} = {self._reached(node)}")

    def _argument(self, node, typed):
        default = f" = {self.text(node.args[0])}" if node.args else ""
        if self.verbose:
            typed = typed or _noted(node)
        self.arguments.append(f"{node.target}{typed}{default}")
        plain = node.target.replace("*", "")
        if plain != repr(node):
            self.body.append(f"{node!r} = {plain}\n")

    def _reached(self, node):
        if node.op == "get_attr":
            return _path(self.root, node.target)
        if node.op == "call_module":
            return f"{_path(self.root, node.target)}({self.operands(node.args, node.kwargs)})"
        subject, rest = self.text(node.args[0]), node.args[1:]
        if not isinstance(node.args[0], Node):
            subject = f"({subject})"
        return f"{_path(subject, node.target)}({self.operands(rest, node.kwargs)})"

    def _call(self, node, typed):
        name, target = getattr(node.target, "__name__", ""), node.target
        args = [self.text(a) for a in node.args]
        if getattr(operator, name, None) is target and not node.kwargs:
            if name in MAGIC and MAGIC[name].count("{}") == len(args):
                if args[0].startswith("-"):  # -1 ** x would be -(1 ** x)
                    args[0] = f"({args[0]})"
                self.body.append(f"{node!r}{typed} = {MAGIC[name].format(*args)}")
                return
            if name in _INPLACE and isinstance(node.args[0], Node):
                self.body.append(
                    f"{args[0]} {_INPLACE[name]} {args[1]};  {node!r}{typed} = {args[0]}"
                )
                return
        if target is getattr and len(args) == 2 and isinstance(node.args[0], Node):
            attribute = node.args[1]
            if isinstance(attribute, str) and attribute.isidentifier():
                self.body.append(f"{node!r}{typed} = {_path(args[0], attribute)}")
                return
        hint = qualified_name(target)
        called = self._global(f"_{hint}" if hint.startswith("operator.") else hint, target)
        if getattr(target, "_fx_wrapped", False):
            self.wrapped.setdefault(called)
        self.body.append(f"{node!r}{typed} = {called}({self.operands(node.args, node.kwargs)})")

    def operands(self, args, kwargs):
        """The operands of a call as text."""
        named = [f"{k} = {self.text(v)}" for k, v in kwargs.items()]
        return ", ".join([*map(self.text, args), *named])

    def text(self, value):
        """A value as an expression."""
        if isinstance(value, Node):
            return repr(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            name = self._global(qualified_name(type(value)), type(value))
            return f"{name}({', '.join(map(self.text, value))})"
        if isinstance(value, tuple):
            return f"({', '.join(map(self.text, value))}{',' if len(value) == 1 else ''})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, dict):
            return f"{{{', '.join([f'{k!r}: {self.text(v)}' for k, v in value.items()])}}}"
        if isinstance(value, slice):
            parts = [self.text(p) for p in (value.start, value.stop, value.step)]
            return f"slice({', '.join(parts)})"
        if isinstance(value, enum.Enum):
            return f"{self._global(qualified_name(type(value)), type(value))}.{value.name}"
        if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
            return self._global(qualified_name(value), value)
        if _is_plain(value):
            return repr(value)
        return self._global(f"_{type(value).__name__}_constant", value)

    def _hint(self, kind):
        """A type hint as an expression."""
        if isinstance(kind, str):
            return repr(kind)
        if kind is None or kind is type(None):
            return "None"
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            name = self._global("typing_Union", typing.Union)
        elif origin in (list, tuple, dict, set):
            name = origin.__name__
        elif isinstance(kind, type) and origin is None:
            return self._global(qualified_name(kind), kind)
        else:
            return self._global(re.sub(r"\W+", "_", type_name(kind)), kind)
        return f"{name}[{', '.join(['...' if p is ... else self._hint(p) for p in parts])}]"


def _is_plain(value):
    """Whether ``repr`` of the value is an expression that gives it."""
    kinds = (bool, int, float, complex, str, bytes, type(None), type(...), range)
    torch_kinds = (rushlight.dtype, rushlight.device, rushlight.memory_format, rushlight.layout)
    return isinstance(value, (*kinds, *torch_kinds))


def _path(base, target):
    """``base.a.b``, with getattr for parts that are no identifiers."""
    for part in target.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


def _noted(node):
    """The shape of a node's result as a comment-like annotation, or ""."""
    found = node.meta.get("val", node.meta.get("tensor_meta"))
    if found is None or not hasattr(found, "shape"):
        return ""
    from rushlight.export.graph import _SHORT

    name = found.dtype.name
    return f': "{_SHORT.get(name, name)}[{", ".join(map(str, found.shape))}]"'
