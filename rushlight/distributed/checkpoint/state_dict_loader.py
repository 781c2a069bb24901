"""load: read a checkpoint into a state."""

import warnings

from rushlight.distributed.checkpoint.default_planner import (
    DefaultLoadPlanner,
    _EmptyStateDictLoadPlanner,
)
from rushlight.distributed.checkpoint.stateful import Stateful
from rushlight.distributed.checkpoint.steps import Steps, reader_of

__all__ = ["load", "load_state_dict"]


def load(
    state_dict, *, checkpoint_id=None, storage_reader=None, planner=None, process_group=None,
    no_dist=False,
):  # fmt: skip
    """Read a checkpoint into a state: tensors are written in place, other objects replaced.

    Args:
        state_dict: Dict of what is read. Objects with ``load_state_dict`` are given their state.
        checkpoint_id: The folder.
        storage_reader: A ``StorageReader``. Default: a ``FileSystemReader`` of the folder.
        planner: A ``LoadPlanner``. Default: ``DefaultLoadPlanner``.
        process_group: The processes that load together. Default: all.
        no_dist: Whether this process loads alone.

    Raises:
        CheckpointException: A name is missing, a shape is another, or a file cannot be read.

    >>> import rushlight as torch, tempfile
    >>> import rushlight.distributed.checkpoint as dcp
    >>> model = torch.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = dcp.save({"model": model}, checkpoint_id=folder)
    ...     dcp.load({"model": model}, checkpoint_id=folder)
    """
    steps = Steps(process_group, no_dist)
    reader = reader_of(storage_reader, checkpoint_id)
    states = {k: v.state_dict() if isinstance(v, Stateful) else v for k, v in state_dict.items()}
    _load(states, reader, steps, planner or DefaultLoadPlanner())
    for key, value in list(state_dict.items()):
        if isinstance(value, Stateful):
            value.load_state_dict(states[key])
        else:
            state_dict[key] = states[key]


def _load(state, reader, steps, planner):
    def local():
        metadata = reader.read_metadata()
        planner.set_up_planner(state, metadata, steps.is_coordinator)
        reader.set_up_storage_reader(metadata, steps.is_coordinator)
        return reader.prepare_local_plan(planner.create_local_plan())

    def overall(plans):
        return reader.prepare_global_plan(planner.create_global_plan(plans))

    plan = steps.decide("plan", local, overall)

    def read():
        reader.read_data(planner.finish_plan(plan), planner).wait()

    steps.agree("read", read, lambda results: None)


def _load_state_dict(
    state_dict, storage_reader, process_group=None, coordinator_rank=0, no_dist=False, planner=None
):
    """Read a checkpoint into a dict; ``load`` also gives objects their states."""
    storage_reader.reset()
    _load(
        state_dict, storage_reader, Steps(process_group, no_dist), planner or DefaultLoadPlanner()
    )


def load_state_dict(
    state_dict, storage_reader, process_group=None, coordinator_rank=0, no_dist=False, planner=None
):
    """The deprecated name of ``load``."""
    warnings.warn(
        "'load_state_dict' is deprecated and will be removed in future versions. Please use "
        "'load' instead.", FutureWarning, stacklevel=2,
    )  # fmt: skip
    storage_reader.reset()
    _load(
        state_dict, storage_reader, Steps(process_group, no_dist), planner or DefaultLoadPlanner()
    )


def _load_state_dict_from_keys(
    keys=None, *, checkpoint_id=None, storage_reader=None, process_group=None
):
    """Read all of a checkpoint, or some of its keys, into a new dict."""
    keys = {keys} if isinstance(keys, str) else keys
    found: dict = {}
    reader = reader_of(storage_reader, checkpoint_id)
    _load(found, reader, Steps(process_group), _EmptyStateDictLoadPlanner(keys or None))
    return found
