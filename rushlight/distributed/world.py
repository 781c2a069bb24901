"""The group of all processes: how it starts and ends, and what it tells."""

import os

from rushlight.distributed.backend import Backend, BackendConfig, backend_name
from rushlight.distributed.constants import default_pg_timeout
from rushlight.distributed.process_group import GroupMember, ProcessGroup, resolve, world
from rushlight.distributed.rendezvous import expected_size, rendezvous
from rushlight.distributed.store import PrefixStore
from rushlight.distributed.telling import told
from rushlight.distributed.transport import check_size, connect

__all__ = [
    "destroy_process_group", "get_backend", "get_backend_config", "get_global_rank",
    "get_group_rank", "get_node_local_rank", "get_pg_count", "get_process_group_ranks", "get_rank",
    "get_world_size", "init_process_group", "is_backend_available", "is_gloo_available",
    "is_initialized", "is_mpi_available", "is_nccl_available", "is_torchelastic_launched",
    "is_ucc_available", "is_xccl_available",
]  # fmt: skip


def is_initialized():
    """Return whether there is a group of all processes.

    Returns:
        A bool: True between ``init_process_group`` and ``destroy_process_group``.

    >>> import rushlight as torch
    >>> torch.distributed.is_initialized()
    False
    """
    return world.default_pg is not None


def is_torchelastic_launched():
    """Return whether ``torchrun`` started this process.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.distributed.is_torchelastic_launched()
    False
    """
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def is_backend_available(backend):
    """Return whether a backend can be used.

    Args:
        backend: Its name.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.distributed.is_backend_available("gloo")
    True
    """
    return backend.lower() == Backend.GLOO


def is_gloo_available():
    """Return whether the backend gloo, of CPUs, can be used.

    Returns:
        True.

    >>> import rushlight as torch
    >>> torch.distributed.is_gloo_available()
    True
    """
    return is_backend_available(Backend.GLOO)


def _absent(name):
    def ask():
        return is_backend_available(name)

    ask.__name__ = ask.__qualname__ = f"is_{name}_available"
    ask.__doc__ = f"""Return whether the library of the backend {name} is there.

    ``init_process_group("{name}")`` works for one process all the same.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.distributed.is_{name}_available()
    False
    """
    return ask


is_nccl_available, is_mpi_available = _absent("nccl"), _absent("mpi")
is_ucc_available, is_xccl_available = _absent("ucc"), _absent("xccl")


def init_process_group(
    backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None,
    group_name="", pg_options=None, device_id=None, _ranks=None,
):  # fmt: skip
    """Make the group of all processes. In rushlight there is one process, so far.

    Args:
        backend: ``"gloo"``, ``"nccl"``, ``"mpi"``, or a text such as ``"cpu:gloo,cuda:nccl"``. All
            of them do the same for one process. Default: gloo.
        init_method: A URL by which processes find each other: ``env://`` (the variables RANK,
            WORLD_SIZE, MASTER_ADDR and MASTER_PORT; the default), ``tcp://host:port`` or
            ``file:///path``.
        timeout: A ``timedelta``: how long to wait for other processes.
        world_size: The number of processes, if the URL does not tell it.
        rank: The rank of this process, if the URL does not tell it.
        store: A store, in place of ``init_method``.
        group_name, pg_options: Accepted without effect.
        device_id: The device of this process; ``ProcessGroup.bound_device_id`` keeps it.

    Raises:
        ValueError: There is a group already, or something is missing.
        AssertionError: The backend is unknown, or a store comes without rank and world size.
        RuntimeError: There is more than one process: run the program in one.

    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.get_world_size()
    1
    >>> dist.destroy_process_group()
    """
    if world.default_pg is not None:
        raise ValueError("trying to initialize the default process group twice!")
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    if store is not None and not (world_size > 0 and rank >= 0):
        what = "world_size" if world_size <= 0 else "rank"
        raise AssertionError(f"{what} must be positive if using store")
    timeout = default_pg_timeout if timeout is None else timeout
    if store is None:
        url = "env://" if init_method is None else init_method
        check_size(expected_size(url, world_size))
        store, rank, world_size = next(rendezvous(url, rank, world_size, timeout=timeout))
        store.set_timeout(timeout)
    backend = backend_name(backend)
    name = next(iter(BackendConfig(backend).get_device_backend_map().values()))
    transport = connect(name, store, rank, world_size)
    world.default_pg = _registered(
        transport,
        range(world_size),
        backend,
        PrefixStore("default_pg", store),
        timeout,
        "default_pg",
    )
    if device_id is not None:
        from rushlight.device import device

        world.default_pg.bound_device_id = device(device_id)


def _registered(transport, ranks, backend, store, timeout, desc):
    name = str(world.count)
    store = None if store is None else PrefixStore(f"{name}", store)
    pg = ProcessGroup(transport, ranks, backend, name, desc or "undefined", store, timeout)
    world.count += 1
    world.groups[pg] = name
    return pg


def subgroup(ranks, timeout, backend, desc):
    """Make a group of some processes; see ``groups.new_group``."""
    parent = resolve()
    backend = parent.backend if backend is None else backend_name(backend)
    transport = parent.transport.split(ranks)
    world_store = parent._store
    if transport is None:
        return GroupMember.NON_GROUP_MEMBER
    timeout = parent._timeout if timeout is None else timeout
    return _registered(transport, ranks, backend, world_store, timeout, desc)


def destroy_process_group(group=None):
    """End a group, or all groups.

    Args:
        group: The group. Default: all groups.

    Raises:
        AssertionError: There is no group of all processes.
        ValueError: ``group`` was ended already.

    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.destroy_process_group()
    >>> dist.is_initialized()
    False
    """
    if group == GroupMember.NON_GROUP_MEMBER:
        return
    pg = world.default_pg if group is None else group
    if pg is None:
        raise AssertionError("Process group cannot be None")
    if pg not in world.groups:
        raise ValueError("Invalid process group specified or has been destroyed.")
    if pg is world.default_pg:
        world.default_pg = None
        world.groups.clear()
        world.count = 0
    else:
        del world.groups[pg]


@told
def get_rank(group=None):
    """Return the rank of this process.

    Returns:
        An int; -1 if the process is not in the group.

    Raises:
        ValueError: There is no such group.

    >>> dist.get_rank()
    0
    """
    pg = _known(group)
    return -1 if pg is None else pg.rank()


@told
def get_world_size(group=None):
    """Return the number of processes.

    Returns:
        An int; -1 if this process is not in the group.

    Raises:
        ValueError: There is no such group.

    >>> dist.get_world_size()
    1
    """
    pg = _known(group)
    return -1 if pg is None else pg.size()


def _known(group):
    """The group, which must not have been ended."""
    pg = resolve(group)
    if pg is not None and pg not in world.groups:
        raise ValueError("Invalid process group specified or has been destroyed.")
    return pg


@told
def get_backend(group=None):
    """Return the name of the backend of a group.

    Returns:
        A str in lower case.

    Raises:
        ValueError: There is no such group.

    >>> dist.get_backend()
    'gloo'
    """
    pg = _known(group)
    if pg is None:
        raise ValueError("Invalid process group specified")
    return str(pg.backend)


@told
def get_backend_config(group=None):
    """Return the backend for each type of device.

    Returns:
        A str such as ``"cpu:gloo,cuda:gloo"``.

    Raises:
        ValueError: There is no such group.

    >>> dist.get_backend_config()
    'cpu:gloo,cuda:gloo'
    """
    return repr(BackendConfig(_known(group).backend))


@told
def get_pg_count():
    """Return how many groups there are.

    Returns:
        An int.

    >>> dist.get_pg_count()
    1
    """
    return len(world.groups)


@told
def get_process_group_ranks(group):
    """Return the ranks, among all processes, of those in a group.

    Returns:
        A list of ints.

    >>> dist.get_process_group_ranks(None)
    [0]
    """
    return list(resolve(group).ranks)


@told
def get_group_rank(group, global_rank):
    """Return the rank in a group of a process.

    Args:
        global_rank: Its rank among all processes.

    Returns:
        An int.

    Raises:
        ValueError: The process is not in the group.

    >>> dist.get_group_rank(dist.group.WORLD, 0)
    0
    """
    if group is world.default_pg:
        return global_rank
    if group not in world.groups:
        raise ValueError(f"Group {group} is not registered, please create group with new_group")
    if global_rank not in group.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return group.ranks.index(global_rank)


@told
def get_global_rank(group, group_rank):
    """Return the rank, among all processes, of a process of a group.

    Args:
        group_rank: Its rank in the group.

    Returns:
        An int.

    Raises:
        ValueError: The group has no such rank.

    >>> dist.get_global_rank(dist.group.WORLD, 0)
    0
    """
    if group is world.default_pg:
        return group_rank
    if group not in world.groups:
        raise ValueError(f"Group {group} is not registered, please create group with new_group")
    if not 0 <= group_rank < len(group.ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return group.ranks[group_rank]


def get_node_local_rank(fallback_rank=None):
    """Return the rank of this process on its machine: the variable LOCAL_RANK.

    Args:
        fallback_rank: The result if the variable is not set.

    Returns:
        An int.

    Raises:
        RuntimeError: The variable is not set, and there is no ``fallback_rank``.

    >>> import rushlight as torch
    >>> torch.distributed.get_node_local_rank(fallback_rank=0)
    0
    """
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is not None:
        return int(fallback_rank)
    raise RuntimeError(
        "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
        "`get_node_local_rank` to work, assuming you are not running in a multi-device context and "
        "want the code to run locally instead."
    )
