"""Calls from observed code to functions that are not observed: their reads and writes."""

import abc
import array
import decimal
import functools
import operator
import string
import types
import weakref

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.capture.outer_arrays import Array
from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber
from rushlight.compiler.python.comparisons import same_objects
from rushlight.compiler.python.frames import NULL
from rushlight.compiler.python.known import (
    ADDING,
    MUTATORS,
    OF_VALUES,
    REPLAYED,
    REPLAYED_OURS,
    REPLAYED_TYPES,
    home_of,
    is_pure,
)
from rushlight.compiler.python.locations import item, member_of
from rushlight.compiler.python.reads import attributes_of, is_users
from rushlight.compiler.python.specials import (
    asked_by_function,
    note_making,
    note_special,
)
from rushlight.compiler.run.handlers import is_of_handler
from rushlight.ours import is_ours
from rushlight.tensor import Tensor

__all__ = ["Calls", "Unsuited"]

#: Builtin functions that read or write attributes, or ask for an object's type or identity.
_ATTRIBUTES = {"getattr", "hasattr", "setattr", "delattr", "vars", "globals", "type", "id"}
_METHODS_OF_ATTRIBUTES = {"__getattribute__", "__setattr__", "__delattr__"}
_C_METHODS = (types.BuiltinFunctionType, types.MethodWrapperType)
_DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType)
_NUMBERS = (int, float, complex, bool)  # their methods reject a stand-in for a number
_BUFFERS = np.ndarray | bytearray | array.array
_DICT_METHODS = {"get", "__getitem__", "__contains__", "pop", "setdefault", "__len__"}


class Unsuited(Exception):
    """The code can distinguish a stand-in from the real object: record again without stand-ins."""


class Calls:
    """Notes what the calls of one recorded function read and write.

    The methods for calls return None, or a function that must be told the call's result (``NULL``
    if the call raised).
    """

    def __init__(self, observer):
        self.reads, self.effects = observer.reads, observer.effects
        self.origins, self.refuse = observer.origins, observer.refuse
        self._is_argument = observer.is_argument

    def call(self, function, args, kwargs):
        """Note that ``function`` is about to be called."""
        while True:  # unwrap objects that only pass the call on
            if isinstance(function, types.MethodType):
                function, args = function.__func__, [function.__self__, *args]
            elif isinstance(function, functools.partial):
                self.reads.partial(function)
                args, kwargs = [*function.args, *args], {**function.keywords, **kwargs}
                function = function.func
            elif isinstance(function, staticmethod):
                function = function.__func__
            else:
                break
        if isinstance(function, types.FunctionType):
            return self._python(function, args, kwargs)
        if isinstance(function, functools._lru_cache_wrapper):
            self._look_into(args, kwargs)
            return self._cached(function, args, kwargs)
        if isinstance(function, REPLAYED_TYPES):
            return self._replayed(function, args)
        if isinstance(function, type):
            note_making(self.reads, function)
        in_c = isinstance(function, (type, *_C_METHODS, *_DESCRIPTORS))
        if not in_c and isinstance(member_of(type(function), "__call__"), types.FunctionType):
            note_special(self.reads, function, ("__call__",))
            return None  # the method is Python code, which is observed itself
        return self._in_c(function, args, kwargs)

    def call_with_unknown(self, function):
        """Note a call that takes its arguments from an iterator."""
        inner = function.__func__ if isinstance(function, types.MethodType) else function
        if not isinstance(inner, types.FunctionType) or is_ours(inner):
            self.refuse(
                f"the function spreads an iterator as the arguments of {function!r}; make a list "
                "or a tuple of it"
            )

    def _python(self, function, args, kwargs):
        if not is_ours(function):
            return None
        self._look_into(args, kwargs)
        name = function.__name__
        if args and isinstance(args[0], Tensor) and name not in OF_VALUES:
            return lambda result: self.reads.told(function, args, kwargs, result)
        if name in REPLAYED_OURS and not args and not kwargs:
            return lambda result: result is NULL or self.reads.replay(function, (), result)
        return None

    def _look_into(self, args, kwargs):
        for x in (*args, *kwargs.values()):
            self.look(x)

    def look(self, x):
        """Note that an operand was used in a way that may depend on everything inside it."""
        if isinstance(x, Tensor) or x is NULL:
            own = getattr(x, "__dict__", None)
            if own:  # attributes that the user set on a tensor are copied with the tensor
                self.origins.note_outer(own)
                self.reads.contents(own)
            return
        if hasattr(type(x), "__next__") and self.origins.is_outer(x):
            self.refuse(
                f"the function reads from a {type(x).__name__}, which gives something else at "
                "each call; read it outside torch.compile, and pass what it gave"
            )
        of_class = type(x) is weakref.ref and isinstance(x(), type)  # inspect asks for these
        if type(x).__module__ == "weakref" and not of_class:
            self.refuse(f"the function reads from a {type(x).__name__}, which may lose entries")
        if type(x) is decimal.Decimal:
            self.reads.note("{0}()", (_decimal_context,), _decimal_context())
        self.reads.contents(x)

    def _cached(self, function, args, kwargs):
        """Call a function with an ``lru_cache`` before the recorded code calls it.

        Otherwise the cache would keep abstract values, which have no elements.
        """
        given = [*args, *kwargs.values()]
        if not self.origins.is_outer(function) or any(isinstance(x, Tensor) for x in given):
            return None
        before = function.cache_info()
        try:
            with mode.suspended():
                function(*args, **kwargs)
        except Exception as error:  # it raises again in the recording
            if is_of_handler(error):
                raise
        now = function.cache_info()
        if now.currsize == before.currsize != now.maxsize and now.misses != before.misses:
            self.refuse(f"{function.__name__}(), which has a cache, raises an error")
        # Each run asks the cache again; the function runs at most as often as in eager calls.
        return lambda result: result is NULL or self.reads.replay(function, args, result, kwargs)

    def _replayed(self, function, args):
        self._look_into(args, {})
        outer = [x for x in args if not self.origins.is_outer(x)]
        if isinstance(function, operator.attrgetter) and not self.origins.is_outer(function):
            return self._got(function, args)
        if outer or not (self.origins.is_outer(function)):
            return self._hold
        if isinstance(function, weakref.ref):
            return functools.partial(self._referred, function)
        return lambda result: result is NULL or self.reads.replay(function, args, result)

    def _got(self, function, args):
        """Note the attributes that an ``attrgetter`` reads, which the call itself made."""
        for path in function.__reduce__()[1]:
            owner = args[0]
            for name in path.split("."):
                found = getattr(owner, name, NULL)
                self.attribute(owner, name, False, found)
                owner = found
        return self._hold

    def _referred(self, reference, result):
        """Note whether the object of a weak reference is alive. It can't become another object."""
        self.reads.note("{0}() is None", (reference,), result is None)
        self.reads.weak[id(result)] = reference
        self._hold(result)

    def _hold(self, result):
        if result is not NULL:
            self.origins.note_outer(result)

    def hold_what_is_in(self, owner):
        """Return ``_hold`` if ``owner`` was there before the call; its contents then were, too."""
        is_outer = isinstance(owner, type | types.ModuleType) or self.origins.is_outer(owner)
        return self._hold if is_outer else None

    # Functions in C ---------------------------------------------------------------------

    def _in_c(self, function, args, kwargs):
        home, name = home_of(function)
        for x in args:
            note_special(self.reads, x, asked_by_function(name))
        bound, given = getattr(function, "__self__", None), args
        if bound is not None and not isinstance(bound, types.ModuleType):
            args = [bound, *args]
            if self.origins.is_outer(function):
                self.origins.note_outer(bound)
        if home in _NUMBERS and any(type(x) is SymbolicNumber for x in given):
            raise Unsuited
        if home == "builtins" and name in _ATTRIBUTES and not isinstance(function, type):
            return self._attribute_function(name, args)
        if function is type:
            return self._type(args)
        if name in _METHODS_OF_ATTRIBUTES and args:
            return self._attribute_function(name, args)
        if isinstance(home, type) and issubclass(home, dict) and name in _DICT_METHODS:
            return self._dict_method(name, args)
        if home == "builtins" and name == "len":
            if isinstance(args[0], Tensor):
                return lambda result: self.reads.told(len, args, {}, result)
            return self._length(args)
        if name in ("format", "format_map", "vformat") and any(
            field and {*".["} & {*field} for _, field, _, _ in _fields(args[0])
        ):
            self.refuse(f"the text {args[0]!r} reads attributes or items when it is formatted")
        for x in (*args, *kwargs.values()):
            self._passed(x)
        full = f"{home.__module__ if isinstance(home, type) else home}.{name}"
        if full in REPLAYED:
            return self._replayed(function, given)
        if home == "builtins" and name == "dir" and args and self.origins.is_outer(args[0]):
            return functools.partial(self._listed, args[0])
        if home == "builtins" and name in ("isinstance", "issubclass"):
            self._is_instance(args)
        if name in ("__reduce_ex__", "__reduce__", "__getstate__"):
            own = attributes_of(args[0])
            if own and self.origins.is_outer(args[0]):
                self.origins.note_outer(own)
                self.reads.contents(own)
        if name == "__subclasses__":
            return functools.partial(self._subclasses, args[0])
        if not is_pure(function):
            self._refuse_unknown(function, home, name)
        if home == "_operator" and name in _OPERATORS_THAT_CHANGE:
            name = "__setitem__"
        if name in MUTATORS and args and not isinstance(function, type):
            self._change(args[0], reads=name not in ADDING)
            args = args[1:]
        for x in (*args, *kwargs.values()):  # it may write to them: pack_into, copyto, out=
            self._write(x)
        self._look_into(args, kwargs)
        return self._made if isinstance(function, type) or name in _MAKERS else None

    def _passed(self, x):
        """Check a function in C that is passed to another one, which may call it unobserved."""
        if not isinstance(x, (*_C_METHODS, *_DESCRIPTORS, *REPLAYED_TYPES)):
            return
        home, name = home_of(x)
        reads = (home == "builtins" and name in _ATTRIBUTES) or isinstance(x, REPLAYED_TYPES)
        bound = getattr(x, "__self__", None)
        changes = name in MUTATORS and (bound is None or self.origins.is_outer(bound))
        if reads or name in _METHODS_OF_ATTRIBUTES or changes or not is_pure(x):
            self.refuse(f"the function hands {name}() to a function in C, which may call it")
        if bound is not None and not isinstance(bound, types.ModuleType):
            self.look(bound)

    def _subclasses(self, cls, result):
        if result is not NULL and self.origins.is_outer(cls):
            known = (cls, same_objects, [*result])
            self.reads.note("{1}({0}.__subclasses__(), {2})", known, True)

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

    def _write(self, x):
        """Note that a function got ``x``, and may write to its memory.

        A comparison after the recording tells whether it did.
        """
        if isinstance(x, tuple):
            for part in x:
                self._write(part)
        elif isinstance(x, _BUFFERS):
            self._change(x)

    def _change(self, x, reads=True):
        """Note that ``x`` is about to be changed; with ``reads``, depending on its contents."""
        base = getattr(x, "base", None) if isinstance(x, np.ndarray | np.flatiter) else None
        if isinstance(base, np.ndarray) and not self.origins.is_outer(x):
            self._change(base, reads)
            return
        if self.origins.is_outer(x) and hasattr(x, "__len__") and not isinstance(x, Tensor):
            if isinstance(x, np.ndarray | list | dict | set | bytearray) or hasattr(x, "copy"):
                if reads:
                    self.reads.contents(x)
                self.effects.will_change(x)
            else:
                self.refuse(f"the function changes a {type(x).__name__} from outside")
        elif hasattr(type(x), "__next__"):
            self.look(x)

    def _listed(self, x, names):
        if names is not NULL:
            self.reads.note("{1}({0}) == {2}", (x, dir, [*names]), True)

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

    def _is_instance(self, args):
        """Note the class of an object that was tested, because it may be assigned another class."""
        x, kinds = args if len(args) == 2 else (None, ())
        if not isinstance(x, type) and is_users(type(x)) and self.origins.is_outer(x):
            self.reads.note("type({0})", (x,), type(x))
        if any(isinstance(kind, abc.ABCMeta) for kind in _flat(kinds)):
            token = abc.get_cache_token  # the token changes whenever a class is registered
            self.reads.note("{0}()", (token,), token())

    def _type(self, args):
        if len(args) == 1 and type(args[0]) in (Array, SymbolicNumber):
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
            if args and self.origins.is_outer(args[0]):
                return functools.partial(self._variables, args[0])
            return self._hold if name == "globals" else None
        owner, key = args[0], args[1] if len(args) > 1 else None
        if type(key) is not str:
            return None
        if name in ("setattr", "__setattr__"):
            self.store_attribute(owner, key, direct=name != "setattr")
        elif name in ("delattr", "__delattr__"):
            self.store_attribute(owner, key, direct=name != "delattr", deletes=True)
        elif name == "hasattr":
            return lambda result: self._asked(owner, key, result)
        else:
            return functools.partial(self.attribute, owner, key, name == "getattr")
        return None

    def _variables(self, owner, result):
        if type(result) is dict:
            self.reads.note("{0}.__dict__", (owner,), result)
        self._hold(result)

    def _asked(self, owner, key, result):
        if result is NULL or is_module(owner) is None:
            return
        if result:
            if self.origins.is_outer(owner):
                self.reads.note(f"{{1}}({{0}}, {key!r})", (owner, hasattr), True)
        else:
            self.reads.missing(owner, key)

    def attribute(self, owner, name, default, result):
        """Note that an attribute was read.

        With ``default``, ``result`` may be the default that ``getattr`` returns for a missing one.
        """
        if result is NULL or (default and not hasattr(owner, name)):
            self.reads.missing(owner, name)
        else:
            self.reads.attribute(owner, name, result)

    def store_attribute(self, owner, name, direct=False, deletes=False):
        """Note that an attribute is about to be set, or deleted with ``deletes``.

        With ``direct``, the class's own ``__setattr__`` or ``__delattr__`` is bypassed.
        """
        if not self.origins.is_outer(owner):
            return
        method = type(owner).__delattr__ if deletes else type(owner).__setattr__
        if isinstance(method, types.FunctionType) and not direct:
            return  # the method is Python code, which is observed itself
        # In some dicts the attributes are the entries.
        if method in (dict.__setitem__, dict.__delitem__) and not direct:
            self.effects.will_assign(owner, item(name), deletes)
            return
        self._keep_settable(owner, name)
        place = place_of(owner, name)
        if place is not None:
            if place[0] is not owner:
                self.reads.note("{0}.__dict__", (owner,), place[0])
            self.effects.will_assign(*place, deletes)

    def _keep_settable(self, owner, name):
        """Note the class's member of this name.

        If it stays, later calls set the attribute in the same way, without a new property.
        """
        kind = type(owner)
        if is_users(kind):
            self.reads.class_member(kind, name, member_of(kind, name))


def _decimal_context():
    """The settings on which the results of decimal arithmetic depend."""
    c = decimal.getcontext()
    return c.prec, c.rounding, c.Emin, c.Emax, c.capitals, c.clamp


def _fields(text):
    """The parsed fields of a text for ``format``; none if the text can't be parsed."""
    try:
        return [*string.Formatter().parse(text)]
    except (TypeError, ValueError):
        return []


def _flat(kinds):
    return [k for kind in kinds for k in _flat(kind)] if isinstance(kinds, tuple) else [kinds]


#: Functions of ``operator`` that change their first argument.
_OPERATORS_THAT_CHANGE = frozenset((
    "setitem", "delitem", "iadd", "iand", "iconcat", "ifloordiv", "ilshift", "imatmul", "imod",
    "imul", "ior", "ipow", "irshift", "isub", "itruediv", "ixor",
))  # fmt: skip
#: Methods in C that return a new list, dict or the like.
_MAKERS = frozenset((
    "copy", "items", "keys", "values", "split", "__new__", "sorted", "union", "intersection",
    "difference", "__class_getitem__", "iter", "map", "zip", "enumerate", "fromkeys",
))  # fmt: skip


def is_module(value):
    """Whether ``value`` is a Module."""
    return hasattr(type(value), "_call_impl")


def place_of(owner, name):
    """(owner, template) of the place of an attribute; None if Python code sets the attribute."""
    member = member_of(type(owner), name)
    if isinstance(member, property) or hasattr(getattr(type(member), "__set__", None), "__code__"):
        return None
    if not isinstance(owner, type):
        proxied = type(owner) in weakref.ProxyTypes
        own = getattr(owner, "__dict__", None) if proxied else attributes_of(owner)
        if type(own) is dict and not hasattr(type(member), "__set__"):
            return own, item(name)
    return owner, f"{{0}}.{name}"
