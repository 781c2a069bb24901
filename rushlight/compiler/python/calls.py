"""Calls from observed code: what is read and written by functions that are not observed."""

import functools
import types

import numpy as np

from rushlight.compiler.numbers import Number
from rushlight.compiler.places import item
from rushlight.compiler.python.frames import NULL
from rushlight.compiler.python.known import (
    MUTATORS,
    REPLAYED,
    REPLAYED_TYPES,
    home_of,
    is_pure,
)
from rushlight.compiler.python.reads import attributes_of, member_of
from rushlight.tensor import Tensor

__all__ = ["Calls", "Unsuited"]

#: What was raised instead of a result.
_ATTRIBUTES = {"getattr", "hasattr", "setattr", "delattr", "vars", "globals", "type", "id"}
_METHODS_OF_ATTRIBUTES = {"__getattribute__", "__setattr__", "__delattr__"}
_C_METHODS = (types.BuiltinFunctionType, types.MethodWrapperType)
_DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType)
_DICT_METHODS = {"get", "__getitem__", "__contains__", "pop", "setdefault", "__len__"}


class Unsuited(Exception):
    """The code tells a stand-in from what it stands for: record without."""


class Calls:
    """Notes what the calls of one recorded function read and write.

    Each method returns None, or a function of the call's result that is to be told it; of ``NULL``
    where the call raised.
    """

    def __init__(self, observer):
        self.reads, self.effects = observer.reads, observer.effects
        self.origins, self.refuse = observer.origins, observer.refuse
        self._is_argument = observer.is_argument

    def call(self, function, args, kwargs):
        """``function`` is about to be called."""
        while True:  # what only passes the call on
            if isinstance(function, types.MethodType):
                function, args = function.__func__, [function.__self__, *args]
            elif isinstance(function, functools.partial):
                self.reads.contents(function.keywords)
                args, kwargs = [*function.args, *args], {**function.keywords, **kwargs}
                function = function.func
            elif isinstance(function, staticmethod):
                function = function.__func__
            else:
                break
        if isinstance(function, types.FunctionType):
            self._python(function, args, kwargs)
            return None
        if isinstance(function, functools._lru_cache_wrapper):
            self.reads.cache(function)
            self._look_into(args, kwargs)
            return None
        if isinstance(function, REPLAYED_TYPES):
            return self._replayed(function, args)
        if not isinstance(function, (type, *_C_METHODS, *_DESCRIPTORS)):
            if isinstance(getattr(type(function), "__call__", None), types.FunctionType):
                return None  # Python's code, which is observed
        return self._in_c(function, args, kwargs)

    def _python(self, function, args, kwargs):
        if function.__module__.split(".")[0] == "rushlight" if function.__module__ else False:
            self._look_into(args, kwargs)

    def _look_into(self, args, kwargs):
        for x in (*args, *kwargs.values()):
            self.look(x)

    def look(self, x):
        """An operand was used in a way that may depend on all that is in it."""
        if isinstance(x, Tensor) or x is NULL:
            return
        if hasattr(type(x), "__next__") and self.origins.is_outer(x):
            self.refuse(
                f"the function reads from a {type(x).__name__}, which gives something else at "
                "each call; read it outside torch.compile, and pass what it gave"
            )
        self.reads.contents(x)

    def _replayed(self, function, args):
        self._look_into(args, {})
        outer = [x for x in args if not self.origins.is_outer(x)]
        if outer or not (self.origins.is_outer(function)):
            return self._hold
        return lambda result: result is NULL or self.reads.replay(function, args, result)

    def _hold(self, result):
        if result is not NULL:
            self.origins.note_outer(result)

    # Functions in C ---------------------------------------------------------------------

    def _in_c(self, function, args, kwargs):
        home, name = home_of(function)
        bound = getattr(function, "__self__", None)
        if bound is not None and not isinstance(bound, types.ModuleType):
            args = [bound, *args]
        if home == "builtins" and name in _ATTRIBUTES and not isinstance(function, type):
            return self._attribute_function(name, args)
        if function is type:
            return self._type(args)
        if name in _METHODS_OF_ATTRIBUTES and args:
            return self._attribute_function(name, args)
        if isinstance(home, type) and issubclass(home, dict) and name in _DICT_METHODS:
            return self._dict_method(name, args)
        if home == "builtins" and name == "len":
            return self._length(args)
        full = f"{home.__module__ if isinstance(home, type) else home}.{name}"
        if full in REPLAYED:
            return self._replayed(function, args[1:] if bound is args[0:1] else args[len(args) :])
        if not is_pure(function):
            self._refuse_unknown(function, home, name)
        if name in MUTATORS and args and not isinstance(function, type):
            self._change(args[0])
            args = args[1:]
        self._look_into(args, kwargs)
        return self._made if isinstance(function, type) or name in _MAKERS else None

    def _made(self, result):
        if result is not NULL:
            self.origins.note_made(result)

    def _refuse_unknown(self, function, home, name):
        where = home.__name__ if isinstance(home, type) else home
        place = "" if where == "builtins" else f"{where}."
        self.refuse(
            f"the function calls {place}{name}(), which may read or change more than a program "
            "knows of; call it outside torch.compile, and pass what it gives"
        )

    def _change(self, x):
        """A method is about to change ``x``."""
        if self.origins.is_outer(x) and hasattr(x, "__len__") and not isinstance(x, Tensor):
            if isinstance(x, np.ndarray | list | dict | set | bytearray) or hasattr(x, "copy"):
                self.reads.contents(x)
                self.effects.will_change(x)
            else:
                self.refuse(f"the function changes a {type(x).__name__} from outside")
        elif hasattr(type(x), "__next__"):
            self.look(x)

    def _length(self, args):
        (x,) = args if len(args) == 1 else (None,)
        if isinstance(x, (list, dict, set)) and not isinstance(type(x).__len__, types.FunctionType):
            self.reads.length(x, len(x))
        else:
            self._look_into(args, {})
        return None

    def _dict_method(self, name, args):
        owner, *rest = args
        key = rest[0] if rest else None
        if not self.origins.is_outer(owner):
            self._look_into(rest, {})
            return None
        if name == "__len__":
            self.reads.length(owner, len(owner))
        elif name in ("pop", "setdefault"):
            self._change(owner)
        else:
            return functools.partial(self._found, owner, key)
        return None

    def _found(self, owner, key, result):
        there = dict.__contains__(owner, key)
        if there:
            self.reads.entry(owner, key, dict.__getitem__(owner, key))
        else:
            self.reads.absent(owner, key)

    def _type(self, args):
        if len(args) == 1 and type(args[0]) is Number:
            raise Unsuited
        self._look_into(args[1:], {})
        return self._made if len(args) > 1 else None

    # Attributes -------------------------------------------------------------------------

    def _attribute_function(self, name, args):
        if name == "id":
            if args and isinstance(args[0], Tensor) and self._is_argument(args[0]):
                self.refuse("the function asks for the id() of a tensor, another one in each call")
            return None
        if name in ("vars", "globals"):
            if args and self.origins.is_outer(args[0]) or name == "globals":
                return self._hold
            return None
        owner, key = args[0], args[1] if len(args) > 1 else None
        if type(key) is not str:
            return None
        if name in ("setattr", "__setattr__"):
            self.store_attribute(owner, key, direct=name != "setattr")
        elif name in ("delattr", "__delattr__"):
            self.store_attribute(owner, key, direct=name != "delattr")
        elif name == "hasattr":
            return lambda result: self._asked(owner, key, result)
        else:
            return functools.partial(self.attribute, owner, key, name == "getattr")
        return None

    def _asked(self, owner, key, result):
        if result is NULL or is_module(owner) is None:
            return
        if result:
            if self.origins.is_outer(owner):
                self.reads.note(f"{{1}}({{0}}, {key!r})", (owner, hasattr), True)
        else:
            self.reads.missing(owner, key)

    def attribute(self, owner, name, default, result):
        """An attribute was read; ``default``: ``result`` may be there in its place."""
        if result is NULL:
            self.reads.missing(owner, name)
        elif default and not hasattr(owner, name):
            self.reads.missing(owner, name)
        else:
            self.reads.attribute(owner, name, result)

    def store_attribute(self, owner, name, direct=False):
        """An attribute is about to be set or deleted; ``direct``: past the class's own method."""
        if not self.origins.is_outer(owner):
            return
        method = type(owner).__setattr__
        if isinstance(method, types.FunctionType) and not direct:
            return  # Python's code, which is observed
        place = place_of(owner, name)
        if place is not None:
            self.effects.will_assign(*place)


#: Methods in C that give a new list, dict or the like.
_MAKERS = frozenset((
    "copy", "items", "keys", "values", "split", "__new__", "sorted", "union", "intersection",
    "difference", "__class_getitem__", "iter", "map", "zip", "enumerate", "fromkeys",
))  # fmt: skip


def is_module(value):
    """Whether ``value`` is a Module."""
    return hasattr(type(value), "_call_impl")


def place_of(owner, name):
    """(owner, template) of the place of an attribute; None where Python's code sets it."""
    member = member_of(type(owner), name)
    if isinstance(member, property) or hasattr(getattr(type(member), "__set__", None), "__code__"):
        return None
    if not isinstance(owner, type):
        own = attributes_of(owner)
        if own is not None and not hasattr(type(member), "__set__"):
            return own, item(name)
    return owner, f"{{0}}.{name}"
