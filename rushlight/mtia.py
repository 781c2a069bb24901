"""torch.mtia: Meta's accelerators, which rushlight does not use."""

__all__ = ["device_count", "is_available", "is_initialized"]


def is_available():
    """Return whether there is an MTIA device: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.mtia.is_available()
    False
    """
    return False


def device_count():
    """Return the number of MTIA devices.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.mtia.device_count()
    0
    """
    return 0


def is_initialized():
    """Return whether MTIA devices were prepared: there are none.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.mtia.is_initialized()
    False
    """
    return False
