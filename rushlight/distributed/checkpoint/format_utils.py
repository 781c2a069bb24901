"""From checkpoints to files of ``torch.save``, and back."""

from rushlight.distributed.checkpoint.default_planner import (
    DefaultSavePlanner,
    _EmptyStateDictLoadPlanner,
)
from rushlight.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from rushlight.distributed.checkpoint.state_dict_loader import _load
from rushlight.distributed.checkpoint.state_dict_saver import _save
from rushlight.distributed.checkpoint.steps import Steps
from rushlight.serialization import load, save

__all__ = ["dcp_to_torch_save", "torch_save_to_dcp"]


def dcp_to_torch_save(dcp_checkpoint_dir, torch_save_path):
    """Write the state in a checkpoint to one file of ``torch.save``.

    Args:
        dcp_checkpoint_dir: The folder of the checkpoint.
        torch_save_path: The path of the file.
    """
    found: dict = {}
    reader = FileSystemReader(dcp_checkpoint_dir)
    _load(found, reader, Steps(alone=True), _EmptyStateDictLoadPlanner())
    save(found, torch_save_path)


def torch_save_to_dcp(torch_save_path, dcp_checkpoint_dir):
    """Write the state in a file of ``torch.save`` to a checkpoint.

    Args:
        torch_save_path: The path of the file; it is read with ``weights_only=True``.
        dcp_checkpoint_dir: The folder of the checkpoint.
    """
    state = load(torch_save_path, weights_only=True)
    _save(state, FileSystemWriter(dcp_checkpoint_dir), Steps(alone=True), DefaultSavePlanner())
