"""PyTorch's module of the functions of ``torch.distributed``, with its private names."""

import pickle

from rushlight.distributed import *  # noqa: F403
from rushlight.distributed import __all__ as _names
from rushlight.distributed.constants import default_pg_nccl_timeout, default_pg_timeout
from rushlight.distributed.objects import to_bytes as _packed
from rushlight.distributed.objects import to_object as _unpacked
from rushlight.distributed.process_group import UNSET, GroupMember, ProcessGroup, world
from rushlight.distributed.process_group import resolve as _resolve
from rushlight.distributed.world import get_global_rank, get_group_rank, get_process_group_ranks

__all__ = [name for name in _names if name not in ("DeviceMesh", "init_device_mesh")]
__all__ += ["ProcessGroupGloo", "get_global_rank", "get_group_rank", "get_process_group_ranks"]

GroupName = str
STORE_BASED_BARRIER_PREFIX = "store_based_barrier_key"
_pickler, _unpickler = pickle.Pickler, pickle.Unpickler
_get_global_rank, _get_group_rank = get_global_rank, get_group_rank
_GLOO_AVAILABLE = True
_MPI_AVAILABLE = _NCCL_AVAILABLE = _UCC_AVAILABLE = _XCCL_AVAILABLE = False


def __getattr__(name):
    """The groups of now, as dicts: ``_pg_map`` and the like."""
    if name in ("_pg_map", "_pg_names", "_pg_group_ranks", "_pg_backend_config", "_group_count"):
        return getattr(world, name[1:])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; see docs/coverage.md")


class ProcessGroupGloo(ProcessGroup):
    """A ``ProcessGroup``, under the name that PyTorch gives to groups of gloo."""


def _get_default_group():
    """The group of all processes."""
    if world.default_pg is None:
        raise ValueError(UNSET)
    return world.default_pg


def _get_default_store():
    """The store of the group of all processes."""
    return _get_default_group()._store


def _get_default_timeout(backend):
    return default_pg_nccl_timeout if backend == "nccl" else default_pg_timeout


def _get_process_group_name(pg):
    return world.groups.get(pg, "None")


def _get_pg_default_device(group=None):
    from rushlight.device import device

    return device("cpu")


_get_object_coll_device = _device_capability = _get_pg_default_device


def _rank_not_in_group(group):
    return group == GroupMember.NON_GROUP_MEMBER


def _get_group_size(group):
    return -1 if _resolve(group) is None else _resolve(group).size()


def _get_group_size_by_name(group_name):
    return _resolve(group_name).size()


def _resolve_process_group(group_name):
    """The group of a name."""
    return _resolve(group_name)


def _object_to_tensor(obj, device=None, group=None):
    data, size = _packed(obj)
    return data, size


def _tensor_to_object(tensor, tensor_size, group=None):
    return _unpacked(tensor, tensor_size)


def _store_based_barrier(rank, store, group_name, rendezvous_count, timeout, **kwargs):
    store.barrier(f"{STORE_BASED_BARRIER_PREFIX}:{group_name}", rendezvous_count, timeout)


def _new_process_group_helper(*args, **kwargs):
    raise NotImplementedError(
        "_new_process_group_helper: rushlight makes groups by torch.distributed.new_group"
    )
