"""What is in lists, dicts, sets and arrays: the conditions under which it is the same."""

import operator
import types
from collections import ChainMap, UserDict, deque

import numpy as np

from rushlight.compiler.guard import is_plain, same_objects
from rushlight.compiler.places import is_writable
from rushlight.errors import TraceError
from rushlight.tensor import Tensor

__all__ = ["BYTES", "CONTAINERS", "MOST_BYTES", "Contents"]

#: Up to this many entries of a dict are looked at one by one; of a larger one those that the
#: code names, and the others together.
_ENTRIES = 64
#: Up to this many items of a list are looked at one by one, and those of a longer one together.
_ITEMS = 1 << 10
#: Up to this many bytes of an array are compared at each call; of larger ones tensors are made.
BYTES = 1 << 16
#: Up to this many are compared where an array lies in no place of its own.
MOST_BYTES = 1 << 20
_SIMPLE = (int, float, bool, types.NoneType)
_DICTS = (dict, UserDict, ChainMap, types.MappingProxyType)
CONTAINERS = (*_DICTS, list, tuple, deque, set, frozenset, np.ndarray)


class Contents(list):
    """Conditions, as (template, objects, value), under which containers hold the same.

    A subclass notes by its ``value`` what lies inside the items.

    Args:
        names: The keys to look for in large dicts.

    Attributes:
        containers: What ``put_back`` needs to know of lists, dicts, sets and arrays.
        refusal: The error about something that gives other values at each call, or is too much to
            look at in each; or None.
    """

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.containers: list = []
        self.refusal: TraceError | None = None

    def value(self, value):
        """Note what lies inside ``value``."""
        raise NotImplementedError

    def _refuse(self, what):
        self.refusal = self.refusal or TraceError(
            f"the function reads {what}, which gives something else at each call; read it outside "
            "torch.compile, and pass what it gave"
        )

    def _refuse_large(self, what):
        self.refusal = self.refusal or TraceError(
            f"the function can reach {what}, which is too much to look at in each call; keep it in "
            "tensors, or pass what it needs of it"
        )

    def _each(self, values):
        for value in values:
            self.value(value)

    def _note(self, template, owner, value):
        self.append((template, (owner,), value))
        self.value(value)

    def _container(self, value):
        if isinstance(value, _DICTS):
            self._dict(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, (tuple, frozenset)):
            self._inside(value)
        elif len(value) > _ITEMS and isinstance(value, (list, deque)):
            self.containers.append((value, value.copy()))
            self.append(("{1}({0}, {2})", (value, same_objects, [*value]), True))
            self._inside(value)
        else:
            self.containers.append((value, value.copy()))
            if isinstance(value, set):
                self.append(("{0} == {1}", (value, value.copy()), True))
                self._inside(value)
                return
            self.append(("len({0})", (value,), len(value)))
            for i, item in enumerate(value):
                self._note(f"{{0}}[{i}]", value, item)

    def _array(self, value):
        if value.dtype.hasobject:
            items = value.ravel().tolist()
            self.append(("{1}({0}.ravel().tolist(), {2})", (value, same_objects, items), True))
            self._inside(items)
        elif value.nbytes <= BYTES:
            self._compare(value)

    def _compare(self, array):
        self.append(("{0}.tobytes() == {1}", (array, array.tobytes()), True))
        self.containers.append((array, array.copy()))

    def _dict(self, value):
        keys = [*value]
        known, small = all(map(is_plain, keys)), len(keys) <= _ENTRIES
        if known:
            self.append(("[*{0}] == {1}", (value, keys), True))
        else:
            self.append(("{1}([*{0}], {2})", (value, same_objects, keys), True))
        if not isinstance(value, types.MappingProxyType):
            self.containers.append((value, value.copy()))
        named = [k for k in keys if is_writable(k) and (small or k in self.names)] if known else []
        for key in named:
            self._note(f"{{0}}[{key!r}]", value, value[key])
        rest = [key for key in keys if key not in {*named}]
        if rest:
            # One look at all of them, and two, so that it always gives a tuple.
            look = operator.itemgetter(*rest, rest[0])
            items = look(value)
            self.append(("{2}({1}({0}), {3})", (value, look, same_objects, items), True))
            self._inside((*rest, *items))

    def _inside(self, items):
        """Note what lies inside the items of a container that are not noted one by one."""
        items = [item for item in items if type(item) not in _SIMPLE]
        if len(items) > _ITEMS and sum(not _is_fixed(item) for item in items) > _ITEMS:
            self._refuse_large(f"a container of {len(items)} objects that may change")
        else:
            self._each(items)


def _is_fixed(item):
    """Whether nothing in ``item`` can change but the elements of tensors."""
    inside = isinstance(item, (tuple, frozenset)) and all(map(_is_fixed, item))
    return inside or is_plain(item) or isinstance(item, Tensor)
