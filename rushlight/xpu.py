"""torch.xpu: Intel's GPUs, where there is none."""

from rushlight.device import require

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_name", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "memory_allocated", "set_device", "synchronize",
]  # fmt: skip


def is_available():
    """False.

    >>> import rushlight as torch
    >>> torch.xpu.is_available(), torch.xpu.device_count()
    (False, 0)
    """
    return False


def device_count():
    """0."""
    return 0


def is_initialized():
    """False."""
    return False


def is_bf16_supported(including_emulation=True):
    """False."""
    return False


def manual_seed(seed):
    """Seed the generator of the current device, of which there is none."""
    int(seed)


def manual_seed_all(seed):
    """Seed the generators of all devices, of which there are none."""
    int(seed)


def empty_cache():
    """Free cached memory of devices, of which there are none."""


def memory_allocated(device=None):
    """0."""
    return 0


def max_memory_allocated(device=None):
    """0."""
    return 0


def init():
    """Raises: there is no XPU device."""
    require("xpu")


def synchronize(device=None):
    """Raises: there is no XPU device."""
    require("xpu")


def current_device():
    """Raises: there is no XPU device."""
    require("xpu")


def set_device(device):
    """Raises: there is no XPU device."""
    require("xpu")


def get_device_name(device=None):
    """Raises: there is no XPU device."""
    require("xpu")
