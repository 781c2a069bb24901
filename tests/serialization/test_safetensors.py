"""Safetensors and sharded checkpoints, against the package of that name."""

import contextlib
import json
import os
import struct
import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.serialization import safetensors, sharded
from tests import processes

DTYPES = (
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64",
)  # fmt: skip


def tensors(torch):
    every = {d: torch.tensor([[0, 1, 1]]).to(getattr(torch, d)) for d in DTYPES}
    return {**every, "0-dim": torch.tensor(2.5), "empty": torch.ones(0, 3), "é": torch.ones(1)}


def facts(tensors):
    return {
        name: (str(t.dtype), tuple(t.shape), t.requires_grad, t.tolist())
        for name, t in tensors.items()
    }


@pytest.mark.parity
@pytest.mark.parametrize("mapped", [True, False])
def test_files_pass_between_the_packages(tmp_path, mapped):
    theirs = pytest.importorskip("torch")
    st = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    notes = {"format": "pt", "b": "ü"}
    st.save_file(tensors(theirs), path, notes)
    assert facts(safetensors.load_file(path, mmap=mapped)) == facts(tensors(theirs))
    assert safetensors.metadata(path) == notes
    written = path.read_bytes()
    safetensors.save_file(tensors(torch), path, notes)
    assert facts(st.load_file(path)) == facts(tensors(theirs))
    one = {"format": "pt"}  # of several, theirs are in no fixed order
    assert safetensors.save(tensors(torch), one) == st.save(tensors(theirs), one)
    assert facts(safetensors.load(written)) == facts(tensors(theirs))


def test_round_trip_without_the_package(tmp_path):
    path = tmp_path / "x.safetensors"
    made = tensors(torch)
    made["leaf"] = torch.ones(2, requires_grad=True)
    safetensors.save_file(made, path)
    made["leaf"] = made["leaf"].detach()
    for mapped in (True, False):
        found = safetensors.load_file(path, mmap=mapped)
        assert facts(found) == facts(made)
        found["float32"].add_(1)  # the memory is its own
        assert found["float32"].untyped_storage().nbytes() == 12
    assert facts(safetensors.load(safetensors.save(made))) == facts(made)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def tied(torch):
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    return model


@pytest.mark.parity
def test_models_that_share_weights(tmp_path):
    theirs = pytest.importorskip("torch")
    st = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    for package, save, load in ((torch, safetensors, st), (theirs, st, safetensors)):
        model = tied(package)
        with pytest.raises(RuntimeError, match="share memory"):
            save.save_file(model.state_dict(), path)
        save.save_model(model, path)
        assert safetensors.metadata(path) == {"b.weight": "a.weight"}
        other = tied(theirs if package is torch else torch)
        missing, unexpected = load.load_model(other, path)
        assert set(missing) == set() and list(unexpected) == []
        for name, t in model.state_dict().items():
            assert other.state_dict()[name].tolist() == t.tolist()


def test_models_that_do_not_fit(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.save_model(torch.nn.Linear(2, 2), path)
    with pytest.raises(RuntimeError, match=r"missing.*0\.bias.*unexpected.*weight"):
        safetensors.load_model(torch.nn.Sequential(torch.nn.Linear(2, 2)), path)
    loose = torch.nn.Linear(2, 2, bias=False)
    assert safetensors.load_model(loose, path, strict=False) == (set(), ["bias"])
    whole = torch.arange(6.0)
    parts = torch.nn.ParameterList([whole[:4], whole[2:]])
    with pytest.raises(RuntimeError, match="none of them is all of it"):
        safetensors.save_model(parts, path)
    safetensors.save_file({"a": whole[:3], "b": whole[3:]}, path)  # beside each other
    assert safetensors.load_file(path)["b"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    "made, error, text",
    [
        ([torch.ones(1)], ValueError, "dict"),
        ({"x": 1}, ValueError, "'x' is not a tensor"),
        ({"x": torch.ones(2, 3).t()}, ValueError, "contiguous"),
        ({"x": torch.ones(2, dtype=torch.complex128)}, ValueError, "complex128"),
    ],
)
def test_what_cannot_be_written(made, error, text, tmp_path):
    with pytest.raises(error, match=text):
        safetensors.save_file(made, tmp_path / "x")
    with pytest.raises(TypeError, match="texts"):
        safetensors.save({}, {"a": 1})
    assert not list(tmp_path.iterdir())


def file(header, data=b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    "nothing": b"",
    "half a length": b"\1\0",
    "a length beyond the file": struct.pack("<Q", 1 << 60) + b"{}",
    "no JSON": file(b"{x", b""),
    "a list": file([], b""),
    "deep": file(b"[" * 50_000, b""),
    "another type": file({"x": entry("F4", (8,))}),
    "another shape": file({"x": entry(shape=(3,))}),
    "a negative shape": file({"x": entry(shape=(-1, -2))}),
    "a huge shape": file({"x": entry(shape=(1 << 40, 0, 1 << 40), offsets=(0, 8))}),
    "beyond the end": file({"x": entry(shape=(4,), offsets=(0, 16))}),
    "before the start": file({"x": entry(offsets=(-8, 0))}),
    "a hole": file({"x": entry(shape=(1,), offsets=(4, 8))}),
    "bytes too many": file({"x": entry(shape=(1,), offsets=(0, 4))}),
    "overlapping": file({"x": entry(), "y": entry(shape=(1,), offsets=(4, 8))}),
    "twice": file(b'{"x":' + b",".join([json.dumps(entry()).encode()] * 2).replace(b",{", b',"x":{') + b"}"),
    "other facts": file({"x": {**entry(), "more": 1}}),
    "no facts": file({"x": {}}),
    "a fraction": file({"x": entry(shape=(2.0,))}),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files(kind, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(DAMAGED[kind])
    for read in (lambda: safetensors.load(DAMAGED[kind]), lambda: safetensors.load_file(path),
                 lambda: safetensors.load_file(path, mmap=True)):  # fmt: skip
        with pytest.raises(RuntimeError, match="damaged, or not safetensors"):
            read()


def test_mutated_files_load_or_are_refused():
    whole = safetensors.save({"x": torch.arange(3), "y": torch.ones(2)}, {"a": "b"})
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        data[generator.integers(len(data))] = generator.integers(256)
        try:
            safetensors.load(data)
        except RuntimeError:
            refused += 1
    assert refused > 100


PROGRAM = """
import os, sys
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model

assert hasattr(torch, "__rushlight__")
path = os.path.join(sys.argv[1], "x.safetensors")
names = [n for n in "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split()]
made = {n: torch.tensor([[0, 1, 1]]).to(getattr(torch, n)) for n in names}
made["0-dim"], made["empty"] = torch.tensor(2.5), torch.ones(0, 3)
save_file(made, path, metadata={"format": "pt"})
for found in (load_file(path), load_file(path, backend="pread"), load(save(made))):
    assert found.keys() == made.keys()
    for name, t in found.items():
        assert type(t) is torch.Tensor and t.dtype == made[name].dtype and torch.equal(t, made[name])
with safe_open(path, framework="pt", device="cpu") as file:
    assert file.metadata() == {"format": "pt"} and "int8" in file.keys()
    assert file.get_slice("float32")[:, 1:].tolist() == [[1, 1]]
model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
save_model(model, path)
load_model(other, path)
assert torch.equal(model.weight, other.weight)
tied = torch.nn.Sequential(model, model)
save_model(tied, path)
assert load_model(torch.nn.Sequential(other, other), path) == (set(), [])
print("done")
"""


def test_the_package_itself_runs_on_rushlight(tmp_path):
    pytest.importorskip("safetensors")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = [sys.executable, "-m", "rushlight", "run", str(script), str(tmp_path)]
    done = processes.run(command, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


# In several files -------------------------------------------------------------------------


def checkpoint(value, n=6):
    return {f"layer.{i}": torch.full((4,), float(value + i)) for i in range(n)}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("mapped", [True, False])
def test_sharded_checkpoints_replace_each_other(tmp_path, name, mapped):
    stages = ((16, 6), (48, 2), (10**6, 1), ("0.1KB", 0), ("96B", 1), (32, 3), (32, 3), (1, 6))
    for step, (size, count) in enumerate(stages):
        if not count:
            with pytest.raises(ValueError, match="no size"):
                sharded.save_sharded(checkpoint(step), tmp_path, name=name, max_shard_size=size)
            continue
        made = checkpoint(step)
        path = sharded.save_sharded(made, tmp_path, name=name, max_shard_size=size)
        for place in (tmp_path, path):
            assert facts(sharded.load_sharded(place, mmap=mapped)) == facts(made)
        assert len(list(tmp_path.iterdir())) == count + (count > 1)
        if count > 1:
            index = json.loads(path.read_text())
            assert index["metadata"] == {"total_size": 96}
            assert index["weight_map"].keys() == made.keys()


@pytest.mark.parametrize("end", range(1, 6))
@pytest.mark.parametrize("sizes", [(32, 32), (10**6, 32), (32, 10**6)])
def test_a_write_that_stops_between_files_leaves_the_old_checkpoint(
    tmp_path, monkeypatch, sizes, end
):
    sharded.save_sharded(checkpoint(0), tmp_path, max_shard_size=sizes[0])
    replace, unlink = os.replace, type(tmp_path).unlink
    steps = []

    def counted(step):
        def call(*arguments, **options):
            steps.append(1)
            if len(steps) == end:
                raise KeyboardInterrupt
            return step(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(replace))
        patch.setattr(type(tmp_path), "unlink", counted(unlink))
        with contextlib.suppress(KeyboardInterrupt):
            sharded.save_sharded(checkpoint(9), tmp_path, max_shard_size=sizes[1])
    assert facts(sharded.load_sharded(tmp_path)) in (facts(checkpoint(0)), facts(checkpoint(9)))


@pytest.mark.parity
def test_an_index_as_transformers_writes_it(tmp_path):
    theirs = pytest.importorskip("torch")
    st = pytest.importorskip("safetensors.torch")
    st.save_file({"a": theirs.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    st.save_file({"b": theirs.zeros(3)}, tmp_path / "model-00002-of-00002.safetensors")
    weight_map = {x: f"model-0000{i}-of-00002.safetensors" for i, x in ((1, "a"), (2, "b"))}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 20}, "weight_map": weight_map}))
    assert facts(sharded.load_sharded(tmp_path)) == facts({"a": torch.ones(2), "b": torch.zeros(3)})
    index.unlink()
    theirs.save({"c": theirs.ones(1)}, tmp_path / "pytorch_model-1.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(
        '{"weight_map": {"c": "pytorch_model-1.bin"}}'
    )
    assert facts(sharded.load_sharded(tmp_path)) == facts({"c": torch.ones(1)})


@pytest.mark.parametrize(
    "weight_map", [None, [], {"a": 1}, {"a": "../x"}, {"a": "c:x"}, {"a": "/x"}, {"a": ".."}]
)
def test_indexes_that_are_damaged_or_lead_elsewhere(tmp_path, weight_map):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(RuntimeError, match="is damaged"):
        sharded.load_sharded(tmp_path)
    index.write_text("{")
    with pytest.raises(RuntimeError, match="is damaged"):
        sharded.load_sharded(tmp_path)


def test_checkpoints_that_are_incomplete(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors\.index\.json"):
        sharded.load_sharded(tmp_path)
    index = sharded.save_sharded(checkpoint(0), tmp_path, max_shard_size=32)
    facts = json.loads(index.read_text())
    facts["weight_map"]["layer.9"] = facts["weight_map"]["layer.0"]
    index.write_text(json.dumps(facts))
    with pytest.raises(RuntimeError, match=r"no file holds 'layer\.9'"):
        sharded.load_sharded(tmp_path)
    (tmp_path / facts["weight_map"]["layer.0"]).unlink()
    with pytest.raises(FileNotFoundError):
        sharded.load_sharded(tmp_path)


def test_the_error_is_short_where_the_file_holds_a_long_number(tmp_path):
    facts = json.dumps(
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**3000]}}
    ).encode()
    (tmp_path / "x.safetensors").write_bytes(len(facts).to_bytes(8, "little") + facts)
    with pytest.raises(RuntimeError, match="damaged") as found:
        safetensors.load_file(tmp_path / "x.safetensors")
    assert len(str(found.value)) < 1000


def test_tensors_of_one_memory_stay_together(tmp_path):
    x = torch.arange(4.0)
    made = {"a": x, "b": torch.ones(4), "c": x[1:]}
    sharded.save_sharded(made, tmp_path, name="pytorch_model.bin", max_shard_size=16)
    found = sharded.load_sharded(tmp_path)
    found["a"][1] = 7
    assert found["c"][0] == 7 and len(list(tmp_path.iterdir())) == 3
