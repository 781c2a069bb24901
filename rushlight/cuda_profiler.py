"""torch.cuda.profiler: tells NVIDIA's profilers which part of a program to record."""

import contextlib

from rushlight import cuda

__all__ = ["profile", "start", "stop"]


def start():
    """Let a profiler of NVIDIA that watches this process begin to record.

    Raises:
        AssertionError: There is no CUDA device.
    """
    _tell("cuProfilerStart")


def stop():
    """Let a profiler of NVIDIA that watches this process stop to record.

    Raises:
        AssertionError: There is no CUDA device.
    """
    _tell("cuProfilerStop")


@contextlib.contextmanager
def profile():
    """Return a context whose operations a profiler of NVIDIA records.

    Raises:
        AssertionError: The context is entered, and there is no CUDA device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     with torch.cuda.profiler.profile():
    ...         x = torch.ones(2, device="cuda")
    """
    start()
    try:
        yield
    finally:
        stop()


def _tell(name):
    cuda.current_device()  # raises if there is none
    cuda._devices.driver().tell_profilers(name)
