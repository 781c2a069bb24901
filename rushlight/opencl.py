"""torch.opencl: the OpenCL devices, their memory, and what they did not compute themselves.

A tensor is moved to a device by ``x.to("opencl")`` or ``x.to("opencl:1")``. The functions that take
a ``device`` accept its number, a string or a ``torch.device``; None means the first device.
"""

from typing import NamedTuple

from rushlight.device import device as _device
from rushlight.device import require
from rushlight.device_array import driver_of, drivers
from rushlight.ops.core import remote_calls

__all__ = [
    "DeviceProperties", "device_count", "empty_cache", "fallbacks", "get_device_name",
    "get_device_properties", "is_available", "memory_allocated", "memory_reserved", "synchronize",
]  # fmt: skip


class DeviceProperties(NamedTuple):
    """What a device is.

    Attributes:
        name: Its name, from its driver.
        kind: ``"GPU"``, ``"CPU"`` or ``"accelerator"``.
        version: The version of OpenCL.
        total_memory: Bytes of its memory.
        units: The number of its compute units.
        float64: Whether it computes with float64.
    """

    name: str
    kind: str
    version: str
    total_memory: int
    units: int
    float64: bool


def is_available():
    """Return whether there is a device.

    >>> import rushlight as torch
    >>> torch.opencl.is_available() == (torch.opencl.device_count() > 0)
    True
    """
    return device_count() > 0


def device_count():
    """Return the number of devices: those whose drivers take SPIR-V.

    >>> import rushlight as torch
    >>> torch.opencl.device_count() >= 0
    True
    """
    return len(drivers("opencl"))


def get_device_properties(device=None):
    """Return what a device is, as ``DeviceProperties``.

    Raises:
        RuntimeError: there is no such device.

    >>> import rushlight as torch
    >>> for i in range(torch.opencl.device_count()):
    ...     assert torch.opencl.get_device_properties(i).total_memory > 0
    """
    d = _driver(device)
    return DeviceProperties(d.name, d.kind, d.version, d.memory, d.units, d.doubles)


def get_device_name(device=None):
    """Return the name of a device.

    Raises:
        RuntimeError: there is no such device.

    >>> import rushlight as torch
    >>> names = [torch.opencl.get_device_name(i) for i in range(torch.opencl.device_count())]
    """
    return _driver(device).name


def synchronize(device=None):
    """Wait until a device has done all its work.

    Raises:
        RuntimeError: there is no such device, or one of its kernels failed.

    >>> import rushlight as torch
    >>> if torch.opencl.is_available():
    ...     torch.opencl.synchronize()
    """
    _driver(device).synchronize()


def memory_allocated(device=None):
    """Return the bytes of a device's memory that tensors use.

    Raises:
        RuntimeError: there is no such device.

    >>> import rushlight as torch
    >>> if torch.opencl.is_available():
    ...     assert torch.opencl.memory_allocated() >= 0
    """
    return _driver(device).allocated


def memory_reserved(device=None):
    """Return the bytes of a device's memory that tensors use, or that are kept for new ones.

    Raises:
        RuntimeError: there is no such device.

    >>> import rushlight as torch
    >>> if torch.opencl.is_available():
    ...     assert torch.opencl.memory_reserved() >= torch.opencl.memory_allocated()
    """
    return _driver(device).reserved


def empty_cache():
    """Give memory that no tensor uses back to the system, on all devices.

    >>> import rushlight as torch
    >>> torch.opencl.empty_cache()
    """
    for d in drivers("opencl"):
        d.empty_cache()


def fallbacks():
    """Return how often each operation was computed on the host, for want of a kernel.

    Returns:
        A dict: name of the operation → number of calls. Operations that draw random numbers are not
        counted. With RUSHLIGHT_FALLBACK=error in the environment such a call is an error.

    >>> import rushlight as torch
    >>> all(n > 0 for n in torch.opencl.fallbacks().values())
    True
    """
    return dict(remote_calls.fallbacks)


def _driver(device):
    if isinstance(device, int):
        device = _device("opencl", device)
    d = require(_device("opencl") if device is None else device)
    if d.type != "opencl":
        raise RuntimeError(f"expected an OpenCL device, not {d}")
    return driver_of(d)
