"""The functions of autocast that have a device type in their names: PyTorch's older spellings."""

from rushlight.amp.autocast_mode import (
    get_autocast_dtype,
    is_autocast_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from rushlight.ops.core.autocast import local

__all__ = [
    "autocast_decrement_nesting", "autocast_increment_nesting", "get_autocast_cpu_dtype",
    "get_autocast_gpu_dtype", "get_autocast_ipu_dtype", "get_autocast_xla_dtype",
    "is_autocast_cpu_enabled", "is_autocast_ipu_enabled", "is_autocast_xla_enabled",
    "set_autocast_cpu_dtype", "set_autocast_cpu_enabled", "set_autocast_gpu_dtype",
    "set_autocast_ipu_dtype", "set_autocast_ipu_enabled", "set_autocast_xla_dtype",
    "set_autocast_xla_enabled",
]  # fmt: skip


def _getter(current, name, device_type):
    def get():
        return current(device_type)

    get.__name__ = get.__qualname__ = name
    get.__doc__ = f"""Return ``{current.__name__}("{device_type}")``; the older spelling."""
    return get


def _setter(change, name, device_type, what):
    if what == "dtype":

        def set(dtype):
            change(device_type, dtype)
    else:

        def set(enabled):
            change(device_type, enabled)

    set.__name__ = set.__qualname__ = name
    set.__doc__ = f"""Call ``{change.__name__}("{device_type}", {what})``; the older spelling.

    Args:
        {what}: The argument of ``{change.__name__}``.
    """
    return set


is_autocast_cpu_enabled = _getter(is_autocast_enabled, "is_autocast_cpu_enabled", "cpu")
is_autocast_ipu_enabled = _getter(is_autocast_enabled, "is_autocast_ipu_enabled", "ipu")
is_autocast_xla_enabled = _getter(is_autocast_enabled, "is_autocast_xla_enabled", "xla")
get_autocast_cpu_dtype = _getter(get_autocast_dtype, "get_autocast_cpu_dtype", "cpu")
get_autocast_gpu_dtype = _getter(get_autocast_dtype, "get_autocast_gpu_dtype", "cuda")
get_autocast_ipu_dtype = _getter(get_autocast_dtype, "get_autocast_ipu_dtype", "ipu")
get_autocast_xla_dtype = _getter(get_autocast_dtype, "get_autocast_xla_dtype", "xla")
set_autocast_cpu_enabled = _setter(
    set_autocast_enabled, "set_autocast_cpu_enabled", "cpu", "enabled"
)
set_autocast_ipu_enabled = _setter(
    set_autocast_enabled, "set_autocast_ipu_enabled", "ipu", "enabled"
)
set_autocast_xla_enabled = _setter(
    set_autocast_enabled, "set_autocast_xla_enabled", "xla", "enabled"
)
set_autocast_cpu_dtype = _setter(set_autocast_dtype, "set_autocast_cpu_dtype", "cpu", "dtype")
set_autocast_gpu_dtype = _setter(set_autocast_dtype, "set_autocast_gpu_dtype", "cuda", "dtype")
set_autocast_ipu_dtype = _setter(set_autocast_dtype, "set_autocast_ipu_dtype", "ipu", "dtype")
set_autocast_xla_dtype = _setter(set_autocast_dtype, "set_autocast_xla_dtype", "xla", "dtype")


def autocast_increment_nesting():
    """Enter a region: converted weights are kept until the outermost one is left.

    Returns:
        The number of regions that this thread is in now.

    >>> import rushlight as torch
    >>> torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()
    (1, 0)
    """
    local.nesting += 1
    return local.nesting


def autocast_decrement_nesting():
    """Leave a region that ``autocast_increment_nesting`` entered.

    Returns:
        The number of regions that this thread is in now.

    >>> import rushlight as torch
    >>> torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()
    (1, 0)
    """
    local.nesting -= 1
    return local.nesting
