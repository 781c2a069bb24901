"""Streams, events and contexts of devices, for devices of one type.

A subclass of each is made for each type (``devices.py``). Its ``_devices`` has the functions for
devices of the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rushlight.device_array import make_current
from rushlight.errors import AcceleratorError
from rushlight.remote import device_of

if TYPE_CHECKING:
    from rushlight.devices import Devices

__all__ = ["Current", "CurrentOf", "CurrentStream", "Event", "Stream"]


class Current:
    """Context in which a device is the current one of its type.

    Args:
        device: A number, string or ``torch.device``. None or a negative number has no effect.

    Raises:
        AssertionError: the context is entered, and there is no device.

    >>> import rushlight as torch
    >>> with torch.cuda.device(None):
    ...     pass
    """

    _devices: Devices

    def __init__(self, device):
        self.idx = device
        self._before = None

    def __enter__(self):
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            self._before = make_current(self._devices.kind, self._devices.place(self.idx).index)

    def __exit__(self, *exc):
        if self._before is not None:
            make_current(self._devices.kind, self._before)
        return False


class CurrentOf(Current):
    """Context in which the device of a tensor is the current one.

    Args:
        obj: A tensor. One on a device of another type has no effect.

    >>> import rushlight as torch
    >>> with torch.cuda.device_of(torch.ones(2)):
    ...     pass
    """

    def __init__(self, obj):
        place = device_of(obj)
        super().__init__(place.index if place.type == self._devices.kind else None)


class Stream:
    """A queue of a device, which runs its work in order. Streams do not wait for each other.

    OpenCL devices run the work of all streams in one order.

    Args:
        device: The device. Default: the current one.
        priority: Streams with lower numbers go first: 0 or less.
        **kwargs: Accepted without effect.

    Raises:
        RuntimeError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     torch.cuda.Stream().synchronize()
    """

    _devices: Devices

    def __init__(self, device=None, priority=0, **kwargs):
        if not self._devices.is_available():
            name = self._devices.kind
            raise RuntimeError(f"torch.{name}.Stream requires {name.upper()} support")
        self.device = self._devices.place(device)
        self._driver = self._devices.driver(self.device)
        self._queue = kwargs.pop("queue", None) or self._driver.take_queue(int(priority))
        self._contexts: list = []

    @property
    def cuda_stream(self):
        """The driver's number of the stream; 0 for the default one."""
        handle = self._queue.handle
        return 0 if handle is None else handle.value

    @property
    def stream_id(self):
        """The number of the stream among those of its device."""
        return self._queue.number

    @property
    def priority(self):
        """Streams with lower numbers go first."""
        return self._queue.priority

    def synchronize(self):
        """Wait until all work of the stream has run."""
        self._driver.refuse_recorded("Stream.synchronize")
        self._driver.drain(self._queue)

    def query(self):
        """Return True if all work of the stream has run."""
        self._driver.refuse_recorded("Stream.query")
        return self._driver.is_drained(self._queue)

    def record_event(self, event=None):
        """Return ``event``, or a new one, at the end of the work so far."""
        event = self._devices.Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Let the work from now on wait for an event."""
        event.wait(self)

    def wait_stream(self, stream):
        """Let the work from now on wait for the work of another stream so far."""
        self.wait_event(stream.record_event())

    def __enter__(self):
        context = CurrentStream(self)
        context.__enter__()
        self._contexts.append(context)
        return self

    def __exit__(self, *exc):
        return self._contexts.pop().__exit__(*exc)

    def __eq__(self, other):
        return type(other) is type(self) and other._queue is self._queue

    def __hash__(self):
        return hash((self.device, self.stream_id))

    def __repr__(self):
        kind = self._devices.kind
        return f"<torch.{kind}.Stream device={self.device} {kind}_stream={self.cuda_stream:#x}>"


class CurrentStream:
    """Context in which a stream is the current one of its device, which is the current device.

    Args:
        stream: A ``Stream``; None has no effect.

    >>> import rushlight as torch
    >>> with torch.cuda.stream(None):
    ...     pass
    """

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        stream = self.stream
        if stream is not None:
            local = stream._driver.local
            self._before = local.queue
            local.queue = stream._queue
            self._device = make_current(stream._devices.kind, stream.device.index)

    def __exit__(self, *exc):
        stream = self.stream
        if stream is not None:
            stream._driver.local.queue = self._before
            make_current(stream._devices.kind, self._device)
        return False


class Event:
    """A moment in a device's work.

    Args:
        enable_timing: Whether ``elapsed_time`` may be asked.
        blocking, interprocess, external: Accepted without effect.

    Raises:
        RuntimeError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     start, end = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    ...     start.record()
    ...     end.record()
    ...     end.synchronize()
    ...     assert start.elapsed_time(end) >= 0
    """

    _devices: Devices
    _moment: Any = None  # ``__del__`` also runs if ``__init__`` raised

    def __init__(self, enable_timing=False, blocking=False, interprocess=False, external=False):
        if not self._devices.is_available():
            name = self._devices.kind
            raise RuntimeError(f"torch.{name}.Event requires {name.upper()} support")
        self._timed, self._moment = enable_timing, None
        self._driver: Any = None

    def record(self, stream=None):
        """Note the moment when the work of a stream so far has run. Default: the current stream."""
        self._forget()
        stream = self._devices.current_stream() if stream is None else stream
        self._driver = stream._driver
        if self._driver.recorded() is None:  # what is recorded runs in order
            self._moment = self._driver.moment()
            self._driver.record(self._moment, stream._queue)

    def wait(self, stream=None):
        """Let the work of a stream from now on wait for the moment. Default: the current stream."""
        if self._moment is None:
            return
        stream = self._devices.current_stream() if stream is None else stream
        if stream._driver.recorded() is not None:
            raise AcceleratorError(
                "CUDA error: dependency created on uncaptured work in another stream"
            )
        stream._driver.follow(stream._queue, self._moment)

    def query(self):
        """Return True if the moment has come, or was not noted."""
        if self._moment is None:
            return True
        self._driver.refuse_recorded("Event.query")
        return self._driver.reached(self._moment)

    def synchronize(self):
        """Wait until the moment has come."""
        if self._moment is not None:
            self._driver.refuse_recorded("Event.synchronize")
            self._driver.wait_for(self._moment)

    def elapsed_time(self, end_event):
        """Return the milliseconds from this moment to that of ``end_event``.

        Raises:
            ValueError: one of them does not take times.
            RuntimeError: one of them was not recorded.
        """
        if not (self._timed and end_event._timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._moment is None or end_event._moment is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        self.synchronize()
        end_event.synchronize()
        return self._driver.between(self._moment, end_event._moment)

    def _forget(self):
        if self._moment is not None:
            self._driver.forget(self._moment)
            self._moment = None

    def __del__(self):
        self._forget()
