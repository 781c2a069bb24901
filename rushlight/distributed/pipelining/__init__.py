"""Models in stages on several processes: importable, and refused."""

import enum

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "pipelining",
    "Pipe PipelineStage Schedule1F1B ScheduleDualPipeV ScheduleGPipe "
    "ScheduleInterleaved1F1B ScheduleInterleavedZeroBubble ScheduleLoopedBFS "
    "ScheduleZBVZeroBubble build_stage pipe_split pipeline",
)
globals().update(_absent)

__all__ = ["SplitPoint", *_absent]


class SplitPoint(enum.Enum):
    """Where a stage begins."""

    BEGINNING = 1
    END = 2
