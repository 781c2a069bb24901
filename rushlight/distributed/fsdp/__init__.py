"""Models whose parameters are divided among processes. One process has them whole."""

from rushlight.distributed.fsdp._fully_shard import (
    FSDPModule,
    UnshardHandle,
    fully_shard,
    register_fsdp_forward_method,
    share_comm_ctx,
)
from rushlight.distributed.fsdp.api import *  # noqa: F403
from rushlight.distributed.fsdp.api import __all__ as _options
from rushlight.distributed.fsdp.fully_sharded_data_parallel import (
    FlatParameter,
    FullyShardedDataParallel,
)

__all__ = [
    *_options, "FSDPModule", "FlatParameter", "FullyShardedDataParallel", "UnshardHandle",
    "fully_shard", "register_fsdp_forward_method", "share_comm_ctx",
]  # fmt: skip
