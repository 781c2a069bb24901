"""Locks that work in a forked process, too: the package makes no others.

A fork copies the memory of all threads but only the thread that forks. A lock that another thread
holds at that moment would stay locked in the child for ever, and what it guards might be half
changed. So every lock is made anew in the child, unless the forking thread itself holds it.

An *awaited* lock guards something that is only whole while nobody holds the lock. The fork takes
all awaited locks first. It never waits for one while it holds another, so it cannot be part of a
deadlock; where a thread keeps one for longer than ``_PATIENCE``, the fork goes on and warns.
"""

import os
import threading
import time
import warnings
import weakref
from typing import Any

__all__ = ["adopt", "around_fork", "new_lock"]

_PATIENCE = 10.0  # seconds
#: Kept by their ids, so that lists of them are made in one step while other threads add theirs.
_locks: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_awaited: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_actions: list = []  # (before, in the parent, in the child)
_taken: list = []  # by the fork that goes on now


def new_lock(awaited=False) -> Any:
    """A reentrant lock; a fork waits for an ``awaited`` one."""
    return adopt(threading.RLock(), awaited)


def adopt(lock, awaited=False):
    """Have a reentrant lock that somebody else made be treated as ours; returns it."""
    (_awaited if awaited else _locks)[id(lock)] = lock
    return lock


def around_fork(before=None, in_parent=None, in_child=None):
    """Have functions called at each fork, while the awaited locks are held."""
    _actions.append((before, in_parent, in_child))


def _living(locks):
    return [lock for lock in [ref() for ref in locks.valuerefs()] if lock is not None]


def _take_all(locks, end):
    """Take all locks, or none where a thread keeps one until the time ``end``.

    Where a lock is held, it waits in line for that one alone: to look again and again would never
    find it free in a thread that takes it anew at once.
    """
    first = None
    while True:
        taken, held = _take_free(locks, first)
        if held is None:
            return taken
        _release(taken)
        left = end - time.monotonic()
        if left <= 0 or not held.acquire(timeout=left):
            return None
        first = held


def _take_free(locks, first):
    """(those taken, the first that somebody holds or None); ``first`` is taken already."""
    taken = [] if first is None else [first]
    for lock in locks:
        if lock is not first:
            if not lock.acquire(blocking=False):
                return taken, lock
            taken.append(lock)
    return taken, None


def _release(locks):
    for lock in locks:
        lock.release()


def _before_fork():
    global _taken
    locks = _living(_awaited)
    taken = _take_all(locks, time.monotonic() + _PATIENCE)
    if taken is None:
        taken = [lock for lock in locks if lock.acquire(blocking=False)]
        warnings.warn(
            "fork: another thread has been compiling, drawing random numbers or changing the "
            f"number of threads for {_PATIENCE:.0f} s; in the child its work may be half done",
            RuntimeWarning,
            stacklevel=2,
        )
    _taken = taken
    _call(0)


def _after_fork_in_parent():
    _call(1)
    _end()


def _after_fork_in_child():
    for lock in [*_living(_locks), *_living(_awaited)]:
        if not lock._is_owned():
            lock._at_fork_reinit()
    _call(2)
    _end()


def _call(k):
    for action in _actions:
        if action[k] is not None:
            action[k]()


def _end():
    global _taken
    taken, _taken = _taken, []
    _release(taken)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
