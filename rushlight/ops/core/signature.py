"""What ``help`` and ``inspect.signature`` show of an operation's public function."""

from inspect import Parameter, Signature
from typing import Any

from rushlight.ops.core.definition import REQUIRED

__all__ = ["Signed"]

_PUBLIC = {"x": "input", "y": "other"}


class Signed:
    """What a public function wraps: it has the signature, which is made when it is asked for.

    It stands between the function and the forward on arrays, whose first parameter is NumPy.
    """

    def __init__(self, op):
        self._op = op
        self.__wrapped__ = op.forward

    @property
    def __signature__(self):
        op = self._op
        defaults = dict.fromkeys(op.inputs, REQUIRED) | dict.fromkeys(op.optional) | op.defaults
        found: list[Parameter] = []
        kind: Any = Parameter.POSITIONAL_OR_KEYWORD
        previous = REQUIRED
        for name in (*op.inputs, *op.params):
            default = defaults[name]
            if default is REQUIRED and previous is not REQUIRED:  # Python allows no such order
                kind = Parameter.KEYWORD_ONLY
            given = Parameter.empty if default is REQUIRED else default
            found.append(Parameter(_PUBLIC.get(name, name), kind, default=given))
            previous = default
        if op.kind != "view":
            found.append(Parameter("out", Parameter.KEYWORD_ONLY, default=None))
        return Signature(found)
