"""Streams, events and contexts of devices, for devices of one type.

A subclass of each is made for each type (``devices.py``). Its ``_devices`` has the functions for
devices of the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rushlight.device_array import make_current
from rushlight.remote import device_of

if TYPE_CHECKING:
    from rushlight.devices import Devices

__all__ = ["Current", "CurrentOf", "Event", "Stream"]


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
    """The queue of a device, which runs all its work in order. Every stream is the same queue.

    Args:
        device: The device. Default: the current one.
        priority: Accepted without effect.
        **kwargs: Accepted without effect.

    Raises:
        RuntimeError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     torch.cuda.Stream().synchronize()
    """

    _devices: Devices

    cuda_stream = stream_id = priority = 0

    def __init__(self, device=None, priority=0, **kwargs):
        if not self._devices.is_available():
            name = self._devices.kind
            raise RuntimeError(f"torch.{name}.Stream requires {name.upper()} support")
        self.device = self._devices.place(device)

    def synchronize(self):
        """Wait until all work has run."""
        self._devices.synchronize(self.device)

    def query(self):
        """Return True if all work has run."""
        event = self.record_event()
        return event.query()

    def record_event(self, event=None):
        """Return ``event``, or a new one, at the end of the work so far."""
        event = self._devices.Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Do nothing: the work before an event is before all later work."""

    def wait_stream(self, stream):
        """Do nothing on one device; wait for the work of another device."""
        if stream.device != self.device:
            stream.synchronize()

    def __enter__(self):
        self._context = self._devices.device(self.device)
        self._context.__enter__()
        return self

    def __exit__(self, *exc):
        return self._context.__exit__(*exc)

    def __eq__(self, other):
        return type(other) is type(self) and other.device == self.device

    def __hash__(self):
        return hash(self.device)

    def __repr__(self):
        kind = self._devices.kind
        return f"<torch.{kind}.Stream device={self.device} {kind}_stream=0x0>"


class Event:
    """A moment in a device's work.

    Args:
        enable_timing: Whether ``elapsed_time`` may be asked.
        blocking, interprocess: Accepted without effect.

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

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        if not self._devices.is_available():
            name = self._devices.kind
            raise RuntimeError(f"torch.{name}.Event requires {name.upper()} support")
        self._timed, self._moment = enable_timing, None
        self._driver: Any = None

    def record(self, stream=None):
        """Note the moment when the work so far has run."""
        self._forget()
        self._driver = self._devices.driver(stream.device if stream is not None else None)
        self._moment = self._driver.moment()
        self._driver.record(self._moment)

    def wait(self, stream=None):
        """Do nothing: the work before an event is before all later work."""

    def query(self):
        """Return True if the moment has come, or was not noted."""
        return self._moment is None or self._driver.reached(self._moment)

    def synchronize(self):
        """Wait until the moment has come."""
        if self._moment is not None:
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
        end_event.synchronize()
        return self._driver.between(self._moment, end_event._moment)

    def _forget(self):
        if self._moment is not None:
            self._driver.forget(self._moment)
            self._moment = None

    def __del__(self):
        self._forget()
