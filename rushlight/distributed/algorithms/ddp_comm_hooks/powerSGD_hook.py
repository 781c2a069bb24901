"""PowerSGD: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "algorithms.ddp_comm_hooks.powerSGD_hook",
    "PowerSGDState powerSGD_hook batched_powerSGD_hook",
)
globals().update(_absent)

__all__ = [*_absent]
