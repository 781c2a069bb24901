"""An unpickler that no stream can make hang, crash or fill the memory.

Its subclasses decide which names (classes and functions) a stream may use.
"""

import pickle
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from typing import Any

__all__ = ["GuardedUnpickler", "brief"]

_MOST_PARTS = 1000  # parts of a key, including the parts of tuples and frozensets inside the key
_MOST_ALIKE = 100  # keys with the same hash in a dict or set: each is compared with all before it
_SMALL = 1 << 60  # smaller ints hash to themselves (but -1 to -2), so they hardly ever collide
_EMPTY_SET = 8  # steps for a new set: its opcode takes 1 byte, but the set takes 216 bytes
_LONGEST = 80  # characters of a value in an error message

# The types that Python hashes with a random secret of the process. No file can make their hashes
# collide.
_SECRET = (str, bytes) if sys.flags.hash_randomization else ()

# The unpickler written in Python, because its opcodes can be replaced one by one.
_Unpickler: Any = pickle._Unpickler


def brief(value):
    """Describe a value from a file in an error message, in a few characters.

    The full repr could be of any length, because the file decides what the value is.

    >>> brief(("storage", 3)), brief([1]), brief("x" * 200)[-5:]
    ("('storage', 3)", 'a list', 'xx...')
    """
    if (
        isinstance(value, tuple)
        and len(value) <= 8
        and not any(isinstance(v, tuple) for v in value)
    ):
        return f"({', '.join([brief(v) for v in value])})"
    if type(value) not in (str, bytes, int, float, bool, type(None)):
        return f"a {type(value).__name__}"
    if type(value) is int and abs(value) >= 1 << 64:
        return "an int"
    text = repr(value[: _LONGEST + 1] if type(value) in (str, bytes) else value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _weight(key):
    """Return the number of steps that hashing or comparing ``key`` takes.

    Raises:
        pickle.UnpicklingError: the key has too many parts. Deeply nested tuples could take forever
            to be hashed, or overflow the stack.
    """
    steps, parts, pending = 1, 0, [key]
    while pending:
        part = pending.pop()
        if isinstance(part, (tuple, frozenset)):
            parts += len(part)
            if parts > _MOST_PARTS:
                raise pickle.UnpicklingError(
                    f"load: a key of more than {_MOST_PARTS} parts, which is not safe to load"
                )
            pending += part
        elif isinstance(part, int):
            steps += part.bit_length() >> 11
        elif isinstance(part, (str, bytes)):
            steps += len(part) >> 10
    return steps + parts


class GuardedUnpickler(_Unpickler):
    """An unpickler without dangerous opcodes, which takes the cost of loading from a budget.

    Left out are the opcodes that build objects in ways which the subclasses do not check, and the
    opcodes that allocate as many bytes as the stream states.

    Args:
        file: The pickle.
        budget: The ``Budget`` of bytes and steps that loading may still cost.
    """

    dispatch = {
        code: run
        for code, run in _Unpickler.dispatch.items()
        if bytes([code])
        not in (
            pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4,
            pickle.PERSID, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.BYTEARRAY8,
        )
    }  # fmt: skip

    def __init__(self, file, budget, **options):
        super().__init__(file, **options)
        self.budget = budget
        # From the id of a container to the container and the number of its keys with each hash.
        self._alike = {}

    def current_name(self, module, name):
        """Return Python 3's module and name; protocols below 3 use the names of Python 2."""
        if self.proto < 3:
            module, name = NAME_MAPPING.get((module, name), (module, name))
            module = IMPORT_MAPPING.get(module, module)
        return module, name

    def may_fill(self, owner):
        """True if a stream may add items to ``owner`` although its class is no plain container.

        Adding items calls methods of the class of ``owner``.
        """
        return False

    def _check_owner(self, owner, *kinds):
        if type(owner) not in kinds and not self.may_fill(owner):
            raise pickle.UnpicklingError(
                f"load: the file puts items into a {type(owner).__name__}, which is not safe"
            )

    def check_keys(self, keys, owner=None):
        """Take from the budget the steps of hashing ``keys`` before they are put into ``owner``.

        ``owner`` None stands for a new container.

        Raises:
            pickle.UnpicklingError: the keys have too many parts, or too many have the same hash.
            RuntimeError: the budget is exceeded.
        """
        steps, others = 0, []
        for key in keys:
            kind = type(key)
            if kind in _SECRET:
                steps += 1 + (len(key) >> 10)
            elif kind is int and -_SMALL < key < _SMALL:
                steps += 1
            else:
                steps += _weight(key)
                others.append(key)
        self.budget.take_steps(steps)
        if others:
            self._count_alike(others, owner)

    def _count_alike(self, keys, owner):
        if len(keys) + (0 if owner is None else len(owner)) <= _MOST_ALIKE:
            return
        if owner is None or id(owner) not in self._alike:
            old = [hash(key) for key in owner or () if type(key) not in _SECRET]
            self._alike[id(owner)] = owner, Counter(old)  # kept alive, so that its id stays its own
        _, counts = self._alike[id(owner)]
        for key in keys:
            code = hash(key)
            counts[code] += 1
            if counts[code] > _MOST_ALIKE:
                raise pickle.UnpicklingError(
                    f"load: {self.budget.file}: more than {_MOST_ALIKE} keys have the same hash, "
                    "which takes too long to be safe"
                )

    def load_setitem(self):
        owner, key, _ = self.stack[-3:]
        self._check_owner(owner, dict, OrderedDict, Counter)
        self.check_keys([key], owner)
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self):
        owner = self.metastack[-1][-1]
        self._check_owner(owner, dict, OrderedDict, Counter)
        self.check_keys(self.stack[::2], owner)  # the stack since the mark: keys and values
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self):
        self.check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_append(self):
        self._check_owner(self.stack[-2], list)
        super().load_append()

    dispatch[pickle.APPEND[0]] = load_append

    def load_appends(self):
        self._check_owner(self.metastack[-1][-1], list)
        super().load_appends()

    dispatch[pickle.APPENDS[0]] = load_appends

    def load_empty_set(self):
        self.budget.take_steps(_EMPTY_SET)
        super().load_empty_set()

    dispatch[pickle.EMPTY_SET[0]] = load_empty_set

    def load_additems(self):
        owner = self.metastack[-1][-1]
        self._check_owner(owner, set)
        self.check_keys(self.stack, owner)
        super().load_additems()

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_frozenset(self):
        self.budget.take_steps(_EMPTY_SET)
        self.check_keys(self.stack)
        super().load_frozenset()

    dispatch[pickle.FROZENSET[0]] = load_frozenset
