"""Conditions under which a function reads the same from Python's objects as it did.

A condition is (template, objects, value): the template, an expression of the objects' names, gives
the value. It repeats the read itself where that runs no Python code: ``{0}.rate``, ``{0}['rate']``.
Numbers, texts and the like are compared by value, all else by identity; of lists, dicts and small
arrays that were looked into, what is in them too. Objects that the recorded call made itself are
no matter.
"""

import enum
import functools
import sys
import threading
import types
from collections import ChainMap, UserDict, defaultdict, deque

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.python.comparisons import equal, is_plain, same_objects
from rushlight.compiler.python.locations import item, member_of
from rushlight.dtype import dtype
from rushlight.errors import TraceError
from rushlight.storage import UntypedStorage
from rushlight.tensor import Tensor

__all__ = ["Reads", "is_users"]

#: Up to this many items or entries are looked at one by one, those of larger containers together.
_ITEMS = 1 << 10
#: Up to this many bytes of an array are compared at each call; of larger ones tensors are made.
_BYTES = 1 << 16
#: Up to this many are compared where an array lies in no place of its own.
_MOST_BYTES = 1 << 20
#: What functions tell of a tensor that is none of its values.
_FACTS = (bool, int, str, tuple, dtype, UntypedStorage)
_DICTS = (dict, UserDict, ChainMap, types.MappingProxyType)
_VIEWS: tuple = (type({}.keys()), type({}.values()), type({}.items()))
_FOREIGN = frozenset({*sys.stdlib_module_names, "rushlight", "torch", "numpy", "scipy"})
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_ARRAY = Tensor.__dict__["array"]
_METHODS = (
    types.FunctionType, classmethod, staticmethod, property, functools.cached_property,
    functools.partialmethod, functools.singledispatchmethod,
)  # fmt: skip


def is_users(cls):
    """Whether a class is neither Python's nor ours."""
    return (getattr(cls, "__module__", None) or "").split(".")[0] not in _FOREIGN


def _own(owner):
    return object.__getattribute__(owner, "__dict__")


def attributes_of(owner):
    """The dict of an object's attributes, read past its class's methods; None if it has none.

    A ``threading.local`` has one in each thread.
    """
    if isinstance(owner, threading.local):
        return None
    try:
        found = _own(owner)
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _is_missing(owner, name):
    return not hasattr(owner, name)


def has_options(owner):
    """Whether schedulers move what lies in ``owner``: it is theirs, or an optimizer's group."""
    return type(owner) is dict and ("_last_lr" in owner or ("params" in owner and "lr" in owner))


def _memory(tensor):
    """The bytes of a tensor's storage, and which of them is its first."""
    return tensor.untyped_storage().nbytes(), tensor.storage_offset()


def _is_recorded(value):
    """Whether ``value`` is a tensor that the recording made."""
    return isinstance(value, Tensor) and isinstance(_array_of(value), Abstract)


def _array_of(tensor):
    """A tensor's array; None of a lazy parameter, which has none yet."""
    try:
        return _ARRAY.__get__(tensor)
    except AttributeError:
        return None


class Reads:
    """The conditions of one recorded call.

    Args:
        is_apart: Whether a container is an argument, so that the call's guards cover it.

    Attributes:
        conditions: Each once, in the order of the reads.
        places: (template, id of the owner) → (template, owner, value) of what was read from an
            attribute, variable or entry that can be assigned.
        reads_options: Whether a number was read that schedulers move.
        weak: id → reference, of objects that a program is not to keep alive.
        large: id → array, of those whose elements are too many to compare at each call.
    """

    def __init__(self, origins, effects, is_apart):
        self.origins, self.effects, self.is_apart = origins, effects, is_apart
        self.conditions: list = []
        self.places: dict = {}
        self.large: dict = {}
        self.apart: set = set()  # places with stand-ins, or that are arguments
        self.weak: dict = {}
        self._noted: set = set()
        self._inside: set = set()  # containers whose contents were noted
        self.reads_options = False

    def note(self, template, objects, value):
        """Add a condition."""
        key = template, *map(id, objects)
        if key not in self._noted:
            self._noted.add(key)
            self.conditions.append((template, objects, value))
            for x in objects:
                self.origins.note_outer(x)

    def _value(self, template, objects, value, owner, place):
        """Note what was found in a place: that it lies there, or nothing if the call put it."""
        key = place, id(owner)
        self.reads_options |= has_options(owner)
        if key in self.effects.places or id(owner) in self.effects.containers:
            return
        if _is_recorded(value):
            return
        self._hold(value)
        if key in self.apart:
            return
        self.places.setdefault(key, (place, owner, value))
        self.effects.known.add(key)
        self.note(template, objects, value)

    def _hold(self, value):
        """What lay in an object of before was there before as well."""
        if not is_plain(value):
            self.origins.note_outer(value)

    # Attributes -------------------------------------------------------------------------

    def attribute(self, owner, name, value):
        """The attribute ``name`` of ``owner`` was read, and was ``value``."""
        if isinstance(owner, enum.Enum):  # known by itself, but what it keeps may change
            self.origins.note_outer(owner)
        elif is_plain(owner) or not self.origins.is_outer(owner):
            return
        if isinstance(owner, type):
            self._class_attribute(owner, name, value)
            return
        cls, own = type(owner), attributes_of(owner)
        member = member_of(cls, name)
        data = member is not None and hasattr(type(member), "__set__")
        if own is not None and name in own and not data:
            template, objects = f"{{0}}.{name}", (owner,)
            if member_of(cls, "__getattribute__") is not object.__getattribute__:
                template, objects = item(name), (own,)
                if isinstance(owner, types.ModuleType):
                    template, objects = f"{{0}}.{name}", (owner,)
            self._value(template, objects, value, own, item(name))
        elif isinstance(owner, threading.local) and member is None:
            self._again(owner, name, value, is_place=True)
        elif isinstance(owner, Tensor):
            if name == "__dict__":  # Python may make it only now
                self._hold(value)
            self.tensor(owner, f"{{0}}.{name}", value)
        elif member is None:
            self._looked_up(owner, cls, own, name, value)
        elif isinstance(member, _METHODS) or (
            hasattr(type(member), "__get__") and _in_python(type(member).__get__)
        ):
            self._member(owner, cls, own, name, member)
        elif is_users(cls) or data:
            self._again(owner, name, value, data)

    def tensor(self, tensor, template, value):
        """Note what was asked about a tensor of before, which the program may have no part in."""
        recorder = mode.state.recorder
        known = is_plain(value) or isinstance(value, dtype)
        if known and recorder is not None and recorder.is_outer(tensor):
            self.note(template, (tensor,), value)

    def told(self, function, args, kwargs, result):
        """A function of this package told ``result`` of a tensor of before: what it is like."""
        tensor, *others = args
        recorder = mode.state.recorder
        if recorder is None or not isinstance(result, _FACTS) or _array_of(tensor) is None:
            return
        if not recorder.is_outer(tensor):
            return
        if isinstance(result, UntypedStorage):
            function, kwargs, result = _memory, {}, _memory(tensor)
        if all(map(is_plain, (result, *others, *kwargs.values()))) or isinstance(result, dtype):
            self.replay(function, args, result, kwargs)

    def _class_attribute(self, cls, name, value):
        if not is_users(cls) or isinstance(value, types.MethodType):
            if isinstance(value, types.MethodType) and is_users(cls):
                self.note(f"{{0}}.{name}.__func__", (cls,), value.__func__)
            return
        kind = type(cls)
        if member_of(cls, name) is None and isinstance(member_of(kind, name), _METHODS):
            if is_users(kind):
                self.class_member(kind, name, member_of(kind, name))
        else:
            self._value(f"{{0}}.{name}", (cls,), value, cls, f"{{0}}.{name}")

    def _looked_up(self, owner, cls, own, name, value):
        """What no place has was found by a method: a Module's looks into its registries."""
        if own is not None and own.keys() >= {*_REGISTRIES}:
            for registry in _REGISTRIES:
                if own[registry].get(name) is value and name in own[registry]:
                    self.entry(own[registry], name, value)
                    return
        found = member_of(cls, "__getattr__")
        if found is dict.__getitem__:
            self.entry(owner, name, value)
        elif not _in_python(found):
            self._again(owner, name, value)
        elif is_users(cls):
            self.class_member(cls, "__getattr__", found)
            self.class_member(cls, name, None)
            if own is not None:
                self.note("{1} not in {0}", (own, name), True)

    def _member(self, owner, cls, own, name, member):
        """A method or property: Python runs its code, which is observed by itself."""
        if not is_users(cls):
            kept = own is not None and not isinstance(member, types.FunctionType | property)
            if kept and not hasattr(type(member), "__set__"):  # in an attribute, once computed
                self.note("{1} not in {0}", (own, name), True)
            return
        self.note("type({0})", (owner,), cls)
        self.class_member(cls, name, member)
        if own is not None and not hasattr(type(member), "__set__"):
            self.note("{1} not in {0}", (own, name), True)

    def class_member(self, cls, name, member):
        """The class has this member, of its own or by inheritance."""
        if isinstance(member, types.FunctionType | property):
            self.note(f"{{0}}.{name}", (cls,), member)
        elif isinstance(member, classmethod):
            self.note(f"{{0}}.{name}.__func__", (cls,), member.__func__)
        else:
            self.note(f"{{1}}({{0}}, {name!r})", (cls, member_of), member)

    def _again(self, owner, name, value, is_place=False):
        """Note the read itself, if it gives the same thing when it is done again."""
        try:
            again = getattr(owner, name)
        except AttributeError:
            return
        if again is value or (is_plain(value) and is_plain(again) and equal(again, value)):
            template = f"{{0}}.{name}"
            if is_place:
                self._value(template, (owner,), value, owner, template)
            elif not _is_recorded(value):
                self._hold(value)
                self.note(template, (owner,), value)

    def missing(self, owner, name):
        """``owner`` has no attribute of this name."""
        own = attributes_of(owner)
        key = (f"{{0}}.{name}", id(owner)) if own is None else (item(name), id(own))
        if self.origins.is_outer(owner) and key not in self.effects.places:
            self.note(f"{{1}}({{0}}, {name!r})", (owner, _is_missing), True)

    # Containers -------------------------------------------------------------------------

    def entry(self, container, key, value):
        """``container[key]`` was read, and was ``value``."""
        if not self.origins.is_outer(container) or self.is_apart(container):
            return
        if self._is_changed(container):
            return
        if isinstance(container, (tuple, frozenset, str, bytes)):
            self._hold(value)
            return
        if isinstance(container, np.ndarray) or not is_plain(key):
            self.contents(container)
            return
        if isinstance(key, slice):
            self.contents(container)
            return
        template = item(key)
        if (
            hasattr(type(container), "__missing__")
            and isinstance(container, dict)
            and (dict.__contains__(container, key))
        ):
            self.note("{1} in {0}", (container, key), True)
        if template is not None and isinstance(container, dict | list | deque):
            self._value(template, (container,), value, container, template)
        elif id(container) not in self.effects.containers:
            self._hold(value)
            self.note("{0}[{1}]", (container, key), value)

    def weak_entry(self, container, key, value):
        """A dict of the module weakref, whose own code is not followed, has this, or None."""
        if self.is_open(container) and not _is_recorded(value):
            self.note("{0}.get({1})", (container, key), value)

    def absent(self, container, key):
        """``container`` has no such key, or did not contain it."""
        if self.origins.is_outer(container) and not self.is_apart(container):
            changed = (item(key), id(container)) in self.effects.places
            if not changed and not self._is_changed(container):
                self.note("{1} not in {0}", (container, key), True)

    def length(self, container, count):
        """Only the length of a container was asked for."""
        if not self._is_changed(container) and self.is_open(container):
            self.note("len({0})", (container,), count)

    def is_open(self, container):
        """Whether something is to be noted of a container, or of a view of one."""
        known = id(container) in self.effects.containers or self.is_apart(container)
        return not known and self.origins.is_outer(container)

    def contents(self, value):
        """All of ``value`` was looked at, and of the containers in it."""
        if isinstance(value, _VIEWS):
            value = value.mapping
        if is_plain(value) or isinstance(value, Tensor):
            return
        if isinstance(value, tuple | frozenset):
            for x in value:
                self.contents(x)
            return
        if self._is_changed(value):
            return
        if id(value) in self._inside or not self.is_open(value):
            if isinstance(value, list | dict) and self.is_apart(value):
                return
            self._in_made(value)
            return
        self._all_of(value, value)

    def _all_of(self, value, found):
        """Note the contents of a container, which are those of ``found``."""
        self._inside.add(id(value))
        if isinstance(value, _DICTS):
            self._dict(value, found)
        elif isinstance(value, list | deque):
            self._list(value, found)
        elif isinstance(value, set):
            self.note("{0} == {1}", (value, found.copy()), True)
        elif isinstance(value, np.ndarray):
            self._array(value, found)
        else:
            self._memory(value)

    def _is_changed(self, container):
        """Whether the call changed a container before it was read: then all is noted of before."""
        if id(container) not in self.effects.containers or self.is_apart(container):
            return False
        if id(container) not in self._inside:
            known = self.effects.containers.pop(id(container))
            self._all_of(*known)
            self.effects.containers[id(container)] = known
        return True

    def _memory(self, value):
        """What lets others look at its memory: arrays of numbers, bytes, ctypes' objects, maps."""
        try:
            known = bytes(memoryview(value))
        except (TypeError, ValueError):
            return
        self.note("bytes({2}({0})) == {1}", (value, known, memoryview), True)

    def _in_made(self, value):
        """A container that the call made may hold others of before."""
        if id(value) in self._inside or not isinstance(value, list | dict | set | deque):
            return
        if not self.origins.is_outer(value):
            for x in value.values() if isinstance(value, dict) else value:
                self.contents(x)

    def _list(self, value, found):
        if len(found) > _ITEMS:
            self.note("{1}({0}, {2})", (value, same_objects, [*found]), True)
        else:
            self.note("len({0})", (value,), len(found))
            for i, x in enumerate(found):
                self.entry(value, i, x)
        for x in found:
            self._within(x)

    def _dict(self, value, found):
        if isinstance(value, ChainMap | UserDict):  # Python's own: what counts lies in dicts
            name = "maps" if isinstance(value, ChainMap) else "data"
            inner = getattr(value, name)
            self._value(f"{{0}}.{name}", (value,), inner, value.__dict__, item(name))
            self._within(inner)
            return
        if isinstance(value, defaultdict):  # a copy makes entries as well
            self.note("{0}.default_factory", (value,), value.default_factory)
        keys = [*found]
        if all(map(is_plain, keys)):
            self.note("[*{0}] == {1}", (value, keys), True)
        else:
            self.note("{1}([*{0}], {2})", (value, same_objects, keys), True)
        if len(keys) > _ITEMS or not all(map(is_plain, keys)):
            values = [*found.values()]
            self.note("{1}([*{0}.values()], {2})", (value, same_objects, values), True)
        else:
            for key in keys:
                self.entry(value, key, found[key])
        for key in keys:
            self._within(found[key])

    def _within(self, value):
        if not is_plain(value) and not isinstance(value, Tensor):
            self.origins.note_outer(value)
            self.contents(value)

    def _array(self, value, found):
        if value.dtype.hasobject:
            items = found.ravel().tolist()
            self.note("{1}({0}.ravel().tolist(), {2})", (value, same_objects, items), True)
        elif value.nbytes > _BYTES:
            self.large[id(value)] = value
        else:
            self.note("{0}.tobytes() == {1}", (value, found.tobytes()), True)

    def settle_large(self):
        """Compare large arrays after all; raise where one is too large for that."""
        for array in self.large.values():
            if array.nbytes > _MOST_BYTES:
                raise TraceError(
                    f"the function reads a NumPy array of {array.nbytes} bytes, which is too much "
                    "to look at in each call; make a tensor of it with torch.from_numpy, or pass "
                    "what it needs of it"
                )
            self.note("{0}.tobytes() == {1}", (array, array.tobytes()), True)

    # Functions --------------------------------------------------------------------------

    def function(self, function):
        """A function of before ran: its code and the defaults of its parameters are the same."""
        if not self.origins.is_outer(function):
            return
        self.note("{0}.__code__", (function,), function.__code__)
        for kind in ("__defaults__", "__kwdefaults__"):
            defaults = getattr(function, kind)
            if defaults is not None:
                self.note(f"{{0}}.{kind}", (function,), defaults)
                self._within(defaults)
                for x in defaults.values() if isinstance(defaults, dict) else defaults:
                    self._hold(x)

    def partial(self, function):
        """A partial function of before passed a call on."""
        if self.origins.is_outer(function):
            for name in ("func", "args", "keywords"):
                value = getattr(function, name)
                self.note(f"{{0}}.{name}", (function,), value)
                self._within(value)

    def variable(self, cell, value):
        """The variable of a function around was read."""
        if self.origins.is_outer(cell):
            template = "{0}.cell_contents"
            self._value(template, (cell,), value, cell, template)

    def replay(self, function, args, value, kwargs=types.MappingProxyType({})):
        """A function in C gave this of what lies outside, and can be asked again."""
        names = [f"{{{i + 1}}}" for i in range(len(args))]
        names += [f"{name}={{{i + 1 + len(args)}}}" for i, name in enumerate(kwargs)]
        self._hold(value)
        self.note(f"{{0}}({', '.join(names)})", (function, *args, *kwargs.values()), value)


def _in_python(function):
    return isinstance(function, types.FunctionType)
