"""The version of PyTorch that rushlight stands for, comparable as PyTorch's own."""

import re
from itertools import zip_longest

__all__ = ["TorchVersion"]


class TorchVersion(str):
    """A version as text; it compares with other texts and with tuples of numbers.

    >>> version = TorchVersion("2.13.0+rushlight")
    >>> version >= "2.9", version > (1, 13), version == "2.13"
    (True, True, False)
    """

    __slots__ = ()

    def __eq__(self, other):
        return _ordered(self, other, lambda a, b: a == b)

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return _ordered(self, other, lambda a, b: a < b)

    def __le__(self, other):
        return _ordered(self, other, lambda a, b: a <= b)

    def __gt__(self, other):
        return _ordered(self, other, lambda a, b: a > b)

    def __ge__(self, other):
        return _ordered(self, other, lambda a, b: a >= b)

    __hash__ = str.__hash__


def _ordered(version, other, compare):
    text = str(other) if isinstance(other, str) else ".".join(map(str, other))
    mine, its = _key(str(version)), _key(text)
    releases = list(zip_longest(mine[0], its[0], fillvalue=0))
    return compare(([a for a, _ in releases], *mine[1:]), ([b for _, b in releases], *its[1:]))


def _key(text):
    """(release numbers, 0 before a release and 1 for it, what comes after ``+``)."""
    public, _, local = text.lstrip("v").partition("+")
    found = re.match(r"\d+(?:\.\d+)*", public)
    if found is None:
        raise ValueError(f"{text!r} is not a version")
    rest = public[found.end() :]
    return [int(n) for n in found.group().split(".")], int(not rest), rest, local
