"""torch.accelerator: the device to prefer to the CPU, which is the first GPU with OpenCL."""

from rushlight.device import require
from rushlight.device_array import drivers

__all__ = ["current_accelerator", "device_count", "is_available"]


def _numbers():
    """The numbers of the OpenCL devices that are GPUs; those on the CPU gain nothing."""
    return [i for i, d in enumerate(drivers("opencl")) if d.kind == "GPU"]


def is_available():
    """Return whether there is a GPU that tensors can be on.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.accelerator.is_available() == (torch.accelerator.device_count() > 0)
    True
    """
    return bool(_numbers())


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
    found = _numbers()
    return require(f"opencl:{found[0]}") if found else None


def device_count():
    """Return the number of GPUs that tensors can be on.

    Returns:
        An int.

    >>> import rushlight as torch
    >>> torch.accelerator.device_count() >= 0
    True
    """
    return len(_numbers())
