"""torch.cuda: NVIDIA's GPUs, for which only the driver is needed. Most functions: ``devices.py``.

Random numbers for tensors on a GPU are those of PyTorch's CUDA generator (``draw/philox.py``).
"""

from typing import Any

from rushlight.devices import Devices
from rushlight.errors import OutOfMemoryError

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "can_device_access_peer", "current_device",
    "current_stream", "default_stream", "device", "device_count", "device_of",
    "empty_cache", "fallbacks", "get_arch_list", "get_device_capability", "get_device_name",
    "get_device_properties", "get_rng_state", "get_rng_state_all", "init", "initial_seed",
    "ipc_collect",
    "is_available", "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "memory_stats", "memory_summary", "reset_max_memory_allocated",
    "reset_peak_memory_stats", "seed", "seed_all", "set_device", "set_rng_state",
    "set_rng_state_all", "set_stream", "stream", "synchronize",
]  # fmt: skip

_devices = Devices("cuda")
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
manual_seed = _devices.manual_seed
manual_seed_all = _devices.manual_seed_all
seed = _devices.seed
seed_all = _devices.seed_all
get_rng_state = _devices.get_rng_state
initial_seed = _devices.initial_seed
get_rng_state_all = _devices.get_rng_state_all
set_rng_state = _devices.set_rng_state
set_rng_state_all = _devices.set_rng_state_all

reset_max_memory_allocated = _devices.reset_peak_memory_stats


def mem_get_info(device=None):
    """Return (bytes that are free, bytes of memory) of a device, as its driver tells.

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A pair of ints.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     free, total = torch.cuda.mem_get_info()
    """
    return _devices.driver(device).memory_info()


def get_device_capability(device=None):
    """Return the compute capability of a device, such as (9, 0).

    Args:
        device: A number, string or ``torch.device``. Default: the current one.

    Returns:
        A pair of ints.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     assert torch.cuda.get_device_capability() >= (5, 0)
    """
    return _devices.driver(device).capability


def get_arch_list():
    """Return the architectures that kernels are compiled for: those of the devices.

    Returns:
        A list of strings, such as ``"sm_90"``.

    >>> import rushlight as torch
    >>> len(torch.cuda.get_arch_list()) <= torch.cuda.device_count()
    True
    """
    found = [_devices.driver(i).architecture for i in range(_devices.device_count())]
    return sorted(set(found))


def can_device_access_peer(device, peer_device):
    """Return False: copies between devices pass through the host.

    Args:
        device, peer_device: Two devices.

    Returns:
        False.

    Raises:
        AssertionError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.device_count() > 1:
    ...     assert not torch.cuda.can_device_access_peer(0, 1)
    """
    _devices.place(device), _devices.place(peer_device)
    return False


def ipc_collect():
    """Do nothing: processes share no memory of devices.

    >>> import rushlight as torch
    >>> torch.cuda.ipc_collect()
    """


def __getattr__(name) -> Any:
    if name == "default_generators":
        return _devices.default_generators
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cuda

    return cuda
