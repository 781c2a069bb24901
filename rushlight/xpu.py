"""torch.xpu: Intel's GPUs, which are OpenCL devices, too. ``devices.py`` has the functions."""

from typing import TYPE_CHECKING, Any

from rushlight.devices import Devices

_functions = Devices("xpu").functions()
globals().update(_functions)
__all__ = [*_functions]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
