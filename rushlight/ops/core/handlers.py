"""Handlers: the methods ``__torch_function__`` of classes and modes, which may take calls over.

A handler sees a call as PyTorch shows it: the public function, and the arguments as the caller
wrote them. PyTorch's functions that are written in Python show all of their parameters instead;
``in_python`` marks them.
"""

import inspect
import warnings
from functools import cache, partial, wraps
from types import FunctionType
from typing import Any

from rushlight import late
from rushlight.autograd import mode
from rushlight.errors import UnhandledError
from rushlight.notices import warn_once
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ours import is_our_module
from rushlight.return_types import NamedResult
from rushlight.tensor import Tensor, as_class, disabled_torch_function

__all__ = [
    "PLAIN", "ask", "came_from_handler", "hand_over", "in_c", "in_python", "keep_subclass",
    "overridden", "overrides", "unasked", "unhandled",
]  # fmt: skip


#: Classes of most operands, which override nothing.
PLAIN = frozenset((Tensor, int, float, bool, complex, str, slice, tuple, list, type(None)))


def overrides(kind):
    """Whether the class ``kind`` overrides functions of ``torch`` (``__torch_function__``)."""
    override = None if kind is Tensor else getattr(kind, "__torch_function__", None)
    return override is not None and override is not disabled_torch_function


def overridden(call, args, named, deep=False):
    """The result of the mode or class that takes ``call`` over; NotImplemented if there is none.

    ``deep``: the operands inside lists and tuples are asked as well, as in ``cat``.

    Raises:
        UnhandledError: Modes or classes were asked, and none took the call. Classes of ours that
            have ``asked_again`` may decline: ``call`` asks them again for what it calls.
    """
    modes = mode.state.function_modes
    if not (mode.state.dispatch or modes):
        return NotImplemented
    if not (modes or deep):  # the most frequent case
        for x in (*args, *named.values()) if named else args:
            if type(x) not in PLAIN and overrides(type(x)):
                break
        else:
            return NotImplemented
    types: list[Any] = []
    plain = False
    for x in (*args, *named.values()):
        for item in x if deep and isinstance(x, (list, tuple)) else (x,):
            kind = type(item)
            plain = plain or kind is Tensor
            if mode.state.dispatch and kind not in types and overrides(kind):
                types.append(kind)
    if not (types or modes):
        return NotImplemented
    shown, seen = _public(call), list(types)
    if hasattr(shown, "with_indices") and _given(shown, args, named).get("return_indices"):
        shown = shown.with_indices
    again = types and all(hasattr(t, "asked_again") for t in types)
    if getattr(shown, "in_python", False) and (modes or not again):
        args, named = _spelled_out(shown, args, named)
        if plain:
            seen.append(Tensor)  # such functions name the class of plain operands, too
    found = hand_over(shown, types, args, named, seen)
    if found is NotImplemented and not again:
        raise unhandled(shown, types)
    return found


def hand_over(call, types, args, named, seen=None):
    """Let the innermost mode, and then the classes in ``types``, run ``call``.

    ``seen`` are the classes that handlers are told of. Default: ``types``. The result is that of
    the first handler which does not return NotImplemented, else NotImplemented.
    """
    modes = mode.state.function_modes
    told = tuple(types if seen is None else seen)
    if modes:
        mode.exchange("function_modes", modes[:-1] or None)
        try:
            handler = modes[-1].__torch_function__
            if getattr(handler, "__self__", None) is type(modes[-1]):
                raise RuntimeError(
                    "Defining your mode's `__torch_function__` as a classmethod is not supported, "
                    "please make it a plain method"
                )
            found = handler(call, told, args, dict(named))
        finally:
            mode.exchange("function_modes", modes)
        if found is not NotImplemented:
            return found
    # A subclass is asked before its base class; otherwise the left operand's class comes first.
    for kind in sorted(types, key=lambda t: -len(t.__mro__)):
        handler = kind.__torch_function__
        if type(handler) is FunctionType:
            handler = _bound(handler, kind, call, (*args, *named.values()))
        found = handler(call, told, args, dict(named))
        if found is not NotImplemented:
            return found
    return NotImplemented


def _bound(handler, kind, call, given):
    """The ``__torch_function__`` of ``kind``, a method of its first object in a call's arguments.

    PyTorch reads the handler from the object, so that a handler may be a plain method.
    """
    if isinstance(inspect.getattr_static(kind, "__torch_function__"), staticmethod):
        return handler
    quote = "" if getattr(call, "in_python", False) else "`"
    message = (
        f"Defining your `__torch_function__{quote} as a plain method is deprecated and will be an "
        "error in future, please define it as a classmethod."
    )
    if quote:
        warn_once(message)
    else:
        warnings.warn(message, DeprecationWarning, stacklevel=4)
    for x in given:
        for item in x if isinstance(x, (list, tuple)) else (x,):
            if type(item) is kind:
                return partial(handler, item)
    return handler


def came_from_handler(error):
    """Whether a handler raised ``error``, or an operation that a handler called."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code is not hand_over.__code__:
        step = step.tb_next
    return step is not None


def unhandled(call, types):
    """The error that the modes and the classes ``types`` all declined ``call``."""
    modes = mode.state.function_modes
    in_mode = f" nor in mode {modes[-1]}" if modes else ""
    name = _path(call)  # PyTorch says one of the two sentences, and programs look for either
    return UnhandledError(
        f"no implementation found for {name!r} on types that implement __torch_function__: "
        f"{types}{in_mode}. Multiple dispatch failed for {name!r}; all __torch_function__ handlers "
        "returned NotImplemented"
    )


def _path(call):
    """Where PyTorch's users find ``call``."""
    owner = getattr(call, "__self__", None)
    if isinstance(owner, property) and owner.fget:
        return f"torch.Tensor.{owner.fget.__name__}.{call.__name__}"
    module = (getattr(call, "__module__", None) or "torch").replace("rushlight", "torch", 1)
    return f"{module.partition('.ops.')[0]}.{getattr(call, '__qualname__', call)}"


# What handlers see ------------------------------------------------------------------------


def in_python(function):
    """Mark a function that PyTorch defines in Python.

    Handlers see its parameters without a default by position, and all others by name.
    """
    function.in_python = True
    return function


def in_c(function):
    """Mark a function of ``nn.functional`` that PyTorch defines in C; the others are in Python."""
    function.in_python = False
    return function


def unasked(function):
    """Mark a function that handlers do not see; they see the function that it calls."""
    function.asks = False
    return function


def _given(call, args, named):
    """The arguments of ``call`` by name; none if they do not fit, which ``call`` then says."""
    try:
        return _signature(call).bind(*args, **named).arguments
    except TypeError:
        return {}


def _spelled_out(call, args, named):
    """The arguments of a function that is ``in_python``, as handlers see them."""
    given = _given(call, args, named)
    if not given:
        return args, named
    placed: list[Any] = []
    by_name = {}
    for name, p in _signature(call).parameters.items():
        if p.kind is p.VAR_POSITIONAL:
            placed.extend(given.get(name, ()))
        elif p.default is p.empty:
            placed.append(given[name])
        else:
            by_name[name] = given.get(name, p.default)
    return tuple(placed), by_name


@cache
def _signature(call):
    return inspect.signature(call)


def _public(call):
    """The function of ``torch`` that computes its result by the operation ``call`` alone."""
    found = FUNCTIONS.get(call.__name__) if hasattr(call, "op") else None
    if found is None or hasattr(found, "is_guarded") or hasattr(found, "is_listed"):
        return call
    return found


def by_name(op, args, params):
    """The arguments of the operation ``op`` that other operations call, as handlers see them.

    Parameters without a default are given by position, since handlers may have other names for
    them. A handler may have only the parameters that it knows, so defaults are left out.
    """
    params = {k: v for k, v in params.items() if v is not op.defaults.get(k, params)}
    placed = _by_place(op.call)
    if placed and len(args) == len(op.inputs) and params.keys() >= {*placed}:
        args = (*args, *[params.pop(name) for name in placed])
    return args, params


@cache
def _by_place(call):
    """The parameters of an operation without defaults that follow its operands."""
    if call.op.variadic:
        return ()
    names, op = list(_signature(call).parameters), call.op
    n = len(op.inputs)
    after = names[n : n + len(op.required)]
    fits = {*after} == {*op.required} and {*op.params}.isdisjoint(names[:n])
    return tuple(after) if fits else ()


# Subclasses of Tensor ---------------------------------------------------------------------


def keep_subclass(cls, func, args, kwargs):
    """Run ``func`` on plain tensors and give its results the class ``cls``.

    A gradient and the base of a view keep their classes, as in PyTorch.
    """
    was, mode.state.dispatch = mode.state.dispatch, False
    try:
        found = func(*args, **kwargs)
        owner = getattr(func, "__self__", None)
        if owner is not None and (owner is Tensor.grad or owner is Tensor._base):
            return found
        return _as_class(found, cls, (*args, *kwargs.values()))
    finally:
        mode.state.dispatch = was


#: Special methods that ask the class of their tensor. Operators ask by themselves.
_SPECIAL = (
    "__array__", "__bool__", "__complex__", "__contains__", "__deepcopy__", "__float__",
    "__format__", "__index__", "__int__", "__invert__", "__pos__", "__reduce_ex__", "__repr__",
    "__reversed__",
)  # fmt: skip


def ask(cls, everything):
    """Make methods that ``cls`` inherits ask ``cls`` before they run.

    ``cls`` is a subclass that overrides operations. Tensor's own ``@short`` methods do not ask it.
    ``everything``: nor do properties, and methods that compute nothing, such as ``data_ptr``.
    Methods that ask by themselves are replaced as well, because only their caller knows how the
    arguments were written.
    """
    silent, results = ("cell", "__class__"), () if hasattr(cls, "asked_again") else ("data",)
    for name, member in vars(Tensor).items():
        if (
            getattr(cls, name, member) is not member
            and inspect.getattr_static(cls, name) is not member
        ):
            continue  # the class has its own
        if hasattr(member, "is_short") or (everything and _is_asking(name, member)):
            setattr(cls, name, _asking(member))
        elif type(member) is property and name not in silent and (everything or name in results):
            setattr(cls, name, _asking_property(member))


late.ask, late.keep_subclass, late.overridden = ask, keep_subclass, overridden


def _is_asking(name, member):
    if not inspect.isfunction(member) or (name.startswith("_") and name not in _SPECIAL):
        return False
    # A library may have put methods of its own on Tensor.
    return is_our_module(member.__module__) and getattr(member, "asks", True)


def _asking(function):
    shown = getattr(function, "stands_for", function)
    is_operator = function.__name__ == "__matmul__"

    @wraps(function)
    def call(self, *args, **named):
        try:
            found = overridden(shown, (self, *args), named, deep=True)
        except UnhandledError:
            if is_operator:
                return NotImplemented
            raise
        return function(self, *args, **named) if found is NotImplemented else found

    return call


def _asking_property(member):
    """The property for a subclass. Handlers see ``Tensor.shape.__get__``, as in PyTorch."""

    def read(self):
        found = overridden(member.__get__, (self,), {})
        return member.__get__(self) if found is NotImplemented else found

    def write(self, value):
        found = overridden(member.__set__, (self, value), {})
        if found is NotImplemented:
            member.__set__(self, value)

    def delete(self):
        found = overridden(member.__delete__, (self,), {})
        if found is NotImplemented:
            member.__delete__(self)

    return property(
        read, write if member.fset else None, delete if member.fdel else None, member.__doc__
    )


def _as_class(found, cls, given):
    """``found`` with tensors of the class ``cls``; a tensor in ``given`` keeps its own class."""
    if type(found) is Tensor and cls is not Tensor:
        if any(found is x for x in given):
            return found.as_subclass(cls)
        return as_class(found, cls)
    if type(found) in (tuple, list) or isinstance(found, NamedResult):
        return type(found)([_as_class(f, cls, given) for f in found])
    return found
