"""DataLoader: batches of a data set, read in this process or by worker processes."""

import itertools
import os
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rushlight.utils.data import piping, position
from rushlight.utils.data.collate import default_collate, default_convert
from rushlight.utils.data.datapipes.datapipe import IterDataPipe
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.fetch import _DatasetKind
from rushlight.utils.data.iterator import (
    _BaseDataLoaderIter,  # noqa: F401 - libraries ask for it here
    _MultiProcessingDataLoaderIter,
    _SingleProcessDataLoaderIter,
)
from rushlight.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from rushlight.utils.data.worker import get_worker_info

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)

_collate_fn_t = Callable[[list], Any]  # PyTorch's name, which libraries annotate with

FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class DataLoader(Generic[T_co]):
    """Iterate over batches of a data set, in order, shuffled, or in a sampler's order.

    The iterator raises the errors of the data set. An error in a worker keeps its type, and its
    text has the worker's traceback.

    Args:
        dataset: A map-style data set (``__getitem__`` and ``__len__``), or an ``IterableDataset``.
        batch_size: Number of samples in a batch; None reads single samples. Default: 1.
        shuffle: Read the samples in a new random order on each pass. Of a DataPipe, it turns the
            shuffling steps on or off. Default: False.
        sampler: An iterable of indices, which decides the order. Default: a ``SequentialSampler``,
            or a ``RandomSampler`` if ``shuffle`` is True.
        batch_sampler: An iterable of lists of indices, one list for each batch. It takes the place
            of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: Number of processes that read the samples. Default: 0, this process reads them.
        collate_fn: A function that makes a batch of a list of samples.
            Default: ``default_collate``, or ``default_convert`` for single samples.
        pin_memory: Whether batches come in memory that CUDA devices read faster. Default: False.
        drop_last: Leave out the last batch if it has fewer than ``batch_size`` samples.
            Default: False.
        timeout: Seconds to wait for a batch from a worker. Default: 0, no limit.
        worker_init_fn: A function that each worker calls with its id at its start.
        multiprocessing_context: How workers are started: a context, or its name such as
            ``"spawn"``. Default: the system's way.
        generator: Source of the random numbers for the shuffling and for the workers' seeds.
            Default: ``torch.default_generator``.
        prefetch_factor: Number of batches that each worker reads ahead. Default: 2 if there are
            workers.
        persistent_workers: Keep the workers alive from one pass to the next. Default: False.
        pin_memory_device: Accepted without effect.
        in_order: Give the batches in the sampler's order; False: as they become ready.
            Default: True.

    Raises:
        ValueError: Options contradict each other, or are out of range.
        TypeError: ``multiprocessing_context`` is not a context.
        RuntimeError: A worker is lost, or sends nothing for ``timeout`` seconds.

    >>> import rushlight as torch
    >>> dataset = torch.utils.data.TensorDataset(torch.arange(5))
    >>> generator = torch.Generator().manual_seed(0)
    >>> loader = torch.utils.data.DataLoader(dataset, 2, shuffle=True, generator=generator)
    >>> len(loader), [x.tolist() for (x,) in loader]
    (3, [[3, 1], [0, 4], [2]])
    """

    _initialized = False
    _place: dict | None = None  # the place from which the next pass goes on
    _last: position.Pass | None = None  # the latest pass
    _iterator = None  # with persistent_workers, the iterator whose workers stay alive
    _IterableDataset_len_called = None  # a stream's length, once len(loader) has been called

    def __init__(
        self,
        dataset,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler=None,
        batch_sampler=None,
        num_workers: int = 0,
        collate_fn=None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset = dataset = piping.shuffled(dataset, shuffle)
        self._dataset_kind = _DatasetKind.of(dataset)
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        self.persistent_workers = persistent_workers

        _check_sampling(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if sampler is None:
            sampler = _default_sampler(dataset, shuffle, generator)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self._initialized = True
        self.check_worker_number_rationality()

    def __setattr__(self, name, value):
        if self._initialized and name in FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is "
                "initialized; make another loader"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """The multiprocessing context that starts workers; None for the system's default."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            context = _checked_context(context, self.num_workers)
        self._multiprocessing_context = context

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self):
        place, self._place = self._place, None
        if place is not None:
            place = self._go_to(place)
        iterator = self._iterator
        if iterator is None or iterator._pool.closed:
            iterator = self._get_iterator(place)
            self._iterator = iterator if self.persistent_workers else None
        else:
            iterator._reset(self)
        self._last = iterator._pass  # a reference to the iterator would keep its workers alive
        return iterator

    def _get_iterator(self, place=None):
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self, place)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self, place)

    def state_dict(self):
        """Return the place in the data, so that another process can go on from there.

        ``load_state_dict`` restores the place, which may lie between two passes or within a pass.
        The restored loader gives the same batches that this loader would give next: in the same
        order, with the same random augmentations. It needs the same number of workers. A data set
        or a sampler with ``state_dict`` and ``load_state_dict`` saves its own state. A stream
        without these methods is read again up to its place. A pass that a loop left early can be
        continued, too.

        Returns:
            Dict for ``load_state_dict``, which ``torch.save`` can write.

        >>> import rushlight as torch
        >>> loader = torch.utils.data.DataLoader(range(8), 2, shuffle=True)
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> other = torch.utils.data.DataLoader(range(8), 2, shuffle=True)
        >>> other.load_state_dict(loader.state_dict())
        >>> [x.tolist() for x in other] == [x.tolist() for x in batches]
        True
        """
        if self._place is not None:
            return self._place
        return position.outside(self) if self._last is None else self._last.state()

    def load_state_dict(self, state_dict):
        """Let the next ``iter(loader)`` go on from a place that ``state_dict`` returned.

        Args:
            state_dict: The dict that ``state_dict()`` returned.

        Raises:
            ValueError: The loader has another number of workers or of generators than the saved
                loader.

        >>> import rushlight as torch
        >>> loader = torch.utils.data.DataLoader(range(4), 2)
        >>> first = next(iter(loader))
        >>> other = torch.utils.data.DataLoader(range(4), 2)
        >>> other.load_state_dict(loader.state_dict())
        >>> list(other)
        [tensor([2, 3])]
        """
        position.check(state_dict, self)
        self._place = state_dict

    def _go_to(self, place):
        """Bring samplers and generators to ``place``.

        Returns the place that the next iterator goes on from; None if it begins an ordinary pass.
        """
        if self._iterator is not None:
            self._iterator._shutdown_workers()
            self._iterator = None
        position.restore_sampler(self, place)
        if place["start"] is not None:
            return place
        position.between(self, place)
        return place if self.persistent_workers and place.get("workers") else None

    def __getstate__(self):
        return {**self.__dict__, "_last": None}

    def __len__(self):
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        samples = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return samples
        full, rest = divmod(samples, self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def check_worker_number_rationality(self):
        """Warn (UserWarning) if there are more workers than CPUs that this process may use.

        >>> import rushlight as torch
        >>> torch.utils.data.DataLoader(range(8)).check_worker_number_rationality()
        """
        if hasattr(os, "sched_getaffinity"):
            cpus = len(os.sched_getaffinity(0))
        else:
            cpus = os.cpu_count() or 1
        if self.num_workers > cpus:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes for the {cpus} "
                "CPUs that this process may use. Such an excessive worker creation might get "
                "DataLoader running slow or even freeze",
                stacklevel=3,
            )


def _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0:
        raise ValueError(
            f"DataLoader: num_workers option should be non-negative, got {num_workers}; "
            "0 loads in this process"
        )
    if timeout < 0:
        raise ValueError(f"DataLoader: timeout option should be non-negative, got {timeout}")
    if prefetch_factor is not None:
        if num_workers == 0:
            raise ValueError(
                f"DataLoader: prefetch_factor option could only be specified in multiprocessing, "
                f"got {prefetch_factor}: pass num_workers > 0"
            )
        if prefetch_factor < 0:
            raise ValueError(
                f"DataLoader: prefetch_factor option should be non-negative, got {prefetch_factor}"
            )
    if persistent_workers and num_workers == 0:
        raise ValueError("DataLoader: persistent_workers option needs num_workers > 0")


def _check_sampling(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last):
    if isinstance(dataset, IterableDataset):
        order = None if isinstance(dataset, IterDataPipe) else shuffle or None
        given = {"shuffle": order, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={value!r}"
                )
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "DataLoader: batch_sampler option is mutually exclusive with batch_size, shuffle, "
                "sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "DataLoader: batch_size=None option disables auto-batching and is mutually exclusive "
            "with drop_last"
        )


def _default_sampler(dataset, shuffle, generator):
    if isinstance(dataset, IterableDataset):
        # The sampler has no end. Each worker has its own stream, and only its end ends the pass.
        return _InfiniteConstantSampler()
    return RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)


def _checked_context(context, num_workers):
    import multiprocessing

    if num_workers == 0:
        raise ValueError(
            "DataLoader: multiprocessing_context can only be used with multi-process loading "
            "(num_workers > 0), but got num_workers=0"
        )
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                "DataLoader: multiprocessing_context option should specify a valid start method in "
                f"{methods}, but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "DataLoader: multiprocessing_context option should be a valid context object or a "
            f"string specifying the start method, but got multiprocessing_context={context!r}"
        )
    return context


class _InfiniteConstantSampler(Sampler):
    def __iter__(self):
        return itertools.repeat(None)
