"""Guards: what a recorded call took for granted, checked by a function made for it.

The checks are lines of Python, written while a call is recorded and then compiled by Python
itself, so that each costs one comparison. ``Source`` collects the lines and the objects that
they name; its ``text`` shows what a compiled call does before and after its program.
"""

import importlib
from contextlib import contextmanager

from rushlight.autograd import mode
from rushlight.compiler.python.comparisons import equal, is_plain
from rushlight.compiler.python.locations import place_name

__all__ = ["GONE", "MISS", "Source", "demand_modes", "demand_there"]

#: The module; the name in the package is the class.
_dtypes = importlib.import_module("rushlight.dtype")
#: What a condition raises where what it looks for is no longer there.
GONE = "(KeyError, AttributeError, IndexError, TypeError)"


class _Miss:
    """What a call's function returns where the call is not the one that it was made for."""

    def __repr__(self):
        return "MISS"


MISS = _Miss()


class Source:
    """A Python function under construction.

    Attributes:
        names: What the names in its lines stand for: the function's global variables, which may
            be bound anew as long as it is used.
    """

    def __init__(self, head):
        self.lines = [head]
        self._depth = 1
        self.names: dict = {"MISS": MISS, "equal": equal}
        self._known: dict = {}

    @property
    def text(self):
        """The function as Python would show it."""
        return "\n".join(self.lines)

    def line(self, text):
        """Add a line to the function's body."""
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head):
        """Context whose lines are those of a block: ``if …:`` or ``try:``."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def name(self, value):
        """The name of an object that stays what it is."""
        if id(value) not in self._known:
            self._known[id(value)] = self.bind("k", value)
        return self._known[id(value)]

    def name_of(self, value):
        """The name that an object has by now; None where it has none."""
        return self._known.get(id(value))

    def bind(self, stem, value):
        """A name of its own for ``value``, which may later stand for something else."""
        name = f"{stem}{len(self.names)}"
        self.names[name] = value
        return name

    def same(self, expression, value):
        """The condition that ``expression`` is what ``value`` is."""
        if value is None or value is True or value is False:
            return f"{expression} is {value}"
        name = self.name(value)
        if not is_plain(value):
            return f"{expression} is {name}"
        return f"({expression} is {name} or equal({expression}, {name}))"

    def demand(self, condition, otherwise="return MISS"):
        """A line that gives up unless ``condition``."""
        self.line(f"if not ({condition}): {otherwise}")

    def function(self, name):
        """The function, compiled."""
        exec(compile(self.text, f"<{name} of a compiled call>", "exec"), self.names)
        return self.names[name]


def demand_there(source, name, template, owner):
    """Have the function give up where an entry is gone that ``__missing__`` would make anew."""
    if hasattr(type(owner), "__missing__") and template.startswith("{0}["):
        source.demand(f"{place_name(template)!r} in {name}")


def demand_modes(source):
    """Have the function give up under other modes, or another default dtype, than now."""
    source.names.update(mode=mode, state=mode.state, dtypes=_dtypes)
    source.demand(f"(not mode.grad_off or state.grad) is {mode.records()}")
    source.demand(f"state.inference is {mode.state.inference}")
    if mode.state.inference:
        source.demand(f"state.asked is {mode.state.asked}")
    source.demand(f"state.autocast is {source.name(mode.state.autocast)}")
    source.demand(f"dtypes._default is {source.name(_dtypes.get_default_dtype())}")
