"""``torch.overrides``: which functions classes and modes may take over, and how they do it."""

import inspect
import sys
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from functools import cache, wraps

import rushlight
from rushlight.autograd import mode
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.handlers import hand_over, unhandled
from rushlight.ops.core.handlers import overrides as _overrides
from rushlight.tensor import Tensor

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "enable_reentrant_dispatch",
    "get_default_nowrap_functions",
    "get_ignored_functions", "get_overridable_functions", "get_testing_overrides",
    "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "is_tensor_like", "is_tensor_method_or_property", "resolve_name",
    "wrap_torch_function",
]  # fmt: skip

#: Functions without tensor operands. Modes take them over, but no class is asked.
_WITHOUT_OPERANDS = (
    "arange", "empty", "empty_strided", "eye", "from_numpy", "full", "linspace", "logspace", "ones",
    "rand", "randint", "randn", "randperm", "range", "scalar_tensor", "tensor", "tril_indices",
    "triu_indices", "zeros",
)  # fmt: skip
#: Functions that ask for or set an option of the process, and others that take no tensors.
_OF_THE_PROCESS = (
    "are_deterministic_algorithms_enabled", "as_tensor", "can_cast", "compile", "finfo",
    "frombuffer", "get_autocast_dtype", "get_default_device", "get_default_dtype",
    "get_deterministic_debug_mode", "get_float32_matmul_precision", "get_num_interop_threads",
    "get_num_threads", "iinfo", "is_anomaly_check_nan_enabled", "is_anomaly_enabled",
    "is_autocast_cache_enabled", "is_autocast_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "is_grad_enabled",
    "is_inference_mode_enabled", "is_storage", "is_tensor", "is_warn_always_enabled",
    "promote_types", "result_type", "set_anomaly_enabled", "set_autocast_cache_enabled",
    "set_autocast_dtype", "set_autocast_enabled", "set_default_device", "set_default_tensor_type",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
    "set_num_interop_threads", "set_num_threads", "set_warn_always", "typename",
    "use_deterministic_algorithms",
)  # fmt: skip
_SPACES = ("fft", "linalg", "special", "nn.functional")


class TorchFunctionMode:
    """A context in which all functions of ``torch`` are handed to ``__torch_function__``.

    Inside of ``__torch_function__`` the mode is off. Modes may be nested: the innermost is asked
    first, and functions that it calls go to the next one. Properties of tensors and methods that
    compute nothing, such as ``size``, are not handed over.

    >>> import rushlight as torch
    >>> class Names(torch.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     total = torch.ones(2).sum()
    ones
    sum
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Compute ``func(*args, **kwargs)``, or something in its place.

        Args:
            func: The function of ``torch`` that was called.
            types: Tuple of the operands' classes that override functions themselves.
            args: Tuple of the call's positional arguments.
            kwargs: Dict of the call's keyword arguments.

        Returns:
            What the call returns; ``NotImplemented`` hands the call on.

        Raises:
            NotImplementedError: The subclass does not define the method.
        """
        raise NotImplementedError

    def __enter__(self):
        was = mode.state.function_modes
        mode.exchange("function_modes", (*(was or ()), self))
        return self

    def __exit__(self, *error):
        mode.exchange("function_modes", mode.state.function_modes[:-1] or None)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that calls each function as it is.

    >>> import rushlight as torch
    >>> with torch.overrides.BaseTorchFunctionMode():
    ...     torch.ones(1)
    tensor([1.])
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Return ``func(*args, **kwargs)``.

        Args:
            func: The function of ``torch`` that was called.
            types: Not used.
            args: Tuple of the call's positional arguments.
            kwargs: Dict of the call's keyword arguments.

        Returns:
            What the function returns.
        """
        return func(*args, **(kwargs or {}))


@contextmanager
def enable_reentrant_dispatch():
    """A context inside of ``__torch_dispatch__`` of a class, in which autograd records again.

    Functions that are called inside of ``__torch_function__`` work as they are.

    Returns:
        A context manager.

    >>> import rushlight as torch
    >>> with torch.overrides.enable_reentrant_dispatch():
    ...     torch.ones(1)
    tensor([1.])
    """
    above = mode.state.above
    was = mode.set_grad(True) if above else None
    try:
        yield
    finally:
        if above:
            mode.set_grad(was)


def is_tensor_like(inp):
    """Tell whether an object is a tensor, or its class has ``__torch_function__``.

    Args:
        inp: Any object.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.overrides.is_tensor_like(torch.ones(1)), torch.overrides.is_tensor_like(1.0)
    (True, False)
    """
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def has_torch_function(relevant_args):
    """Tell whether a class of one of the arguments, or a mode, may take a call over.

    Args:
        relevant_args: Iterable of arguments.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.overrides.has_torch_function((torch.ones(1), 2))
    False
    """
    if not isinstance(relevant_args, Iterable):
        raise TypeError("expected a sequence")
    state = mode.state
    asked = state.dispatch and any(_overrides(type(x)) for x in relevant_args)
    return bool(state.function_modes or asked)


def has_torch_function_unary(tensor):
    """Tell whether the class of the argument, or a mode, may take a call over.

    Args:
        tensor: An argument.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.overrides.has_torch_function_unary(torch.ones(1))
    False
    """
    return has_torch_function((tensor,))


def has_torch_function_variadic(*args):
    """Tell whether a class of one of the arguments, or a mode, may take a call over.

    Args:
        *args: The arguments.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.overrides.has_torch_function_variadic(torch.ones(1), 2)
    False
    """
    return has_torch_function(args)


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Let a mode, or the classes of the relevant arguments, compute a call.

    Args:
        public_api: The function that was called.
        relevant_args: Iterable of the arguments whose classes are asked.
        *args: The positional arguments of the call.
        **kwargs: The keyword arguments of the call.

    Returns:
        What the first of them returns that does not return ``NotImplemented``. If none of the
        classes overrides functions, and there is no mode, the result of ``public_api`` itself.

    Raises:
        TypeError: All of them return ``NotImplemented``.

    >>> import rushlight as torch
    >>> class Shy:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return func.__name__
    >>> torch.overrides.handle_torch_function(torch.add, (Shy(),), Shy(), 2)
    'add'
    """
    kinds = dict.fromkeys(map(type, relevant_args))
    types = [t for t in kinds if _overrides(t) and mode.state.dispatch]
    if not (types or mode.state.function_modes):
        return public_api(*args, **kwargs)
    seen = [*types, Tensor] if Tensor in kinds else types
    found = hand_over(public_api, types, args, kwargs, seen)
    if found is NotImplemented:
        raise unhandled(public_api, types)
    return found


def wrap_torch_function(dispatcher):
    """Make a function that classes and modes may take over.

    Args:
        dispatcher: A function of the same arguments. It returns an iterable of those whose classes
            are asked.

    Returns:
        A decorator.

    >>> import rushlight as torch
    >>> @torch.overrides.wrap_torch_function(lambda x: (x,))
    ... def double(x):
    ...     return x + x
    >>> double(torch.ones(1))
    tensor([2.])
    """

    def wrap(function):
        @wraps(function)
        def call(*args, **kwargs):
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(call, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    return wrap


def _space(path):
    found = rushlight
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _functions(space, names):
    found = [getattr(space, n, None) for n in names if not n.startswith("_")]
    return [f for f in dict.fromkeys(found) if callable(f) and not isinstance(f, type)]


@cache
def _methods():
    names = [n for n in dir(Tensor) if not n.startswith("__") or n in _OPERATORS]
    return _functions(Tensor, names) + [getattr(Tensor, n) for n in names if n in _OPERATORS]


_OPERATORS = {f"__{n}__" for n in (
    "add", "radd", "sub", "rsub", "mul", "rmul", "matmul", "truediv", "floordiv", "mod", "pow",
    "rpow", "neg", "abs", "invert", "and", "or", "xor", "lt", "le", "gt", "ge", "eq", "ne",
    "getitem", "setitem",
)}  # fmt: skip


def get_ignored_functions():
    """Return the functions that no class can take over, because they have no tensor operands.

    Returns:
        A set of functions.

    >>> import rushlight as torch
    >>> torch.zeros in torch.overrides.get_ignored_functions()
    True
    """
    return {getattr(rushlight, n) for n in (*_WITHOUT_OPERANDS, *_OF_THE_PROCESS)}


def get_overridable_functions():
    """Return the functions that classes with ``__torch_function__`` may take over.

    Returns:
        Dict of lists of functions, by the module or class that they are in; of a property, the
        getter.

    >>> import rushlight as torch
    >>> torch.add in torch.overrides.get_overridable_functions()[torch]
    True
    """
    ignored = get_ignored_functions()
    torch = sys.modules.get("torch")  # the module that programs see where rushlight has its name
    top = torch if hasattr(torch, "__rushlight__") else rushlight
    found: dict = {top: _functions(rushlight, FUNCTIONS), Tensor: list(_methods())}
    for path in _SPACES:
        space = _space(path)
        found[space] = _functions(space, space.__all__)
    properties = [p for p in vars(Tensor).values() if isinstance(p, property)]
    found |= {p: [p.__get__] for p in properties if p is not Tensor.cell}
    return {k: [f for f in functions if f not in ignored] for k, functions in found.items()}


def get_testing_overrides():
    """Return a function without effect for each function that classes may take over.

    Returns:
        Dict: the function → a function of the same arguments that returns -1.

    >>> import rushlight as torch
    >>> torch.overrides.get_testing_overrides()[torch.add](torch.ones(1), 2)
    -1
    """
    found: dict = {}
    for functions in get_overridable_functions().values():
        found |= {f: _constant(f) for f in functions}
    return found


def _constant(function):
    def call(*args, **kwargs):
        return -1

    with suppress(TypeError, ValueError):  # a method of C has no signature
        call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def get_default_nowrap_functions():
    """Return the getters of which a class with ``__torch_function__`` gets the tensor as it is.

    Returns:
        A set of functions.

    >>> import rushlight as torch
    >>> torch.Tensor.grad.__get__ in torch.overrides.get_default_nowrap_functions()
    True
    """
    return {Tensor.grad.__get__, Tensor._base.__get__}


def is_tensor_method_or_property(func):
    """Tell whether a function is a method of Tensor, or the getter of a property.

    Args:
        func: A function that a ``__torch_function__`` was given.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.overrides.is_tensor_method_or_property(torch.Tensor.add)
    True
    """
    return func in _methods() or getattr(func, "__name__", "") == "__get__"


def resolve_name(f):
    """Return the name by which a function is called.

    Args:
        f: A function that a ``__torch_function__`` was given.

    Returns:
        A string such as ``"torch.Tensor.add"``, or None if there is no such function.

    >>> import rushlight as torch
    >>> torch.overrides.resolve_name(torch.nn.functional.linear)
    'torch.nn.functional.linear'
    """
    return _names().get(f)


@cache
def _names():
    found: dict = {}
    for path in _SPACES:
        space = _space(path)
        for name in space.__all__:
            found.setdefault(getattr(space, name), f"torch.{path}.{name}")
    for name in FUNCTIONS:
        call = getattr(rushlight, name, None)
        # Of the names of one function, ``cat`` and ``concat``, its own comes before its aliases.
        if call is not None and found.get(call) != f"torch.{call.__name__}":
            found[call] = f"torch.{name}"
    for name, member in vars(Tensor).items():
        if isinstance(member, property) and not name.startswith("__"):
            for part in ("__get__", "__set__", "__delete__"):
                found.setdefault(getattr(member, part), f"torch.Tensor.{name}.{part}")
    for name in dir(Tensor):
        call = getattr(Tensor, name, None)
        if callable(call) and not isinstance(call, type):
            found.setdefault(call, f"torch.Tensor.{name}")
    return found


def _get_current_function_mode():
    """The innermost mode that is on, or None."""
    modes = mode.state.function_modes
    return modes[-1] if modes else None


def _get_current_function_mode_stack():
    """The modes that are on, the innermost last."""
    return list(mode.state.function_modes or ())
