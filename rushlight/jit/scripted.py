"""``script``, ``trace`` and their relatives. Scripted and traced code runs as ordinary Python."""

import copy
import types

from rushlight.jit.files import save
from rushlight.nn import Module

__all__ = [
    "Error", "ScriptFunction", "ScriptModule", "freeze", "optimize_for_inference", "script",
    "trace", "trace_module",
]  # fmt: skip


class Error(RuntimeError):
    """An exception of Python's that left a scripted module's code."""


class ScriptFunction:
    """The class of PyTorch's scripted functions, which stay Python functions in rushlight.

    Programs that mention the class can still import it.

    >>> import rushlight as torch
    >>> isinstance(torch.jit.script(lambda x: 2 * x), torch.jit.ScriptFunction)
    False
    """


#: Attributes of PyTorch's scripted modules that tell their TorchScript.
_OF_GRAPHS = frozenset({"code", "code_with_constants", "forward_magic_method", "graph",
                        "graph_for", "inlined_graph"})  # fmt: skip


class ScriptModule(Module):
    """A module that ``script`` or ``trace`` returns: a twin of the original module.

    The twin runs the original's Python code and shares the original's parameters, buffers and
    hooks. ``training`` and plain attributes belong to the twin alone: a later change of them on one
    module does not affect the other. An exception that leaves a call of the twin and is no
    RuntimeError becomes a ``torch.jit.Error``, as in PyTorch.

    >>> import rushlight as torch
    >>> model = torch.nn.Linear(2, 1)
    >>> scripted = torch.jit.script(model)
    >>> isinstance(scripted, torch.jit.ScriptModule), scripted.weight is model.weight
    (True, True)
    """

    def __call__(self, *args, **kwargs):
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError:
            raise
        except Exception as error:
            raise Error(f"{type(error).__name__}: {error}") from error

    def __getattr__(self, name):
        if name in _OF_GRAPHS:
            raise AttributeError(
                f"torch.jit.ScriptModule.{name}: rushlight runs the module's Python and has no "
                "TorchScript of it. graph, inlined_graph and code are those of torch.fx where it "
                "can trace the module; torch.fx.symbolic_trace(module) says why it cannot, and "
                "torch.export.export(module, inputs) has the operations of a call"
            )
        return super().__getattr__(name)

    @property
    def graph(self):
        """The ``torch.fx.Graph`` of the module's ``forward``, in which submodules are calls.

        Raises:
            AttributeError: ``forward`` depends on values, so that no graph shows all of it.
        """
        return self._symbolic(whole=False).graph

    @property
    def inlined_graph(self):
        """As ``graph``, with the submodules' operations in place of their calls."""
        return self._symbolic(whole=True).graph

    @property
    def code(self):
        """The Python code of ``graph``.

        >>> import rushlight as torch
        >>> print(torch.jit.script(torch.nn.Flatten()).code.splitlines()[-2].strip())
        return flatten
        """
        return self._symbolic(whole=False).code

    def _symbolic(self, whole):
        """The ``GraphModule`` that symbolic tracing makes of this module."""
        from rushlight import fx

        tracer = fx.Tracer()
        if whole:
            tracer.is_leaf_module = lambda m, name: False  # type: ignore[method-assign]
        try:
            return fx.GraphModule(self, tracer.trace(self))
        except Exception as error:  # Python then asks ``__getattr__``
            raise AttributeError("torch.fx cannot trace the module") from error

    @property
    def original_name(self):
        """The name of the original module's class."""
        return _original(type(self)).__name__

    def save(self, f, _extra_files=None):
        """Write this module to a file, by ``torch.jit.save``."""
        save(self, f, _extra_files)

    def _get_name(self):
        return self.original_name

    def __reduce__(self):
        plain = copy.copy(self.__dict__)
        return _rebuilt, (_original(type(self)), plain)

    def __copy__(self):
        return _rebuilt(_original(type(self)), dict(self.__dict__))


_twins: dict = {}  # class of a module → class of its twins


def _original(cls):
    return cls.__bases__[1] if cls in _twins.values() else cls


def _rebuilt(cls, state):
    """Make a twin for a module of class ``cls`` with the attributes ``state``."""
    if cls not in _twins:
        name = {"__module__": cls.__module__, "__doc__": cls.__doc__}
        _twins[cls] = type(f"Script{cls.__name__}", (ScriptModule, cls), name)
    twin = _twins[cls].__new__(_twins[cls])
    twin.__dict__.update(state)
    return twin


def script(
    obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None
):  # optimize, _frames_up, _rcb and example_inputs are PyTorch's arguments, ignored here
    """Return the ``ScriptModule`` of a module, and any other object unchanged.

    Args:
        obj: A module, a function, a class, a list or a dict.
        optimize, _frames_up, _rcb, example_inputs: Accepted without effect.

    Returns:
        ``ScriptModule`` that shares the module's parameters and buffers; else ``obj``.

    Raises:
        RuntimeError: ``obj`` is none of these and cannot be called.

    >>> import rushlight as torch
    >>> @torch.jit.script
    ... def double(x):
    ...     return x * 2
    >>> double(torch.ones(1))
    tensor([2.])
    """
    if isinstance(obj, (ScriptModule, type, dict, list)):
        return obj
    if isinstance(obj, Module):
        return _rebuilt(type(obj), dict(obj.__dict__))
    if not callable(obj):
        raise RuntimeError(
            f"torch.jit.script: expected a function, a class or a Module, not {type(obj).__name__}"
        )
    return obj


def trace(
    func,
    example_inputs=None,
    optimize=None,
    check_trace=True,
    check_inputs=None,
    check_tolerance=1e-5,
    strict=True,
    *,
    example_kwarg_inputs=None,
    **kwargs,
):
    """Call a function once on examples, to check that they fit, and return its script.

    Unlike PyTorch's ``trace``, no operations are recorded. Code that branches on values therefore
    still branches in later calls. A module's bound method is returned unchanged.

    Args:
        func: A function or a module.
        example_inputs: The arguments of the call: a tuple, a list, a dict of keyword arguments, or
            one tensor.
        optimize, check_trace, check_inputs: Accepted without effect.
        check_tolerance, strict: Accepted without effect.
        example_kwarg_inputs: Dict of the keyword arguments of the call. Default: none.
        **kwargs: Accepted without effect.

    Returns:
        What ``script(func)`` returns.

    Raises:
        RuntimeError: ``example_inputs`` and ``example_kwarg_inputs`` are both missing.

    >>> import rushlight as torch
    >>> torch.jit.trace(torch.nn.ReLU(), torch.ones(2))
    ReLU()
    """
    if example_inputs is None and not isinstance(example_kwarg_inputs, dict):
        raise RuntimeError("example_kwarg_inputs should be a dict")
    if isinstance(example_inputs, dict):
        example_inputs, example_kwarg_inputs = (), example_inputs
    given = () if example_inputs is None else example_inputs
    func(*(given if isinstance(given, (tuple, list)) else (given,)), **example_kwarg_inputs or {})
    if isinstance(func, types.MethodType) and isinstance(func.__self__, Module):
        return func
    return script(func)


def trace_module(mod, inputs, *args, **kwargs):
    """Call methods of a module on examples, then return the module's ``ScriptModule``.

    Args:
        mod: A module.
        inputs: Dict from the name of a method to its example inputs: a tuple, a list, or one
            tensor.
        *args, **kwargs: Accepted without effect.

    Returns:
        ``ScriptModule``.

    Raises:
        AttributeError: ``inputs`` is not a dict.

    >>> import rushlight as torch
    >>> torch.jit.trace_module(torch.nn.ReLU(), {"forward": torch.ones(2)})
    ReLU()
    """
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    for name, given in inputs.items():
        getattr(mod, name)(*(given if isinstance(given, (tuple, list)) else (given,)))
    return script(mod)


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """Return a module unchanged; as in PyTorch, it must be in eval mode.

    Args:
        mod: A ``ScriptModule``.
        preserved_attrs, optimize_numerics: Accepted without effect.

    Returns:
        ``mod``.

    Raises:
        RuntimeError: ``mod`` is not a ``ScriptModule`` or is in training mode.

    >>> import rushlight as torch
    >>> torch.jit.freeze(torch.jit.script(torch.nn.ReLU().eval()))
    ReLU()
    """
    if not isinstance(mod, ScriptModule):
        raise RuntimeError(
            "Freezing expects a ScriptModule as input. Please use torch.jit.script or "
            "torch.jit.trace to script your 'nn.Module'."
        )
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() "
            "on your module before freezing."
        )
    return mod


def optimize_for_inference(mod, other_methods=None):
    """Return a module unchanged; ``torch.compile`` makes a module faster.

    Args:
        mod: A ``ScriptModule``.
        other_methods: Accepted without effect.

    Returns:
        ``mod``.

    Raises:
        RuntimeError: ``mod`` is not a ``ScriptModule`` or is in training mode.

    >>> import rushlight as torch
    >>> torch.jit.optimize_for_inference(torch.jit.script(torch.nn.ReLU().eval()))
    ReLU()
    """
    return freeze(mod)
