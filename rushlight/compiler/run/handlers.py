"""Signal handlers run between any two instructions; a recording must not contain their work.

Nor must it contain the work of ``sys.unraisablehook``: Python calls it for an error that nobody can
catch, such as one in a ``__del__``. Pytest's hook, for example, is Python code that reads much.
"""

import _signal  # type: ignore[import-not-found]  # its functions do without enums, which are slow
import contextlib
import functools
import inspect
import signal
import sys
import threading

from rushlight.autograd import mode

__all__ = ["handlers_apart", "is_of_handler", "made"]

_SIGNALS = tuple([int(number) for number in signal.valid_signals()])


@contextlib.contextmanager
def handlers_apart():
    """Context within which handlers written in Python run with recording suspended."""
    wrapped = _wrapped() if threading.current_thread() is threading.main_thread() else {}
    hook = sys.unraisablehook
    # Another thread may have wrapped the hook already.
    is_apart = hook is sys.__unraisablehook__ or getattr(hook, "func", None) is _run
    hook_apart = hook if is_apart else functools.partial(_run, hook)
    try:
        sys.unraisablehook = hook_apart
        for number, (_, wrapper) in wrapped.items():
            signal.signal(number, wrapper)
        yield
    finally:
        for number, (handler, wrapper) in wrapped.items():
            if signal.getsignal(number) is wrapper:  # otherwise another handler was set meanwhile
                signal.signal(number, handler)
        if sys.unraisablehook is hook_apart:
            sys.unraisablehook = hook


def made(make, otherwise=None):
    """``make()``, which compiles code for an eager operation; ``otherwise`` if that fails.

    Handlers run apart, and an error of theirs is raised. The modes are those from before, after it.
    """
    before = mode.snapshot()
    try:
        with handlers_apart():
            return make()
    except Exception as error:
        if is_of_handler(error):
            raise
        return otherwise
    finally:
        mode.give_back(before)


def _wrapped():
    """Signal number → (its handler, a wrapper that runs the handler with recording suspended)."""
    return {
        number: (handler, functools.partial(_run, handler))
        for number, handler in _handlers()
        if handler is not signal.default_int_handler
    }


def _handlers():
    """(number, handler) of the signals that a callable handles."""
    found = [(number, _signal.getsignal(number)) for number in _SIGNALS]
    return [(number, handler) for number, handler in found if callable(handler)]


def _run(handler, *arguments):
    was = mode.exchange("dispatch_modes", None)  # a replay's capture is such a mode
    try:
        with mode.suspended():
            handler(*arguments)
    finally:
        mode.exchange("dispatch_modes", was)


def is_of_handler(error):
    """Whether a signal's handler raised ``error``. Such an error must never be swallowed.

    Code that catches an error and tries another way would lose it, because nothing raises the
    handler's error a second time.
    """
    codes = {_run.__code__}
    codes |= {_code(handler) for _, handler in _handlers()} - {None}
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace is not None


def _code(handler):
    """The code object of a handler written in Python; None for other handlers."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    called = inspect.getattr_static(type(handler), "__call__", None)
    return getattr(handler, "__code__", getattr(called, "__code__", None))
