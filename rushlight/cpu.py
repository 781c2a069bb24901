"""torch.cpu: the CPU, with the functions and classes that the modules of other devices have."""

import contextlib
import time

__all__ = [
    "Event", "Stream", "current_device", "current_stream", "device_count", "is_available",
    "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip


class Stream:
    """The only stream of the CPU. Calls finish before they return, so a stream never waits."""

    def __init__(self, priority=-1):
        pass

    def wait_stream(self, stream):
        """Do nothing: all earlier calls have finished."""

    def record_event(self, event=None):
        """Record ``event`` (default: a new ``Event``) with the present time, and return it."""
        event = Event() if event is None else event
        event.record()
        return event

    def wait_event(self, event):
        """Do nothing: the event has happened."""

    def synchronize(self):
        """Do nothing: all earlier calls have finished."""


class Event:
    """A moment in time.

    >>> import rushlight as torch
    >>> begin, end = torch.cpu.Event(enable_timing=True), torch.cpu.Event(enable_timing=True)
    >>> begin.record(), end.record(), begin.elapsed_time(end) >= 0
    (None, None, True)
    """

    def __init__(self, enable_timing=False):
        self.enable_timing = enable_timing
        self._at = None

    def record(self, stream=None):
        """Note the time."""
        self._at = time.perf_counter()

    def query(self):
        """Return True: the event has happened."""
        return True

    def synchronize(self):
        """Do nothing: the event has happened."""

    def wait(self, stream=None):
        """Do nothing: the event has happened."""

    def elapsed_time(self, end_event):
        """Return the milliseconds from this event to the later ``end_event``.

        Raises:
            ValueError: an event was not recorded, or was made without ``enable_timing``.
        """
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Event: elapsed_time needs events made with enable_timing=True")
        if self._at is None or end_event._at is None:
            raise ValueError("Event: both events must be recorded before elapsed_time")
        return (end_event._at - self._at) * 1e3


_stream = Stream()


def is_available():
    """True.

    >>> import rushlight as torch
    >>> torch.cpu.is_available(), torch.cpu.device_count(), torch.cpu.current_device()
    (True, 1, 'cpu')
    """
    return True


def is_initialized():
    """True."""
    return True


def device_count():
    """1."""
    return 1


def current_device():
    """``"cpu"``."""
    return "cpu"


def set_device(device):
    """Nothing: there is one."""


def synchronize(device=None):
    """Nothing: what was called before is done."""


def current_stream(device=None):
    """The ``Stream``."""
    return _stream


def stream(stream):
    """Context in which a stream is used: the CPU has one order."""
    return contextlib.nullcontext(stream)


def __getattr__(name):
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cpu

    return cpu
