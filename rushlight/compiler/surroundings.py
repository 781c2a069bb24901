"""What a function reads besides its arguments: closure, globals, the attributes of its objects.

Numbers, texts and the like are known by value, all else by identity; lists, dicts and small arrays
by what is in them as well. The function's code is gone through, and what it may call: functions
that it names, methods and properties of its objects. Of an object only the attributes count that
any of this code names. Tensors are inputs of the program: nothing of theirs is noted but which
tensor it is. Of libraries the code is read, but what they keep in lists and dicts is theirs.
"""

import dis
import enum
import functools
import inspect
import operator
import os
import random
import sys
import sysconfig
import time
import types
import weakref
from collections import ChainMap, UserDict, deque

import numpy as np

from rushlight.autograd.tape import Leaf
from rushlight.compiler.guard import is_plain, same_objects
from rushlight.compiler.hooks import hook_functions
from rushlight.compiler.undo import place_name
from rushlight.errors import TraceError
from rushlight.tensor import Tensor

__all__ = ["Surroundings", "surroundings"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = tuple({sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib")})
_FOREIGN = frozenset({*sys.stdlib_module_names, "rushlight", "torch", "numpy", "scipy"})
#: Up to this many entries of a dict are looked at one by one; of a larger one those that the
#: code names, and the others together.
_ENTRIES = 64
#: Up to this many items of a list are looked at one by one, and those of a longer one together.
_ITEMS = 1 << 10
#: Up to this many bytes of an array are compared at each call; of larger ones tensors are made.
_BYTES = 1 << 16
#: Up to this many are compared where an array lies in no place of its own.
_MOST_BYTES = 1 << 20
_SIMPLE = (int, float, bool, types.NoneType)
_STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_NAME", "STORE_DEREF")
_DICTS = (dict, UserDict, ChainMap, types.MappingProxyType)
#: A Module's own tables, each with conditions of its own.
_HELD = ("_parameters", "_buffers", "_modules")
_CLOCKS = {"monotonic", "perf_counter", "perf_counter_ns", "process_time", "time", "time_ns"}
#: Methods that code calls without naming them, but for those of a new object.
_SELDOM = {"__init__", "__new__", "__repr__", "__str__", "__reduce__", "__del__"}
_OF_CALLS = ("__init__", "__post_init__", "forward", "backward", "setup_context", "jvp")


def surroundings(function, objects=(), apart=False):
    """The ``Surroundings`` of ``function``.

    ``objects`` are arguments of it, of which only the identity is known so far. ``apart``: what
    the function may assign anew, and large arrays, are no conditions, but listed by themselves.
    """
    names: set = set()
    asked: set = set()
    while True:
        found = Surroundings(names, asked)
        for value in (function, *objects):
            found.value(value)
        if found.new_names <= names and found.new_asked <= asked:
            found.settle(apart)
            return found
        # Objects that were met early were not yet looked at with these.
        names, asked = names | found.new_names, asked | found.new_asked


class Surroundings(list):
    """Conditions, as (template, objects, value), under which a function reads the same.

    Args:
        names: The attributes and keys to look for in what is met.
        asked: Those that may be missing: the code asks for them by ``hasattr`` or ``getattr``.

    Attributes:
        new_names, new_asked: Those in the code that was met.
        modules: The Modules met and those in them, by their ids.
        optimizers: The optimizers met.
        containers, owners: What ``put_back`` needs to know of lists and of objects.
        refusal: The error about something that gives other values at each call, or None.
        reads_options: Whether the code names options of optimizers, or what schedulers move.
        stored: Names that the code assigns to.
        asks_types: Whether the code asks for types, of which a stand-in has another one.
        places: The conditions of places that the code may assign anew, where there are tensors:
            these are no conditions, but more arguments.
        numbers: Those of places that the code may assign anew, where there are numbers.
        arrays: Conditions of places of large arrays.
    """

    def __init__(self, names, asked):
        super().__init__()
        self.names, self.asked = names, asked
        self.new_names: set = set()
        self.new_asked: set = set()
        self.modules: dict = {}
        self.optimizers: list = []
        self.containers: list = []
        self.owners: list = []
        self.refusal: TraceError | None = None
        self.reads_options = False
        self.stored: set = set()
        self.asks_types = False
        self.places: list = []
        self.numbers: list = []
        self.arrays: list = []
        self.met: dict = {}  # id → all of it
        self._variables: dict = {}  # id of a closure's cell → the name of its variable
        self._large: list = []  # arrays, as often as they are met

    def value(self, value):
        """Note what lies inside ``value``."""
        if isinstance(value, str) and value.isidentifier():
            self.new_names.add(str(value))  # the code may look for what it names
        if isinstance(value, np.ndarray) and value.nbytes > _BYTES:
            self._large.append(value)
        if is_plain(value) or isinstance(value, Tensor) or id(value) in self.met:
            return
        self.met[id(value)] = value
        if isinstance(value, functools.partial):
            self.append(("{0}.func", (value,), value.func))
            self._each((value.func, *value.args, *value.keywords.values()))
        elif isinstance(value, types.MethodType):
            self._each((value.__self__, value.__func__))
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.BuiltinMethodType):
            self.value(value.__self__)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._python_module(value)
        elif isinstance(value, (*_DICTS, list, tuple, deque, set, frozenset, np.ndarray)):
            self._container(value)
        elif _is_module(value):
            self._module(value)
        elif "param_groups" in getattr(value, "__dict__", ()):
            self._optimizer(value)
        elif _is_wrapper(value):
            if isinstance(value, functools._lru_cache_wrapper):
                self.containers.append((value, value.cache_info()))
            self.value(value.__wrapped__)
        elif _moves_on(value):
            self._refuse(f"from a {type(value).__name__}")
        else:
            self._object(value)

    def _refuse(self, what):
        self.refusal = self.refusal or TraceError(
            f"the function reads {what}, which gives something else at each call; read it outside "
            "torch.compile, and pass what it gave"
        )

    def _refuse_large(self, what):
        self.refusal = self.refusal or TraceError(
            f"the function can reach {what}, which is too much to look at in each call; keep it in "
            "tensors, or pass what it needs of it"
        )

    def _each(self, values):
        for value in values:
            self.value(value)

    def _note(self, template, owner, value):
        self.append((template, (owner,), value))
        self.value(value)

    # At the end -------------------------------------------------------------------------

    def settle(self, apart):
        """See to what depends on all of the code: see ``surroundings``."""
        stand_ins = apart and not self.asks_types
        if apart:
            self._set_apart(stand_ins)
        for array in {id(a): a for a in self._large}.values():
            self._settle_array(array, stand_ins)

    def _set_apart(self, stand_ins):
        """Move conditions of what the code may assign anew to ``places`` and ``numbers``."""
        assigned = [c for c in self if self._is_stored(*c)]
        if stand_ins:
            self.numbers = [c for c in assigned if type(c[2]) in (int, float)]
        self.places = [c for c in assigned if _taken_apart(c[2]) and self._is_alone(c[2])]
        inside = {i for c in self.places for i in _containers(c[2])}
        gone = {id(c) for c in (*self.places, *self.numbers)}
        gone |= {id(c) for c in self if id(c[1][0]) in inside}
        self.places = [c for c in self.places if id(c[1][0]) not in inside]
        self[:] = [c for c in self if id(c) not in gone]

    def _settle_array(self, array, stand_ins):
        found = [c for c in self if c[2] is array]
        everywhere = len(found) == sum(a is array for a in self._large)
        if stand_ins and everywhere and all(c[0][3] != "." for c in found):
            self.arrays += found
            known = (array.shape, array.strides, array.dtype)
            self.append(("({0}.shape, {0}.strides, {0}.dtype)", (array,), known))
        elif array.nbytes <= _MOST_BYTES:
            self._compare(array)
        else:
            self._refuse_large(f"a NumPy array of {array.nbytes} bytes")

    def _is_alone(self, value):
        """Whether no list or dict in ``value`` lies in another place too."""
        inside = {*_containers(value)}
        return sum(id(c[2]) in inside and id(c[1][0]) not in inside for c in self) <= 1

    def _is_stored(self, template, objects, value):
        if template == "{0}.cell_contents":
            return self._variables[id(objects[0])] in self.stored
        # What an object finds in its class lies in no place of its own.
        own = len(objects) == 1 and template[3] == "["
        return own and place_name(template) in self.stored

    # Code -------------------------------------------------------------------------------

    def _function(self, function):
        """Note what the code reads from its closure, defaults and globals."""
        code = function.__code__
        if "_dynamo_marked_constant" in function.__dict__:
            return
        if _is_wrapper(function):
            self.value(function.__wrapped__)
        if code.co_filename.startswith(_PACKAGE):
            return
        self._attributes(function)
        names, asked, read, stored = _names(code)
        self.new_names |= names
        self.new_asked |= asked
        self.stored |= stored
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # not bound yet
                continue
            self._variables[id(cell)] = name
            self._note("{0}.cell_contents", cell, value)
        for kind in ("__defaults__", "__kwdefaults__"):
            defaults = getattr(function, kind)
            if defaults is not None:
                self._note(f"{{0}}.{kind}", function, defaults)
        library = code.co_filename.startswith(_LIBRARIES)
        self.asks_types |= "type" in read and not library
        for name in sorted(read & function.__globals__.keys()):
            value = function.__globals__[name]
            if isinstance(value, (types.ModuleType, type, types.BuiltinFunctionType)):
                self.value(value)
            elif not library or is_plain(value):
                self._note(f"{{0}}[{name!r}]", function.__globals__, value)
            elif isinstance(value, types.FunctionType):
                self.value(value)

    def _python_module(self, module):
        if module is time and self.names & _CLOCKS:
            self._refuse("the clock")
        if module is os and self.names & {"environ", "getenv"}:
            for name in sorted(self.names & os.environ.keys()):
                self.append((f"{{0}}.get({name!r})", (os.environ,), os.environ[name]))
        path = getattr(module, "__file__", None) or ""
        if _users(module.__name__) and not path.startswith(_LIBRARIES):
            for name in sorted(self.names & vars(module).keys()):
                self._note(f"{{0}}[{name!r}]", vars(module), vars(module)[name])

    # Containers -------------------------------------------------------------------------

    def _container(self, value):
        if isinstance(value, _DICTS):
            self._dict(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, (tuple, frozenset)):
            self._inside(value)
        elif len(value) > _ITEMS and isinstance(value, (list, deque)):
            self.containers.append((value, value.copy()))
            self.append(("{1}({0}, {2})", (value, same_objects, [*value]), True))
            self._inside(value)
        else:
            self.containers.append((value, value.copy()))
            if isinstance(value, set):
                self.append(("{0} == {1}", (value, value.copy()), True))
                self._inside(value)
                return
            self.append(("len({0})", (value,), len(value)))
            for i, item in enumerate(value):
                self._note(f"{{0}}[{i}]", value, item)

    def _array(self, value):
        if value.dtype.hasobject:
            items = value.ravel().tolist()
            self.append(("{1}({0}.ravel().tolist(), {2})", (value, same_objects, items), True))
            self._inside(items)
        elif value.nbytes <= _BYTES:
            self._compare(value)

    def _compare(self, array):
        self.append(("{0}.tobytes() == {1}", (array, array.tobytes()), True))
        self.containers.append((array, array.copy()))

    def _dict(self, value):
        keys = [*value]
        known, small = all(map(is_plain, keys)), len(keys) <= _ENTRIES
        if known:
            self.append(("[*{0}] == {1}", (value, keys), True))
        else:
            self.append(("{1}([*{0}], {2})", (value, same_objects, keys), True))
        if not isinstance(value, types.MappingProxyType):
            self.containers.append((value, value.copy()))
        named = [k for k in keys if _writable(k) and (small or k in self.names)] if known else []
        for key in named:
            self._note(f"{{0}}[{key!r}]", value, value[key])
        rest = [key for key in keys if key not in {*named}]
        if rest:
            # One look at all of them, and two, so that it always gives a tuple.
            look = operator.itemgetter(*rest, rest[0])
            items = look(value)
            self.append(("{2}({1}({0}), {3})", (value, look, same_objects, items), True))
            self._inside((*rest, *items))

    def _inside(self, items):
        """Note what lies inside the items of a container that are not noted one by one."""
        items = [item for item in items if type(item) not in _SIMPLE]
        if len(items) > _ITEMS and sum(not _is_fixed(item) for item in items) > _ITEMS:
            self._refuse_large(f"a container of {len(items)} objects that may change")
        else:
            self._each(items)

    # Objects ----------------------------------------------------------------------------

    def _object(self, value):
        """Note the attributes of an object of a class of the user's."""
        if hasattr(type(value), "get_last_lr"):
            self._scheduler(value)
        if type(value).__module__.split(".")[0] in ("rushlight", "torch"):
            return
        self._members(type(value), value)
        if type(getattr(value, "__dict__", None)) is dict:
            self._attributes(value)

    def _scheduler(self, scheduler):
        """Note what the code itself reads of what a scheduler's steps move."""
        own = scheduler.__dict__
        members = [_code_of(m) for c in type(scheduler).__mro__ for m in vars(c).values()]
        codes = [getattr(inspect.unwrap(m), "__code__", None) for m in members if m is not None]
        moved = {name for code in codes if code is not None for name in _names(code)[3]}
        for name in sorted(self.names & own.keys() & moved):
            self._note(f"{{0}}[{name!r}]", own, own[name])
            self.reads_options = True

    def _attributes(self, owner, apart=()):
        own = owner.__dict__
        for name in sorted((self.names & own.keys()).difference(apart)):
            self._note(f"{{0}}[{name!r}]", own, own[name])
        for name in sorted(self.asked - own.keys()):
            self.append((f"{name!r} not in {{0}}", (own,), True))
        self.owners.append((owner, dict(own)))

    def _class(self, cls):
        """Note the attributes of a class of the user's, which the code may call."""
        if _users(cls.__module__) and not issubclass(cls, enum.Enum):
            self._members(cls, None)
            self._each([_code_of(getattr(cls, name, None)) for name in _OF_CALLS])

    def _method(self, cls, name, own):
        """Note that a method is that of the class, and the class has it still."""
        if type(own) is dict and name not in own:
            self.append((f"{name!r} not in {{0}}", (own,), True))
        self.append((f"{{0}}.{name}", (cls,), getattr(cls, name)))

    def _optimizer(self, optimizer):
        """Note the options that the code itself reads: its step reads them again at each run."""
        self.optimizers.append(optimizer)
        self._each(hook_functions(optimizer))
        for i, group in enumerate(optimizer.param_groups if "param_groups" in self.names else ()):
            self.append((f"{{0}}.param_groups[{i}]", (optimizer,), group))
            self.append(("[*{0}] == {1}", (group, [*group]), True))
            self.containers.append((group, group.copy()))
            for name in sorted((self.names & group.keys()) - {"params"}):
                self._note(f"{{0}}[{name!r}]", group, group[name])
                self.reads_options = True

    def _members(self, cls, value):
        """Note what a class has: of methods and properties the code, of others what they are.

        ``value`` is an object of the class, or None where the code names the class itself.
        """
        users = [c for c in cls.__mro__ if _users(c.__module__)]
        own = getattr(value, "__dict__", ())
        for name in sorted({name for c in users for name in vars(c)}):
            special = name.startswith("__") and name.endswith("__")
            called = name == "forward" and _is_module(value)
            if name not in self.names and not called and (not special or name in _SELDOM):
                continue
            # A method may call the one that it overrides.
            members = [vars(c)[name] for c in users if name in vars(c)]
            self._each(map(_code_of, members))
            self._each([f for m in members if isinstance(m, property) for f in (m.fset, m.fdel)])
            if isinstance(members[0], types.FunctionType) and not special:
                self._method(cls, name, own)
            owner = cls if value is None else value
            data = not special and name not in own and _is_data(members[0], value)
            if data and hasattr(owner, name):  # a slot may be empty
                self._note(f"{{0}}.{name}", owner, getattr(owner, name))

    def _module(self, module):
        """Note what a call of ``module`` reads, and the Modules in it."""
        self.modules[id(module)] = module
        own = module.__dict__
        self.append(("{0}['training']", (own,), own["training"]))
        for kind in _HELD:
            if own[kind] and hasattr(type(module), "append"):
                self.append(("len({0})", (own[kind],), len(own[kind])))
            self += [(f"{{0}}[{key!r}]", (own[kind],), v) for key, v in own[kind].items()]
        self._each(hook_functions(module))
        self._members(type(module), module)
        self._refuse_lazy(module)
        for name in sorted((_read_by(type(module)) & own.keys()) - self.names):
            if name not in ("training", *_HELD):
                self._note(f"{{0}}[{name!r}]", own, own[name])
        self._attributes(module, ("training", *_HELD))
        self.value(own.get("forward", type(module).forward))
        self._each([child for child in own["_modules"].values() if child is not None])

    def _refuse_lazy(self, module):
        """A call that makes parameters is one of a kind: the next finds another class."""
        lazy = getattr(module, "has_uninitialized_params", None)
        if lazy is not None and lazy():
            self.append(("type({0})", (module,), type(module)))
            self.refusal = self.refusal or TraceError(
                f"the first call of a {type(module).__name__} makes its parameters"
            )


def _is_fixed(item):
    """Whether nothing in ``item`` can change but the elements of tensors."""
    inside = isinstance(item, (tuple, frozenset)) and all(map(_is_fixed, item))
    return inside or is_plain(item) or isinstance(item, Tensor)


def _is_module(value):
    return {"_parameters", "_modules"} <= getattr(value, "__dict__", {}).keys()


def _users(name):
    """Whether a Python module of this name is neither Python's nor ours."""
    return name.split(".")[0] not in _FOREIGN


def _moves_on(value):
    """Whether ``value`` gives something else whenever it is asked."""
    drawn = (random.Random, np.random.Generator, np.random.RandomState)
    return hasattr(type(value), "__next__") or isinstance(value, drawn)


def _writable(key):
    """Whether a key of a dict can be written in a line of Python, and in a template."""
    kinds = (str, int, bool, bytes, type(None))
    whole = type(key) in kinds or (type(key) is tuple and all(map(_writable, key)))
    return whole and "{" not in repr(key) and "}" not in repr(key)


def _is_data(member, value):
    """Whether a member of a class is no code: a value, or of an object ``value`` a slot."""
    if isinstance(member, types.MemberDescriptorType):
        return value is not None
    return not callable(member) and not hasattr(type(member), "__get__")


def _code_of(member):
    """The function in a member of a class, or None."""
    for kind in ("fget", "func", "__func__"):
        member = getattr(member, kind, member)
    return member if isinstance(member, types.FunctionType) or _is_wrapper(member) else None


def _is_wrapper(value):
    return "__wrapped__" in getattr(value, "__dict__", ())


def _taken_apart(value):
    """Whether a value is known by the tensors in it, and not by its identity."""
    if isinstance(value, Tensor):
        return type(value.node) is not Leaf  # a parameter stays where it is
    return bool(_containers(value)) and any(map(_taken_apart, _items(value)))


def _items(container):
    return container.values() if isinstance(container, dict) else container


def _containers(value):
    """The ids of a list, tuple or dict and of those in it; none of what is too large."""
    if not isinstance(value, (tuple, list, dict)) or len(value) > _ENTRIES:
        return []
    return [id(value), *[i for item in _items(value) for i in _containers(item)]]


@functools.lru_cache(1024)
def _names(code):
    """What a function's code and the functions inside it name.

    Returns the attributes and short texts; those texts that it may ask for by ``hasattr`` or
    ``getattr``; the globals; and what it assigns to: attributes, variables of the functions
    around it, and the keys that it names if it sets items.
    """
    texts = frozenset(c for c in code.co_consts if isinstance(c, str) and c.isidentifier())
    read = frozenset(
        i.argval for i in dis.get_instructions(code) if i.opname.endswith(("_GLOBAL", "_NAME"))
    )
    names = frozenset(code.co_names) | texts
    asked = texts if read & {"hasattr", "getattr"} else frozenset()
    stored: frozenset = frozenset()
    if code.co_name != "__init__":  # what an object is given when it is made is no place yet
        found = [*dis.get_instructions(code)]
        stored = frozenset(i.argval for i in found if i.opname in _STORES)
        if any(i.opname == "STORE_SUBSCR" for i in found):
            # Python 3.14 keeps small numbers in the instructions alone.
            loads = [i.argval for i in found if i.opname in ("LOAD_CONST", "LOAD_SMALL_INT")]
            stored |= texts | {value for value in loads if type(value) is int}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _names(constant)
            names, asked, read = names | inner[0], asked | inner[1], read | inner[2]
            stored |= inner[3]
    return names, asked, read, stored


#: Class → the attributes that its forward reads.
_reads: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _read_by(cls):
    """The names that the forward of a Module's class, and what it calls of its own, mention."""
    if cls not in _reads:
        names: set = set()
        todo = ["forward"]
        while todo:
            name = todo.pop()
            for function in [_code_of(vars(c)[name]) for c in cls.__mro__ if name in vars(c)]:
                code = getattr(inspect.unwrap(function or len), "__code__", None)
                new = (set() if code is None else _names(code)[0]) - names
                names |= new
                todo += [n for n in new if hasattr(cls, n) and n != "__call__"]
        _reads[cls] = names
    return _reads[cls]
