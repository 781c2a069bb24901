"""Calls of functions in other processes: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "rpc",
    "BackendType PyRRef RRef RpcBackendOptions TensorPipeRpcBackendOptions WorkerInfo "
    "get_worker_info init_rpc remote rpc_async rpc_sync shutdown new_method",
)
globals().update(_absent)

__all__ = ["is_available", *_absent]


def is_available():
    """Return whether functions can be called in other processes.

    Returns:
        False.
    """
    return False
