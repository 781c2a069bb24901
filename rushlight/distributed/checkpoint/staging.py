"""Copies of states before they are written: ``async_save`` makes its own."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "checkpoint.staging",
    "AsyncStager BlockingAsyncStager DefaultStager StagingOptions",
)
globals().update(_absent)

__all__ = [*_absent]
