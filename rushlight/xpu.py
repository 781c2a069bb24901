"""torch.xpu: Intel's GPUs, which rushlight does not use."""

from rushlight.device import require

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_name", "init", "is_available",
    "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "memory_allocated", "set_device", "synchronize",
]  # fmt: skip


def is_available():
    """Return whether there is an XPU device: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.xpu.is_available(), torch.xpu.device_count()
    (False, 0)
    """
    return False


def device_count():
    """Return the number of XPU devices.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.xpu.device_count()
    0
    """
    return 0


def is_initialized():
    """Return whether XPU devices were prepared: there are none.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.xpu.is_initialized()
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
    >>> torch.xpu.is_bf16_supported()
    False
    """
    return False


def manual_seed(seed):
    """Check the seed and do nothing, because there is no device.

    Args:
        seed: An int.

    >>> import rushlight as torch
    >>> torch.xpu.manual_seed(0)
    """
    int(seed)


def manual_seed_all(seed):
    """Check the seed and do nothing, because there is no device.

    Args:
        seed: An int.

    >>> import rushlight as torch
    >>> torch.xpu.manual_seed_all(0)
    """
    int(seed)


def empty_cache():
    """Do nothing, because there is no device with cached memory.

    >>> import rushlight as torch
    >>> torch.xpu.empty_cache()
    """


def memory_allocated(device=None):
    """Return the bytes of tensors on a device: there is no device.

    Args:
        device: Accepted without effect.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.xpu.memory_allocated()
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
    >>> torch.xpu.max_memory_allocated()
    0
    """
    return 0


def init():
    """Prepare the XPU devices, of which there are none.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.xpu.init()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with XPU enabled...
    """
    require("xpu")


def synchronize(device=None):
    """Wait for the work of a XPU device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.xpu.synchronize()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with XPU enabled...
    """
    require("xpu")


def current_device():
    """Return the index of the current XPU device, of which there is none.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.xpu.current_device()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with XPU enabled...
    """
    require("xpu")


def set_device(device):
    """Make a XPU device the current one; there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.xpu.set_device(0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with XPU enabled...
    """
    require("xpu")


def get_device_name(device=None):
    """Return the name of a XPU device, of which there is none.

    Args:
        device: Accepted without effect.

    Raises:
        AssertionError: Always.

    >>> import rushlight as torch
    >>> torch.xpu.get_device_name()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: Torch not compiled with XPU enabled...
    """
    require("xpu")
