"""Whole files at every moment: the writing process is killed, and the old or the new file is there."""

import multiprocessing
import os
import random
import time

import pytest

import rushlight as torch
from rushlight.serialization import atomic, safetensors, sharded
from rushlight.utils.training_state import TrainingState

pytestmark = [
    pytest.mark.skipif(
        "fork" not in multiprocessing.get_all_start_methods(), reason="kills processes by the dozen"
    ),
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
ELEMENTS = 100_000


def tensors(n):
    return {name: torch.full((ELEMENTS,), n, dtype=torch.int32) for name in ("a", "b", "c")}


def training(n):
    return TrainingState(
        model=torch.nn.Linear(300, 300).requires_grad_(False), step=n, **tensors(n)
    )


def of_training(folder):
    state = training(-1)
    state.load(folder / "x")
    assert state.a[0] == state.step
    return {name: getattr(state, name) for name in "abc"}


WRITERS = {
    "torch.save": (
        lambda n, folder: torch.save(tensors(n), folder / "x"), lambda folder: torch.load(folder / "x"),
    ),
    "safetensors": (
        lambda n, folder: safetensors.save_file(tensors(n), folder / "x"),
        lambda folder: safetensors.load_file(folder / "x"),
    ),
    "sharded": (
        lambda n, folder: sharded.save_sharded(tensors(n), folder, max_shard_size=(1, 10**9)[n % 2]),
        sharded.load_sharded,
    ),
    "TrainingState": (lambda n, folder: training(n).save(folder / "x"), of_training),
}  # fmt: skip


def write_on(kind, folder, n):
    while True:
        WRITERS[kind][0](n, folder)
        n += 1


def kill(kind, folder, times, seed):
    """Kill the writer that many times, at random instants; how often it got further."""
    draw = random.Random(seed)
    write, read = WRITERS[kind]
    write(0, folder)
    last = moved = 0
    for _ in range(times):
        process = multiprocessing.get_context("fork").Process(
            target=write_on, args=(kind, folder, last + 1)
        )
        process.start()
        time.sleep(draw.uniform(0, 0.08))
        process.kill()
        process.join()
        found = read(folder)
        values = {int(v) for t in found.values() for v in (t.min(), t.max())}
        assert len(values) == 1 and found.keys() == tensors(0).keys()
        assert all(len(t) == ELEMENTS for t in found.values())
        (now,) = values
        assert now >= last
        moved += now > last
        last = now
    return moved


@pytest.mark.parametrize("kind", WRITERS)
def test_killed_at_a_few_instants(kind, tmp_path):
    assert kill(kind, tmp_path, 5, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_killed_at_200_instants(kind, tmp_path):
    assert kill(kind, tmp_path, 200, 1)


def test_a_write_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "x"
    safetensors.save_file({"x": torch.ones(1)}, path)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), atomic.replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            with pytest.raises(OSError, match="No space"):
                safetensors.save_file({"x": torch.zeros(1)}, path)
            with pytest.raises(OSError, match="No space"):
                torch.save(1, path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_folders_that_cannot_be_opened_are_no_reason_to_fail(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "as on Windows")

    monkeypatch.setattr(os, "open", refuse)
    with atomic.replacing(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
