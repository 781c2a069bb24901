"""Guards: a function generated for a recorded call checks the conditions of the recording.

The checks are lines of Python source, compiled by Python itself, so that each costs about one
comparison. ``Source`` collects the lines and the objects that they name; its ``text`` shows what a
compiled call does before and after its program.
"""

import importlib
from contextlib import contextmanager

from rushlight import precision
from rushlight.autograd import mode
from rushlight.compiler.python.comparisons import equal, is_plain
from rushlight.compiler.python.locations import place_name

__all__ = ["GONE", "MISS", "Source", "demand_modes", "demand_precision", "demand_there"]

#: The module ``rushlight/dtype.py``: the name ``rushlight.dtype`` itself is the class ``dtype``.
_dtypes = importlib.import_module("rushlight.dtype")
#: The errors that a condition raises if an attribute or entry that it reads no longer exists.
GONE = "(KeyError, AttributeError, IndexError, TypeError)"


class _Miss:
    """The class of ``MISS``, which a call's function returns if it does not serve the call."""

    def __repr__(self):
        return "MISS"


MISS = _Miss()


class Source:
    """A Python function under construction.

    Attributes:
        names: The global variables of the function: name → object. They may be bound to other
            objects later, while the function is in use.
    """

    def __init__(self, head):
        self.lines = [head]
        self._depth = 1
        self.names: dict = {"MISS": MISS, "equal": equal}
        self._known: dict = {}

    @property
    def text(self):
        """The source of the function."""
        return "\n".join(self.lines)

    def line(self, text):
        """Add a line to the function's body."""
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head):
        """Context that adds lines to a block with the line ``head``: ``if …:`` or ``try:``."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def name(self, value):
        """The name of an object in the function; the name is never bound to another object."""
        if id(value) not in self._known:
            self._known[id(value)] = self.bind("k", value)
        return self._known[id(value)]

    def name_of(self, value):
        """The name that ``name`` gave an object; None if it has none so far."""
        return self._known.get(id(value))

    def bind(self, stem, value):
        """A new name for ``value``; the name may later be bound to another object."""
        name = f"{stem}{len(self.names)}"
        self.names[name] = value
        return name

    def same(self, expression, value):
        """The condition, as text, that ``expression`` is ``value``, or equals plain data."""
        if value is None or value is True or value is False:
            return f"{expression} is {value}"
        name = self.name(value)
        if not is_plain(value):
            return f"{expression} is {name}"
        return f"({expression} is {name} or equal({expression}, {name}))"

    def demand(self, condition, otherwise="return MISS"):
        """Add the line ``if not (condition): otherwise``."""
        self.line(f"if not ({condition}): {otherwise}")

    def function(self, name):
        """Compile the source; returns the function ``name``."""
        exec(compile(self.text, f"<{name} of a compiled call>", "exec"), self.names)
        return self.names[name]


def demand_there(source, name, template, owner):
    """Add a guard that the entry of a dict exists, if the dict's ``__missing__`` would make it."""
    if hasattr(type(owner), "__missing__") and template.startswith("{0}["):
        source.demand(f"{place_name(template)!r} in {name}")


def demand_modes(source):
    """Add guards that the modes and the default dtype are the same as now."""
    source.names.update(mode=mode, state=mode.state, dtypes=_dtypes)
    source.demand(source.same("state.place", mode.state.place))
    source.demand(f"(not mode.grad_off or state.grad) is {mode.records()}")
    source.demand(f"state.inference is {mode.state.inference}")
    if mode.state.inference:
        source.demand(f"state.asked is {mode.state.asked}")
    source.demand(f"state.autocast is {source.name(mode.state.autocast)}")
    source.demand(f"dtypes._default is {source.name(_dtypes.get_default_dtype())}")


def demand_precision(source):
    """Add a guard that devices may use TF32 for the same products as now."""
    source.names["precision"] = precision
    source.demand(f"precision.state == {precision.state}")
