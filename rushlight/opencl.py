"""torch.opencl: the OpenCL devices, their memory, and what they did not compute themselves.

A tensor is moved to a device by ``x.to("opencl")`` or ``x.to("opencl:1")``. ``devices.py`` has the
functions.
"""

from typing import TYPE_CHECKING, Any

from rushlight.devices import DeviceProperties, Devices

_devices = Devices("opencl")
_functions = _devices.functions()
globals().update(_functions)
Graph = _devices.Graph
__all__ = ["DeviceProperties", "Graph", *_functions]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
