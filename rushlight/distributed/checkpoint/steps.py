"""Steps of a checkpoint that one process decides for all."""

import os
import traceback
from typing import Any

from rushlight.distributed.checkpoint.api import CheckpointException
from rushlight.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from rushlight.distributed.objects import broadcast_object_list, gather_object, scatter_object_list
from rushlight.distributed.process_group import resolve
from rushlight.distributed.world import is_initialized

__all__ = ["Steps", "reader_of", "writer_of"]


class Steps:
    """Runs steps in all processes of a group, or in this one if there is no group.

    Args:
        process_group: The group. Default: all processes.
        alone: Whether this process works without the others.
    """

    def __init__(self, process_group=None, alone=False):
        together = is_initialized() and not alone
        self.group: Any = resolve(process_group) if together else None
        self.rank, self.size = 0, 1
        if self.group is not None:
            self.rank, self.size = self.group.rank(), self.group.size()
        self.is_coordinator = self.rank == 0

    def decide(self, name, local, overall):
        """Give each process its part of ``overall`` of the list of all results of ``local``."""
        results = self._collected(self._tried(local))
        answers = [None] * self.size
        if self.is_coordinator:
            found = self._tried(lambda: overall(_values(name, results)))
            answers = [found] * self.size if _failed(found) else found
        return self._checked(name, self._given(answers))

    def agree(self, name, local, overall):
        """Give each process ``overall`` of the list of all results of ``local``."""
        results = self._collected(self._tried(local))
        found = [None]
        if self.is_coordinator:
            found = [self._tried(lambda: overall(_values(name, results)))]
        if self.size > 1:
            broadcast_object_list(found, group=self.group, group_src=0)
        return self._checked(name, found[0])

    def _tried(self, function):
        try:
            return function()
        except CheckpointException as error:
            return error
        except Exception as error:
            return CheckpointException(
                "", {self.rank: (error, traceback.extract_tb(error.__traceback__))}
            )

    def _collected(self, mine):
        if self.size == 1:
            return [mine]
        found = [None] * self.size if self.is_coordinator else None
        gather_object(mine, found, group=self.group, group_dst=0)
        return found

    def _given(self, answers):
        if self.size == 1:
            return answers[0]
        found = [None]
        scatter_object_list(found, answers, group=self.group, group_src=0)
        return found[0]

    def _checked(self, name, found):
        if _failed(found):
            raise CheckpointException(name, found.failures)
        return found


def _failed(value):
    return isinstance(value, CheckpointException)


def _values(name, results):
    failures = {r: f for e in results if _failed(e) for r, f in e.failures.items()}
    if failures:
        raise CheckpointException(name, failures)
    return results


def _default(kind, given, checkpoint_id):
    if given is not None:
        given.reset(checkpoint_id)
        return given
    if checkpoint_id is None:
        raise RuntimeError(
            "`checkpoint_id` must be specified if storage_reader or storage_writer is None."
        )
    if not kind.validate_checkpoint_id(checkpoint_id):
        raise RuntimeError(f"Cannot detect which storage to use for {os.fspath(checkpoint_id)}")
    return kind(checkpoint_id)


def writer_of(given, checkpoint_id):
    """The writer that was given, or one for a folder."""
    return _default(FileSystemWriter, given, checkpoint_id)


def reader_of(given, checkpoint_id):
    """The reader that was given, or one for a folder."""
    return _default(FileSystemReader, given, checkpoint_id)
