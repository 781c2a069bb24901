"""Plans: what of a state is written to a checkpoint or read from one, and by which process."""

import abc
import operator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import reduce
from typing import Any

from rushlight.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
)
from rushlight.tensor import Size

__all__ = [
    "BytesIOWriteData", "LoadItemType", "LoadPlan", "LoadPlanner", "ReadItem", "SavePlan",
    "SavePlanner", "TensorWriteData", "WriteItem", "WriteItemType",
]  # fmt: skip


class WriteItemType(Enum):
    """What is written: a tensor, a part of one, or the bytes of another object."""

    TENSOR = auto()
    SHARD = auto()
    BYTE_IO = auto()


class LoadItemType(Enum):
    """What is read."""

    TENSOR = auto()
    BYTE_IO = auto()


@dataclass(frozen=True)
class BytesIOWriteData:
    """The size of the bytes of an object."""

    nbytes: int


@dataclass(frozen=True)
class TensorWriteData:
    """A part of a tensor, and the tensor's properties and shape."""

    chunk: ChunkStorageMetadata
    properties: TensorProperties
    size: Size


@dataclass(frozen=True)
class WriteItem:
    """One thing that is written."""

    index: MetadataIndex
    type: WriteItemType
    bytes_io_data: BytesIOWriteData | None = None
    tensor_data: TensorWriteData | None = None

    def tensor_storage_size(self):
        """The bytes of the tensor; None if it is none."""
        if self.tensor_data is None:
            return None
        return reduce(
            operator.mul, self.tensor_data.size, self.tensor_data.properties.dtype.itemsize
        )


@dataclass(frozen=True)
class ReadItem:
    """One thing that is read: from where in the checkpoint, and to where in the state."""

    type: LoadItemType
    dest_index: MetadataIndex
    dest_offsets: Size
    storage_index: MetadataIndex
    storage_offsets: Size
    lengths: Size


@dataclass(frozen=True)
class SavePlan:
    """What a process writes."""

    items: list[WriteItem]
    storage_data: Any = None
    planner_data: Any = None
    usable: bool = True


@dataclass
class LoadPlan:
    """What a process reads."""

    items: list[ReadItem] = field(default_factory=list)
    storage_data: Any = None
    planner_data: Any = None


class SavePlanner(abc.ABC):
    """Plans what is written. Its methods are called in the order of this class."""

    @abc.abstractmethod
    def set_up_planner(self, state_dict, storage_meta=None, is_coordinator=False):
        """Begin to save a state."""

    @abc.abstractmethod
    def create_local_plan(self):
        """Return the ``SavePlan`` of this process."""

    @abc.abstractmethod
    def create_global_plan(self, all_plans):
        """Return the plans of all processes, and the ``Metadata``; called on one process."""

    @abc.abstractmethod
    def finish_plan(self, new_plan):
        """Return the final plan of this process."""

    @abc.abstractmethod
    def resolve_data(self, write_item):
        """Return the tensor or the stream of bytes of an item."""


class LoadPlanner(abc.ABC):
    """Plans what is read. Its methods are called in the order of this class."""

    @abc.abstractmethod
    def set_up_planner(self, state_dict, metadata=None, is_coordinator=False):
        """Begin to load into a state."""

    @abc.abstractmethod
    def create_local_plan(self):
        """Return the ``LoadPlan`` of this process."""

    @abc.abstractmethod
    def create_global_plan(self, global_plan):
        """Return the plans of all processes; called on one process."""

    @abc.abstractmethod
    def finish_plan(self, central_plan):
        """Return the final plan of this process."""

    @abc.abstractmethod
    def load_bytes(self, read_item, value):
        """Take the bytes of an object."""

    def resolve_bytes(self, read_item):
        """Return the stream that bytes are written to."""
        raise NotImplementedError("LoadPlanner.resolve_bytes is not implemented")

    @abc.abstractmethod
    def resolve_tensor(self, read_item):
        """Return the tensor that values are written to."""

    @abc.abstractmethod
    def commit_tensor(self, read_item, tensor):
        """Take a tensor that has been written."""
