"""The signature that ``help`` and ``inspect.signature`` show for an operation's function."""

from inspect import Parameter, Signature
from typing import Any

from rushlight.ops.core.definition import REQUIRED

__all__ = ["Signed"]

_PUBLIC = {"x": "input", "y": "other"}


class Signed:
    """The ``__wrapped__`` of a public function; it builds the public signature on demand.

    The function wraps this object, and this object wraps the forward. The forward's own signature
    would be wrong for users, because its first parameter is ``xp``.
    """

    def __init__(self, op):
        self._op = op
        self.__wrapped__ = op.forward

    @property
    def names(self):
        """The names of the public parameters."""
        op = self._op
        out = () if op.kind == "view" else ("out",)
        return *[_PUBLIC.get(name, name) for name in (*op.inputs, *op.params)], *out

    @property
    def __signature__(self):
        op = self._op
        defaults = dict.fromkeys(op.inputs, REQUIRED) | dict.fromkeys(op.optional) | op.defaults
        found: list[Parameter] = []
        kind: Any = Parameter.POSITIONAL_OR_KEYWORD
        previous = REQUIRED
        for name in (*op.inputs, *op.params):
            default = defaults[name]
            if default is REQUIRED and previous is not REQUIRED:  # Python forbids this order
                kind = Parameter.KEYWORD_ONLY
            given = Parameter.empty if default is REQUIRED else default
            found.append(Parameter(_PUBLIC.get(name, name), kind, default=given))
            previous = default
        if op.kind != "view":
            found.append(Parameter("out", Parameter.KEYWORD_ONLY, default=None))
        return Signature(found)
