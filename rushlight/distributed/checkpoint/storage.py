"""Where checkpoints lie: what a writer and a reader have to define."""

import abc
from dataclasses import dataclass
from typing import Any

from rushlight.distributed.checkpoint.metadata import MetadataIndex, StorageMeta

__all__ = ["StorageReader", "StorageWriter", "WriteResult"]


@dataclass(frozen=True)
class WriteResult:
    """Where a writer put one thing."""

    index: MetadataIndex
    size_in_bytes: int
    storage_data: Any


class StorageWriter(abc.ABC):
    """Writes checkpoints. Its methods are called in the order of this class."""

    @abc.abstractmethod
    def reset(self, checkpoint_id=None):
        """Begin a checkpoint."""

    @abc.abstractmethod
    def set_up_storage_writer(self, is_coordinator, *args, **kwargs):
        """Prepare to write."""

    @abc.abstractmethod
    def prepare_local_plan(self, plan):
        """Return the plan of this process."""

    @abc.abstractmethod
    def prepare_global_plan(self, plans):
        """Return the plans of all processes; called on one process."""

    @abc.abstractmethod
    def write_data(self, plan, planner):
        """Write the items of a plan; return a Future of a list of ``WriteResult``."""

    @abc.abstractmethod
    def finish(self, metadata, results):
        """Write the metadata; called on one process."""

    @classmethod
    @abc.abstractmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        """Whether this class can write to such a place."""

    def storage_meta(self):
        """What the writer tells of itself."""
        return StorageMeta()


class StorageReader(abc.ABC):
    """Reads checkpoints. Its methods are called in the order of this class."""

    @abc.abstractmethod
    def reset(self, checkpoint_id=None):
        """Begin to read a checkpoint."""

    @abc.abstractmethod
    def read_metadata(self, *args, **kwargs):
        """Return the ``Metadata``."""

    @abc.abstractmethod
    def set_up_storage_reader(self, metadata, is_coordinator, *args, **kwargs):
        """Prepare to read."""

    @abc.abstractmethod
    def prepare_local_plan(self, plan):
        """Return the plan of this process."""

    @abc.abstractmethod
    def prepare_global_plan(self, plans):
        """Return the plans of all processes; called on one process."""

    @abc.abstractmethod
    def read_data(self, plan, planner):
        """Read the items of a plan; return a Future of None."""

    @classmethod
    @abc.abstractmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        """Whether this class can read from such a place."""
