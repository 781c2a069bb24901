"""Split work on arrays into parts, and run the parts on several threads.

NumPy releases the interpreter lock while it works on an array, so threads run at the same time.
The split never depends on the number of threads. While several threads run, BLAS uses one thread
for each part.
"""

import sys
import threading
from collections import deque
from contextvars import copy_context

from rushlight.backend.sizes import large_from
from rushlight.locks import around_fork, new_lock
from rushlight.threads import _blas, get_num_threads

__all__ = ["each", "parts"]

PARTS = 16  # the largest number of parts
LARGE = large_from(1 << 22)  # bytes; smaller arrays are not split

_lock = new_lock()  # held by the call whose parts run on several threads
_busy = False  # whether the parts of a call are running on several threads


def parts(count, bytes_each):
    """Slices that split ``count`` items of ``bytes_each``: one slice up to 4 MiB, else up to 16."""
    total = count * bytes_each
    n = min(PARTS, count, 4 * total // LARGE) if total > LARGE else 1
    return [slice(count * i // n, count * (i + 1) // n) for i in range(n)]


def each(work, parts):
    """``[work(part) for part in parts]``; NumPy must do most of the work."""
    global _busy
    count = min(get_num_threads(), len(parts))
    if count < 2 or _busy:
        return [work(part) for part in parts]
    with _lock:
        if not _busy:
            try:
                _busy = True
                return _on_threads(work, parts, count)
            finally:
                _busy = False
    return [work(part) for part in parts]


def _on_threads(work, parts, count):
    results = [None] * len(parts)
    errors: list = []
    todo = deque(range(len(parts)))

    def loop():
        while todo:
            try:
                i = todo.popleft()
            except IndexError:
                return
            try:
                results[i] = work(parts[i])
            except BaseException as error:
                errors.append(error)
                todo.clear()

    libraries = [(library, library.get_num_threads()) for library in _blas()]
    # Each helper runs in a copy of this context, because the context holds NumPy's handling of
    # floating-point errors. It also takes over this thread's handling of denormal numbers, if a
    # program has ever changed that.
    denormals = sys.modules.get("rushlight.compiler.run.denormals")
    help_out = loop if denormals is None else denormals.carried(loop)
    helpers = [
        threading.Thread(target=copy_context().run, args=(help_out,), daemon=True)
        for _ in range(count - 1)
    ]
    started = []
    try:
        for library, _ in libraries:
            library.set_num_threads(1)
        for helper in helpers:
            try:
                helper.start()
            except RuntimeError:  # the system has no more threads: those that started do all parts
                break
            started.append(helper)
        loop()
    finally:
        try:
            for helper in started:
                helper.join()
        finally:  # also after an interrupt
            for library, n in libraries:
                library.set_num_threads(n)
    if errors:
        raise errors[0]
    return results


def _forget_call():
    """Reset ``_busy`` in a forked child, because the threads of the parent's call do not exist.

    If the forking thread itself made the call, the call goes on in the child, and stays busy.
    """
    global _busy
    _busy = _lock._is_owned()


around_fork(in_child=_forget_call)
