"""What a function's code names: attributes, texts, globals, and what it assigns to.

It is found in the bytecode, so no line of the function is run.
"""

import dis
import functools
import inspect
import types
import weakref

__all__ = ["code_of", "is_data", "is_wrapper", "names_in", "read_by", "stored_by"]

_STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_NAME", "STORE_DEREF")
#: Class → the attributes that its forward reads.
_reads: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@functools.lru_cache(1024)
def names_in(code):
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
            inner = names_in(constant)
            names, asked, read = names | inner[0], asked | inner[1], read | inner[2]
            stored |= inner[3]
    return names, asked, read, stored


def read_by(cls):
    """The names that the forward of a Module's class, and what it calls of its own, mention."""
    if cls not in _reads:
        names: set = set()
        todo = ["forward"]
        while todo:
            name = todo.pop()
            for function in [code_of(vars(c)[name]) for c in cls.__mro__ if name in vars(c)]:
                code = getattr(inspect.unwrap(function or len), "__code__", None)
                new = (set() if code is None else names_in(code)[0]) - names
                names |= new
                todo += [n for n in new if hasattr(cls, n) and n != "__call__"]
        _reads[cls] = names
    return _reads[cls]


def stored_by(cls):
    """The names to which the methods of a class assign."""
    members = [code_of(m) for c in cls.__mro__ for m in vars(c).values()]
    codes = [getattr(inspect.unwrap(m), "__code__", None) for m in members if m is not None]
    return {name for code in codes if code is not None for name in names_in(code)[3]}


def code_of(member):
    """The function in a member of a class, or None."""
    for kind in ("fget", "func", "__func__"):
        member = getattr(member, kind, member)
    return member if isinstance(member, types.FunctionType) or is_wrapper(member) else None


def is_wrapper(value):
    return "__wrapped__" in getattr(value, "__dict__", ())


def is_data(member, value):
    """Whether a member of a class is no code: a value, or of an object ``value`` a slot."""
    if isinstance(member, types.MemberDescriptorType):
        return value is not None
    return not callable(member) and not hasattr(type(member), "__get__")
