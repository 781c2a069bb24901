"""Places of Python's objects: attributes, variables of closures, entries of lists and dicts.

A condition is (template, objects, value). The template is an expression with a placeholder for each
object; it must evaluate to the value. A condition is a place if its template is an attribute or an
entry of one object, because this can be assigned to. A place to which a function assigns probably
holds another value in the function's next call.
"""

import ast
import functools
import re

from rushlight.autograd.tape import Leaf
from rushlight.tensor import Tensor

__all__ = [
    "NOTHING", "deleter", "getter", "in_words", "is_place", "item", "lying", "member_of",
    "place_name", "setter",
    "taken_apart",
]  # fmt: skip

#: Templates of conditions that are places.
_PLACE = re.compile(r"\{0\}(\[.*\]|\.\w+)", re.DOTALL)
_GONE = KeyError, AttributeError, IndexError, TypeError
#: Stands for the content of an empty place.
NOTHING = object()
#: Lists, tuples and dicts of up to this many items are taken apart.
_ENTRIES = 64


def member_of(cls, name):
    """The member of a class under a name, own or inherited, unbound; None if there is none."""
    for c in cls.__mro__:
        if name in c.__dict__:
            return c.__dict__[name]
    return None


def is_place(template, objects):
    """Whether a condition is a place."""
    return len(objects) == 1 and _PLACE.fullmatch(template) is not None


def place_name(template):
    """The attribute's name or the key of a place; None for the template of another condition."""
    found = _PLACE.fullmatch(template)
    if found is None:
        return None
    text = found[1].replace("{{", "{").replace("}}", "}")
    return ast.literal_eval(text[1:-1]) if text.startswith("[") else text[1:]


def in_words(template):
    """A place in words."""
    if template == "{0}.cell_contents":
        return "a variable of the function around it"
    return repr(place_name(template))


@functools.cache
def getter(template, nothing=None):
    """The function that evaluates a template on an object; ``nothing`` if the place is empty."""
    look = eval(f"lambda x: {template.format('x')}")
    gone = (*_GONE, ValueError) if template == "{0}.cell_contents" else _GONE  # of an empty cell

    def get(x):
        try:
            return look(x)
        except gone:
            return nothing

    return get


@functools.cache
def lying(template):
    """Like ``getter``, but without inherited values and without calls of ``__missing__``.

    The function returns ``NOTHING`` if the place itself is empty.
    """
    get, name = getter(template, NOTHING), place_name(template)
    entry = template.startswith("{0}[")

    def found(x):
        if entry and isinstance(x, dict):
            return dict.get(x, name, NOTHING)
        if isinstance(x, type) and not hasattr(type(member_of(type(x), name)), "__set__"):
            return vars(x).get(name, NOTHING)
        return get(x)

    return found


@functools.cache
def setter(template):
    """The function that writes a value to a place of an object."""
    found: dict = {}
    exec(f"def put(x, value): {template.format('x')} = value", found)
    return found["put"]


@functools.cache
def deleter(template):
    """The function that empties a place of an object."""
    found: dict = {}
    exec(f"def empty(x): del {template.format('x')}", found)
    return found["empty"]


def item(key):
    """The template of the entry under ``key``; None if Python code can't express the key."""
    if not _is_writable(key):
        return None
    return f"{{0}}[{repr(key).replace('{', '{{').replace('}', '}}')}]"


def _is_writable(key):
    kinds = (str, int, bool, bytes, type(None))
    return type(key) in kinds or (type(key) is tuple and all(map(_is_writable, key)))


# What a function may assign anew -----------------------------------------------------------


def taken_apart(assigned, conditions):
    """Return the assignable places that hold tensors, and the conditions that do not concern them.

    The content of such a place is recognised by the tensors in it and not by its identity, provided
    that none of its lists and dicts lies in another place, too.
    """
    places = [c for c in assigned if _has_tensors(c[2]) and _is_alone(c[2], conditions)]
    inside = {i for c in places for i in _containers(c[2])}
    gone = {id(c) for c in places} | {id(c) for c in conditions if id(c[1][0]) in inside}
    places = [c for c in places if id(c[1][0]) not in inside]
    return places, [c for c in conditions if id(c) not in gone]


def _is_alone(value, conditions):
    """Whether no list or dict in ``value`` lies in a second place outside of ``value``."""
    inside = {*_containers(value)}
    return sum(id(c[2]) in inside and id(c[1][0]) not in inside for c in conditions) <= 1


def _has_tensors(value):
    """Whether a value is recognised by the tensors in it, and not by its identity."""
    if isinstance(value, Tensor):
        return type(value.node) is not Leaf  # a parameter stays where it is
    return bool(_containers(value)) and any(map(_has_tensors, _items(value)))


def _items(container):
    return container.values() if isinstance(container, dict) else container


def _containers(value):
    """The ids of a list, tuple or dict and of those inside it; large ones are left out."""
    if not isinstance(value, (tuple, list, dict)) or len(value) > _ENTRIES:
        return []
    return [id(value), *[i for item in _items(value) for i in _containers(item)]]
