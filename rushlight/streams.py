"""``torch.Stream`` and ``torch.Event`` of the device that a program names: always the CPU."""

from rushlight import cpu
from rushlight.device import CPU, require

__all__ = ["Event", "Stream"]


class Stream(cpu.Stream):
    """The only stream of the CPU, which never waits.

    Args:
        device: The CPU, or None, which means the CPU.
        priority: Accepted without effect.

    Raises:
        AssertionError, RuntimeError: The device is another one.

    >>> import rushlight as torch
    >>> torch.Stream().query()
    True
    """

    device = CPU
    stream_id = 0

    def __init__(self, device=None, *, priority=0):
        require(device)

    def query(self):
        """Return True: all earlier calls have finished."""
        return True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def __eq__(self, other):
        return isinstance(other, Stream) or NotImplemented

    __hash__ = object.__hash__

    def __repr__(self):
        return "torch.Stream device_type=cpu, device_index=-1, stream_id=0"


class Event(cpu.Event):
    """A moment in time.

    Args:
        device: The CPU, or None, which means the CPU.
        enable_timing: Let ``elapsed_time`` measure from and to this event. Default: False.
        blocking, interprocess: Accepted without effect.

    Raises:
        AssertionError, RuntimeError: The device is another one.

    >>> import rushlight as torch
    >>> torch.Event(enable_timing=True).query()
    True
    """

    device = CPU
    event_id = 0

    def __init__(self, device=None, *, enable_timing=False, blocking=False, interprocess=False):
        require(device)
        super().__init__(enable_timing)

    def __repr__(self):
        return "torch.Event device_type=cpu, device_index=-1, event_flag=0, event_id=0"
