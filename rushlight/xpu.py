"""torch.xpu: Intel's GPUs, which are OpenCL devices, too. ``devices.py`` has the functions."""

from typing import TYPE_CHECKING, Any

from rushlight.devices import Devices

_devices = Devices("xpu")
_functions = _devices.functions()
globals().update(_functions)
XPUGraph = _devices.Graph
__all__ = ["XPUGraph", *_functions]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
