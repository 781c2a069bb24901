"""What a function reads besides its arguments: closure, globals, the attributes of its objects.

Numbers, texts and the like are known by value, all else by identity; lists and dicts by what is
in them as well. Of objects only the attributes count that the function's code names, and
functions that it calls by a global name or through ``self`` are gone into. Tensors are inputs of
the program: nothing of theirs is noted but which tensor it is.
"""

import functools
import inspect
import os
import sys
import types
import weakref

from rushlight.autograd.hooks import RemovableHandle
from rushlight.compiler.guard import equal, is_plain
from rushlight.tensor import Tensor

__all__ = ["hook_place", "module_checks", "options", "put_back", "surroundings"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def surroundings(function, objects=()):
    """Conditions, as (template, objects, value), under which ``function`` reads the same.

    ``objects`` are arguments of it, of which only the identity is known so far.
    """
    found = _Found()
    seen: set = set()
    _function(function, found, seen)
    names = set().union(*map(_all_names, [code for code in seen if hasattr(code, "co_names")]))
    for value in objects:
        _value(value, found, seen, names)
        if _is_module(value):
            _attributes(value, names, found, seen)
    return found


class _Found(list):
    """Conditions, and the modules and optimizers that were met."""

    def __init__(self):
        super().__init__()
        self.modules: list = []
        self.optimizers: list = []


def options(optimizers):
    """Conditions that the options of ``optimizers`` are as now, for ``put_back``."""
    return [
        (f"{{0}}[{key!r}]", (group,), value)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for key, value in group.items()
        if isinstance(key, str) and is_plain(value)
    ]


def _function(function, found, seen):
    function = inspect.unwrap(function)
    owner = getattr(function, "__self__", None)
    if type(function).__name__ == "partial":
        found.append(("{0}.func", (function,), function.func))
        _function(function.func, found, seen)
        for value in (*function.args, *function.keywords.values()):
            _value(value, found, seen, ())
        return
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        forward = type(function).__call__
        if isinstance(forward, types.FunctionType) and not _is_module(function):
            _method(forward, function, found, seen)
        return
    if isinstance(owner, type) or owner is None:
        _code(function, found, seen)
    else:
        _method(function, owner, found, seen)


def _method(function, owner, found, seen):
    names = _code(function, found, seen)
    _attributes(owner, names, found, seen)
    if _is_module(owner):
        found.modules.append(owner)


def _is_module(value):
    return hasattr(value, "_parameters") and hasattr(value, "_modules")


def _foreign(function):
    """Whether ``function`` is the user's, not the package's."""
    return not function.__code__.co_filename.startswith(_PACKAGE)


def _code(function, found, seen):
    """Note what the code reads from its closure and globals; returns the names in it."""
    if function.__code__ in seen:
        return set()
    seen.add(function.__code__)
    names, texts = _names(function.__code__)
    if not _foreign(function):
        return names
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        found.append(("{0}.cell_contents", (cell,), value))
        _value(value, found, seen, names | texts)
    for name in names:
        if name in function.__globals__:
            value = function.__globals__[name]
            if not isinstance(value, (types.ModuleType, type, types.BuiltinFunctionType)):
                found.append((f"{{0}}[{name!r}]", (function.__globals__,), value))
                _value(value, found, seen, names | texts)
    return names


def _names(code):
    """Names and constant texts in a function's code, those of functions inside it included."""
    names = set(code.co_names)
    texts = {c for c in code.co_consts if isinstance(c, str)}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _names(constant)
            names |= inner[0]
            texts |= inner[1]
    return names, texts


def _all_names(code):
    return set().union(*_names(code))


def _value(value, found, seen, names):
    """Note what lies inside ``value``, that code with these ``names`` may read."""
    if is_plain(value) or isinstance(value, (Tensor, type)) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        if isinstance(value, list):
            found.append(("len({0})", (value,), len(value)))
        for i, item in enumerate(value):
            if isinstance(value, list):
                found.append((f"{{0}}[{i}]", (value,), item))
            _value(item, found, seen, names)
    elif type(value) is dict:
        for key in [key for key in value if isinstance(key, str) and key in names]:
            found.append((f"{{0}}[{key!r}]", (value,), value[key]))
            _value(value[key], found, seen, names)
    elif isinstance(value, (types.FunctionType, types.MethodType)):
        _function(value, found, seen)
    elif hasattr(value, "param_groups"):
        found.optimizers.append(value)
        _hook_functions(value, found, seen)
    elif _is_module(value):
        found.modules.append(value)
    else:
        _attributes(value, names, found, seen)


def _attributes(value, names, found, seen):
    """Note the attributes in ``names`` of an object of a class of the user's."""
    own = getattr(value, "__dict__", None)
    if own is None or type(value).__module__.split(".")[0] in ("rushlight", "torch"):
        return
    for name in [name for name in own if name in names]:
        found.append((f"{{0}}[{name!r}]", (own,), own[name]))
        _value(own[name], found, seen, names)


# What the function changes ----------------------------------------------------------------


@functools.cache
def getter(template):
    """The function of one object that a template is; it gives None where a key is not there."""
    look = eval(f"lambda x: {template.format('x')}")

    def get(x):
        try:
            return look(x)
        except KeyError:
            return None

    return get


@functools.cache
def _setter(template):
    found: dict = {}
    exec(f"def put(x, value): {template.format('x')} = value", found)
    return found["put"]


def put_back(checks):
    """Undo what a traced function did to plain values outside; says which was the first, or None.

    A program computes with tensors alone: counting calls, say, or filling a list it cannot do.
    """
    first = None
    for template, objects, value in checks:
        if len(objects) != 1 or not is_plain(value) or template.endswith("is None"):
            continue
        (owner,) = objects
        now = getter(template)(owner)
        if equal(now, value):
            continue
        first = first or _described(template)
        if template != "len({0})":
            _setter(template)(owner, value)
        elif now > value and isinstance(owner, list):
            del owner[value:]
    return first


def _described(template):
    if template == "len({0})":
        return "the length of a list"
    if template == "{0}.cell_contents":
        return "a variable of the function around it"
    return template.removeprefix("{0}").strip("[]")


# Modules ----------------------------------------------------------------------------------

#: Class → the attributes that its forward reads.
_reads: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _read_by(cls):
    """The names that the forward of a Module's class, and what it calls of its own, mention."""
    if cls not in _reads:
        names: set = set()
        todo = ["forward"]
        while todo:
            function = inspect.unwrap(getattr(cls, todo.pop(), None) or len)
            function = getattr(function, "fget", function)
            code = getattr(function, "__code__", None)
            if code is not None:
                new = _names(code)[0] - names
                names |= new
                todo += [n for n in new if hasattr(cls, n) and n != "__call__"]
        _reads[cls] = names
    return _reads[cls]


_HELD = ("_parameters", "_buffers", "_modules")
_HOOKS = (
    "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks",
    "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks",
)  # fmt: skip


def _hooks(owner):
    """The dicts of hooks of a module or optimizer."""
    return [owner.__dict__[name] for name in _HOOKS if name in owner.__dict__]


def _hook_functions(owner, found, seen):
    for hook in [hook for hooks in _hooks(owner) for hook in hooks.values()]:
        _function(hook, found, seen)


def _hooks_everywhere():
    modules = sys.modules.get("rushlight.nn.modules.hooks")
    optimizers = sys.modules.get("rushlight.optim.hooks")
    found = [optimizers.everywhere_before, optimizers.everywhere_after] if optimizers else []
    if modules is not None:
        kinds = ("forward_pre", "forward", "backward_pre", "backward")
        found += [getattr(modules.Everywhere, kind) for kind in kinds]
    return found


def hook_place(owners, tensors):
    """A place of the hooks of ``owners``, modules and optimizers, of all such, and of ``tensors``.

    Any hook that comes or goes moves it; it stays usable where the hooks are the same.
    """

    def find():
        found = [hooks for owner in owners for hooks in _hooks(owner)] + _hooks_everywhere()
        found += [t.node.hooks or () for t in tensors if t.node is not None]
        keys = tuple([tuple(h) for h in found])  # the handles' numbers, which no two hooks share
        return [("{0}.changes", (RemovableHandle,), RemovableHandle.changes, keys)]

    return find


def module_checks(module):
    """Conditions under which a call of ``module`` does the same to the same tensors."""
    own = module.__dict__
    found = _Found()
    found.append(("{0}['training']", (own,), own["training"]))
    for kind in _HELD:
        found += [(f"{{0}}[{key!r}]", (own[kind],), v) for key, v in own[kind].items()]
    seen: set = {id(module)}
    _hook_functions(module, found, seen)
    for name in _read_by(type(module)):
        if name in own and name not in ("training", *_HELD):
            found.append((f"{{0}}[{name!r}]", (own,), own[name]))
            _value(own[name], found, seen, ())
    forward = own.get("forward", type(module).forward)
    if isinstance(forward, types.FunctionType) and _foreign(forward):
        _code(forward, found, seen)
    return found
