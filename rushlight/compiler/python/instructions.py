"""What each kind of bytecode instruction reads and writes.

``KINDS`` maps an instruction's name to (the number of operands, a function of the frame, the
instruction and these operands). The function notes what is read or written. It returns None, or a
function that is told the instruction's result when the next instruction begins (``NULL`` if the
instruction raised). Instructions that only move operands are not listed. Names of Python 3.11 to
3.14 stand side by side.
"""

import sys
from array import array
from collections import defaultdict, deque
from dis import stack_effect
from functools import partial
from types import CellType, FunctionType, ModuleType
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.capture.symbolic_numbers import function_of_numbers
from rushlight.compiler.python.comparisons import is_plain
from rushlight.compiler.python.frames import NULL
from rushlight.compiler.python.levels import LIBRARY, OURS, USERS, is_installed
from rushlight.compiler.python.locations import item, member_of
from rushlight.compiler.python.reads import is_users
from rushlight.compiler.python.specials import asked_by_instruction, note_special
from rushlight.tensor import Tensor

__all__ = ["KINDS"]

KINDS: dict = {}


def _kind(count, *names):
    def add(function):
        for name in names:
            KINDS[name] = count, function
        return function

    return add


# Names ------------------------------------------------------------------------------------


@_kind(0, "LOAD_GLOBAL", "LOAD_NAME")
def _load_global(frame, instruction):
    name = instruction.argval
    spaces = frame.frame.f_globals, frame.frame.f_builtins
    reads = frame.observer.reads
    if instruction.opname == "LOAD_NAME" and name in frame.frame.f_locals:
        reads.entry(frame.frame.f_locals, name, frame.frame.f_locals[name])
        return
    if name in spaces[0]:
        value = spaces[0][name]
        if frame.level == USERS or (frame.level == LIBRARY and _is_state(value)):
            frame.observer.origins.note_outer(spaces[0])
            reads.entry(spaces[0], name, value)
            if frame.level == LIBRARY:
                frame.observer.caches.add(id(value))
    elif name in spaces[1]:
        if frame.level == USERS:
            frame.observer.origins.note_outer(spaces[0])
            reads.absent(spaces[0], name)
            frame.observer.origins.note_outer(spaces[1])
            reads.entry(spaces[1], name, spaces[1][name])
    elif frame.level == USERS:
        for space in spaces:
            frame.observer.origins.note_outer(space)
            reads.absent(space, name)


def _is_state(value):
    """Whether a global of a library may change; functions, classes and modules do not."""
    return not callable(value) and type(value).__name__ != "module"


@_kind(0, "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
def _load_variable(frame, instruction):
    cell = frame.operands.variable(instruction.arg)
    try:
        value = cell.cell_contents
    except (ValueError, AttributeError):
        return
    frame.observer.reads.variable(cell, value)


@_kind(0, "STORE_DEREF", "DELETE_DEREF")
def _will_set_variable(frame, instruction):
    cell = frame.operands.variable(instruction.arg)
    if isinstance(cell, CellType) and frame.observer.origins.is_outer(cell):
        frame.observer.effects.will_assign(cell, "{0}.cell_contents")


@_kind(0, "STORE_GLOBAL", "DELETE_GLOBAL")
def _store_global(frame, instruction):
    space = frame.frame.f_globals
    frame.observer.origins.note_outer(space)
    frame.observer.effects.will_assign(space, item(instruction.argval))


@_kind(0, "STORE_NAME", "DELETE_NAME")
def _will_set_name(frame, instruction):
    space = frame.frame.f_locals  # the dict given to exec, or the namespace of a class statement
    if type(space) is dict and frame.observer.origins.is_outer(space):
        frame.observer.effects.will_assign(space, item(instruction.argval))


@_kind(0, "IMPORT_NAME")
def _import(frame, instruction):
    return partial(_imported, frame, instruction.argval)


def _imported(frame, name, result):
    frame.observer.calls._hold(result)
    if frame.level == USERS and name in sys.modules:
        frame.observer.origins.note_outer(sys.modules)
        frame.observer.reads.entry(sys.modules, name, sys.modules[name])


# Attributes -------------------------------------------------------------------------------


@_kind(1, "LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")
def _load_attribute(frame, instruction, owner):
    if frame.level == OURS and _is_ours(owner, instruction.argval):
        return frame.observer.calls.hold_what_is_in(owner)
    if type(owner) is super:
        return partial(_from_super, frame, instruction.argval, owner)
    return partial(_attribute_found, frame, instruction, owner)


_OUR_NAMES = ("__dict__", "_parameters", "_buffers", "_modules")


def _is_ours(owner, name):
    """Whether rushlight's code reads a thing that users do not change."""
    return isinstance(owner, type | ModuleType) or name in _OUR_NAMES


def _attribute_found(frame, instruction, owner, result):
    reads = frame.observer.reads
    if result is NULL:
        reads.missing(owner, instruction.argval)
    else:
        reads.attribute(owner, instruction.argval, result)


@_kind(3, "LOAD_SUPER_ATTR")
def _load_super(frame, instruction, kind, cls, owner):
    return partial(_inherited, frame, instruction.argval, cls, owner)


def _from_super(frame, name, found, result):
    if result is not NULL and found.__self__ is not None:
        _inherited(frame, name, found.__thisclass__, found.__self__, result)


def _inherited(frame, name, cls, owner, result):
    kind = owner if isinstance(owner, type) else type(owner)
    mro = kind.__mro__
    if is_users(kind):
        frame.observer.reads.note("{0}.__mro__", (kind,), mro)
    for c in mro[mro.index(cls) + 1 :] if cls in mro else ():
        if name in c.__dict__:
            if is_users(c):
                frame.observer.reads.class_member(c, name, c.__dict__[name])
            return


@_kind(2, "STORE_ATTR")
def _store_attribute(frame, instruction, value, owner):
    note_special(frame.observer.reads, owner, ("__setattr__",))
    frame.observer.calls.store_attribute(owner, instruction.argval)


@_kind(1, "DELETE_ATTR")
def _delete_attribute(frame, instruction, owner):
    note_special(frame.observer.reads, owner, ("__delattr__",))
    frame.observer.calls.store_attribute(owner, instruction.argval, deletes=True)


# Items ------------------------------------------------------------------------------------


@_kind(2, "BINARY_SUBSCR")
def _subscript(frame, instruction, container, key):
    note_special(frame.observer.reads, container, ("__getitem__", "__missing__"))
    note_special(frame.observer.reads, key, ("__index__", "__hash__", "__eq__"))
    frame.observer.calls.look(key)
    if isinstance(container, Tensor | type):
        return None
    if frame.level == OURS and type(key) is str and key in _OUR_NAMES:
        return frame.observer.calls.hold_what_is_in(container)
    if isinstance(container, defaultdict) and _makes_entry(container, key):
        frame.observer.calls._change(container)
    return partial(_item_found, frame, container, key)


def _makes_entry(container, key):
    """Whether reading ``container[key]`` of a defaultdict adds an entry to it."""
    try:
        return container.default_factory is not None and not dict.__contains__(container, key)
    except TypeError:  # the key has no hash, so the instruction raises, too
        return False


#: Dicts of the module weakref, whose Python code is not followed.
_WEAK = WeakKeyDictionary, WeakValueDictionary


def _item_found(frame, container, key, result):
    reads = frame.observer.reads
    if isinstance(container, _WEAK):
        reads.weak_entry(container, key, None if result is NULL else result)
    elif result is NULL:
        if isinstance(container, dict):
            reads.absent(container, key)
        else:
            reads.contents(container)
    elif not _has_method(container, "__getitem__"):
        reads.entry(container, key, result)


def _has_method(value, name):
    """Whether a method written in Python does the instruction's work; it is observed itself."""
    return hasattr(getattr(type(value), name, None), "__code__")


@_kind(3, "BINARY_SLICE")
def _slice(frame, instruction, container, start, stop):
    frame.observer.calls.look(container)


@_kind(2, "CONTAINS_OP")
def _contains(frame, instruction, x, container):
    note_special(frame.observer.reads, container, ("__contains__", "__iter__", "__getitem__"))
    if not isinstance(container, dict) or _has_method(container, "__contains__"):
        frame.observer.calls.look(container)
        return None
    return partial(_was_in, frame, container, x)


def _was_in(frame, container, key, result):
    there = dict.__contains__(container, key)
    reads = frame.observer.reads
    if there and frame.level != OURS and reads.is_open(container):
        reads.note("{1} in {0}", (container, key), True)
    elif not there:
        reads.absent(container, key)


@_kind(3, "STORE_SUBSCR")
def _store_item(frame, instruction, value, container, key):
    note_special(frame.observer.reads, container, ("__setitem__",))
    if not (is_installed(frame.frame.f_code) and _is_cache(frame, container, value)):
        _will_set_item(frame, container, key)


def _is_cache(frame, container, value):
    """Whether a package stores an object in a container that is a global of its own: a cache.

    Tensors and plain values are no cached objects.
    """
    own = any(x is container for x in frame.frame.f_globals.values())
    return own and not is_plain(value) and not isinstance(value, Tensor)


@_kind(2, "DELETE_SUBSCR")
def _delete_item(frame, instruction, container, key):
    note_special(frame.observer.reads, container, ("__delitem__",))
    observer = frame.observer
    if type(container) is not dict:
        if not isinstance(container, Tensor) and observer.origins.is_outer(container):
            observer.calls._change(container)
        return
    _will_set_item(frame, container, key, deletes=True)


@_kind(4, "STORE_SLICE")
def _store_slice(frame, instruction, value, container, start, stop):
    if not isinstance(container, Tensor):
        frame.observer.calls._change(container)


def _will_set_item(frame, container, key, deletes=False):
    observer = frame.observer
    if isinstance(container, Tensor) or not observer.origins.is_outer(container):
        return
    if id(container) in observer.caches or _has_method(container, "__setitem__"):
        return
    template = item(key)
    entry = isinstance(container, dict) or (
        isinstance(container, list) and _is_index(container, key)
    )
    if template is not None and entry:
        observer.effects.will_assign(container, template, deletes)
    else:
        observer.calls._change(container)


def _is_index(container, key):
    return type(key) is int and -len(container) <= key < len(container)


# Operands that are looked into ------------------------------------------------------------

_ONE = (
    "GET_ITER", "GET_YIELD_FROM_ITER", "UNPACK_SEQUENCE", "UNPACK_EX", "LIST_EXTEND", "SET_UPDATE",
    "DICT_UPDATE", "DICT_MERGE", "UNARY_NOT", "TO_BOOL", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE",
    "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_BACKWARD_IF_TRUE",
    "POP_JUMP_BACKWARD_IF_FALSE", "JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP",
    "FORMAT_SIMPLE", "CONVERT_VALUE", "GET_LEN", "MATCH_SEQUENCE", "FOR_ITER",
    "UNARY_NEGATIVE", "UNARY_INVERT",
)  # fmt: skip


@_kind(1, *_ONE)
def _look(frame, instruction, x):
    note_special(frame.observer.reads, x, asked_by_instruction(instruction))
    frame.observer.calls.look(x)


@_kind(2, "FORMAT_WITH_SPEC", "COMPARE_OP", "MATCH_KEYS")
def _look_at_both(frame, instruction, x, y):
    for operand in (x, y):
        note_special(frame.observer.reads, operand, asked_by_instruction(instruction))
    frame.observer.calls.look(x)
    frame.observer.calls.look(y)


@_kind(lambda instruction: 2 if instruction.arg & 4 else 1, "FORMAT_VALUE")
def _format(frame, instruction, x, *spec):
    note_special(frame.observer.reads, x, asked_by_instruction(instruction))
    frame.observer.calls.look(x)


@_kind(1, "BEFORE_WITH")  # Python 3.14 has CALL instructions for these methods instead
def _begin_with(frame, instruction, manager):
    note_special(frame.observer.reads, manager, ("__enter__", "__exit__"))
    for name in ("__enter__", "__exit__"):
        method = member_of(type(manager), name)
        if method is not None and not isinstance(method, FunctionType):
            frame.observer.calls.call(getattr(manager, name), [], {})


@_kind(3, "MATCH_CLASS")
def _match_class(frame, instruction, x, cls, names):
    frame.observer.calls._is_instance([x, cls])
    return partial(_matched, frame, instruction.arg, x, cls, names)


def _matched(frame, positional, x, cls, names, result):
    """Note the attributes that a class pattern read, up to the first that the object lacks."""
    if result is NULL or (result is None and not isinstance(x, cls)):
        return
    calls = frame.observer.calls
    if positional:
        known = getattr(cls, "__match_args__", NULL)
        calls.attribute(cls, "__match_args__", False, known)
        names = (*(() if known is NULL else known[:positional]), *names)
    values = [getattr(x, name, NULL) for name in names] if result is None else result
    for name, value in zip(names, values, strict=False):
        calls.attribute(x, name, False, value)


_CHANGED_IN_PLACE = (list, dict, set, bytearray, deque, array, np.ndarray)


@_kind(2, "BINARY_OP")
def _binary(frame, instruction, x, y):
    if "[" in instruction.argrepr:  # BINARY_OP includes subscripts from Python 3.14 on
        return _subscript(frame, instruction, x, y)
    if instruction.argrepr.endswith("=") and isinstance(x, _CHANGED_IN_PLACE):
        frame.observer.calls._change(x)
    return _look_at_both(frame, instruction, x, y)


@_kind(2, "IS_OP")
def _is(frame, instruction, x, y):
    observer = frame.observer
    if isinstance(x, Tensor) and isinstance(y, Tensor) and mode.state.recorder is not None:
        recorder = mode.state.recorder
        if x is not y and recorder.is_outer(x) and recorder.is_outer(y):
            observer.reads.note("{0} is {1}", (x, y), False)


# What is made -----------------------------------------------------------------------------


@_kind(0, "BUILD_LIST", "BUILD_MAP", "BUILD_SET", "BUILD_CONST_KEY_MAP", "MAKE_FUNCTION")
def _build(frame, instruction):
    return frame.observer.calls._made


# Calls ------------------------------------------------------------------------------------


def _count(instruction):
    return instruction.arg + 2


@_kind(_count, "CALL")
def _call(frame, instruction, *operands):
    function, *args = [x for x in operands[:2] if x is not NULL] + [*operands[2:]]
    if function is id and frame.level == OURS:  # our code asks only to visit each tensor once
        return None
    told = _named(frame, function, args, instruction.argval)
    stand_in = None if instruction.argval else function_of_numbers(function, args)
    if stand_in is None:
        return told
    frame.replace(len(operands) - 1 - (operands[0] is NULL), stand_in)
    return None


def _named(frame, function, args, names):
    """Note a call whose last arguments have ``names``."""
    positional = len(args) - len(names)
    kwargs = dict(zip(names, args[positional:], strict=True))
    return frame.observer.calls.call(function, args[:positional], kwargs)


@_kind(lambda instruction: instruction.arg + 3, "CALL_KW")
def _call_with_names(frame, instruction, *operands):
    *given, names = operands
    function, *args = [x for x in given[:2] if x is not NULL] + given[2:]
    return _named(frame, function, args, names)


def _count_spread(instruction):
    return 1 - stack_effect(instruction.opcode, instruction.arg)  # Python versions differ here


@_kind(_count_spread, "CALL_FUNCTION_EX")
def _call_spread(frame, instruction, *operands):
    found = [x for x in operands if x is not NULL]
    function, args = found[:2]
    kwargs = found[2] if len(found) > 2 else {}
    calls = frame.observer.calls
    calls.look(args)
    calls.look(kwargs)
    if not isinstance(kwargs, dict):
        return None
    if member_of(type(args), "__iter__") not in _SPREAD:
        # Only the call itself may run the code of an iterator.
        return calls.call_with_unknown(function)
    return calls.call(function, [*args], {**kwargs})


#: How the containers iterate whose items can be looked at before a call takes them.
_SPREAD = tuple(
    kind.__iter__ for kind in (tuple, list, dict, set, frozenset, str, range, deque)
)  # fmt: skip
