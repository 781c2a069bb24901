"""torch.distributed: processes that compute together. So far there is one process.

``transport.py`` is what another way to connect processes has to provide. Above it are collectives
on tensors (``carried.py``, ``collectives.py``, ``point_to_point.py``) and on objects, and above
these
everything else: ``DistributedDataParallel``, ``fsdp``, ``tensor``, ``checkpoint``.
"""

import importlib
from typing import Any

from rushlight.distributed.backend import (
    Backend,
    BackendConfig,
    get_default_backend_for_device,
)
from rushlight.distributed.collectives import CoalescingManager as _CoalescingManager  # noqa: F401
from rushlight.distributed.collectives import (
    all_gather,
    all_gather_coalesced,
    all_gather_into_tensor,
    all_gather_single,
    all_reduce,
    all_reduce_coalesced,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    gather,
    monitored_barrier,
    reduce,
    reduce_scatter,
    reduce_scatter_single,
    reduce_scatter_tensor,
    scatter,
)
from rushlight.distributed.collectives import coalescing as _coalescing_manager  # noqa: F401
from rushlight.distributed.constants import (
    default_pg_timeout,
)
from rushlight.distributed.debugging import (
    DebugLevel,
    breakpoint,
    get_debug_level,
    record_comm,
    set_debug_level,
    set_debug_level_from_env,
)
from rushlight.distributed.errors import (
    DistBackendError,
    DistError,
    DistNetworkError,
    DistStoreError,
    QueueEmptyError,
)
from rushlight.distributed.groups import (
    new_group,
    new_subgroups,
    new_subgroups_by_enumeration,
    shrink_group,
    split_group,
)
from rushlight.distributed.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from rushlight.distributed.point_to_point import (
    P2POp,
    batch_isend_irecv,
    irecv,
    isend,
    recv,
    send,
)
from rushlight.distributed.process_group import (
    GroupMember,
    ProcessGroup,
    group,
)
from rushlight.distributed.reduce_op import (
    ReduceOp,
    supports_complex,
)
from rushlight.distributed.reduce_op import premul_sum as _make_nccl_premul_sum  # noqa: F401
from rushlight.distributed.reduce_op import reduce_op as reduce_op
from rushlight.distributed.rendezvous import (
    register_rendezvous_handler,
    rendezvous,
)
from rushlight.distributed.store import (
    FileStore,
    HashStore,
    PrefixStore,
    Store,
)
from rushlight.distributed.tcp_store import (
    TCPStore,
)
from rushlight.distributed.work import (
    AllreduceCoalescedOptions,
    AllreduceOptions,
    AllToAllOptions,
    BarrierOptions,
    BroadcastOptions,
    GatherOptions,
    ReduceOptions,
    ReduceScatterOptions,
    ScatterOptions,
    Work,
)
from rushlight.distributed.world import (
    destroy_process_group,
    get_backend,
    get_backend_config,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_pg_count,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    init_process_group,
    is_backend_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    is_ucc_available,
    is_xccl_available,
)

__all__ = [
    "AllToAllOptions", "AllreduceCoalescedOptions", "AllreduceOptions", "Backend",
    "BackendConfig", "BarrierOptions", "BroadcastOptions", "DebugLevel", "DeviceMesh",
    "DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "FileStore",
    "GatherOptions", "GroupMember", "HashStore", "P2POp", "PrefixStore", "ProcessGroup",
    "QueueEmptyError", "ReduceOp", "ReduceOptions", "ReduceScatterOptions", "ScatterOptions",
    "Store", "TCPStore", "Work", "all_gather", "all_gather_coalesced", "all_gather_into_tensor",
    "all_gather_object", "all_gather_single", "all_reduce", "all_reduce_coalesced", "all_to_all",
    "all_to_all_single", "barrier", "batch_isend_irecv", "breakpoint", "broadcast",
    "broadcast_object_list", "default_pg_timeout", "destroy_process_group", "gather",
    "gather_object", "get_backend", "get_backend_config", "get_debug_level",
    "get_default_backend_for_device", "get_global_rank", "get_group_rank", "get_node_local_rank",
    "get_pg_count", "get_process_group_ranks", "get_rank", "get_world_size", "group",
    "init_device_mesh", "init_process_group", "irecv", "is_available", "is_backend_available",
    "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched", "is_ucc_available", "is_xccl_available", "isend",
    "monitored_barrier", "new_group", "new_subgroups", "new_subgroups_by_enumeration",
    "record_comm", "recv", "recv_object_list", "reduce", "reduce_scatter",
    "reduce_scatter_single", "reduce_scatter_tensor", "register_rendezvous_handler", "rendezvous",
    "scatter", "scatter_object_list", "send", "send_object_list", "set_debug_level",
    "set_debug_level_from_env", "shrink_group", "split_group", "supports_complex",
]  # fmt: skip

_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor

#: Names that are imported when they are first used.
_LATE = {
    "DeviceMesh": "device_mesh",
    "init_device_mesh": "device_mesh",
    "GradBucket": "algorithms.ddp_comm_hooks",
    "ProcessGroupGloo": "distributed_c10d",
}
_MODULES = frozenset(
    [
        "algorithms",
        "autograd",
        "c10d_logger",
        "checkpoint",
        "device_mesh",
        "distributed_c10d",
        "elastic",
        "fsdp",
        "launch",
        "nn",
        "optim",
        "pipelining",
        "rpc",
        "run",
        "tensor",
        "utils",
        "_functional_collectives",
        "_composable",
        "_tensor",
    ]
)


def is_available():
    """Return whether processes can compute together.

    Returns:
        True. The world has one process, so far.

    >>> import rushlight as torch
    >>> torch.distributed.is_available() and not torch.distributed.is_initialized()
    True
    """
    return True


def __getattr__(name: str) -> Any:
    if name in _LATE:
        found = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    elif name in _MODULES:
        found = importlib.import_module(f"{__name__}.{name}")
    elif name.startswith("_") and not name.startswith("__"):
        private = importlib.import_module(f"{__name__}.distributed_c10d")
        if name not in vars(private):
            raise AttributeError(f"module 'rushlight.distributed' has no attribute {name!r}")
        found = vars(private)[name]
    else:
        raise AttributeError(
            f"module 'rushlight.distributed' has no attribute {name!r}; see docs/coverage.md"
        )
    globals()[name] = found
    return found
