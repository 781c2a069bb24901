"""Attention of sequences that lie on several processes."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "tensor.experimental._attention",
    "context_parallel set_rotate_method",
)
globals().update(_absent)

__all__ = [*_absent]
