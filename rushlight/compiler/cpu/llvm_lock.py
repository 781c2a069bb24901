"""Calls of LLVM that a signal's handler, such as Ctrl-C's, does not leave half done.

llvmlite takes and releases its lock in Python. If a handler raised between these two lines, the
lock would stay taken, and no thread could ever compile again. So the lock is replaced by one that
is taken and released in C. Work of several calls runs in a thread of its own, since handlers run in
the main thread only: what is made in pieces, or freed in order, is finished.
"""

import _thread
import threading
from contextlib import contextmanager, nullcontext
from typing import Any

from rushlight import locks
from rushlight.gc_pause import paused

__all__ = ["apart", "held", "mend_lock"]


class _Lock(type(locks.new_lock())):  # type: ignore[misc]
    """A reentrant lock in C, in the place of llvmlite's."""

    def register(self, *callbacks):
        """Give llvmlite its own lock again, which can call functions of other libraries (numba)."""
        _put(self.before)
        self.before.register(*callbacks)


def mend_lock():
    """Replace llvmlite's lock, and make forks wait until no thread is inside LLVM.

    Otherwise the child of a fork could get a taken lock and never compile. A lock that other
    libraries have registered functions with stays, as does one of a kind that is not known here.
    """
    before: Any = getattr(_llvm().lib, "_lock", None)
    if type(before) is getattr(_llvm(), "_LLVMLock", None) and not before._cblist:
        lock = _Lock()
        lock.before = before
        _put(lock)
    found = _lock()
    if found is not None:
        locks.adopt(found, awaited=True)


def _llvm():
    import llvmlite.binding as llvm

    return llvm.ffi


def _put(lock):
    lib = _llvm().lib
    lib._lock = lock
    for function in lib._fntab.values():
        function._lock = lock


def _lock():
    """The reentrant lock of llvmlite, or None if this llvmlite has another kind."""
    lock = getattr(_llvm().lib, "_lock", None)
    lock = lock if isinstance(lock, _Lock) else getattr(lock, "_lock", None)
    return lock if hasattr(lock, "_is_owned") else None


@contextmanager
def held():
    """Hold LLVM's lock; gives False, and holds nothing, if this llvmlite has an unknown lock."""
    lock = _lock()
    with lock or nullcontext():
        yield lock is not None


def _holds_lock():
    """Whether this thread holds LLVM's lock, as it does while the process forks."""
    lock = _lock()
    return lock is not None and lock._is_owned()


@paused()  # a finaliser that ran in the new thread could wait for a lock of this thread
def apart(work):
    """``work()``, run to its end in a thread of its own; its result is dropped after an interrupt.

    The thread is not one of ``threading``'s: an interrupt could leave the locks of these taken.
    """
    if threading.current_thread() is not threading.main_thread() or _holds_lock():
        return work()
    found: list = []
    done = locks.new_gate()

    def run():
        try:
            found.append((work(), None))
        except BaseException as error:
            found.append((None, error))
        finally:
            done.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the interpreter is ending, or has no threads
        return work()
    done.acquire()
    ((result, error),) = found
    if error is not None:
        raise error
    return result
