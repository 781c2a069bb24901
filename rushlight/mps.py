"""torch.mps: Apple's GPUs, which rushlight does not use."""

__all__ = [
    "current_allocated_memory", "device_count", "driver_allocated_memory", "empty_cache",
    "is_available", "manual_seed", "recommended_max_memory", "seed", "synchronize",
]  # fmt: skip


def is_available():
    """False.

    >>> import rushlight as torch
    >>> torch.mps.is_available()
    False
    """
    return False


def device_count():
    """0."""
    return 0


def manual_seed(seed):
    """Check ``seed`` and do nothing, because there is no device."""
    int(seed)


def seed():
    """Do nothing, because there is no device."""


def _without(name):
    def refuse():
        raise RuntimeError(f"Cannot execute {name}() without MPS backend.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises: there is no MPS device."
    return refuse


current_allocated_memory = _without("current_allocated_memory")
driver_allocated_memory = _without("driver_allocated_memory")
empty_cache = _without("empty_cache")
recommended_max_memory = _without("recommended_max_memory")
synchronize = _without("synchronize")
