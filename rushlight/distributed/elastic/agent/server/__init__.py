"""The launcher's process on each machine."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "elastic.agent.server",
    "ElasticAgent RunResult Worker WorkerGroup WorkerSpec WorkerState",
)
globals().update(_absent)

__all__ = [*_absent]
