"""Pickles of objects other than tensors in both directions, plain pickles, and load's switches."""

import io
import os
import pickle
import sys
from pathlib import Path

import pytest

import rushlight
from tests import processes

ROOT = Path(__file__).resolve().parents[2]


def saved(torch, value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def under_run(folder, program, *arguments):
    """Run ``program`` with rushlight as torch; return what it prints."""
    script = folder / "reads.py"
    script.write_text(program, encoding="utf-8")
    done = processes.run(
        [sys.executable, "-m", "rushlight", "run", str(script), *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# Switches of the environment --------------------------------------------------------------

ONLY, NOT_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def test_the_environment_forces_weights_only(monkeypatch):
    file = saved(rushlight, rushlight.nn.Linear(1, 1))
    monkeypatch.setenv(ONLY, "1")
    with pytest.raises(
        pickle.UnpicklingError, match=r"Unsupported global: GLOBAL \S+Linear was not"
    ):
        rushlight.load(file, weights_only=False)
    with pytest.raises(RuntimeError, match="pickle_module"):
        rushlight.load(file, pickle_module=pickle)
    monkeypatch.setenv(NOT_ONLY, "yes")
    with pytest.raises(RuntimeError, match="both were set"):
        rushlight.load(file)


def test_the_environment_changes_the_default_of_weights_only(monkeypatch):
    file = saved(rushlight, rushlight.nn.Linear(1, 1))
    monkeypatch.setenv(NOT_ONLY, "true")
    with pytest.warns(UserWarning, match="NO_WEIGHTS_ONLY_LOAD detected") as caught:
        assert type(rushlight.load(file)) is rushlight.nn.Linear
    assert caught[0].filename == __file__
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        rushlight.load(file, weights_only=True)


# Several archives in one file -------------------------------------------------------------


def test_several_saves_in_one_file(tmp_path):
    def written(*values):
        file = io.BytesIO()
        starts = [file.tell() for value in values if rushlight.save(value, file) is None]
        return file, starts

    file, ends = written(1, 2, 3)
    path = tmp_path / "three.pt"
    path.write_bytes(file.getvalue())
    file.seek(0)
    assert rushlight.load(file) == rushlight.load(path) == 1
    file.seek(ends[1])
    assert rushlight.load(file) == 3
    for values in ((1, list(range(200))), (list(range(200)), 2)):
        file, ends = written(*values)
        file.seek(0)
        with pytest.raises(RuntimeError, match="archive begins at byte"):
            rushlight.load(file)
        file.seek(ends[0])
        assert rushlight.load(file) == values[1]


def test_memory_of_no_bytes_has_several_dtypes():
    x = rushlight.zeros(0, 2)
    assert x.untyped_storage().nbytes() == x.data_ptr() == 0
    file = io.BytesIO()
    rushlight.save((x, x.view(rushlight.uint8)), file)
    file.seek(0)
    assert [(t.dtype, tuple(t.shape)) for t in rushlight.load(file)] == [
        (rushlight.float32, (0, 2)), (rushlight.uint8, (0, 8))
    ]  # fmt: skip


# Objects with names of functions ----------------------------------------------------------


def schedulers(torch):
    """Pairs of an optimizer and a scheduler whose curve is a function of the scheduler's class."""
    S = torch.optim.lr_scheduler
    made = [
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=2),
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=2, mode="triangular2"),
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=2, mode="exp_range", gamma=0.9),
        lambda o: torch.optim.swa_utils.SWALR(o, 0.05, 3),
        lambda o: torch.optim.swa_utils.SWALR(o, 0.05, 3, anneal_strategy="linear"),
    ]
    pairs = []
    for make in made:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
        pairs.append((optimizer, make(optimizer)))
    return pairs


def rates(pairs):
    found = []
    for optimizer, scheduler in pairs:
        for _ in range(5):
            optimizer.step()
            scheduler.step()
            found.append(scheduler.get_last_lr()[0])
    return found


@pytest.mark.filterwarnings("ignore:Seems like")
def test_schedulers_in_both_directions():
    torch = pytest.importorskip("torch")
    expected = rates(schedulers(torch))
    for writer, reader in ((torch, rushlight), (rushlight, torch), (rushlight, rushlight)):
        found = reader.load(saved(writer, schedulers(writer)), weights_only=False)
        assert rates(found) == pytest.approx(expected)


def test_state_dicts_of_swalr_hold_no_function():
    _, scheduler = schedulers(rushlight)[-1]
    state = scheduler.state_dict()
    assert "anneal_func" not in state
    other = schedulers(rushlight)[-2][1]
    other.load_state_dict(state)
    assert other.anneal_func(0.25) == 0.25


def test_generators_in_both_directions():
    torch = pytest.importorskip("torch")
    for writer, reader in ((torch, rushlight), (rushlight, torch), (rushlight, rushlight)):
        generator = writer.Generator().manual_seed(5)
        writer.rand(3, generator=generator)
        found = reader.load(saved(writer, generator), weights_only=False)
        assert found.initial_seed() == 5
        drawn = reader.rand(20, generator=found).tolist()
        assert drawn == writer.rand(20, generator=generator).tolist()
    assert pickle.loads(pickle.dumps(found)).get_state().equal(found.get_state())


def test_functions_inside_of_functions_are_not_saved():
    inner = rushlight.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    with pytest.raises(pickle.PicklingError, match="local object"):
        rushlight.save(inner, io.BytesIO())


# Plain pickles ----------------------------------------------------------------------------


def things(torch):
    x = torch.arange(4.0)
    marked = torch.ones(2)
    marked.note = "kept"
    layer = torch.nn.Linear(2, 1)
    torch.nn.init.ones_(layer.weight)
    return {
        "tensor": x, "view": x[1:].view(3, 1), "marked": marked, "parameter": torch.nn.Parameter(x),
        "uint16": torch.ones(2, dtype=torch.uint16), "sparse": torch.eye(2).to_sparse(),
        "dtype": torch.float32, "size": torch.Size([2]), "device": torch.device("cpu"),
        "layer": layer, "storage": x.storage(), "relu": torch.relu,
        "generator": torch.Generator().manual_seed(1),
        "jagged": torch.nested.nested_tensor([x, x[1:]], layout=torch.jagged),
    }  # fmt: skip


READS = """
import pickle, sys, torch

found = pickle.load(open(sys.argv[1], "rb"))
assert found["tensor"].tolist() == found["parameter"].tolist() == [0, 1, 2, 3]
assert found["view"].tolist() == [[1], [2], [3]] and found["marked"].note == "kept"
assert found["uint16"].dtype is torch.uint16 and found["sparse"].to_dense().equal(torch.eye(2))
assert found["dtype"] is torch.float32 and found["size"] == (2,)
assert found["layer"].weight.tolist() == [[1, 1]] and found["storage"].tolist() == [0, 1, 2, 3]
assert found["relu"](torch.tensor(-1)) == 0 and found["generator"].initial_seed() == 1
assert [len(t) for t in found["jagged"].unbind()] == [4, 3] and found["device"].type == "cpu"
"""


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_plain_pickles_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    with open(tmp_path / "things.pkl", "wb") as file:
        pickle.dump(things(torch), file)
    under_run(tmp_path, READS, tmp_path / "things.pkl")


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_plain_pickles_of_rushlight(protocol):
    found = pickle.loads(pickle.dumps(things(rushlight), protocol))
    assert found["dtype"] is rushlight.float32 and found["storage"].tolist() == [0, 1, 2, 3]
    first, rest = pickle.loads(pickle.dumps((found["tensor"], found["tensor"][1:]), protocol))
    assert rest.data_ptr() == first.data_ptr() + 4
    memory = first.untyped_storage()
    assert pickle.loads(pickle.dumps(memory)).tolist() == memory.tolist()


# The device meta --------------------------------------------------------------------------


@pytest.mark.parametrize("weights_only", [True, False])
def test_sparse_and_jagged_tensors_are_loaded_without_memory(weights_only):
    x = rushlight.eye(4)
    jagged = rushlight.nested.nested_tensor([x[0], x[0, :2]], layout=rushlight.jagged)
    blocks = x.to_sparse_bsr((2, 2))
    for t in (x.to_sparse(), x.to_sparse_csr(), x.to_sparse_csc(), blocks, jagged):
        found = rushlight.load(saved(rushlight, t), "meta", weights_only=weights_only)
        assert found.is_meta and found.layout is t.layout and found.values().is_meta
        assert len(found.shape) == len(t.shape) and found.values().shape == t.values().shape
    coo = rushlight.load(saved(rushlight, x.to_sparse()), "meta", weights_only=weights_only)
    assert str(coo) == (
        "tensor(indices=tensor(..., size=(2, 4)),\n       values=tensor(..., size=(4,)),\n"
        "       device='meta', size=(4, 4), layout=torch.sparse_coo)"
    )
