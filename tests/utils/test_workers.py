"""Worker processes: what travels, what they report, and in which order."""

import gc
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time

import numpy as np
import pytest
from processes import Calls, is_running, loader, pids

import rushlight as torch
from rushlight.utils import data
from rushlight.utils.data import transport, worker

METHODS = multiprocessing.get_all_start_methods()

pytestmark = [
    pytest.mark.usefixtures("no_process_is_left"),
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*This DataLoader will create:UserWarning"),
    pytest.mark.skipif("fork" not in METHODS, reason="the data sets here do what only forks can"),
]

# What travels -----------------------------------------------------------------------------


class Squares:
    """At the top level of a module, as a spawned worker needs it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.tensor([index, index**2])


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_start_a_worker(method):
    ways = {"fork": "fork", "spawn": multiprocessing.get_context("spawn")}
    context = ways.get(method, method)
    read = loader(Squares(), 1, batch_size=3, multiprocessing_context=context)
    assert [batch.tolist() for batch in read] == [[[0, 0], [1, 1], [2, 4]], [[3, 9]]]


def test_what_cannot_be_pickled_says_so_at_the_start():
    unpicklable = Calls(lambda index: index)
    with pytest.raises(Exception, match="pickle") as caught:
        iter(loader(unpicklable, multiprocessing_context="spawn"))
    assert "multiprocessing_context='fork'" in caught.value.__notes__[0]


@pytest.mark.parametrize("shared", [True, False])
def test_large_and_small_arrays_travel(monkeypatch, shared):
    if not shared:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    n = transport.LARGE + 1

    def sample(index):
        large = np.arange(n, dtype=np.float32) + index
        return {
            "large": torch.from_numpy(large),
            "wide": np.asfortranarray(np.full((2, n), index)),
            "small": torch.tensor([index]),
            "empty": torch.ones(0, 3),
            "half": torch.full((n,), index, dtype=torch.bfloat16),
            "text": "x" * n,
        }

    read = list(loader(Calls(sample), collate_fn=lambda batch: batch))
    assert len(read) == 6
    for index, batch in enumerate(read):
        assert batch["large"].shape == (n,) and batch["large"].dtype is torch.float32
        assert batch["large"][0] == index and batch["large"][-1] == index + n - 1
        if shared:
            starts = batch["large"].data_ptr(), batch["wide"].ctypes.data
            assert not any(start % transport.ALIGNMENT for start in starts)
        assert (batch["wide"] == index).all() and batch["wide"].flags.f_contiguous
        assert batch["small"].tolist() == [index] and batch["empty"].shape == (0, 3)
        assert batch["half"].dtype is torch.bfloat16 and batch["half"][-1] == index
        assert len(batch["text"]) == n
        batch["large"].add_(1)  # the memory is the batch's own
        batch["wide"][0, 0] = 7


def test_a_view_travels_without_the_tensor_it_looks_at():
    whole = torch.arange(100_000.0)
    dataset = data.TensorDataset(whole[:1000], whole.reshape(100, 1000).t())
    for index, (x, row) in enumerate(loader(dataset, sampler=range(3))):
        assert x == index and row.tolist() == whole[index::1000].tolist()
    packed, buffers = transport.pack(whole[5:7])
    assert len(packed) < 1000 and not buffers


def test_of_gradients_only_the_wish_travels():
    x = torch.ones(2, requires_grad=True)
    batches = iter(loader(Calls(lambda index: x if index % 2 == 0 else 2 * x), 1))
    assert next(batches).requires_grad
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*send x\.detach"):
        next(batches)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts by /proc")
def test_no_descriptor_and_no_mapping_is_left():
    def sample(index):
        return np.zeros(transport.LARGE), len(os.listdir("/proc/self/fd"))

    def read():
        opened = [count for _, count in loader(Calls(sample), 1, collate_fn=lambda x: x)]
        assert opened[1] == opened[-1]
        gc.collect()
        maps = pathlib.Path("/proc/self/maps").read_text()
        return len(os.listdir("/proc/self/fd")), maps.count("rushlight-batch")

    read()
    before = read()
    assert read() == before and before[1] == 0


def test_a_task_larger_than_a_pipe_never_blocks():
    # Each sends more than a pipe holds, both ways, before the other side reads.
    indices = [list(range(200_000))] * 4
    large = Calls(lambda index: "x" * 2_000_000)
    read = loader(large, 1, sampler=indices, prefetch_factor=4, timeout=30)
    batches = iter(read)
    assert [len(batch) for batch in batches] == [2_000_000] * 4


# What workers report ----------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class WithMessage(Exception):
    message = "of the class"

    def __init__(self, *, message):
        super().__init__(message)


def raising(error):
    def function(index):
        if index == 1:
            raise error
        return index

    return Calls(function, 4)


class Local(ValueError):
    pass


Local.__qualname__ = "raising.<locals>.Local"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("bad sample"), ValueError),
        (KeyError("bad sample"), KeyError),
        (TwoArguments("bad sample", 2), RuntimeError),
        (WithMessage(message="bad sample"), WithMessage),
        (Local("bad sample"), RuntimeError),
    ],
)
def test_errors_keep_their_type_and_traceback(error, kind):
    batches = iter(loader(raising(error)))
    assert next(batches) == 0
    with pytest.raises(kind) as caught:
        next(batches)
    assert type(caught.value) is kind
    name = type(error).__name__
    start = f"Caught {name} in DataLoader worker process 1.\nOriginal Traceback (most recent call"
    text = str(caught.value)
    assert text.startswith(start) and "bad sample" in text
    assert f'File "{__file__}"' in text and "raise error" in text
    assert list(batches) == [2, 3]  # as in PyTorch, the pass goes on


@pytest.mark.parametrize("persistent", [False, True])
def test_an_error_at_a_workers_start(persistent):
    def fail(worker_id):
        raise OSError(f"no disk for {worker_id}")

    read = loader(range(4), worker_init_fn=fail, persistent_workers=persistent)
    for _ in range(2):
        batches = iter(read)
        for worker_id in (0, 1, 0, 1):
            with pytest.raises(
                OSError, match=rf"(?s)process {worker_id}\..*no disk for {worker_id}"
            ):
                next(batches)


def test_a_result_that_cannot_be_pickled_is_an_error():
    batches = iter(loader(Calls(lambda index: threading.Lock()), 1))
    with pytest.raises(TypeError, match="Caught TypeError in DataLoader worker process 0"):
        next(batches)


@pytest.mark.parametrize(("number", "name"), [("SIGKILL", "Killed"), ("SIGTERM", "Terminated")])
def test_a_killed_worker_is_named(number, name):
    def sample(index):
        if index == 3:
            os.kill(os.getpid(), getattr(signal, number))
        return index

    batches = iter(loader(Calls(sample)))
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    pid = pids(batches)[1]
    with pytest.raises(RuntimeError, match=rf"\(pid {pid}\) is killed by signal: {name}.*1 of 2"):
        next(batches)
    assert not any(map(is_running, pids(batches)))
    with pytest.raises(RuntimeError, match="shut down"):
        next(batches)


def test_a_worker_that_exits_is_named():
    batches = iter(loader(Calls(lambda index: sys.exit(3)), 1, persistent_workers=True))
    with pytest.raises(RuntimeError, match=r"exited unexpectedly, with exit code 3.*worker 0 of 1"):
        next(batches)


def test_a_persistent_loader_replaces_lost_workers():
    read = loader(range(40), persistent_workers=True)
    batches = iter(read)
    os.kill(pids(batches)[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="Killed"):
        list(batches)
    assert list(read) == list(range(40))


def test_a_slow_worker_times_out_and_can_be_waited_for_again():
    batches = iter(loader(Calls(lambda index: time.sleep(0.3)), 1, timeout=0.05))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds.*worker 0"):
        next(batches)
    batches._timeout = 20
    assert next(batches) is None


def test_worker_info_and_init():
    seen = []

    def sample(index):
        info = data.get_worker_info()
        return seen, info.id, info.num_workers, info.dataset is dataset, info.seed

    dataset = Calls(sample, 2)
    torch.manual_seed(3)
    first, second = loader(dataset, worker_init_fn=seen.append)
    assert first[:4] == [[0], 0, 2, True] and second[:4] == [[1], 1, 2, True]
    assert second[4] == first[4] + 1
    assert data.get_worker_info() is None and seen == []
    with pytest.raises(AttributeError):
        worker.WorkerInfo(0, 1, 2, None).id = 3


# Order and reuse --------------------------------------------------------------------------


@pytest.mark.parametrize("in_order", [True, False])
def test_order(in_order, tmp_path):
    last = tmp_path / "last"  # is made with the last sample that the other worker gets meanwhile

    def sample(index):
        while index == 0 and not last.exists():
            time.sleep(0.01)
        if index == 0:
            time.sleep(0.3)  # until the other sample has been sent
        if index == (3 if in_order else 7):
            last.touch()
        return index

    found = list(loader(Calls(sample, 8), in_order=in_order))
    assert sorted(found) == list(range(8))
    assert (found == list(range(8))) is in_order
    assert in_order or found[-2:] == [0, 2]  # what the slow worker had been given


def test_persistent_workers_are_the_same_and_start_afresh():
    read = loader(Calls(lambda index: (index, os.getpid())), persistent_workers=True)
    batches = iter(read)
    assert next(batches)[0] == 0  # and leaves the rest under way
    for _ in range(2):
        assert iter(read) is batches
        assert [index for index, _ in batches] == [0, 1, 2, 3, 4, 5]
    assert {pid for _, pid in read} == set(pids(batches))
    assert all(map(is_running, pids(batches)))


def test_workers_that_end_early_leave_the_rest_to_the_others():
    class Uneven(data.IterableDataset):
        def __iter__(self):
            return iter([[0], [10, 11, 12, 13]][data.get_worker_info().id])

    for persistent in (False, True):
        read = loader(Uneven(), persistent_workers=persistent)
        assert list(read) == [0, 10, 11, 12, 13] == list(read)
