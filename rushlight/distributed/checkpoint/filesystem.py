"""Checkpoints in a folder: a file of data for each process, and one of metadata."""

import io
import os
import pickle
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PosixPath, PurePath, WindowsPath
from typing import Any

from rushlight.distributed.checkpoint import metadata as _metadata
from rushlight.distributed.checkpoint.default_planner import copy_into
from rushlight.distributed.checkpoint.metadata import StorageMeta
from rushlight.distributed.checkpoint.planner import LoadItemType, WriteItemType
from rushlight.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from rushlight.dtype import DTYPES
from rushlight.futures import Future
from rushlight.serialization import load, save
from rushlight.serialization.atomic import replacing
from rushlight.serialization.names import get_layout
from rushlight.serialization.pickling import pickled
from rushlight.tensor import Size

__all__ = ["FileSystemReader", "FileSystemWriter"]

_METADATA = ".metadata"


@dataclass
class _StorageInfo:
    """The place of one thing in a file."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: Any = None


@dataclass
class _StoragePrefix:
    """The beginning of the names of a process's files."""

    prefix: str


#: What a file of metadata may name, by PyTorch's names.
_KNOWN: dict = {
    **{("torch.distributed.checkpoint.metadata", name): getattr(_metadata, name)
       for name in (*_metadata.__all__, "_MEM_FORMAT_ENCODING")},
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): _StorageInfo,
    ("torch", "Size"): Size,
    ("torch.serialization", "_get_layout"): get_layout,
    ("collections", "OrderedDict"): OrderedDict,
    ("pathlib", "PosixPath"): PurePath if os.name == "nt" else PosixPath,
    ("pathlib", "WindowsPath"): WindowsPath if os.name == "nt" else PurePath,
    ("pathlib._local", "PosixPath"): PurePath if os.name == "nt" else PosixPath,
    **{("torch", d.name): d for d in DTYPES},
}  # fmt: skip


class _MetadataUnpickler(pickle.Unpickler):
    """Reads a file of metadata. It makes objects of the known classes, and calls nothing else."""

    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(
                f"checkpoint: .metadata names {module}.{name}, which no checkpoint has"
            )
        return _KNOWN[module, name]


class FileSystemWriter(StorageWriter):
    """Writes checkpoints to folders, in PyTorch's format.

    Args:
        path: The folder.
        single_file_per_rank: Whether a process writes one file, and not one for each tensor.
        sync_files: Whether files are forced to the disk.
        thread_count, per_thread_copy_ahead, cache_staged_state_dict: Accepted without effect.
        overwrite: Whether a checkpoint in the folder is replaced.
        serialization_format: Accepted without effect.
    """

    def __init__(
        self, path, single_file_per_rank=True, sync_files=True, thread_count=1,
        per_thread_copy_ahead=10_000_000, cache_staged_state_dict=False, overwrite=True,
        _extensions=None, serialization_format=None,
    ):  # fmt: skip
        self.path = Path(path)
        self.single_file_per_rank, self.sync_files = single_file_per_rank, sync_files
        self.overwrite = overwrite
        self.save_id = str(uuid.uuid4())

    def reset(self, checkpoint_id=None):
        if checkpoint_id:
            self.path = Path(checkpoint_id)
        self.save_id = str(uuid.uuid4())

    def set_up_storage_writer(self, is_coordinator, *args, **kwargs):
        self.rank = kwargs.get("rank", 0)

    def prepare_local_plan(self, plan):
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / _METADATA).exists() and not self.overwrite:
            raise RuntimeError(f"Checkpoint already exists and self.overwrite={self.overwrite}.")
        return plan

    def prepare_global_plan(self, plans):
        return plans

    def write_data(self, plan, planner):
        future, found = Future(), []
        items = sorted(plan.items, key=lambda item: item.type != WriteItemType.BYTE_IO)
        groups = [items] if self.single_file_per_rank else [[item] for item in items]
        for number, group in enumerate(groups):
            name = f"__{self.rank}_{number}.distcp"
            with open(self.path / name, "wb") as file:
                found += [_write(file, name, item, planner) for item in group]
                if self.sync_files:
                    file.flush()
                    os.fsync(file.fileno())
        future.set_result(found)
        return future

    def finish(self, metadata, results):
        metadata.storage_data = {r.index: r.storage_data for part in results for r in part}
        metadata.storage_meta = self.storage_meta()
        data, _ = pickled(metadata, 2)
        with replacing(self.path / _METADATA) as file:
            file.write(data)

    def storage_meta(self):
        return StorageMeta(checkpoint_id=self.path, save_id=self.save_id)

    @property
    def checkpoint_id(self):
        """The folder."""
        return self.path

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return isinstance(checkpoint_id, os.PathLike) or "://" not in str(checkpoint_id)


def _write(file, name, item, planner):
    start = file.tell()
    data = planner.resolve_data(item)
    if item.type == WriteItemType.BYTE_IO:
        file.write(data.getbuffer())
    else:
        stream = io.BytesIO()
        save(data.cpu().contiguous().clone(), stream)
        file.write(stream.getbuffer())
    size = file.tell() - start
    return WriteResult(item.index, size, _StorageInfo(name, start, size))


class FileSystemReader(StorageReader):
    """Reads checkpoints from folders, also those that several processes of PyTorch wrote.

    Args:
        path: The folder.
    """

    def __init__(self, path, _extension_registry=None):
        self.path = Path(path)
        self.storage_data: dict = {}

    def reset(self, checkpoint_id=None):
        self.storage_data = {}
        if checkpoint_id:
            self.path = Path(checkpoint_id)

    def read_metadata(self, *args, **kwargs):
        with open(self.path / _METADATA, "rb") as file:
            found = _MetadataUnpickler(file).load()
        if found.storage_meta is None:
            found.storage_meta = StorageMeta()
        return found

    def set_up_storage_reader(self, metadata, is_coordinator, *args, **kwargs):
        self.storage_data = metadata.storage_data

    def prepare_local_plan(self, plan):
        return plan

    def prepare_global_plan(self, plans):
        return plans

    def read_data(self, plan, planner):
        files: dict = {}
        for item in plan.items:
            place = self.storage_data[item.storage_index]
            files.setdefault(place.relative_path, []).append((place, item))
        for name, parts in files.items():
            with open(self._inside(name), "rb") as file:
                for place, item in parts:
                    self._read(file, place, item, planner)
        future = Future()
        future.set_result(None)
        return future

    def _inside(self, name):
        """The path of a file of the folder; a name that leads out of it is refused."""
        found = self.path / name
        if not found.resolve().is_relative_to(self.path.resolve()):
            raise RuntimeError(f"checkpoint: the file {name!r} is not in the folder {self.path}")
        return found

    def _read(self, file, place, item, planner):
        if place.transform_descriptors:
            raise NotImplementedError(
                f"checkpoint: {item.dest_index.fqn} was written through "
                f"{place.transform_descriptors}, which rushlight does not have"
            )
        file.seek(place.offset)
        stream = io.BytesIO(file.read(place.length))
        if item.type == LoadItemType.BYTE_IO:
            planner.load_bytes(item, stream)
            return
        found = load(stream, map_location="cpu", weights_only=True)
        for dim, (start, size) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
            found = found.narrow(dim, start, size)
        target = planner.resolve_tensor(item).detach()
        copy_into(target, found)
        planner.commit_tensor(item, target)

    @property
    def checkpoint_id(self):
        """The folder."""
        return self.path

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return isinstance(checkpoint_id, os.PathLike) or "://" not in str(checkpoint_id)
