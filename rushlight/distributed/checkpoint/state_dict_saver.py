"""save: write a state to a checkpoint."""

import copy
import enum
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rushlight.distributed.checkpoint.default_planner import DefaultSavePlanner
from rushlight.distributed.checkpoint.stateful import Stateful
from rushlight.distributed.checkpoint.steps import Steps, writer_of
from rushlight.tensor import Tensor

__all__ = ["AsyncCheckpointerType", "AsyncSaveResponse", "async_save", "save", "save_state_dict"]


class AsyncCheckpointerType(enum.Enum):
    """What ``async_save`` writes in. rushlight always takes a thread."""

    THREAD = "thread"
    PROCESS = "process"


@dataclass
class AsyncSaveResponse:
    """Two Futures: of the copy of the state, and of the checkpoint."""

    staging_completion: Any
    upload_completion: Any


def save(
    state_dict, *, checkpoint_id=None, storage_writer=None, planner=None, process_group=None,
    no_dist=False, use_collectives=True,
):  # fmt: skip
    """Write a state to a folder, in PyTorch's format. It works with and without a process group.

    Args:
        state_dict: Dict of tensors, of objects with ``state_dict``, of dicts, and of what
            ``torch.save`` takes.
        checkpoint_id: The folder.
        storage_writer: A ``StorageWriter``. Default: a ``FileSystemWriter`` of the folder.
        planner: A ``SavePlanner``. Default: ``DefaultSavePlanner``.
        process_group: The processes that save together. Default: all.
        no_dist: Whether this process saves alone.
        use_collectives: Accepted without effect.

    Returns:
        The ``Metadata``.

    Raises:
        CheckpointException: Something failed; it has the errors of all processes.

    >>> import rushlight as torch, tempfile
    >>> import rushlight.distributed.checkpoint as dcp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = dcp.save({"x": torch.ones(2)}, checkpoint_id=folder)
    ...     state = {"x": torch.zeros(2)}
    ...     dcp.load(state, checkpoint_id=folder)
    >>> state
    {'x': tensor([1., 1.])}
    """
    steps = Steps(process_group, no_dist)
    writer = writer_of(storage_writer, checkpoint_id)
    return _save(_states(state_dict), writer, steps, planner or DefaultSavePlanner())


def _states(state_dict):
    """The dict with the states of objects in their places."""
    return {k: v.state_dict() if isinstance(v, Stateful) else v for k, v in state_dict.items()}


def _save(state, writer, steps, planner):
    made: dict = {}

    def local():
        planner.set_up_planner(state, writer.storage_meta(), steps.is_coordinator)
        writer.set_up_storage_writer(steps.is_coordinator, rank=steps.rank)
        return writer.prepare_local_plan(planner.create_local_plan())

    def overall(plans):
        plans, made["metadata"] = planner.create_global_plan(plans)
        return writer.prepare_global_plan(plans)

    plan = steps.decide("plan", local, overall)

    def write():
        return writer.write_data(planner.finish_plan(plan), planner).wait()

    def finish(results):
        writer.finish(made["metadata"], results)
        return made["metadata"]

    return steps.agree("write", write, finish)


def async_save(
    state_dict, *, checkpoint_id=None, storage_writer=None, planner=None, process_group=None,
    async_checkpointer_type=AsyncCheckpointerType.THREAD, async_stager=None, no_dist=False,
    use_collectives=True,
):  # fmt: skip
    """Copy a state, and write the copy in a thread while the program goes on.

    Args:
        state_dict, checkpoint_id, storage_writer, planner, process_group, no_dist: As of ``save``.
        async_checkpointer_type, async_stager, use_collectives: Accepted without effect.

    Returns:
        A ``concurrent.futures.Future`` of the ``Metadata``.

    >>> import rushlight as torch, tempfile
    >>> import rushlight.distributed.checkpoint as dcp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     future = dcp.async_save({"x": torch.ones(2)}, checkpoint_id=folder)
    ...     list(future.result().state_dict_metadata)
    ['x']
    """
    steps = Steps(process_group, no_dist)
    writer = writer_of(storage_writer, checkpoint_id)
    state = _copied(_states(state_dict))
    pool = ThreadPoolExecutor(1)
    future: Future = pool.submit(_save, state, writer, steps, planner or DefaultSavePlanner())
    pool.shutdown(wait=False)
    return future


def _copied(value):
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(v) for v in value)
    return copy.deepcopy(value)


def save_state_dict(
    state_dict, storage_writer, process_group=None, coordinator_rank=0, no_dist=False, planner=None
):
    """The deprecated name of ``save``."""
    warnings.warn(
        "'save_state_dict' is deprecated and will be removed in future versions. Please use "
        "'save' instead.", FutureWarning, stacklevel=2,
    )  # fmt: skip
    storage_writer.reset()
    steps = Steps(process_group, no_dist)
    return _save(state_dict, storage_writer, steps, planner or DefaultSavePlanner())
