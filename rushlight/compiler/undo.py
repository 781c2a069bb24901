"""Taking back what a traced function did outside: values of attributes, entries of lists and dicts.

What it assigned is told by ``changes``, as each run assigns it anew; what no assignment can do
again, by ``put_back``: a function that fills a list, say, has to run itself.
"""

import functools
import sys
from collections import OrderedDict, defaultdict, deque
from typing import Any

import numpy as np

from rushlight.compiler.abstract import Abstract
from rushlight.compiler.guard import equal, is_plain
from rushlight.compiler.places import NOTHING, getter, in_words, is_place, setter
from rushlight.tensor import Tensor

__all__ = ["Streams", "added", "changes", "options", "put_back", "remember"]

#: Whose items are set without further ado: not by a method of the user's.
_SETTABLE = list, deque, dict, OrderedDict, defaultdict


def changes(checks, containers=(), owners=(), stand_ins=()):
    """What a traced function left in places outside: (object, template, value, value before).

    The places are given back what was in them. Of lists and dicts that is where entries were
    set; ``put_back`` does the rest, which no assignment can do again.

    Args:
        checks, containers, owners: As of ``put_back``.
        stand_ins: (template, id of the object) → what stood in its place for the trace.
    """
    found, left = [], dict(stand_ins)
    for template, owner, value in _places(checks):
        stand_in = left.pop((template, id(owner)), None)
        if stand_in is not None:
            now = getter(template, NOTHING)(owner)
            setter(template)(owner, value)
            if now is not stand_in:  # though it may be what was there
                found.append((owner, template, now, value))
    found += _retaken(checks, owners)
    for container, before in containers:
        if type(container) in _SETTABLE:
            found += _set_entries(container, before)
    return found


def _places(checks):
    """(template, object, value) of those conditions that are places."""
    return [(c[0], *c[1], c[2]) for c in checks if is_place(*c[:2])]


def _retaken(checks, owners, emptied=False):
    """Places and attributes that were set, as of ``changes``, which are as before again.

    Args:
        emptied: Those in which there is nothing any more are filled again, too.
    """
    found = []
    for owner, before in owners:
        own, cls = owner.__dict__, type(owner)
        for name, now in [*own.items()]:
            if name not in before:
                if isinstance(getattr(cls, name, None), functools.cached_property):
                    continue
                del own[name]
            elif not _same(now, before[name]):
                own[name] = before[name]
            else:
                continue
            found.append((own, f"{{0}}[{name!r}]", now, before.get(name, NOTHING)))
    for template, owner, value in _places(checks):
        now = getter(template, NOTHING)(owner)
        if not _same(now, value) and (emptied or now is not NOTHING):
            setter(template)(owner, value)
            found.append((owner, template, now, value))
    return found


def _set_entries(container, before):
    """The entries of a list or dict that were set anew; they are given back what was in them."""
    known, now = _entries(before), _entries(container)
    grown = len(now) > len(known) and not isinstance(container, dict)
    if grown or [*now][: len(known)] != [*known]:
        return []
    found = []
    for key, value in now.items():
        if key not in known:
            del container[key]
        elif not _same(value, known[key]):
            container[key] = known[key]
        else:
            continue
        found.append((container, f"{{0}}[{key!r}]", value, known.get(key)))
    return found


def options(optimizers):
    """Conditions that the options of ``optimizers`` are as now, for ``put_back``."""
    return [
        (f"{{0}}[{key!r}]", (group,), value)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for key, value in group.items()
        if isinstance(key, str) and is_plain(value)
    ]


def remember(schedulers):
    """A function that gives schedulers, and the options that they set, what they have now."""
    owners: list = []
    schedulers = [*schedulers]
    for scheduler in schedulers:  # grows while it is gone through
        owners += [vars(scheduler), *scheduler.optimizer.param_groups]
        schedulers += vars(scheduler).get("_schedulers", ())
    before = [(own, own.copy()) for own in owners]
    rates = [own["lr"] for own in owners if isinstance(own.get("lr"), Tensor)]
    arrays = [(rate.array, rate.array.copy()) for rate in rates]

    def back():
        for own, values in before:
            own.clear()
            own.update(values)
        for array, values in arrays:
            array[...] = values

    return back


def added(owners):
    """Conditions that the attributes that ``owners`` did not have before are not there."""
    return [
        (f"{name!r} not in {{0}}", (owner.__dict__,), True)
        for owner, before in owners
        for name in owner.__dict__
        if name not in before
    ]


def put_back(checks, containers=(), owners=()):
    """Undo what a traced function did outside; says which was the first change, or None.

    A tensor of the trace that was left somewhere is taken away too, but is no such change: a
    program's run puts one there again.

    Args:
        checks: Conditions as they were before.
        containers: (list, dict, set, array or cached function, how it was before).
        owners: (object, its attributes before).
    """
    found = [_refill(container, before) for container, before in containers]
    left = _retaken(checks, owners, emptied=True)
    found += [in_words(template) for _, template, now, _ in left if not _traced(now)]
    return next((change for change in found if change is not None), None)


def _refill(container, before):
    if isinstance(container, functools._lru_cache_wrapper):
        if container.cache_info() != before:
            container.cache_clear()  # it may hold tensors of the trace
        return None
    if isinstance(container, np.ndarray):
        changed = container.tobytes() != before.tobytes()
        if changed:
            container[...] = before
        return "a NumPy array" if changed else None
    if isinstance(container, (set, frozenset)):
        changed = restored = container != before
    else:
        known, now = _entries(before), _entries(container)
        differing = [
            key
            for key in {**known, **now}
            if key not in known or key not in now or not _same(now[key], known[key])
        ]
        restored = bool(differing)
        changed = any(not (key in now and _traced(now[key])) for key in differing)
    if restored:
        container.clear()
        (container.update if hasattr(container, "update") else container.extend)(before)
    return f"the contents of a {type(container).__name__}" if changed else None


def _entries(container):
    return dict(container.items() if hasattr(container, "items") else enumerate(container))


def _same(now, value):
    return now is value or (is_plain(value) and is_plain(now) and equal(now, value))


def _traced(value):
    return isinstance(value, Tensor) and type(value.array) is Abstract


class Streams:
    """The states of Python's and NumPy's random numbers, which no program draws from."""

    def __init__(self):
        self._python: Any = sys.modules.get("random")
        self._numpy: Any = sys.modules.get("numpy.random")
        self.before = self._states()

    def _states(self):
        python = self._python.getstate() if self._python else None
        if self._numpy is None:
            return python, None
        name, keys, *rest = self._numpy.get_state()
        return python, (name, keys.tobytes(), *rest)

    def put_back(self):
        """Go back to the numbers of before; whether any was drawn since."""
        now = self._states()
        if now == self.before:
            return False
        if now[0] != self.before[0]:
            self._python.setstate(self.before[0])
        if now[1] != self.before[1]:
            name, keys, *rest = self.before[1]
            self._numpy.set_state((name, np.frombuffer(keys, np.uint32), *rest))
        return True
