"""Proxy: stands for a value during a trace, and records what is done with it as nodes."""

import dis
import enum
import inspect
import operator
import sys
import traceback
import weakref
from typing import Any

import rushlight
from rushlight.autograd import mode
from rushlight.fx.codegen import MAGIC
from rushlight.fx.node import map_aggregate
from rushlight.fx.targets import OF_C, own_name
from rushlight.fx.traceback import take_over
from rushlight.nn import functional as F

__all__ = ["Attribute", "GraphAppendingTracer", "Proxy", "TraceError", "TracerBase"]

_BASE = (str, int, float, bool, complex, type(None), type(...), range)
#: Slots of tensors that operations read. A Proxy lacks them, and so is asked for the result.
_OF_TENSORS = frozenset({*rushlight.Tensor.__slots__, "cell", "tracer"}) - {"__dict__"}


class TraceError(ValueError):
    """A trace met something that depends on a value, such as ``if x > 0:``."""


class TracerBase:
    """The part of a Tracer that makes nodes and proxies.

    >>> issubclass(GraphAppendingTracer, TracerBase)
    True
    """

    graph: Any
    record_stack_traces = False
    check_mutable_operations = False
    trace_asserts = False
    proxy_buffer_attributes = False
    traced_func_name = "forward"

    def create_node(self, kind, target, args, kwargs, name=None, type_expr=None):
        """Add a node to the graph; a subclass may do more.

        Args:
            kind, target, args, kwargs, name, type_expr: See ``Graph.create_node``.

        Returns:
            The Node.
        """
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        take_over(node)
        if self.record_stack_traces and not node.stack_trace:
            node.stack_trace = _program_lines()
        return node

    def proxy(self, node):
        """Return a Proxy for a node.

        Args:
            node: The Node.

        Returns:
            The Proxy.
        """
        return Proxy(node, self)

    def create_proxy(
        self, kind, target, args, kwargs, name=None, type_expr=None, proxy_factory_fn=None
    ):
        """Add a node and return its Proxy.

        Args:
            kind, target, args, kwargs, name, type_expr: See ``Graph.create_node``. The operands may
                contain proxies, parameters and tensors.
            proxy_factory_fn: A function from the node to its Proxy. Default: ``proxy``.

        Returns:
            The Proxy.
        """
        args, kwargs = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, args, kwargs, name, type_expr)
        return self.proxy(node) if proxy_factory_fn is None else proxy_factory_fn(node)

    def create_arg(self, a):
        """Return a value of the program as an operand of a node.

        Args:
            a: The value.

        Returns:
            A Node for a Proxy; containers of operands for containers.

        Raises:
            NotImplementedError: A node can't have such an operand.
        """
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            parts = [self.create_arg(x) for x in a]
            return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
        if isinstance(a, list):
            return [self.create_arg(x) for x in a]
        if isinstance(a, dict):
            return {self._checked_key(k): self.create_arg(v) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(*[self.create_arg(x) for x in (a.start, a.stop, a.step)])
        if isinstance(a, range):
            return range(*[self.create_arg(x) for x in (a.start, a.stop, a.step)])
        if isinstance(a, _BASE) or _is_constant(a):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _checked_key(self, key):
        def refuse(x):
            if isinstance(x, Proxy):
                raise RuntimeError(
                    "Keys for dictionaries used as an argument cannot contain a Node"
                )
            return x

        return map_aggregate(key, refuse)

    def to_bool(self, obj):
        """Return what ``bool(proxy)`` gives, as in ``if x > 0:``.

        Args:
            obj: The Proxy.

        Returns:
            A bool.

        Raises:
            TraceError: Always, unless a subclass knows the value.
        """
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj):
        """Return what ``iter(proxy)`` gives, as in a loop over ``x``.

        Args:
            obj: The Proxy.

        Returns:
            An iterator.

        Raises:
            TraceError: Always, unless a subclass knows the length.
        """
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a "
            "loop or as a *args or **kwargs function argument. See the torch.fx docs on "
            "pytorch.org for a more detailed explanation of what types of control flow can be "
            "traced, and check out the Proxy docstring for help troubleshooting Proxy iteration "
            "errors"
        )

    def keys(self, obj):
        """Return what ``**proxy`` needs: a Proxy of its keys.

        Args:
            obj: The Proxy.

        Returns:
            A Proxy.
        """
        return Attribute(obj, "keys")()


def _is_constant(a):
    """Whether code can name the value: dtypes, devices, classes and functions."""
    kinds = (
        rushlight.dtype, rushlight.device, rushlight.memory_format, rushlight.layout,
        rushlight.Generator, type,
    )  # fmt: skip
    return isinstance(a, (*kinds, enum.Enum)) or inspect.isroutine(a) or hasattr(a, "_schema")


def _program_lines():
    """The lines of the program that led here, from the first ``forward`` on."""
    frames = traceback.extract_stack()
    own = [f for f in frames if "rushlight" not in f.filename]
    return "".join(traceback.format_list(own[-3:])).strip()


class GraphAppendingTracer(TracerBase):
    """A tracer that adds nodes to a graph that there is.

    Args:
        graph: The graph.

    >>> import rushlight as torch
    >>> graph = torch.fx.Graph()
    >>> x = torch.fx.Proxy(graph.placeholder("x"))
    >>> out = graph.output(torch.relu(x).node)
    >>> [node.name for node in graph.nodes]
    ['x', 'relu', 'output']
    """

    def __init__(self, graph):
        self.graph = graph
        # Functions of nn.functional ask the classes of their operands only outside the fast path.
        mode.add_intercept(1)
        weakref.finalize(self, mode.add_intercept, -1).atexit = False


class Proxy:
    """Stands for the result of a node. Operations on it add nodes to the graph.

    A Proxy has no value: ``if proxy:``, ``len(proxy)`` and loops over it raise.

    Args:
        node: The Node.
        tracer: The tracer that adds nodes. Default: one that adds to the node's graph.

    >>> import rushlight as torch
    >>> graph = torch.fx.Graph()
    >>> x = torch.fx.Proxy(graph.placeholder("x"))
    >>> y = (x + 1).relu()
    >>> y.node.target, y.node.args[0].target
    ('relu', <built-in function add>)
    """

    def __init__(self, node, tracer=None):
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self):
        return f"Proxy({self.node.name})"

    def __getattr__(self, name):
        if name in _OF_TENSORS or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return Attribute(self, name)

    def __deepcopy__(self, memo):
        made = self.__class__.__new__(self.__class__)
        made.__dict__.update(self.__dict__)
        return made

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self):
        frame = sys._getframe(1)
        count = _unpacked(frame)
        if count is not None:
            take = self.tracer.create_proxy
            return (take("call_function", operator.getitem, (self, i), {}) for i in range(count))
        return self.tracer.iter(self)

    def __abs__(self):
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self):
        if self.tracer.trace_asserts:
            found = _asserted(sys._getframe(1), self)
            if found:
                return True
        return self.tracer.to_bool(self)

    def keys(self):
        """Return a Proxy of the keys."""
        return self.tracer.keys(self)

    def __len__(self):
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be "
            "recorded, please call torch.fx.wrap('len') at module scope"
        )

    def __contains__(self, other):
        raise TraceError("symbolically traced variables cannot be used with 'in'")

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Add a node for a function of torch that was called with a Proxy."""
        kwargs = kwargs or {}
        tracers: dict = {}

        def find(a):
            if isinstance(a, Proxy):
                tracers[a.tracer] = None
            return a

        map_aggregate((args, kwargs), find)
        if len(tracers) > 1:
            raise RuntimeError(
                f"Found multiple different tracers {list(tracers)} while trying to trace operation "
                f"{func}"
            )
        tracer: Any = next(iter(tracers))
        name = getattr(func, "__name__", "")
        if own_name(func) is None and getattr(rushlight.Tensor, name, None) is func:
            return tracer.create_proxy("call_method", name, args, kwargs)
        args, kwargs = _as_pytorch_calls(func, args, kwargs)
        return tracer.create_proxy(
            "call_function", func, args, kwargs, name=tracer.graph._target_to_str(func)
        )


def _as_pytorch_calls(func, args, kwargs):
    """The operands of a function of nn.functional in PyTorch's form: optional ones by name."""
    name = getattr(func, "__name__", "")
    call: Any = func
    if hasattr(func, "op") or name in OF_C or getattr(F, name, None) is not func:
        return args, kwargs
    try:
        signature = inspect.signature(call)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        return args, kwargs
    bound.apply_defaults()
    positional, named = [], {}
    for key, value in bound.arguments.items():
        parameter = signature.parameters[key]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return args, kwargs
        if parameter.default is parameter.empty:
            positional.append(value)
        else:
            named[key] = value
    return tuple(positional), named


def _unpacked(frame):
    """The number of names that the calling line unpacks an iterator into, or None."""
    code, last = frame.f_code, frame.f_lasti
    for instruction in dis.get_instructions(code):
        if instruction.offset == last:
            if instruction.opname == "UNPACK_SEQUENCE":
                return instruction.argval
            return None
    return None


def _asserted(frame, proxy):
    """Whether the calling line is an ``assert``; its check then becomes a node."""
    instructions = list(dis.get_instructions(frame.f_code))
    place = next((i for i, x in enumerate(instructions) if x.offset == frame.f_lasti), None)
    if place is None:
        return False
    following = instructions[place : place + 4]
    if not any(x.opname in ("LOAD_ASSERTION_ERROR", "LOAD_COMMON_CONSTANT") for x in following):
        return False
    proxy.tracer.create_proxy("call_function", rushlight._assert, (proxy, "Assertion failed"), {})
    return True


class Attribute(Proxy):
    """An attribute of a Proxy: a method if it is called, and else a node of its own.

    Args:
        root: The Proxy.
        attr: The attribute's name.

    >>> import rushlight as torch
    >>> x = torch.fx.Proxy(torch.fx.Graph().placeholder("x"))
    >>> x.relu().node.op, x.shape.node.target
    ('call_method', <built-in function getattr>)
    """

    def __init__(self, root, attr):
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Any = None

    @property
    def node(self):
        """The node that reads the attribute; it is made when it is first asked for."""
        if self._node is None:
            made = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {})
            self._node = made.node
        return self._node

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


def _operator(name):
    target = getattr(operator, name)

    def method(*operands):
        return operands[0].tracer.create_proxy("call_function", target, operands, {})

    method.__name__ = f"__{name.strip('_')}__"
    return method


def _reflected(name):
    target = getattr(operator, name)

    def method(self, other):
        return self.tracer.create_proxy("call_function", target, (other, self), {})

    method.__name__ = f"__r{name.strip('_')}__"
    return method


for _name in MAGIC:
    setattr(Proxy, f"__{_name.strip('_')}__", _operator(_name))
for _name in (
    "add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "lshift", "rshift", "and_", "or_",
    "xor", "matmul",
):  # fmt: skip
    setattr(Proxy, f"__r{_name.strip('_')}__", _reflected(_name))


Proxy.__hash__ = object.__hash__  # type: ignore[method-assign]
