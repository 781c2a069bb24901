"""torch.cuda without CUDA devices: programs that ask for a device learn that there is none."""

import contextlib

from rushlight.device import require
from rushlight.errors import OutOfMemoryError

__all__ = [
    "Event", "OutOfMemoryError", "Stream", "current_device", "current_stream",
    "default_generators", "device", "device_count", "empty_cache", "get_arch_list",
    "get_device_capability", "get_device_name",
    "get_device_properties", "get_rng_state", "get_rng_state_all", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "seed", "seed_all", "set_device", "set_rng_state_all", "stream",
    "synchronize",
]  # fmt: skip

default_generators = ()


def is_available():
    """Return whether there is a CUDA device: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def device_count():
    """Return the number of CUDA devices.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.cuda.device_count()
    0
    """
    return 0


def is_initialized():
    """Return whether CUDA devices were prepared: there are none.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.cuda.is_initialized()
    False
    """
    return False


def is_bf16_supported(including_emulation=True):
    """Return whether the device computes with bfloat16: there is no device.

    Args:
        including_emulation: Accepted without effect.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.cuda.is_bf16_supported()
    False
    """
    return False


# With no device there is nothing to seed, to free or to count.


def manual_seed(seed):
    """Check the seed and do nothing, because there is no device.

    Args:
        seed: An int.

    >>> import rushlight as torch
    >>> torch.cuda.manual_seed(0)
    """
    int(seed)


def manual_seed_all(seed):
    """Check the seed and do nothing, because there is no device.

    Args:
        seed: An int.

    >>> import rushlight as torch
    >>> torch.cuda.manual_seed_all(0)
    """
    int(seed)


def seed_all():
    """Do nothing, because there is no device.

    >>> import rushlight as torch
    >>> torch.cuda.seed_all()
    """


def empty_cache():
    """Do nothing, because there is no device with cached memory.

    >>> import rushlight as torch
    >>> torch.cuda.empty_cache()
    """


def memory_allocated(device=None):
    """Return the bytes of tensors on a device: there is no device.

    Args:
        device: Accepted without effect.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.cuda.memory_allocated()
    0
    """
    return 0


def max_memory_allocated(device=None):
    """Return the most bytes of tensors that were on a device: there is no device.

    Args:
        device: Accepted without effect.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.cuda.max_memory_allocated()
    0
    """
    return 0


def memory_reserved(device=None):
    """Return the bytes that the cache of a device holds: there is no device.

    Args:
        device: Accepted without effect.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.cuda.memory_reserved()
    0
    """
    return 0


def max_memory_reserved(device=None):
    """Return the most bytes that the cache of a device held: there is no device.

    Args:
        device: Accepted without effect.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.cuda.max_memory_reserved()
    0
    """
    return 0


def get_arch_list():
    """Return the architectures that kernels are compiled for: none.

    Returns:
        An empty list.

    >>> import rushlight as torch
    >>> torch.cuda.get_arch_list()
    []
    """
    return []


def seed():
    """Do nothing, because there is no device.

    >>> import rushlight as torch
    >>> torch.cuda.seed()
    """


def get_rng_state_all():
    """Return the states of all devices' generators, of which there are none.

    Returns:
        An empty list.

    >>> import rushlight as torch
    >>> torch.cuda.get_rng_state_all()
    []
    """
    return []


def set_rng_state_all(new_states):
    """Set the generators of all devices, of which there are none.

    Args:
        new_states: An empty sequence.

    Raises:
        AssertionError: ``new_states`` is not empty.

    >>> import rushlight as torch
    >>> torch.cuda.set_rng_state_all([])
    """
    for _state in new_states:
        require("cuda")


class device:
    """Context in which a CUDA device is the current one, where there is one.

    Args:
        device: None or a negative int; the context then does nothing.

    Raises:
        AssertionError: The context of any other device is entered.

    >>> import rushlight as torch
    >>> with torch.cuda.device(None):
    ...     pass
    """

    def __init__(self, device):
        self.idx = device

    def __enter__(self):
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            require("cuda")

    def __exit__(self, *exc):
        return False


@contextlib.contextmanager
def stream(stream):
    """Return a context in which a stream is used; without devices it does nothing.

    Args:
        stream: Accepted without effect.

    Returns:
        Context manager.

    >>> import rushlight as torch
    >>> with torch.cuda.stream(None):
    ...     pass
    """
    yield


# What needs a device raises, as in a PyTorch that was built without CUDA.


def init():
    """Prepare the CUDA devices, of which there are none.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.init()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def synchronize(device=None):
    """Wait for the work of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.synchronize()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def current_device():
    """Return the index of the current CUDA device, of which there is none.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.current_device()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def set_device(device):
    """Make a CUDA device the current one; there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.set_device(0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def get_device_name(device=None):
    """Return the name of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.get_device_name()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def get_device_properties(device=None):
    """Return the properties of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.get_device_properties()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def get_device_capability(device=None):
    """Return the compute capability of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.get_device_capability()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def get_rng_state(device="cuda"):
    """Return the state of a CUDA device's generator; there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.get_rng_state()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def mem_get_info(device=None):
    """Return the free memory of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.mem_get_info()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


def current_stream(device=None):
    """Return the current stream of a CUDA device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.current_stream()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with CUDA enabled...
    """
    require("cuda")


class Stream:
    """A stream of a CUDA device, of which there is none.

    Args:
        device, priority: Accepted without effect.
        **kwargs: Accepted without effect.

    Raises:
        RuntimeError: Always.

    >>> import rushlight as torch
    >>> torch.cuda.Stream()
    Traceback (most recent call last):
        ...
    RuntimeError: torch.cuda.Stream requires CUDA support
    """

    def __init__(self, device=None, priority=0, **kwargs):
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """A moment in the work of a CUDA device, of which there is none.

    Args:
        enable_timing, blocking, interprocess: Accepted without effect.

    Raises:
        RuntimeError: Always. ``torch.cpu.Event`` times the work of the CPU.

    >>> import rushlight as torch
    >>> torch.cuda.Event()
    Traceback (most recent call last):
        ...
    RuntimeError: torch.cuda.Event requires CUDA support
    """

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        raise RuntimeError("torch.cuda.Event requires CUDA support")


def __getattr__(name):
    if name != "amp":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rushlight.amp import cuda

    return cuda
