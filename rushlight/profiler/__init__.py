"""torch.profiler: how long operations, gradients and compiled kernels take.

``recorder.py`` notes events as they happen, and ``programs.py`` notes the events inside compiled
programs. ``events.py`` adds events up and prints tables. ``session.py`` holds the ``profile``
context that users call. While no profiler runs, operations take their short path and check nothing
for the profiler.
"""

from rushlight.profiler.events import EventList, FunctionEvent, FunctionEventAvg
from rushlight.profiler.recorder import record_function
from rushlight.profiler.session import (
    DeviceType,
    ProfilerAction,
    ProfilerActivity,
    kineto_available,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "ProfilerAction",
    "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip
