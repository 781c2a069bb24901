"""Profiler events with their times: sums by name, printed tables, exported traces."""

import gzip
import json
import os
from types import SimpleNamespace
from typing import Any

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg"]


class _Timed:
    """The attributes that one event and a sum of events share.

    Times are in microseconds, memory is in bytes. The attributes of other devices are PyTorch's;
    they are always 0, because rushlight records only the CPU.
    """

    cpu_time_total: Any
    self_cpu_time_total: Any
    count: Any
    device_time = device_time_total = self_device_time_total = 0.0
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0
    device_memory_usage = self_device_memory_usage = flops = 0
    is_async = is_remote = is_legacy = False
    node_id = -1
    use_device = None

    @property
    def cpu_time(self):
        """The mean time of one call, in microseconds."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def cpu_time_str(self):
        """``cpu_time`` as text with its unit."""
        return _time(self.cpu_time)

    @property
    def cpu_time_total_str(self):
        """``cpu_time_total`` as text with its unit."""
        return _time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self):
        """``self_cpu_time_total`` as text with its unit."""
        return _time(self.self_cpu_time_total)


class FunctionEvent(_Timed):
    """Something that happened once: an operation, a gradient, a kernel, a region.

    Attributes:
        name: The name of the operation, gradient, kernel or region.
        category: The kind of event: "cpu_op", "kernel" or "user_annotation".
        start, end: Nanoseconds since the profile began.
        thread: The id of the thread in which the event happened.
        cpu_parent: The event within which this event happened, or None.
        cpu_children: The events that happened directly within this event.
        input_shapes: The shapes of the input tensors.
        self_cpu_memory_usage: Bytes of the results that the event itself made.
        stack: The lines of the program that led to the event, innermost first.

    Args:
        name, category, start, thread: As the attributes.
        parent: The event within which this event happens, or None.
        shapes: The shapes of the input tensors. Default: none.
        stack: The lines of the program that led to the event. Default: none.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as profiled:
    ...     x = torch.ones(2) * 2
    >>> profiled.events()[1].name
    'aten::mul'
    """

    count = 1

    def __init__(self, name, category, start, thread, parent, shapes=(), stack=()):
        self.id = 0
        self.name, self.category, self.thread = name, category, thread
        self.start = self.end = start
        self.cpu_parent, self.cpu_children = parent, []
        self.input_shapes, self.stack = list(shapes), list(stack)
        self.self_cpu_memory_usage = 0

    key = property(lambda self: self.name)

    @property
    def time_range(self):
        """``start`` and ``end`` in microseconds."""
        return SimpleNamespace(start=self.start / 1e3, end=self.end / 1e3)

    @property
    def cpu_time_total(self):
        """Microseconds from the event's start to its end."""
        return (self.end - self.start) / 1e3

    @property
    def self_cpu_time_total(self):
        """Microseconds of the event without the events inside it."""
        return self.cpu_time_total - sum([c.cpu_time_total for c in self.cpu_children])

    @property
    def cpu_memory_usage(self):
        """Bytes of the results made by the event and by the events inside it."""
        inner = sum([c.cpu_memory_usage for c in self.cpu_children])
        return self.self_cpu_memory_usage + inner

    def __repr__(self):
        return (
            f"<FunctionEvent id={self.id} name={self.name} cpu_time={self.cpu_time_str} "
            f"cpu_children={[c.id for c in self.cpu_children]} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>"
        )


class FunctionEventAvg(_Timed):
    """The sum of the events that have one name.

    Args:
        key: The name.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as profiled:
    ...     x = torch.ones(2) * 2 * 2
    >>> profiled.key_averages()[1].count
    2
    """

    def __init__(self, key):
        self.key = key
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0
        self.input_shapes: list = []
        self.stack: list = []

    def add(self, event, nested=False):
        """Add an event to the sum; returns the sum.

        A ``nested`` event lies inside an event of the same sum, whose total includes it already. So
        only its own time and memory are added.
        """
        self.count += 1
        self.self_cpu_time_total += event.self_cpu_time_total
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        if not nested:
            self.cpu_time_total += event.cpu_time_total
            self.cpu_memory_usage += event.cpu_memory_usage
        return self

    def __repr__(self):
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str} input_shapes={self.input_shapes or ''} "
            f"cpu_memory_usage={self.cpu_memory_usage}>"
        )


class EventList(list):
    """A list of events, or of sums of events by name.

    Attributes:
        profile_memory, shapes, stacks: Whether a table gets columns for memory, input shapes and
            source lines.
        total: Microseconds of all events, where the time of nested events is counted once.

    Args:
        events: The events. Default: none.
        profile_memory, shapes, stacks: As the attributes. Default: False.
        total: As the attribute. Default: None, unknown.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as profiled:
    ...     x = torch.ones(2) * 2
    >>> type(profiled.events()).__name__, len(profiled.events())
    ('EventList', 2)
    """

    def __init__(self, events=(), *, profile_memory=False, shapes=False, stacks=False, total=None):
        super().__init__(events)
        self.profile_memory, self.shapes, self.stacks = profile_memory, shapes, stacks
        self.total = sum([e.self_cpu_time_total for e in self]) if total is None else total

    @property
    def self_cpu_time_total(self):
        """Microseconds of all events, where the time of nested events is counted once."""
        return self.total

    def key_averages(self, group_by_input_shapes=False, group_by_stack_n=0,
                     group_by_overload_name=False):  # fmt: skip
        """Add the events up by name.

        With ``group_by_input_shapes`` only events of equal input shapes are added up. With
        ``group_by_stack_n`` above 0, only events whose n innermost source lines are equal.
        """
        found: dict = {}
        for event in self:
            key: Any = (event.name,)
            if group_by_input_shapes:
                key += (str(event.input_shapes),)
            if group_by_stack_n:
                key += tuple(event.stack[:group_by_stack_n])
            average = found.setdefault(key, FunctionEventAvg(event.name))
            average.add(event, _within_its_own(event))
            if group_by_input_shapes:
                average.input_shapes = event.input_shapes
            average.stack = event.stack[:group_by_stack_n]
        return EventList(
            found.values(), profile_memory=self.profile_memory, shapes=group_by_input_shapes,
            stacks=group_by_stack_n > 0, total=self.total,
        )  # fmt: skip

    def total_average(self):
        """Add all events up to one sum named "Total"."""
        whole = FunctionEventAvg("Total")
        for event in self:
            whole.add(event, nested=event.cpu_parent is not None)
        return whole

    def table(
        self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
        max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None,
    ):  # fmt: skip
        """Format the events as a table, sorted by the attribute ``sort_by``, largest first.

        Raises:
            AttributeError: Events have no attribute of this name.
        """
        events = list(self)
        if top_level_events_only:
            events = [e for e in events if getattr(e, "cpu_parent", None) is None]
        if sort_by is not None:
            events.sort(key=lambda e: getattr(e, sort_by), reverse=True)
        events = events if row_limit < 0 else events[:row_limit]
        titles = self._titles()
        rows = [self._row(e, max_name_column_width, max_shapes_column_width,
                          max_src_column_width, time_unit) for e in events]  # fmt: skip
        widths = [max(12, *map(len, column)) for column in zip(titles, *rows, strict=True)]
        line = "  ".join(["-" * w for w in widths])
        text = [line, _aligned(titles, widths), line, *[_aligned(r, widths) for r in rows], line]
        lines = text if header is None else ["-" * len(line), header, *text]
        return "\n".join([*lines, f"Self CPU time total: {_time(self.total, time_unit)}", ""])

    def _titles(self):
        memory = ["CPU Mem", "Self CPU Mem"] if self.profile_memory else []
        return [
            "Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", *memory,
            "# of Calls", *(["Input Shapes"] if self.shapes else []),
            *(["Source Location"] if self.stacks else []),
        ]  # fmt: skip

    def _row(self, event, name_width, shapes_width, source_width, unit):
        whole = self.total or 1.0
        sizes = (event.cpu_memory_usage, event.self_cpu_memory_usage)
        return [
            _cut(event.key, name_width),
            f"{100 * event.self_cpu_time_total / whole:.2f}%",
            _time(event.self_cpu_time_total, unit),
            f"{100 * event.cpu_time_total / whole:.2f}%", _time(event.cpu_time_total, unit),
            _time(event.cpu_time, unit),
            *([_memory(n) for n in sizes] if self.profile_memory else []), str(event.count),
            *([_cut(str(event.input_shapes), shapes_width)] if self.shapes else []),
            *([_cut(event.stack[0] if event.stack else "", source_width)] if self.stacks else []),
        ]  # fmt: skip

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path, metadata=None, use_python_export=False):
        """Write the events as a JSON trace for chrome://tracing and Perfetto.

        The file is compressed if ``path`` ends in ``.gz``.
        """
        process = os.getpid()
        entries = [_entry(e, process) for e in self]
        names = {e.thread for e in self}
        entries += [
            {"ph": "M", "name": "thread_name", "pid": process, "tid": t, "args": {"name": str(t)}}
            for t in sorted(names)
        ]
        trace = {"schemaVersion": 1, "displayTimeUnit": "ms", **(metadata or {}),
                 "traceEvents": entries}  # fmt: skip
        opened: Any = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "wt", encoding="utf-8") as file:
            json.dump(trace, file)


def _within_its_own(event):
    outer = event.cpu_parent
    while outer is not None:
        if outer.name == event.name:
            return True
        outer = outer.cpu_parent
    return False


def _entry(event, process):
    arguments: dict = {"External id": event.id}
    if event.input_shapes:
        arguments["Input Dims"] = event.input_shapes
    if event.self_cpu_memory_usage:
        arguments["Bytes"] = event.self_cpu_memory_usage
    if event.stack:
        arguments["Call stack"] = ";".join(event.stack)
    return {
        "ph": "X", "cat": event.category, "name": event.name, "pid": process, "tid": event.thread,
        "ts": event.start / 1e3, "dur": event.cpu_time_total, "args": arguments,
    }  # fmt: skip


def _aligned(cells, widths):
    return "  ".join([c.rjust(w) for c, w in zip(cells, widths, strict=True)]) + "  "


def _cut(text, width):
    return text if width is None or len(text) <= width else text[: width - 3] + "..."


def _time(microseconds, unit=None):
    """Format a time in ``unit`` ("s", "ms" or "us"); None chooses the unit by the time's size."""
    if unit == "s" or (unit is None and microseconds >= 1e6):
        return f"{microseconds / 1e6:.3f}s"
    if unit == "ms" or (unit is None and microseconds >= 1e3):
        return f"{microseconds / 1e3:.3f}ms"
    return f"{microseconds:.3f}us"


def _memory(count):
    for size, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if abs(count) >= size:
            return f"{count / size:.2f} {name}"
    return f"{count} B"
