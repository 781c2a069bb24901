"""Processes of a program that is started by ``torch.distributed.run``."""

import enum

from rushlight.distributed.absent import absent_names
from rushlight.distributed.elastic.multiprocessing.errors import (
    ChildFailedError,
    ProcessFailure,
    record,
)

_absent = absent_names(
    "elastic.multiprocessing",
    "DefaultLogsSpecs LogsSpecs PContext start_processes",
)
globals().update(_absent)

__all__ = ["ChildFailedError", "ProcessFailure", "SignalException", "Std", "record", *_absent]


class Std(enum.IntFlag):
    """The streams of a process."""

    NONE, OUT, ERR = 0, 1, 2
    ALL = 3


class SignalException(Exception):
    """The launcher got a signal.

    Args:
        msg: A text.
        sigval: The signal.
    """

    def __init__(self, msg, sigval):
        super().__init__(msg)
        self.sigval = sigval
