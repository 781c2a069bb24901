"""DataLoader in this process and with workers: the same batches, from the same seed, as PyTorch."""

import multiprocessing
import os
import random
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight.utils import data

# Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
TOO_MANY = (CPUS or 1) + 1


class Draws:
    """Samples drawn from every generator that a worker seeds."""

    def __init__(self, package, n=6):
        self.package = package
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        info = self.package.utils.data.get_worker_info()
        drawn = [random.randrange(10**6), self.package.randint(10**6, ()).item()]
        if info is None:
            return [index, drawn[1]]
        return [index, *drawn, int(np.random.randint(10**6)), info.id, info.num_workers, info.seed]


def stream(package, length=None):
    """An iterable data set of 0 to 10, of which each worker reads its share."""

    class Stream(package.utils.data.IterableDataset):
        def __iter__(self):
            info = package.utils.data.get_worker_info()
            first, step = (info.id, info.num_workers) if info else (0, 1)
            return iter(range(first, 11, step))

    if length is not None:
        Stream.__len__ = lambda self: length
    return Stream()


def tensors(package, n=11):
    x = package.arange(2 * n, dtype=package.float32).reshape(n, 2)
    return package.utils.data.TensorDataset(x, package.arange(n))


class EagerOrder:
    """A sampler that draws when its iterator is made, not when it is read."""

    def __init__(self, package):
        self.package = package

    def __iter__(self):
        return iter(self.package.randperm(5).tolist())


class Together(list):
    def __getitems__(self, indices):
        return [("together", self[i]) for i in indices]


def join(batch):
    return "+".join(str(sample) for sample in batch)


# Each makes a loader from a package, its ``utils.data`` and the options that set the workers.
LOADERS = {
    "list": lambda t, d, w: d.DataLoader([5, 6, 7], **w),
    "in order": lambda t, d, w: d.DataLoader(tensors(t), 4, **w),
    "shuffled": lambda t, d, w: d.DataLoader(tensors(t), 4, shuffle=True, **w),
    "dropped": lambda t, d, w: d.DataLoader(tensors(t), 4, True, drop_last=True, **w),
    "generator": lambda t, d, w: d.DataLoader(
        tensors(t), 3, shuffle=True, generator=t.Generator().manual_seed(8), **w
    ),
    "one by one": lambda t, d, w: d.DataLoader(tensors(t), None, shuffle=True, **w),
    "weighted": lambda t, d, w: d.DataLoader(
        tensors(t), 4, sampler=d.WeightedRandomSampler(range(11), 9), **w
    ),
    "replaced": lambda t, d, w: d.DataLoader(
        tensors(t), 10, sampler=d.RandomSampler(range(11), True, 70), **w
    ),
    "batch sampler": lambda t, d, w: d.DataLoader(
        tensors(t), batch_sampler=[[0, 3], [-1], (2, 1)], **w
    ),
    "batches whole": lambda t, d, w: d.DataLoader(
        tensors(t), None, sampler=[[0, 3], slice(2, 4)], **w
    ),
    "tensor indices": lambda t, d, w: d.DataLoader(
        tensors(t), batch_sampler=[t.tensor([4, 2]), t.tensor([1])], **w
    ),
    "bool indices": lambda t, d, w: d.DataLoader(tensors(t), batch_sampler=[[True]], **w),
    "no indices": lambda t, d, w: d.DataLoader(tensors(t), batch_sampler=[[]], **w),
    "beyond": lambda t, d, w: d.DataLoader(tensors(t), batch_sampler=[[1], [11]], **w),
    "eager order": lambda t, d, w: d.DataLoader([0, 1, 2, 3, 4], None, sampler=EagerOrder(t), **w),
    "subsets": lambda t, d, w: d.DataLoader(
        d.Subset(d.Subset(tensors(t), [9, 8, 7, -1]), [3, 1, 0]), 2, shuffle=True, **w
    ),
    "split": lambda t, d, w: d.DataLoader(d.random_split(tensors(t), [0.6, 0.4])[0], 3, **w),
    "together": lambda t, d, w: d.DataLoader(Together([5, 6, 7]), 2, collate_fn=list, **w),
    "collate_fn": lambda t, d, w: d.DataLoader(tensors(t, 3), 2, collate_fn=join, **w),
    "collate_fn, one by one": lambda t, d, w: d.DataLoader([1, 2], None, collate_fn=str, **w),
    "stream": lambda t, d, w: d.DataLoader(stream(t), **w),
    "stream in batches": lambda t, d, w: d.DataLoader(stream(t), 3, **w),
    "stream dropped": lambda t, d, w: d.DataLoader(stream(t), 4, drop_last=True, **w),
    "stream one by one": lambda t, d, w: d.DataLoader(stream(t), None, **w),
    "stream of a length": lambda t, d, w: d.DataLoader(stream(t, 11), 4, **w),
    "stream of too short a length": lambda t, d, w: d.DataLoader(stream(t, 2), 4, **w),
    "no samples": lambda t, d, w: d.DataLoader([], 4, **w),
    "draws": lambda t, d, w: d.DataLoader(Draws(t), 2, shuffle=True, collate_fn=list, **w),
    "pinned": lambda t, d, w: d.DataLoader(tensors(t), 5, pin_memory=True, **w),
    "raises": lambda t, d, w: d.DataLoader({0: 1, 1: 2, 3: 4}, sampler=[0, 2, 1], **w),
}
TWO = {"num_workers": 2, "multiprocessing_context": "fork"}
WORKERS = {
    "2 workers": TWO,
    "persistent, 1 ahead": {**TWO, "persistent_workers": True, "prefetch_factor": 1},
}
needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="some data sets here are local"
)


def epochs(make, workers):
    def read(package):
        loader = make(package, package.utils.data, dict(workers))
        try:
            length = len(loader)
        except TypeError:
            length = None
        # A number drawn between batches shows when the sampler draws.
        read = [[(batch, package.rand(()).item()) for batch in loader] for _ in range(2)]
        return length, read

    return read


@pytest.mark.parity
@pytest.mark.parametrize("name", LOADERS)
def test_batches_are_pytorchs(agree, name):
    agree(epochs(LOADERS[name], {}))


@pytest.mark.parity
@needs_fork
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(
    "name",
    [
        "shuffled",
        "generator",
        "one by one",
        "eager order",
        "batch sampler",
        "stream dropped",
        "stream of a length",
        "draws",
    ],  # not "raises": PyTorch then takes 10 s to end its workers
)
def test_batches_of_workers_are_pytorchs(agree, name, workers):
    agree(epochs(LOADERS[name], WORKERS[workers]))


@needs_fork
@pytest.mark.parametrize("name", ["list", "shuffled", "subsets", "replaced", "collate_fn"])
def test_workers_change_nothing(name):
    def read(workers):
        torch.manual_seed(1)
        loader = LOADERS[name](torch, data, workers)
        return [[str(batch) for batch in loader] for _ in range(2)]

    assert read({}) == read(TWO) != [[], []]


@needs_fork
def test_the_stream_is_pytorchs_without_pytorch():
    torch.manual_seed(0)
    loader = data.DataLoader(data.TensorDataset(torch.arange(7)), 3, shuffle=True)
    read = [[batch.tolist() for (batch,) in loader] for _ in range(2)]
    assert read == [[[0, 4, 1], [5, 2, 6], [3]], [[3, 1, 4], [2, 5, 0], [6]]]
    torch.manual_seed(0)
    drawn = list(data.DataLoader(Draws(torch, 3), None, **TWO))
    assert [sample[1:4] for sample in drawn] == [
        [223507, 253906, 25098],
        [810954, 827724, 448746],
        [838017, 636010, 719145],
    ]


@pytest.mark.parametrize("strided", [False, True])
def test_a_gathered_batch_is_the_collated_one(strided):
    x = torch.arange(24.0).reshape(4, 6)
    x = x.t() if strided else x.reshape(6, 4)
    images = torch.arange(72.0).reshape(6, 4, 3).permute(0, 2, 1)
    dataset = data.TensorDataset(x, torch.arange(6) > 2, images if strided else images + 1)
    sampler = data.RandomSampler(dataset, generator=torch.Generator().manual_seed(1))
    order = list(data.BatchSampler(sampler, 4, False))
    gathered = list(data.DataLoader(dataset, batch_sampler=order))
    assert len(gathered) == 2
    for batch, indices in zip(gathered, order, strict=True):
        expected = data.default_collate([dataset[i] for i in indices])
        for found, wanted in zip(batch, expected, strict=True):
            assert found.dtype is wanted.dtype and torch.equal(found, wanted)
            assert found.stride() == wanted.stride() and found.is_contiguous()
    before = x.clone()
    gathered[0][0].add_(1)
    assert torch.equal(x, before)


def test_a_gathered_batch_reads_the_tensors_at_once():
    class Counted(data.TensorDataset):
        reads = 0

        def __getitem__(self, index):
            Counted.reads += 1
            return super().__getitem__(index)

    list(data.DataLoader(Counted(torch.arange(6)), 3))
    assert Counted.reads == 6  # a subclass may mean something else by its samples
    x = torch.arange(6.0).requires_grad_()
    ((batch,),) = data.DataLoader(data.TensorDataset(x), 6)
    batch.sum().backward()
    assert x.grad.tolist() == [1.0] * 6


OPTIONS = {
    "workers": {"num_workers": -1},
    "no number of workers": {"num_workers": "2"},
    "timeout": {"timeout": -1},
    "timeout here": {"timeout": 1},
    "prefetch here": {"prefetch_factor": 2},
    "prefetch": {"num_workers": 1, "prefetch_factor": -1},
    "persistent": {"persistent_workers": True},
    "sampler, shuffle": {"sampler": [0], "shuffle": True},
    "batch sampler, size": {"batch_sampler": [[0]], "batch_size": 2},
    "batch sampler, None": {"batch_sampler": [[0]], "batch_size": None},
    "batch sampler, shuffle": {"batch_sampler": [[0]], "shuffle": True},
    "batch sampler, sampler": {"batch_sampler": [[0]], "sampler": [0]},
    "batch sampler, drop": {"batch_sampler": [[0]], "drop_last": True},
    "None, drop": {"batch_size": None, "drop_last": True},
    "size 0": {"batch_size": 0},
    "size 2.0": {"batch_size": 2.0},
    "drop 1": {"drop_last": 1},
    "no sampler": {"sampler": 5},
    "no data": {"dataset": 5},
    "no data, shuffled": {"dataset": 5, "shuffle": True},
    "empty, shuffled": {"dataset": [], "shuffle": True},
    "context here": {"multiprocessing_context": "spawn"},
    "context unknown": {"multiprocessing_context": "thread", "num_workers": 1},
    "context of no kind": {"multiprocessing_context": 5, "num_workers": 1},
    "collate": {"collate_fn": 5},
}


@pytest.mark.parity
@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_refused_as_pytorch_refuses_them(agree, name):
    def read(package):
        options = {"dataset": [1, 2, 3], **OPTIONS[name]}
        return list(package.utils.data.DataLoader(**options))

    found = agree(read)
    assert isinstance(found, type) and issubclass(found, Exception)


@pytest.mark.parity
@pytest.mark.parametrize("shuffle", [None, False, True, 0])
@pytest.mark.parametrize("more", [{}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_a_streams_options_are_refused_as_pytorch_refuses_them(agree, shuffle, more):
    agree(lambda p: list(p.utils.data.DataLoader(stream(p), shuffle=shuffle, **more)))


@pytest.mark.parity
@pytest.mark.parametrize("name", ["batch_size", "sampler", "dataset", "collate_fn", "timeout"])
def test_attributes_are_pytorchs(agree, name):
    agree(lambda p: setattr(p.utils.data.DataLoader([1]), name, 7))
    shown = ("batch_size", "drop_last", "num_workers", "timeout", "pin_memory", "generator")
    shown += ("prefetch_factor", "persistent_workers", "in_order", "multiprocessing_context")
    agree(lambda p: [getattr(p.utils.data.DataLoader([1], 1), a) for a in shown])
    agree(lambda p: [type(getattr(p.utils.data.DataLoader([1], None), a)).__name__ for a in shown])


@pytest.mark.parity
def test_more_workers_than_cpus_warn(agree):
    agree(lambda p: len(p.utils.data.DataLoader([1], num_workers=TOO_MANY)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -2}, "should be non-negative, got -2; 0 loads in this process"),
        (
            {"prefetch_factor": 2},
            "prefetch_factor option could only be specified in multiprocessing",
        ),
        ({"batch_size": 0}, "batch_size should be a positive integer value, got 0"),
        ({"sampler": [0], "shuffle": True}, "sampler option is mutually exclusive with shuffle"),
    ],
)
def test_errors_name_the_remedy(options, message):
    with pytest.raises(ValueError, match=message):
        data.DataLoader([1, 2], **options)


def test_nothing_ahead_is_refused_when_read():
    loader = data.DataLoader([1], num_workers=1, prefetch_factor=0)
    with pytest.raises(AssertionError, match="prefetch_factor must be at least 1"):
        iter(loader)


def test_warnings_point_at_the_callers_line():
    loader = data.DataLoader(stream(torch, 1), None, pin_memory=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.DataLoader([1], num_workers=TOO_MANY)
        assert len(loader) == 1
        batches = iter(loader)
        next(batches)
        next(batches)
    texts = [
        "This DataLoader will create",
        "no accelerator is found",
        "reported a length of 1, but 2",
    ]
    assert len(caught) == len(texts)
    for warning, text in zip(caught, texts, strict=True):
        assert text in str(warning.message) and warning.filename == __file__


def test_passes_over_one_loader_are_independent():
    loader = data.DataLoader(range(3), None)
    assert list(zip(loader, loader, strict=True)) == [(0, 0), (1, 1), (2, 2)]
    batches = iter(loader)
    assert iter(batches) is batches and len(batches) == 3
    assert list(batches) == [0, 1, 2] and next(batches, "end") == "end"


def test_an_iterator_is_not_pickled():
    import pickle

    with pytest.raises(NotImplementedError, match="pickle the DataLoader"):
        pickle.dumps(iter(data.DataLoader([1])))
    assert list(pickle.loads(pickle.dumps(data.DataLoader([1, 2], None)))) == [1, 2]


def test_the_iterator_reads_a_librarys_own_loader_by_its_kind():
    from rushlight.utils.data.dataloader import (
        _BaseDataLoaderIter,
        _DatasetKind,
        _SingleProcessDataLoaderIter,
    )

    class Loader:  # as fastai's
        _IterableDataset_len_called, _auto_collation, drop_last, in_order = None, False, False, True
        _index_sampler, generator, prefetch_factor = range(100), None, None
        _dataset_kind = _DatasetKind.Iterable
        pin_memory, pin_memory_device, num_workers, timeout = False, "", 0, 0
        persistent_workers, worker_init_fn, multiprocessing_context = False, None, None

        def __init__(self, stream):
            self.dataset, self.stream = self, stream

        def collate_fn(self, x):
            return x

        def __iter__(self):
            return iter(self.stream)

    iterator = _SingleProcessDataLoaderIter(Loader(["a", "b"]))
    assert list(iterator) == ["a", "b"] and isinstance(iterator, _BaseDataLoaderIter)
    assert data.DataLoader([1])._dataset_kind == _DatasetKind.Map
    fetcher = _DatasetKind.create_fetcher(_DatasetKind.Map, [1, 2], True, sum, False)
    assert fetcher.fetch([0, 1]) == 3


def test_seeds_of_numpy_in_workers():
    from rushlight.utils.data.worker import _generate_state

    assert _generate_state(123, 1) == [3294636787, 2680389647, 2065414824, 2956203954]
