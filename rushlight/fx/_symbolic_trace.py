"""Tracer: runs a module or function on proxies, and gives the graph of what it did."""

import builtins
import functools
import inspect
import math
import operator
import sys
import types
import warnings
from typing import Any

import rushlight
from rushlight import late
from rushlight.autograd import mode
from rushlight.fx._compatibility import compatibility as compatibility  # PyTorch has it here
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.proxy import Proxy, TracerBase
from rushlight.fx.proxyable import ProxyableClassMeta
from rushlight.fx.targets import own_name
from rushlight.fx.wrapping import Patches, find_proxy, recorder_of, wrap
from rushlight.locks import new_lock
from rushlight.nn import Module, Parameter
from rushlight.serialization.names import torch_name

__all__ = ["PH", "PHBase", "Tracer", "is_fx_symbolic_tracing", "symbolic_trace", "wrap"]

_lock = new_lock()  # one trace at a time, because a trace changes Module and globals
_depth = 0


class PHBase:
    """Marks arguments among ``concrete_args`` that are no constants.

    >>> PHBase()
    PH
    """

    def __repr__(self):
        return "PH"


PH = PHBase()


def is_fx_tracing():
    """Whether a trace is running."""
    return _depth > 0


is_fx_symbolic_tracing = is_fx_tracing


class Tracer(TracerBase):
    """Traces a module or function; a subclass decides what is left whole.

    Args:
        autowrap_modules: Modules whose functions are left whole. Default: ``math``.
        autowrap_functions: Functions that are left whole. Default: none.
        param_shapes_constant: Let shapes of parameters be numbers in the trace.

    >>> import rushlight as torch
    >>> class Flat(torch.fx.Tracer):
    ...     def is_leaf_module(self, m, module_qualified_name):
    ...         return False
    >>> graph = Flat().trace(torch.nn.Sequential(torch.nn.ReLU()))
    >>> [node.op for node in graph.nodes]
    ['placeholder', 'call_function', 'output']
    """

    def __init__(
        self, autowrap_modules=(math,), autowrap_functions=(), param_shapes_constant=False
    ):
        self._autowrap_functions = {
            f for module in autowrap_modules for name, f in vars(module).items()
            if not name.startswith("_") and callable(f)
        } | {*autowrap_functions}  # fmt: skip
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths: dict = {}
        self.root: Any = None
        self.tensor_attrs: dict = {}

    # Decisions ----------------------------------------------------------------------------

    def is_leaf_module(self, m, module_qualified_name):
        """Tell whether a call of a module becomes one node.

        Args:
            m: The Module.
            module_qualified_name: Its path in the root.

        Returns:
            True for the modules of ``torch.nn``, but not for Sequential.
        """
        found = torch_name(type(m))
        name = type(m).__module__ if found is None else found[0]
        own = name.startswith(("torch.nn", "torch.ao.nn", "rushlight.nn", "rushlight.ao.nn"))
        return own and not isinstance(m, rushlight.nn.Sequential)

    def path_of_module(self, mod):
        """Return the path of a module in the root.

        Args:
            mod: The Module.

        Returns:
            A string.

        Raises:
            NameError: The root does not have the module.
        """
        if mod in self.submodule_paths:
            return self.submodule_paths[mod]
        for name, module in self.root.named_modules():
            if module is mod:
                return name
        raise NameError("module is not installed as a submodule")

    def call_module(self, m, forward, args, kwargs):
        """Record or trace a call of a module; a subclass may do something else.

        Args:
            m: The Module.
            forward: The function that traces into it.
            args, kwargs: The operands of the call.

        Returns:
            The result of the call: a Proxy for a module that is left whole.
        """
        path = self.path_of_module(m)
        if not self.is_leaf_module(m, path):
            return forward(*args, **kwargs)
        return self.create_proxy("call_module", path, args, kwargs)

    def getattr(self, attr, attr_val, parameter_proxy_cache):
        """Return what reading an attribute of a module gives.

        Args:
            attr: The attribute's name.
            attr_val: Its value.
            parameter_proxy_cache: Dict: path → the Proxy of a parameter.

        Returns:
            A Proxy for a parameter of the root, and else ``attr_val``.
        """
        if isinstance(attr_val, Parameter):
            named = self.root.named_parameters()
        elif self.proxy_buffer_attributes and isinstance(attr_val, rushlight.Tensor):
            named = self.root.named_buffers()
        else:
            return attr_val
        path = next((name for name, value in named if value is attr_val), None)
        if path is None:
            return attr_val
        if path not in parameter_proxy_cache:
            made = self.create_proxy("get_attr", path, (), {})
            if self.param_shapes_constant:
                made = _ParameterProxy(made.node, self, attr_val)
            parameter_proxy_cache[path] = made
        return parameter_proxy_cache[path]

    def create_arg(self, a):
        """Return a value of the program as an operand of a node; see ``TracerBase``.

        Args:
            a: The value. A parameter or tensor becomes a node that reads it from the root.

        Returns:
            The operand.
        """
        if isinstance(a, (Parameter, rushlight.Tensor, Module)):
            return self.create_node("get_attr", self._path_of(a), (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            args = tuple([self.create_arg(x) for x in a])
            return self.create_node("call_function", type(a), args, {})
        if isinstance(type(a), ProxyableClassMeta):
            path = self._constant(a, f"_{type(a).__name__}_constant_")
            return self.create_node("get_attr", path, (), {})
        return super().create_arg(a)

    def _path_of(self, a):
        """The path of a parameter, tensor or module; other tensors become constants of the root."""
        if isinstance(a, Module):
            return self.path_of_module(a)
        named = self.root.named_parameters() if isinstance(a, Parameter) else (
            self.root.named_buffers()
        )  # fmt: skip
        for name, value in named:
            if value is a:
                return name
        if isinstance(a, Parameter):
            raise NameError("parameter is not a member of this module")
        return self._constant(a, "_tensor_constant")

    def _constant(self, a, name):
        """The path of an object that the root holds from now on, under ``name`` and a number."""
        if id(a) not in self.tensor_attrs:
            count = 0
            while hasattr(self.root, f"{name}{count}"):
                count += 1
            self.tensor_attrs[id(a)] = f"{name}{count}", a
            setattr(self.root, f"{name}{count}", a)
        return self.tensor_attrs[id(a)][0]

    # The trace ----------------------------------------------------------------------------

    def trace(self, root, concrete_args=None):
        """Run a module or function on proxies.

        Args:
            root: A Module or a function.
            concrete_args: Dict: name of an argument → its value in the trace. Default: none.

        Returns:
            The Graph.

        Raises:
            TraceError: The program asks for a value that only a run has.
        """
        global _depth
        with _lock:
            _depth += 1
            mode.add_intercept(1)  # so that functions of nn.functional are recorded whole
            try:
                return self._trace(root, concrete_args)
            finally:
                mode.add_intercept(-1)
                _depth -= 1

    def _trace(self, root, concrete_args):
        is_module = isinstance(root, Module)
        self.root = root if is_module else Module()
        if is_module and not hasattr(type(root), self.traced_func_name):
            raise AssertionError(
                f"traced_func_name={self.traced_func_name} doesn't exist in {type(root).__name__}"
            )
        function = getattr(type(root), self.traced_func_name) if is_module else root
        if is_module:
            self.submodule_paths = {m: name for name, m in root.named_modules()}
        self.graph = Graph(tracer_cls=type(self))
        self.tensor_attrs = dict(_tensors_of(self.root, ""))
        if not inspect.isfunction(function) or own_name(function) is not None:
            function = _as_function(function)
        space = inspect.unwrap(function).__globals__
        run, args = self.create_args_for_root(function, is_module, concrete_args)
        with Patches() as patches:
            self._patch_modules(patches)
            self._patch_functions(patches, space)
            result = self.create_arg(run(*args))
            hint = getattr(function, "__annotations__", {}).get("return")
            self.create_node("output", "output", (result,), {}, type_expr=hint)
        return self.graph

    def _patch_modules(self, patches):
        cache: dict = {}
        read, call = Module.__getattr__, Module.__call__

        def module_getattr(mod, attr):
            return self.getattr(attr, read(mod, attr), cache)

        def module_call(mod, *args, **kwargs):
            if find_proxy(args, kwargs) is None and mod not in self.submodule_paths:
                return call(mod, *args, **kwargs)
            return self.call_module(mod, lambda *a, **k: call(mod, *a, **k), args, kwargs)

        patches.attribute(Module, "__getattr__", module_getattr)
        patches.attribute(Module, "__call__", module_call)

    def _patch_functions(self, patches, space):
        for (_, name), globals_ in list(late.wrapped.items()):
            value = globals_.get(name, getattr(builtins, name, None))
            if value is not None:
                patches.name(globals_, name, recorder_of(value))
        wrapped = {id(f) for f in self._autowrap_functions}
        for name, value in list(space.items()):
            if not name.startswith("_") and callable(value) and id(value) in wrapped:
                patches.name(space, name, recorder_of(value))
        for f in self._autowrap_functions:
            home = sys.modules.get(getattr(f, "__module__", None) or "")
            name = getattr(f, "__name__", "")
            if home is not None and home is not rushlight and vars(home).get(name) is f:
                patches.attribute(home, name, recorder_of(f))

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        """Add the arguments of the root to the graph.

        Args:
            root_fn: The root's function.
            is_module: Whether its first argument is the root itself.
            concrete_args: See ``trace``.

        Returns:
            (function, list of its arguments in the trace).
        """
        signature = inspect.signature(root_fn)
        parameters = list(signature.parameters.values())
        args: list = []
        if is_module:
            if not parameters or parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            parameters, args = parameters[1:], [self.root]
        if isinstance(concrete_args, tuple):
            if len(concrete_args) != len(parameters):
                raise RuntimeError(
                    f"Tracing expected {len(parameters)} arguments but got {len(concrete_args)} "
                    "concrete arguments"
                )
            concrete_args = dict(zip([p.name for p in parameters], concrete_args, strict=True))
        named: dict = {}
        rest: list = []
        stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        for p in sorted(parameters, key=lambda p: p.kind in stars):
            value = self._argument(p, concrete_args or {})
            if p.kind is p.KEYWORD_ONLY:
                named[p.name] = value
            elif p.kind in stars:
                rest.append((p.kind, value))
            else:
                args.append(value)
        if not named and not rest:
            return root_fn, args
        if rest:
            root_fn = _without_stars(root_fn)
            args += [*named.values(), *[value for _, value in rest]]
            return root_fn, args
        return functools.partial(root_fn, **named), args

    def _argument(self, p, concrete):
        """The Proxy of a parameter of the root, or its value in the trace."""
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        name = f"{stars}{p.name}"
        if p.name in concrete and concrete[p.name] is not PH:
            return self._specialised(p, concrete[p.name])
        default = () if p.default is p.empty or stars else (p.default,)
        hint = None if p.annotation is p.empty else p.annotation
        return self.create_proxy("placeholder", name, default, {}, type_expr=hint)

    def _specialised(self, p, value):
        """``value``, for which the trace holds; the graph checks that it is given."""
        if isinstance(value, (list, tuple, dict)):
            raise NotImplementedError(
                f"symbolic_trace: concrete_args[{p.name!r}] is a container; pass its items as "
                "arguments of their own, or bind it by functools.partial"
            )
        default = () if p.default is p.empty else (p.default,)
        made = self.create_proxy("placeholder", f"{p.name}_1", default, {})
        if value is None or isinstance(value, (bool, int, float, str)):
            text = f"{p.name} has been specialized to have value {value} but got another value"
            call = _is_none if value is None else operator.eq
            args = (made,) if value is None else (made, value)
            fits = self.create_proxy("call_function", call, args, {})
            self.create_proxy("call_function", rushlight._assert, (fits, text), {})
        else:
            warnings.warn(
                f"Was not able to add assertion to guarantee correct input {p.name} to specialized "
                "function. It is up to the user to make sure that your inputs match the inputs you "
                "specialized the function with.",
                stacklevel=2,
            )
        return value


def _is_none(x):
    """Whether an argument is None, as it was when the graph was traced."""
    return x is None


class _ParameterProxy(Proxy):
    """A Proxy of a parameter, whose shape is known."""

    def __init__(self, node, tracer, param):
        super().__init__(node, tracer)
        self.param = param

    @property
    def shape(self):
        return self.param.shape

    def size(self, *args):
        return self.param.size(*args)

    def dim(self):
        return self.param.dim()

    def numel(self):
        return self.param.numel()

    ndim = property(dim)


def _tensors_of(module, prefix):
    """(id, (path, tensor)) of the plain tensor attributes of a module and its children."""
    for name, value in vars(module).items():
        if isinstance(value, rushlight.Tensor):
            yield id(value), (f"{prefix}{name}", value)
    for name, child in module.named_children():
        yield from _tensors_of(child, f"{prefix}{name}.")


def _as_function(call):
    """A function of the required arguments of ``call``, one of torch or of C, or an object."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"symbolic_trace: {call!r} has no signature that can be read") from None

    def function(*args):
        return call(*args)

    plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    function.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    return function


def _without_stars(function):
    """``function``, whose ``*args`` and ``**kwargs`` are arguments like the others."""
    plain = inspect.unwrap(function)
    code = plain.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    flags = code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    made = code.replace(
        co_argcount=count, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=flags
    )
    return types.FunctionType(
        made, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__
    )


def symbolic_trace(root, concrete_args=None):
    """Trace a module or function to a GraphModule.

    Args:
        root: A Module or a function.
        concrete_args: Dict: name of an argument → its value in the trace, so that Python control
            flow can depend on it. Default: none.

    Returns:
        A GraphModule that computes what ``root`` does, with the same parameters.

    Raises:
        TraceError: The program asks for a value that only a run has.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x, y: torch.relu(x) + y)
    >>> print(traced.code.strip())
    def forward(self, x, y):
        relu = torch.relu(x);  x = None
        add = relu + y;  relu = y = None
        return add
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, Module) else getattr(root, "__name__", "traced")
    return GraphModule(tracer.root, graph, name)
