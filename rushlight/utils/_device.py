"""torch.utils._device: the device on which new tensors are made, as a context and a decorator."""

from rushlight.device import device as device_of
from rushlight.remote import default_device
from rushlight.utils._contextlib import context_decorator

__all__ = ["DeviceContext", "device_decorator", "set_device"]


class DeviceContext:
    """Context in which new tensors are made on a device, as ``with torch.device(device)``.

    Args:
        device: The device, or its name.

    >>> import rushlight as torch
    >>> with torch.utils._device.DeviceContext("meta"):
    ...     torch.ones(2).device
    device(type='meta')
    """

    def __init__(self, device):
        self.device = device_of(device)

    def __enter__(self):
        self.device.__enter__()
        return self

    def __exit__(self, *exc):
        self.device.__exit__(*exc)


def device_decorator(device, func):
    """Return ``func``, in whose calls new tensors are made on ``device``."""
    return context_decorator(lambda: device, func)


def set_device(device):
    """Decorator of functions in which new tensors are made on ``device``.

    >>> import rushlight as torch
    >>> torch.utils._device.set_device("meta")(torch.ones)(2).device
    device(type='meta')
    """
    chosen = device_of(device)
    return lambda func: device_decorator(chosen, func)


def __getattr__(name):
    if name == "CURRENT_DEVICE":
        return default_device()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
