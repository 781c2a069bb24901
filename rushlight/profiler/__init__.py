"""torch.profiler: what operations, gradients and compiled kernels take.

``recorder.py`` notes events as they happen, ``programs.py`` those within compiled programs,
``events.py`` adds them up and prints tables, ``session.py`` is what programs use. Nothing of it is
asked for while nobody profiles: operations then take their short path.
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
