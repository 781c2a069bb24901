"""torch.multiprocessing: tensors between processes, memory that they share, and spawn."""

import gc
import multiprocessing
import os
import signal
import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight import multiprocessing as mp
from rushlight.multiprocessing import sharing
from tests import processes

METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]
# A new Python for each process: one test of them is enough for every day.
RATHER_FORK = (
    ["fork", pytest.param("spawn", marks=pytest.mark.slow)] if "fork" in METHODS else METHODS
)
pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


def double(source, target):
    for x in iter(source.get, None):
        target.put(x * 2)
    target.put(torch.nn.Parameter(torch.ones(2)))


@pytest.mark.parametrize("method", METHODS)
def test_queues_of_tensors(method):
    context = mp.get_context(method)
    source, target = context.Queue(), context.Queue()
    process = context.Process(target=double, args=(source, target))
    process.start()
    sent = [
        torch.ones(2, 3),
        torch.arange(4)[1:].to(torch.bfloat16),
        torch.ones(0, 2),
        torch.tensor(1j),
    ]
    for x in [*sent, None]:
        source.put(x)
    for x in sent:
        found = target.get(timeout=30)
        assert found.dtype is x.dtype and found.tolist() == (x * 2).tolist()
    last = target.get(timeout=30)
    assert type(last) is torch.nn.Parameter and last.requires_grad
    process.join(30)
    assert process.exitcode == 0


def add_one(x, done):
    x.add_(1)
    done.get()


@pytest.mark.parametrize("method", RATHER_FORK)
def test_shared_memory(method):
    context = mp.get_context(method)
    whole = torch.arange(6.0)
    shared = whole[1:5].reshape(2, 2).t().share_memory_()
    assert shared.is_shared() and not whole.is_shared() and shared.tolist() == [[1, 3], [2, 4]]
    alone, viewed = torch.zeros(2), torch.zeros(3)
    view = viewed[:2]
    queue = context.Queue()
    given = shared, alone, view
    processes = [context.Process(target=add_one, args=(x, queue)) for x in given]
    for process in processes:
        process.start()
        queue.put(None)
    for process in processes:
        process.join(30)
    assert shared.tolist() == [[2, 4], [3, 5]] and viewed.tolist() == [0, 0, 0]
    assert alone.tolist() == [method != "fork"] * 2  # a forked process has a copy
    assert whole.tolist() == [0, 1, 2, 3, 4, 5]


def give_back(source, target):
    x = source.get()
    x[0] = 7
    assert x.is_shared()
    target.put([x, x])
    source.get()  # a handle is asked for while its sender lives


@pytest.mark.parametrize("method", RATHER_FORK)
def test_shared_memory_through_a_queue(method):
    context = mp.get_context(method)
    source, target = context.Queue(), context.Queue()
    process = context.Process(target=give_back, args=(source, target))
    process.start()
    x = torch.zeros(3).share_memory_()
    source.put(x)
    first, second = target.get(timeout=30)
    assert x[0] == 7 and first is second
    first[1] = 8
    assert x.tolist() == [7, 8, 0]
    source.put(None)
    process.join(30)
    assert process.exitcode == 0


def train(index, model, steps):
    torch.manual_seed(index)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.rand(4, 2)
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("method", RATHER_FORK)
def test_processes_train_one_model(method):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1).share_memory()
    before = model.weight.tolist()
    x = torch.rand(8, 2)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean().item()
    mp.start_processes(train, (model, 100), nprocs=2, start_method=method)
    assert model.weight.tolist() != before and model.weight.is_shared()
    assert (model(x) - x.sum(1, keepdim=True)).square().mean().item() < loss / 2


def fail(index, how):
    if index == 1 and how == "raise":
        raise ValueError("no good")
    if index == 1 and how == "exit":
        os._exit(3)
    if index == 1 and how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "work":
        return
    signal.pause()


@pytest.mark.skipif(not hasattr(signal, "pause"), reason="waits for a signal")
def test_errors_come_back():
    start = mp.start_processes
    with pytest.raises(mp.ProcessRaisedException, match="no good") as caught:
        start(fail, ("raise",), 2, start_method="fork")
    assert caught.value.error_index == 1 and "line" in caught.value.msg
    with pytest.raises(mp.ProcessExitedException, match="exit code 3") as caught:
        start(fail, ("exit",), 2, start_method="fork")
    assert caught.value.exit_code == 3 and caught.value.signal_name is None
    with pytest.raises(mp.ProcessExitedException, match="signal SIGKILL") as caught:
        start(fail, ("kill",), 2, start_method="fork")
    assert caught.value.signal_name == "SIGKILL" and caught.value.exit_code == -9
    assert multiprocessing.active_children() == []
    context = start(fail, ("work",), 3, join=False, start_method="fork")
    assert len(context.pids()) == 3
    while not context.join(timeout=30):
        pass
    assert context.join() is True and not any(map(os.path.exists, context.error_files))


def test_what_cannot_travel():
    x = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"\(2,\) was computed with gradients"):
        multiprocessing.reduction.ForkingPickler.dumps(x)


def test_strategies():
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy("file_system")
    assert mp.get_sharing_strategy() == "file_system"
    mp.set_sharing_strategy("file_descriptor")
    with pytest.raises(AssertionError, match="none of"):
        mp.set_sharing_strategy("x")


@pytest.mark.parity
def test_the_names_are_pytorchs():
    theirs = pytest.importorskip("torch.multiprocessing")
    assert set(theirs.__all__) <= set(dir(mp))
    names = {
        n
        for n in dir(theirs)
        if n[0] != "_" and n[0].isupper() and "multiprocessing" in str(getattr(theirs, n))
    }
    assert {n for n in names if not hasattr(mp, n)} == set()


PROGRAM = """
import torch
import torch.multiprocessing as mp

def work(rank, total, plain, queue):
    total += rank + 1
    plain += rank + 1
    queue.put((rank, torch.full((2,), rank).tolist()))

if __name__ == "__main__":
    total, plain = torch.zeros(1).share_memory_(), torch.zeros(2, 2)
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(work, args=(total, plain, queue), nprocs=2)
    print(total.item(), plain.tolist(), sorted([queue.get(), queue.get()]))
"""


@pytest.mark.parametrize(
    "command",
    [["-m", "rushlight", "run"], pytest.param([], marks=[pytest.mark.parity, pytest.mark.slow])],
)
def test_the_same_program_under_both(tmp_path, command):
    if not command:
        pytest.importorskip("torch")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = processes.run([sys.executable, *command, str(script)], capture_output=True, text=True)
    assert done.stdout == "3.0 [[3.0, 3.0], [3.0, 3.0]] [(0, [0, 0]), (1, [1, 1])]\n", done.stderr


def test_only_memory_that_nothing_else_uses_may_move():
    x, viewed, saved = torch.ones(3), torch.ones(3), torch.ones(3, requires_grad=True)
    view, product = viewed[1:], saved * saved
    assert sharing._is_alone(x) and sharing._is_alone(torch.nn.Linear(1, 1).weight)
    assert not any(map(sharing._is_alone, (viewed, view, saved, x.detach(), x)))
    x = torch.ones(3)
    array = x.numpy()
    assert not sharing._is_alone(x) and not sharing._is_alone(torch.from_numpy(array))
    assert product.sum() + view.sum() == 5


def test_many_blocks_leave_no_descriptors():
    folder = "/proc/self/fd"
    if not os.path.exists(folder):
        pytest.skip("Linux lists a process's descriptors")
    gc.collect()  # what other tests left is gone now, not in between
    before = len(os.listdir(folder))
    for _ in range(50):
        x = torch.ones(5).share_memory_()
        assert np.asarray(x.numpy()).sum() == 5
    del x
    assert len(os.listdir(folder)) == before
