"""``torch.utils.benchmark``: times of statements, measured with care."""

from rushlight.utils.benchmark.measurement import Measurement, TaskSpec
from rushlight.utils.benchmark.timer import Timer, timer

__all__ = ["Measurement", "TaskSpec", "Timer", "timer"]
