"""Handlers of signals come between any two instructions, and have no part in a recording."""

import contextlib
import functools
import inspect
import signal
import threading

from rushlight.autograd import mode

__all__ = ["handlers_apart", "is_of_handler"]


@contextlib.contextmanager
def handlers_apart():
    """Within, handlers in Python run as if nothing were recorded."""
    wrapped = _wrapped() if threading.current_thread() is threading.main_thread() else {}
    try:
        for number, (_, wrapper) in wrapped.items():
            signal.signal(number, wrapper)
        yield
    finally:
        for number, (handler, wrapper) in wrapped.items():
            if signal.getsignal(number) is wrapper:  # else somebody set another
                signal.signal(number, handler)


def _wrapped():
    """Signal number → its handler, and what runs the handler apart."""
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {
        number: (handler, functools.partial(_run, handler))
        for number, handler in found.items()
        if callable(handler) and handler is not signal.default_int_handler
    }


def _run(handler, number, frame):
    with mode.suspended():
        handler(number, frame)


def is_of_handler(error):
    """Whether a signal's handler raised ``error``: then it must end whatever is under way.

    What catches an error to go on in another way would lose it, since nothing raises it again.
    """
    codes = {_run.__code__}
    codes |= {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace is not None


def _code(handler):
    """The code of a handler in Python; None of others."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    called = inspect.getattr_static(type(handler), "__call__", None)
    return getattr(handler, "__code__", getattr(called, "__code__", None))
