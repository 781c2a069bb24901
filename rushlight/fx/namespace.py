"""Names that are unique in a graph and legal in Python."""

import builtins
import keyword
import math
import re

import rushlight

__all__ = ["Namespace", "snake_case"]

_NAME = re.compile(r"^([a-zA-Z_][0-9a-zA-Z_]*?)(?:_(\d+))?$")
#: Names that mean something in the generated code → what they mean.
_TAKEN = {
    **dict.fromkeys(keyword.kwlist, object()), **vars(builtins), "inf": math.inf, "nan": math.nan,
    "NoneType": type(None), "torch": rushlight, "device": rushlight.device, "fx_pytree": object(),
    "pytree": object(),
}  # fmt: skip


def snake_case(name):
    """``"LayerNorm"`` → ``"layer_norm"``; a double underscore around a name is dropped.

    >>> snake_case("LayerNorm"), snake_case("__add__")
    ('layer_norm', 'add')
    """
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


class Namespace:
    """The names that are in use.

    >>> names = Namespace()
    >>> [names.create_name("add", None) for _ in range(2)], names.create_name("sum", None)
    (['add', 'add_1'], 'sum_1')
    """

    def __init__(self):
        self._of: dict = {}  # id of an object → (object, name)
        self._used: set = set()
        self._count: dict = {}

    def create_name(self, candidate, obj):
        """Return ``candidate`` made legal and unique; an object keeps its name."""
        if obj is not None and id(obj) in self._of:
            return self._of[id(obj)][1]
        found = _NAME.match(candidate)
        if found is None:
            candidate = re.sub(r"[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
            candidate = f"_{candidate}" if candidate[0].isdigit() else candidate
            found = _NAME.match(candidate)
        base, number = found.groups() if found else (candidate, None)
        if number is None or candidate in self._used:
            count = self._count.get(candidate, 0)
            if candidate in _TAKEN and _TAKEN[candidate] is not obj:
                count += 1
                candidate = f"{base}_{count}"
        else:
            count = int(number)
        while candidate in self._used:
            count += 1
            candidate = f"{base}_{count}"
        self._used.add(candidate)
        self._count[base] = count
        if obj is not None:
            self._of[id(obj)] = obj, candidate
        return candidate

    def associate(self, name, obj):
        """Note that ``name`` is in use, for ``obj``."""
        self._of[id(obj)] = obj, name
        self._used.add(name)
