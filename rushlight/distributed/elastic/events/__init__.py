"""Events of the launcher."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "elastic.events",
    "Event EventSource RdzvEvent construct_and_record_rdzv_event record",
)
globals().update(_absent)

__all__ = [*_absent]
