"""Conditions under which a function reads the same from Python's objects as in the recorded call.

A condition is (template, objects, value). The template is an expression with a placeholder for each
object; it must evaluate to the value. The expression repeats the read itself if that runs no Python
code: ``{0}.rate``, ``{0}['rate']``. Numbers, texts and the like are compared by value, all other
objects by identity. The contents of lists, dicts and small arrays are compared, too, if the call
looked into them. There are no conditions on objects that the recorded call made itself.
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
from rushlight.ours import PACKAGES
from rushlight.storage import UntypedStorage
from rushlight.tensor import Tensor

__all__ = ["Reads", "is_users"]

#: Up to this many items get a condition each; a larger container gets one condition for all.
_ITEMS = 1 << 10
#: Arrays of up to this many bytes are compared at each call; larger arrays become tensors.
_BYTES = 1 << 16
#: Up to this many bytes are compared if an array can't become a tensor.
_MOST_BYTES = 1 << 20
#: The types of facts about a tensor that do not depend on its elements.
_FACTS = (bool, int, str, tuple, dtype, UntypedStorage)
_DICTS = (dict, UserDict, ChainMap, types.MappingProxyType)
_VIEWS: tuple = (type({}.keys()), type({}.values()), type({}.items()))
_FOREIGN = frozenset({*sys.stdlib_module_names, *PACKAGES, "numpy", "scipy"})
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_ARRAY = Tensor.__dict__["_array"]
_METHODS = (
    types.FunctionType, classmethod, staticmethod, property, functools.cached_property,
    functools.partialmethod, functools.singledispatchmethod,
)  # fmt: skip


def is_users(cls):
    """Whether a class is the user's: not Python's, rushlight's, NumPy's, SciPy's or PyTorch's."""
    return (getattr(cls, "__module__", None) or "").split(".")[0] not in _FOREIGN


def _own(owner):
    return object.__getattribute__(owner, "__dict__")


def attributes_of(owner):
    """The dict of an object's attributes, read without its class's methods; None if it has none.

    None also for a ``threading.local``, which has another dict in each thread.
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
    """Whether schedulers change entries of ``owner``: a scheduler's dict, or a param group."""
    return type(owner) is dict and ("_last_lr" in owner or ("params" in owner and "lr" in owner))


def _memory(tensor):
    """(The bytes of a tensor's storage, the storage offset of its first element in elements)."""
    return tensor.untyped_storage().nbytes(), tensor.storage_offset()


def _is_recorded(value):
    """Whether ``value`` is a tensor that the recording made."""
    return isinstance(value, Tensor) and isinstance(_array_of(value), Abstract)


def _array_of(tensor):
    """A tensor's array; None for a lazy parameter, which has no array yet."""
    try:
        return _ARRAY.__get__(tensor)
    except AttributeError:
        return None


class Reads:
    """The conditions of one recorded call.

    Args:
        is_apart: A function that tells whether a container is an argument, so that the call's
            guards cover it.

    Attributes:
        conditions: The conditions, each once, in the order of the reads.
        places: (template, id of the owner) → (template, owner, value), for each read of an
            attribute, variable or entry that can be assigned.
        reads_options: Whether the call read an entry that schedulers change.
        weak: id → weak reference, for objects that a program must not keep alive.
        large: id → array, for arrays with too many elements to compare at each call.
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
        """Add the condition that ``value`` lies in a place, unless the call itself put it there."""
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
        """Note that a value in an older object was there before the call, too."""
        if not is_plain(value):
            self.origins.note_outer(value)

    # Attributes -------------------------------------------------------------------------

    def attribute(self, owner, name, value):
        """Note that the attribute ``name`` of ``owner`` was read, with the result ``value``."""
        if isinstance(owner, enum.Enum):  # compared by value, but its attributes may change
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
            if name == "__dict__":  # Python may have made the dict for this read
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
        """Note a fact about an older tensor, which may be no input of the program."""
        recorder = mode.state.recorder
        known = is_plain(value) or isinstance(value, dtype)
        if known and recorder is not None and recorder.is_outer(tensor):
            self.note(template, (tensor,), value)

    def told(self, function, args, kwargs, result):
        """Note that a function of this package returned ``result``, a fact of an older tensor."""
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
        if name == "__dict__":  # each read makes another view of the class's dict
            self._hold(value)
        elif member_of(cls, name) is None and isinstance(member_of(kind, name), _METHODS):
            if is_users(kind):
                self.class_member(kind, name, member_of(kind, name))
        else:
            self._value(f"{{0}}.{name}", (cls,), value, cls, f"{{0}}.{name}")

    def _looked_up(self, owner, cls, own, name, value):
        """Note an attribute that ``__getattr__`` found; a Module's looks into its registries."""
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
        """Note a method or property that was read; its Python code is observed when it runs."""
        if not is_users(cls):
            kept = own is not None and not isinstance(member, types.FunctionType | property)
            if kept and not hasattr(type(member), "__set__"):  # like a cached_property's result
                self.note("{1} not in {0}", (own, name), True)
            return
        self.note("type({0})", (owner,), cls)
        self.class_member(cls, name, member)
        if own is not None and not hasattr(type(member), "__set__"):
            self.note("{1} not in {0}", (own, name), True)

    def class_member(self, cls, name, member):
        """Note that the class has this member, own or inherited."""
        if isinstance(member, types.FunctionType | property):
            self.note(f"{{0}}.{name}", (cls,), member)
        elif isinstance(member, classmethod):
            self.note(f"{{0}}.{name}.__func__", (cls,), member.__func__)
        else:
            self.note(f"{{1}}({{0}}, {name!r})", (cls, member_of), member)

    def _again(self, owner, name, value, is_place=False):
        """Note the read itself as the condition, if a second read gives the same value."""
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
        """Note that ``owner`` has no attribute of this name."""
        own = attributes_of(owner)
        key = (f"{{0}}.{name}", id(owner)) if own is None else (item(name), id(own))
        if self.origins.is_outer(owner) and key not in self.effects.places:
            self.note(f"{{1}}({{0}}, {name!r})", (owner, _is_missing), True)

    # Containers -------------------------------------------------------------------------

    def entry(self, container, key, value):
        """Note that ``container[key]`` was read, with the result ``value``."""
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
        """Note the entry, or None, of a dict of the module weakref, whose code is not followed."""
        if self.is_open(container) and not _is_recorded(value):
            self.note("{0}.get({1})", (container, key), value)

    def absent(self, container, key):
        """Note that ``container`` does not have or contain ``key``."""
        if self.origins.is_outer(container) and not self.is_apart(container):
            changed = (item(key), id(container)) in self.effects.places
            if not changed and not self._is_changed(container):
                self.note("{1} not in {0}", (container, key), True)

    def length(self, container, count):
        """Note that only the length of a container was read."""
        if not self._is_changed(container) and self.is_open(container):
            self.note("len({0})", (container,), count)

    def is_open(self, container):
        """Whether reads of a container, or of a view of one, need conditions."""
        known = id(container) in self.effects.containers or self.is_apart(container)
        return not known and self.origins.is_outer(container)

    def contents(self, value):
        """Note that all of ``value`` was read, with the containers in it."""
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
        """Note the contents of a container. ``found`` has them: the container, or an older copy."""
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
        """Whether the call changed a container before it read it.

        All former contents are then noted.
        """
        if id(container) not in self.effects.containers or self.is_apart(container):
            return False
        if id(container) not in self._inside:
            known = self.effects.containers.pop(id(container))
            self._all_of(*known)
            self.effects.containers[id(container)] = known
        return True

    def _memory(self, value):
        """Note the bytes of an object that exposes its memory, such as a bytearray or an mmap."""
        try:
            known = bytes(memoryview(value))
        except (TypeError, ValueError):
            return
        self.note("bytes({2}({0})) == {1}", (value, known, memoryview), True)

    def _in_made(self, value):
        """Note the older containers in a container that the call made."""
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
        if isinstance(value, ChainMap | UserDict):  # their contents lie in other dicts
            name = "maps" if isinstance(value, ChainMap) else "data"
            inner = getattr(value, name)
            self._value(f"{{0}}.{name}", (value,), inner, value.__dict__, item(name))
            self._within(inner)
            return
        if isinstance(value, defaultdict):  # a copy of it makes entries with the factory, too
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
        """Add conditions for the large arrays that are left; raise if an array is too large."""
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
        """Note that a function ran: its code and its parameters' defaults must be the same."""
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
        """Note that a partial function passed a call on."""
        if self.origins.is_outer(function):
            for name in ("func", "args", "keywords"):
                value = getattr(function, name)
                self.note(f"{{0}}.{name}", (function,), value)
                self._within(value)

    def variable(self, cell, value):
        """Note that a variable of an enclosing function was read."""
        if self.origins.is_outer(cell):
            template = "{0}.cell_contents"
            self._value(template, (cell,), value, cell, template)

    def replay(self, function, args, value, kwargs=types.MappingProxyType({})):
        """Note that a function returned ``value``; later calls call it again and compare."""
        names = [f"{{{i + 1}}}" for i in range(len(args))]
        names += [f"{name}={{{i + 1 + len(args)}}}" for i, name in enumerate(kwargs)]
        self._hold(value)
        self.note(f"{{0}}({', '.join(names)})", (function, *args, *kwargs.values()), value)


def _in_python(function):
    return isinstance(function, types.FunctionType)
