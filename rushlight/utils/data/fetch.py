"""Fetchers: they read the samples of one batch and collate them."""

import numpy as np

from rushlight.remote import holds_remote
from rushlight.tensor import Tensor, from_array
from rushlight.utils.data.collate import default_collate
from rushlight.utils.data.dataset import IterableDataset, Subset, TensorDataset

__all__ = ["_DatasetKind", "fetcher"]


def fetcher(kind, dataset, batched, collate_fn, drop_last):
    """Return the fetcher that turns the sampler's next index or indices into a batch."""
    if kind == _DatasetKind.Iterable:
        return StreamFetcher(dataset, batched, collate_fn, drop_last)
    if batched and collate_fn is default_collate and _stacks_plain_tensors(dataset):
        return TensorFetcher(dataset, batched, collate_fn)
    return MapFetcher(dataset, batched, collate_fn)


class _DatasetKind:
    """How a data set is read. A library's own loader may read any object as a stream."""

    Map, Iterable = 0, 1
    create_fetcher = staticmethod(fetcher)

    @classmethod
    def of(cls, dataset):
        """The kind of ``dataset`` by its class."""
        return cls.Iterable if isinstance(dataset, IterableDataset) else cls.Map


class MapFetcher:
    """Reads a map-style data set by index."""

    ended = False
    draws = True  # the data set may use random numbers

    def __init__(self, dataset, batched, collate_fn, drop_last=False):
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn

    def fetch(self, index):
        dataset = self.dataset
        if not self.batched:
            samples = dataset[index]
        elif getattr(dataset, "__getitems__", None):
            samples = dataset.__getitems__(index)
        else:
            samples = [dataset[i] for i in index]
        return self.collate_fn(samples)


class StreamFetcher:
    """Reads an iterable-style data set. Only the length of the index is used."""

    draws = True

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.samples = iter(dataset)
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index):
        if self.ended:
            raise StopIteration
        if not self.batched:
            return self.collate_fn(next(self.samples))
        batch = []
        for _ in index:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(index)):
            raise StopIteration
        return self.collate_fn(batch)


class TensorFetcher(MapFetcher):
    """Reads a TensorDataset, or Subsets of one, with a single gather for each tensor.

    The batch equals default_collate of the samples, but the samples are not made.
    """

    draws = False

    def fetch(self, index):
        dataset = self.dataset
        rows = index
        try:
            while type(dataset) is Subset:
                rows = [dataset.indices[i] for i in rows]
                dataset = dataset.dataset
            if set(map(type, rows)) == {int} and not holds_remote(dataset.tensors):
                at = np.array(rows)
                return [from_array(_take(tensor._array, at)) for tensor in dataset.tensors]
        except IndexError:
            pass  # the error of reading the samples one by one names the wrong index
        return super().fetch(index)


def _take(array, rows):
    if array.flags.c_contiguous:
        return array.take(rows, 0)
    return np.ascontiguousarray(array[rows])  # take would copy the whole array first


def _stacks_plain_tensors(dataset):
    while type(dataset) is Subset:
        dataset = dataset.dataset
    # Subclasses are excluded, because they may override any method. Tensors that require grad are
    # excluded, because the batch's history must contain the stack of samples.
    return type(dataset) is TensorDataset and all(
        type(tensor) is Tensor and not tensor.requires_grad for tensor in dataset.tensors
    )


_MapDatasetFetcher, _IterableDatasetFetcher = MapFetcher, StreamFetcher  # PyTorch's names
