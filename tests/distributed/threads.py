"""A transport between threads, which shows that all above the transport works for several ranks."""

import threading

import rushlight as torch
from rushlight.distributed.process_group import ProcessGroup
from rushlight.distributed.reduce_op import ReduceOp
from rushlight.distributed.transport import Transport


class Room:
    """What the threads share."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=20)
        self.given = {}

    def exchange(self, rank, value):
        """Give ``value`` to all threads; return those of all."""
        self.given[rank] = value
        self.barrier.wait()
        found = [self.given[r] for r in range(self.size)]
        self.barrier.wait()
        return found


def combined(tensors, op):
    whole = torch.stack(tensors)
    if op.op is ReduceOp.AVG:
        return whole.mean(0)
    return whole.sum(0) if op.op is ReduceOp.SUM else whole.amax(0)


class Threads(Transport):
    def __init__(self, room, rank):
        self.room, self.rank, self.size = room, rank, room.size

    def _all(self, tensors):
        return self.room.exchange(self.rank, [t.clone() for t in tensors])

    def broadcast(self, tensor, root):
        tensor.copy_(self._all([tensor])[root][0])

    def all_reduce(self, tensor, op):
        tensor.copy_(combined([part[0] for part in self._all([tensor])], op))

    def reduce(self, tensor, root, op):
        found = combined([part[0] for part in self._all([tensor])], op)
        if self.rank == root:
            tensor.copy_(found)

    def all_gather(self, outputs, tensor):
        for output, part in zip(outputs, self._all([tensor]), strict=True):
            output.copy_(part[0])

    def gather(self, outputs, tensor, root):
        found = self._all([tensor])
        if self.rank == root:
            for output, part in zip(outputs, found, strict=True):
                output.copy_(part[0])

    def scatter(self, output, tensors, root):
        output.copy_(self._all(tensors or [])[root][self.rank])

    def reduce_scatter(self, output, tensors, op):
        output.copy_(combined([part[self.rank] for part in self._all(tensors)], op))

    def all_to_all(self, outputs, tensors):
        for output, part in zip(outputs, self._all(tensors), strict=True):
            output.copy_(part[self.rank])

    def send(self, tensor, to, tag):
        self.room.given["sent", self.rank, to, tag] = tensor.clone()
        self.barrier()

    def recv(self, tensor, source, tag):
        self.barrier()
        tensor.copy_(self.room.given["sent", source, self.rank, tag])
        return source

    def barrier(self):
        self.room.barrier.wait()


def run(function, size=2):
    """Call ``function(group)`` in one thread for each rank; return the results."""
    room, found = Room(size), [None] * size

    def work(rank):
        try:
            found[rank] = function(ProcessGroup(Threads(room, rank), range(size)))
        except BaseException as error:
            room.barrier.abort()
            found[rank] = error

    workers = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in found:
        if isinstance(result, BaseException) and not isinstance(
            result, threading.BrokenBarrierError
        ):
            raise result
    return found
