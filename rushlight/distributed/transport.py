"""What carries tensors between processes: the one layer that another transport has to replace.

Collectives (``collectives.py``, ``point_to_point.py``) check their arguments and then call a
``Transport``. They hand over tensors without history, which the transport reads and writes. Ranks
are those of the transport's own group. No module above this one knows how many processes there are
or how they are connected, so MPI is one more subclass, and one more line in ``TRANSPORTS``.
"""

from rushlight.distributed.reduce_op import reduce_alone

__all__ = ["TRANSPORTS", "OneProcess", "Transport", "check_size", "connect"]


class Transport:
    """The connection of the processes of one group.

    Attributes:
        rank: The rank of this process in the group.
        size: The number of processes.
    """

    rank: int
    size: int

    def send(self, tensor, to, tag):
        """Send ``tensor`` to the rank ``to``."""
        raise NotImplementedError

    def recv(self, tensor, source, tag):
        """Receive from the rank ``source``, or any if it is None; return the rank."""
        raise NotImplementedError

    def broadcast(self, tensor, root):
        """Write the tensor of the rank ``root`` into that of every rank."""
        raise NotImplementedError

    def all_reduce(self, tensor, op):
        """Combine the tensors of all ranks, and write the result into each."""
        raise NotImplementedError

    def reduce(self, tensor, root, op):
        """Combine the tensors of all ranks into that of ``root``."""
        raise NotImplementedError

    def all_gather(self, outputs, tensor):
        """Write the tensor of each rank into one of ``outputs``, on every rank."""
        raise NotImplementedError

    def gather(self, outputs, tensor, root):
        """Write the tensor of each rank into one of ``outputs`` of ``root``; others give None."""
        raise NotImplementedError

    def scatter(self, output, tensors, root):
        """Write one of the ``tensors`` of ``root`` into each rank's ``output``."""
        raise NotImplementedError

    def reduce_scatter(self, output, tensors, op):
        """Combine the lists of all ranks, and write one tensor of the result into each rank's."""
        raise NotImplementedError

    def all_to_all(self, outputs, tensors):
        """Write the i-th of ``tensors`` into the rank i's ``outputs``, at this rank's place."""
        raise NotImplementedError

    def barrier(self):
        """Return when all ranks have called it."""
        raise NotImplementedError

    def split(self, ranks):
        """Return the transport of the group of ``ranks``; None if it lacks this process."""
        raise NotImplementedError


class OneProcess(Transport):
    """The transport of a process that is alone: what it sends to all, only it receives."""

    rank = 0
    size = 1

    def send(self, tensor, to, tag):
        raise RuntimeError(f"send: there is no rank {to} to send to, in a group of one process")

    def recv(self, tensor, source, tag):
        asked = "any rank" if source is None else f"rank {source}"
        raise RuntimeError(f"recv: nothing comes from {asked}, in a group of one process")

    def broadcast(self, tensor, root):
        pass

    def all_reduce(self, tensor, op):
        reduce_alone(tensor, op)

    def reduce(self, tensor, root, op):
        reduce_alone(tensor, op)

    def all_gather(self, outputs, tensor):
        outputs[0].copy_(tensor)

    def gather(self, outputs, tensor, root):
        outputs[0].copy_(tensor)

    def scatter(self, output, tensors, root):
        output.copy_(tensors[0])

    def reduce_scatter(self, output, tensors, op):
        output.copy_(reduce_alone(tensors[0].clone(), op))

    def all_to_all(self, outputs, tensors):
        outputs[0].copy_(tensors[0])

    def barrier(self):
        pass

    def split(self, ranks):
        return self if 0 in ranks else None


def check_size(size):
    """Raise if no transport connects ``size`` processes. It is asked before anything waits."""
    if size > 1:
        raise RuntimeError(
            f"init_process_group: world_size is {size}, and rushlight has no transport between "
            "processes yet. Run the program in one process: WORLD_SIZE=1 and RANK=0 in the "
            "environment, torchrun --nproc-per-node=1, or world_size=1"
        )


def _connect_one(store, rank, size):
    check_size(size)
    if rank != 0:
        raise RuntimeError(f"init_process_group: rank {rank} is not less than the world size 1")
    return OneProcess()


#: Name of a backend → the function of (store, rank, size) that connects the processes. GPUs are
#: used from one process here, so nccl and its kin name the same transport as gloo.
TRANSPORTS = dict.fromkeys(("gloo", "nccl", "mpi", "ucc", "xccl", "fake"), _connect_one)


def connect(backend, store, rank, size):
    """Return the transport of the world, through a backend of ``TRANSPORTS``."""
    return TRANSPORTS[backend](store, rank, size)
