"""torch.monitor: events and statistics that a program hands to handlers, such as a log's writer.

>>> import rushlight as torch
>>> from datetime import timedelta
>>> handle = torch.monitor.register_event_handler(lambda event: print(event.data))
>>> stat = torch.monitor.Stat("loss", [torch.monitor.Aggregation.MEAN], timedelta(hours=1), 2)
>>> stat.add(1.0)
>>> stat.add(2.0)
{'loss.mean': 1.5}
>>> torch.monitor.unregister_event_handler(handle)
"""

import datetime
import time
from collections.abc import Callable
from enum import Enum

__all__ = [
    "STAT_EVENT", "Aggregation", "Event", "EventHandlerHandle", "Stat", "TensorboardEventHandler",
    "log_event", "register_event_handler", "unregister_event_handler",
]  # fmt: skip

STAT_EVENT = "torch.monitor.Stat"

_handlers: list = []


class Aggregation(Enum):
    """How a ``Stat`` sums up the numbers of a window; ``VALUE`` is the last number."""

    VALUE = 1
    MEAN = 2
    COUNT = 3
    SUM = 4
    MAX = 5
    MIN = 6


_COMPUTE: dict[Aggregation, Callable] = {
    Aggregation.VALUE: lambda values: values[-1],
    Aggregation.MEAN: lambda values: sum(values) / len(values),
    Aggregation.COUNT: lambda values: float(len(values)),
    Aggregation.SUM: sum,
    Aggregation.MAX: max,
    Aggregation.MIN: min,
}


class Event:
    """Something that happened.

    Args:
        name: What happened, a text.
        timestamp: When it happened, a ``datetime.datetime``.
        data: Dict from texts to numbers, bools and texts.

    Raises:
        TypeError: An argument has another type.

    >>> import rushlight as torch
    >>> from datetime import datetime
    >>> torch.monitor.Event("start", datetime(2026, 1, 1), {"epoch": 1}).data
    {'epoch': 1}
    """

    def __init__(self, name, timestamp, data):
        kinds = isinstance(name, str), isinstance(timestamp, datetime.datetime)
        entries = [(k, v) for k, v in data.items() if not _is_entry(k, v)]
        if not all(kinds) or entries:
            raise TypeError(
                "torch.monitor.Event: expected a str, a datetime, and a dict from str to int, "
                f"float, bool or str, but got {name!r}, {timestamp!r} and {data!r}"
            )
        self.name = name
        self.timestamp = timestamp
        self.data = dict(data)


def _is_entry(key, value):
    return isinstance(key, str) and isinstance(value, (int, float, str))


class EventHandlerHandle:
    """What ``register_event_handler`` returns: the key of a handler."""

    def __init__(self, handler):
        self._handler = handler


def register_event_handler(callback):
    """Call ``callback(event)`` for every event from now on.

    Returns:
        ``EventHandlerHandle``, for ``unregister_event_handler``.

    >>> import rushlight as torch
    >>> handle = torch.monitor.register_event_handler(print)
    >>> torch.monitor.unregister_event_handler(handle)
    """
    handle = EventHandlerHandle(callback)
    _handlers.append(handle)
    return handle


def unregister_event_handler(handler):
    """Call the handler of this handle no more.

    >>> import rushlight as torch
    >>> handle = torch.monitor.register_event_handler(print)
    >>> torch.monitor.unregister_event_handler(handle)
    """
    if handler in _handlers:
        _handlers.remove(handler)


def log_event(event):
    """Hand an event to all handlers.

    >>> import rushlight as torch
    >>> from datetime import datetime
    >>> handle = torch.monitor.register_event_handler(lambda event: print(event.name))
    >>> torch.monitor.log_event(torch.monitor.Event("start", datetime(2026, 1, 1), {}))
    start
    >>> torch.monitor.unregister_event_handler(handle)
    """
    for handle in tuple(_handlers):
        handle._handler(event)


class Stat:
    """Sums up the numbers of each window of time; the end of a window is an event.

    A window ends when its time has passed and another number comes, when it has ``max_samples``
    numbers, or when the Stat is freed. Numbers above ``max_samples`` do not count.

    Args:
        name: The name of the statistic. The event's data has the keys ``name.sum``, and so on.
        aggregations: List of ``Aggregation``.
        window_size: The length of a window, a ``datetime.timedelta`` of at least a millisecond.
        max_samples: The largest number of numbers in a window. Default: any.

    Raises:
        TypeError: ``window_size`` is no timedelta.
        ValueError: ``window_size`` is shorter than a millisecond.

    >>> import rushlight as torch
    >>> from datetime import timedelta
    >>> stat = torch.monitor.Stat("loss", [torch.monitor.Aggregation.MAX], timedelta(hours=1), 2)
    >>> stat.add(1.0)
    >>> stat.add(2.0)
    >>> stat.get()
    {<Aggregation.MAX: 5>: 2.0}
    """

    def __init__(self, name, aggregations, window_size, max_samples=-1):
        self._values: list = []
        if not isinstance(window_size, datetime.timedelta):
            raise TypeError(
                f"torch.monitor.Stat: window_size must be a datetime.timedelta, not {window_size!r}"
            )
        self._length = window_size // datetime.timedelta(milliseconds=1)
        if self._length < 1:
            raise ValueError("torch.monitor.Stat: window_size must be at least a millisecond")
        self.name = name
        self._aggregations = [kind for kind in Aggregation if kind in aggregations]
        self._most = max_samples if max_samples > 0 else float("inf")
        self._window = self._now()
        self._is_full = False
        self._last = dict.fromkeys(self._aggregations, 0.0)

    @property
    def count(self):
        """How many numbers the present window has."""
        return len(self._values)

    def add(self, v):
        """Add a number to the present window."""
        if (now := self._now()) != self._window:
            self._end()
            self._window, self._is_full = now, False
        if not self._is_full:
            self._values.append(float(v))
            if len(self._values) >= self._most:
                self._end()
                self._is_full = True

    def get(self):
        """Return the aggregations of the last window that has ended: zeros if none has."""
        return dict(self._last)

    def _now(self):
        return time.monotonic_ns() // 1_000_000 // self._length

    def _end(self):
        if not self._values:
            return
        self._last = {kind: float(_COMPUTE[kind](self._values)) for kind in self._aggregations}
        self._values = []
        data = {f"{self.name}.{kind.name.lower()}": v for kind, v in self._last.items()}
        log_event(Event(STAT_EVENT, datetime.datetime.now(), data))

    def __del__(self):
        self._end()


class TensorboardEventHandler:
    """A handler that writes the events of every ``Stat`` as scalars.

    Args:
        writer: A ``torch.utils.tensorboard.SummaryWriter``.

    >>> import rushlight as torch
    >>> class Printer:
    ...     def add_scalar(self, tag, value, walltime):
    ...         print(tag, value)
    >>> from datetime import datetime
    >>> handler = torch.monitor.TensorboardEventHandler(Printer())
    >>> handler(torch.monitor.Event(torch.monitor.STAT_EVENT, datetime(2026, 1, 1), {"a.sum": 2.0}))
    a.sum 2.0
    """

    def __init__(self, writer):
        self._writer = writer

    def __call__(self, event):
        if event.name == STAT_EVENT:
            for tag, value in event.data.items():
                self._writer.add_scalar(tag, value, walltime=event.timestamp.timestamp())
