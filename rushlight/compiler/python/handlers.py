"""Handlers of signals come between any two instructions, and have no part in a recording."""

import contextlib
import functools
import signal
import threading

from rushlight.autograd import mode

__all__ = ["handlers_apart"]


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
