"""torch.mps: Apple's GPUs, which rushlight does not use."""

__all__ = [
    "current_allocated_memory", "device_count", "driver_allocated_memory", "empty_cache",
    "get_rng_state",
    "is_available", "manual_seed", "recommended_max_memory", "seed", "set_rng_state", "synchronize",
]  # fmt: skip


def is_available():
    """Return whether there is an MPS device: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.mps.is_available()
    False
    """
    return False


def device_count():
    """Return the number of MPS devices.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.mps.device_count()
    0
    """
    return 0


def manual_seed(seed):
    """Check the seed and do nothing, because there is no device.

    Args:
        seed: An int.

    >>> import rushlight as torch
    >>> torch.mps.manual_seed(0)
    """
    int(seed)


def seed():
    """Do nothing, because there is no device.

    >>> import rushlight as torch
    >>> torch.mps.seed()
    """


def _without(name):
    def refuse(*args, **named):
        raise RuntimeError(f"Cannot execute {name}() without MPS backend.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"""Refuse, because there is no MPS device.

    Raises:
        RuntimeError: Always.

    >>> import rushlight as torch
    >>> torch.mps.{name}()
    Traceback (most recent call last):
        ...
    RuntimeError: Cannot execute {name}() without MPS backend.
    """
    return refuse


get_rng_state = _without("get_rng_state")
set_rng_state = _without("set_rng_state")
current_allocated_memory = _without("current_allocated_memory")
driver_allocated_memory = _without("driver_allocated_memory")
empty_cache = _without("empty_cache")
recommended_max_memory = _without("recommended_max_memory")
synchronize = _without("synchronize")
