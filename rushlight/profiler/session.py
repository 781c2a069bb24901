"""``profile``: decides at which steps events are recorded, and hands out the results."""

import enum
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from rushlight.profiler import programs
from rushlight.profiler.events import EventList
from rushlight.profiler.recorder import Recorder, record_function

__all__ = [
    "DeviceType", "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip

DeviceType = enum.Enum("DeviceType", {"CPU": 0, "CUDA": 1})
ProfilerActivity = enum.Enum("ProfilerActivity", "CPU XPU MTIA CUDA HPU PrivateUse1")
ProfilerAction = enum.Enum(
    "ProfilerAction", {"NONE": 0, "WARMUP": 1, "RECORD": 2, "RECORD_AND_SAVE": 3}
)
_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities():
    """Return the activities that can be profiled: only the CPU's.

    Returns:
        Set of ``ProfilerActivity``.

    >>> import rushlight as torch
    >>> torch.profiler.supported_activities()
    {<ProfilerActivity.CPU: 1>}
    """
    return {ProfilerActivity.CPU}


def kineto_available():
    """Return False, because rushlight records profiles without PyTorch's Kineto library.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.profiler.kineto_available()
    False
    """
    return False


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """Make a function that gives the ``ProfilerAction`` for each step number.

    Skipped steps come first. Then cycles follow: steps without recording, steps of warming up, and
    steps that are recorded.

    Args:
        wait: Steps of a cycle without recording.
        warmup: Steps of a cycle that warm up.
        active: Steps of a cycle that are recorded, at least 1.
        repeat: Number of cycles. Default: 0, cycles without end.
        skip_first: Steps before the first cycle. Default: 0.
        skip_first_wait: Not 0: leave out the ``wait`` steps of the first cycle. Default: 0.

    Returns:
        Function of a step number, from 0, that returns a ``ProfilerAction``.

    Raises:
        AssertionError: A number is negative, or ``active`` is not above 0.

    >>> import rushlight as torch
    >>> when = torch.profiler.schedule(wait=1, warmup=0, active=2, repeat=1)
    >>> [when(step).name for step in range(4)]
    ['NONE', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step):
        if step < 0:
            raise AssertionError(f"the step must be non-negative, not {step}")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False, use_python_export=False):
    """Make a function for ``on_trace_ready`` that writes traces into a folder, for TensorBoard.

    Args:
        dir_name: The folder. It is made if it does not exist.
        worker_name: Begin of the files' names. Default: the host's name and the process's id.
        use_gzip: Compress the files. Default: False.
        use_python_export: Accepted without effect.

    Returns:
        Function of a ``profile``, which writes one file.

    Raises:
        RuntimeError: The folder cannot be made. The function raises it.

    >>> import os, tempfile, rushlight as torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     handler = torch.profiler.tensorboard_trace_handler(folder, "worker")
    ...     with torch.profiler.profile(on_trace_ready=handler):
    ...         x = torch.ones(2) * 2
    ...     [name.split(".")[0] for name in os.listdir(folder)]
    ['worker']
    """

    def write(profiled):
        try:
            os.makedirs(dir_name, exist_ok=True)
        except OSError as error:
            raise RuntimeError(f"Can't create directory: {dir_name}") from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        profiled.export_chrome_trace(os.path.join(dir_name, name))

    return write


def _default_schedule_fn(step):
    return ProfilerAction.RECORD


class profile:
    """Context in which this thread's operations, gradients and compiled kernels are timed.

    Args:
        activities: Accepted without effect: always the CPU's activities are recorded.
        schedule: A function that gives the ``ProfilerAction`` for each step number; the method
            ``step()`` ends a step. Default: record everything.
        on_trace_ready: A function that is called with this object when a recording is complete.
            Default: None.
        record_shapes: Record the shapes of the inputs. Default: False.
        profile_memory: Record the bytes of the results; freed memory is not recorded.
            Default: False.
        with_stack: Record the lines of the program that led to each event. Default: False.
        with_flops, with_modules, experimental_config: Accepted without effect.
        execution_trace_observer, acc_events, use_cuda: Accepted without effect.
        custom_trace_id_callback, post_processing_timeout_s: Accepted without effect.

    >>> import rushlight as torch
    >>> with torch.profiler.profile(record_shapes=True) as profiled:
    ...     x = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> [(e.key, e.count) for e in profiled.key_averages()]
    [('aten::full', 2), ('aten::mm', 1)]
    >>> profiled.events()[2].input_shapes
    [[2, 3], [3, 4]]
    """

    def __init__(
        self, *, activities: Iterable | None = None, schedule: Callable | None = None,
        on_trace_ready: Callable | None = None, record_shapes=False, profile_memory=False,
        with_stack=False, with_flops=False, with_modules=False, experimental_config=None,
        execution_trace_observer=None, acc_events=False, use_cuda=None,
        custom_trace_id_callback=None, post_processing_timeout_s=None,
    ):  # fmt: skip
        self.activities = set(activities or supported_activities())
        self.schedule = schedule or _default_schedule_fn
        self.on_trace_ready = on_trace_ready
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack = with_stack
        self.step_num = 0
        self.current_action = self.schedule(0)
        self._stepping = schedule is not None
        self._metadata: dict = {}
        self._recorder: Recorder | None = None
        self._step: Any = None
        self._events: EventList | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        """Begin step 0, and record it if the schedule says so."""
        if self.current_action in _RECORDING:
            self._record()
        self._begin_step()

    def stop(self):
        """End the last step, and complete the recording that is under way."""
        self._end_step()
        if self._recorder is not None:
            self._complete()

    def step(self):
        """End the current step and begin the next one, recorded or not as the schedule says."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        goes_on = self.current_action in _RECORDING and before is not ProfilerAction.RECORD_AND_SAVE
        if self._recorder is not None and not goes_on:
            self._complete()
        if self._recorder is None and self.current_action in _RECORDING:
            self._record()
        self._begin_step()

    def _begin_step(self):
        if self._stepping and self._recorder is not None:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self):
        if self._step is not None:
            self._step.__exit__()
            self._step = None

    def _record(self):
        self._recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack)
        programs.watch()
        self._recorder.start()

    def _complete(self):
        recorder, self._recorder = self._recorder, None
        recorder.stop()  # type: ignore[union-attr]
        programs.unwatch()
        self._events = EventList(
            recorder.events, profile_memory=self.profile_memory  # type: ignore[union-attr]
        )  # fmt: skip
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    # Results ----------------------------------------------------------------------------

    def events(self):
        """The events of the last recording.

        Raises:
            AssertionError: No recording has been completed yet.
        """
        if self._events is None:
            raise AssertionError("Profiler didn't finish running: leave its with block first")
        return self._events

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0,
                     group_by_overload_name=False):  # fmt: skip
        """Add the events up by name; ``.table(sort_by=…)`` of the result formats a table."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path, use_python_export=False):
        """Write the events for chrome://tracing and Perfetto; Python always writes them."""
        self.events().export_chrome_trace(path, self._metadata)

    def add_metadata(self, key, value):
        """Add a string to the metadata of exported traces."""
        self._metadata[key] = value

    def add_metadata_json(self, key, value):
        """Add a value, given as JSON text, to the metadata of exported traces."""
        import json

        self._metadata[key] = json.loads(value)
