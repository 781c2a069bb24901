"""Checkpoints in PyTorch's format."""

import importlib
import os
import pickle
import warnings

import pytest

import rushlight as torch
import rushlight.distributed.checkpoint as dcp
from rushlight import nn
from rushlight.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp
from rushlight.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_state_dict,
)


def trained(torch, lr=0.1):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    model(torch.ones(2, 3)).pow(2).sum().backward()
    optimizer.step()
    return model, optimizer


def state(torch, model, optimizer):
    home = torch.distributed.checkpoint.state_dict
    m, o = home.get_state_dict(model, optimizer)
    half = torch.arange(3).to(torch.bfloat16)
    return {"model": m, "optim": o, "step": 5, "list": [1, torch.ones(2)], "half": half}


def test_a_state_comes_back(tmp_path):
    model, optimizer = trained(torch)
    found = dcp.save(state(torch, model, optimizer), checkpoint_id=tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".metadata", "__0_0.distcp"]
    assert {"model.0.weight", "optim.state.1.bias.exp_avg", "list.1"} < set(
        found.state_dict_metadata
    )
    other, second = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), None
    second = torch.optim.AdamW(other.parameters(), lr=0.7)
    into = {**state(torch, other, second), "step": 0, "list": [0, torch.zeros(2)]}
    dcp.load(into, checkpoint_id=tmp_path)
    set_state_dict(other, second, model_state_dict=into["model"], optim_state_dict=into["optim"])
    assert into["step"] == 5 and into["list"][0] == 1 and into["list"][1].tolist() == [1, 1]
    assert into["half"].tolist() == [0, 1, 2] and second.param_groups[0]["lr"] == 0.1
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(
        optimizer.state[model[0].bias]["exp_avg"], second.state[other[0].bias]["exp_avg"]
    )


def test_objects_are_given_their_states(tmp_path):
    class Steps:
        n = 3

        def state_dict(self):
            return {"n": self.n}

        def load_state_dict(self, state):
            self.n = state["n"]

    dcp.async_save({"steps": Steps(), "model": nn.Linear(2, 1)}, checkpoint_id=tmp_path).result()
    steps = Steps()
    steps.n = 0
    dcp.load({"steps": steps}, checkpoint_id=tmp_path)
    assert steps.n == 3


def test_what_does_not_fit_is_named(tmp_path):
    dcp.save({"x": torch.ones(3)}, checkpoint_id=tmp_path)
    for wrong, text in (
        ({"y": torch.ones(3)}, "Missing key"),
        ({"x": torch.ones(2)}, "Size mismatch"),
    ):
        with pytest.raises(dcp.CheckpointException, match=text):
            dcp.load(wrong, checkpoint_id=tmp_path)
    with pytest.raises(dcp.CheckpointException, match="No such file"):
        dcp.load({"x": torch.ones(3)}, checkpoint_id=tmp_path / "none")


def test_metadata_cannot_run_code_or_leave_the_folder(tmp_path):
    found = dcp.save({"x": torch.ones(3)}, checkpoint_id=tmp_path / "a")
    (tmp_path / "a" / ".metadata").write_bytes(pickle.dumps(os.system))
    with pytest.raises(dcp.CheckpointException, match="which no checkpoint has"):
        dcp.load({"x": torch.ones(3)}, checkpoint_id=tmp_path / "a")
    reader = dcp.FileSystemReader(tmp_path / "a")
    with pytest.raises(RuntimeError, match="is not in the folder"):
        reader._inside("../b")
    assert found.version == "1.0.0"


def test_files_of_torch_save(tmp_path):
    dcp.save({"a": {"b": torch.ones(2)}, "n": 1}, checkpoint_id=tmp_path / "c")
    dcp_to_torch_save(tmp_path / "c", tmp_path / "x.pt")
    found = torch.load(tmp_path / "x.pt")
    assert found["a"]["b"].tolist() == [1, 1] and found["n"] == 1
    torch_save_to_dcp(tmp_path / "x.pt", tmp_path / "d")
    assert dcp.FileSystemReader(tmp_path / "d").read_metadata().state_dict_metadata.keys() == {
        "a.b",
        "n",
    }


def test_flat_states_of_optimizers():
    model, optimizer = trained(torch)
    flat = get_optimizer_state_dict(
        model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True)
    )
    assert flat["param_groups.0.weight.lr"] == 0.1 and "state.1.bias.exp_avg_sq" in flat
    fresh, other = trained(torch, lr=0.5)
    set_state_dict(
        fresh, other, model_state_dict=get_state_dict(model, optimizer)[0], optim_state_dict=flat
    )
    assert other.param_groups[0]["lr"] == 0.1


@pytest.mark.parity
def test_pytorch_reads_and_writes_the_same_files(tmp_path):
    pytorch = pytest.importorskip("torch")
    importlib.import_module("torch.distributed.checkpoint.state_dict")
    for number, (writer, reader) in enumerate([(torch, pytorch), (pytorch, torch)]):
        folder = tmp_path / str(number)
        source = state(writer, *trained(writer))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            writer.distributed.checkpoint.save(source, checkpoint_id=folder)
            into = state(reader, *trained(reader, lr=0.9))
            for tensor in into["model"].values():
                tensor.zero_()
            reader.distributed.checkpoint.load(into, checkpoint_id=folder)
        for name, tensor in source["model"].items():
            assert tensor.tolist() == into["model"][name].tolist()
        assert into["optim"]["param_groups"] == source["optim"]["param_groups"]
        assert into["half"].tolist() == [0, 1, 2] and into["step"] == 5
