"""Taking back what a traced function did outside: values of attributes, entries of lists and dicts.

A program computes with tensors alone: counting calls, say, or filling a list it cannot do, and
the function that does so has to run itself.
"""

import functools
import re
import sys
from typing import Any

import numpy as np

from rushlight.compiler.abstract import Abstract
from rushlight.compiler.guard import equal, is_plain
from rushlight.tensor import Tensor

__all__ = ["Streams", "added", "getter", "options", "put_back"]

#: Templates of conditions that are places, which can be written to.
_PLACE = re.compile(r"\{0\}(\[.*\]|\.\w+)", re.DOTALL)
_GONE = KeyError, AttributeError, IndexError, TypeError


def options(optimizers):
    """Conditions that the options of ``optimizers`` are as now, for ``put_back``."""
    return [
        (f"{{0}}[{key!r}]", (group,), value)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for key, value in group.items()
        if isinstance(key, str) and is_plain(value)
    ]


@functools.cache
def getter(template):
    """The function of one object that a template is; it gives None where nothing is there."""
    look = eval(f"lambda x: {template.format('x')}")

    def get(x):
        try:
            return look(x)
        except _GONE:
            return None

    return get


@functools.cache
def _setter(template):
    found: dict = {}
    exec(f"def put(x, value): {template.format('x')} = value", found)
    return found["put"]


def added(owners):
    """Conditions that the attributes that ``owners`` did not have before are not there."""
    return [
        (f"{name!r} not in {{0}}", (owner.__dict__,), True)
        for owner, names in owners
        for name in owner.__dict__
        if name not in names
    ]


def put_back(checks, containers=(), owners=()):
    """Undo what a traced function did outside; says which was the first change, or None.

    A tensor of the trace that was left somewhere is taken away too, but is no such change: a
    program's run puts one there again.

    Args:
        checks: Conditions as they were before.
        containers: (list, dict, set, array or cached function, how it was before).
        owners: (object, the names of its attributes before).
    """
    changes = [_refill(container, before) for container, before in containers]
    changes += [_without_new(owner, names) for owner, names in owners]
    for template, objects, value in checks:
        if len(objects) == 1 and _PLACE.fullmatch(template):
            changes.append(_put(template, objects[0], value))
    return next((change for change in changes if change is not None), None)


def _without_new(owner, names):
    """Take away the attributes that are not in ``names``; gives the first of them."""
    own, first = owner.__dict__, None
    for name in [name for name in own if name not in names]:
        if isinstance(getattr(type(owner), name, None), functools.cached_property):
            continue
        value = own.pop(name)
        if first is None and not _traced(value):
            first = repr(name)
    return first


def _put(template, owner, value):
    now = getter(template)(owner)
    if _same(now, value):
        return None
    _setter(template)(owner, value)
    if _traced(now):
        return None
    if template == "{0}.cell_contents":
        return "a variable of the function around it"
    return template.removeprefix("{0}").strip("[].")


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
