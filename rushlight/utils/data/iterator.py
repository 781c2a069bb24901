"""One pass over a DataLoader: its batches read here, or by worker processes."""

import collections
import itertools
import warnings
import weakref
from typing import Any

import rushlight as torch
from rushlight.utils.data.fetch import fetcher
from rushlight.utils.data.worker import BATCH, ENDED, FAILED, FETCH, RESUME, RESUMED, Job

__all__ = ["_BaseDataLoaderIter", "_MultiProcessingDataLoaderIter", "_SingleProcessDataLoaderIter"]


class _BaseDataLoaderIter:
    """One pass over a loader: what reading here and reading by workers have in common."""

    def __init__(self, loader):
        _warn_of_pinning(loader)
        self._dataset = loader.dataset
        self._num_workers = loader.num_workers
        self._start_pass(loader)
        # Drawn even where no worker needs it, and after the sampler's own draws: the generator
        # goes through PyTorch's states.
        seed = torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
        self._base_seed = seed.item()

    def _start_pass(self, loader):
        self._index_sampler = loader._index_sampler
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._expected = loader._IterableDataset_len_called

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._index_sampler)

    def __next__(self):
        batch = self._next_data()
        self._num_yielded += 1
        if self._expected is not None and self._num_yielded > self._expected:
            self._warn_of_length()
        return batch

    def _next_data(self) -> Any:
        raise NotImplementedError

    def _warn_of_length(self):
        message = (
            f"DataLoader: {type(self._dataset).__name__} reported a length of {self._expected}, "
            f"but {self._num_yielded} batches or samples were read"
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
            stacklevel=6,
        )
    if loader.pin_memory:
        warnings.warn(
            "DataLoader: pin_memory has no effect, as no accelerator was found", stacklevel=6
        )


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    def __init__(self, loader):
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError(
                f"DataLoader: timeout={loader.timeout} needs workers to wait for; "
                "pass timeout=0 or num_workers > 0"
            )
        self._fetcher = fetcher(
            loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last
        )

    def _next_data(self):
        return self._fetcher.fetch(next(self._sampler_iter))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Keeps ``prefetch_factor`` tasks a worker under way, and takes their answers in order."""

    def __init__(self, loader):
        import multiprocessing

        from rushlight.utils.data.pool import WorkerPool

        super().__init__(loader)
        if loader.prefetch_factor == 0:
            raise AssertionError("DataLoader: prefetch_factor must be at least 1 with workers")
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._max_tasks = loader.prefetch_factor * loader.num_workers
        job = Job(
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            self._base_seed,
            loader.num_workers,
            loader.worker_init_fn,
        )
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._pool = WorkerPool(context, job)
        self._workers = self._pool.processes
        self._persistent_workers = loader.persistent_workers
        self._shutdown_workers = weakref.finalize(self, self._pool.close)
        # As PyTorch's: a sampler that draws in __iter__ is asked for a second order here.
        self._start_pass(loader)
        self._prefetch()

    def _reset(self, loader):
        """Start another pass with the same workers."""
        self._start_pass(loader)
        everyone = range(self._num_workers)
        for worker_id in everyone:
            self._pool.send(worker_id, RESUME)
        for worker_id in everyone:
            # What the last pass left under way comes first.
            while self._pool.receive([worker_id])[1] != RESUMED:
                pass
        self._prefetch()

    def _prefetch(self):
        # Whose answers are awaited, by worker, oldest first.
        self._tasks: collections.deque[int] = collections.deque()
        self._active = [True] * self._num_workers  # False: its stream has ended
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._max_tasks):
            self._send_next_task()

    def _send_next_task(self):
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        for worker_id in itertools.islice(self._turns, self._num_workers):
            if self._active[worker_id] and (self._in_order or self._has_room(worker_id)):
                self._pool.send(worker_id, FETCH, index)
                self._tasks.append(worker_id)
                return

    def _has_room(self, worker_id):
        return self._tasks.count(worker_id) < self._max_tasks // sum(self._active)

    def _next_data(self):
        while self._tasks:
            if self._pool.closed:
                raise RuntimeError("DataLoader: this iterator's workers were shut down")
            awaited = list(dict.fromkeys(self._tasks))
            if self._in_order:
                del awaited[1:]
            worker_id, kind, content = self._pool.receive(awaited, self._timeout)
            self._tasks.remove(worker_id)
            if kind == ENDED:
                self._active[worker_id] = False
                self._tasks = collections.deque(i for i in self._tasks if i != worker_id)
            self._send_next_task()
            if kind == FAILED:
                content.reraise()
            if kind == BATCH:
                return content
        if not self._persistent_workers:
            self._shutdown_workers()
        raise StopIteration
