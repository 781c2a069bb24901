"""torch.xpu: Intel's GPUs, which rushlight does not use."""

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
    """Check ``seed`` and do nothing, because there is no device."""
    int(seed)


def manual_seed_all(seed):
    """Check ``seed`` and do nothing, because there is no device."""
    int(seed)


def empty_cache():
    """Do nothing, because there is no device with cached memory."""


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
