"""torch.opencl: the OpenCL devices, their memory, and what they did not compute themselves.

A tensor is moved to a device by ``x.to("opencl")`` or ``x.to("opencl:1")``. ``devices.py`` has the
functions.
"""

from rushlight.devices import DeviceProperties, Devices

__all__ = [
    "DeviceProperties", "Event", "Stream", "current_device", "current_stream", "default_stream",
    "device", "device_count", "device_of", "empty_cache", "fallbacks", "get_device_name",
    "get_device_properties", "init", "is_available", "is_bf16_supported", "is_initialized",
    "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
    "memory_stats", "memory_summary", "reset_peak_memory_stats", "set_device", "set_stream",
    "stream", "synchronize",
]  # fmt: skip

_devices = Devices("opencl")
Event, Stream = _devices.Event, _devices.Stream
current_device = _devices.current_device
current_stream = _devices.current_stream
default_stream = _devices.default_stream
device = _devices.device
device_count = _devices.device_count
device_of = _devices.device_of
empty_cache = _devices.empty_cache
fallbacks = _devices.fallbacks
get_device_name = _devices.get_device_name
get_device_properties = _devices.get_device_properties
init = _devices.init
is_available = _devices.is_available
is_bf16_supported = _devices.is_bf16_supported
is_initialized = _devices.is_initialized
max_memory_allocated = _devices.max_memory_allocated
max_memory_reserved = _devices.max_memory_reserved
memory_allocated = _devices.memory_allocated
memory_reserved = _devices.memory_reserved
memory_stats = _devices.memory_stats
memory_summary = _devices.memory_summary
reset_peak_memory_stats = _devices.reset_peak_memory_stats
set_device = _devices.set_device
set_stream = _devices.set_stream
stream = _devices.stream
synchronize = _devices.synchronize
