"""Functions that change modules as they are."""

from rushlight.distributed._composable.replicate import replicate
from rushlight.distributed.fsdp import fully_shard
from rushlight.utils.checkpoint import checkpoint

__all__ = ["checkpoint", "fully_shard", "replicate"]
