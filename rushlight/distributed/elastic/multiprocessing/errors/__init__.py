"""Errors of processes that ``torch.distributed.run`` started."""

import functools
import json
import os
import time
import traceback
from dataclasses import dataclass, field

__all__ = ["ChildFailedError", "ErrorHandler", "ProcessFailure", "get_error_handler", "record"]


@dataclass
class ProcessFailure:
    """A process that failed."""

    local_rank: int
    pid: int
    exitcode: int
    error_file: str = "<N/A>"
    message: str = ""
    timestamp: int = field(default_factory=lambda: int(time.time()))

    def signal_name(self):
        """The signal that ended the process."""
        import signal

        return signal.Signals(-self.exitcode).name if self.exitcode < 0 else "<N/A>"


class ChildFailedError(Exception):
    """A program that was started failed.

    Args:
        name: The program.
        failures: Dict from ranks to ``ProcessFailure``.
    """

    def __init__(self, name, failures):
        self.name, self.failures = name, failures
        rank, first = self.get_first_failure()
        super().__init__(f"{name} FAILED: rank {rank} ended with exit code {first.exitcode}")

    def get_first_failure(self):
        """Tuple of the rank and the failure that came first."""
        return min(self.failures.items(), key=lambda item: item[1].timestamp)


class ErrorHandler:
    """Writes the error of a process to the file that TORCHELASTIC_ERROR_FILE names."""

    def initialize(self):
        """Do nothing."""

    def record_exception(self, e):
        """Write an error, as JSON."""
        path = os.environ.get("TORCHELASTIC_ERROR_FILE")
        if path:
            text = "".join(traceback.format_exception(e))
            info = {"py_callstack": text, "timestamp": str(int(time.time()))}
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"message": {"message": repr(e), "extraInfo": info}}, file)


def get_error_handler():
    """Return an ``ErrorHandler``."""
    return ErrorHandler()


def record(fn, error_handler=None):
    """Let a program's main function write its error for the process that started it.

    Args:
        fn: The function.
        error_handler: An ``ErrorHandler``.

    Returns:
        A function of the same arguments.
    """
    handler = error_handler or get_error_handler()

    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        handler.initialize()
        try:
            return fn(*args, **kwargs)
        except SystemExit:
            raise
        except Exception as error:
            handler.record_exception(error)
            raise

    return wrapper
