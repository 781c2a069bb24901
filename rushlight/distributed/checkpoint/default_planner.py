"""The planners that save and load use: tensors by themselves, everything else as pickles."""

import dataclasses
import io
import pickle

from rushlight.autograd import no_grad
from rushlight.distributed.checkpoint._nested_dict import flatten_state_dict, set_element
from rushlight.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from rushlight.distributed.checkpoint.planner import (
    LoadItemType,
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from rushlight.serialization import load, save
from rushlight.tensor import Size, Tensor

__all__ = ["DefaultLoadPlanner", "DefaultSavePlanner", "local"]

_VERSION = "1.0.0"  # of PyTorch's format


def local(tensor):
    """The tensor of this process: that of a ``DTensor``, without history."""
    tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return tensor.detach()


def _item(name, value):
    if not isinstance(value, Tensor):
        return WriteItem(MetadataIndex(name), WriteItemType.BYTE_IO)
    zeros = Size([0] * value.ndim)
    chunk = ChunkStorageMetadata(zeros, Size(value.shape))
    properties = TensorProperties.create_from_tensor(value)
    data = TensorWriteData(chunk, properties, Size(value.shape))
    return WriteItem(MetadataIndex(name, zeros), WriteItemType.TENSOR, tensor_data=data)


class DefaultSavePlanner(SavePlanner):
    """Plans to write a state: each tensor, and each other object as a pickle.

    Args:
        flatten_state_dict: Whether nested dicts become one, whose names are paths.
        flatten_sharded_tensors, dedup_replicated_tensors, dedup_save_to_lowest_rank: Accepted
            without effect.
        enable_plan_caching: Accepted without effect.
    """

    def __init__(
        self, flatten_state_dict=True, flatten_sharded_tensors=True, dedup_replicated_tensors=None,
        dedup_save_to_lowest_rank=False, enable_plan_caching=False,
    ):  # fmt: skip
        self.flatten_state_dict = flatten_state_dict
        self.mappings: dict = {}

    def set_up_planner(self, state_dict, storage_meta=None, is_coordinator=False):
        if self.flatten_state_dict:
            state_dict, self.mappings = flatten_state_dict(state_dict)
        self.state_dict = state_dict
        self.is_coordinator = is_coordinator

    def create_local_plan(self):
        items = [_item(name, value) for name, value in self.state_dict.items()]
        self.plan = SavePlan(items, planner_data=self.mappings or None)
        return self.plan

    def create_global_plan(self, all_plans):
        seen: set = set()
        plans = []
        for plan in all_plans:  # what several processes have is written by the first
            items = [item for item in plan.items if item.index not in seen]
            seen.update(item.index for item in items)
            plans.append(dataclasses.replace(plan, items=items))
        return plans, self._metadata(all_plans, plans)

    def _metadata(self, all_plans, plans):
        found: dict = {}
        for item in (item for plan in plans for item in plan.items):
            if item.type == WriteItemType.BYTE_IO:
                found[item.index.fqn] = BytesStorageMetadata()
                continue
            data = item.tensor_data
            entry = TensorStorageMetadata(data.properties, data.size, [])
            found.setdefault(item.index.fqn, entry).chunks.append(data.chunk)
        paths: dict = {}
        for plan in all_plans:
            paths.update(plan.planner_data or {})
        return Metadata(found, planner_data=paths or None, version=_VERSION)

    def finish_plan(self, new_plan):
        self.plan = new_plan
        return new_plan

    def resolve_data(self, write_item):
        value = self.state_dict[write_item.index.fqn]
        if isinstance(value, Tensor):
            return local(value)
        stream = io.BytesIO()
        save(value, stream)
        stream.seek(0)
        return stream


class DefaultLoadPlanner(LoadPlanner):
    """Plans to read what a state has, into its tensors.

    Args:
        flatten_state_dict: Whether nested dicts become one, whose names are paths.
        flatten_sharded_tensors: Accepted without effect.
        allow_partial_load: Whether names may be missing in the checkpoint.
    """

    def __init__(
        self, flatten_state_dict=True, flatten_sharded_tensors=True, allow_partial_load=False
    ):
        self.flatten_state_dict = flatten_state_dict
        self.allow_partial_load = allow_partial_load
        self.mappings: dict = {}

    def set_up_planner(self, state_dict, metadata=None, is_coordinator=False):
        self.original_state_dict = state_dict
        if self.flatten_state_dict:
            state_dict, self.mappings = flatten_state_dict(state_dict)
        self.state_dict, self.metadata = state_dict, metadata

    def create_local_plan(self):
        items: list = []
        for name, value in self.state_dict.items():
            if name not in self.metadata.state_dict_metadata:
                if self.allow_partial_load:
                    continue
                raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
            items += _reads(name, value, self.metadata.state_dict_metadata[name])
        return LoadPlan(items)

    def create_global_plan(self, global_plan):
        return global_plan

    def finish_plan(self, central_plan):
        return central_plan

    def load_bytes(self, read_item, value):
        name = read_item.dest_index.fqn
        found = _unpickled(value)
        if self.flatten_state_dict:
            set_element(self.original_state_dict, self.mappings[name], found)
        else:
            self.state_dict[name] = found

    def resolve_tensor(self, read_item):
        whole = local(self.state_dict[read_item.dest_index.fqn])
        for dim, (start, size) in enumerate(
            zip(read_item.dest_offsets, read_item.lengths, strict=True)
        ):
            whole = whole.narrow(dim, start, size)
        return whole

    def commit_tensor(self, read_item, tensor):
        pass


def _unpickled(stream):
    """An object that was written as bytes; only what torch.load takes for safe is made."""
    try:
        return load(stream, weights_only=True)
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(
            f"{error}\nA checkpoint's objects are read as by torch.load(weights_only=True); "
            "torch.serialization.add_safe_globals allows more classes"
        ) from error


def _reads(name, value, entry):
    if isinstance(entry, BytesStorageMetadata):
        index, none = MetadataIndex(name), Size([0])
        return [ReadItem(LoadItemType.BYTE_IO, index, none, index, none, none)]
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a tensor in the checkpoint, and {type(value).__name__} here")
    if tuple(value.shape) != tuple(entry.size):
        raise ValueError(
            f"Size mismatch between saved {entry.size} and current: {value.shape} for {name}"
        )
    dest = MetadataIndex(name, Size([0] * value.ndim))
    return [
        ReadItem(
            LoadItemType.TENSOR, dest, Size(chunk.offsets),
            MetadataIndex(name, chunk.offsets, i), Size([0] * value.ndim), Size(chunk.sizes),
        )
        for i, chunk in enumerate(entry.chunks)
    ]  # fmt: skip


def copy_into(target, found):
    """Write a tensor that was read into its place."""
    with no_grad():
        target.copy_(found)


class _EmptyStateDictLoadPlanner(DefaultLoadPlanner):
    """Reads all of a checkpoint, or the names that begin with ``keys``, into an empty dict."""

    def __init__(self, keys=None, *args, **kwargs):
        self.keys = keys
        super().__init__(*args, **kwargs)

    def _wanted(self, name, path):
        starts = {str(path[0])} | {".".join(map(str, path[:i])) for i in range(1, len(path) + 1)}
        return self.keys is None or name in self.keys or bool(starts & set(self.keys))

    def set_up_planner(self, state_dict, metadata=None, is_coordinator=False):
        if state_dict:
            raise AssertionError("the state to load into must be empty")
        from rushlight import late

        paths = metadata.planner_data or {}
        for name, entry in metadata.state_dict_metadata.items():
            path = paths.get(name, (name,))
            if self._wanted(name, path):
                value = None
                if isinstance(entry, TensorStorageMetadata):
                    value = late.framework.empty(entry.size, dtype=entry.properties.dtype)
                set_element(state_dict, path, value)
        super().set_up_planner(state_dict, metadata, is_coordinator)
        self.mappings = {n: paths.get(n, (n,)) for n in self.state_dict}
