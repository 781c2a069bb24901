"""``torch.utils.benchmark``: times of statements, measured with care."""

from rushlight.utils.benchmark.compare import Colorize, Compare
from rushlight.utils.benchmark.fuzzer import (
    FuzzedParameter,
    FuzzedTensor,
    Fuzzer,
    ParameterAlias,
)
from rushlight.utils.benchmark.measurement import Measurement, TaskSpec, select_unit
from rushlight.utils.benchmark.timer import Timer, timer

__all__ = [
    "Colorize", "Compare", "FuzzedParameter", "FuzzedTensor", "Fuzzer", "Measurement",
    "ParameterAlias", "TaskSpec", "Timer", "select_unit", "timer",
]  # fmt: skip
