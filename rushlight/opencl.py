"""torch.opencl: the OpenCL devices, their memory, and what they did not compute themselves.

A tensor is moved to a device by ``x.to("opencl")`` or ``x.to("opencl:1")``. ``devices.py`` has the
functions.
"""

from typing import TYPE_CHECKING, Any

from rushlight.devices import DeviceProperties, Devices

_functions = Devices("opencl").functions()
globals().update(_functions)
__all__ = ["DeviceProperties", *_functions]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
