"""Locks that also work in a forked process. The package makes no other locks.

A fork copies the memory of all threads, but only the forking thread goes on in the child. A lock
that another thread holds at that moment would stay locked in the child for ever, and the data that
it guards might be half changed. So the child resets every lock that its own thread does not hold.

An *awaited* lock guards data that is only consistent while no thread holds the lock. The fork takes
all awaited locks first. It never waits for a lock while it holds another lock, so it cannot cause a
deadlock. If a thread keeps a lock, and all threads have done nothing for ``_PATIENCE``, the fork
goes on and warns.

Python has a lock for each module that a thread imports. In the child of a fork such a lock of
another thread stays taken, and the child would wait for the module for ever. So the fork waits for
the imports of the modules of ``_AWAITED_PACKAGES``, too. An import may begin between this and the
fork. The child forgets it, and imports the module itself.
"""

import functools
import importlib
import os
import sys
import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any

__all__ = ["adopt", "around_fork", "cached_property", "new_condition", "new_gate", "new_lock"]

_PATIENCE = 10.0  # seconds in which other threads do nothing
_LONGEST = 100.0  # seconds that a fork waits at most
_WORK = 0.02  # seconds of the processor's time; threads that have less did nothing
_PAUSE = 1e-3  # seconds between two looks at the imports of other threads
#: The packages that this one imports when it first needs them. An import of the program's own
#: modules may never end, since a module may run a server.
_AWAITED_PACKAGES = frozenset(
    [*sys.stdlib_module_names, "llvmlite", "matplotlib", "ml_dtypes", "numpy", "rushlight", "scipy"]
)
#: The locks by their ids. ``valuerefs`` lists the locks in one step, so that other threads may add
#: locks meanwhile.
_locks: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_awaited: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_actions: list = []  # triples of functions: called before a fork, in the parent, in the child
_taken: list = []  # the locks that the fork in progress has taken


def new_lock(awaited=False) -> Any:
    """Return a new reentrant lock. A fork waits until it gets each ``awaited`` lock."""
    return adopt(threading.RLock(), awaited)


def new_condition():
    """A condition variable whose lock is made anew in the child of a fork.

    Threads do not live on in the child, so nothing waits for the condition there.
    """
    return threading.Condition(new_lock())


def new_gate():
    """Return a plain lock that is taken: who acquires it waits until another thread opens it."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def adopt(lock, awaited=False):
    """Treat a reentrant lock that other code made like the locks of ``new_lock``; return it."""
    (_awaited if awaited else _locks)[id(lock)] = lock
    return lock


if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(functools.cached_property):
        """``functools.cached_property``, which up to Python 3.11 has a lock for all instances."""

        def __init__(self, function):
            super().__init__(function)
            adopt(self.lock)


def around_fork(before=None, in_parent=None, in_child=None):
    """Register functions to call at each fork, while the fork holds the awaited locks."""
    _actions.append((before, in_parent, in_child))


def _living(locks):
    return [lock for lock in [ref() for ref in locks.valuerefs()] if lock is not None]


class _Patience:
    """How long a fork waits for other threads. On a busy machine they may take long to go on."""

    def __init__(self):
        self.end, self.worked = time.monotonic() + _LONGEST, -_WORK

    def left(self):
        """The seconds that are left if other threads do nothing."""
        now, worked = time.monotonic(), time.process_time() - time.thread_time()
        if worked >= self.worked + _WORK:
            self.worked, self.idle_end = worked, now + _PATIENCE
        return min(self.idle_end, self.end) - now


def _take_all():
    """Take all awaited locks while no other thread imports, and return them.

    Returns None if it waited in vain.

    If another thread holds a lock, this function releases all others and waits for that lock alone.
    It does not poll: a thread that takes the lock again at once would never be seen without it.
    """
    first, patience = None, _Patience()
    while True:
        taken, held = _take_free(_living(_awaited), first)  # imports make locks
        if held is None and not _others_import():
            return taken
        _release(taken)
        first = held
        if not _waited(held, patience):
            return None


def _waited(lock, patience):
    """Take ``lock``, or pause if it is None. Returns False if the fork shall go on without."""
    if lock is None:
        time.sleep(_PAUSE)
        return patience.left() > 0
    while (left := patience.left()) > 0:
        if lock.acquire(timeout=left):
            return True
    return False


def _take_free(locks, first):
    """Take locks up to the first lock that another thread holds; ``first`` is taken already.

    Returns the list of taken locks, and the lock that another thread holds or None.
    """
    taken = [] if first is None else [first]
    for lock in locks:
        if lock is not first:
            if not lock.acquire(blocking=False):
                return taken, lock
            taken.append(lock)
    return taken, None


def _others_import():
    """The modules of ``_AWAITED_PACKAGES`` that other threads import."""
    me, found = threading.get_ident(), []
    for name, ref in list(_module_locks().items()):
        owner = getattr(ref(), "owner", None)
        if owner not in (None, me) and name.partition(".")[0] in _AWAITED_PACKAGES:
            found.append(name)
    return found


def _module_locks():
    return vars(importlib._bootstrap).get("_module_locks", {})


def _forget_imports():
    """Let the child import the modules anew that other threads were importing."""
    for name in _others_import():
        del _module_locks()[name]
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            del sys.modules[name]


def _release(locks):
    for lock in locks:
        lock.release()


def _before_fork():
    global _taken
    taken = _take_all()
    if taken is None:
        taken = [lock for lock in _living(_awaited) if lock.acquire(blocking=False)]
        warnings.warn(
            "fork: another thread is compiling, importing modules, drawing random numbers or "
            f"changing the number of threads, but does not go on (waited {_PATIENCE:.0f} s, or "
            f"{_LONGEST:.0f} s if threads work); in the child its work may be half done",
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
    _forget_imports()
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
