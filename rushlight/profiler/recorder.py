"""Notes events as they happen, nested by the event within which they begin."""

import functools
import inspect
import os
import sys
import threading
import time
from types import FrameType

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.ops.core import dispatch
from rushlight.profiler.events import FunctionEvent
from rushlight.tensor import Tensor

__all__ = ["Recorder", "record_function"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Recorder:
    """Records the events of one thread from ``start`` to ``stop``.

    Attributes:
        events: The FunctionEvents, in the order in which they began.
    """

    def __init__(self, shapes=False, memory=False, stacks=False):
        self.shapes, self.memory, self.stacks = shapes, memory, stacks
        self.events: list = []
        self._open: FunctionEvent | None = None
        self._began = time.perf_counter_ns()
        self._thread = threading.get_native_id()

    def start(self):
        """Make this thread's operations report their events to this recorder."""
        self._before = mode.exchange("profiler", self)

    def stop(self):
        """End the events that are still open, and record no more events."""
        while self._open is not None:
            self.end(self._open)
        if mode.state.profiler is self:  # unless ``_disable_profiler`` has stopped it already
            mode.exchange("profiler", self._before)
        for i, event in enumerate(self.events):
            event.id = i

    # Events -----------------------------------------------------------------------------

    def begin(self, name, category, tensors=()):
        """Begin an event, and return the event for the later call of ``end``."""
        shapes = [list(getattr(x, "shape", ())) for x in tensors] if self.shapes else ()
        stack = _stack() if self.stacks else ()
        event = FunctionEvent(name, category, 0, self._thread, self._open, shapes, stack)
        if self._open is not None:
            self._open.cpu_children.append(event)
        self.events.append(event)
        self._open = event
        event.start = event.end = time.perf_counter_ns() - self._began
        return event

    def end(self, event):
        """End ``event``, and the events inside it that are still open."""
        now = time.perf_counter_ns() - self._began
        inner = self._open
        while inner is not None and inner is not event:
            inner.end = now
            inner = inner.cpu_parent
        if inner is not None:
            event.end = now
            self._open = event.cpu_parent

    # What is watched --------------------------------------------------------------------

    def operation(self, op, args, params):
        """Run an operation as one event."""
        operands = args[0] if op.variadic and args else args
        event = self.begin(f"aten::{op.name}", "cpu_op", [
            x for x in operands if isinstance(x, (Tensor, ndarray))])  # fmt: skip
        mode.state.profiler = None
        try:
            found = dispatch.apply(op, args, params)
        finally:
            mode.state.profiler = self
            self.end(event)
        if self.memory and op.kind != "view":
            results = found if type(found) is tuple else (found,)
            event.self_cpu_memory_usage = sum([_array(x).nbytes for x in results])
        return found

    def gradient(self, node, g, symbolic, leads=None):
        """Run the gradient rules of an autograd node as one event."""
        event = self.begin(node.name(), "cpu_op", (g,) if isinstance(g, (Tensor, ndarray)) else ())
        try:
            return node.backward(g, symbolic, leads)
        finally:
            self.end(event)

    def region(self, name, function, *args, **kwargs):
        """Run a function as one event."""
        event = self.begin(name, "user_annotation")
        try:
            return function(*args, **kwargs)
        finally:
            self.end(event)


def _array(x):
    return x._array if isinstance(x, Tensor) else x


def _stack():
    """List the calls that led here, innermost first, without rushlight's own calls."""
    lines = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith((_PACKAGE, "<call of")):
            lines.append(f"{code.co_filename}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return lines


class record_function:
    """Context and decorator: a region of the program that profiles show as an event.

    Args:
        name: The name of the event.
        args: Any object, kept as the attribute ``args``. Default: None.

    Raises:
        TypeError: A generator function is decorated.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as profiled:
    ...     with torch.profiler.record_function("doubling"):
    ...         x = torch.ones(2) * 2
    >>> [event.name for event in profiled.events()]
    ['doubling', 'aten::full', 'aten::mul']
    """

    def __init__(self, name, args=None):
        self.name, self.args = name, args
        self._noted = None

    def __enter__(self):
        recorder = mode.state.profiler if mode.intercept else None
        if recorder is not None:
            self._noted = recorder, recorder.begin(self.name, "user_annotation")
        return self

    def __exit__(self, *exc):
        if self._noted is not None:
            recorder, event = self._noted
            self._noted = None
            recorder.end(event)

    def __call__(self, function):
        if inspect.isgeneratorfunction(function):
            raise TypeError("record_function decorates functions, not generators")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return wrapped
