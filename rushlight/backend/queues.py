"""Queues of a device, which run commands in order, and memory that is free to use again."""

import threading
from collections import defaultdict
from typing import Any

__all__ = ["Current", "Pool", "Queue"]


class Pool:
    """Memory of one queue, or of recorded graphs, that is free to use again.

    Commands of a queue run in order. So memory can be used again as soon as the last command that
    uses it is in the queue.

    Attributes:
        free: bytes → buffers that are free.
        graphs: The number of graphs that need the pool. Its memory is kept while there are any.
    """

    __slots__ = ("__weakref__", "free", "graphs")

    def __init__(self):
        self.free: defaultdict[int, list] = defaultdict(list)
        self.graphs = 0

    def put(self, buffer, size):
        """Keep a buffer for use again."""
        self.free[size].append(buffer)


class Queue:
    """Commands that run in order: what PyTorch calls a stream.

    Attributes:
        handle: The driver's object; None for the queue that every device has.
        number: 0 for the queue that every device has.
        priority: A queue with a lower number goes first.
        pool: The ``Pool`` of memory that is allocated while the queue is the current one.
    """

    __slots__ = ("handle", "number", "pool", "priority")

    def __init__(self, handle: Any = None, number=0, priority=0, pool=None):
        self.handle, self.number, self.priority = handle, number, priority
        self.pool = Pool() if pool is None else pool


class Current(threading.local):
    """The current queue of a device in each thread.

    Args:
        queue: The one with which a thread begins.
    """

    def __init__(self, queue):
        self.queue = queue
