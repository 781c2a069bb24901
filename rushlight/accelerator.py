"""torch.accelerator: the device to prefer to the CPU: a GPU of NVIDIA's, Intel's or another's."""

from rushlight.device import DRIVEN, device
from rushlight.device_array import drivers

__all__ = ["current_accelerator", "device_count", "is_available"]


def _found():
    """The type of the devices to prefer, and their numbers; those on the CPU gain nothing."""
    for kind in DRIVEN:
        numbers = [i for i, d in enumerate(drivers(kind)) if d.kind == "GPU"]
        if numbers:
            return kind, numbers
    return "cpu", []


def is_available():
    """Return whether there is a GPU that tensors can be on.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.accelerator.is_available() == (torch.accelerator.device_count() > 0)
    True
    """
    return bool(_found()[1])


def current_accelerator(check_available=False):
    """Return the device to prefer to the CPU.

    Args:
        check_available: Accepted without effect: a device is only returned if it is there.

    Returns:
        A ``torch.device``; None if there is none.

    >>> import rushlight as torch
    >>> device = torch.accelerator.current_accelerator() or torch.device("cpu")
    >>> torch.zeros(2, device=device).device.type == device.type
    True
    """
    kind, numbers = _found()
    return device(kind) if numbers else None


def device_count():
    """Return the number of GPUs that tensors can be on.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.accelerator.device_count() >= 0
    True
    """
    return len(_found()[1])
