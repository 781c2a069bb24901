"""The orders in which stages work: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "pipelining.schedules",
    "PipelineScheduleMulti PipelineScheduleSingle Schedule1F1B ScheduleGPipe "
    "ScheduleInterleaved1F1B ScheduleInterleavedZeroBubble ScheduleLoopedBFS "
    "get_schedule_class",
)
globals().update(_absent)

__all__ = [*_absent]
