"""Groups of processes, and the group that a process works in."""

import enum

from rushlight.distributed import carried
from rushlight.distributed.backend import Backend, BackendConfig
from rushlight.distributed.constants import default_pg_timeout
from rushlight.distributed.reduce_op import RedOpType

__all__ = ["GroupMember", "ProcessGroup", "group", "resolve"]

UNSET = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)


class BackendType(enum.Enum):
    """The kinds of backends, as numbers."""

    UNDEFINED, GLOO, NCCL, UCC, MPI, CUSTOM, XCCL = 0, 1, 2, 4, 5, 6, 3


class ProcessGroup:
    """A group of processes that compute together. ``new_group`` makes one.

    The methods are collectives on lists of tensors; the functions of ``torch.distributed`` are
    easier.

    Args:
        transport: What carries tensors between the processes: a ``Transport``.
        ranks: The ranks of the processes among all processes, in the order of the group.
        backend: The name of the backend.
        group_name: A text that no other group has.
        group_desc: A text for readers.
        store: The store of the group.
        timeout: A ``timedelta``.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.new_group([0]).size()
    1
    >>> dist.destroy_process_group()
    """

    BackendType = BackendType
    UNDEFINED, GLOO, NCCL, UCC, MPI, CUSTOM, XCCL = list(BackendType)

    def __init__(
        self, transport, ranks=(0,), backend="gloo", group_name="", group_desc="undefined",
        store=None, timeout=default_pg_timeout,
    ):  # fmt: skip
        self.transport = transport
        self.ranks = list(ranks)
        self.backend = Backend(backend)
        self.group_name = group_name
        self.group_desc = group_desc
        self.bound_device_id = None
        self._store = store
        self._timeout = timeout

    def rank(self):
        """The rank of this process in the group."""
        return self.transport.rank

    def size(self):
        """The number of processes in the group."""
        return self.transport.size

    def name(self):
        """The name of the backend."""
        return "gloo" if self.backend == Backend.UNDEFINED else str(self.backend)

    _get_backend_name = name

    @property
    def _device_types(self):
        from rushlight.device import device

        return [device(kind) for kind in BackendConfig(self.backend).get_device_backend_map()]

    def _get_backend(self, device):
        return self

    def get_group_store(self):
        """The store of the group."""
        return self._store

    def set_timeout(self, timeout):
        """Set how long collectives wait."""
        self._timeout = timeout

    def abort(self):
        """Do nothing: no collective is under way."""

    shutdown = abort

    def _get_sequence_number_for_group(self):
        return 0

    # Collectives on lists of tensors, as PyTorch's bindings have them. --------------------

    def allreduce(self, tensors, op=RedOpType.SUM, timeout=None):
        """``all_reduce`` of one tensor, or of each of a list."""
        op = getattr(op, "reduceOp", op)
        return carried.all_reduce(self, _listed(tensors), op)

    def allreduce_coalesced(self, tensors, opts=None):
        """``all_reduce`` of each tensor of a list."""
        return self.allreduce(tensors, RedOpType.SUM if opts is None else opts)

    def broadcast(self, tensors, root=0, timeout=None):
        """``broadcast`` of one tensor, or of each of a list."""
        return carried.broadcast(self, _listed(tensors), getattr(root, "rootRank", root))

    def reduce(self, tensors, root=0, op=RedOpType.SUM, timeout=None):
        """``reduce`` of one tensor, or of each of a list."""
        if hasattr(root, "rootRank"):
            root, op = root.rootRank, root.reduceOp
        return carried.reduce(self, _listed(tensors), root, op)

    def allgather(self, output_tensors, input_tensors, opts=None, timeout=None):
        """``all_gather``: lists of outputs, and as many inputs."""
        if not isinstance(input_tensors, (list, tuple)):
            output_tensors, input_tensors = [output_tensors], [input_tensors]
        return carried.all_gather(self, output_tensors[0], input_tensors[0])

    def _allgather_base(self, output, input, opts=None):
        return carried.all_gather_flat(self, output, input)

    def gather(self, output_tensors, input_tensors, root=0, timeout=None):
        """``gather``: lists of outputs, and as many inputs."""
        if not isinstance(input_tensors, (list, tuple)):
            output_tensors, input_tensors = [output_tensors], [input_tensors]
        outputs = output_tensors[0] if output_tensors else None
        return carried.gather(self, outputs, input_tensors[0], getattr(root, "rootRank", root))

    def scatter(self, output_tensors, input_tensors, root=0, timeout=None):
        """``scatter``: outputs, and as many lists of inputs."""
        if not isinstance(output_tensors, (list, tuple)):
            output_tensors, input_tensors = [output_tensors], [input_tensors]
        inputs = input_tensors[0] if input_tensors else None
        return carried.scatter(self, output_tensors[0], inputs, getattr(root, "rootRank", root))

    def reduce_scatter(self, output_tensors, input_tensors, op=RedOpType.SUM, timeout=None):
        """``reduce_scatter``: outputs, and as many lists of inputs."""
        if not isinstance(output_tensors, (list, tuple)):
            output_tensors, input_tensors = [output_tensors], [input_tensors]
        op = getattr(op, "reduceOp", op)
        return carried.reduce_scatter(self, output_tensors[0], input_tensors[0], op)

    def _reduce_scatter_base(self, output, input, opts=None):
        op = RedOpType.SUM if opts is None else opts.reduceOp
        return carried.reduce_scatter_flat(self, output, input, op)

    def alltoall(self, output_tensors, input_tensors, opts=None, timeout=None):
        """``all_to_all``."""
        return carried.all_to_all(self, output_tensors, input_tensors)

    def alltoall_base(self, output, input, output_split_sizes, input_split_sizes, opts=None):
        """``all_to_all_single``."""
        return carried.all_to_all_flat(self, output, input, output_split_sizes, input_split_sizes)

    def barrier(self, opts=None, timeout=None):
        """``barrier``."""
        self.transport.barrier()
        return carried.finished([])

    def monitored_barrier(self, timeout=None, wait_all_ranks=False):
        """``monitored_barrier``."""
        self.transport.barrier()

    def send(self, tensors, dstRank, tag=0):
        """``isend``."""
        return carried.send(self, _listed(tensors)[0], dstRank, tag)

    def recv(self, tensors, srcRank, tag=0):
        """``irecv``."""
        return carried.recv(self, _listed(tensors)[0], srcRank, tag)

    def recv_anysource(self, tensors, tag=0):
        """``irecv`` from any rank."""
        return carried.recv(self, _listed(tensors)[0], None, tag)


def _listed(tensors):
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


class _World:
    """The groups of this process."""

    def __init__(self):
        self.default_pg = None
        self.groups: dict = {}  # ProcessGroup → its name
        self.count = 0  # of the groups that were made
        self.batch = None  # the collectives that ``coalescing`` has collected

    pg_names = property(lambda self: dict(self.groups))
    pg_map = property(lambda self: {g: (g.backend, g._store) for g in self.groups})
    pg_group_ranks = property(
        lambda self: {g: {r: i for i, r in enumerate(g.ranks)} for g in self.groups}
    )
    pg_backend_config = property(
        lambda self: {g: repr(BackendConfig(g.backend)) for g in self.groups}
    )
    group_count = property(lambda self: self.count)


world = _World()


class _WorldMeta(type):
    @property
    def WORLD(cls):
        """The group of all processes; None before ``init_process_group``."""
        return world.default_pg

    @WORLD.setter
    def WORLD(cls, pg):
        world.default_pg = pg


class group(metaclass=_WorldMeta):
    """``group.WORLD`` is the group of all processes.

    >>> import rushlight as torch
    >>> torch.distributed.group.WORLD is None
    True
    """


class GroupMember(metaclass=_WorldMeta):
    """``GroupMember.WORLD`` is the group of all processes.

    ``NON_GROUP_MEMBER`` stands for a group that this process is not in.

    >>> import rushlight as torch
    >>> torch.distributed.GroupMember.NON_GROUP_MEMBER
    -100
    """

    NON_GROUP_MEMBER = -100


def resolve(pg=None):
    """Return the group ``pg``, or the group of all processes; None if this process is not in it.

    Raises:
        ValueError: There is no group of all processes, or no group of the name ``pg``.
    """
    if pg is None:
        if world.default_pg is None:
            raise ValueError(UNSET)
        return world.default_pg
    if isinstance(pg, str):
        for found, name in world.groups.items():
            if name == pg:
                return found
        raise ValueError(
            f"Process group {pg} is not initialized in the world group map. Please initialize the "
            "group first."
        )
    if pg == GroupMember.NON_GROUP_MEMBER:
        return None
    return pg
