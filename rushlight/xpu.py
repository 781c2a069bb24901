"""torch.xpu: Intel's GPUs, which are OpenCL devices, too. ``devices.py`` has the functions."""

from typing import TYPE_CHECKING, Any

from rushlight.devices import Devices

_devices = Devices("xpu")
_functions = _devices.functions()
globals().update(_functions)
XPUGraph = _devices.Graph
__all__ = ["XPUGraph", "mem_get_info", *_functions]


def mem_get_info(device=None):
    """Return (bytes that are free, bytes of memory) of a device.

    OpenCL does not tell what other processes use, so their memory counts as free.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A pair of ints.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.xpu.is_available():
    ...     free, total = torch.xpu.mem_get_info()
    """
    total = _devices.get_device_properties(device).total_memory
    return total - _devices.memory_reserved(device), total


if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
