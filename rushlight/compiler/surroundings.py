"""What a function reads besides its arguments: closure, globals, the attributes of its objects.

Numbers, texts and the like are known by value, all else by identity; lists, dicts and small arrays
by what is in them as well. The function's code is gone through, and what it may call: functions
that it names, methods and properties of its objects. Of an object only the attributes count that
any of this code names. Tensors are inputs of the program: nothing of theirs is noted but which
tensor it is. Of libraries the code is read, but what they keep in lists and dicts is theirs.
"""

import enum
import functools
import os
import random
import sys
import sysconfig
import time
import types

import numpy as np

from rushlight.compiler.bytecode import code_of, is_data, is_wrapper, names_in, read_by, stored_by
from rushlight.compiler.contents import BYTES, CONTAINERS, MOST_BYTES, Contents
from rushlight.compiler.guard import is_plain
from rushlight.compiler.hooks import hook_functions
from rushlight.compiler.places import place_name, taken_apart
from rushlight.errors import TraceError
from rushlight.tensor import Tensor

__all__ = ["Surroundings", "surroundings"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = tuple({sysconfig.get_paths()[kind] for kind in ("stdlib", "purelib", "platlib")})
_FOREIGN = frozenset({*sys.stdlib_module_names, "rushlight", "torch", "numpy", "scipy"})
_METHODS = (types.FunctionType, staticmethod, classmethod, property)
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


class Surroundings(Contents):
    """Conditions, as (template, objects, value), under which a function reads the same.

    Args:
        names: The attributes and keys to look for in what is met.
        asked: Those that may be missing: the code asks for them by ``hasattr`` or ``getattr``.

    Attributes:
        new_names, new_asked: Those in the code that was met.
        modules: The Modules met and those in them, by their ids.
        optimizers: The optimizers met.
        owners: What ``put_back`` needs to know of objects.
        reads_options: Whether the code names options of optimizers, or what schedulers move.
        stored: Names that the code assigns to.
        asks_types: Whether the code asks for types, of which a stand-in has another one.
        places: The conditions of places that the code may assign anew, where there are tensors:
            these are no conditions, but more arguments.
        numbers: Those of places that the code may assign anew, where there are numbers.
        arrays: Conditions of places of large arrays.
    """

    def __init__(self, names, asked):
        super().__init__(names)
        self.asked = asked
        self.new_names: set = set()
        self.new_asked: set = set()
        self.modules: dict = {}
        self.optimizers: list = []
        self.owners: list = []
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
        if isinstance(value, np.ndarray) and value.nbytes > BYTES:
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
        elif isinstance(value, CONTAINERS):
            self._container(value)
        elif _is_module(value):
            self._module(value)
        elif "param_groups" in getattr(value, "__dict__", ()):
            self._optimizer(value)
        elif is_wrapper(value):
            if isinstance(value, functools._lru_cache_wrapper):
                self.containers.append((value, value.cache_info()))
            self.value(value.__wrapped__)
        elif _moves_on(value):
            self._refuse(f"from a {type(value).__name__}")
        else:
            self._object(value)

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
        self.places, rest = taken_apart(assigned, self)
        numbers = {id(c) for c in self.numbers}
        self[:] = [c for c in rest if id(c) not in numbers]

    def _settle_array(self, array, stand_ins):
        found = [c for c in self if c[2] is array]
        everywhere = len(found) == sum(a is array for a in self._large)
        if stand_ins and everywhere and all(c[0][3] != "." for c in found):
            self.arrays += found
            known = (array.shape, array.strides, array.dtype)
            self.append(("({0}.shape, {0}.strides, {0}.dtype)", (array,), known))
        elif array.nbytes <= MOST_BYTES:
            self._compare(array)
        else:
            self._refuse_large(f"a NumPy array of {array.nbytes} bytes")

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
        if is_wrapper(function):
            self.value(function.__wrapped__)
        if code.co_filename.startswith(_PACKAGE):
            return
        self._attributes(function)
        names, asked, read, stored = names_in(code)
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
        for name in sorted(self.names & own.keys() & stored_by(type(scheduler))):
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
            self._each([code_of(getattr(cls, name, None)) for name in _OF_CALLS])

    def _method(self, cls, name):
        """Note that a class still has the method that it has, of its own or by inheritance."""
        function, template = getattr(cls, name), f"{{0}}.{name}"
        if isinstance(function, types.MethodType):  # of the class: another one at each look
            function, template = function.__func__, f"{template}.__func__"
        self.append((template, (cls,), function))

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
            owners = [c for c in users if name in vars(c)]
            members = [vars(c)[name] for c in owners]
            self._each(map(code_of, members))
            self._each([f for m in members if isinstance(m, property) for f in (m.fset, m.fdel)])
            if isinstance(members[0], _METHODS) and not special:
                if type(own) is dict and name not in own:
                    self.append((f"{name!r} not in {{0}}", (own,), True))
                for c in (cls, *owners):
                    self._method(c, name)
            owner = cls if value is None else value
            data = not special and name not in own and is_data(members[0], value)
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
        for name in sorted((read_by(type(module)) & own.keys()) - self.names):
            if name not in ("training", *_HELD):
                self._note(f"{{0}}[{name!r}]", own, own[name])
        self._attributes(module, ("training", *_HELD))
        if "forward" in own:
            self._note("{0}['forward']", own, own["forward"])
        else:
            self.append(("'forward' not in {0}", (own,), True))
            self.value(type(module).forward)
        self._each([child for child in own["_modules"].values() if child is not None])

    def _refuse_lazy(self, module):
        """A call that makes parameters is one of a kind: the next finds another class."""
        lazy = getattr(module, "has_uninitialized_params", None)
        if lazy is not None and lazy():
            self.append(("type({0})", (module,), type(module)))
            self.refusal = self.refusal or TraceError(
                f"the first call of a {type(module).__name__} makes its parameters"
            )


def _is_module(value):
    return {"_parameters", "_modules"} <= getattr(value, "__dict__", {}).keys()


def _users(name):
    """Whether a Python module of this name is neither Python's nor ours."""
    return name.split(".")[0] not in _FOREIGN


def _moves_on(value):
    """Whether ``value`` gives something else whenever it is asked."""
    drawn = (random.Random, np.random.Generator, np.random.RandomState)
    return hasattr(type(value), "__next__") or isinstance(value, drawn)
