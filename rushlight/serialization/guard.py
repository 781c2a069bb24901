"""An unpickler that no stream can make hang, crash or fill the memory.

Which names a stream may use is for its subclasses to say.
"""

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any

__all__ = ["GuardedUnpickler", "check_keys"]

_MOST_PARTS = 1000  # of a tuple that is a key, counted through the tuples in it

# Python's own unpickler is the one that lets each opcode be replaced.
_Unpickler: Any = pickle._Unpickler


def check_keys(values):
    """Refuse a tuple whose hash takes forever or overflows the stack: tuples in tuples in tuples.

    Raises:
        pickle.UnpicklingError: one of ``values`` is such a tuple.
    """
    for value in values:
        if not isinstance(value, tuple):
            continue
        parts, pending = 0, [value]
        while pending:
            inner = pending.pop()
            parts += len(inner)
            if parts > _MOST_PARTS:
                raise pickle.UnpicklingError(
                    f"load: a key of more than {_MOST_PARTS} parts, which is not safe to load"
                )
            pending += [part for part in inner if isinstance(part, tuple)]


class GuardedUnpickler(_Unpickler):
    """Without the opcodes that build objects behind ``find_class``, or of a stated size."""

    dispatch = {
        code: run
        for code, run in _Unpickler.dispatch.items()
        if bytes([code])
        not in (
            pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4,
            pickle.PERSID, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.BYTEARRAY8,
        )
    }  # fmt: skip

    def current_name(self, module, name):
        """What Python 3 calls a name; the first protocols have the names of Python 2."""
        if self.proto < 3:
            module, name = NAME_MAPPING.get((module, name), (module, name))
            module = IMPORT_MAPPING.get(module, module)
        return module, name

    def load_setitem(self):
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self):
        check_keys(self.stack[::2])  # since the mark
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self):
        check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_additems(self):
        check_keys(self.stack)
        super().load_additems()

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_frozenset(self):
        check_keys(self.stack)
        super().load_frozenset()

    dispatch[pickle.FROZENSET[0]] = load_frozenset
