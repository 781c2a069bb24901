"""The stages of a model: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "pipelining.stage",
    "PipelineStage build_stage",
)
globals().update(_absent)

__all__ = [*_absent]
