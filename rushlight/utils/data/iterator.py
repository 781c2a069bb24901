"""Iterators over a DataLoader: one reads batches in this process, one by worker processes."""

import itertools
import warnings
import weakref
from typing import Any

import rushlight as torch
from rushlight.device_array import drivers
from rushlight.utils.data import piping, position
from rushlight.utils.data.fetch import _DatasetKind, fetcher
from rushlight.utils.data.pinning import pin
from rushlight.utils.data.progress import Progress
from rushlight.utils.data.worker import BATCH, ENDED, FAILED, FETCH, RESUME, RESUMED, Job

__all__ = ["_BaseDataLoaderIter", "_MultiProcessingDataLoaderIter", "_SingleProcessDataLoaderIter"]


class _BaseDataLoaderIter:
    """The common base of the iterators with and without workers."""

    def __init__(self, loader, place=None):
        _warn_of_pinning(loader)
        self._pin_memory = loader.pin_memory and bool(drivers("cuda"))
        self._dataset = loader.dataset
        self._num_workers = loader.num_workers
        self._pass = position.Pass(loader)
        if place is None or place["start"] is None:
            self._begin(loader, place)
        else:
            with position.replayed(place, self._pass.generators):
                self._begin(loader, place)

    def _begin(self, loader, place):
        current = self._pass
        current.begin()
        # The first pass draws a seed for the workers after the sampler's draws, even if there are
        # no workers, so that the generator goes through the same states as in PyTorch.
        current.first = place is None or (place["first"] and place["sampler"] is None)
        self._start_pass(loader)
        if current.first:
            seed = torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
            current.base_seed = seed.item()
        else:
            current.base_seed = place["base_seed"]
        self._open(loader, place)

    def _open(self, loader, place) -> None:
        """Prepare to read the first batch after ``place``."""
        raise NotImplementedError

    def _start_pass(self, loader):
        self._index_sampler = loader._index_sampler
        self._sampler_iter = iter(self._index_sampler)
        self._pass.batches = self._pass.drawn = 0
        self._expected = loader._IterableDataset_len_called
        self._shared_seed = piping.seed(self._dataset, loader.generator)

    def _next_index(self):
        index = next(self._sampler_iter)
        self._pass.drawn += 1
        return index

    def _pass_over(self, place):
        """Skip the indices that the sampler gave before ``place``."""
        if place["sampler"] is None:
            for _ in itertools.islice(self._sampler_iter, place["drawn"]):
                pass
        elif place["exhausted"]:  # a sampler restored at its end may begin another pass
            self._sampler_iter = iter(())
        self._pass.drawn = place["drawn"]
        self._pass.batches = place["batches"]

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._index_sampler)

    def __next__(self):
        try:
            batch = self._next_data()
        except StopIteration:
            self._pass.ended = True
            raise
        if self._pin_memory:
            batch = pin(batch)
        self._pass.batches += 1
        if self._expected is not None and self._pass.batches > self._expected:
            self._warn_of_length()
        return batch

    def _next_data(self) -> Any:
        raise NotImplementedError

    def _warn_of_length(self):
        message = (
            f"DataLoader: {type(self._dataset).__name__} reported a length of {self._expected}, "
            f"but {self._pass.batches} batches or samples were read"
        )
        if self._num_workers:
            message += "; each worker should read its own share: see get_worker_info"
        warnings.warn(message, stacklevel=3)

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled; pickle the DataLoader")


def _warn_of_pinning(loader):
    if loader.pin_memory and loader.pin_memory_device:
        warnings.warn(
            f"DataLoader: pin_memory_device={loader.pin_memory_device!r} is deprecated and ignored",
            stacklevel=5,
        )
    if loader.pin_memory and not drivers("cuda"):
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found: it has no effect",
            stacklevel=5,
        )


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    def _open(self, loader, place):
        if loader.timeout != 0:
            raise AssertionError(
                f"DataLoader: timeout={loader.timeout} needs workers to wait for; "
                "pass timeout=0 or num_workers > 0"
            )
        piping.share(loader.dataset)
        own_state = position.is_stateful(loader.dataset)
        if place is not None and own_state:
            loader.dataset.load_state_dict(place["dataset"])
        self._fetcher = fetcher(
            loader._dataset_kind,
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
        )
        if place is None:
            return
        if loader._dataset_kind == _DatasetKind.Iterable and not own_state:
            for _ in range(place["batches"]):
                self._next_data()
        self._fetcher.ended = self._pass.fetched = place["fetched"]
        self._pass_over(place)

    def _next_data(self):
        batch = self._fetcher.fetch(self._next_index())
        self._pass.fetched = self._fetcher.ended
        return batch


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Reads by workers: each has up to ``prefetch_factor`` tasks, answers are taken in order."""

    def _open(self, loader, place):
        import multiprocessing

        from rushlight.utils.data.pool import WorkerPool

        if loader.prefetch_factor == 0:
            raise AssertionError("DataLoader: prefetch_factor must be at least 1 with workers")
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._max_tasks = loader.prefetch_factor * loader.num_workers
        self._pass.workers = Progress(loader, place)
        job = Job(
            loader._dataset_kind,
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            self._pass.base_seed,
            loader.num_workers,
            loader.worker_init_fn,
            self._pass.workers.restored,
        )
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._pool = WorkerPool(context, job)
        self._workers = self._pool.processes
        self._persistent_workers = loader.persistent_workers
        self._shutdown_workers = weakref.finalize(self, self._pool.close)
        if self._pass.first:
            # PyTorch calls the sampler's __iter__ a second time here. A sampler that draws in
            # __iter__ must draw as often as there.
            self._start_pass(loader)
        if place is None or place["start"] is None:
            self._prefetch()
        else:
            self._resume(place)

    def _reset(self, loader):
        """Start another pass with the same workers."""
        self._pass.begin()
        self._start_pass(loader)
        everyone = range(self._num_workers)
        for worker_id in everyone:
            self._pool.send(worker_id, RESUME, self._shared_seed)
        for worker_id in everyone:
            # Drop the answers to tasks of the last pass; they come before the answer to RESUME.
            while (answer := self._pool.receive([worker_id]))[1] != RESUMED:
                pass
            self._pass.workers.begin_pass(worker_id, answer[3])
        self._prefetch()

    def _prefetch(self):
        self._pass.under_way([], [True] * self._num_workers, 0)
        for _ in range(self._max_tasks):
            self._send_next_task()

    def _resume(self, place):
        """Bring the workers and the sampler to ``place``, and send the unanswered tasks again."""
        if self._pass.workers.is_stream:
            self._pass.workers.read_again(self._pool, next(self._sampler_iter))
        self._pass_over(place)
        self._pass.under_way([], place["active"], place["turn"])
        for worker_id, index in place["tasks"]:
            self._send(worker_id, index)

    def _send(self, worker_id, index):
        self._pool.send(worker_id, FETCH, index)
        self._pass.tasks.append((worker_id, index))

    def _send_next_task(self):
        try:
            index = self._next_index()
        except StopIteration:
            return
        current = self._pass
        for _ in range(self._num_workers):
            worker_id = current.turn
            current.turn = (worker_id + 1) % self._num_workers
            if current.active[worker_id] and (self._in_order or self._has_room(worker_id)):
                self._send(worker_id, index)
                return

    def _has_room(self, worker_id):
        under_way = sum(w == worker_id for w, _ in self._pass.tasks)
        return under_way < self._max_tasks // sum(self._pass.active)

    def _next_data(self):
        current = self._pass
        while current.tasks:
            if self._pool.closed:
                raise RuntimeError("DataLoader: this iterator's workers were shut down")
            awaited = list(dict.fromkeys(worker_id for worker_id, _ in current.tasks))
            if self._in_order:
                del awaited[1:]
            worker_id, kind, content, state = self._pool.receive(awaited, self._timeout)
            current.workers.note(worker_id, kind == BATCH, state)
            current.answered(worker_id, kind == ENDED)
            self._send_next_task()
            if kind == FAILED:
                content.reraise()
            if kind == BATCH:
                return content
        if not self._persistent_workers:
            self._shutdown_workers()
        raise StopIteration
