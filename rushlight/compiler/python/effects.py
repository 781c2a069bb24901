"""The writes of a recorded function to Python's objects, noted just before each write.

After the recording all writes are undone. Each run of the program repeats the assignments to
attributes, variables and entries. If the function makes a change that no assignment can repeat,
like appending to a list, its calls run eagerly.
"""

from collections import OrderedDict, defaultdict, deque

import numpy as np

from rushlight.compiler.python.comparisons import equal, is_plain
from rushlight.compiler.python.locations import NOTHING, deleter, item, lying, place_name, setter

__all__ = ["Effects"]

#: Containers whose items are set directly, and not by a method of a user's class.
_SETTABLE = list, deque, dict, OrderedDict, defaultdict


class Effects:
    """The places and containers to which one call wrote.

    Attributes:
        places: (template, id of the owner) → (owner, template, the value before the first write).
        containers: id → (container, a copy from before the first change).
        known: Keys of places that were read before they were assigned. A condition ensures that the
            same value lies there in each call that runs the program.
        stand_ins: (template, id of the owner) → the stand-in that lies there while recording.
        orders: id → (dict, its keys from before the first deletion, in their order).
        times: Key of a place, or id of a container → the numbers of calls that were deferred
            before its first write and before its last write.
    """

    def __init__(self, recorder):
        self._recorder = recorder
        self.times: dict = {}
        self.places: dict = {}
        self.containers: dict = {}
        self.known: set = set()
        self.stand_ins: dict = {}
        self.orders: dict = {}
        self._is_reordered = False

    def will_assign(self, owner, template, deletes=False):
        """Note that an attribute, variable or entry is about to be assigned or deleted."""
        key = template, id(owner)
        self._note_time(key)
        if deletes and type(owner) is dict and id(owner) not in self.orders:
            new = self._new_keys(owner)
            self.orders[id(owner)] = owner, [k for k in owner if k not in new]
        if key not in self.places and id(owner) not in self.containers:
            self.places[key] = owner, template, lying(template)(owner)

    def will_change(self, container):
        """Note that a list, dict, set or array is about to be changed in an unknown way."""
        self._note_time(id(container))
        if id(container) not in self.containers:
            before = _copy(container)
            for owner, template, value in self.places.values():
                if owner is container:  # it was assigned, or a stand-in lies there
                    _put(before, template, value)
            self.containers[id(container)] = container, before

    def _note_time(self, key):
        now = len(self._recorder.calls)
        self.times[key] = self.times.get(key, (now,))[0], now

    def written_at(self, owner, template):
        """The entry of ``times`` for a place; None if the function did not write there."""
        return self.times.get((template, id(owner)), self.times.get(id(owner)))

    def stand_in(self, owner, template, stand_in):
        """Put ``stand_in`` in a place until all writes are undone."""
        self.places[template, id(owner)] = owner, template, lying(template)(owner)
        self.stand_ins[template, id(owner)] = stand_in
        setter(template)(owner, stand_in)

    def assigned(self, anew=False):
        """Undo the assignments; return (owner, template, value, value before) of each.

        Args:
            anew: List also places that were assigned the value that they already had, because each
                run assigns it again.
        """
        found = []
        for entries, before in self.orders.values():
            self._is_reordered |= [*entries] != before + self._new_keys(entries)
        after = {key: lying(template)(owner) for key, (owner, template, _) in self.places.items()}
        for key, (owner, template, before) in reversed(self.places.items()):
            if not _same(after[key], before):  # in reverse order, as two keys may be one place
                _put(owner, template, before)
        for entries, before in self.orders.values():
            _reorder(entries, before)
        for key, (owner, template, before) in self.places.items():
            now = after[key]
            if _same(now, before) and (not anew or key in self.known or now is NOTHING):
                continue
            if key not in self.stand_ins or now is not self.stand_ins[key]:
                found.append((owner, template, now, before))
        for container, before in self.containers.values():
            if type(container) in _SETTABLE:
                found += _set_entries(container, before)
        return found

    def take_back(self):
        """Undo all writes; return the name of a change that no assignment can repeat, or None."""
        self.assigned()
        found = [_refill(container, before) for container, before in self.containers.values()]
        found.append("the order of a dict" if self._is_reordered else None)
        return next((change for change in found if change is not None), None)

    def _new_keys(self, entries):
        """The keys that the function added to a dict, in the order of their first assignments."""
        places = [(template, v) for owner, template, v in self.places.values() if owner is entries]
        return [place_name(template) for template, before in places if before is NOTHING]

    def owners(self):
        """The objects to which the function itself wrote, without places of mere stand-ins."""
        assigned = [owner for key, (owner, *_) in self.places.items() if key in self.times]
        return [*assigned, *[container for container, _ in self.containers.values()]]

    def has_assigned(self, owner, key):
        """Whether the function assigned the entry ``owner[key]``."""
        return (item(key), id(owner)) in self.places


def _put(owner, template, value):
    if value is NOTHING:
        deleter(template)(owner)
    else:
        setter(template)(owner, value)


def _reorder(entries, keys):
    """Put the entries of a dict in the order of ``keys``."""
    if [*entries] != keys and len(entries) == len(keys):
        ordered = {key: entries[key] for key in keys}
        entries.clear()
        entries.update(ordered)


def _copy(container):
    return container[:] if isinstance(container, bytearray) else container.copy()


def _set_entries(container, before):
    """Undo the assignments to entries of a list or dict; return them as ``assigned`` does."""
    known, now = _entries(before), _entries(container)
    grown = len(now) > len(known) and not isinstance(container, dict)
    if grown or [*now][: len(known)] != [*known]:
        return []
    found = []
    for key, value in now.items():
        old = known.get(key, NOTHING)
        template = item(key)
        if _same(value, old) or template is None:
            continue
        _put(container, template, old)
        found.append((container, template, value, old))
    return found


def _refill(container, before):
    if isinstance(container, np.ndarray):
        changed = container.tobytes() != before.tobytes()
        if changed:
            container[...] = before
        return "a NumPy array" if changed else None
    if isinstance(container, set | frozenset | bytearray):
        changed = restored = container != before
    else:
        known, now = _entries(before), _entries(container)
        differing = [
            key
            for key in {**known, **now}
            if key not in known or key not in now or not _same(now[key], known[key])
        ]
        changed = restored = bool(differing) or [*known] != [*now]
    if restored:
        container.clear()
        (container.update if hasattr(container, "update") else container.extend)(before)
    return f"the contents of a {type(container).__name__}" if changed else None


def _entries(container):
    return dict(container.items() if hasattr(container, "items") else enumerate(container))


def _same(now, value):
    return now is value or (is_plain(value) and is_plain(now) and equal(now, value))
