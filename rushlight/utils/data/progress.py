"""Track how far each worker of a pass is, counted by the batches that the loader took from it."""

from typing import Any

from rushlight.utils import random_state
from rushlight.utils.data.fetch import _DatasetKind
from rushlight.utils.data.position import is_stateful
from rushlight.utils.data.worker import SKIP

__all__ = ["Progress"]


class Progress:
    """The state of each worker's generators and data set after its last batch that was taken.

    Attributes:
        is_stream: True if the data set is a stream that does not save its own state. A worker is
            then restored by reading its stream again.
        restored: For each worker, (states of the generators, state of the data set, whether the
            stream has ended) from which the worker goes on. None if the workers start anew.
    """

    def __init__(self, loader, place):
        dataset = loader.dataset
        stream = loader._dataset_kind == _DatasetKind.Iterable
        self.is_stream = stream and not is_stateful(dataset)
        self.restored = None
        if place is None:
            new: dict[str, Any] = {
                "random": None,
                "dataset": None,
                "ended": False,
                "start": None,
                "batches": 0,
            }
            self._workers: list[dict[str, Any]] = [dict(new) for _ in range(loader.num_workers)]
            return
        self._workers = [dict(worker) for worker in place["workers"]]
        if place["start"] is None:
            for worker in self._workers:
                worker.update(start=worker["random"], batches=0, ended=False)
        random = "start" if self.is_stream else "random"
        self.restored = [
            (worker[random], worker["dataset"], worker["ended"] and not self.is_stream)
            for worker in self._workers
        ]

    def note(self, worker_id, taken, state):
        """Note an answer of a worker: whether a batch was taken, and its state if it changed."""
        worker = self._workers[worker_id]
        worker["batches"] += taken
        if state is not None:
            worker.update(state, random=random_state.plain(state["random"]))

    def begin_pass(self, worker_id, state):
        """Note that a worker begins another pass in ``state``."""
        random = random_state.plain(state["random"])
        self._workers[worker_id] = {**state, "random": random, "start": random, "batches": 0}

    def read_again(self, pool, index):
        """Let each worker read, and drop, as many batches as were taken from it.

        ``index`` gives the number of samples of a batch.
        """
        for worker_id, worker in enumerate(self._workers):
            for _ in range(worker["batches"]):
                pool.send(worker_id, SKIP, index)
        for worker_id, worker in enumerate(self._workers):
            for _ in range(worker["batches"]):
                self.note(worker_id, False, pool.receive([worker_id])[3])

    def state(self):
        """Return the workers' states for ``place["workers"]``."""
        return [dict(worker) for worker in self._workers]
