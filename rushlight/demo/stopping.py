"""Ending early: a signal sets a flag, and the run reads the flag between two steps."""

import signal
import threading

__all__ = ["Stopping"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Let Ctrl-C and SIGTERM only set ``signal`` in the ``with`` block. The first signal counts.

    An exception could interrupt a step or a save. A flag cannot, so the saved state is always a
    state between two steps.

    >>> import signal
    >>> from rushlight.demo.stopping import Stopping
    >>> with Stopping() as stopping:
    ...     signal.raise_signal(signal.SIGINT)
    ...     stopping.exit_code
    130
    """

    def __init__(self):
        self.signal = None
        self._before = {}

    @property
    def exit_code(self):
        """The exit code that shells expect after the signal; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number, frame):
        self.signal = self.signal or number
