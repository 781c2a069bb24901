"""The error of checkpoints."""

__all__ = ["CheckpointException"]


class CheckpointException(BaseException):
    """Something failed in one or several processes.

    Args:
        msg: What was done.
        failures: Dict from ranks to tuples of the error and its traceback.
    """

    def __init__(self, msg, failures):
        super().__init__(msg, failures)
        self._failures = failures

    @property
    def failures(self):
        """From ranks to tuples of the error and its traceback."""
        return self._failures

    def __str__(self):
        text = f"CheckpointException ranks:{self._failures.keys()}\n"
        for rank, (error, _) in self._failures.items():
            text += f"Traceback (most recent call last): (RANK {rank})\n"
            text += f"{type(error).__name__}: {error}\n"
        return text
