"""torch.cuda where there is no CUDA device: programs that ask are told so, and go on on the CPU."""

from rushlight.device import require

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_name", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "memory_allocated", "seed_all", "set_device", "synchronize",
]  # fmt: skip


def is_available():
    """False: rushlight runs on the CPU.

    >>> import rushlight as torch
    >>> torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device(type='cpu')
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


# With no device there is nothing to seed, to free or to count.


def manual_seed(seed):
    """Seed the generator of the current device, of which there is none."""
    int(seed)


def manual_seed_all(seed):
    """Seed the generators of all devices, of which there are none."""
    int(seed)


def seed_all():
    """Seed the generators of all devices at random, of which there are none."""


def empty_cache():
    """Free cached memory of devices, of which there are none."""


def memory_allocated(device=None):
    """0."""
    return 0


def max_memory_allocated(device=None):
    """0."""
    return 0


# What needs a device raises, as in a PyTorch that was built without CUDA.


def init():
    """Raises: there is no CUDA device."""
    require("cuda")


def synchronize(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")


def current_device():
    """Raises: there is no CUDA device."""
    require("cuda")


def set_device(device):
    """Raises: there is no CUDA device."""
    require("cuda")


def get_device_name(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")
