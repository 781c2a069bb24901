"""torch.cpu: the CPU, with the functions and classes that the modules of other devices have."""

import contextlib
import time

__all__ = [
    "Event", "Stream", "current_device", "current_stream", "device_count", "is_available",
    "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip


class Stream:
    """The only stream of the CPU, which never waits.

    Calls finish before they return.

    Args:
        priority: Accepted without effect.

    >>> import rushlight as torch
    >>> torch.cpu.Stream().synchronize()
    """

    def __init__(self, priority=-1):
        pass

    def wait_stream(self, stream):
        """Do nothing: all earlier calls have finished."""

    def record_event(self, event=None):
        """Record an event with the present time.

        Args:
            event: An ``Event``. Default: a new one.

        Returns:
            The event.
        """
        event = Event() if event is None else event
        event.record()
        return event

    def wait_event(self, event):
        """Do nothing: the event has happened."""

    def synchronize(self):
        """Do nothing: all earlier calls have finished."""


class Event:
    """A moment in time.

    Args:
        enable_timing: Let ``elapsed_time`` measure from and to this event. Default: False.

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
        """Return the time from this event to a later one.

        Args:
            end_event: The later event.

        Returns:
            Milliseconds, a float.

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
    """Return whether the CPU can be used.

    Returns:
        True.

    >>> import rushlight as torch
    >>> torch.cpu.is_available(), torch.cpu.device_count(), torch.cpu.current_device()
    (True, 1, 'cpu')
    """
    return True


def is_initialized():
    """Return whether the CPU was prepared.

    Returns:
        True.

    >>> import rushlight as torch
    >>> torch.cpu.is_initialized()
    True
    """
    return True


def device_count():
    """Return the number of devices: the CPU is one.

    Returns:
        1.

    >>> import rushlight as torch
    >>> torch.cpu.device_count()
    1
    """
    return 1


def current_device():
    """Return the name of the device.

    Returns:
        ``"cpu"``.

    >>> import rushlight as torch
    >>> torch.cpu.current_device()
    'cpu'
    """
    return "cpu"


def set_device(device):
    """Do nothing, because there is one device.

    Args:
        device: Accepted without effect.

    >>> import rushlight as torch
    >>> torch.cpu.set_device("cpu")
    """


def synchronize(device=None):
    """Do nothing, because calls finish before they return.

    Args:
        device: Accepted without effect.

    >>> import rushlight as torch
    >>> torch.cpu.synchronize()
    """


def current_stream(device=None):
    """Return the only stream.

    Args:
        device: Accepted without effect.

    Returns:
        ``Stream``.

    >>> import rushlight as torch
    >>> torch.cpu.current_stream().synchronize()
    """
    return _stream


def stream(stream):
    """Return a context in which a stream is used; it does nothing, because there is one stream.

    Args:
        stream: A ``Stream``.

    Returns:
        Context manager, which gives ``stream``.

    >>> import rushlight as torch
    >>> with torch.cpu.stream(torch.cpu.current_stream()):
    ...     pass
    """
    return contextlib.nullcontext(stream)


def __getattr__(name):
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cpu

    return cpu
