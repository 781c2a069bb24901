"""What a place is: Python state that a compiled function reads besides its arguments."""

from dataclasses import dataclass

__all__ = ["ALL", "Place"]

ALL = ("number", "flag", "text", "tensor", "function")


@dataclass(frozen=True)
class Place:
    """One place, as source: VALUE stands for the value that is kept there.

    Attributes:
        name: Its name, for ``--place``.
        setup: Lines of the module that make it.
        read: An expression that gives the value.
        changes: Statements that put another value there; without VALUE: that do something else.
        kinds: The kinds of values that it can keep.
        head: The head of the function, where the place is part of it; BODY may stand in it.
        declare: A ``global`` or ``nonlocal`` statement for an assignment to ``target``.
        target: What the function itself may assign to; empty for places that cannot be assigned.
        attribute: An object and the name of its attribute, where it is one.
        item: A mapping and a key.
        sequence: A list, tuple or the like whose first element it is.
        look: An expression for the state after a call, where ``read`` does not show all of it.
        restore: Statements that leave the process as it was.
        arguments: What the function is given besides ``x``.
        fresh: Each read gives something else: results are only compared with one another.
    """

    name: str
    setup: str
    read: str
    changes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ALL
    head: str = "def f(x):"
    declare: str = ""
    target: str = ""
    attribute: tuple[str, str] | None = None
    item: tuple[str, str] | None = None
    sequence: str = ""
    look: str = ""
    restore: str = ""
    arguments: str = ""
    fresh: bool = False


def of_attribute(name, setup, owner, key="k", changes=(), **rest):
    """A place that is an attribute which can be set and deleted."""
    read = f"{owner}.{key}"
    setting = (f"{read} = VALUE", f"setattr({owner}, {key!r}, VALUE)", *changes)
    rest = {"target": read, "attribute": (owner, key), **rest}
    return Place(name, setup, read, setting, **rest)


def of_item(name, setup, owner, key="'k'", changes=(), **rest):
    """A place that is an entry which can be set."""
    read = f"{owner}[{key}]"
    rest = {"target": read, "item": (owner, key), **rest}
    return Place(name, setup, read, (f"{read} = VALUE", *changes), **rest)
