"""torch.cuda without CUDA devices: programs that ask for a device learn that there is none."""

import contextlib

from rushlight.device import require

__all__ = [
    "Event", "Stream", "current_device", "current_stream", "default_generators", "device",
    "device_count", "empty_cache", "get_arch_list", "get_device_capability", "get_device_name",
    "get_device_properties", "get_rng_state", "get_rng_state_all", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "seed", "seed_all", "set_device", "set_rng_state_all", "stream",
    "synchronize",
]  # fmt: skip

default_generators = ()


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
    """Check ``seed`` and do nothing, because there is no device."""
    int(seed)


def manual_seed_all(seed):
    """Check ``seed`` and do nothing, because there is no device."""
    int(seed)


def seed_all():
    """Do nothing, because there is no device."""


def empty_cache():
    """Do nothing, because there is no device with cached memory."""


def memory_allocated(device=None):
    """0."""
    return 0


def max_memory_allocated(device=None):
    """0."""
    return 0


def memory_reserved(device=None):
    """0."""
    return 0


def max_memory_reserved(device=None):
    """0."""
    return 0


def get_arch_list():
    """An empty list."""
    return []


def seed():
    """Do nothing, because there is no device."""


def get_rng_state_all():
    """The states of all devices' generators: an empty list."""
    return []


def set_rng_state_all(new_states):
    """Set the generators of all devices, of which there are none."""
    for _state in new_states:
        require("cuda")


class device:
    """Context in which a device is the current one: entering raises unless it is None or < 0."""

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            require("cuda")

    def __exit__(self, *exc):
        return False


@contextlib.contextmanager
def stream(stream):
    """Context in which a stream is used: without devices it does nothing.

    >>> import rushlight as torch
    >>> with torch.cuda.stream(None):
    ...     pass
    """
    yield


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


def get_device_properties(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")


def get_device_capability(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")


def get_rng_state(device="cuda"):
    """Raises: there is no CUDA device."""
    require("cuda")


def mem_get_info(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")


def current_stream(device=None):
    """Raises: there is no CUDA device."""
    require("cuda")


class Stream:
    """Raises: there is no CUDA device."""

    def __init__(self, device=None, priority=0, **kwargs):
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """Raises: there is no CUDA device; ``torch.cpu.Event`` times what the CPU does."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        raise RuntimeError("torch.cuda.Event requires CUDA support")


def __getattr__(name):
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cuda

    return cuda
