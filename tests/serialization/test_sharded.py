"""What a new checkpoint in several files may delete: the old one's files, and nothing else."""

import json
import os

import pytest

import rushlight as torch
from rushlight.serialization import safetensors, sharded

TENSORS = {"a": torch.ones(8), "b": torch.zeros(8)}


def save(folder, **options):
    sharded.save_sharded(TENSORS, folder, **options)


def tensors_in(path):
    safetensors.save_file({"x": torch.ones(1)}, path)
    return path.read_bytes()


def name_in_index(folder, *names, index="model.safetensors.index.json"):
    (folder / index).write_text(
        json.dumps({"weight_map": {str(i): n for i, n in enumerate(names)}})
    )


@pytest.mark.parametrize("size", [32, 10**9])
@pytest.mark.parametrize("name", [
    "train.py", "data.safetensors", "model.safetensors.bak", "other-00001-of-00002.safetensors",
    "model-00001-of-00002.bin", "MODEL-00001-of-00002.safetensors", "model-1-of-2.safetensors",
    "model-00001-of-00002.safetensors.txt", "model-backup-00001-of-00002.safetensors",
    "model.safetensors\n", "model-00001-of-00002.safetensors\n", "model-0\u0661001-of-00002.safetensors",
])  # fmt: skip
def test_files_of_other_names_stay(tmp_path, name, size):
    content = tensors_in(tmp_path / "x")
    path = tmp_path / name
    try:
        path.write_bytes(content)
    except OSError:
        pytest.skip("a name that this system does not have")
    name_in_index(tmp_path, name)
    save(tmp_path, max_shard_size=size)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["../y", "sub/model-00001-of-00002.safetensors", "/etc/hosts", "C:y"]
)
def test_an_index_of_files_elsewhere_is_replaced_and_nothing_deleted(tmp_path, name):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    kept = [tmp_path / "y", folder / "sub" / "model-00001-of-00002.safetensors"]
    for path in kept:
        path.write_bytes(b"mine")
    name_in_index(folder, name)
    save(folder, max_shard_size=32)
    assert [path.read_bytes() for path in kept] == [b"mine"] * 2
    assert sharded.load_sharded(folder)["a"].tolist() == [1.0] * 8


def test_files_without_tensors_links_and_folders_stay(tmp_path):
    elsewhere = tmp_path / "elsewhere.safetensors"
    content = tensors_in(elsewhere)
    folder = tmp_path / "folder"
    folder.mkdir()
    names = [f"model-{n:05}-of-00003.safetensors" for n in (1, 2, 3)]
    (folder / names[0]).write_text("notes")
    (folder / names[1]).mkdir()
    try:
        (folder / names[2]).symlink_to(elsewhere)
    except OSError:
        pytest.skip("links are not allowed here")
    name_in_index(folder, *names)
    save(folder, max_shard_size=32)
    assert (folder / names[0]).read_text() == "notes" and (folder / names[1]).is_dir()
    assert (folder / names[2]).is_symlink() and elsewhere.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"weight_map": 3}', b"\xff"])
def test_a_damaged_index_is_replaced(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    save(tmp_path, max_shard_size=32)
    assert len(sharded.load_sharded(tmp_path)) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_old_files_are_deleted(tmp_path, name):
    for size in (32, 32, 10**9, 32):
        save(tmp_path, name=name, max_shard_size=size)
        assert len(os.listdir(tmp_path)) == (1 if size > 32 else 3)
