"""Whole files at every moment: the writing process is killed, and the old or the new file is there."""

import json
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
    """Kill the writer that many times, at random instants; how often it got further.

    On a machine with much to do the writer may get nowhere in the time that one write takes. Then
    it is given more.
    """
    draw = random.Random(seed)
    write, read = WRITERS[kind]
    begin = time.monotonic()
    write(0, folder)
    usual = longest = 0.05 + 4 * (time.monotonic() - begin)
    last = moved = 0
    for _ in range(times):
        process = multiprocessing.get_context("fork").Process(
            target=write_on, args=(kind, folder, last + 1)
        )
        process.start()
        time.sleep(draw.uniform(0, longest))
        process.kill()
        process.join()
        found = read(folder)
        values = {int(v) for t in found.values() for v in (t.min(), t.max())}
        assert len(values) == 1 and found.keys() == tensors(0).keys()
        assert all(len(t) == ELEMENTS for t in found.values())
        (now,) = values
        assert now >= last
        longest = usual if now > last else min(2 * longest, 5)
        moved += now > last
        last = now
    write(last + 1, folder)  # finds what the killed ones left, and deletes it
    assert not left_in(folder)
    return moved


def left_in(folder):
    """Files in ``folder`` that belong to no checkpoint."""
    names = {path.name for path in folder.iterdir()}
    index = folder / "model.safetensors.index.json"
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else set()
    return names - shards - {"x", "model.safetensors", index.name}


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
    def refuse(path, *arguments):
        if os.path.isdir(path):
            raise PermissionError(13, "as on Windows")
        return opened(path, *arguments)

    opened = os.open
    monkeypatch.setattr(os, "open", refuse)
    with atomic.replacing(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


# Temporary files --------------------------------------------------------------------------

POSIX = pytest.mark.skipif(not hasattr(os, "fchmod"), reason="permissions and locks of POSIX")


def temporary_in(folder):
    return [path for path in folder.iterdir() if path.suffix == ".tmp"]


@POSIX
def test_what_live_writers_write_stays_and_what_dead_ones_left_goes(tmp_path):
    left = tmp_path / f".rushlight-{atomic._system()}-0123.tmp"
    left.write_bytes(b"half")
    with atomic.replacing(tmp_path / "x") as outer:
        assert not left.exists()
        outer.write(b"outer")
        torch.save(1, tmp_path / "y")  # in this process
        pid = os.fork()
        if pid == 0:  # and in another
            torch.save(2, tmp_path / "z")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert len(temporary_in(tmp_path)) == 1
    assert sorted(os.listdir(tmp_path)) == ["x", "y", "z"]


@POSIX
def test_other_systems_files_are_deleted_when_they_are_old(tmp_path):
    foreign = tmp_path / ".rushlight-0123456789ab-0123.tmp"
    foreign.write_bytes(b"half")
    torch.save(1, tmp_path / "x")
    assert foreign.exists()
    os.utime(foreign, (time.time() - 90_000,) * 2)
    torch.save(1, tmp_path / "x")
    assert not foreign.exists()


@POSIX
def test_what_only_looks_like_a_temporary_file_stays(tmp_path):
    names = [
        ".tmp",
        "x.tmp",
        ".rushlight-x",
        f"rushlight-{atomic._system()}-1.tmp",
        ".0123456789abcdef.tmp",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    ours = f".rushlight-{atomic._system()}-"
    (tmp_path / f"{ours}1.tmp").symlink_to(tmp_path / "x.tmp")
    (tmp_path / f"{ours}2.tmp").mkdir()
    os.mkfifo(tmp_path / f"{ours}3.tmp")
    torch.save(1, tmp_path / "saved")
    assert len(os.listdir(tmp_path)) == len(names) + 4


@POSIX
@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o664, 0o444])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_from_the_start(tmp_path, monkeypatch, mode, umask):
    path = tmp_path / "x"
    before = os.umask(umask)
    try:
        if mode is not None:
            path.write_bytes(b"old")
            path.chmod(mode)
        wanted = 0o666 & ~umask if mode is None else mode
        opened, seen = os.open, []

        def noted(name, flags, *mode):
            descriptor = opened(name, flags, *mode)
            seen.append(os.fstat(descriptor).st_mode & 0o777 if flags & os.O_CREAT else 0)
            return descriptor

        monkeypatch.setattr(os, "open", noted)
        if mode != 0o444 or os.access(path, os.W_OK):  # else it is refused
            with atomic.replacing(path) as file:
                assert os.fstat(file.fileno()).st_mode & 0o777 == wanted
            assert all(found & ~wanted == 0 for found in seen)  # at no moment more
            assert path.stat().st_mode & 0o777 == wanted
    finally:
        os.umask(before)


@POSIX
def test_a_sweep_between_the_making_and_the_locking_of_a_file(tmp_path, monkeypatch):
    lock, swept = atomic.fcntl.flock, []

    def late(descriptor, how):
        if not swept:
            swept.append(1)
            atomic.sweep(tmp_path)
        lock(descriptor, how)

    monkeypatch.setattr(atomic.fcntl, "flock", late)
    torch.save(5, tmp_path / "x")
    assert swept and torch.load(tmp_path / "x") == 5 and os.listdir(tmp_path) == ["x"]
