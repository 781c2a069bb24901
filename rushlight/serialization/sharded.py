"""Checkpoints in several files with an index, as large models are published.

The index ``model.safetensors.index.json`` or ``pytorch_model.bin.index.json`` says which file in
its folder holds each tensor. A folder holds one checkpoint at every moment, the old or the new
checkpoint. If the folder has a checkpoint already, the new files get other names, and a single
step (the replacement of one file) makes the new files the checkpoint.
"""

import contextlib
import json
import os
import pickle
import re
import secrets
import stat
from pathlib import Path

from rushlight.serialization import safetensors
from rushlight.serialization.atomic import noted, replacing, sweep
from rushlight.serialization.checkpoint import load, save
from rushlight.serialization.survey import get_unsafe_globals_in_checkpoint

__all__ = ["load_sharded", "save_sharded"]

_NAMES = ("model.safetensors", "pytorch_model.bin")
_NOTE = ".shards"  # the ending of the note that lists the files of a save in progress
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
          "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}  # fmt: skip


def save_sharded(tensors, folder, *, name="model.safetensors", max_shard_size="5GB"):
    """Write a state dict into files of limited size, and an index of the files.

    If all tensors fit into one file, the file is ``name`` and there is no index. A tensor larger
    than ``max_shard_size`` gets its own file. The files of the folder's old checkpoint are deleted
    if their names have the form that this function gives and the files hold tensors.

    Args:
        tensors: Dict of tensors by name.
        folder: Name of the folder. It is made if it does not exist.
        name: The name of a single file, and the beginning of the other names. The ending
            ``.safetensors`` selects that format, any other ending the format of ``torch.save``.
            Default: ``"model.safetensors"``.
        max_shard_size: The most bytes of a file: a number, or a text such as ``"500MB"``.
            Default: ``"5GB"``.

    Returns:
        The path of the index, or of the single file.

    >>> import tempfile, rushlight as torch
    >>> from rushlight.serialization.sharded import load_sharded, save_sharded
    >>> tensors = {"a": torch.ones(3), "b": torch.zeros(2)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_sharded(tensors, folder, max_shard_size=16).name
    ...     load_sharded(folder)
    'model.safetensors.index.json'
    {'a': tensor([1., 1., 1.]), 'b': tensor([0., 0.])}
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _finish_others(folder, name)
    single, index = folder / name, folder / f"{name}.index.json"
    old = _named(index)
    shards = _split(tensors, _bytes(max_shard_size))
    whole = len(shards) == 1
    names = [] if whole else _shard_names(folder, name, len(shards))
    files = [*names, *old]
    with noted(folder, json.dumps({"name": name, "files": files}).encode(), _NOTE):
        try:
            if whole:
                # From now on this file is the checkpoint: load_sharded prefers it to an index.
                _write(shards[0], single)
            else:
                _write_shards(shards, names, index)
            _remove([index if whole else single])
        finally:  # removes the old files, or the new files if an error came before the index
            _remove_unnamed(folder, name, files)
    return single if whole else index


def _write_shards(shards, names, index):
    for shard, file in zip(shards, names, strict=True):
        _write(shard, index.parent / file)
    facts = {
        "metadata": {"total_size": sum(t.nbytes for shard in shards for t in shard.values())},
        "weight_map": {key: f for shard, f in zip(shards, names, strict=True) for key in shard},
    }
    with replacing(index, "save_sharded") as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def load_sharded(path, *, mmap=False):
    """Load the tensors of a checkpoint.

    If a folder holds several, ``model.safetensors`` is preferred to its index, and both are
    preferred to ``pytorch_model.bin`` and its index.

    Args:
        path: Name of a folder, an index or a single file.
        mmap: Map the files to memory instead of reading them. Default: False.

    Returns:
        Dict of tensors by name.

    Raises:
        FileNotFoundError: the folder holds no checkpoint.
        RuntimeError: the index is damaged, the index names files outside its folder, or a file
            lacks a tensor.

    >>> import tempfile, rushlight as torch
    >>> from rushlight.serialization.sharded import load_sharded, save_sharded
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = {"a": torch.ones(3), "b": torch.ones(1)}
    ...     index = save_sharded(made, folder, max_shard_size=12)
    ...     load_sharded(index).keys() == load_sharded(folder).keys()
    True
    """
    path = Path(path)
    if path.is_dir():
        candidates = [path / (n + end) for n in _NAMES for end in ("", ".index.json")]
        found = next((c for c in candidates if c.exists()), None)
        if found is None:
            raise FileNotFoundError(
                f"load_sharded: {path} holds none of {', '.join(c.name for c in candidates)}"
            )
        path = found
    if path.suffix != ".json":
        return _read(path, mmap)
    weight_map = _weight_map(path)
    shards = {file: _read(path.parent / file, mmap) for file in sorted(set(weight_map.values()))}
    try:
        return {key: shards[file][key] for key, file in weight_map.items()}
    except KeyError as error:
        raise RuntimeError(f"load_sharded: {path}: no file holds {error}") from None


def _write(tensors, path):
    if path.suffix == ".safetensors":
        safetensors.save_file(tensors, path, {"format": "pt"})
    else:
        save(tensors, path)


def _read(path, mmap):
    if path.suffix == ".safetensors":
        return safetensors.load_file(path, mmap=mmap)
    return load(path, "cpu", mmap=mmap)


def _named(index):
    """Return the files that an index names; [] if the index is missing or damaged."""
    try:
        return sorted(set(_weight_map(index).values()))
    except (OSError, RuntimeError):
        return []


def _remove_unnamed(folder, name, files):
    """Delete the ``files`` in ``folder`` that the folder's index does not name.

    ``files`` may come from an index that names any file. So a file is deleted only if its name has
    the form that ``save_sharded`` gives, it is a plain file (no link), and it holds tensors.
    """
    stem, ending = map(re.escape, os.path.splitext(name))
    ours = re.compile(rf"{stem}(-[0-9a-f]{{8}})?-[0-9]{{5,}}-of-[0-9]{{5,}}{ending}")
    named = _named(folder / f"{name}.index.json")
    paths = [folder / file for file in files if ours.fullmatch(file) and file not in named]
    _remove([path for path in paths if _holds_tensors(path)])


def _finish_others(folder, name):
    """Delete the files of unfinished checkpoints that killed processes left in ``folder``."""

    def finish(note):
        try:
            facts = json.loads(note)
            if facts["name"] != name:
                return False
            _remove_unnamed(folder, name, [file for file in facts["files"] if type(file) is str])
        # The process was killed while it wrote the note, before it wrote any other file.
        except (KeyError, RecursionError, TypeError, ValueError):
            pass
        return True

    sweep(folder, _NOTE, finish)


def _holds_tensors(path):
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        if path.suffix == ".safetensors":
            safetensors.metadata(path)
            return True
        get_unsafe_globals_in_checkpoint(path)
        return True
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError):
        return False


def _remove(paths):
    for path in paths:
        with contextlib.suppress(OSError):  # no such file, or on Windows a process has it open
            path.unlink()


def _weight_map(index):
    """Read an index: a dict from each tensor's name to the file in its folder with the tensor."""
    try:
        weight_map = json.loads(index.read_bytes())["weight_map"]
        files = set(weight_map.values())
        if wrong := [f for f in files if not isinstance(f, str) or _is_elsewhere(f)]:
            raise ValueError(f"{wrong[0]!r} is not a file beside it")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise RuntimeError(
            f"load_sharded: {index} is damaged: {type(error).__name__}: {error}"
        ) from error
    return weight_map


def _is_elsewhere(name):
    return name in ("", ".", "..") or bool(re.search(r"[/\\:\0]", name))


def _shard_names(folder, name, count):
    """Return ``count`` names for the shards that no file in the folder has."""
    stem, ending = os.path.splitext(name)
    tag = ""
    while True:
        names = [f"{stem}{tag}-{i + 1:05}-of-{count:05}{ending}" for i in range(count)]
        if not any((folder / n).exists() for n in names):
            return names
        tag = f"-{secrets.token_hex(4)}"


def _split(tensors, most):
    """Split the tensors, in order, into dicts of at most ``most`` bytes.

    Tensors that share memory go into the same dict. Only the first of them is counted.
    """
    shards: list[dict] = [{}]
    size = 0
    homes: dict = {}  # address of a storage → its shard
    for name, t in tensors.items():
        address = t.untyped_storage().data_ptr() if t.numel() else None
        if address in homes and address is not None:
            homes[address][name] = t
            continue
        if shards[-1] and size + t.nbytes > most:
            shards.append({})
            size = 0
        shards[-1][name] = t
        homes[address] = shards[-1]
        size += t.nbytes
    return shards


def _bytes(size):
    if isinstance(size, int):
        return size
    matched = re.fullmatch(r"(\d+)\s*([KMGT]?I?)B?", size.strip().upper())
    if matched is None or matched[2] not in _UNITS:
        raise ValueError(f'save_sharded: max_shard_size {size!r} is no size such as "5GB"')
    return int(matched[1]) * _UNITS[matched[2]]
